package store_test

import (
	"slices"
	"testing"
	"time"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
	"heyi/mediation/session"
	"heyi/store"
)

// From the first key on the TV to the rating.
func TestFaceToFace(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tv := h.tv[0]
		h.ready(h.lawyer)
		if s := h.situation(tv); s.Ticket != nil || s.Visit == nil || !s.Service.Open || s.Service.Seats != 1 || len(s.Device.Place) != 4 || s.Device.Place[0] != "赤峰市" {
			t.Fatalf("home: %+v", s)
		}
		k := h.join(tv, mediation.Consult)
		s := h.situation(tv)
		if s.Ticket == nil || s.Ticket.No != "A 001" || s.Ticket.State != queue.Waiting || s.Ticket.Ahead != 0 || s.Ticket.LoMin != nil {
			t.Fatalf("waiting: %+v", s.Ticket)
		}
		o := h.offered(h.lawyer)
		if o.LeaseMS != 15000 || o.UntilAt != h.now()+15e6 || o.Ticket.No != "A 001" || o.Ticket.Place[3] != "第一嘎查（示例）" {
			t.Errorf("offer: %+v", o)
		}
		if got := h.situation(tv).Ticket; got.State != queue.Waiting || got.Ring != nil {
			t.Errorf("an offer shows on the TV: %+v", got)
		}
		h.nudges.got("", 0)
		h.ok(h.flow.Accept(h.ctx(), h.cmd("offer.accept", byStaff(h.lawyer), ""), h.lawyer, o.ID, o.Ver))
		if !h.nudges.got("device/"+string(tv), wire.TicketRing) {
			t.Error("the TV was not told that it rings")
		}
		s = h.situation(tv)
		if s.Ticket.State != queue.Ringing || s.Ticket.Ring.UntilAt != h.now()+30e6 || s.Ticket.Ring.Mediator.Name == "" || s.Session.State != session.Lobby {
			t.Fatalf("ring: %+v %+v", s.Ticket, s.Session)
		}
		id := s.Session.ID

		// while it rings only the view is prepared: the spec is in the engine before the ticket is handed out
		entry, room, err := h.rooms.Entry(h.ctx(), session.Who{Device: tv}, h.cmd("room.enter", byTV(tv), ""), id, media.AttachView)
		h.ok(err)
		if entry.Participant != s.Session.ParticipantID || entry.Kind != media.AttachView || h.engine.spec(id).Epoch != room.Epoch {
			t.Errorf("entry %+v, room %+v, engine %+v", entry, room, h.engine.spec(id))
		}
		for _, m := range h.engine.spec(id).Members {
			if m.Zone != media.ZoneLobby {
				t.Errorf("%s stands in %s before the OK", m.Name, m.Zone)
			}
		}
		_, _, err = h.rooms.Entry(h.ctx(), session.Who{Staff: h.lawyer}, h.cmd("room.enter", byStaff(h.lawyer), ""), id, media.AttachFull)
		h.ok(err)
		_, _, err = h.rooms.Entry(h.ctx(), session.Who{Device: h.tv[1]}, h.cmd("room.enter", byTV(h.tv[1]), ""), id, media.AttachView)
		h.refused(err, "session.none")

		h.take(tv, k.ID)
		if s = h.situation(tv); s.Session.State != session.Joint || s.Ticket.State != queue.Serving {
			t.Fatalf("after the OK: %+v", s.Session)
		}
		for _, m := range h.engine.spec(id).Members {
			if m.Zone != media.ZoneJoint {
				t.Errorf("%s stands in %s after the OK", m.Name, m.Zone)
			}
		}
		var subject string
		h.ok(h.store.One(h.ctx(), `SELECT subject FROM consent WHERE session_id = $1`, []any{id}, &subject))
		if subject != "online" {
			t.Errorf("consent %q", subject)
		}
		h.live(id, media.RoleParty, media.AttachView)
		h.live(id, media.RoleMediator, media.AttachFull)
		d := h.deskOf(h.lawyer)
		if d.Seat.State != queue.SeatBusy || len(d.Session.Members) != 2 || !d.Session.Members[0].Present || d.Session.Members[0].Attach[0] != "view" || d.Session.StartedAt == 0 {
			t.Errorf("desk in the call: %+v", d.Session)
		}

		note, err := h.records.SaveNote(h.ctx(), h.cmd("consult.save", byStaff(h.lawyer), ""), id, h.lawyer, 0, session.Note{Matter: "欠薪", Answer: "可以申请仲裁"})
		h.ok(err)
		_, err = h.records.SaveNote(h.ctx(), h.cmd("consult.save", byStaff(h.lawyer), ""), id, h.lawyer, 0, session.Note{Matter: "旧"})
		h.refused(err, "session.stale_note")
		_, err = h.records.SaveNote(h.ctx(), h.cmd("consult.save", byStaff(h.second), ""), id, h.second, note.Version, session.Note{})
		h.refused(err, "session.none")
		var sealed []byte
		h.ok(h.store.One(h.ctx(), `SELECT text_enc FROM consult WHERE session_id = $1`, []any{id}, &sealed))
		if slices.Contains([]string{"欠薪"}, string(sealed)) || len(sealed) < 40 {
			t.Error("the note is not sealed")
		}

		h.refused(h.control(h.second, id, flow.OpEnd), "session.none")
		h.ok(h.control(h.lawyer, id, flow.OpEnd))
		if !h.engine.closed(id) {
			t.Error("the room is open after the end")
		}
		d = h.deskOf(h.lawyer)
		if d.Session != nil || d.WrapUp == nil || d.WrapUp.Note.Matter != "欠薪" || d.WrapUp.UntilAt != h.now()+120e6 || d.Seat.State != queue.SeatWrapUp {
			t.Fatalf("wrap-up: %+v", d)
		}
		if s = h.situation(tv); s.Ticket != nil || s.Session != nil || s.Rating == nil || s.Rating.SessionID != id {
			t.Fatalf("after the end: %+v", s)
		}
		h.ok(h.flow.WrapUp(h.ctx(), h.cmd("session.wrap_up", byStaff(h.lawyer), newKey()), h.lawyer, id, "served"))
		if d = h.deskOf(h.lawyer); d.Seat.State != queue.SeatReady || d.Today.Served != 1 || d.WrapUp != nil {
			t.Errorf("after the wrap-up: %+v", d)
		}
		rate := func(score int) error {
			_, err := h.records.Rate(h.ctx(), h.cmd("session.rate", byTV(tv), newKey()), id, tv, score)
			return err
		}
		h.ok(rate(4))
		if s = h.situation(tv); s.Rating != nil {
			t.Error("a rating is wanted twice")
		}
		h.clock.Advance(23 * time.Hour)
		h.ok(rate(5))
		h.clock.Advance(2 * time.Hour)
		h.refused(rate(1), "rating.closed")
		if k := h.ticket(k.ID); k.State != queue.Done || k.Outcome != "served" {
			t.Errorf("ticket %+v", k)
		}
		h.chain("ticket", string(k.ID))
		h.chain("seat", string(h.lawyer))
		h.chain("consult", string(id))
		if types := h.chain("session", string(id)); types[0] != "offer.accept" || !slices.Contains(types, "session.rate") || !slices.Contains(types, "consent.given") {
			t.Errorf("events of the session: %v", types)
		}
	})
}

