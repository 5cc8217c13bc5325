package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"heyi/devices"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
	"heyi/people"
)

var _ flow.ViewStore = (*Store)(nil)

// SituationFacts implements flow.ViewStore.
func (s *Store) SituationFacts(ctx context.Context, device ident.DeviceID) (flow.Facts, error) {
	q := s.read(ctx)
	var (
		f     flow.Facts
		unit  ident.UnitID
		visit flow.VisitView
	)
	err := q.one(`SELECT device.id, device.name, device.kind, device.unit_id, coalesce(situation.ver, 0), coalesce(visit.id, ''), coalesce(visit.how, ''), coalesce(visit.opened_at, 0),
			EXISTS (SELECT 1 FROM capture_grant WHERE capture_grant.device_id = device.id AND capture_grant.redeemed_at > 0 AND capture_grant.revoked_at = 0)
		FROM device LEFT JOIN situation ON situation.device_id = device.id LEFT JOIN visit ON visit.device_id = device.id AND visit.closed_at = 0
		WHERE device.id = $1`, []any{device}, &f.Device.ID, &f.Device.Name, &f.Device.Kind, &unit, &f.Ver, &visit.ID, &visit.How, &visit.OpenedAt, &f.Paired)
	if errors.Is(err, sql.ErrNoRows) {
		return f, fault.New(fault.NotFound, "device.not_found")
	}
	if err != nil {
		return f, err
	}
	if f.Path, _, f.Device.Place, err = unitPath(q, unit); err != nil {
		return f, err
	}
	if visit.ID != "" {
		f.Visit = &visit
		f.Ver = max(f.Ver, visit.OpenedAt)
	}
	who := holder(devices.Kind(f.Device.Kind), device, visit.ID)
	if who == "" {
		return f, nil
	}
	if f.Visit != nil {
		if f.Rating, err = ratingWanted(q, device, who, visit.OpenedAt); err != nil {
			return f, err
		}
	}
	if f.Dispute, err = disputeAt(q, device, who, visit.OpenedAt); err != nil {
		return f, err
	}
	k, err := ticketBy(q, `ticket.holder_key = $1 AND ticket.state IN `+openStates, who)
	if errors.Is(err, sql.ErrNoRows) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	f.Ticket = &k
	if k.State != queue.Ringing && k.State != queue.Serving {
		return f, nil
	}
	m, err := readSession(q, k.Session)
	if err != nil {
		return f, err
	}
	f.Session = &m
	note, err := s.note(q, m.ID)
	if err != nil {
		return f, err
	}
	f.Answer = note.Answer
	f.Mediator, err = mediator(q, m.Mediator)
	return f, err
}

// OpenAt implements flow.ViewStore.
func (s *Store) OpenAt(ctx context.Context, device ident.DeviceID) ([]flow.OpenItem, error) {
	q := s.read(ctx)
	var (
		kind     devices.Kind
		ver      int64
		visit    ident.VisitID
		openedAt int64
	)
	err := q.one(`SELECT device.kind, coalesce(situation.ver, 0), coalesce(visit.id, ''), coalesce(visit.opened_at, 0)
		FROM device LEFT JOIN situation ON situation.device_id = device.id LEFT JOIN visit ON visit.device_id = device.id AND visit.closed_at = 0
		WHERE device.id = $1`, []any{device}, &kind, &ver, &visit, &openedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "device.not_found")
	}
	if err != nil {
		return nil, err
	}
	var list []flow.OpenItem
	if visit != "" {
		ver = max(ver, openedAt)
		list = append(list, flow.OpenItem{Type: "visit", ID: string(visit), Ver: ver})
	}
	who := holder(kind, device, visit)
	if who == "" {
		return list, nil
	}
	var (
		id    string
		state queue.State
		sess  ident.SessionID
	)
	err = q.one(`SELECT id, state, session_id FROM ticket WHERE holder_key = $1 AND state IN `+openStates, []any{who}, &id, &state, &sess)
	if errors.Is(err, sql.ErrNoRows) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	list = append(list, flow.OpenItem{Type: "ticket", ID: id, Ver: ver})
	if state == queue.Ringing || state == queue.Serving {
		list = append(list, flow.OpenItem{Type: "session", ID: string(sess), Ver: ver})
	}
	return list, nil
}

