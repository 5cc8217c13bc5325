package rest

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/internal/ident"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
)

// Desk is the area of a mediator's seat and offers. All fields must be set.
type Desk struct {
	Desk  *queue.Desk
	Flow  *flow.Flow
	Views *flow.Views
	Now   func() time.Time
}

// Routes implements Area.
func (a Desk) Routes(r *Router) {
	take := RequireRole(auth.RolesOf(auth.TakeTickets)...)
	r.Get("/desk", take, a.get)
	r.Post("/seat", take, a.seat)
	r.Post("/offers/{id}/accept", take, a.accept)
	r.Post("/offers/{id}/decline", take, a.decline)
}

func (a Desk) get(c *fiber.Ctx) error { return replyDesk(c, a.Views) }

// replyDesk answers with everything that the caller's desk shows.
func replyDesk(c *fiber.Ctx, views *flow.Views) error {
	d, err := views.Desk(c.UserContext(), Caller(c).StaffID)
	if err != nil {
		return err
	}
	return c.JSON(d)
}

func (a Desk) seat(c *fiber.Ctx) error {
	var in struct {
		State  queue.SeatState `json:"state"`
		Reason string          `json:"reason"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	staff := Caller(c).StaffID
	if _, err := a.Desk.SetSeat(c.UserContext(), plainCommand(c, "seat.set", a.Now()), staff, in.State, in.Reason); err != nil {
		return err
	}
	d, err := a.Views.Desk(c.UserContext(), staff)
	if err != nil {
		return err
	}
	return c.JSON(d.Seat)
}

func (a Desk) accept(c *fiber.Ctx) error {
	var in struct {
		Ver int64 `json:"ver"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	id, err := pathID[ident.OfferID](c, "offer.none")
	if err != nil {
		return err
	}
	if err := a.Flow.Accept(c.UserContext(), plainCommand(c, "offer.accept", a.Now()), Caller(c).StaffID, id, in.Ver); err != nil {
		return err
	}
	return replyDesk(c, a.Views)
}

func (a Desk) decline(c *fiber.Ctx) error {
	var in struct {
		Ver    int64  `json:"ver"`
		Reason string `json:"reason"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	id, err := pathID[ident.OfferID](c, "offer.none")
	if err != nil {
		return err
	}
	if err := a.Desk.Decline(c.UserContext(), plainCommand(c, "offer.decline", a.Now()), Caller(c).StaffID, id, in.Ver, in.Reason); err != nil {
		return err
	}
	return replyDesk(c, a.Views)
}