func TestMediationGoesThroughTheCheckZone(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.ready(h.lawyer)
		k := h.join(h.tv[0], mediation.Mediate)
		h.match()
		if d := h.deskOf(h.lawyer); d.Offer != nil || len(d.Queue) != 0 || d.Waiting != 1 {
			t.Fatalf("a lawyer's desk with a mediation waiting: %+v", d)
		}
		h.ready(h.judge)
		h.accept(h.judge)
		h.take(h.tv[0], k.ID)
		id := h.ticket(k.ID).Session
		if s := h.situation(h.tv[0]); s.Session.State != session.Lobby || s.Ticket.State != queue.Serving || s.Session.Kind != session.Mediation {
			t.Fatalf("%+v", s.Session)
		}
		h.ok(h.control(h.judge, id, flow.OpAdmit))
		for _, m := range h.engine.spec(id).Members {
			if m.Zone != media.CheckZone(h.situation(h.tv[0]).Session.ParticipantID) {
				t.Errorf("%s stands in %s", m.Name, m.Zone)
			}
		}
		h.refused(h.control(h.judge, id, flow.OpAdmit), "session.state")
		h.ok(h.control(h.judge, id, flow.OpEnd))
	})
}

func TestMute(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		_, id := h.call(h.tv[0], h.lawyer, mediation.Consult)
		p := h.situation(h.tv[0]).Session.ParticipantID
		op := flow.Control{Op: flow.OpMute, Mute: flow.MuteArgs{Participant: p, Kind: media.Mic, On: true}}
		h.ok(h.flow.Control(h.ctx(), h.cmd("session.mute", byStaff(h.lawyer), newKey()), h.lawyer, id, op))
		if m := h.engine.spec(id).Members[0]; m.ID != p || m.Gated != media.Mic {
			t.Errorf("%+v", m)
		}
	})
}

