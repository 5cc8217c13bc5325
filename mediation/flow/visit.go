package flow

import (
	"context"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/mediation"
	"heyi/mediation/queue"
)

// CloseVisit ends a visit, drops its rights and the phone that was paired in it, and tells both screens. At a shared
// terminal (devices.Kind.Shared) it also ends what the person left behind, so that the next one neither sees nor enters
// it: a ticket in line is cancelled, a session is left for good. Closing a closed visit does nothing.
//
// Errors: fault.Invalid "visit.bad_why"; fault.NotFound "visit.not_found" also for another device's.
func (f *Flow) CloseVisit(ctx context.Context, cmd mediation.Command, v VisitClose) error {
	switch v.Why {
	case "left", "idle", "reboot":
	default:
		return fault.InField("visit.bad_why", "why")
	}
	c, err := f.d.Store.CloseVisit(ctx, cmd, v, func(m *Matter) (string, error) { return f.part(m, cmd.At) })
	if err != nil || c.Ver == 0 {
		return err
	}
	f.tell(ctx, c.Change)
	n := coord.Nudge{To: "device/" + string(v.Device), T: wire.VisitClose, ID: string(v.Visit), Ver: c.Ver, Why: v.Why}
	f.d.Nudges.Publish(ctx, n)
	for _, g := range c.Grants {
		n.To = "capture/" + string(g)
		f.d.Nudges.Publish(ctx, n)
	}
	return nil
}

// part ends what a person who is gone left at a shared terminal, under the name of the command by which he could have
// done so himself; the name is empty when nothing is left to end.
func (f *Flow) part(m *Matter, now int64) (name string, err error) {
	switch {
	case m.Ticket.State.InLine():
		return "ticket.cancel", m.cancel(now)
	case m.Ticket.State == queue.Serving && m.Session.Party() != nil:
		m.Session.Depart(f.d.Session, now)
		return "session.leave", nil
	}
	return "", nil
}

// keep holds the place of a ticket whose session broke off: again in the line, or parked until the citizen brings it
// back. Of one who is gone there is nothing to keep.
func (f *Flow) keep(m *Matter, again bool, now int64) {
	switch {
	case m.Gone:
		m.Close(queue.Abandoned, "", now)
	case again:
		m.Again(now)
	default:
		m.Park(f.d.Queue, now)
	}
}