// ratingWanted returns the last session of a holder that ended at a terminal in its open visit and was neither rated nor
// skipped.
func ratingWanted(q querier, device ident.DeviceID, who string, since int64) (*flow.RatingWantView, error) {
	var w flow.RatingWantView
	err := q.one(`SELECT session.id, CASE WHEN staff.room_name <> '' THEN staff.room_name ELSE staff.name END
		FROM session JOIN ticket ON ticket.id = session.ticket_id JOIN staff ON staff.id = session.mediator_id
		LEFT JOIN rating ON rating.session_id = session.id
		WHERE session.device_id = $1 AND ticket.holder_key = $3 AND session.state = 'ended' AND session.ended_at >= $2 AND rating.session_id IS NULL
		ORDER BY session.ended_at DESC LIMIT 1`, []any{device, since, who}, &w.SessionID, &w.Mediator)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // nothing to rate is no error
	}
	return &w, err
}

func mediator(q querier, id ident.StaffID) (flow.MediatorView, error) {
	var v flow.MediatorView
	var langs string
	err := q.one(`SELECT CASE WHEN room_name <> '' THEN room_name ELSE name END, title, langs FROM staff WHERE id = $1`, []any{id}, &v.Name, &v.Title, &langs)
	v.Langs = words[mediation.Lang](langs)
	if len(v.Langs) == 0 {
		v.Langs = []mediation.Lang{mediation.Chinese, mediation.Mongolian}
	}
	return v, err
}

const digestColumns = ticketColumns + `, EXISTS (SELECT 1 FROM capture_grant WHERE capture_grant.device_id = ticket.device_id
	AND capture_grant.redeemed_at > 0 AND capture_grant.revoked_at = 0
	AND (capture_grant.visit_id = ticket.visit_id OR ticket.holder_key = 'device/' || ticket.device_id))`

func digests(q querier, tail string, args ...any) ([]flow.Digest, error) {
	var list []flow.Digest
	err := q.all(`SELECT `+digestColumns+` FROM ticket `+tail, args, func(r rows) error {
		var d flow.Digest
		dest, done := ticketDest(&d.Ticket)
		if err := r.Scan(append(dest, &d.Capture)...); err != nil {
			return err
		}
		err := done()
		list = append(list, d)
		return err
	})
	return list, err
}

// deskLine is how many waiting tickets a desk looks through for those it may take.
const deskLine = 500