func TestOfferLapsesTwiceAndTheSeatIsAway(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.ready(h.lawyer)
		k := h.join(h.tv[0], mediation.Consult)
		o := h.offered(h.lawyer)
		h.wait(14 * time.Second)
		if h.deskOf(h.lawyer).Offer == nil {
			t.Fatal("the offer lapsed before its time")
		}
		h.wait(time.Second)
		h.refused(h.flow.Accept(h.ctx(), h.cmd("offer.accept", byStaff(h.lawyer), ""), h.lawyer, o.ID, o.Ver), "offer.expired")
		if d := h.deskOf(h.lawyer); d.Offer != nil || d.Seat.Strikes != 1 || d.Seat.State != queue.SeatReady {
			t.Fatalf("%+v", d.Seat)
		}
		if got := h.ticket(k.ID); got.State != queue.Waiting || got.RankAt != k.RankAt {
			t.Fatalf("%+v", got)
		}
		h.offered(h.lawyer) // a lapse excludes nobody
		h.wait(15 * time.Second)
		if d := h.deskOf(h.lawyer); d.Seat.State != queue.SeatAway || d.Seat.Reason != "strikes" {
			t.Errorf("%+v", d.Seat)
		}
	})
}

func TestDeclineGoesToAnotherSeat(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.ready(h.lawyer)
		k := h.join(h.tv[0], mediation.Consult)
		o := h.offered(h.lawyer)
		decline := func() error {
			return h.desk.Decline(h.ctx(), h.cmd("offer.decline", byStaff(h.lawyer), ""), h.lawyer, o.ID, o.Ver, queue.ReasonConflict)
		}
		h.refused(h.desk.Decline(h.ctx(), h.cmd("offer.decline", byStaff(h.second), ""), h.second, o.ID, o.Ver, queue.ReasonBusy), "offer.none")
		h.ok(decline())
		h.ok(decline()) // the same answer again
		h.match()
		if d := h.deskOf(h.lawyer); d.Offer != nil || d.Seat.Strikes != 0 {
			t.Fatalf("barred by a conflict of interest: %+v", d)
		}
		h.ready(h.second)
		h.accept(h.second)
		if got := h.ticket(k.ID); got.State != queue.Ringing || got.Seat != h.second {
			t.Errorf("%+v", got)
		}
	})
}

func TestNobodyAnswersTwice(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tv := h.tv[0]
		h.ready(h.lawyer)
		k := h.join(tv, mediation.Consult)
		h.accept(h.lawyer)
		first := h.ticket(k.ID).Session
		h.wait(30 * time.Second)
		if s := h.situation(tv); s.Ticket.State != queue.Ringing || s.Ticket.Ring.UntilAt != h.now()+30e6 {
			t.Fatalf("the second ring: %+v", s.Ticket)
		}
		h.wait(30 * time.Second)
		s := h.situation(tv)
		if s.Ticket.State != queue.Missed || *s.Ticket.UntilAt != h.now()+600e6 || s.Session != nil {
			t.Fatalf("missed: %+v", s.Ticket)
		}
		if d := h.deskOf(h.lawyer); d.Seat.State != queue.SeatReady || d.Seat.Strikes != 0 || d.Session != nil {
			t.Fatalf("the seat: %+v", d.Seat)
		}
		got, err := h.desk.Return(h.ctx(), h.cmd("ticket.return", byTV(tv), newKey()), tv, k.ID)
		h.ok(err)
		if got.State != queue.Waiting || got.RankAt != k.RankAt {
			t.Fatalf("%+v", got)
		}
		h.accept(h.lawyer)
		if h.ticket(k.ID).Session != first || h.engine.spec(first).Fence != 2 {
			t.Errorf("the adjourned session is not the one that rings again: %+v", h.engine.spec(first))
		}
		h.wait(60 * time.Second)
		if got := h.ticket(k.ID); got.State != queue.Done || got.Outcome != queue.OutcomeNoShow {
			t.Errorf("%+v", got)
		}
		h.join(tv, mediation.Consult) // the place is free
	})
}

