package store

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
	"heyi/mediation/session"
)

var _ flow.Store = (*Store)(nil)

// Change implements flow.Store. Rows are locked in the order ticket, offer, seat, session, situation.
func (s *Store) Change(ctx context.Context, cmd mediation.Command, ref queue.Ref, fn func(*flow.Matter) error) (flow.Change, error) {
	var c flow.Change
	err := s.write(ctx, func(t *tx) error {
		m, err := t.matter(ref, cmd.At)
		if err != nil {
			return err
		}
		c = flow.Change{Before: m, After: copyMatter(&m)}
		if cmd.Key != "" {
			first, _, err := t.remember(actorKey(cmd.Actor), cmd.Key, cmd.Name, cmd.At)
			if err != nil || !first {
				return err
			}
		}
		if err := fn(&c.After); err != nil {
			return err
		}
		return t.save(cmd, &c)
	})
	return c, err
}

// ChangeLine implements queue.Store.
func (s *Store) ChangeLine(ctx context.Context, cmd mediation.Command, ref queue.Ref, fn func(*queue.Line) error) (queue.Change, error) {
	c, err := s.Change(ctx, cmd, ref, func(m *flow.Matter) error { return fn(&m.Line) })
	return queue.Change{Before: c.Before.Line, After: c.After.Line, Phone: c.Phone, Ver: c.Ver}, err
}

// ChangeSession implements session.RoomStore; it locks the session alone.
func (s *Store) ChangeSession(ctx context.Context, cmd mediation.Command, id ident.SessionID, fn func(*session.Session) error) (session.Change, error) {
	var c flow.Change
	err := s.write(ctx, func(t *tx) error {
		k, err := t.session(id)
		if err != nil {
			return err
		}
		c = flow.Change{}
		c.Before.Session, c.After.Session = k, k.Clone()
		if cmd.Key != "" {
			first, _, err := t.remember(actorKey(cmd.Actor), cmd.Key, cmd.Name, cmd.At)
			if err != nil || !first {
				return err
			}
		}
		if err := fn(&c.After.Session); err != nil {
			return err
		}
		return t.save(cmd, &c)
	})
	return session.Change{Before: c.Before.Session, After: c.After.Session, Phone: c.Phone, Ver: c.Ver}, err
}

func copyMatter(m *flow.Matter) flow.Matter {
	c := *m
	c.Session = m.Session.Clone()
	return c
}

// parts are the ids of what a ref leads to.
type parts struct {
	ticket  ident.TicketID
	offer   ident.OfferID
	seat    ident.StaffID
	session ident.SessionID
}

// find resolves a ref without locking anything.
func (t *tx) find(ref queue.Ref, at int64) (parts, error) {
	p := parts{ticket: ref.Ticket, offer: ref.Offer, seat: ref.Seat, session: ref.Session}
	var err error
	none := "queue.no_ticket"
	switch {
	case ref.Ticket != "":
		err = t.one(`SELECT id FROM ticket WHERE id = $1`, []any{ref.Ticket}, &p.ticket)
	case ref.Offer != "":
		none = "offer.none"
		err = t.one(`SELECT ticket_id, seat_id FROM offer WHERE id = $1`, []any{ref.Offer}, &p.ticket, &p.seat)
	case ref.Session != "":
		none = "session.none"
		err = t.one(`SELECT ticket_id FROM session WHERE id = $1`, []any{ref.Session}, &p.ticket)
	default:
		none = "seat.none"
		if err = t.ensureSeat(ref.Seat, at); err == nil {
			err = t.one(`SELECT coalesce((SELECT id FROM ticket WHERE seat_id = $1 AND state IN `+heldStates+` LIMIT 1),
				(SELECT ticket_id FROM offer WHERE seat_id = $1 AND closed_at = 0 LIMIT 1), '')`, []any{ref.Seat}, &p.ticket)
		}
	}
	if errors.Is(err, sql.ErrNoRows) {
		return p, fault.New(fault.NotFound, none)
	}
	return p, err
}

