package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/media/nodes"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/session"
)

// mediaNode registers a node that lives until the clock moves by a lease.
func (h *house) mediaNode(name string, most int) {
	h.t.Helper()
	epoch, ok, err := h.store.AcquireLease(h.ctx(), nodes.Lease(name), name, 4*time.Second, h.clock.Now())
	h.ok(err)
	if !ok {
		h.t.Fatalf("the lease of %s is held", name)
	}
	h.ok(h.store.RegisterMediaNode(h.ctx(), nodes.Node{Name: name, Inc: epoch, URL: "https://" + name + ".example", MaxRooms: most}, h.now()))
}

// spread lets the house place rooms as a node of the directory does; the first candidate of two is always the first.
func (h *house) spread() {
	h.flow = flow.New(flow.Deps{
		Store: h.store, Rooms: h.rooms, Nudges: h.nudges, Node: testNode, Queue: h.limits, Logger: slog.New(slog.DiscardHandler),
		Place: func(list []nodes.Node) (string, error) {
			return nodes.Choose(list, nodes.Choice{Self: testNode, Now: h.now(), IntN: func(int) int { return 0 }})
		},
	})
}

// placed returns where the session of a ticket stands.
func (h *house) placed(k ident.TicketID) session.Session {
	h.t.Helper()
	var room ident.RoomID
	h.ok(h.store.One(h.ctx(), `SELECT room_placement.room FROM room_placement JOIN session ON session.id = room_placement.session_id WHERE session.ticket_id = $1`, []any{k}, &room))
	return h.sessionIn(room)
}

func (h *house) sessionIn(room ident.RoomID) session.Session {
	h.t.Helper()
	id, err := h.store.SessionOfRoom(h.ctx(), room)
	h.ok(err)
	c, err := h.store.ChangeSession(h.ctx(), mediation.System("look", "test", h.now()), id, func(*session.Session) error { return nil })
	h.ok(err)
	return c.After
}

// ring brings a ticket of a terminal to a session in the lobby.
func (h *house) ring(tv ident.DeviceID, staff ident.StaffID) ident.TicketID {
	h.t.Helper()
	h.ready(staff)
	k := h.join(tv, mediation.Consult)
	h.accept(staff)
	return k.ID
}

func TestARoomIsPlacedWithItsSession(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.spread()
		if k := h.placed(h.ring(h.tv[0], h.lawyer)); k.Node != testNode {
			t.Errorf("without a directory: on %s", k.Node)
		}
		h.mediaNode("m1", 1)
		h.mediaNode("m2", 2)
		k := h.ring(h.tv[1], h.second)
		first := h.placed(k)
		if first.Node == testNode {
			t.Errorf("with a directory: on %s, which nobody reaches", first.Node)
		}
		list, err := h.store.MediaNodes(h.ctx())
		h.ok(err)
		for _, n := range list {
			if want := map[bool]int{true: 1}[n.Name == first.Node]; n.Rooms != want || !n.Live(h.now()) {
				t.Errorf("%s counts %d rooms, want %d, and lives: %v", n.Name, n.Rooms, want, n.Live(h.now()))
			}
		}
		p, err := h.store.PlacementOf(h.ctx(), first.Room)
		h.ok(err)
		if p.Node != first.Node || p.Session != first.ID || p.Spec.Fence != 1 || p.Spec.Epoch != first.Epoch {
			t.Errorf("placement %+v", p)
		}
		_, err = h.store.PlacementOf(h.ctx(), ident.New[ident.RoomID]())
		h.refused(err, "session.none")

		// nobody can have more rooms than it takes: an accepted offer that finds no place stays open
		h.ok(h.store.DrainMediaNode(h.ctx(), "m2", 1))
		h.ok(h.store.DrainMediaNode(h.ctx(), "m1", 1))
		h.ready(h.judge)
		h.join(h.tv[2], mediation.Mediate)
		o := h.offered(h.judge)
		h.refused(h.flow.Accept(h.ctx(), h.cmd("offer.accept", byStaff(h.judge), ""), h.judge, o.ID, o.Ver), "media.no_node")
		h.mediaNodeAgain("m1")
		h.ok(h.flow.Accept(h.ctx(), h.cmd("offer.accept", byStaff(h.judge), ""), h.judge, o.ID, o.Ver))
	})
}

// mediaNodeAgain is the node's next incarnation.
func (h *house) mediaNodeAgain(name string) {
	h.t.Helper()
	_, taken, err := h.store.StartNode(h.ctx(), name, "folder", 4*time.Second, h.clock.Now())
	h.ok(err)
	h.ok(h.store.RegisterMediaNode(h.ctx(), nodes.Node{Name: name, Inc: taken[0].Epoch, URL: "https://" + name + ".example", MaxRooms: 9}, h.now()))
}

