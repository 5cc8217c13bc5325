package rediscoord_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/coord/coordtest"
	"heyi/internal/coord/memcoord"
	"heyi/internal/coord/rediscoord"
	"heyi/internal/coord/redistest"
	"heyi/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// BenchmarkNudges is what one node tells another through a real Redis, as fast as both can.
func BenchmarkNudges(b *testing.B) {
	s := redistest.Start(b)
	from, to := open(b, s.URL(), "one"), open(b, s.URL(), "one")
	from.up(b)
	to.up(b)
	heard := make(chan struct{}, 1<<20)
	defer to.Subscribe(func(n coord.Nudge) {
		if n.To != coord.ToGap {
			heard <- struct{}{}
		}
	})()
	inFlight := 0
	for b.Loop() {
		from.Publish(b.Context(), coord.Nudge{To: "device/0199a1b2-0000-7000-8000-000000000001", T: wire.TicketState, ID: "0199a1b2-0000-7000-8000-000000000002", Ver: 1_790_000_000_000_000, Why: "waiting"})
		if inFlight++; inFlight == 4096 {
			<-heard
			inFlight--
		}
	}
	for ; inFlight > 0; inFlight-- {
		<-heard
	}
}

// BenchmarkNudgeLatency is one nudge at a time, from Publish to the other node's subscriber.
func BenchmarkNudgeLatency(b *testing.B) {
	s := redistest.Start(b)
	from, to := open(b, s.URL(), "one"), open(b, s.URL(), "one")
	from.up(b)
	to.up(b)
	heard := make(chan struct{}, 16)
	defer to.Subscribe(func(n coord.Nudge) {
		if n.To != coord.ToGap {
			heard <- struct{}{}
		}
	})()
	for b.Loop() {
		from.Publish(b.Context(), coord.Nudge{To: "matcher"})
		<-heard
	}
}

// node is one process's engine, its Run under way.
type node struct {
	*rediscoord.Coord
	clock   *clock
	metrics *prometheus.Registry
}

// open starts an engine; beat is short so that a test need not wait for an interruption to be noticed.
func open(tb testing.TB, url, prefix string) node {
	tb.Helper()
	n := node{clock: &clock{now: time.Unix(1_800_000_000, 0)}, metrics: prometheus.NewRegistry()}
	var err error
	n.Coord, err = rediscoord.New(rediscoord.Config{URL: url, Prefix: prefix, Beat: 200 * time.Millisecond, BreakFor: 100 * time.Millisecond}, rediscoord.Deps{
		Now: n.clock.Now, Metrics: n.metrics, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = n.Run(ctx)
	}()
	tb.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			tb.Error("Run does not end")
		}
		if err := n.Close(); err != nil {
			tb.Error(err)
		}
	})
	return n
}

func until(tb testing.TB, what string, f func() bool) {
	tb.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-end.C:
			tb.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

func (n node) up(tb testing.TB) {
	tb.Helper()
	until(tb, "the line is up", func() bool { return !n.Degraded() })
}

func suite(t *testing.T, url string) {
	t.Helper()
	count := 0
	coordtest.Run(t, func(t *testing.T) coordtest.Engine {
		t.Helper()
		count++
		n := open(t, url, fmt.Sprintf("suite%d", count))
		n.up(t)
		return coordtest.Engine{Nudges: n, Nodes: n, Limiter: n, Advance: n.clock.Advance}
	})
}

func TestSuite(t *testing.T) {
	t.Parallel()
	suite(t, redistest.Start(t).URL())
}

// One server that is a whole cluster refuses commands whose keys are not in one slot, as a large one does.
func TestSuiteOnACluster(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--cluster-enabled", "yes")
	s.Command("CLUSTER ADDSLOTSRANGE 0 16383")
	until(t, "the cluster has its slots", func() bool { return s.Command("CLUSTER INFO")[:16] == "cluster_state:ok" })
	suite(t, s.URL()+"?addr="+s.Addr())
}

// hearing collects what a subscriber hears.
type hearing struct {
	mu   sync.Mutex
	ids  []string
	gaps int
}

func (h *hearing) hear(n coord.Nudge) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n.To == coord.ToGap {
		h.gaps++
		return
	}
	h.ids = append(h.ids, n.ID)
}

