package store_test

import (
	"slices"
	"testing"
	"time"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
	"heyi/mediation/session"
	"heyi/store"
)

// kiosk installs a shared terminal with an open visit.
func (h *house) kiosk(kind devices.Kind) ident.DeviceID {
	h.t.Helper()
	id := h.install(20, "150426106201", false)
	h.set(`UPDATE device SET kind = $2 WHERE id = $1`, id, kind)
	return id
}

// set changes a row behind the services' back.
func (h *house) set(query string, args ...any) {
	h.t.Helper()
	h.ok(h.store.Write(h.ctx(), func(t *store.Tx) error {
		_, err := t.Exec(query, args...)
		return err
	}))
}

// paired makes a phone the camera of a terminal.
func (h *house) paired(id ident.DeviceID) (cookie string, grant ident.GrantID) {
	h.t.Helper()
	o, err := h.pair(id)
	h.ok(err)
	cookie, g, err := h.captures.Redeem(h.ctx(), "a", o.Token, "")
	h.ok(err)
	return cookie, g.ID
}

// leave closes the open visit of a terminal.
func (h *house) leave(id ident.DeviceID) {
	h.t.Helper()
	cmd := h.cmd("visit.close", byTV(id), "")
	h.ok(h.flow.CloseVisit(h.ctx(), cmd, flow.VisitClose{Device: id, Visit: h.visits[id], Why: "left"}))
}

// empty demands that a terminal shows nothing of anybody.
func (h *house) empty(id ident.DeviceID) {
	h.t.Helper()
	if s := h.situation(id); s.Ticket != nil || s.Session != nil || s.Rating != nil || s.Capture.Paired {
		h.t.Errorf("the terminal shows %+v", s)
	}
}

// What is left at a shared terminal ends with the visit, whatever state it is in, and the next person draws at once.
func TestLeavingASharedTerminalGivesTheTicketUp(t *testing.T) {
	t.Parallel()
	states := map[queue.State]func(h *house, id ident.DeviceID){
		queue.Waiting: func(h *house, id ident.DeviceID) { h.join(id, mediation.Consult) },
		queue.Parked: func(h *house, id ident.DeviceID) {
			h.join(id, mediation.Consult)
			h.link(id, devices.Offline)
			h.wait(130 * time.Second)
		},
		queue.Offered: func(h *house, id ident.DeviceID) {
			h.ready(h.lawyer)
			h.join(id, mediation.Consult)
			h.offered(h.lawyer)
		},
		queue.Ringing: func(h *house, id ident.DeviceID) {
			h.ready(h.lawyer)
			h.join(id, mediation.Consult)
			h.accept(h.lawyer)
		},
		queue.Missed: func(h *house, id ident.DeviceID) {
			h.ready(h.lawyer)
			k := h.join(id, mediation.Consult)
			h.accept(h.lawyer)
			_, err := h.flow.Answer(h.ctx(), h.cmd("ticket.answer", byTV(id), newKey()), id, k.ID, false)
			h.ok(err)
		},
	}
	eachHouse(t, func(t *testing.T, h *house) {
		for _, kind := range []devices.Kind{devices.Kiosk, devices.Tablet} {
			id := h.kiosk(kind)
			for want, bring := range states {
				bring(h, id)
				var k queue.Ticket
				h.ok(h.store.One(h.ctx(), `SELECT id, state, session_id FROM ticket WHERE device_id = $1 AND closed_at = 0`, []any{id}, &k.ID, &k.State, &k.Session))
				if k.State != want {
					t.Fatalf("%s: the ticket is %s, want %s", kind, k.State, want)
				}
				h.nudges.got("", 0)
				h.leave(id)
				if now := h.ticket(k.ID); now.State != queue.Cancelled {
					t.Errorf("%s: a %s ticket became %s", kind, want, now.State)
				}
				if types := h.chain("ticket", string(k.ID)); types[len(types)-1] != "ticket.cancel" {
					t.Errorf("%s, %s: events %v", kind, want, types)
				}
				if want == queue.Ringing {
					if !h.nudges.got("staff/"+string(h.lawyer), wire.RoomEnded) {
						t.Error("the desk that rang heard nothing")
					}
					if !h.engine.closed(k.Session) {
						t.Error("the room of the ring stands")
					}
				}
				if d := h.deskOf(h.lawyer); want != queue.Waiting && (d.Offer != nil || d.Session != nil || d.Seat.State == queue.SeatBusy) {
					t.Errorf("%s, %s: the desk keeps %+v", kind, want, d)
				}
				h.empty(id)
				h.link(id, devices.Connected)
				h.visit(id)
				h.empty(id)
				_, err := h.desk.Return(h.ctx(), h.cmd("ticket.return", byTV(id), newKey()), id, k.ID)
				h.refused(err, "ticket.state")
				h.away(h.lawyer)
			}
			h.retire(id)
		}
	})
}

