package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation"
	"heyi/mediation/queue"
)

var _ queue.Store = (*Store)(nil)

// openStates are the tickets that bar their holder from another one; as in the index ticket_open.
const openStates = `('waiting', 'parked', 'offered', 'ringing', 'missed', 'serving')`

// lineStates are the tickets that stand in line; as in the index ticket_line.
const lineStates = `('waiting', 'parked', 'offered', 'ringing', 'missed')`

// heldStates are the tickets in the hands of a seat.
const heldStates = `('ringing', 'serving', 'wrap_up')`

const ticketColumns = `ticket.id, ticket.ver, ticket.no, ticket.kind, ticket.mode, ticket.device_id, ticket.visit_id, ticket.holder_key,
	ticket.unit_id, ticket.county_id, ticket.path, ticket.place, ticket.terminal, ticket.category, ticket.lang, ticket.class,
	ticket.enqueued_at, ticket.rank_at, ticket.level, ticket.since_at, ticket.shown_ahead, ticket.passed, ticket.lo_min, ticket.hi_min,
	ticket.state, ticket.due_at, ticket.rings, ticket.misses, ticket.seat_id, ticket.session_id, ticket.outcome, ticket.closed_at`

// ticketDest returns where ticketColumns go; done fills the lists after the scan.
func ticketDest(t *queue.Ticket) (dest []any, done func() error) {
	var path, place string
	dest = []any{
		&t.ID, &t.Ver, &t.No, &t.Kind, &t.Mode, &t.Device, &t.Visit, &t.Holder,
		&t.Unit, &t.County, &path, &place, &t.Terminal, &t.Category, &t.Lang, &t.Class,
		&t.EnqueuedAt, &t.RankAt, &t.Level, &t.SinceAt, &t.Shown, &t.Passed, &t.Lo, &t.Hi,
		&t.State, &t.DueAt, &t.Rings, &t.Misses, &t.Seat, &t.Session, &t.Outcome, &t.ClosedAt,
	}
	return dest, func() error {
		t.Path = words[ident.UnitID](path)
		return json.Unmarshal([]byte(place), &t.Place)
	}
}

func ticketBy(q querier, where string, args ...any) (queue.Ticket, error) {
	var t queue.Ticket
	dest, done := ticketDest(&t)
	if err := q.one(`SELECT `+ticketColumns+` FROM ticket WHERE `+where, args, dest...); err != nil {
		return queue.Ticket{}, err
	}
	return t, done()
}

// insertTicket writes a new ticket; false when its holder has an open one.
func (t *tx) insertTicket(k *queue.Ticket, at int64) (bool, error) {
	place, err := json.Marshal(k.Place)
	if err != nil {
		return false, err
	}
	n, err := t.exec(`INSERT INTO ticket (id, ver, no, kind, mode, device_id, visit_id, holder_key, unit_id, county_id, path, place, terminal,
			category, lang, class, enqueued_at, rank_at, level, since_at, shown_ahead, passed, lo_min, hi_min, state, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)
		ON CONFLICT DO NOTHING`,
		k.ID, k.Ver, k.No, k.Kind, k.Mode, k.Device, k.Visit, k.Holder, k.Unit, k.County, joinWords(k.Path), string(place), k.Terminal,
		k.Category, k.Lang, k.Class, k.EnqueuedAt, k.RankAt, k.Level, k.SinceAt, k.Shown, k.Passed, k.Lo, k.Hi, k.State, at)
	return n == 1, err
}

// updateTicket writes what may change; place, number and rank never do.
func (t *tx) updateTicket(k *queue.Ticket, at int64) error {
	n, err := t.exec(`UPDATE ticket SET ver = $2, mode = $3, level = $4, since_at = $5, shown_ahead = $6, passed = $7, lo_min = $8, hi_min = $9,
			state = $10, due_at = $11, rings = $12, misses = $13, seat_id = $14, session_id = $15, outcome = $16, closed_at = $17, at = $18
		WHERE id = $1 AND ver = $19`,
		k.ID, k.Ver, k.Mode, k.Level, k.SinceAt, k.Shown, k.Passed, k.Lo, k.Hi,
		k.State, k.DueAt, k.Rings, k.Misses, k.Seat, k.Session, k.Outcome, k.ClosedAt, at, k.Ver-1)
	return oneRow(n, err, "ticket")
}

func oneRow(n int64, err error, what string) error {
	if err == nil && n != 1 {
		return fmt.Errorf("store: %s changed beneath its lock", what)
	}
	return err
}

const seatColumns = `seat.staff_id, seat.ver, seat.state, seat.reason, seat.capacity, seat.strikes, seat.link_node, seat.due_at, seat.idle_at`

func seatDest(s *queue.Seat) []any {
	return []any{&s.Staff, &s.Ver, &s.State, &s.Reason, &s.Capacity, &s.Strikes, &s.Node, &s.DueAt, &s.IdleAt}
}

