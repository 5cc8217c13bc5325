package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation"
	"heyi/mediation/queue"
	"heyi/people"
)

var _ queue.MatchStore = (*Store)(nil)

// Snapshot implements queue.MatchStore. Its queries may see different instants; Commit re-checks what it uses.
func (s *Store) Snapshot(ctx context.Context, at int64) (queue.Snapshot, error) {
	snap := queue.Snapshot{At: at}
	q := s.read(ctx)
	place := map[ident.TicketID]int{}
	err := q.all(`SELECT id, ver, device_id, state, kind, category, lang, county_id, path, rank_at, enqueued_at, since_at, level, shown_ahead, passed, lo_min, hi_min
		FROM ticket WHERE state IN `+lineStates+` ORDER BY rank_at, enqueued_at, id`, nil, func(r rows) error {
		var e queue.Entry
		var path string
		err := r.Scan(&e.ID, &e.Ver, &e.Device, &e.State, &e.Kind, &e.Lane.Category, &e.Lane.Lang, &e.Lane.County, &path, &e.RankAt, &e.EnqueuedAt,
			&e.SinceAt, &e.Level, &e.Shown, &e.Passed, &e.Lo, &e.Hi)
		e.Path = words[ident.UnitID](path)
		place[e.ID] = len(snap.Tickets)
		snap.Tickets = append(snap.Tickets, e)
		return err
	})
	if err != nil {
		return snap, err
	}
	err = q.all(`SELECT ticket_exclusion.ticket_id, ticket_exclusion.seat_id, ticket_exclusion.reason FROM ticket_exclusion
		JOIN ticket ON ticket.id = ticket_exclusion.ticket_id WHERE ticket.state IN `+lineStates, nil, func(r rows) error {
		var x queue.Exclusion
		err := r.Scan(&x.Ticket, &x.Seat, &x.Reason)
		if i, ok := place[x.Ticket]; ok {
			snap.Tickets[i].Excluded = append(snap.Tickets[i].Excluded, x)
		}
		return err
	})
	if err != nil {
		return snap, err
	}
	if snap.Seats, err = seatsOnDuty(q); err != nil {
		return snap, err
	}
	err = q.one(`SELECT count(*) FROM org_unit WHERE level = $1`, []any{org.County}, &snap.Counties)
	return snap, err
}