// DeskFacts implements flow.ViewStore.
func (s *Store) DeskFacts(ctx context.Context, staff ident.StaffID, since int64) (flow.DeskFacts, error) {
	q := s.read(ctx)
	f := flow.DeskFacts{Seat: queue.Seat{Staff: staff, State: queue.SeatOffline, Capacity: 1}}
	if err := deskSelf(q, staff, &f); err != nil {
		return f, err
	}
	err := q.one(`SELECT `+seatColumns+` FROM seat WHERE staff_id = $1`, []any{staff}, seatDest(&f.Seat)...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return f, err
	}
	err = q.one(`SELECT `+offerColumns+` FROM offer WHERE seat_id = $1 AND closed_at = 0 LIMIT 1`, []any{staff}, offerDest(&f.Offer)...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return f, err
	}
	var held []flow.Digest
	if f.Offer.Open() {
		held, err = digests(q, `WHERE ticket.id = $1`, f.Offer.Ticket)
	} else {
		held, err = digests(q, `WHERE ticket.seat_id = $1 AND ticket.state IN `+heldStates+` LIMIT 1`, staff)
	}
	if err != nil {
		return f, err
	}
	if len(held) > 0 {
		f.Ticket = held[0]
		if !f.Offer.Open() && f.Ticket.Session != "" {
			k, err := readSession(q, f.Ticket.Session)
			if err != nil {
				return f, err
			}
			f.Session = &k
			if f.Note, err = s.note(q, k.ID); err != nil {
				return f, err
			}
			err = q.one(`SELECT id FROM dispute WHERE session_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1`, []any{k.ID}, &f.Dispute)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return f, err
			}
		}
	}
	f.Line, err = digests(q, `JOIN org_closure ON org_closure.node = ticket.unit_id WHERE org_closure.ancestor = $1 AND ticket.state = 'waiting'
		ORDER BY ticket.rank_at, ticket.enqueued_at, ticket.id LIMIT $2`, f.Self.Unit, deskLine)
	if err != nil {
		return f, err
	}
	err = q.all(`SELECT ticket_exclusion.ticket_id FROM ticket_exclusion JOIN ticket ON ticket.id = ticket_exclusion.ticket_id
		WHERE ticket_exclusion.seat_id = $1 AND ticket_exclusion.reason = 'conflict' AND ticket.state = 'waiting'`, []any{staff}, func(r rows) error {
		var id ident.TicketID
		err := r.Scan(&id)
		f.Barred = append(f.Barred, id)
		return err
	})
	return f, errors.Join(err, q.one(`SELECT
			(SELECT count(*) FROM ticket JOIN org_closure ON org_closure.node = ticket.unit_id WHERE org_closure.ancestor = $1 AND ticket.state = 'waiting'),
			(SELECT count(*) FROM ticket WHERE seat_id = $2 AND state = 'done' AND outcome = 'served' AND closed_at >= $3)`,
		[]any{f.Self.Unit, staff, since}, &f.Waiting, &f.Served))
}

func deskSelf(q querier, staff ident.StaffID, f *flow.DeskFacts) error {
	var (
		level                org.Level
		roles, langs, skills string
	)
	err := q.one(`SELECT staff.unit_id, org_unit.level, staff.roles, staff.langs, staff.skills FROM staff JOIN org_unit ON org_unit.id = staff.unit_id WHERE staff.id = $1`,
		[]any{staff}, &f.Self.Unit, &level, &roles, &langs, &skills)
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "staff.not_found")
	}
	f.Self.ID, f.Self.City = staff, level == org.City
	for _, role := range words[people.Role](roles) {
		f.Self.Mediator = f.Self.Mediator || role == people.Mediator
		f.Self.Lawyer = f.Self.Lawyer || role == people.Lawyer
	}
	f.Self.Langs, f.Self.Categories = words[mediation.Lang](langs), words[mediation.Category](skills)
	return err
}

// QueueRows implements flow.ViewStore.
func (s *Store) QueueRows(ctx context.Context, unit ident.UnitID, limit int) ([]flow.Digest, error) {
	return digests(s.read(ctx), `JOIN org_closure ON org_closure.node = ticket.unit_id WHERE org_closure.ancestor = $1 AND ticket.state IN `+openStates+`
		ORDER BY ticket.rank_at, ticket.enqueued_at, ticket.id LIMIT $2`, unit, limit)
}

// liveSessions are the sessions in which people may be; as in the index session_live.
const liveSessions = `('lobby', 'checking', 'joint', 'suspended')`

// SessionRows implements flow.ViewStore.
func (s *Store) SessionRows(ctx context.Context, unit ident.UnitID, limit int) ([]flow.SessionRow, error) {
	var list []flow.SessionRow
	err := s.read(ctx).all(`SELECT session.id, session.kind, session.state, ticket.no, ticket.category, ticket.place,
			CASE WHEN staff.room_name <> '' THEN staff.room_name ELSE staff.name END, session.started_at
		FROM session JOIN ticket ON ticket.id = session.ticket_id JOIN staff ON staff.id = session.mediator_id
		JOIN org_closure ON org_closure.node = session.unit_id
		WHERE org_closure.ancestor = $1 AND session.state IN `+liveSessions+` ORDER BY session.created_at, session.id LIMIT $2`,
		[]any{unit, limit}, func(r rows) error {
			var (
				v     flow.SessionRow
				place []byte
			)
			if err := r.Scan(&v.ID, &v.Kind, &v.State, &v.No, &v.Category, &place, &v.Mediator, &v.StartedAt); err != nil {
				return err
			}
			err := json.Unmarshal(place, &v.Place)
			list = append(list, v)
			return err
		})
	return list, err
}