func (h *hearing) count() (nudges, gaps int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ids), h.gaps
}

func (h *hearing) has(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.ids, id)
}

func TestNudgesReachTheOtherNodesInOrder(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b, other := open(t, s.URL(), "one"), open(t, s.URL(), "one"), open(t, s.URL(), "two")
	for _, n := range []node{a, b, other} {
		n.up(t)
	}
	var atA, atB, atOther hearing
	defer a.Subscribe(atA.hear)()
	defer b.Subscribe(atB.hear)()
	defer other.Subscribe(atOther.hear)()
	const count = 3000 // several batches
	for i := range count {
		a.Publish(t.Context(), coord.Nudge{To: "device/d", ID: fmt.Sprint(i), Ver: int64(i), Why: "x"})
	}
	until(t, "b has heard all", func() bool { n, _ := atB.count(); return n == count })
	until(t, "a has heard all", func() bool { n, _ := atA.count(); return n >= count })
	for name, h := range map[string]*hearing{"a": &atA, "b": &atB} {
		h.mu.Lock()
		for i, id := range h.ids {
			if id != fmt.Sprint(i) {
				t.Fatalf("%s heard %s in place %d", name, id, i)
			}
		}
		if len(h.ids) != count || h.gaps != 0 {
			t.Errorf("%s heard %d nudges and %d gaps, want each once and no gap", name, len(h.ids), h.gaps)
		}
		h.mu.Unlock()
	}
	if n, _ := atOther.count(); n != 0 {
		t.Errorf("an installation with another prefix heard %d nudges", n)
	}
}

