package store_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/media/nodes"
	"heyi/mediation"
	"heyi/mediation/session"
)

// around is a directory that reads SQL at every question; the first candidate of two is always the first.
type around struct {
	h    *house
	self string
}

func (a around) Where(string) (string, nodes.Reach) { return "", nodes.Here }

func (a around) Place(list []nodes.Node) (string, error) {
	return nodes.Choose(list, nodes.Choice{Self: a.self, Now: a.h.now(), IntN: func(int) int { return 0 }})
}

// site is one media node: an executor with an engine of its own.
type site struct {
	*session.Executor
	engine *engine
	held   bool
}

func (h *house) site(name string) *site {
	h.t.Helper()
	h.mediaNode(name, 9)
	s := &site{engine: newEngine(), held: true}
	s.Executor = session.NewExecutor(session.ExecutorDeps{
		Store: h.store, Engine: s.engine, Nudges: h.nudges, Node: name, Hosts: around{h, name}, Held: func() bool { return s.held },
		Now: h.clock.Now, Logger: slog.New(slog.DiscardHandler), FrozenMax: time.Minute,
	})
	return s
}

// renew extends a node's first lease.
func (h *house) renew(name string) {
	h.t.Helper()
	_, err := h.store.RenewLeases(h.ctx(), name, map[string]int64{nodes.Lease(name): 1}, 4*time.Second, h.clock.Now())
	h.ok(err)
}

// meet brings a call to the node m1, with m2 beside it.
func (h *house) meet() (m1, m2 *site, k session.Session) {
	h.t.Helper()
	h.spread()
	m1 = h.site("m1")
	ticket, _ := h.call(h.tv[0], h.lawyer, mediation.Consult)
	k = h.placed(ticket.ID)
	if k.Node != "m1" {
		h.t.Fatalf("the room is on %s", k.Node)
	}
	m2 = h.site("m2")
	h.ok(m1.Step(h.ctx()))
	if !m1.runs(k.ID) {
		h.t.Fatal("m1 does not run the room")
	}
	return m1, m2, k
}

func (s *site) runs(id ident.SessionID) bool {
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	for _, spec := range s.engine.rooms {
		if spec.Session == id {
			return true
		}
	}
	return false
}

func TestARoomOutlivesItsNode(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		m1, m2, k := h.meet()
		h.refused(m2.TakeOver(h.ctx(), "m1"), "room.node_lives")
		h.clock.Advance(5 * time.Second)
		h.renew("m2")
		h.nudges.got("", 0)
		h.ok(m2.TakeOver(h.ctx(), "m1"))
		now := h.sessionIn(k.Room)
		if now.Node != "m2" || now.Fence != k.Fence+1 || now.State != k.State || now.OverlapUntil != 0 {
			t.Errorf("taken over: %+v", now)
		}
		for i := range now.Members {
			if now.Members[i].Zone != k.Members[i].Zone {
				t.Errorf("zone %s became %s", k.Members[i].Zone, now.Members[i].Zone)
			}
		}
		if !m2.runs(k.ID) {
			t.Error("m2 does not run what it took")
		}
		h.nudges.mu.Lock()
		for _, to := range []string{"staff/" + string(h.lawyer), "device/" + string(h.tv[0])} {
			if !slices.ContainsFunc(h.nudges.list, func(n coord.Nudge) bool { return n.To == to && n.T == wire.RTCMove && n.Why == "lost" }) {
				t.Errorf("%s is not told", to)
			}
		}
		h.nudges.mu.Unlock()
		h.ok(m2.TakeOver(h.ctx(), "m1")) // nothing is left to take

		// the paused node goes on where it stopped: with its presence, its rooms, its applied epochs
		m1.Watch(media.Presence{Room: k.Room, Fence: k.Fence, Participant: k.Members[0].ID})
		m2.Watch(media.Presence{Room: k.Room, Fence: now.Fence, Participant: k.Members[0].ID, Live: []media.AttachKind{media.AttachView}})
		h.ok(m2.Step(h.ctx()))
		h.ok(m1.Step(h.ctx()))
		if m1.runs(k.ID) {
			t.Error("m1 still runs the room")
		}
		if got := h.sessionIn(k.Room); len(got.Members[0].Live) != 1 || got.Fence != now.Fence {
			t.Errorf("the old node's word counts: %+v", got.Members[0])
		}
		h.ok(m1.Restart(h.ctx()))
		if got := h.sessionIn(k.Room); got.Node != "m2" || got.Fence != now.Fence {
			t.Errorf("restarted, the old node took the room back: on %s, fence %d", got.Node, got.Fence)
		}
	})
}

func TestRoomsOfADeadNodeWaitForAPlace(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(_ *testing.T, h *house) {
		_, m2, _ := h.meet()
		h.clock.Advance(5 * time.Second)
		h.renew("m2")
		h.ok(h.store.DrainMediaNode(h.ctx(), "m2", 1))
		h.refused(m2.TakeOver(h.ctx(), "m1"), "media.no_node")
		h.ok(h.store.RegisterMediaNode(h.ctx(), nodes.Node{Name: "m2", Inc: 1, URL: "https://m2.example", MaxRooms: 9}, h.now()))
		h.ok(m2.TakeOver(h.ctx(), "m1"))
	})
}

