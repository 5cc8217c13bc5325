package rest

import (
	"context"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/mediation/flow"
)

// Tickets is the area of the citizen's place in line. All fields must be set.
type Tickets struct {
	Requests *flow.Requests
}

// Routes implements Area.
func (a Tickets) Routes(r *Router) {
	r.Post("/tickets", Require(auth.Device), a.create)
	r.Post("/tickets/{id}/cancel", Require(auth.Device), a.cancel)
	r.Post("/tickets/{id}/return", Require(auth.Device), a.back)
	r.Post("/tickets/{id}/answer", Require(auth.Device, auth.Capture), a.answer)
}

func (a Tickets) create(c *fiber.Ctx) error {
	var in wire.TicketCreateBody
	if err := Body(c, &in); err != nil {
		return err
	}
	k, err := a.Requests.CreateTicket(c.UserContext(), by(c), in)
	return reply(c, http.StatusCreated, k, err)
}

func (a Tickets) cancel(c *fiber.Ctx) error { return a.change(c, a.Requests.CancelTicket) }
func (a Tickets) back(c *fiber.Ctx) error   { return a.change(c, a.Requests.ReturnTicket) }

// change is a command on one ticket whose body holds only the key.
func (a Tickets) change(c *fiber.Ctx, do func(context.Context, flow.By, wire.TicketCancelBody) (flow.TicketView, error)) error {
	var in struct {
		Key string `json:"key"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	k, err := do(c.UserContext(), by(c), wire.TicketCancelBody{TicketID: c.Params("id"), Key: in.Key})
	return reply(c, http.StatusOK, k, err)
}

func (a Tickets) answer(c *fiber.Ctx) error {
	var in struct {
		Key  string `json:"key"`
		Take bool   `json:"take"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	k, err := a.Requests.AnswerTicket(c.UserContext(), by(c), wire.TicketAnswerBody{TicketID: c.Params("id"), Key: in.Key, Take: in.Take})
	return reply(c, http.StatusOK, k, err)
}