func (h *house) away(id ident.StaffID) {
	h.t.Helper()
	_, err := h.desk.SetSeat(h.ctx(), h.cmd("seat.set", byStaff(id), ""), id, queue.SeatAway, "break")
	h.ok(err)
}

// retire makes room for the next terminal of the same serial.
func (h *house) retire(id ident.DeviceID) {
	h.t.Helper()
	h.set(`UPDATE device SET serial = $2 WHERE id = $1`, id, string(id))
}

// Who leaves a shared terminal during a call leaves it for good: the next person finds nothing of it and is served while
// the mediator still writes.
func TestLeavingASharedTerminalLeavesTheCallForGood(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		id := h.kiosk(devices.Kiosk)
		_, phone := h.paired(id)
		k, meeting := h.call(id, h.lawyer, mediation.Consult)
		who := session.Who{Device: id}
		_, _, err := h.rooms.Entry(h.ctx(), who, h.cmd("room.enter", byTV(id), ""), meeting, media.AttachView)
		h.ok(err)
		h.live(meeting, media.RoleMediator, media.AttachFull)
		h.live(meeting, media.RoleParty, media.AttachView)
		if h.deskOf(h.lawyer).Session.Left {
			t.Error("the desk says that nobody is there")
		}
		h.leave(id)

		refuse := func() {
			t.Helper()
			h.empty(id)
			for _, w := range []session.Who{who, {Device: id, Grant: phone}} {
				_, _, err := h.rooms.Entry(h.ctx(), w, h.cmd("room.enter", byTV(id), ""), meeting, media.AttachView)
				if w.Grant != "" {
					h.refused(err, "capture.over")
				} else {
					h.refused(err, "session.none")
				}
			}
			_, err := h.flow.Answer(h.ctx(), h.cmd("ticket.answer", byTV(id), newKey()), id, k.ID, true)
			h.refused(err, "queue.no_ticket")
			h.refused(h.flow.Leave(h.ctx(), h.cmd("session.leave", byTV(id), newKey()), id, meeting), "session.none")
			_, err = h.records.Rate(h.ctx(), h.cmd("session.rate", byTV(id), newKey()), meeting, id, 5)
			h.refused(err, "session.none")
		}
		refuse()
		if spec := h.engine.spec(meeting); len(spec.Members) != 1 || spec.Members[0].Role != media.RoleMediator || spec.Closed {
			t.Errorf("the room is %+v", spec)
		}
		if types := h.chain("session", string(meeting)); types[len(types)-1] != "session.leave" {
			t.Errorf("events %v", types)
		}
		if d := h.deskOf(h.lawyer); d.Session == nil || !d.Session.Left || d.Session.State != session.Suspended || d.Seat.State != queue.SeatBusy {
			t.Errorf("the desk shows %+v", d)
		}
		// presence of the mediator alone wakes no meeting
		h.live(meeting, media.RoleMediator)
		h.live(meeting, media.RoleMediator, media.AttachFull)
		if d := h.deskOf(h.lawyer); d.Session == nil || d.Session.State != session.Suspended {
			t.Errorf("the desk shows %+v", d.Session)
		}

		h.visit(id)
		refuse()
		next, second := h.call(id, h.second, mediation.Consult)
		if s := h.situation(id); s.Ticket == nil || s.Ticket.ID != next.ID || s.Session == nil || s.Session.ID != second {
			t.Errorf("the next person sees %+v", s)
		}
		h.nudges.got("", 0)
		h.ok(h.control(h.lawyer, meeting, flow.OpEnd))
		if h.nudges.got("device/"+string(id), wire.RoomEnded) {
			t.Error("the next person heard of the former call's end")
		}
		if s := h.situation(id); s.Rating != nil || s.Session == nil || s.Session.ID != second {
			t.Errorf("after the former call's end the next person sees %+v", s)
		}
		_, err = h.records.Rate(h.ctx(), h.cmd("session.rate", byTV(id), newKey()), meeting, id, 5)
		h.refused(err, "session.none")
		h.ok(h.control(h.second, second, flow.OpEnd))
		if s := h.situation(id); s.Rating == nil || s.Rating.SessionID != second {
			t.Errorf("nobody asks the next person: %+v", s.Rating)
		}
		_, err = h.records.Rate(h.ctx(), h.cmd("session.rate", byTV(id), newKey()), second, id, 5)
		h.ok(err)
	})
}