// ensureSeat makes the row of a staff member who takes tickets.
func (t *tx) ensureSeat(id ident.StaffID, at int64) error {
	_, err := t.exec(`INSERT INTO seat (staff_id, ver, state, at) SELECT id, 1, 'offline', $2 FROM staff WHERE id = $1 ON CONFLICT (staff_id) DO NOTHING`, id, at)
	return err
}

// matter loads and locks what a ref leads to.
func (t *tx) matter(ref queue.Ref, at int64) (flow.Matter, error) {
	p, err := t.find(ref, at)
	for range 3 { // a seat may be given another ticket between finding and locking
		if err != nil {
			return flow.Matter{}, err
		}
		m, err2 := t.lock(p, ref)
		if err2 != nil || ref.Seat == "" {
			return m, err2
		}
		var again parts
		if again, err = t.find(ref, at); err == nil && again.ticket == p.ticket {
			return m, nil
		}
		p = again
	}
	return flow.Matter{}, fault.New(fault.Unavailable, "store.unavailable").After(time.Second)
}

func (t *tx) lock(p parts, ref queue.Ref) (flow.Matter, error) {
	m := flow.Matter{Hosts: t.hosts}
	if p.ticket != "" {
		var err error
		if m.Ticket, err = ticketBy(t, `id = $1`+t.forUpdate(), p.ticket); err != nil {
			return m, err
		}
		gone, of := `SELECT life = 'retired' FROM device WHERE id = $1`, string(m.Ticket.Device)
		if visit, ok := strings.CutPrefix(m.Ticket.Holder, visitHolder); ok {
			gone, of = `SELECT closed_at > 0 FROM visit WHERE id = $1`, visit
		}
		if err = t.one(gone, []any{of}, &m.Gone); err != nil {
			return m, err
		}
		where, arg := `ticket_id = $1 AND closed_at = 0`, any(p.ticket)
		if p.offer != "" {
			where, arg = `id = $1`, p.offer
		}
		err = t.one(`SELECT `+offerColumns+` FROM offer WHERE `+where+t.forUpdate(), []any{arg}, offerDest(&m.Offer)...)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return m, err
		}
	}
	seat := p.seat
	switch {
	case seat != "":
	case m.Offer.Open():
		seat = m.Offer.Seat
	default:
		seat = m.Ticket.Seat
	}
	if seat != "" {
		err := t.one(`SELECT `+seatColumns+` FROM seat WHERE staff_id = $1`+t.forUpdate(), []any{seat}, seatDest(&m.Seat)...)
		if err == nil {
			m.Staff.ID = seat
			err = t.one(`SELECT CASE WHEN room_name <> '' THEN room_name ELSE name END FROM staff WHERE id = $1`, []any{seat}, &m.Staff.Name)
		}
		if errors.Is(err, sql.ErrNoRows) && ref.Seat != "" {
			return m, fault.New(fault.NotFound, "seat.none")
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return m, err
		}
	}
	id := p.session
	if id == "" {
		id = m.Ticket.Session
	}
	if id != "" {
		var err error
		if m.Session, err = t.session(id); err != nil {
			return m, err
		}
		// no lock: whoever changes the dispute locks its session first
		err = t.one(`SELECT dispute.state, EXISTS (SELECT 1 FROM agreement WHERE agreement.dispute_id = dispute.id AND agreement.state = 'frozen' AND agreement.sign_mode = 'paper')
			FROM dispute WHERE dispute.session_id = $1 ORDER BY dispute.created_at DESC, dispute.id DESC LIMIT 1`, []any{id}, &m.Dispute, &m.PaperOut)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return m, err
		}
	}
	if m.Ticket.State == queue.WrapUp {
		err := t.one(`SELECT EXISTS (SELECT 1 FROM consult WHERE session_id = $1 AND answered)`, []any{id}, &m.Answered)
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// save writes what a command changed: each changed part with the next version and an event, and the terminal's
// situation.
func (t *tx) save(cmd mediation.Command, c *flow.Change) error {
	b, a := &c.Before, &c.After
	changed := false
	if a.Ticket.ID != "" && !reflect.DeepEqual(a.Ticket, b.Ticket) {
		changed = true
		a.Ticket.Ver++
		if err := t.updateTicket(&a.Ticket, cmd.At); err != nil {
			return err
		}
		err := t.changed(cmd, "ticket", string(a.Ticket.ID), string(b.Ticket.State), string(a.Ticket.State), map[string]string{
			"seat": string(a.Ticket.Seat), "session": string(a.Ticket.Session), "outcome": a.Ticket.Outcome, "offer": string(a.Offer.ID), "offer_outcome": a.Offer.Outcome,
		})
		if err != nil {
			return err
		}
	}
	if a.Offer.ID != "" && a.Offer != b.Offer {
		a.Offer.Ver++
		if err := t.updateOffer(&a.Offer); err != nil {
			return err
		}
	}
	for _, x := range a.Exclude {
		// a conflict of interest outlasts a decline
		_, err := t.exec(`INSERT INTO ticket_exclusion (ticket_id, seat_id, reason, at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (ticket_id, seat_id) DO UPDATE SET reason = excluded.reason WHERE ticket_exclusion.reason <> 'conflict'`, x.Ticket, x.Seat, x.Reason, cmd.At)
		if err != nil {
			return err
		}
	}
	if a.Seat.Staff != "" && a.Seat != b.Seat {
		a.Seat.Ver++
		if err := t.updateSeat(&a.Seat, cmd.At); err != nil {
			return err
		}
		if a.Seat.State != b.Seat.State {
			err := t.changed(cmd, "seat", string(a.Seat.Staff), string(b.Seat.State), string(a.Seat.State), map[string]string{"reason": a.Seat.Reason, "ticket": string(a.Ticket.ID)})
			if err != nil {
				return err
			}
		}
	}
	device := a.Ticket.Device
	if a.Session.ID != "" && !reflect.DeepEqual(a.Session, b.Session) {
		changed = true
		device = a.Session.Device
		if err := t.saveSession(cmd, &b.Session, &a.Session); err != nil {
			return err
		}
	}
	for _, x := range a.Consents {
		if err := t.consent(cmd, a.Session.ID, x); err != nil {
			return err
		}
	}
	if b.Ticket.State == queue.WrapUp && a.Ticket.State == queue.Done && a.Ticket.Kind == mediation.Consult {
		if err := t.enqueueConsult(cmd, a.Session.ID, a.Session.Unit); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	var err error
	c.Ver, c.Phone, err = t.situationChanged(device, cmd.At)
	return err
}

// changed appends the event of one part; empty data is left out.
func (t *tx) changed(cmd mediation.Command, aggregate, id, from, to string, data map[string]string) error {
	for k, v := range data {
		if v == "" {
			delete(data, k)
		}
	}
	if from != "" {
		data["from"] = from
	}
	data["to"] = to
	return t.event(audit.Event{Aggregate: aggregate, ID: id, Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause, Data: data})
}

func (t *tx) consent(cmd mediation.Command, id ident.SessionID, x flow.Consent) error {
	_, err := t.exec(`INSERT INTO consent (id, session_id, participant_id, subject, given, channel, at) VALUES ($1, $2, $3, $4, TRUE, $5, $6)`,
		ident.New[string](), id, x.Participant, x.Subject, x.Channel, cmd.At)
	if err != nil {
		return err
	}
	return t.event(audit.Event{
		Aggregate: "session", ID: string(id), Type: "consent.given", Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause,
		Data: map[string]string{"participant": string(x.Participant), "subject": x.Subject, "channel": string(x.Channel)},
	})
}

// downtime is a gap between two sweeps that is the server's own.
const downtime = 5 * time.Second

// Tick implements flow.Store. Rows that changed after the gap began to count already know the present.
func (s *Store) Tick(ctx context.Context, now int64, grace time.Duration) error {
	return s.write(ctx, func(t *tx) error {
		var swept int64
		err := t.one(`SELECT swept_at FROM timer_sweep WHERE name = 'mediation'`+t.forUpdate(), nil, &swept)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if gap := now - swept; swept > 0 && gap > downtime.Microseconds() {
			for _, table := range []string{"ticket", "offer", "seat", "session"} {
				if _, err := t.exec(`UPDATE `+table+` SET due_at = due_at + $1 WHERE due_at > 0 AND at < $2`, gap, swept+downtime.Microseconds()); err != nil {
					return err
				}
			}
			cmd := mediation.System("timers.moved", "sweeper", now)
			err := t.event(audit.Event{
				Aggregate: "system", ID: "timers", Type: cmd.Name, Actor: cmd.Actor, At: now,
				Data: map[string]string{"gap_ms": strconv.FormatInt(gap/1000, 10)},
			})
			if err != nil {
				return err
			}
		}
		_, err = t.exec(`INSERT INTO timer_sweep (name, swept_at) VALUES ('mediation', $1)
			ON CONFLICT (name) DO UPDATE SET swept_at = CASE WHEN timer_sweep.swept_at > excluded.swept_at THEN timer_sweep.swept_at ELSE excluded.swept_at END`, now)
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE ticket SET due_at = $1, at = $2 WHERE state = 'waiting' AND mode = 'hold' AND due_at = 0
			AND EXISTS (SELECT 1 FROM device_link WHERE device_link.device_id = ticket.device_id AND device_link.state <> 'connected')`,
			now+grace.Microseconds(), now)
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE ticket SET due_at = 0, at = $1 WHERE state = 'waiting' AND due_at > 0
			AND EXISTS (SELECT 1 FROM device_link WHERE device_link.device_id = ticket.device_id AND device_link.state = 'connected')`, now)
		return err
	})
}

// hereOrInLine leaves out a ticket whose person has left the session for good: nothing of him is left to end.
const hereOrInLine = `(ticket.state <> 'serving' OR EXISTS (SELECT 1 FROM session_member
	WHERE session_member.session_id = ticket.session_id AND session_member.who = 'device/' || ticket.device_id AND session_member.zone <> ''))`

// Due implements flow.Store.
func (s *Store) Due(ctx context.Context, now int64, limit int) ([]queue.Ref, error) {
	var list []queue.Ref
	err := s.read(ctx).all(`SELECT what, id FROM (
			SELECT 'ticket' AS what, id, due_at FROM ticket WHERE due_at > 0 AND due_at <= $1
			UNION ALL SELECT 'offer', id, due_at FROM offer WHERE due_at > 0 AND due_at <= $1
			UNION ALL SELECT 'seat', staff_id, due_at FROM seat WHERE due_at > 0 AND due_at <= $1
			UNION ALL SELECT 'session', id, due_at FROM session WHERE due_at > 0 AND due_at <= $1
			UNION ALL SELECT 'ticket', ticket.id, visit.closed_at FROM ticket JOIN visit ON visit.id = ticket.visit_id
				WHERE ticket.state IN `+openStates+` AND visit.closed_at > 0 AND ticket.holder_key = 'visit/' || visit.id
				AND `+hereOrInLine+`
			UNION ALL SELECT 'ticket', ticket.id, ticket.enqueued_at FROM ticket JOIN device ON device.id = ticket.device_id
				WHERE ticket.state IN `+openStates+` AND device.life = 'retired' AND ticket.holder_key = 'device/' || device.id
				AND `+hereOrInLine+`
		) AS due ORDER BY due_at, id LIMIT $2`, []any{now, limit}, func(r rows) error {
		var what, id string
		err := r.Scan(&what, &id)
		switch what {
		case "ticket":
			list = append(list, queue.Ref{Ticket: ident.TicketID(id)})
		case "offer":
			list = append(list, queue.Ref{Offer: ident.OfferID(id)})
		case "seat":
			list = append(list, queue.Ref{Seat: ident.StaffID(id)})
		case "session":
			list = append(list, queue.Ref{Session: ident.SessionID(id)})
		}
		return err
	})
	return list, err
}