func TestMissedPlaceRunsOut(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tv := h.tv[0]
		h.ready(h.lawyer)
		k := h.join(tv, mediation.Consult)
		h.accept(h.lawyer)
		_, err := h.flow.Answer(h.ctx(), h.cmd("ticket.answer", byTV(tv), newKey()), tv, k.ID, false)
		h.ok(err)
		if got := h.ticket(k.ID); got.State != queue.Missed || got.Misses != 0 {
			t.Fatalf("wait a little: %+v", got)
		}
		h.wait(10 * time.Minute)
		if got := h.ticket(k.ID); got.State != queue.Waiting || got.Misses != 1 {
			t.Fatalf("the last try: %+v", got)
		}
		h.accept(h.lawyer)
		h.wait(60 * time.Second)
		if got := h.ticket(k.ID); got.State != queue.Done {
			t.Errorf("%+v", got)
		}
	})
}

func TestCancelInEveryState(t *testing.T) {
	t.Parallel()
	steps := map[string]struct {
		to   func(h *house) queue.Ticket
		code string // "" = cancelled
	}{
		"waiting": {func(h *house) queue.Ticket { return h.join(h.tv[0], mediation.Consult) }, ""},
		"offered": {func(h *house) queue.Ticket {
			h.ready(h.lawyer)
			k := h.join(h.tv[0], mediation.Consult)
			h.offered(h.lawyer)
			return k
		}, ""},
		"ringing": {func(h *house) queue.Ticket {
			h.ready(h.lawyer)
			k := h.join(h.tv[0], mediation.Consult)
			h.accept(h.lawyer)
			return k
		}, ""},
		"missed": {func(h *house) queue.Ticket {
			h.ready(h.lawyer)
			k := h.join(h.tv[0], mediation.Consult)
			h.accept(h.lawyer)
			h.wait(time.Minute)
			return k
		}, ""},
		"parked": {func(h *house) queue.Ticket {
			k := h.join(h.tv[0], mediation.Consult)
			h.link(h.tv[0], devices.Offline)
			h.wait(3 * time.Minute)
			return k
		}, ""},
		"serving": {func(h *house) queue.Ticket {
			k, _ := h.call(h.tv[0], h.lawyer, mediation.Consult)
			return k
		}, "ticket.state"},
		"done": {func(h *house) queue.Ticket {
			k, id := h.call(h.tv[0], h.lawyer, mediation.Consult)
			h.ok(h.control(h.lawyer, id, flow.OpEnd))
			h.wait(2 * time.Minute)
			return k
		}, "ticket.state"},
	}
	eachHouse(t, func(t *testing.T, h *house) {
		for _, state := range []string{"waiting", "offered", "ringing", "missed", "parked", "serving", "done"} {
			step := steps[state]
			h.wipe()
			k := step.to(h)
			if got := h.ticket(k.ID).State; string(got) != state {
				t.Fatalf("brought to %s, want %s", got, state)
			}
			_, err := h.flow.Cancel(h.ctx(), h.cmd("ticket.cancel", byTV(h.tv[1]), newKey()), h.tv[1], k.ID)
			h.refused(err, "queue.no_ticket")
			_, err = h.flow.Cancel(h.ctx(), h.cmd("ticket.cancel", byTV(h.tv[0]), newKey()), h.tv[0], k.ID)
			if step.code != "" {
				h.refused(err, step.code)
				continue
			}
			h.ok(err)
			got := h.ticket(k.ID)
			if got.State != queue.Cancelled {
				t.Errorf("%s: %s after cancel", state, got.State)
			}
			if d := h.deskOf(h.lawyer); d.Offer != nil || d.Session != nil || d.Seat.State == queue.SeatBusy {
				t.Errorf("%s: the desk keeps %+v", state, d)
			}
			if rooms, _ := h.engine.Load(); rooms != 0 {
				t.Errorf("%s: %d rooms are open", state, rooms)
			}
		}
	})
}

