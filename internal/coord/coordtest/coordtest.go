// Package coordtest is the suite that every coordination engine passes.
package coordtest

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
)

// Engine is one engine under test.
type Engine struct {
	Nudges  coord.Nudges
	Nodes   coord.Nodes
	Limiter coord.Limiter
	Advance func(time.Duration) // moves the engine's clock on
}

// patience bounds how long a test waits for something that must happen.
const patience = 5 * time.Second

// Run runs the suite; open returns a fresh engine each time.
func Run(t *testing.T, open func(t *testing.T) Engine) {
	t.Helper()
	tests := map[string]func(*testing.T, Engine){
		"every subscriber hears every nudge, in order":    nudgesInOrder,
		"a slow subscriber holds up nobody":               slowSubscriber,
		"nothing is heard after stop":                     silentAfterStop,
		"publishers and subscribers may come and go":      nudgesConcurrently,
		"who lost nudges hears of the gap":                overflowIsAGap,
		"a report replaces the former one of the node":    reports,
		"a node that reports no more leaves the list":     reportsEnd,
		"the window slides":                               windowSlides,
		"keys are counted apart and reset apart":          keysApart,
		"parallel callers never get more than the limit":  limitConcurrently,
		"a limit of zero lets nothing through":            zeroLimit,
		"a refused event does not lengthen its own block": refusedIsFree,
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

func nudge(id string) coord.Nudge {
	return coord.Nudge{To: "device/d1", T: wire.TicketState, ID: id, Ver: 1}
}

// collector keeps what a subscriber hears and tells when it has heard n.
type collector struct {
	mu   sync.Mutex
	got  []string
	n    int
	done chan struct{}
}

func collect(n int) *collector { return &collector{n: n, done: make(chan struct{})} }

func (c *collector) hear(n coord.Nudge) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.To == coord.ToGap {
		return // an engine of several nodes has one when its line comes up
	}
	c.got = append(c.got, n.ID)
	if len(c.got) == c.n {
		close(c.done)
	}
}

func (c *collector) wait(t *testing.T) []string {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		t.Fatal("not all nudges arrived")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

func nudgesInOrder(t *testing.T, e Engine) {
	t.Helper()
	a, b := collect(3), collect(3)
	defer e.Nudges.Subscribe(a.hear)()
	defer e.Nudges.Subscribe(b.hear)()
	want := []string{"1", "2", "3"}
	for _, id := range want {
		e.Nudges.Publish(t.Context(), nudge(id))
	}
	for _, c := range []*collector{a, b} {
		if got := c.wait(t); !slices.Equal(got, want) {
			t.Errorf("heard %v, want %v", got, want)
		}
	}
}

func slowSubscriber(t *testing.T, e Engine) {
	t.Helper()
	block := make(chan struct{})
	stop := e.Nudges.Subscribe(func(coord.Nudge) { <-block })
	quick := collect(100)
	defer e.Nudges.Subscribe(quick.hear)()
	for range 100 {
		e.Nudges.Publish(t.Context(), nudge("x"))
	}
	quick.wait(t)
	close(block)
	stop()
}

func silentAfterStop(t *testing.T, e Engine) {
	t.Helper()
	var heard atomic.Int64
	stop := e.Nudges.Subscribe(func(coord.Nudge) { heard.Add(1) })
	stop()
	other := collect(1)
	defer e.Nudges.Subscribe(other.hear)()
	e.Nudges.Publish(t.Context(), nudge("late"))
	other.wait(t)
	if n := heard.Load(); n != 0 {
		t.Errorf("heard %d nudges after stop", n)
	}
}

// overflowIsAGap blocks a subscriber until more nudges wait for it than any engine keeps.
func overflowIsAGap(t *testing.T, e Engine) {
	t.Helper()
	block, gap := make(chan struct{}), make(chan struct{})
	var once sync.Once
	defer e.Nudges.Subscribe(func(n coord.Nudge) {
		<-block
		if n.To == coord.ToGap && n.Why == "overflow" {
			once.Do(func() { close(gap) })
		}
	})()
	for range 20_000 {
		e.Nudges.Publish(t.Context(), nudge("x"))
	}
	close(block)
	select {
	case <-gap:
	case <-time.After(patience):
		t.Error("nudges were lost and nobody was told")
	}
}

func nudgesConcurrently(t *testing.T, e Engine) {
	t.Helper()
	const publishers, each = 8, 200
	all := collect(publishers * each)
	defer e.Nudges.Subscribe(all.hear)()
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for range each {
				e.Nudges.Publish(t.Context(), nudge("x"))
			}
		})
		wg.Go(func() {
			for range 20 {
				e.Nudges.Subscribe(func(coord.Nudge) {})()
			}
		})
	}
	wg.Wait()
	all.wait(t)
}

