package store_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heyi/devices"
	"heyi/internal/coord/memcoord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/queue"
	"heyi/store"
	"heyi/store/storetest"
)

func TestNameOfALivingNodeIsItsFoldersAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		start := func(folder string, at time.Duration) (int64, error) {
			inc, _, err := s.StartNode(t.Context(), "g1", folder, ttl, nine.Add(at))
			return inc, err
		}
		if inc, err := start("one", 0); err != nil || inc != 1 {
			t.Fatalf("first start: %d, %v", inc, err)
		}
		_, err := start("two", ttl)
		if fault.CodeOf(err) != "node.name_taken" {
			t.Errorf("another folder in the last instant: %v", err)
		}
		if inc, err := start("one", time.Second); err != nil || inc != 2 {
			t.Errorf("the same folder while its lease runs: %d, %v", inc, err)
		}
		if inc, err := start("two", time.Minute); err != nil || inc != 3 {
			t.Errorf("another folder after the end: %d, %v", inc, err)
		}
		if _, err := start("one", time.Minute+time.Second); fault.CodeOf(err) != "node.name_taken" {
			t.Errorf("the first folder then: %v", err)
		}
		lost, err := s.RenewLeases(t.Context(), "g1", map[string]int64{"node/g1": 2}, ttl, nine.Add(time.Minute))
		if err != nil || !slices.Equal(lost, []string{"node/g1"}) {
			t.Errorf("the first process hears %v, %v", lost, err)
		}
	})
}

func TestOneOfManyGetsAName(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var winners atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, _, err := s.StartNode(t.Context(), "g1", ident.New[string](), ttl, nine)
				switch {
				case err == nil:
					winners.Add(1)
				case fault.CodeOf(err) != "node.name_taken":
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := winners.Load(); n != 1 {
			t.Errorf("%d processes got the name, want 1", n)
		}
	})
}

// Word is left for the node that held a link when the link is over elsewhere, and is taken once.
func TestKicksAreLeftForTheNodeThatHeldTheLink(t *testing.T) {
	eachFleet(t, func(t *testing.T, f *fleet) {
		a, b := f.node(t, "a"), f.node(t, "b")
		boxes := f.boxes(t, 3)
		moved, off, gone := boxes[0], boxes[1], boxes[2]
		for _, x := range boxes {
			f.connect(t, a, x)
		}
		at := f.connect(t, b, moved)
		ended := map[ident.DeviceID]devices.Kick{moved.id: {Device: moved.id, Below: at.Epoch}}
		for _, x := range []struct {
			box *box
			to  devices.Life
		}{{off, devices.Disabled}, {gone, devices.Retired}} {
			done, err := f.store.SetLife(t.Context(), devices.LifeChange{ID: x.box.id, To: x.to, Key: ident.New[string](), Scope: f.city, At: f.clock.Now().UnixMicro()})
			must(t, err)
			ended[x.box.id] = devices.Kick{Device: x.box.id, Below: done.Epoch, Life: x.to}
		}
		list, err := f.store.TakeKicks(t.Context(), "a")
		must(t, err)
		if len(list) != len(ended) {
			t.Fatalf("a is told %+v", list)
		}
		for _, k := range list {
			if k != ended[k.Device] {
				t.Errorf("a is told %+v, want %+v", k, ended[k.Device])
			}
		}
		for _, name := range []string{"a", "b"} {
			if list, err := f.store.TakeKicks(t.Context(), name); err != nil || len(list) > 0 {
				t.Errorf("%s is told %+v, %v", name, list, err)
			}
		}
		// back to a: b lives and is told; a node that is dead has nothing to close
		f.connect(t, a, moved)
		if list, err := f.store.TakeKicks(t.Context(), "b"); err != nil || len(list) != 1 {
			t.Errorf("b is told %+v, %v", list, err)
		}
		f.connect(t, b, moved)
		f.clock.Advance(time.Minute) // both leases end
		f.connect(t, a, moved)
		if list, err := f.store.TakeKicks(t.Context(), "b"); err != nil || len(list) != 0 {
			t.Errorf("dead b is told %+v, %v", list, err)
		}
		// a restarted node has no links of before
		f.connect(t, f.node(t, "a"), moved)
		f.connect(t, f.node(t, "b"), moved)
		f.node(t, "a")
		if list, err := f.store.TakeKicks(t.Context(), "a"); err != nil || len(list) != 0 {
			t.Errorf("restarted a is told %+v, %v", list, err)
		}
	})
}

// Seats follow the links that there are: what could not be written, the page that is left, the node that died.
func TestSeatsAreAudited(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.wipe()
		desk := func(node string) *queue.Desk {
			return queue.NewDesk(queue.Deps{Store: h.store, Nudges: memcoord.New(h.clock.Now), Node: node, Now: h.clock.Now})
		}
		here, there := desk("here"), desk("there")
		_, _, err := h.store.StartNode(t.Context(), "there", "folder", 4*time.Second, h.clock.Now())
		h.ok(err)
		audit := func(live ...ident.StaffID) {
			t.Helper()
			h.ok(here.Audit(t.Context(), func() []ident.StaffID { return live }))
		}
		seat := func(what, node string, due bool) {
			t.Helper()
			var got string
			var at int64
			h.ok(h.store.One(t.Context(), `SELECT link_node, due_at FROM seat WHERE staff_id = $1`, []any{h.lawyer}, &got, &at))
			if got != node || (at > 0) != due {
				t.Errorf("%s: linked to %q, clock runs %v; want %q, %v", what, got, at > 0, node, due)
			}
		}
		h.ok(here.SeatLink(t.Context(), h.lawyer, true))
		_, err = here.SetSeat(t.Context(), mediation.Command{Name: "seat.set", Actor: byStaff(h.lawyer), Key: newKey(), At: h.clock.Now().UnixMicro()}, h.lawyer, queue.SeatReady, "")
		h.ok(err)
		audit(h.lawyer)
		seat("all is well", "here", false)
		audit()
		seat("its end was not written", "", true)
		audit(h.lawyer)
		seat("its page is here", "here", false)
		h.ok(there.SeatLink(t.Context(), h.lawyer, true))
		audit(h.lawyer)
		seat("its newer page is on a node that lives", "there", false)
		h.clock.Advance(4*time.Second + 11*time.Second)
		audit()
		seat("that node may come back", "there", false)
		h.clock.Advance(time.Second)
		audit()
		seat("that node is lost", "", true)
		audit(h.lawyer)
		seat("its older page is left", "here", false)
	})
}
