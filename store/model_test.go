package store_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heyi/devices"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
	"heyi/store"
)

// model drives the whole line by random steps and remembers what nobody may see change.
type model struct {
	*house
	rank    map[ident.TicketID]int64
	shown   map[ident.TicketID]int
	final   map[ident.TicketID]queue.State
	reached map[queue.State]int // over all runs: what the steps came across
	key     string              // the last key of a join, to press it again
	keyed   ident.DeviceID
}

// Random citizens, seats, losses, kills and waits: the rules of rules() hold after every step, ranks never change,
// shown positions never grow, closed tickets stay closed, and after a match nobody waits for a free seat.
func TestLineKeepsItsRules(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		// short times, so that few steps see many timers
		h.limits.OfferLease, h.limits.Ring, h.limits.MissedKeep, h.limits.LinkGrace = 6*time.Second, 5*time.Second, 15*time.Second, 6*time.Second
		h.limits.ParkedKeep, h.limits.WrapUp, h.limits.SeatLink, h.limits.TicketsAHour = 10*time.Second, 8*time.Second, 8*time.Second, 1000
		h.ok(h.store.Close())
		h.start()
		runs, most := 0, 100
		if h.cfg.Driver == store.Postgres {
			most = 30 // the same rules, five times the price
		}
		reached := map[queue.State]int{}
		rapid.Check(t, func(rt *rapid.T) {
			if runs++; runs > most {
				return
			}
			h.wipe()
			h.matcher = queue.NewMatcher(queue.MatcherDeps{Store: h.store, Nudges: h.nudges, Node: testNode, Now: h.clock.Now, Limits: h.limits})
			h.clock.Advance(time.Hour) // earlier leases and limits are over
			h.sweep()
			h.ready(h.lawyer, h.second, h.judge)
			m := &model{house: h, reached: reached, rank: map[ident.TicketID]int64{}, shown: map[ident.TicketID]int{}, final: map[ident.TicketID]queue.State{}}
			for range rapid.IntRange(10, 50).Draw(rt, "steps") {
				m.step(rt)
				m.check(rt)
			}
		})
		want := []queue.State{queue.Waiting, queue.Offered, queue.Ringing, queue.Serving, queue.Cancelled}
		if h.cfg.Driver != store.Postgres {
			want = append(want, queue.Missed) // needs two rings in a row: now and then not among the fewer runs
		}
		for _, s := range want {
			if reached[s] == 0 {
				t.Errorf("no run reached %s", s)
			}
		}
		t.Logf("tickets seen by state: %v", reached)
	})
}

// allowed are refusals that random steps meet by right.
func (m *model) allowed(rt *rapid.T, err error) {
	switch fault.CodeOf(err) {
	case "ticket.state", "queue.already_waiting", "ticket.too_many", "offer.expired", "offer.taken", "offer.none", "session.state", "session.none",
		"seat.no_link", "seat.wrap_up", "queue.no_ticket", "seat.none":
		return
	}
	if err != nil {
		rt.Fatalf("%v", err)
	}
}