func reports(t *testing.T, e Engine) {
	t.Helper()
	ctx := t.Context()
	for _, n := range []coord.Node{{Name: "b", Links: 1}, {Name: "a", Links: 2}, {Name: "b", Links: 3, Rooms: 4}} {
		if err := e.Nodes.Report(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Nodes.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []coord.Node{{Name: "a", Links: 2}, {Name: "b", Links: 3, Rooms: 4}}
	if !slices.Equal(got, want) {
		t.Errorf("List = %v, want %v", got, want)
	}
}

func reportsEnd(t *testing.T, e Engine) {
	t.Helper()
	ctx := t.Context()
	for _, name := range []string{"stays", "goes"} {
		if err := e.Nodes.Report(ctx, coord.Node{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	e.Advance(coord.NodeTTL - time.Second)
	if err := e.Nodes.Report(ctx, coord.Node{Name: "stays"}); err != nil {
		t.Fatal(err)
	}
	e.Advance(time.Second)
	got, err := e.Nodes.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := []coord.Node{{Name: "stays"}}; !slices.Equal(got, want) {
		t.Errorf("List = %v, want %v", got, want)
	}
}

func allow(t *testing.T, e Engine, key string, most int, window time.Duration) (bool, time.Duration) {
	t.Helper()
	ok, retry, err := e.Limiter.Allow(t.Context(), key, most, window)
	if err != nil {
		t.Fatal(err)
	}
	return ok, retry
}

func windowSlides(t *testing.T, e Engine) {
	t.Helper()
	for i := range 3 {
		if ok, _ := allow(t, e, "k", 3, time.Minute); !ok {
			t.Fatalf("event %d refused", i+1)
		}
		e.Advance(10 * time.Second)
	}
	ok, retry := allow(t, e, "k", 3, time.Minute)
	if ok || retry != 30*time.Second {
		t.Fatalf("fourth event: %v, retry %v; want refused, 30s", ok, retry)
	}
	e.Advance(30 * time.Second)
	if ok, _ := allow(t, e, "k", 3, time.Minute); !ok {
		t.Error("refused although the first event left the window")
	}
	if ok, _ := allow(t, e, "k", 3, time.Minute); ok {
		t.Error("allowed although three events are in the window")
	}
}

func keysApart(t *testing.T, e Engine) {
	t.Helper()
	for _, k := range []string{"a", "b"} {
		if ok, _ := allow(t, e, k, 1, time.Minute); !ok {
			t.Fatalf("%s refused", k)
		}
	}
	if err := e.Limiter.Reset(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if ok, _ := allow(t, e, "a", 1, time.Minute); !ok {
		t.Error("a refused after its reset")
	}
	if ok, _ := allow(t, e, "b", 1, time.Minute); ok {
		t.Error("b allowed by the reset of a")
	}
}

func limitConcurrently(t *testing.T, e Engine) {
	t.Helper()
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				if ok, _, err := e.Limiter.Allow(t.Context(), "k", 50, time.Hour); err == nil && ok {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != 50 {
		t.Errorf("%d events allowed, want 50", n)
	}
}

func zeroLimit(t *testing.T, e Engine) {
	t.Helper()
	if ok, _ := allow(t, e, "k", 0, time.Minute); ok {
		t.Error("allowed")
	}
}

func refusedIsFree(t *testing.T, e Engine) {
	t.Helper()
	allow(t, e, "k", 1, time.Minute)
	for range 5 {
		e.Advance(11 * time.Second)
		if ok, _ := allow(t, e, "k", 1, time.Minute); ok {
			t.Fatal("allowed inside the window")
		}
	}
	e.Advance(5 * time.Second)
	if ok, _ := allow(t, e, "k", 1, time.Minute); !ok {
		t.Error("refused a minute after the only event that counted")
	}
}