// wipe empties the line between two steps of one test.
func (h *house) wipe() {
	h.t.Helper()
	h.ok(h.store.Write(h.ctx(), func(t *store.Tx) error {
		for _, table := range []string{
			"attachment", "session_member", "room_placement", "consent", "consult", "rating", "session", "offer", "ticket_exclusion", "ticket", "ticket_counter", "seat", "idempotency",
		} {
			if _, err := t.Exec(`DELETE FROM ` + table); err != nil {
				return err
			}
		}
		_, err := t.Exec(`UPDATE device_link SET state = 'connected'`)
		return err
	}))
	h.engine.forget()
}

func TestRepeatsChangeNothing(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tv := h.tv[0]
		h.ready(h.lawyer)
		key := newKey()
		join := func() queue.Ticket {
			k, err := h.desk.Join(h.ctx(), h.cmd("ticket.create", byTV(tv), key), tv, mediation.Consult, mediation.Wages, mediation.Chinese)
			h.ok(err)
			return k
		}
		k := join()
		if again := join(); again.ID != k.ID || again.No != k.No {
			t.Errorf("%+v, then %+v", k, again)
		}
		_, err := h.flow.Cancel(h.ctx(), h.cmd("ticket.cancel", byTV(tv), key), tv, k.ID)
		h.refused(err, "idempotency.key_reused")
		_, err = h.desk.Join(h.ctx(), h.cmd("ticket.create", byTV(tv), newKey()), tv, mediation.Mediate, mediation.Wages, mediation.Chinese)
		h.refused(err, "queue.already_waiting")

		o := h.offered(h.lawyer)
		for range 2 {
			h.ok(h.flow.Accept(h.ctx(), h.cmd("offer.accept", byStaff(h.lawyer), ""), h.lawyer, o.ID, o.Ver))
		}
		answer := newKey()
		for range 2 {
			_, err := h.flow.Answer(h.ctx(), h.cmd("ticket.answer", byTV(tv), answer), tv, k.ID, true)
			h.ok(err)
		}
		_, err = h.flow.Answer(h.ctx(), h.cmd("ticket.answer", mediation.Actor{Kind: mediation.ActorCapture, ID: "g"}, newKey()), tv, k.ID, true)
		h.ok(err) // the phone pressed OK too: the first one won
		id := h.ticket(k.ID).Session
		var consents int
		h.ok(h.store.One(h.ctx(), `SELECT count(*) FROM consent WHERE session_id = $1`, []any{id}, &consents))
		if consents != 1 {
			t.Errorf("%d consents", consents)
		}
		end := newKey()
		for range 2 {
			h.ok(h.flow.Control(h.ctx(), h.cmd("session.end", byStaff(h.lawyer), end), h.lawyer, id, flow.Control{Op: flow.OpEnd}))
		}
		h.wait(2 * time.Minute)
		h.ok(h.flow.WrapUp(h.ctx(), h.cmd("session.wrap_up", byStaff(h.lawyer), newKey()), h.lawyer, id, "served"))
		if types := h.chain("ticket", string(k.ID)); len(types) != 7 { // create, raised, offered, accept, answer, end, timer
			t.Errorf("events: %v", types)
		}
	})
}

func TestWhoMayDrawATicket(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		join := func(tv int, code string) {
			t.Helper()
			id := h.tv[tv]
			_, err := h.desk.Join(h.ctx(), h.cmd("ticket.create", byTV(id), newKey()), id, mediation.Consult, mediation.Wages, mediation.Chinese)
			h.refused(err, code)
		}
		h.tv = append(h.tv, h.install(9, "150426106201", true))
		join(4, "ticket.simulated")
		h.leave(h.tv[1])
		join(1, "visit.required")
		for range 10 {
			k := h.join(h.tv[0], mediation.Consult)
			_, err := h.flow.Cancel(h.ctx(), h.cmd("ticket.cancel", byTV(h.tv[0]), newKey()), h.tv[0], k.ID)
			h.ok(err)
			h.clock.Advance(time.Minute)
		}
		join(0, "ticket.too_many")
		h.clock.Advance(51 * time.Minute)
		if k := h.join(h.tv[0], mediation.Mediate); k.No != "B 001" {
			t.Errorf("number %q", k.No)
		}
		shut := queue.NewDesk(queue.Deps{Store: h.store, Nudges: h.nudges, Now: h.clock.Now, Open: func(time.Time) bool { return false }})
		_, err := shut.Join(h.ctx(), h.cmd("ticket.create", byTV(h.tv[2]), newKey()), h.tv[2], mediation.Consult, mediation.Wages, mediation.Chinese)
		h.refused(err, "queue.closed")
	})
}