// Placements that happen at once see each other: no node gets more rooms than it takes.
func TestPlacementsAtOnceKeepTheCapacity(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.spread()
		h.mediaNode("m1", 1)
		h.mediaNode("m2", 1)
		seats := []ident.StaffID{h.lawyer, h.second, h.hire("lawyer3", "150426000000", "lawyer")}
		offers := make([]flow.OfferView, len(seats))
		for i, s := range seats {
			h.ready(s)
			h.join(h.tv[i], mediation.Consult)
			offers[i] = h.offered(s)
		}
		errs := make([]error, len(seats))
		var wg sync.WaitGroup
		for i, s := range seats {
			wg.Go(func() {
				errs[i] = h.flow.Accept(h.ctx(), h.cmd("offer.accept", byStaff(s), ""), s, offers[i].ID, offers[i].Ver)
			})
		}
		wg.Wait()
		full := 0
		for _, err := range errs {
			if fault.CodeOf(err) == "media.no_node" {
				full++
				continue
			}
			h.ok(err)
		}
		list, err := h.store.MediaNodes(h.ctx())
		h.ok(err)
		if full != 1 || list[0].Rooms != 1 || list[1].Rooms != 1 {
			t.Errorf("%d refused, rooms %d and %d: want one refused, one room each", full, list[0].Rooms, list[1].Rooms)
		}
	})
}

// move moves a session's room away from a node as an executor does.
func (h *house) move(id ident.SessionID, from, to string, dead bool) (session.Change, error) {
	h.t.Helper()
	return h.store.MoveRoom(h.ctx(), mediation.System("room.moved", "test", h.now()), id, from, dead, func(s *session.Session, _ []nodes.Node) error {
		s.Restarted(to, session.Defaults(), h.now())
		return nil
	})
}

func TestOnlyTheDeadLoseTheirRooms(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.spread()
		h.mediaNode("m1", 9)
		k := h.placed(h.ring(h.tv[0], h.lawyer))
		_, err := h.move(k.ID, "m1", "m2", true)
		h.refused(err, "room.node_lives")
		h.clock.Advance(3 * time.Second)
		lost, err := h.store.RenewLeases(h.ctx(), "m1", map[string]int64{nodes.Lease("m1"): 1}, 4*time.Second, h.clock.Now())
		h.ok(err)
		if len(lost) > 0 {
			t.Fatal("the lease is lost")
		}
		h.clock.Advance(3 * time.Second)
		_, err = h.move(k.ID, "m1", "m2", true)
		h.refused(err, "room.node_lives")

		h.clock.Advance(2 * time.Second)
		c, err := h.move(k.ID, "m1", "m2", true)
		h.ok(err)
		if c.After.Node != "m2" || c.After.Fence != k.Fence+1 || c.After.Room != k.Room || c.After.State != k.State {
			t.Errorf("moved: %+v", c.After)
		}
		_, err = h.move(k.ID, "m1", "m3", true)
		h.refused(err, "room.moved")

		// the node wakes up: nothing it says counts any more
		h.ok(h.store.RoomApplied(h.ctx(), k.ID, k.Fence, k.Epoch+100))
		if list, err := h.store.PlacedRooms(h.ctx(), "m1"); err != nil || len(list) != 0 {
			t.Errorf("m1 still has %v, %v", list, err)
		}
		pending, err := h.store.PendingRooms(h.ctx(), "m2")
		h.ok(err)
		if len(pending) != 1 || pending[0].Spec.Fence != c.After.Fence {
			t.Errorf("m2 has to apply %+v", pending)
		}
	})
}

// Many observers, one new fence.
func TestObserversAtOnceMoveARoomOnce(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.spread()
		h.mediaNode("m1", 9)
		k := h.placed(h.ring(h.tv[0], h.lawyer))
		h.clock.Advance(5 * time.Second)
		var wg sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			wg.Go(func() { _, errs[i] = h.move(k.ID, "m1", fmt.Sprintf("n%d", i), true) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if fault.CodeOf(err) != "room.moved" {
				t.Error(err)
			}
		}
		if now := h.sessionIn(k.Room); won != 1 || now.Fence != k.Fence+1 {
			t.Errorf("%d won, fence %d after %d", won, now.Fence, k.Fence)
		}
	})
}