// QueueOverview implements flow.ViewStore.
func (s *Store) QueueOverview(ctx context.Context, unit ident.UnitID, since int64) (flow.Overview, error) {
	var o flow.Overview
	q := s.read(ctx)
	err := q.all(`SELECT ticket.state, count(*) FROM ticket JOIN org_closure ON org_closure.node = ticket.unit_id
		WHERE org_closure.ancestor = $1 AND ticket.state IN `+openStates+` GROUP BY ticket.state`, []any{unit}, func(r rows) error {
		var state queue.State
		var n int
		err := r.Scan(&state, &n)
		switch state {
		case queue.Ringing:
			o.Tickets.Ringing += n
		case queue.Serving:
			o.Tickets.Serving += n
		default:
			o.Tickets.Waiting += n
		}
		return err
	})
	if err != nil {
		return o, err
	}
	err = q.all(`SELECT seat.state, count(*) FROM seat JOIN staff ON staff.id = seat.staff_id JOIN org_closure ON org_closure.node = staff.unit_id
		WHERE org_closure.ancestor = $1 GROUP BY seat.state`, []any{unit}, func(r rows) error {
		var state queue.SeatState
		var n int
		err := r.Scan(&state, &n)
		switch state {
		case queue.SeatReady:
			o.Seats.Ready += n
		case queue.SeatBusy, queue.SeatWrapUp:
			o.Seats.Busy += n
		case queue.SeatAway:
			o.Seats.Away += n
		case queue.SeatOffline:
		}
		return err
	})
	if err != nil {
		return o, err
	}
	err = q.one(`SELECT (SELECT count(*) FROM session JOIN org_closure ON org_closure.node = session.unit_id WHERE org_closure.ancestor = $1 AND session.state IN `+liveSessions+`),
			(SELECT count(*) FROM rating JOIN session ON session.id = rating.session_id JOIN org_closure ON org_closure.node = session.unit_id
				WHERE org_closure.ancestor = $1 AND rating.score > 0 AND rating.at >= $2),
			(SELECT CAST(coalesce(avg(rating.score), 0) AS DOUBLE PRECISION) FROM rating JOIN session ON session.id = rating.session_id JOIN org_closure ON org_closure.node = session.unit_id
				WHERE org_closure.ancestor = $1 AND rating.score > 0 AND rating.at >= $2)`,
		[]any{unit, since}, &o.Sessions.Live, &o.Rated.Count, &o.Rated.Avg)
	if err != nil {
		return o, err
	}
	return o, queueToday(q, unit, since, &o)
}

// mostWaits bounds the talks of a day that a quantile is made of.
const mostWaits = 20_000

// queueToday counts what became of the people of today: talks that began, by their waits, and those who met nobody.
func queueToday(q querier, unit ident.UnitID, since int64, o *flow.Overview) error {
	var waits []int64
	err := q.all(`SELECT session.started_at - ticket.enqueued_at FROM session JOIN ticket ON ticket.id = session.ticket_id
		WHERE session.created_at >= $2 AND session.started_at > 0 AND session.unit_id IN (SELECT node FROM org_closure WHERE ancestor = $1)
		ORDER BY 1 LIMIT $3`, []any{unit, since, mostWaits}, func(r rows) error {
		var w int64
		err := r.Scan(&w)
		waits = append(waits, w)
		return err
	})
	if err != nil {
		return err
	}
	o.Today.Met = len(waits)
	if n := len(waits); n > 0 {
		o.Today.WaitMS.P50, o.Today.WaitMS.P95 = waits[n/2]/1000, waits[min(n-1, n*95/100)]/1000
	}
	return q.one(`SELECT COUNT(*) FROM ticket WHERE ticket.closed_at >= $2 AND ticket.closed_at > 0 AND ticket.session_id = ''
		AND ticket.unit_id IN (SELECT node FROM org_closure WHERE ancestor = $1)`, []any{unit, since}, &o.Today.Missed)
}
