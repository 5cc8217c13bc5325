package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/internal/fault"
	"heyi/mediation/flow"
)

// Disputes is the area of staff on a dispute. All fields must be set.
type Disputes struct {
	Dockets *flow.Dockets
}

// Routes implements Area.
func (a Disputes) Routes(r *Router) {
	take, d := RequireRole(auth.RolesOf(auth.TakeTickets)...), a.Dockets
	r.Long(http.MethodPut, "/disputes/{id}/agreement")
	r.Long(http.MethodPost, "/disputes/{id}/agreement/sign")
	r.Upload(http.MethodPost, "/disputes/{id}/agreement/paper")
	r.Post("/sessions/{id}/dispute", take, a.convert)
	r.Get("/disputes/{id}", take, a.get)
	r.Put("/disputes/{id}/parties/{party}", take, onDisputePart("party", d.SetPerson))
	r.Post("/disputes/{id}/invites", take, onDispute(d.Invite))
	r.Post("/disputes/{id}/invites/{link}/revoke", take, onDisputePart("link", d.Revoke))
	r.Post("/disputes/{id}/parties/{party}/phone-codes", take, onDisputePart("party", d.SendPhoneCode))
	r.Post("/disputes/{id}/parties/{party}/identity", take, onDisputePart("party", d.VerifyIdentity))
	r.Put("/disputes/{id}/disclosure", take, onDispute(d.Disclose))
	r.Post("/disputes/{id}/statements", take, onDispute(d.Say))
	r.Put("/disputes/{id}/agreement", take, a.draft)
	r.Post("/disputes/{id}/agreement/freeze", take, onDispute(d.Freeze))
	r.Post("/disputes/{id}/agreement/revise", take, onDispute(d.Revise))
	r.Post("/disputes/{id}/agreement/sign", take, onDispute(d.MediatorSign))
	r.Post("/disputes/{id}/agreement/paper", take, a.paper)
	r.Post("/disputes/{id}/close", take, onDispute(d.Close))
	r.Post("/disputes/{id}/guidance", take, onDispute(d.Guide))
	r.Get("/disputes/{id}/files/{digest}", take, a.file)
}

// onDispute reads a body and hands it to a command on the dispute of the path.
func onDispute[In any](do func(context.Context, flow.By, string, In) (flow.DisputeView, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		var in In
		if err := Body(c, &in); err != nil {
			return err
		}
		v, err := do(c.UserContext(), by(c), c.Params("id"), in)
		return reply(c, http.StatusOK, v, err)
	}
}

// onDisputePart is onDispute for a party or link of the dispute.
func onDisputePart[In any](part string, do func(context.Context, flow.By, string, string, In) (flow.DisputeView, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		var in In
		if err := Body(c, &in); err != nil {
			return err
		}
		v, err := do(c.UserContext(), by(c), c.Params("id"), c.Params(part), in)
		return reply(c, http.StatusOK, v, err)
	}
}

func (a Disputes) convert(c *fiber.Ctx) error {
	var in flow.ConvertBody
	if err := Body(c, &in); err != nil {
		return err
	}
	v, err := a.Dockets.Convert(c.UserContext(), by(c), c.Params("id"), in)
	return reply(c, http.StatusCreated, v, err)
}

func (a Disputes) get(c *fiber.Ctx) error {
	v, err := a.Dockets.Get(c.UserContext(), by(c), c.Params("id"))
	return reply(c, http.StatusOK, v, err)
}

func (a Disputes) draft(c *fiber.Ctx) error {
	var in flow.DraftBody
	if err := Body(c, &in); err != nil {
		return err
	}
	var err error
	if in.Revision, err = strconv.ParseInt(strings.Trim(c.Get(fiber.HeaderIfMatch), `"`), 10, 64); err != nil {
		return fault.InField("request.bad_version", fiber.HeaderIfMatch)
	}
	v, err := a.Dockets.SaveDraft(c.UserContext(), by(c), c.Params("id"), in)
	if err == nil && v.Agreement != nil {
		c.Set(fiber.HeaderETag, `"`+strconv.Itoa(v.Agreement.Revision)+`"`)
	}
	return reply(c, http.StatusOK, v, err)
}

func (a Disputes) paper(c *fiber.Ctx) error {
	f, err := form(c, []string{"key", "password", "totp", "signed_on"}, []string{"scan"}, false)
	if err != nil {
		return err
	}
	scan, err := content("scan", f.File["scan"])
	if err != nil {
		return err
	}
	v, err := a.Dockets.Paper(c.UserContext(), by(c), c.Params("id"), flow.PaperBody{
		Key: field(f, "key"), Password: field(f, "password"), TOTP: field(f, "totp"), SignedOn: field(f, "signed_on"), Scan: scan,
	})
	return reply(c, http.StatusOK, v, err)
}

func (a Disputes) file(c *fiber.Ctx) error {
	f, err := a.Dockets.File(c.UserContext(), by(c), c.Params("id"), c.Params("digest"))
	if err != nil {
		return err
	}
	return attachment(c, f.Name, f.MediaType, f.Content)
}