func (t *tx) updateSeat(s *queue.Seat, at int64) error {
	n, err := t.exec(`UPDATE seat SET ver = $2, state = $3, reason = $4, capacity = $5, strikes = $6, link_node = $7, due_at = $8, idle_at = $9, at = $10
		WHERE staff_id = $1 AND ver = $11`,
		s.Staff, s.Ver, s.State, s.Reason, s.Capacity, s.Strikes, s.Node, s.DueAt, s.IdleAt, at, s.Ver-1)
	return oneRow(n, err, "seat")
}

const offerColumns = `offer.id, offer.ver, offer.ticket_id, offer.seat_id, offer.due_at, offer.outcome, offer.reason, offer.closed_at, offer.at`

func offerDest(o *queue.Offer) []any {
	return []any{&o.ID, &o.Ver, &o.Ticket, &o.Seat, &o.DueAt, &o.Outcome, &o.Reason, &o.ClosedAt, &o.At}
}

func (t *tx) updateOffer(o *queue.Offer) error {
	n, err := t.exec(`UPDATE offer SET ver = $2, due_at = $3, outcome = $4, reason = $5, closed_at = $6 WHERE id = $1 AND ver = $7`,
		o.ID, o.Ver, o.DueAt, o.Outcome, o.Reason, o.ClosedAt, o.Ver-1)
	return oneRow(n, err, "offer")
}

// situationChanged raises the version of what a terminal shows and names the phone that shows it too. The version is
// a clock that never stands still or goes back, so that it may be compared with an event's own time.
func (t *tx) situationChanged(device ident.DeviceID, at int64) (ver int64, phone ident.GrantID, err error) {
	err = t.one(`INSERT INTO situation (device_id, ver) VALUES ($1, $2)
		ON CONFLICT (device_id) DO UPDATE SET ver = CASE WHEN situation.ver >= excluded.ver THEN situation.ver + 1 ELSE excluded.ver END
		RETURNING ver`, []any{device, at}, &ver)
	if err != nil {
		return 0, "", err
	}
	phone, err = pairedPhone(t, device)
	return ver, phone, err
}