// step does one thing that somebody could do now; ringing terminals and desks with an offer are preferred.
func (m *model) step(rt *rapid.T) {
	tv, staff := m.someTV(rt), m.someSeat(rt)
	s, d := m.situation(tv), m.deskOf(staff)
	var ticket ident.TicketID
	if s.Ticket != nil {
		ticket = s.Ticket.ID
	}
	var err error
	switch rapid.IntRange(0, 20).Draw(rt, "step") {
	case 0, 1, 2:
		kind := rapid.SampledFrom([]mediation.TicketKind{mediation.Consult, mediation.Mediate}).Draw(rt, "kind")
		m.key, m.keyed = newKey(), tv
		_, err = m.desk.Join(m.ctx(), m.cmd("ticket.create", byTV(tv), m.key), tv, kind, mediation.Wages, mediation.Chinese)
	case 3:
		if m.key != "" {
			_, err = m.desk.Join(m.ctx(), m.cmd("ticket.create", byTV(m.keyed), m.key), m.keyed, mediation.Consult, mediation.Wages, mediation.Chinese)
		}
	case 18:
		_, err = m.flow.Cancel(m.ctx(), m.cmd("ticket.cancel", byTV(tv), newKey()), tv, ticket)
	case 4, 5, 6:
		m.ok(m.matcher.Step(m.ctx()))
		snap, err := m.store.Snapshot(m.ctx(), m.now())
		m.ok(err)
		if p := queue.Match(snap); len(p.Pairs) != 0 {
			rt.Fatalf("after the match %v could be given", p.Pairs)
		}
	case 7, 8, 9:
		if d.Offer != nil {
			err = m.flow.Accept(m.ctx(), m.cmd("offer.accept", byStaff(staff), ""), staff, d.Offer.ID, d.Offer.Ver)
		}
	case 10:
		if d.Offer != nil {
			reason := rapid.SampledFrom([]string{queue.ReasonBusy, queue.ReasonConflict}).Draw(rt, "reason")
			err = m.desk.Decline(m.ctx(), m.cmd("offer.decline", byStaff(staff), ""), staff, d.Offer.ID, d.Offer.Ver, reason)
		}
	case 11, 12:
		_, err = m.flow.Answer(m.ctx(), m.cmd("ticket.answer", byTV(tv), newKey()), tv, ticket, rapid.IntRange(0, 3).Draw(rt, "take") > 0)
	case 13:
		_, err = m.desk.Return(m.ctx(), m.cmd("ticket.return", byTV(tv), newKey()), tv, ticket)
	case 14, 19, 20:
		switch {
		case d.Session != nil:
			op := rapid.SampledFrom([]string{flow.OpEnd, flow.OpEnd, flow.OpAdmit, flow.OpAdjourn}).Draw(rt, "op")
			err = m.control(staff, d.Session.ID, op)
		case d.WrapUp != nil:
			err = m.flow.WrapUp(m.ctx(), m.cmd("session.wrap_up", byStaff(staff), newKey()), staff, d.WrapUp.SessionID, queue.OutcomeReferred)
		}
	case 15:
		m.ok(m.desk.SeatLink(m.ctx(), staff, rapid.IntRange(0, 3).Draw(rt, "link") > 0))
		want := rapid.SampledFrom([]queue.SeatState{queue.SeatReady, queue.SeatReady, queue.SeatAway}).Draw(rt, "seat")
		_, err = m.desk.SetSeat(m.ctx(), m.cmd("seat.set", byStaff(staff), ""), staff, want, "")
	case 16:
		m.link(tv, rapid.SampledFrom([]devices.State{devices.Connected, devices.Offline, devices.Suspect, devices.Offline}).Draw(rt, "presence"))
	case 17:
		pace := time.Duration(rapid.IntRange(1, 5).Draw(rt, "pace")) * time.Second
		for range rapid.IntRange(1, 6).Draw(rt, "sweeps") {
			m.clock.Advance(pace)
			m.sweep()
		}
		if m.cfg.Driver == store.SQLite && rapid.IntRange(0, 5).Draw(rt, "kill") == 0 {
			m.kill(time.Duration(rapid.IntRange(0, 3600).Draw(rt, "down")) * time.Second)
		}
	}
	m.allowed(rt, err)
}

// someTV draws a terminal, mostly one that rings or waits for a key.
func (m *model) someTV(rt *rapid.T) ident.DeviceID {
	tv := rapid.SampledFrom(m.tv).Draw(rt, "tv")
	if rapid.IntRange(0, 2).Draw(rt, "rings") > 0 {
		m.pick(&tv, `SELECT device_id FROM ticket WHERE state IN ('ringing', 'missed', 'parked') ORDER BY state DESC, id LIMIT 1`)
	}
	return tv
}

// someSeat draws a seat, mostly one with something in its hands.
func (m *model) someSeat(rt *rapid.T) ident.StaffID {
	staff := rapid.SampledFrom([]ident.StaffID{m.lawyer, m.second, m.judge}).Draw(rt, "staff")
	if rapid.IntRange(0, 2).Draw(rt, "holds") > 0 {
		m.pick(&staff, `SELECT seat_id FROM ticket WHERE state IN ('serving', 'wrap_up') ORDER BY id LIMIT 1`)
		if rapid.Bool().Draw(rt, "offered") {
			m.pick(&staff, `SELECT seat_id FROM offer WHERE closed_at = 0 ORDER BY id LIMIT 1`)
		}
	}
	return staff
}

// pick reads one id; without a row id stays as it is.
func (m *model) pick(id any, query string) {
	if err := m.store.One(m.ctx(), query, nil, id); err != nil && !errors.Is(err, sql.ErrNoRows) {
		m.ok(err)
	}
}

func (m *model) check(rt *rapid.T) {
	m.rules(rt)
	type row struct {
		id    ident.TicketID
		state queue.State
		rank  int64
		shown int
	}
	var list []row
	m.ok(m.store.All(m.ctx(), `SELECT id, state, rank_at, shown_ahead FROM ticket`, nil, func(r store.Rows) error {
		var x row
		err := r.Scan(&x.id, &x.state, &x.rank, &x.shown)
		list = append(list, x)
		return err
	}))
	for _, x := range list {
		if rank, ok := m.rank[x.id]; ok && rank != x.rank {
			rt.Fatalf("the rank of %s changed", x.id)
		}
		if shown, ok := m.shown[x.id]; ok && x.shown > shown {
			rt.Fatalf("%s was shown %d ahead, now %d", x.id, shown, x.shown)
		}
		if state, ok := m.final[x.id]; ok && state != x.state {
			rt.Fatalf("%s was %s, now %s", x.id, state, x.state)
		}
		m.rank[x.id], m.shown[x.id] = x.rank, x.shown
		m.reached[x.state]++
		if x.state == queue.Done || x.state == queue.Abandoned || x.state == queue.Cancelled {
			m.final[x.id] = x.state
		}
	}
}
