package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
)

// Tickets is the area of the citizen's place in line. All fields must be set.
type Tickets struct {
	Desk  *queue.Desk
	Flow  *flow.Flow
	Views *flow.Views
	Now   func() time.Time
}

// Routes implements Area.
func (a Tickets) Routes(r *Router) {
	r.Post("/tickets", Require(auth.Device), a.create)
	r.Post("/tickets/{id}/cancel", Require(auth.Device), a.change("ticket.cancel", a.cancel))
	r.Post("/tickets/{id}/return", Require(auth.Device), a.change("ticket.return", a.back))
	r.Post("/tickets/{id}/answer", Require(auth.Device, auth.Capture), a.answer)
}

func (a Tickets) create(c *fiber.Ctx) error {
	var in struct {
		Key      string               `json:"key"`
		Kind     mediation.TicketKind `json:"kind"`
		Category mediation.Category   `json:"category"`
		Lang     mediation.Lang       `json:"lang"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	cmd, err := command(c, "ticket.create", in.Key, a.Now())
	if err != nil {
		return err
	}
	t, err := a.Desk.Join(c.UserContext(), cmd, Caller(c).DeviceID, in.Kind, in.Category, in.Lang)
	if err != nil {
		return err
	}
	return a.reply(c, http.StatusCreated, t)
}

// change is a command on one ticket whose body holds only the key.
func (a Tickets) change(name string, do func(context.Context, mediation.Command, ident.DeviceID, ident.TicketID) (queue.Ticket, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		var in struct {
			Key string `json:"key"`
		}
		if err := Body(c, &in); err != nil {
			return err
		}
		id, err := pathID[ident.TicketID](c, "queue.no_ticket")
		if err != nil {
			return err
		}
		cmd, err := command(c, name, in.Key, a.Now())
		if err != nil {
			return err
		}
		t, err := do(c.UserContext(), cmd, Caller(c).DeviceID, id)
		if err != nil {
			return err
		}
		return a.reply(c, http.StatusOK, t)
	}
}

func (a Tickets) cancel(ctx context.Context, cmd mediation.Command, d ident.DeviceID, id ident.TicketID) (queue.Ticket, error) {
	return a.Flow.Cancel(ctx, cmd, d, id)
}

func (a Tickets) back(ctx context.Context, cmd mediation.Command, d ident.DeviceID, id ident.TicketID) (queue.Ticket, error) {
	return a.Desk.Return(ctx, cmd, d, id)
}

func (a Tickets) answer(c *fiber.Ctx) error {
	var in struct {
		Key  string `json:"key"`
		Take bool   `json:"take"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	id, err := pathID[ident.TicketID](c, "queue.no_ticket")
	if err != nil {
		return err
	}
	cmd, err := command(c, "ticket.answer", in.Key, a.Now())
	if err != nil {
		return err
	}
	t, err := a.Flow.Answer(c.UserContext(), cmd, Caller(c).DeviceID, id, in.Take)
	if err != nil {
		return err
	}
	return a.reply(c, http.StatusOK, t)
}

func (a Tickets) reply(c *fiber.Ctx, status int, t queue.Ticket) error {
	view, err := a.Views.Own(c.UserContext(), Caller(c).DeviceID, t)
	if err != nil {
		return err
	}
	return c.Status(status).JSON(view)
}