// pairedPhone returns the grant of the phone that is a terminal's camera, empty when none is.
func pairedPhone(q querier, device ident.DeviceID) (ident.GrantID, error) {
	var id ident.GrantID
	err := q.one(`SELECT id FROM capture_grant WHERE device_id = $1 AND redeemed_at > 0 AND revoked_at = 0 ORDER BY redeemed_at DESC LIMIT 1`,
		[]any{device}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// unitPath returns the units from unit itself up to the city, and their names from the city down.
func unitPath(q querier, unit ident.UnitID) (ids []ident.UnitID, county ident.UnitID, names []string, err error) {
	type node struct {
		id    ident.UnitID
		name  string
		level org.Level
	}
	var list []node
	err = q.all(`SELECT org_unit.id, org_unit.name, org_unit.level FROM org_closure JOIN org_unit ON org_unit.id = org_closure.ancestor
		WHERE org_closure.node = $1`, []any{unit}, func(r rows) error {
		var n node
		err := r.Scan(&n.id, &n.name, &n.level)
		list = append(list, n)
		return err
	})
	if err != nil {
		return nil, "", nil, err
	}
	height := map[org.Level]int{org.Village: 0, org.Township: 1, org.County: 2, org.City: 3}
	slices.SortFunc(list, func(a, b node) int { return cmp.Compare(height[a.level], height[b.level]) })
	names = make([]string, 0, len(list))
	for _, n := range list {
		ids = append(ids, n.id)
		names = append(names, n.name)
		if n.level == org.County {
			county = n.id
		}
	}
	slices.Reverse(names)
	return ids, cmp.Or(county, unit), names, nil
}

// actorKey is who holds an idempotency key.
func actorKey(a mediation.Actor) string { return string(a.Kind) + "/" + a.ID }

// Enqueue implements queue.Store.
func (s *Store) Enqueue(ctx context.Context, cmd mediation.Command, n queue.NewTicket) (queue.Change, error) {
	var c queue.Change
	err := s.write(ctx, func(t *tx) error {
		c = queue.Change{}
		first, answer, err := t.remember(actorKey(cmd.Actor), cmd.Key, cmd.Name, cmd.At)
		if err != nil {
			return err
		}
		if !first {
			k, err := ticketBy(t, `id = $1`, answer)
			c.Before.Ticket, c.After.Ticket = k, k
			return err
		}
		k, err := t.draw(cmd, n)
		if err != nil {
			return err
		}
		c.After.Ticket = k
		err = t.event(audit.Event{
			Aggregate: "ticket", ID: string(k.ID), Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause,
			Data: map[string]string{"to": string(k.State), "kind": string(k.Kind), "category": string(k.Category), "lang": string(k.Lang), "class": string(k.Class), "visit": string(k.Visit)},
		})
		if err != nil {
			return err
		}
		if c.Ver, c.Phone, err = t.situationChanged(k.Device, cmd.At); err != nil {
			return err
		}
		return t.answer(actorKey(cmd.Actor), cmd.Key, string(k.ID))
	})
	return c, err
}

// draw makes a ticket: the terminal may draw one, and number, place and rank are fixed here.
func (t *tx) draw(cmd mediation.Command, n queue.NewTicket) (queue.Ticket, error) {
	k := queue.Ticket{
		ID: n.ID, Ver: 1, Kind: n.Kind, Mode: queue.Hold, Device: n.Device, Category: n.Category,
		Lang: n.Lang, Class: n.Class, EnqueuedAt: cmd.At, RankAt: n.RankAt, SinceAt: cmd.At, Lo: -1, Hi: -1, State: queue.Waiting,
	}
	var (
		kind      devices.Kind
		simulated bool
	)
	err := t.one(`SELECT unit_id, name, kind, simulated FROM device WHERE id = $1`+t.forUpdate(), []any{n.Device}, &k.Unit, &k.Terminal, &kind, &simulated)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return k, fault.New(fault.NotFound, "device.not_found")
	case err != nil:
		return k, err
	case simulated:
		return k, fault.New(fault.Precondition, "ticket.simulated")
	}
	err = t.one(`SELECT id FROM visit WHERE device_id = $1 AND closed_at = 0`, []any{n.Device}, &k.Visit)
	if errors.Is(err, sql.ErrNoRows) {
		return k, fault.New(fault.Forbidden, "visit.required")
	}
	if err != nil {
		return k, err
	}
	k.Holder = holder(kind, n.Device, k.Visit)
	if err := t.noOpenTicket(k.Holder); err != nil {
		return k, err
	}
	if err := t.ticketLimit(n.Device, cmd.At, n.AHour); err != nil {
		return k, err
	}
	if k.Path, k.County, k.Place, err = unitPath(t, k.Unit); err != nil {
		return k, err
	}
	letter := "A"
	if n.Kind == mediation.Mediate {
		letter = "B"
	}
	var number int64
	err = t.one(`INSERT INTO ticket_counter (unit_id, day, letter, last) VALUES ($1, $2, $3, 1)
		ON CONFLICT (unit_id, day, letter) DO UPDATE SET last = ticket_counter.last + 1 RETURNING last`, []any{k.County, n.Day, letter}, &number)
	if err != nil {
		return k, err
	}
	k.No = fmt.Sprintf("%s %03d", letter, number)
	err = t.one(`SELECT count(*) FROM ticket WHERE county_id = $1 AND category = $2 AND lang = $3 AND state IN `+lineStates+`
		AND (rank_at < $4 OR rank_at = $4 AND (enqueued_at < $5 OR enqueued_at = $5 AND id < $6))`,
		[]any{k.County, k.Category, k.Lang, k.RankAt, k.EnqueuedAt, k.ID}, &k.Shown)
	if err != nil {
		return k, err
	}
	ok, err := t.insertTicket(&k, cmd.At)
	if err == nil && !ok {
		err = errors.New("store: an open ticket appeared beneath the terminal's lock")
	}
	return k, err
}

// visitHolder begins the holder of a ticket that a visit holds.
const visitHolder = "visit/"

// holder is who may see and change what is drawn at a terminal: the terminal itself where it stands with its household,
// the open visit where it is shared; then empty without one.
func holder(kind devices.Kind, device ident.DeviceID, visit ident.VisitID) string {
	switch {
	case !kind.Shared():
		return "device/" + string(device)
	case visit == "":
		return ""
	}
	return visitHolder + string(visit)
}

// holderNow is the holder at a terminal as it stands.
func holderNow(q querier, device ident.DeviceID) (string, error) {
	var (
		kind  devices.Kind
		visit ident.VisitID
	)
	err := q.one(`SELECT device.kind, coalesce(visit.id, '') FROM device LEFT JOIN visit ON visit.device_id = device.id AND visit.closed_at = 0 WHERE device.id = $1`,
		[]any{device}, &kind, &visit)
	return holder(kind, device, visit), err
}

func (t *tx) noOpenTicket(holder string) error {
	var open string
	err := t.one(`SELECT id FROM ticket WHERE holder_key = $1 AND state IN `+openStates, []any{holder}, &open)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "queue.already_waiting").WithRef(open)
}

func (t *tx) ticketLimit(device ident.DeviceID, now int64, aHour int) error {
	var count int
	var oldest int64
	err := t.one(`SELECT count(*), coalesce(min(enqueued_at), 0) FROM ticket WHERE device_id = $1 AND enqueued_at > $2`,
		[]any{device, now - time.Hour.Microseconds()}, &count, &oldest)
	if err != nil || count < aHour {
		return err
	}
	return fault.New(fault.TooMany, "ticket.too_many").After(time.Hour - time.Duration(now-oldest)*time.Microsecond)
}

// LinkedSeats implements queue.Store.
func (s *Store) LinkedSeats(ctx context.Context, node string) ([]ident.StaffID, error) {
	var list []ident.StaffID
	err := s.read(ctx).all(`SELECT staff_id FROM seat WHERE link_node = $1 ORDER BY staff_id`, []any{node}, func(r rows) error {
		var id ident.StaffID
		err := r.Scan(&id)
		list = append(list, id)
		return err
	})
	return list, err
}