// A restart under the same name and a take-over at once: one of them, never both.
func TestRestartAndTakeOverRace(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.spread()
		h.mediaNode("m1", 99)
		k := h.placed(h.ring(h.tv[0], h.lawyer))
		for range 10 {
			before := h.sessionIn(k.Room)
			h.clock.Advance(5 * time.Second)
			var wg sync.WaitGroup
			var moveErr, renewErr error
			wg.Go(func() { _, moveErr = h.move(k.ID, "m1", "m2", true) })
			wg.Go(func() { _, _, renewErr = h.store.StartNode(h.ctx(), "m1", "folder", 4*time.Second, h.clock.Now()) })
			wg.Wait()
			h.ok(renewErr)
			after := h.sessionIn(k.Room)
			switch {
			case moveErr == nil && after.Node == "m2" && after.Fence == before.Fence+1:
				_, err := h.move(k.ID, "m2", "m1", false)
				h.ok(err)
			case fault.CodeOf(moveErr) == "room.node_lives" && after.Node == "m1" && after.Fence == before.Fence:
			default:
				t.Fatalf("%v; on %s, fence %d after %d", moveErr, after.Node, after.Fence, before.Fence)
			}
		}
	})
}

func TestAZoneChangeIsNoted(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k := h.ring(h.tv[0], h.lawyer)
		if s := h.placed(k); s.ZoneAt != 0 {
			t.Errorf("a new session: %d", s.ZoneAt)
		}
		h.clock.Advance(time.Minute)
		_, err := h.flow.Answer(h.ctx(), h.cmd("ticket.answer", byTV(h.tv[0]), newKey()), h.tv[0], k, true)
		h.ok(err)
		at := h.now()
		if s := h.placed(k); s.ZoneAt != at {
			t.Errorf("the OK at %d is noted as %d", at, s.ZoneAt)
		}
		h.clock.Advance(time.Minute)
		_, _, err = h.rooms.Entry(h.ctx(), session.Who{Device: h.tv[0]}, h.cmd("room.enter", byTV(h.tv[0]), ""), h.placed(k).ID, media.AttachView)
		h.ok(err)
		if s := h.placed(k); s.ZoneAt != at {
			t.Error("an entry is no change of zone")
		}
	})
}

// elsewhere says that m1 lives and m2 is silent.
type elsewhere struct{}

func (elsewhere) Where(name string) (string, nodes.Reach) {
	switch name {
	case "m1":
		return "wss://m1.example", nodes.Here
	case "m2":
		return "", nodes.Silent
	}
	return "", nodes.Nowhere
}

func (elsewhere) Place([]nodes.Node) (string, error) { return "m1", nil }

// A ticket is handed out anywhere and good at one node, under one fence.
func TestEntryFromAnyNode(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.spread()
		h.mediaNode("m1", 9)
		id := h.placed(h.ring(h.tv[0], h.lawyer)).ID
		h.engine.forget()
		here := h.executor(testNode, elsewhere{})
		there := h.executor("m1", elsewhere{})
		enter := func() (media.Ticket, error) {
			ticket, _, err := here.Entry(h.ctx(), session.Who{Device: h.tv[0]}, h.cmd("room.enter", byTV(h.tv[0]), ""), id, media.AttachView)
			return ticket, err
		}
		ticket, err := enter()
		h.ok(err)
		if origin, err := here.Origin(ticket.Node); origin != "wss://m1.example" || err != nil {
			t.Errorf("the room is at %q, %v", origin, err)
		}
		if len(h.engine.rooms) > 0 {
			t.Error("the node that handed the ticket out runs the room")
		}
		_, err = here.Open(h.ctx(), ticket, nil)
		h.refused(err, "rtc.stale_fence")
		_, err = there.Open(h.ctx(), ticket, nil)
		h.refused(err, "rtc.none") // the engine of this test was reached
		if len(h.engine.rooms) == 0 {
			t.Error("the room's node did not apply the spec for the ticket")
		}

		_, err = h.move(id, "m1", "m1", false) // a new placement
		h.ok(err)
		_, err = there.Open(h.ctx(), ticket, nil)
		h.refused(err, "rtc.stale_fence")
		ticket, err = enter()
		h.ok(err)
		_, err = h.move(id, "m1", "m2", false)
		h.ok(err)
		_, err = there.Open(h.ctx(), ticket, nil)
		h.refused(err, "rtc.stale_fence")
		_, err = enter()
		h.refused(err, "session.moving")
		var f *fault.Error
		if !errors.As(err, &f) || f.RetryAfter <= 0 || f.RetryAfter > time.Second {
			t.Errorf("err = %v, want a short time to retry", err)
		}
		_, err = h.move(id, "m2", "m3", false)
		h.ok(err)
		_, err = enter()
		h.refused(err, "session.elsewhere")
	})
}

// executor is that of another node of the installation.
func (h *house) executor(node string, hosts session.Hosts) *session.Executor {
	return session.NewExecutor(session.ExecutorDeps{
		Store: h.store, Engine: h.engine, Nudges: h.nudges, Node: node, Hosts: hosts, Now: h.clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
}