func TestLinkLostWhileWaiting(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tv := h.tv[0]
		k := h.join(tv, mediation.Consult)
		h.link(tv, devices.Suspect)
		h.wait(60 * time.Second)
		h.link(tv, devices.Connected)
		h.wait(10 * time.Second)
		h.link(tv, devices.Offline)
		h.wait(119 * time.Second)
		if got := h.ticket(k.ID); got.State != queue.Waiting {
			t.Fatalf("%s within the grace", got.State)
		}
		h.wait(10 * time.Second)
		if s := h.situation(tv); s.Ticket.State != queue.Parked || s.Ticket.UntilAt == nil {
			t.Fatalf("%+v", s.Ticket)
		}
		h.ready(h.lawyer)
		h.match()
		if h.deskOf(h.lawyer).Offer != nil {
			t.Fatal("a parked ticket is offered")
		}
		h.link(tv, devices.Connected)
		got, err := h.desk.Return(h.ctx(), h.cmd("ticket.return", byTV(tv), newKey()), tv, k.ID)
		h.ok(err)
		if got.State != queue.Waiting || got.RankAt != k.RankAt {
			t.Fatalf("%+v", got)
		}
		h.link(tv, devices.Offline)
		h.wait(40 * time.Minute)
		if got := h.ticket(k.ID); got.State != queue.Abandoned {
			t.Errorf("%s after the keeping", got.State)
		}
	})
}

func TestSeatLostInTheCall(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tv := h.tv[0]
		k, id := h.call(tv, h.lawyer, mediation.Consult)
		h.live(id, media.RoleParty, media.AttachView)
		h.live(id, media.RoleMediator, media.AttachFull)
		h.ok(h.desk.SeatLink(h.ctx(), h.lawyer, false))
		h.wait(90 * time.Second)
		if got := h.ticket(k.ID); got.State != queue.Serving {
			t.Fatalf("the call ended with the desk's link: %s", got.State)
		}
		h.live(id, media.RoleMediator)
		h.wait(64 * time.Second)
		if got := h.ticket(k.ID); got.State != queue.Waiting || got.RankAt != k.RankAt {
			t.Fatalf("%+v", got)
		}
		if d := h.deskOf(h.lawyer); d.Seat.State != queue.SeatOffline || d.Session != nil {
			t.Fatalf("%+v", d.Seat)
		}
		h.ready(h.second)
		h.accept(h.second)
		h.take(tv, k.ID)
		s := h.situation(tv)
		if s.Session.ID != id || s.Session.State != session.Joint {
			t.Errorf("the same session goes on: %+v", s.Session)
		}
		if m := h.engine.spec(id).Members; len(m) != 2 {
			t.Errorf("members %+v", m)
		}
		_, _, err := h.rooms.Entry(h.ctx(), session.Who{Staff: h.lawyer}, h.cmd("room.enter", byStaff(h.lawyer), ""), id, media.AttachFull)
		h.refused(err, "session.none")
	})
}

func TestSeatWithoutLinkGoesOffline(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.ready(h.lawyer)
		k := h.join(h.tv[0], mediation.Consult)
		h.offered(h.lawyer)
		h.ok(h.desk.SeatLink(h.ctx(), h.lawyer, false))
		h.wait(59 * time.Second)
		if d := h.deskOf(h.lawyer); d.Seat.State == queue.SeatOffline {
			t.Fatal("offline before its time")
		}
		h.wait(5 * time.Second)
		if d := h.deskOf(h.lawyer); d.Seat.State != queue.SeatOffline || d.Offer != nil {
			t.Errorf("%+v", d)
		}
		if got := h.ticket(k.ID); got.State != queue.Waiting {
			t.Errorf("%+v", got)
		}
		_, err := h.desk.SetSeat(h.ctx(), h.cmd("seat.set", byStaff(h.lawyer), ""), h.lawyer, queue.SeatReady, "")
		h.refused(err, "seat.no_link")
	})
}

