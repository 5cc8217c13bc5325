package rest

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/internal/ident"
	"heyi/mediation/flow"
)

// ConsoleQueue is the area of the dispatcher's lists.
type ConsoleQueue struct {
	Views *flow.Views
}

// Routes implements Area.
func (a ConsoleQueue) Routes(r *Router) {
	r.Get("/console/queue", RequireRole(auth.RolesOf(auth.SeeQueue)...), a.queue)
	r.Get("/console/sessions", RequireRole(auth.RolesOf(auth.SeeSessions)...), a.sessions)
}

func (a ConsoleQueue) queue(c *fiber.Ctx) error {
	rows, err := a.Views.Queue(c.UserContext(), Caller(c).StaffUnit)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"rows": rows})
}

func (a ConsoleQueue) sessions(c *fiber.Ctx) error {
	rows, err := a.Views.Sessions(c.UserContext(), Caller(c).StaffUnit)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"rows": rows})
}

// FiguresOf gives the queue's part of the console's overview; it fits Console.Figures.
func FiguresOf(views *flow.Views) func(ctx context.Context, unit ident.UnitID) (Figures, error) {
	return func(ctx context.Context, unit ident.UnitID) (Figures, error) {
		o, err := views.Overview(ctx, unit)
		return Figures{
			Waiting: o.Tickets.Waiting, Ringing: o.Tickets.Ringing, Serving: o.Tickets.Serving,
			Ready: o.Seats.Ready, Busy: o.Seats.Busy, Away: o.Seats.Away,
			Live: o.Sessions.Live, Rated: o.Rated.Count, RatedAvg: o.Rated.Avg,
			Met: o.Today.Met, Missed: o.Today.Missed, WaitP50: o.Today.WaitMS.P50, WaitP95: o.Today.WaitMS.P95,
		}, err
	}
}
