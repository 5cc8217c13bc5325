package rest

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/mediation/flow"
)

// Desk is the area of a mediator's seat and offers. All fields must be set.
type Desk struct {
	Requests *flow.Requests
}

// Routes implements Area.
func (a Desk) Routes(r *Router) {
	take := RequireRole(auth.RolesOf(auth.TakeTickets)...)
	r.Get("/desk", take, a.get)
	r.Post("/seat", take, a.seat)
	r.Post("/offers/{id}/accept", take, a.accept)
	r.Post("/offers/{id}/decline", take, a.decline)
}

func (a Desk) get(c *fiber.Ctx) error { return replyDesk(c, a.Requests.Views) }

// replyDesk answers with everything that the caller's desk shows.
func replyDesk(c *fiber.Ctx, views *flow.Views) error {
	d, err := views.Desk(c.UserContext(), Caller(c).StaffID)
	return reply(c, http.StatusOK, d, err)
}

func (a Desk) seat(c *fiber.Ctx) error {
	var in wire.SeatSetBody
	if err := Body(c, &in); err != nil {
		return err
	}
	s, err := a.Requests.SetSeat(c.UserContext(), by(c), in)
	return reply(c, http.StatusOK, s, err)
}

func (a Desk) accept(c *fiber.Ctx) error {
	var in struct {
		Ver int64 `json:"ver"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	d, err := a.Requests.AcceptOffer(c.UserContext(), by(c), wire.OfferAcceptBody{OfferID: c.Params("id"), Ver: in.Ver})
	return reply(c, http.StatusOK, d, err)
}

func (a Desk) decline(c *fiber.Ctx) error {
	var in struct {
		Ver    int64  `json:"ver"`
		Reason string `json:"reason"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	d, err := a.Requests.DeclineOffer(c.UserContext(), by(c), wire.OfferDeclineBody{OfferID: c.Params("id"), Ver: in.Ver, Reason: in.Reason})
	return reply(c, http.StatusOK, d, err)
}
