package link

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// batcher collects requests of many goroutines and answers them in groups. A key stands at most once in a group: the
// second connect of one device waits for the next one and gets the higher epoch.
type batcher[Q, A any] struct {
	wait time.Duration
	most int
	call func(context.Context, []Q) []A
	in   chan question[Q, A]
	over chan struct{}
}

type question[Q, A any] struct {
	key    string
	q      Q
	answer chan A
}

func newBatcher[Q, A any](wait time.Duration, most int, call func(context.Context, []Q) []A) *batcher[Q, A] {
	return &batcher[Q, A]{wait: wait, most: most, call: call, in: make(chan question[Q, A]), over: make(chan struct{})}
}

// ask puts a request into the next group and waits for its answer.
func (b *batcher[Q, A]) ask(ctx context.Context, key string, q Q) (A, error) {
	var none A
	ask := question[Q, A]{key: key, q: q, answer: make(chan A, 1)}
	select {
	case b.in <- ask:
	case <-b.over:
		return none, fault.New(fault.Unavailable, "link.stopping")
	case <-ctx.Done():
		return none, ctx.Err()
	}
	return <-ask.answer, nil // always answered: run answers what it has taken
}

// run answers until ctx ends. One group is written at a time; what comes meanwhile makes the next one, so groups grow
// with the load by themselves.
func (b *batcher[Q, A]) run(ctx context.Context) {
	defer close(b.over)
	var group, later []question[Q, A]
	for {
		group, later = b.collect(ctx, later)
		if len(group) == 0 {
			return
		}
		qs := make([]Q, len(group))
		for i, q := range group {
			qs[i] = q.q
		}
		for i, a := range b.call(context.WithoutCancel(ctx), qs) {
			group[i].answer <- a
		}
	}
}

// collect waits for a first request, then for more until wait is over or most are there.
func (b *batcher[Q, A]) collect(ctx context.Context, pending []question[Q, A]) (group, later []question[Q, A]) {
	keys := map[string]bool{}
	take := func(q question[Q, A]) {
		if keys[q.key] || len(group) >= b.most {
			later = append(later, q)
			return
		}
		keys[q.key] = true
		group = append(group, q)
	}
	for _, q := range pending {
		take(q)
	}
	if len(group) == 0 {
		select {
		case q := <-b.in:
			take(q)
		case <-ctx.Done():
			return nil, nil
		}
	}
	end := time.NewTimer(b.wait)
	defer end.Stop()
	for len(group) < b.most {
		select {
		case q := <-b.in:
			take(q)
		case <-end.C:
			return group, later
		case <-ctx.Done():
			return group, later
		}
	}
	return group, later
}

// goneEvery is how often ended links are written.
const goneEvery = 100 * time.Millisecond

// goneMax bounds one write of ended links.
const goneMax = 200

// goneList holds ended links until presence has them; a device stands in it once, with its newest epoch.
type goneList struct {
	mu   sync.Mutex
	list map[ident.DeviceID]Gone
}

func newGoneList() *goneList { return &goneList{list: map[ident.DeviceID]Gone{}} }

func (l *goneList) add(batch ...Gone) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range batch {
		if old, there := l.list[g.Device]; !there || old.Epoch <= g.Epoch {
			l.list[g.Device] = g
		}
	}
}

func (l *goneList) take() []Gone {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return nil
	}
	out := slices.Collect(maps.Values(l.list))
	l.list = map[ident.DeviceID]Gone{}
	return out
}

// runGone writes ended links; what fails is tried again, slower.
func (h *Hub) runGone(ctx context.Context) {
	wait := goneEvery
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if h.flushGone(ctx) {
			wait = goneEvery
		} else {
			wait = min(2*wait, 5*time.Second)
		}
		timer.Reset(wait)
	}
}

// flushGone writes all ended links once and reports whether none is left. A row that is lost with the process is
// healed by the restart rule of presence.
func (h *Hub) flushGone(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for batch := range slices.Chunk(h.gone.take(), goneMax) {
		if err := h.d.Presence.Gone(ctx, batch); err != nil {
			h.m.goneRetry.Inc()
			h.d.Logger.WarnContext(ctx, "ended links not written", slog.Int("links", len(batch)), slog.Any("error", err))
			h.gone.add(batch...)
		}
	}
	h.gone.mu.Lock()
	defer h.gone.mu.Unlock()
	return len(h.gone.list) == 0
}
