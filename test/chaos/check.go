package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"heyi/internal/audit"
)

// books reads what the service has written down. It asks PostgreSQL itself, past every forwarder.
type books struct{ conn *pgx.Conn }

func (r *run) books(ctx context.Context) (*books, error) {
	conn, err := pgx.Connect(ctx, r.cl.pg.url(dbName, r.cl.pg.port))
	if err != nil {
		return nil, fmt.Errorf("books: %w", err)
	}
	return &books{conn}, nil
}

func (b *books) close(ctx context.Context) { _ = b.conn.Close(ctx) }

// each calls f for every row of a query; scan fills its values.
func (b *books) each(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error {
	rows, err := b.conn.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("books: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return fmt.Errorf("books: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("books: %w", err)
	}
	return nil
}

func (b *books) count(ctx context.Context, query string, args ...any) (n int, err error) {
	if err := b.conn.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("books: %s: %w", query, err)
	}
	return n, nil
}

// check holds everything that was promised and seen against the books.
func (r *run) check(ctx context.Context) error {
	b, err := r.books(ctx)
	if err != nil {
		return err
	}
	defer b.close(ctx)
	for _, f := range []func(context.Context, *books) error{
		r.checkTickets, r.checkSessions, r.checkRatings, r.checkHandoffs, r.checkAudit, r.checkReports, r.checkOrders, r.checkOffline, r.checkCounters,
	} {
		if err := f(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) checkTickets(ctx context.Context, b *books) error {
	type row struct{ no, device, state string }
	have := map[string]row{}
	perDevice := map[string]int{}
	err := b.each(ctx, `SELECT id, no, device_id, state FROM ticket`, nil, func(scan func(...any) error) error {
		var (
			id string
			k  row
		)
		err := scan(&id, &k.no, &k.device, &k.state)
		have[id] = k
		perDevice[k.device]++
		return err
	})
	if err != nil {
		return err
	}
	promised := 0
	for _, c := range r.citizens {
		c.mu.Lock()
		promised += len(c.tickets)
		for _, t := range c.tickets {
			switch k, ok := have[t.id]; {
			case !ok:
				r.violate("ticket_lost", "%s %q was drawn at %s and is not in the books", t.id, t.no, r.at(t.at))
			case k.no != t.no || k.device != c.b.dev.ID:
				r.violate("ticket_changed", "%s was drawn as %q and is %+v", t.id, t.no, k)
			case !slices.Contains([]string{"done", "abandoned", "cancelled"}, k.state):
				r.violate("ticket_stuck", "%s %q is %s after everybody went home", t.id, t.no, k.state)
			}
		}
		if n := perDevice[c.b.dev.ID]; n != len(c.tickets) && n > len(c.keys) || n < len(c.tickets) {
			r.violate("ticket_doubled", "%s drew %d (%d keys), the books have %d", c.b.dev.Serial, len(c.tickets), len(c.keys), n)
		}
		for _, w := range c.wrong {
			r.violate("ticket_seen", "%s", w)
		}
		c.mu.Unlock()
	}
	r.fig.put("tickets_drawn", float64(promised), "tickets")
	for name, query := range map[string]string{
		"ticket_number_twice": `SELECT county_id || ' ' || no, count(*) FROM ticket GROUP BY county_id, no, enqueued_at / 86400000000 HAVING count(*) > 1`,
		"ticket_open_twice":   `SELECT holder_key, count(*) FROM ticket WHERE state IN ('waiting','parked','offered','ringing','missed','serving') GROUP BY holder_key HAVING count(*) > 1`,
		"session_twice":       `SELECT ticket_id, count(*) FROM session GROUP BY ticket_id HAVING count(*) > 1`,
		"offer_open_twice":    `SELECT ticket_id, count(*) FROM offer WHERE closed_at = 0 GROUP BY ticket_id HAVING count(*) > 1`,
	} {
		err := b.each(ctx, query, nil, func(scan func(...any) error) error {
			var (
				what string
				n    int
			)
			err := scan(&what, &n)
			r.violate(name, "%s: %d times", what, n)
			return err
		})
		if err != nil {
			return err
		}
	}
	drawn, err := b.count(ctx, `SELECT count(*) FROM ticket`)
	if err != nil {
		return err
	}
	counted, err := b.count(ctx, `SELECT coalesce(sum(last), 0) FROM ticket_counter`)
	if err != nil {
		return err
	}
	if drawn != counted {
		r.violate("ticket_numbers", "%d tickets, the counters stand at %d: a number is missing", drawn, counted)
	}
	return nil
}

func (r *run) checkSessions(ctx context.Context, b *books) error {
	type row struct{ state, ticket, outcome string }
	have := map[string]row{}
	err := b.each(ctx, `SELECT session.id, session.state, ticket.state, ticket.outcome FROM session JOIN ticket ON ticket.id = session.ticket_id`, nil, func(scan func(...any) error) error {
		var (
			id string
			k  row
		)
		err := scan(&id, &k.state, &k.ticket, &k.outcome)
		have[id] = k
		return err
	})
	if err != nil {
		return err
	}
	asked, accepted := map[string]bool{}, 0
	for _, d := range r.desks {
		d.mu.Lock()
		accepted += len(d.accepted)
		for id, at := range d.accepted {
			if _, ok := have[id]; !ok {
				r.violate("session_lost", "%s was accepted by %s at %s and is not in the books", id, d.login, r.at(at))
			}
		}
		for id := range d.ended {
			asked[id] = true
		}
		for id, at := range d.wrapped {
			if k := have[id]; k.ticket != "done" || k.outcome != "served" {
				r.violate("session_wrap_up_lost", "%s was wrapped up by %s at %s and is %+v", id, d.login, r.at(at), k)
			}
		}
		for _, w := range d.wrong {
			r.violate("session_seen", "%s", w)
		}
		d.mu.Unlock()
	}
	ended := 0
	for id, k := range have {
		switch k.state {
		case "ended":
			ended++
			if !asked[id] {
				r.violate("session_ended_by_nobody", "%s is ended, no mediator asked for it", id)
			}
		case "adjourned": // its ticket was brought back, or given up by the rules
		default:
			r.violate("session_stuck", "%s is %s (ticket %s) after everybody went home", id, k.state, k.ticket)
		}
	}
	r.fig.put("sessions_accepted", float64(accepted), "sessions")
	r.fig.put("sessions_ended", float64(ended), "sessions")
	r.fig.put("sessions_adjourned", float64(len(have)-ended), "sessions")
	return nil
}

func (r *run) checkRatings(ctx context.Context, b *books) error {
	have := map[string]int{}
	err := b.each(ctx, `SELECT session_id, score FROM rating`, nil, func(scan func(...any) error) error {
		var (
			id    string
			score int
		)
		err := scan(&id, &score)
		have[id] = score
		return err
	})
	if err != nil {
		return err
	}
	given := map[string]bool{}
	for _, c := range r.citizens {
		c.mu.Lock()
		for _, k := range c.ratings {
			given[k.session] = true
			if score, ok := have[k.session]; !ok || score != k.score {
				r.violate("rating_lost", "%s was rated %d, the books say %d (%v)", k.session, k.score, score, ok)
			}
		}
		c.mu.Unlock()
	}
	for id := range have {
		if !given[id] {
			r.violate("rating_invented", "%s", id)
		}
	}
	r.fig.put("ratings", float64(len(have)), "ratings")
	return nil
}

func (r *run) checkHandoffs(ctx context.Context, b *books) error {
	type row struct {
		version        int
		state, receipt string
		attempts       int
	}
	sent := map[string][]row{}
	err := b.each(ctx, `SELECT subject, version, state, receipt_no, attempts FROM handoff ORDER BY subject, version`, nil, func(scan func(...any) error) error {
		var (
			id string
			k  row
		)
		err := scan(&id, &k.version, &k.state, &k.receipt, &k.attempts)
		sent[id] = append(sent[id], k)
		return err
	})
	if err != nil {
		return err
	}
	packages, attempts := 0, 0
	for id, list := range sent {
		for i, k := range list {
			packages++
			attempts += k.attempts
			if k.version != i+1 || k.state != "verified" || k.receipt == "" {
				r.violate("handoff", "%s: version %d is %s with receipt %q, want version %d verified", id, k.version, k.state, k.receipt, i+1)
			}
		}
	}
	r.fig.put("handoffs", float64(packages), "packages")
	r.fig.put("handoff_attempts", float64(attempts), "attempts")
	for _, d := range r.desks {
		d.mu.Lock()
		for id, at := range d.wrapped {
			if len(sent[id]) == 0 {
				r.violate("handoff_lost", "%s was wrapped up at %s and has no package", id, r.at(at))
			}
		}
		d.mu.Unlock()
	}
	for name, query := range map[string]string{
		"handoff_missing": `SELECT session.id, 0 FROM session JOIN ticket ON ticket.id = session.ticket_id
			WHERE session.state = 'ended' AND ticket.state = 'done' AND NOT EXISTS (SELECT 1 FROM handoff WHERE handoff.session_id = session.id)`,
		"case_doubled": `SELECT subject, count(*) FROM case_file GROUP BY subject HAVING count(*) > 1`,
		"case_missing": `SELECT handoff.subject, handoff.version FROM handoff WHERE NOT EXISTS (SELECT 1 FROM case_file JOIN case_version ON case_version.case_id = case_file.id
			WHERE case_file.subject = handoff.subject AND case_version.version = handoff.version AND case_version.delivery_id = handoff.delivery_id AND case_version.receipt_no = handoff.receipt_no)`,
		"case_invented": `SELECT case_file.subject, case_version.version FROM case_version JOIN case_file ON case_file.id = case_version.case_id
			WHERE NOT EXISTS (SELECT 1 FROM handoff WHERE handoff.subject = case_file.subject AND handoff.version = case_version.version)`,
		"receipt_twice": `SELECT receipt_no, count(*) FROM case_version GROUP BY receipt_no HAVING count(*) > 1`,
	} {
		err := b.each(ctx, query, nil, func(scan func(...any) error) error {
			var (
				what string
				n    int
			)
			err := scan(&what, &n)
			r.violate(name, "%s (%d)", what, n)
			return err
		})
		if err != nil {
			return err
		}
	}
	return r.checkReceipts(ctx, b)
}

// checkReceipts demands numbers without a gap in every unit and day.
func (r *run) checkReceipts(ctx context.Context, b *books) error {
	numbers := map[string][]int{}
	err := b.each(ctx, `SELECT receipt_no FROM case_version`, nil, func(scan func(...any) error) error {
		var no string
		err := scan(&no)
		if i := strings.LastIndexByte(no, '-'); i > 0 {
			n, _ := strconv.Atoi(no[i+1:])
			numbers[no[:i]] = append(numbers[no[:i]], n)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, series := range slices.Sorted(maps.Keys(numbers)) {
		list := numbers[series]
		slices.Sort(list)
		for i, n := range list {
			if n != i+1 {
				r.violate("receipt_gap", "%s: number %d stands where %d should", series, n, i+1)
				break
			}
		}
	}
	return nil
}

func (r *run) checkAudit(ctx context.Context, b *books) error {
	var chain []audit.Event
	chains, events := 0, 0
	judge := func() {
		if len(chain) == 0 {
			return
		}
		chains++
		events += len(chain)
		if i := audit.Verify(chain); i >= 0 {
			r.violate("audit", "%s/%s does not hold from event %d (%s) on", chain[i].Aggregate, chain[i].ID, chain[i].Seq, chain[i].Type)
		}
		chain = chain[:0]
	}
	err := b.each(ctx, `SELECT aggregate, agg_id, seq, type, data, actor_kind, actor_id, actor_device, at, cause, prev_hash, hash FROM event ORDER BY aggregate, agg_id, seq`, nil,
		func(scan func(...any) error) error {
			var (
				e    audit.Event
				data string
			)
			err := scan(&e.Aggregate, &e.ID, &e.Seq, &e.Type, &data, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Device, &e.At, &e.Cause, &e.PrevHash, &e.Hash)
			e.Data = audit.DecodeData(data)
			if len(chain) > 0 && (chain[0].Aggregate != e.Aggregate || chain[0].ID != e.ID) {
				judge()
			}
			chain = append(chain, e)
			return err
		})
	judge()
	r.fig.put("audit_chains", float64(chains), "chains")
	r.fig.put("audit_events", float64(events), "events")
	return err
}

// missing tells how many reports of devices have not arrived.
func (r *run) missing(ctx context.Context, b *books) (n int, err error) {
	for _, x := range r.boxes {
		x.mu.Lock()
		n += x.said
		x.mu.Unlock()
	}
	got, err := b.count(ctx, `SELECT count(*) FROM device_event WHERE kind = 'chaos'`)
	return n - got, err
}

func (r *run) checkReports(ctx context.Context, b *books) error {
	got := map[string][]int{}
	err := b.each(ctx, `SELECT device_id, data FROM device_event WHERE kind = 'chaos' ORDER BY device_id, id`, nil, func(scan func(...any) error) error {
		var id, data string
		err := scan(&id, &data)
		got[id] = append(got[id], number(data))
		return err
	})
	if err != nil {
		return err
	}
	total := 0
	for _, x := range r.boxes {
		x.mu.Lock()
		said, gaveUp := x.said, x.gaveUp
		x.mu.Unlock()
		total += said
		if gaveUp != nil {
			r.violate("device_gave_up", "%s: %v", x.dev.Serial, gaveUp)
		}
		list := got[x.dev.ID]
		for i := range max(said, len(list)) {
			if i >= len(list) || i >= said || list[i] != i+1 {
				at := 0
				if i < len(list) {
					at = list[i]
				}
				r.violate("report", "%s wrote %d reports, %d are in the books; number %d stands where %d should", x.dev.Serial, said, len(list), at, i+1)
				break
			}
		}
	}
	r.fig.put("reports", float64(total), "frames")
	lost, err := b.count(ctx, `SELECT count(*) FROM device_event WHERE kind = 'journal_lost'`)
	if lost > 0 {
		r.violate("journal_lost", "%d devices were told that their journal is gone", lost)
	}
	return err
}

// checkOffline holds every "offline" event against where the device was at that instant: I4 and false alarms.
func (r *run) checkOffline(ctx context.Context, b *books) error {
	byID := map[string]*box{}
	for _, x := range r.boxes {
		byID[x.dev.ID] = x
	}
	events, owed := 0, 0
	err := b.each(ctx, `SELECT agg_id, at, data FROM event WHERE type = 'device.offline' ORDER BY at`, nil, func(scan func(...any) error) error {
		var (
			id, data string
			at       int64
		)
		if err := scan(&id, &at, &data); err != nil {
			return err //nolint:wrapcheck // each names it
		}
		x := byID[id]
		if x == nil {
			return nil
		}
		events++
		d := audit.DecodeData(data)
		epoch, _ := strconv.ParseInt(d["epoch"], 10, 64)
		if r.judgeOffline(x, time.UnixMicro(at), epoch, d["cause"]) {
			owed++
		}
		return nil
	})
	r.fig.put("offline_events", float64(events), "events")
	r.fig.put("offline_events_owed", float64(owed), "events")
	return err
}

// grace is the shortest time that a link may be gone before the device counts as offline (fleet.grace).
const grace = time.Minute

func (r *run) judgeOffline(x *box, at time.Time, epoch int64, cause string) (owed bool) {
	spans, _ := x.history()
	since := r.started
	for i := range spans {
		s := &spans[i]
		if s.up.After(at) {
			break
		}
		if s.epoch > epoch {
			r.violate("offline_old_epoch", "%s: offline at %s with epoch %d (%s), it was welcomed with %d at %s", x.dev.Serial, r.at(at), epoch, cause, s.epoch, r.at(s.up))
			return false
		}
		end := s.live()
		if end.IsZero() || end.After(at) {
			r.violate("offline_false", "%s: offline at %s (%s, epoch %d) while linked to %s since %s; links: %s", x.dev.Serial, r.at(at), cause, epoch, s.node, r.at(s.up), r.tell(spans))
			return false
		}
		since = end
	}
	if at.Sub(since) < grace {
		r.violate("offline_early", "%s: offline at %s (%s, epoch %d), gone only since %s; links: %s", x.dev.Serial, r.at(at), cause, epoch, r.at(since), r.tell(spans))
		return false
	}
	return true
}

// tell writes the links of a device down.
func (r *run) tell(spans []span) string {
	var b strings.Builder
	for i := range spans {
		s := &spans[i]
		fmt.Fprintf(&b, " [%d %s %s..%s", s.epoch, s.node, r.at(s.up), r.at(s.down))
		if !s.dead.IsZero() {
			fmt.Fprintf(&b, " cut %s", r.at(s.dead))
		}
		b.WriteString("]")
	}
	return b.String()
}

// checkCounters holds the counters of devices against a recount, when this build keeps any.
func (r *run) checkCounters(ctx context.Context, b *books) error {
	n, err := b.count(ctx, `SELECT count(*) FROM information_schema.tables WHERE table_name = 'fleet_count'`)
	if err != nil || n == 0 {
		return err
	}
	counted, err := b.count(ctx, `SELECT coalesce(sum(n), 0) FROM fleet_count`)
	if err != nil {
		return err
	}
	devices, err := b.count(ctx, `SELECT count(*) FROM device`)
	if counted != devices {
		r.violate("counters", "the counters add up to %d, there are %d devices", counted, devices)
	}
	return err
}