func TestCitizenLeavesTheCall(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tv := h.tv[0]
		k, id := h.call(tv, h.lawyer, mediation.Consult)
		h.live(id, media.RoleParty, media.AttachView)
		h.live(id, media.RoleMediator, media.AttachFull)
		h.ok(h.flow.Leave(h.ctx(), h.cmd("session.leave", byTV(tv), newKey()), tv, id))
		s := h.situation(tv)
		if s.Session.State != session.Suspended || *s.Session.SuspendedUntilAt != h.now()+600e6 {
			t.Fatalf("%+v", s.Session)
		}
		if d := h.deskOf(h.lawyer); d.Session.UntilAt == nil || d.Session.Members[0].Present {
			t.Errorf("%+v", d.Session)
		}
		_, _, err := h.rooms.Entry(h.ctx(), session.Who{Device: tv}, h.cmd("room.enter", byTV(tv), ""), id, media.AttachView)
		h.ok(err)
		h.live(id, media.RoleParty, media.AttachView)
		if s := h.situation(tv); s.Session.State != session.Joint {
			t.Fatalf("back: %+v", s.Session)
		}
		h.live(id, media.RoleParty)
		h.wait(120 * time.Second)
		if s := h.situation(tv); s.Session.State != session.Suspended {
			t.Fatalf("after the grace: %+v", s.Session)
		}
		h.wait(10 * time.Minute)
		if got := h.ticket(k.ID); got.State != queue.Parked {
			t.Fatalf("after the suspension: %+v", got)
		}
		if d := h.deskOf(h.lawyer); d.Seat.State != queue.SeatReady {
			t.Errorf("the seat is %s", d.Seat.State)
		}
		_, err = h.desk.Return(h.ctx(), h.cmd("ticket.return", byTV(tv), newKey()), tv, k.ID)
		h.ok(err)
		h.accept(h.lawyer)
		h.take(tv, k.ID)
		if s := h.situation(tv); s.Session.ID != id {
			t.Error("another session")
		}
	})
}

func TestWrapUpEndsByItself(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k, id := h.call(h.tv[0], h.lawyer, mediation.Consult)
		h.ok(h.control(h.lawyer, id, flow.OpEnd))
		h.join(h.tv[1], mediation.Consult)
		h.match()
		if h.deskOf(h.lawyer).Offer != nil {
			t.Fatal("an offer during the wrap-up")
		}
		h.wait(2 * time.Minute)
		if got := h.ticket(k.ID); got.State != queue.Done || got.Outcome != "served" {
			t.Fatalf("%+v", got)
		}
		h.offered(h.lawyer)
	})
}