func TestRoomsFreezeWithoutTheLease(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		m1, m2, k := h.meet()
		frozen := m1.Look(h.ctx(), time.Time{})
		if !frozen.IsZero() || m1.engine.frozen {
			t.Error("frozen with the lease held")
		}
		m1.held = false
		if frozen = m1.Look(h.ctx(), frozen); frozen.IsZero() || !m1.engine.frozen || !m1.runs(k.ID) {
			t.Error("without the lease rooms are not frozen")
		}
		h.clock.Advance(30 * time.Second)
		if frozen = m1.Look(h.ctx(), frozen); !m1.runs(k.ID) {
			t.Error("a frozen room closed too early")
		}
		m1.held = true
		if frozen = m1.Look(h.ctx(), frozen); !frozen.IsZero() || m1.engine.frozen || !m1.runs(k.ID) {
			t.Error("with the lease back the room does not thaw")
		}

		// what went elsewhere meanwhile does not thaw
		m1.held = false
		frozen = m1.Look(h.ctx(), frozen)
		h.renew("m2")
		h.ok(m2.TakeOver(h.ctx(), "m1"))
		m1.held = true
		if frozen = m1.Look(h.ctx(), frozen); !frozen.IsZero() || m1.runs(k.ID) {
			t.Error("a room that was taken over thaws")
		}
		m2.held = false
		frozen = m2.Look(h.ctx(), frozen)
		h.clock.Advance(time.Minute)
		m2.Look(h.ctx(), frozen)
		if m2.runs(k.ID) {
			t.Error("a room is frozen for ever")
		}
		if got := h.sessionIn(k.Room); !got.State.Live() {
			t.Errorf("the session is %s: a room that closes ends no session", got.State)
		}
	})
}

func TestDrainMovesRooms(t *testing.T) {
	t.Parallel()
	rule := session.DrainRule{Deadline: time.Minute, Overlap: 5 * time.Second, Settle: 10 * time.Second}
	eachHouse(t, func(t *testing.T, h *house) {
		m1, m2, k := h.meet()
		h.ok(h.store.DrainMediaNode(h.ctx(), "m1", 1))
		ctx, cancel := context.WithCancel(h.ctx())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- m1.Drain(ctx, rule) }()
		until := func(what string, f func() bool) {
			t.Helper()
			tick, end := time.NewTicker(10*time.Millisecond), time.After(20*time.Second)
			defer tick.Stop()
			for !f() {
				select {
				case err := <-ended:
					t.Fatalf("the drain ended (%v) before: %s", err, what)
				case <-end:
					t.Fatal("not so: ", what)
				case <-tick.C:
				}
			}
		}
		// the OK was a change of zone: the room rests first
		h.clock.Advance(9 * time.Second)
		h.renew("m2")
		if now := h.sessionIn(k.Room); now.Node != "m1" {
			t.Fatalf("moved to %s right after a change of zone", now.Node)
		}
		h.clock.Advance(2 * time.Second)
		h.renew("m2")
		until("the room moved", func() bool { return h.sessionIn(k.Room).Node == "m2" })
		until("its people are told", func() bool {
			m1.engine.mu.Lock()
			defer m1.engine.mu.Unlock()
			return slices.Contains(m1.engine.left, string(k.Room)+" drain")
		})
		now := h.sessionIn(k.Room)
		if now.Fence != k.Fence+1 || now.OverlapUntil != h.now()+rule.Overlap.Microseconds() {
			t.Errorf("moved: %+v", now)
		}
		h.ok(m1.Step(h.ctx()))
		if !m1.runs(k.ID) {
			t.Error("the old node let go before the new connections could be up")
		}
		h.ok(m2.Step(h.ctx()))
		if !m2.runs(k.ID) {
			t.Error("the new node does not run the room")
		}
		_, err := h.store.ChangeSession(h.ctx(), mediation.System("convert", "test", h.now()), k.ID, func(s *session.Session) error {
			return s.Convert(session.Defaults(), h.now())
		})
		if fault.CodeOf(err) != "session.moving" {
			t.Errorf("a change of zone while two nodes play: %v", err)
		}
		h.clock.Advance(5 * time.Second)
		if err := <-ended; err != nil {
			t.Errorf("the drain ended with %v", err)
		}
		if m1.runs(k.ID) {
			t.Error("the old node still plays")
		}
		_, err = h.store.ChangeSession(h.ctx(), mediation.System("convert", "test", h.now()), k.ID, func(s *session.Session) error {
			return s.Convert(session.Defaults(), h.now())
		})
		h.ok(err)
	})
}

func TestDrainByForce(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		m1, _, k := h.meet()
		h.ok(h.store.DrainMediaNode(h.ctx(), "m1", 1))
		h.ok(m1.Drain(h.ctx(), session.DrainRule{Overlap: 5 * time.Second, Settle: time.Hour})) // its deadline is now
		if now := h.sessionIn(k.Room); now.Node != "m2" || now.OverlapUntil != 0 {
			t.Errorf("on %s, overlap until %d", now.Node, now.OverlapUntil)
		}
		if m1.runs(k.ID) {
			t.Error("the old node still plays")
		}
	})
}
