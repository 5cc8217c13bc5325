package link_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heyi/gateway/auth"
	"heyi/gateway/link"
	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/ident"
)

// elsewhere is what a store would say about things that happened on other nodes, whose nudges were all lost.
type elsewhere struct {
	mu       sync.Mutex
	kicks    []link.Kick
	over     []ident.LoginID
	waiting  []ident.DeviceID
	items    map[ident.DeviceID][]wire.SyncItem
	degraded atomic.Bool
	synced   atomic.Int64
}

func (e *elsewhere) tune(d *link.Deps, _ *link.Hub) {
	if d == nil {
		return
	}
	d.Facts = link.Facts{
		Degraded: e.degraded.Load,
		Kicks: func(context.Context) ([]link.Kick, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			list := e.kicks
			e.kicks = nil
			return list, nil
		},
		Over: func(_ context.Context, list []auth.Caller) ([]auth.Caller, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			return slices.DeleteFunc(slices.Clone(list), func(c auth.Caller) bool { return !slices.Contains(e.over, c.LoginID) }), nil
		},
		Waiting: func(context.Context) ([]ident.DeviceID, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			return slices.Clone(e.waiting), nil
		},
	}
	d.Sync = func(_ context.Context, c auth.Caller) ([]wire.SyncItem, error) {
		e.synced.Add(1)
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.items[c.DeviceID], nil
	}
}

func (e *elsewhere) set(id ident.DeviceID, items ...wire.SyncItem) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.items[id] = items
	e.waiting = []ident.DeviceID{id}
	if len(items) == 0 {
		e.waiting = nil
	}
}

// Without a single nudge a link that ended elsewhere closes with its own code.
func TestSweepEndsWhatEndedElsewhere(t *testing.T) {
	t.Parallel()
	e := &elsewhere{}
	w := setup(t, link.Config{Sweep: 20 * time.Millisecond}, e.tune)
	off, moved, stays := w.enrol(newDevice(t, "ed25519")), w.enrol(newDevice(t, "ed25519")), w.enrol(newDevice(t, "ed25519"))
	a, b, c := w.login(t, off), w.login(t, moved), w.login(t, stays)
	out := w.page(t, auth.Caller{Kind: auth.Staff, StaffID: "s1", LoginID: "l1"}, "desk", "one")
	in := w.page(t, auth.Caller{Kind: auth.Staff, StaffID: "s1", LoginID: "l2"}, "desk", "two")
	e.mu.Lock()
	e.kicks = []link.Kick{{Device: off.id, Below: 2, Why: "kick.disabled"}, {Device: moved.id, Below: 2, Why: "kick."}, {Device: stays.id, Below: 1, Why: "kick.retired"}}
	e.over = []ident.LoginID{"l1"}
	e.mu.Unlock()
	for _, tt := range []struct {
		name string
		c    *client
		code int
	}{{"disabled", a, wire.CloseDisabled}, {"on another node now", b, wire.CloseSuperseded}, {"signed out", out, wire.CloseSignedOut}} {
		if code, _ := tt.c.closed(); code != tt.code {
			t.Errorf("%s: closed with %d, want %d", tt.name, code, tt.code)
		}
	}
	c.alive() // the word was about an older link
	in.alive()
}

// While the nodes do not hear each other, links are told so, and those for which something is open learn what is new.
func TestDegradedLinksAreToldWhatIsNew(t *testing.T) {
	t.Parallel()
	e := &elsewhere{items: map[ident.DeviceID][]wire.SyncItem{}}
	w := setup(t, link.Config{Sweep: 20 * time.Millisecond, PerS: 1_000_000, Burst: 1_000_000}, e.tune)
	d, idle := w.enrol(newDevice(t, "ed25519")), w.enrol(newDevice(t, "ed25519"))
	c, other := w.login(t, d), w.login(t, idle)
	if c.wel.Degraded {
		t.Error("welcome says degraded")
	}
	sync := func(want ...wire.SyncItem) {
		t.Helper()
		var got wire.SyncBody
		c.expect(wire.Sync, &got)
		if !slices.Equal(got.Items, want) {
			t.Errorf("sync %+v, want %+v", got.Items, want)
		}
	}
	told := func(c *client, want bool) {
		t.Helper()
		var got wire.LinkConfigBody
		c.expect(wire.LinkConfig, &got)
		if got.Degraded == nil || *got.Degraded != want {
			t.Errorf("link_config %+v, want degraded %v", got, want)
		}
	}
	sync()
	other.expect(wire.Sync, nil)
	e.degraded.Store(true)
	told(c, true)
	told(other, true)
	ticket := wire.SyncItem{T: "ticket", ID: "t1", Ver: 1}
	e.set(d.id, ticket)
	sync(ticket)
	before := e.synced.Load()
	for e.synced.Load() < before+3 { // it is asked again and again, and says nothing while nothing is new
		c.alive()
	}
	ticket.Ver = 2
	e.set(d.id, ticket)
	sync(ticket)
	e.set(d.id) // closed elsewhere: it is not listed any more, but its terminal was told of it
	sync()
	if late := w.login(t, w.enrol(newDevice(t, "ed25519"))); !late.wel.Degraded {
		t.Error("welcome does not say degraded")
	}
	e.degraded.Store(false)
	told(c, false)
	told(other, false) // and nothing else came: nothing is open there
}

// A gap makes everybody look at once, not at the next sweep.
func TestGapMakesLinksLookAgain(t *testing.T) {
	t.Parallel()
	e := &elsewhere{items: map[ident.DeviceID][]wire.SyncItem{}}
	w := setup(t, link.Config{Sweep: time.Hour}, e.tune)
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.login(t, d)
	c.expect(wire.Sync, nil)
	ring := wire.SyncItem{T: "session", ID: "s1", Ver: 7}
	e.set(d.id, ring)
	w.nudges.Publish(t.Context(), coord.Nudge{To: coord.ToGap})
	var got wire.SyncBody
	if c.expect(wire.Sync, &got); !slices.Equal(got.Items, []wire.SyncItem{ring}) {
		t.Errorf("sync %+v", got.Items)
	}
}