// seatsOnDuty reads the seats that take tickets now or soon, with what they hold.
func seatsOnDuty(q querier) ([]queue.Server, error) {
	var list []queue.Server
	held := map[ident.StaffID]int{}
	ready := map[ident.StaffID]int{}
	err := q.all(`SELECT seat.staff_id, seat.state, seat.link_node, seat.capacity, seat.idle_at, staff.unit_id, org_unit.level, staff.roles, staff.langs, staff.skills,
			(SELECT count(*) FROM offer WHERE offer.seat_id = seat.staff_id AND offer.closed_at = 0)
		FROM seat JOIN staff ON staff.id = seat.staff_id JOIN org_unit ON org_unit.id = staff.unit_id
		WHERE seat.state IN ('ready', 'busy', 'wrap_up') AND staff.disabled = FALSE ORDER BY seat.staff_id`, nil, func(r rows) error {
		var (
			v                    queue.Server
			state                queue.SeatState
			link                 string
			capacity, offers     int
			level                org.Level
			roles, langs, skills string
		)
		err := r.Scan(&v.ID, &state, &link, &capacity, &v.IdleAt, &v.Unit, &level, &roles, &langs, &skills, &offers)
		for _, role := range words[people.Role](roles) {
			v.Mediator = v.Mediator || role == people.Mediator
			v.Lawyer = v.Lawyer || role == people.Lawyer
		}
		v.Langs, v.Categories, v.City = words[mediation.Lang](langs), words[mediation.Category](skills), level == org.City
		if state == queue.SeatReady && link != "" {
			ready[v.ID] = capacity - offers
		}
		held[v.ID] = len(list)
		list = append(list, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = q.all(`SELECT ticket.seat_id, ticket.kind, ticket.category, ticket.state, coalesce(session.started_at, 0), ticket.at FROM ticket
		LEFT JOIN session ON session.id = ticket.session_id WHERE ticket.state IN `+heldStates, nil, func(r rows) error {
		var (
			seat    ident.StaffID
			j       queue.Job
			state   queue.State
			changed int64
		)
		err := r.Scan(&seat, &j.Kind, &j.Category, &state, &j.StartAt, &changed)
		if j.StartAt == 0 {
			j.StartAt = changed
		}
		j.WrapUp = state == queue.WrapUp
		if i, ok := held[seat]; ok {
			list[i].Busy = append(list[i].Busy, j)
		}
		return err
	})
	for i := range list {
		list[i].Free = max(0, ready[list[i].ID]-len(list[i].Busy))
	}
	return list, err
}

// Commit implements queue.MatchStore.
func (s *Store) Commit(ctx context.Context, w queue.Work) (queue.Outcome, error) {
	var out queue.Outcome
	err := s.write(ctx, func(t *tx) error {
		out = queue.Outcome{}
		held, err := t.leaseHeld(queue.LeaseName, w.Epoch, time.UnixMicro(w.At))
		if err != nil {
			return err
		}
		if !held {
			return fault.New(fault.Conflict, "matcher.lost_lease")
		}
		// Rows that somebody else is changing are passed over: they are no longer what the plan saw, and the matcher
		// runs again at once. So it never waits with locks in its hands.
		for _, p := range w.Plan.Pairs {
			o, ok, err := t.offer(p, w)
			if err != nil {
				return err
			}
			if ok {
				out.Offers = append(out.Offers, o)
			}
		}
		for _, r := range w.Plan.Raises {
			if err := t.raise(r, w.At); err != nil {
				return err
			}
		}
		for _, show := range w.Shows {
			sh, ok, err := t.show(show, w.At)
			if err != nil {
				return err
			}
			if ok {
				out.Shown = append(out.Shown, sh)
			}
		}
		return nil
	})
	return out, err
}

// offer makes one offer when its ticket still waits as it was seen and its seat has room.
func (t *tx) offer(p queue.Pair, w queue.Work) (queue.Offer, bool, error) {
	k, err := ticketBy(t, `id = $1`+t.skipLocked(), p.Ticket)
	if err != nil || k.State != queue.Waiting || k.Ver != p.Ver {
		return queue.Offer{}, false, unlessNone(err)
	}
	var seat queue.Seat
	err = t.one(`SELECT `+seatColumns+` FROM seat WHERE staff_id = $1`+t.skipLocked(), []any{p.Seat}, seatDest(&seat)...)
	if err != nil || seat.State != queue.SeatReady || seat.Node == "" {
		return queue.Offer{}, false, unlessNone(err)
	}
	var active int
	err = t.one(`SELECT (SELECT count(*) FROM offer WHERE seat_id = $1 AND closed_at = 0) + (SELECT count(*) FROM ticket WHERE seat_id = $1 AND state IN `+heldStates+`)`,
		[]any{p.Seat}, &active)
	if err != nil || active >= seat.Capacity {
		return queue.Offer{}, false, err
	}
	o := queue.Offer{ID: ident.New[ident.OfferID](), Ver: 1, Ticket: p.Ticket, Seat: p.Seat, DueAt: w.LeaseTo, At: w.At}
	n, err := t.exec(`INSERT INTO offer (id, ver, ticket_id, seat_id, due_at, at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		o.ID, o.Ver, o.Ticket, o.Seat, o.DueAt, o.At)
	if err != nil || n == 0 {
		return queue.Offer{}, false, err
	}
	k.Ver++
	k.State, k.DueAt = queue.Offered, 0
	if err := t.updateTicket(&k, w.At); err != nil {
		return queue.Offer{}, false, err
	}
	cmd := mediation.System("ticket.offered", "matcher", w.At)
	return o, true, t.event(audit.Event{
		Aggregate: "ticket", ID: string(k.ID), Type: cmd.Name, Actor: cmd.Actor, At: w.At,
		Data: map[string]string{
			"from": string(queue.Waiting), "to": string(k.State), "offer": string(o.ID), "seat": string(p.Seat),
			"epoch": strconv.FormatInt(w.Epoch, 10),
		},
	})
}

// unlessNone lets a missing row pass.
func unlessNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// unlocked claims a ticket that nobody else is changing.
func (t *tx) unlocked(id ident.TicketID) (bool, error) {
	err := t.one(`SELECT id FROM ticket WHERE id = $1`+t.skipLocked(), []any{id}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// raise lets seats of a higher level take a ticket, for good.
func (t *tx) raise(r queue.Raise, at int64) error {
	if free, err := t.unlocked(r.Ticket); err != nil || !free {
		return err
	}
	n, err := t.exec(`UPDATE ticket SET level = $2 WHERE id = $1 AND level < $2 AND state IN `+lineStates, r.Ticket, r.Level)
	if err != nil || n == 0 {
		return err
	}
	cmd := mediation.System("ticket.raised", "matcher", at)
	return t.event(audit.Event{
		Aggregate: "ticket", ID: string(r.Ticket), Type: cmd.Name, Actor: cmd.Actor, At: at,
		Data: map[string]string{"level": strconv.Itoa(r.Level)},
	})
}

// show saves what a holder is shown; the position never grows, whatever was computed from.
func (t *tx) show(s queue.Show, at int64) (queue.Shown, bool, error) {
	out := queue.Shown{Ticket: s.Ticket}
	if free, err := t.unlocked(s.Ticket); err != nil || !free {
		return out, false, err
	}
	err := t.one(`UPDATE ticket SET ver = ver + 1, passed = $3, lo_min = $4, hi_min = $5,
			shown_ahead = CASE WHEN shown_ahead < $2 THEN shown_ahead ELSE $2 END
		WHERE id = $1 AND state IN `+lineStates+` RETURNING device_id`,
		[]any{s.Ticket, s.Ahead, s.Passed, s.Range.Lo, s.Range.Hi}, &out.Device)
	if errors.Is(err, sql.ErrNoRows) {
		return out, false, nil
	}
	if err != nil {
		return out, false, err
	}
	out.Ver, out.Phone, err = t.situationChanged(out.Device, at)
	return out, err == nil, err
}
