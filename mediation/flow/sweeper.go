package flow

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"heyi/internal/fault"
	"heyi/mediation"
	"heyi/mediation/queue"
	"heyi/mediation/session"
)

// dueBatch is how many overdue things one round handles.
const dueBatch = 200

// Sweeper fires the timers of tickets, offers, seats and sessions. Every node may run one: each firing re-checks in
// its transaction that the timer is still due.
type Sweeper struct {
	Flow  *Flow
	Now   func() time.Time
	Every time.Duration // 0 means 1 s
}

// Run sweeps until ctx is done. A failed round is logged and repeated.
func (s *Sweeper) Run(ctx context.Context) error {
	every := s.Every
	if every == 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.Step(ctx); err != nil && ctx.Err() == nil {
			s.Flow.d.Logger.ErrorContext(ctx, "sweep timers", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Step moves the timers by the server's downtime, then fires those that are due. One that fails does not hold up the
// others.
func (s *Sweeper) Step(ctx context.Context) error {
	now := s.Now().UnixMicro()
	if err := s.Flow.d.Store.Tick(ctx, now, s.Flow.d.Queue.LinkGrace); err != nil {
		return err
	}
	list, err := s.Flow.d.Store.Due(ctx, now, dueBatch)
	if err != nil {
		return err
	}
	var errs []error
	for _, ref := range list {
		if err := s.Flow.fire(ctx, ref, now); err != nil && fault.KindOf(err) != fault.NotFound {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// fire carries out one timer.
func (f *Flow) fire(ctx context.Context, ref queue.Ref, now int64) error {
	cmd := mediation.System("", "sweeper", now)
	var rule func(*Matter) error
	over := func(at int64) bool { return at > 0 && at <= now }
	switch {
	case ref.Offer != "":
		cmd.Name = "offer.lapse"
		rule = func(m *Matter) error {
			m.Lapse(f.d.Queue, now)
			return nil
		}
	case ref.Ticket != "":
		cmd.Name = "ticket.timer"
		rule = func(m *Matter) error {
			if m.Gone { // his terminal was taken out of service: nobody closed the visit in a command of its own
				if name, err := f.part(m, now); name != "" {
					return err
				}
			}
			if !over(m.Ticket.DueAt) {
				return nil
			}
			return f.ticketOver(m, now)
		}
	case ref.Seat != "":
		cmd.Name = "seat.timer"
		rule = func(m *Matter) error {
			if !over(m.Seat.DueAt) {
				return nil
			}
			return f.seatOver(m, now)
		}
	case ref.Session != "":
		cmd.Name = "session.timer"
		rule = func(m *Matter) error {
			if !over(m.Session.DueAt) {
				return nil
			}
			return f.sessionOver(m, now)
		}
	default:
		return nil
	}
	_, err := f.change(ctx, cmd, ref, rule)
	return err
}

func (f *Flow) ticketOver(m *Matter, now int64) error {
	switch m.Ticket.State {
	case queue.Waiting:
		m.Park(f.d.Queue, now)
	case queue.Parked:
		m.Close(queue.Abandoned, "", now)
	case queue.Missed:
		m.MissedOver(now)
	case queue.WrapUp:
		m.done(queue.OutcomeServed, now)
	case queue.Ringing:
		m.RingOver(f.d.Queue, now)
		if m.Ticket.State != queue.Ringing && m.Session.State.Live() {
			return m.Session.Adjourn(now)
		}
	case queue.Offered, queue.Serving, queue.Done, queue.Abandoned, queue.Cancelled:
		m.Ticket.DueAt = 0
	}
	return nil
}

// seatOver is a seat whose desk had no link for too long. Losing the desk's link ends no call: while the mediator's
// media line is up the seat stays; otherwise its ticket waits again at its old rank and the session with it.
func (f *Flow) seatOver(m *Matter, now int64) error {
	if p := m.Session.Presider(); m.Ticket.State == queue.Serving && p != nil && len(p.Live) > 0 {
		m.Seat.DueAt = now + f.d.Queue.SeatLink.Microseconds()
		return nil
	}
	m.SeatGone(now)
	switch m.Ticket.State {
	case queue.Ringing, queue.Serving:
		f.keep(m, true, now)
		if m.Session.State.Live() {
			return m.Session.Adjourn(now)
		}
	case queue.WrapUp:
		m.done(queue.OutcomeServed, now)
	case queue.Waiting, queue.Parked, queue.Offered, queue.Missed, queue.Done, queue.Abandoned, queue.Cancelled:
	}
	return nil
}

// sessionOver suspends a session that somebody lost, and adjourns it later. Then the seat is free; the ticket waits
// again when the mediator was the one who is gone, and is parked when the citizen is.
func (f *Flow) sessionOver(m *Matter, now int64) error {
	here := func(p *session.Member) bool { return p != nil && len(p.Live) > 0 }
	mediatorGone := !here(m.Session.Presider()) && here(m.Session.Party())
	if !m.Session.Overdue(f.d.Session, now) || m.Ticket.State != queue.Serving {
		return nil
	}
	m.Free(now)
	f.keep(m, mediatorGone, now)
	return nil
}