func TestNodesShareTheirCounters(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := open(t, s.URL(), "one"), open(t, s.URL(), "one")
	var allowed int
	for i := range 20 {
		ok, _, err := []node{a, b}[i%2].Allow(t.Context(), "k", 5, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			allowed++
		}
	}
	if allowed != 5 {
		t.Errorf("two nodes allowed %d, want 5 together", allowed)
	}
	if err := b.Reset(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if ok, _, err := a.Allow(t.Context(), "k", 5, time.Minute); !ok || err != nil {
		t.Errorf("after the other node's reset: %v, %v", ok, err)
	}
	if err := a.Report(t.Context(), coord.Node{Name: "a", Links: 3}); err != nil {
		t.Fatal(err)
	}
	if list, err := b.List(t.Context()); err != nil || len(list) != 1 || list[0] != (coord.Node{Name: "a", Links: 3}) {
		t.Errorf("the other node lists %v, %v", list, err)
	}
}

// A killed Redis costs nobody more than a moment; back and empty it is used again, and everybody looks again.
func TestRedisKilledAndBackEmpty(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := open(t, s.URL(), "one"), open(t, s.URL(), "one")
	a.up(t)
	b.up(t)
	own := memcoord.New(a.clock.Now)
	alone := coord.Alone{Shared: a, Own: own}
	var atA, atB hearing
	defer a.Subscribe(atA.hear)()
	defer b.Subscribe(atB.hear)()
	for range 2 {
		if ok, _, err := alone.Allow(t.Context(), "k", 2, time.Hour); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	_, gapsBefore := atB.count()

	s.Kill()
	var slowest time.Duration
	timed := func(f func()) {
		start := time.Now()
		f()
		slowest = max(slowest, time.Since(start))
	}
	for range 200 {
		timed(func() {
			if _, _, err := a.Allow(t.Context(), "k", 2, time.Hour); fault.CodeOf(err) != "coord.unavailable" || fault.KindOf(err) != fault.Unavailable {
				t.Errorf("Allow without Redis: %v", err)
			}
		})
		timed(func() { a.Publish(t.Context(), coord.Nudge{To: "device/d", ID: "down"}) })
		timed(func() {
			if _, err := a.List(t.Context()); fault.KindOf(err) != fault.Unavailable {
				t.Errorf("List without Redis: %v", err)
			}
		})
	}
	if slowest > time.Second { // three timeouts of 300 ms, then the breaker; the machine may be busy
		t.Errorf("the slowest call took %v", slowest)
	}
	if n := figure(t, a, "heyi_coord_breaker"); n == 0 {
		t.Error("the breaker is closed")
	}
	until(t, "the own subscribers heard what was published meanwhile", func() bool { n, _ := atA.count(); return n == 200 })
	until(t, "both nodes know", func() bool { return a.Degraded() && b.Degraded() })
	if state, reason := a.State(); state != "degraded" || reason == "" {
		t.Errorf("State = %s, %q", state, reason)
	}
	for i := range 4 { // the own counters begin anew and hold
		ok, _, err := alone.Allow(t.Context(), "k", 2, time.Hour)
		if err != nil || ok != (i < 2) {
			t.Errorf("alone, event %d: %v, %v", i+1, ok, err)
		}
	}

	s.Start()
	a.up(t)
	b.up(t)
	until(t, "the gap is told", func() bool { _, n := atB.count(); return n > gapsBefore })
	if atB.has("down") {
		t.Error("a nudge from the time without Redis arrived late: it says nothing any more")
	}
	a.Publish(t.Context(), coord.Nudge{To: "device/d", ID: "again"})
	until(t, "nudges travel again", func() bool { return atB.has("again") })
	if ok, _, err := a.Allow(t.Context(), "k", 2, time.Hour); !ok || err != nil {
		t.Errorf("Allow with Redis back and empty: %v, %v", ok, err)
	}
	if n := figure(t, a, "heyi_coord_breaker") + figure(t, a, "heyi_coord_degraded"); n != 0 {
		t.Error("the metrics say that it is down still")
	}
}

// A Redis that hangs, its connections open, is as good as gone: calls end by their deadline, and it is noticed by its
// silence.
func TestRedisThatHangs(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := open(t, s.URL(), "one")
	a.up(t)
	s.Pause()
	start := time.Now()
	if _, _, err := a.Allow(t.Context(), "k", 1, time.Hour); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Allow: %v", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the deadline of 300 ms ended a call after %v", took)
	}
	until(t, "it is noticed", a.Degraded)
	s.Continue()
	a.up(t)
	if _, _, err := a.Allow(t.Context(), "k", 1, time.Hour); err != nil {
		t.Error(err)
	}
}

// A node starts without Redis and is whole when Redis comes.
func TestStartWithoutRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Kill()
	a := open(t, s.URL(), "one")
	var heard hearing
	defer a.Subscribe(heard.hear)()
	a.Publish(t.Context(), coord.Nudge{To: "matcher", ID: "here"})
	until(t, "the own subscriber heard it", func() bool { return heard.has("here") })
	if !a.Degraded() {
		t.Error("it says that all is well")
	}
	s.Start()
	a.up(t)
	if _, gaps := heard.count(); gaps == 0 {
		t.Error("nobody was told to look again")
	}
}

func TestAddressesThatCannotWork(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]rediscoord.Config{
		"no address":          {},
		"another scheme":      {URL: "http://127.0.0.1:6379"},
		"a prefix with a tag": {URL: "redis://127.0.0.1:6379", Prefix: "a{b}"},
	} {
		if c, err := rediscoord.New(cfg, rediscoord.Deps{Now: time.Now, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%s: taken", name)
			_ = c.Close()
		}
	}
}

// figure reads a gauge.
func figure(t *testing.T, n node, name string) float64 {
	t.Helper()
	list, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no figure %s", name)
	return 0
}