// A meeting whose person is gone never comes back to the line, however it breaks off.
func TestMeetingOfOneWhoIsGoneIsOver(t *testing.T) {
	t.Parallel()
	ends := map[string]func(h *house, meeting ident.SessionID){
		"the mediator adjourns": func(h *house, meeting ident.SessionID) { h.ok(h.control(h.lawyer, meeting, flow.OpAdjourn)) },
		"nobody does anything":  func(h *house, _ ident.SessionID) { h.wait(11 * time.Minute) },
		"the desk is lost": func(h *house, meeting ident.SessionID) {
			h.live(meeting, media.RoleMediator)
			h.ok(h.desk.SeatLink(h.ctx(), h.lawyer, false))
			h.wait(65 * time.Second)
		},
	}
	eachHouse(t, func(t *testing.T, h *house) {
		for name, end := range ends {
			id := h.kiosk(devices.Kiosk)
			k, meeting := h.call(id, h.lawyer, mediation.Consult)
			h.live(meeting, media.RoleMediator, media.AttachFull)
			h.leave(id)
			end(h, meeting)
			if now := h.ticket(k.ID); now.State != queue.Abandoned {
				t.Errorf("%s: the ticket is %s", name, now.State)
			}
			if d := h.deskOf(h.lawyer); d.Session != nil || d.Seat.State == queue.SeatBusy {
				t.Errorf("%s: the desk keeps %+v", name, d)
			}
			h.retire(id)
		}
	})
}

// A terminal that is taken out of service closes its visit without a command of the person: the sweep ends what he left.
func TestOutOfServiceEndsWhatWasLeft(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		waiting := h.kiosk(devices.Kiosk)
		h.retire(waiting)
		talking := h.kiosk(devices.Kiosk)
		k, meeting := h.call(talking, h.lawyer, mediation.Consult)
		w := h.join(waiting, mediation.Mediate)
		for _, id := range []ident.DeviceID{waiting, talking} {
			h.set(`UPDATE visit SET closed_at = 1, why = 'device' WHERE device_id = $1`, id)
			h.empty(id)
		}
		due, err := h.store.Due(h.ctx(), h.now(), 10)
		h.ok(err)
		if !slices.Contains(due, queue.Ref{Ticket: k.ID}) || !slices.Contains(due, queue.Ref{Ticket: w.ID}) {
			t.Errorf("due %v", due)
		}
		h.sweep()
		if now := h.ticket(w.ID); now.State != queue.Cancelled {
			t.Errorf("the waiting ticket is %s", now.State)
		}
		_, _, err = h.rooms.Entry(h.ctx(), session.Who{Device: talking}, h.cmd("room.enter", byTV(talking), ""), meeting, media.AttachView)
		h.refused(err, "session.none")
		if due, err = h.store.Due(h.ctx(), h.now(), 10); err != nil || len(due) > 0 {
			t.Errorf("still due %v, %v", due, err)
		}
		h.ok(h.control(h.lawyer, meeting, flow.OpEnd))
	})
}

// A household's TV keeps what it drew: the ticket outlives the visit and the session can be entered again.
func TestHouseholdTVKeepsItsTicket(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tv := h.tv[0]
		k := h.join(tv, mediation.Consult)
		h.leave(tv)
		if s := h.situation(tv); s.Visit != nil || s.Ticket == nil || s.Ticket.ID != k.ID || s.Ticket.State != queue.Waiting {
			t.Errorf("after the visit the TV shows %+v", s)
		}
		h.visit(tv)
		_, err := h.desk.Join(h.ctx(), h.cmd("ticket.create", byTV(tv), newKey()), tv, mediation.Consult, mediation.Wages, mediation.Chinese)
		h.refused(err, "queue.already_waiting")
		h.ready(h.lawyer)
		h.accept(h.lawyer)
		h.take(tv, k.ID)
		meeting := h.ticket(k.ID).Session
		h.leave(tv)
		h.visit(tv)
		_, _, err = h.rooms.Entry(h.ctx(), session.Who{Device: tv}, h.cmd("room.enter", byTV(tv), ""), meeting, media.AttachView)
		h.ok(err)
		h.ok(h.control(h.lawyer, meeting, flow.OpEnd))
		if s := h.situation(tv); s.Rating == nil || s.Rating.SessionID != meeting {
			t.Errorf("rating %+v", s.Rating)
		}
	})
}
