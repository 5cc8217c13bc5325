// Package memcoord is the coordination engine of a single node. Everything is in memory; nothing survives a restart,
// which package coord allows.
//
// Concurrency: Coord is safe for concurrent use. Every subscription owns one goroutine; its stop waits for it.
package memcoord

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"heyi/internal/coord"
)

// queueMax is how many nudges wait for one subscriber; beyond it all of them are lost, which is allowed, and the
// subscriber hears of the gap.
const queueMax = 8192

var (
	_ coord.Nudges  = (*Coord)(nil)
	_ coord.Nodes   = (*Coord)(nil)
	_ coord.Limiter = (*Coord)(nil)
	_ coord.Health  = (*Coord)(nil)
)

// Coord implements coord.Nudges, coord.Nodes, coord.Limiter and coord.Health.
type Coord struct {
	now func() time.Time

	subMu sync.RWMutex
	subs  map[*subscription]struct{}

	nodeMu sync.Mutex
	nodes  map[string]report

	limitMu sync.Mutex
	limits  map[string]*events
	sweepAt int // number of keys at which keys without recent events are dropped
}

// New returns an empty engine. now is the clock of the limiter's windows.
func New(now func() time.Time) *Coord {
	return &Coord{
		now: now, subs: map[*subscription]struct{}{}, nodes: map[string]report{}, limits: map[string]*events{},
		sweepAt: 1024,
	}
}

// subscription is the queue of one subscriber.
type subscription struct {
	mu    sync.Mutex
	queue []coord.Nudge
	over  bool
	wake  chan struct{} // holds one token while queue is not empty or the subscription is over
}

func (s *subscription) push(n coord.Nudge) {
	s.mu.Lock()
	if len(s.queue) >= queueMax {
		s.queue = append(s.queue[:0], coord.Nudge{To: coord.ToGap, Why: "overflow"})
	}
	s.queue = append(s.queue, n)
	s.mu.Unlock()
	s.signal()
}

func (s *subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run hands nudges to f until the subscription is over.
func (s *subscription) run(f func(coord.Nudge)) {
	for range s.wake {
		for {
			s.mu.Lock()
			batch, over := s.queue, s.over
			s.queue = nil
			s.mu.Unlock()
			if over {
				return
			}
			if len(batch) == 0 {
				break
			}
			for _, n := range batch {
				f(n)
			}
		}
	}
}

// Publish implements coord.Nudges.
func (c *Coord) Publish(_ context.Context, n coord.Nudge) {
	c.subMu.RLock()
	defer c.subMu.RUnlock()
	for s := range c.subs {
		s.push(n)
	}
}

// Subscribe implements coord.Nudges. stop waits until f has returned for the last time; f must not call it.
func (c *Coord) Subscribe(f func(coord.Nudge)) (stop func()) {
	s := &subscription{wake: make(chan struct{}, 1)}
	c.subMu.Lock()
	c.subs[s] = struct{}{}
	c.subMu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { s.run(f) })
	return func() {
		c.subMu.Lock()
		delete(c.subs, s)
		c.subMu.Unlock()
		s.mu.Lock()
		s.over = true
		s.mu.Unlock()
		s.signal()
		wg.Wait()
	}
}

// report is a node's last word and when it came.
type report struct {
	node coord.Node
	at   time.Time
}

// Report implements coord.Nodes.
func (c *Coord) Report(_ context.Context, n coord.Node) error {
	c.nodeMu.Lock()
	defer c.nodeMu.Unlock()
	c.nodes[n.Name] = report{n, c.now()}
	return nil
}

// List implements coord.Nodes.
func (c *Coord) List(context.Context) ([]coord.Node, error) {
	now := c.now()
	c.nodeMu.Lock()
	defer c.nodeMu.Unlock()
	maps.DeleteFunc(c.nodes, func(_ string, r report) bool { return now.Sub(r.at) >= coord.NodeTTL })
	list := make([]coord.Node, 0, len(c.nodes))
	for _, r := range c.nodes {
		list = append(list, r.node)
	}
	slices.SortFunc(list, func(a, b coord.Node) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// Degraded implements coord.Health: a single node has nobody to lose.
func (c *Coord) Degraded() bool { return false }

// State implements coord.Health.
func (c *Coord) State() (state, reason string) { return "ok", "" }

// events are the taken events of one key, oldest first.
type events struct {
	at     []time.Time
	window time.Duration
}

// Allow implements coord.Limiter. A refused event does not count.
func (c *Coord) Allow(_ context.Context, key string, most int, window time.Duration) (bool, time.Duration, error) {
	now := c.now()
	c.limitMu.Lock()
	defer c.limitMu.Unlock()
	e := c.limits[key]
	if e == nil {
		c.sweep(now)
		e = &events{}
		c.limits[key] = e
	}
	e.window = window
	e.forget(now)
	if len(e.at) >= most {
		if most <= 0 {
			return false, window, nil
		}
		// the event that must leave the window before one more fits
		return false, e.at[len(e.at)-most].Add(window).Sub(now), nil
	}
	e.at = append(e.at, now)
	return true, 0, nil
}

// Reset implements coord.Limiter.
func (c *Coord) Reset(_ context.Context, key string) error {
	c.limitMu.Lock()
	defer c.limitMu.Unlock()
	delete(c.limits, key)
	return nil
}

// forget drops the events that left the window.
func (e *events) forget(now time.Time) {
	i := slices.IndexFunc(e.at, func(t time.Time) bool { return now.Sub(t) < e.window })
	if i < 0 {
		i = len(e.at)
	}
	e.at = slices.Delete(e.at, 0, i)
}

// sweep drops idle keys each time the number of keys has doubled, so that keys made by strangers (addresses) do not
// pile up and the work stays constant per key.
func (c *Coord) sweep(now time.Time) {
	if len(c.limits) < c.sweepAt {
		return
	}
	maps.DeleteFunc(c.limits, func(_ string, e *events) bool {
		e.forget(now)
		return len(e.at) == 0
	})
	c.sweepAt = max(1024, 2*len(c.limits))
}

// Keys returns how many limiter keys are held now; a figure for metrics and tests.
func (c *Coord) Keys() int {
	c.limitMu.Lock()
	defer c.limitMu.Unlock()
	return len(c.limits)
}