func TestKilled(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		// tv0 is in a call, tv1 rings, tv2 waits, tv3 has missed
		k0, id0 := h.call(h.tv[0], h.lawyer, mediation.Consult)
		h.live(id0, media.RoleParty, media.AttachView)
		h.live(id0, media.RoleMediator, media.AttachFull)
		h.ready(h.second)
		k3 := h.join(h.tv[3], mediation.Consult)
		h.accept(h.second)
		_, err := h.flow.Answer(h.ctx(), h.cmd("ticket.answer", byTV(h.tv[3]), newKey()), h.tv[3], k3.ID, false)
		h.ok(err)
		k1 := h.join(h.tv[1], mediation.Consult)
		h.accept(h.second)
		k2 := h.join(h.tv[2], mediation.Consult)
		h.wait(4 * time.Second)
		h.match()
		ahead := h.situation(h.tv[2]).Ticket.Ahead
		fence, epoch := h.engine.spec(id0).Fence, h.engine.spec(id0).Epoch

		h.kill(time.Hour)

		if s := h.situation(h.tv[0]); s.Session == nil || s.Session.State != session.Joint || s.Ticket.State != queue.Serving {
			t.Fatalf("in the call: %+v", s.Session)
		}
		spec := h.engine.spec(id0)
		if spec.Fence != fence+1 || spec.Epoch <= epoch || spec.Members[0].Zone != media.ZoneJoint {
			t.Errorf("the room stands again: %+v", spec)
		}
		if s := h.situation(h.tv[1]); s.Ticket.State != queue.Ringing || s.Ticket.Ring.UntilAt < h.now()+20e6 {
			t.Errorf("the ring's time went on during the downtime: %+v now %d", s.Ticket.Ring, h.now())
		}
		if s := h.situation(h.tv[2]); s.Ticket.State != queue.Waiting || s.Ticket.Ahead > ahead {
			t.Errorf("waiting: %+v, before %d", s.Ticket, ahead)
		}
		if s := h.situation(h.tv[3]); s.Ticket.State != queue.Missed || *s.Ticket.UntilAt < h.now()+590e6 {
			t.Errorf("missed: %+v", s.Ticket)
		}
		// everybody comes back
		h.ok(h.desk.SeatLink(h.ctx(), h.lawyer, true))
		h.ok(h.desk.SeatLink(h.ctx(), h.second, true))
		if d := h.deskOf(h.lawyer); d.Session == nil || d.Session.ID != id0 || d.Seat.State != queue.SeatBusy {
			t.Errorf("the desk returns into the call: %+v", d)
		}
		for _, who := range []session.Who{{Device: h.tv[0]}, {Staff: h.lawyer}} {
			kind := media.AttachView
			if who.Staff != "" {
				kind = media.AttachFull
			}
			entry, _, err := h.rooms.Entry(h.ctx(), who, h.cmd("room.enter", byTV(h.tv[0]), ""), id0, kind)
			h.ok(err)
			if entry.Fence != fence+1 {
				t.Errorf("entry %+v", entry)
			}
		}
		h.live(id0, media.RoleParty, media.AttachView)
		h.live(id0, media.RoleMediator, media.AttachFull)
		h.wait(5 * time.Minute)
		if got := h.ticket(k0.ID); got.State != queue.Serving {
			t.Errorf("the call did not survive: %+v", got)
		}
		if got := h.ticket(k1.ID); got.State != queue.Missed {
			t.Errorf("five minutes later the ring is %s", got.State)
		}
		if got := h.ticket(k2.ID); !got.State.InLine() {
			t.Errorf("who waited is %s", got.State)
		}
	})
}

// Somebody was lost when the process died: he is not adjourned for the time in which nobody could come back.
func TestKilledWhileSuspended(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k, id := h.call(h.tv[0], h.lawyer, mediation.Consult)
		h.live(id, media.RoleMediator, media.AttachFull)
		h.wait(2 * time.Minute)
		if s := h.situation(h.tv[0]); s.Session.State != session.Suspended {
			t.Fatalf("%+v", s.Session)
		}
		h.kill(time.Hour)
		h.ok(h.desk.SeatLink(h.ctx(), h.lawyer, true))
		if s := h.situation(h.tv[0]); s.Session == nil || s.Session.State != session.Suspended || *s.Session.SuspendedUntilAt < h.now()+110e6 {
			t.Fatalf("after the restart: %+v now %d", s.Session, h.now())
		}
		h.live(id, media.RoleParty, media.AttachView)
		h.live(id, media.RoleMediator, media.AttachFull)
		if s := h.situation(h.tv[0]); s.Session.State != session.Joint {
			t.Errorf("both are back: %+v", s.Session)
		}
		h.wait(2 * time.Minute)
		if got := h.ticket(k.ID); got.State != queue.Serving {
			t.Errorf("%+v", got)
		}
	})
}

// An engine that fails while the answer is given: the sweep brings the room to it.
func TestRoomIsAppliedLater(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.ready(h.lawyer)
		k := h.join(h.tv[0], mediation.Consult)
		h.accept(h.lawyer)
		h.engine.fail(1)
		h.take(h.tv[0], k.ID)
		id := h.ticket(k.ID).Session
		if h.engine.spec(id).Phase != string(session.Lobby) {
			t.Fatalf("%+v", h.engine.spec(id))
		}
		h.ok(h.rooms.Step(h.ctx()))
		if h.engine.spec(id).Phase != string(session.Joint) {
			t.Errorf("%+v", h.engine.spec(id))
		}
		list, err := h.store.PendingRooms(h.ctx(), testNode)
		h.ok(err)
		if len(list) != 0 {
			t.Errorf("still to apply: %+v", list)
		}
	})
}
