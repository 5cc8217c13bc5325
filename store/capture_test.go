package store_test

import (
	"slices"
	"testing"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/session"
)

func (h *house) pair(tv ident.DeviceID) (session.Offered, error) {
	return h.captures.Offer(h.ctx(), tv, h.cmd("capture.create", byTV(tv), newKey()))
}

func TestPhoneAsCamera(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tv := h.tv[0]
		key := newKey()
		offer := func() session.Offered {
			o, err := h.captures.Offer(h.ctx(), tv, h.cmd("capture.create", byTV(tv), key))
			h.ok(err)
			return o
		}
		o := offer()
		if again := offer(); again != o {
			t.Errorf("a repeat answers %+v, first %+v", again, o)
		}
		for range 2 { // looking spends nothing
			found, err := h.captures.Peek(h.ctx(), "a", o.Token, "")
			h.ok(err)
			if found.DeviceName != "电视0" || len(found.Place) != 4 {
				t.Errorf("%+v", found)
			}
		}
		_, _, err := h.captures.Redeem(h.ctx(), "a", "", "0000-0000")
		h.refused(err, "capture.unknown")
		cookie, g, err := h.captures.Redeem(h.ctx(), "a", o.Token, "")
		h.ok(err)
		if g.Device != tv {
			t.Errorf("%+v", g)
		}
		_, _, err = h.captures.Redeem(h.ctx(), "b", o.Token, "")
		h.refused(err, "capture.spent")
		_, _, err = h.captures.Redeem(h.ctx(), "b", "", o.Code)
		h.refused(err, "capture.spent")
		if s := h.situation(tv); !s.Capture.Paired || s.Capture.Live {
			t.Errorf("%+v", s.Capture)
		}

		// the grant was made before the ticket and follows it into the call
		_, id := h.call(tv, h.lawyer, mediation.Consult)
		enter := func(g ident.GrantID, kind media.AttachKind) error {
			_, _, err := h.rooms.Entry(h.ctx(), session.Who{Grant: g}, h.cmd("room.enter", byTV(tv), ""), id, kind)
			return err
		}
		h.ok(enter(g.ID, media.AttachCapture))
		h.live(id, media.RoleParty, media.AttachView, media.AttachCapture)
		if s := h.situation(tv); !s.Capture.Live {
			t.Errorf("%+v", s.Capture)
		}
		if d := h.deskOf(h.lawyer); !d.Session.Ticket.Capture || !slices.Equal(d.Session.Members[0].Attach, []string{"view", "capture"}) {
			t.Errorf("%+v", d.Session)
		}

		// a second phone replaces the first
		o2, err := h.pair(tv)
		h.ok(err)
		h.nudges.got("", 0)
		cookie2, g2, err := h.captures.Redeem(h.ctx(), "c", "", o2.Code[:4]+o2.Code[5:])
		h.ok(err)
		if !h.nudges.got("capture/"+string(g.ID), wire.VisitClose) {
			t.Error("the first phone was not told")
		}
		_, err = h.captures.ByCookie(h.ctx(), cookie)
		h.refused(err, "capture.over")
		h.refused(enter(g.ID, media.AttachCapture), "capture.over")
		h.ok(h.rooms.Step(h.ctx()))
		if kinds := partyKinds(h.engine.spec(id)); !slices.Equal(kinds, []media.AttachKind{media.AttachView}) {
			t.Errorf("the first phone stands in the room: %v", kinds)
		}
		h.ok(enter(g2.ID, media.AttachCapture))

		// the visit's end is the phone's end, in the room too
		_, err = h.captures.ByCookie(h.ctx(), cookie2)
		h.ok(err)
		closed, err := h.store.CloseVisit(h.ctx(), h.cmd("visit.close", byTV(tv), ""), flow.VisitClose{Device: tv, Visit: h.visits[tv], Why: "left"}, nil)
		h.ok(err)
		if !slices.Contains(closed.Grants, g2.ID) {
			t.Errorf("grants of the visit: %v", closed.Grants)
		}
		_, err = h.captures.ByCookie(h.ctx(), cookie2)
		h.refused(err, "capture.over")
		h.ok(h.rooms.Step(h.ctx()))
		if kinds := partyKinds(h.engine.spec(id)); !slices.Equal(kinds, []media.AttachKind{media.AttachView}) {
			t.Errorf("the second phone stands in the room: %v", kinds)
		}
		_, err = h.pair(tv)
		h.refused(err, "visit.required")
		h.chain("capture", string(g.ID))
		h.chain("session", string(id))
	})
}

func partyKinds(s media.RoomSpec) []media.AttachKind {
	var list []media.AttachKind
	for _, m := range s.Members {
		for _, a := range m.Attach {
			if m.Role == media.RoleParty {
				list = append(list, a.Kind)
			}
		}
	}
	return list
}

func TestPhoneDrops(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		o, err := h.pair(h.tv[0])
		h.ok(err)
		h.clock.Advance(10 * time.Minute)
		_, _, err = h.captures.Redeem(h.ctx(), "a", o.Token, "")
		h.refused(err, "capture.expired")
		o, err = h.pair(h.tv[0])
		h.ok(err)
		cookie, g, err := h.captures.Redeem(h.ctx(), "a", o.Token, "")
		h.ok(err)
		before := h.situation(h.tv[0]).Ver
		for range 2 {
			h.ok(h.captures.Drop(h.ctx(), g.ID))
		}
		_, err = h.captures.ByCookie(h.ctx(), cookie)
		h.refused(err, "capture.over")
		if s := h.situation(h.tv[0]); s.Capture.Paired || s.Ver <= before {
			t.Errorf("%+v after version %d", s, before)
		}
		for range 10 {
			_, _, err = h.captures.Redeem(h.ctx(), "z", "", "AAAA-AAAA")
			h.refused(err, "capture.unknown")
		}
		_, _, err = h.captures.Redeem(h.ctx(), "z", "", "AAAA-AAAA")
		h.refused(err, "capture.too_many")
	})
}
