package rest

import (
	"context"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/mediation/flow"
)

// Party is the area of a party on its own dispute: the person at a terminal, who may use its camera phone too, and
// those with a phone of their own. All fields must be set.
type Party struct {
	Dockets *flow.Dockets
}

// Routes implements Area.
func (a Party) Routes(r *Router) {
	d := a.Dockets
	// a terminal is nobody's private place: signatures are drawn on a phone
	everywhere, phone, terminal := Require(auth.Device, auth.Capture, auth.Party), Require(auth.Capture, auth.Party), Require(auth.Device)
	r.Long(http.MethodPost, "/dispute/agreement/sign")
	r.Get("/dispute", everywhere, a.get)
	r.Post("/dispute/answers", everywhere, onMine(d.Answer))
	r.Post("/dispute/phone-code", everywhere, onMine(d.PhoneCode))
	r.Post("/dispute/withdraw", everywhere, onMine(d.Withdraw))
	r.Post("/dispute/agreement/read", everywhere, onMine(d.Read))
	r.Post("/dispute/agreement/unclear", everywhere, onMine(d.Unclear))
	r.Post("/dispute/agreement/readback", everywhere, onMine(d.Readback))
	r.Post("/dispute/agreement/handover", terminal, onMine(d.Handover))
	r.Post("/dispute/agreement/sign", phone, onMine(d.Sign))
	r.Post("/dispute/agreement/refuse", everywhere, onMine(d.Refuse))
	r.Get("/dispute/files/{digest}", everywhere, a.file)
}

// onMine reads a body and hands it to a command on the caller's own dispute.
func onMine[In, Out any](do func(context.Context, flow.By, In) (Out, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		var in In
		if err := Body(c, &in); err != nil {
			return err
		}
		v, err := do(c.UserContext(), by(c), in)
		return reply(c, http.StatusOK, v, err)
	}
}

func (a Party) get(c *fiber.Ctx) error {
	v, err := a.Dockets.Mine(c.UserContext(), by(c))
	return reply(c, http.StatusOK, v, err)
}

func (a Party) file(c *fiber.Ctx) error {
	f, err := a.Dockets.MyFile(c.UserContext(), by(c), c.Params("digest"))
	if err != nil {
		return err
	}
	return attachment(c, f.Name, f.MediaType, f.Content)
}
