package link

import (
	"context"
	"sync"
	"time"
)

// job is one piece of work of a link; done gets a token when it has been done.
type job struct {
	run  func(context.Context)
	done chan<- struct{}
}

// workers are goroutines with deep stacks. They start one by one as they are needed, up to a limit.
type workers struct {
	jobs chan job
	more chan struct{} // one token for each worker that may still start
	over chan struct{}
}

func newWorkers(most int) *workers {
	w := &workers{jobs: make(chan job), more: make(chan struct{}, most), over: make(chan struct{})}
	for range most {
		w.more <- struct{}{}
	}
	return w
}

// do hands a job to a worker, waiting for one when all are busy; false when the workers are gone.
func (w *workers) do(ctx context.Context, j job) bool {
	select {
	case w.jobs <- j:
		return true
	case <-w.over:
		return false
	case <-ctx.Done():
		return false
	}
}

// run keeps the workers until ctx ends and waits for them. It starts another one whenever a job finds all busy.
func (w *workers) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(w.over)
	for {
		// this loop takes the jobs that no worker is free for
		select {
		case <-ctx.Done():
			return
		case <-w.more:
		}
		select {
		case <-ctx.Done():
			return
		case j := <-w.jobs:
			wg.Go(func() { w.worker(ctx, j) })
		}
	}
}

func (w *workers) worker(ctx context.Context, j job) {
	for {
		j.do(ctx)
		select {
		case j = <-w.jobs:
		case <-ctx.Done():
			return
		}
	}
}

func (j job) do(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handlerTime)
	defer cancel()
	defer func() { j.done <- struct{}{} }()
	j.run(ctx)
}

// bucket is a token bucket. It belongs to one goroutine or stands behind its owner's lock.
type bucket struct {
	perS, most float64
	level      float64
	at         int64 // Unix ns
}

func (b *bucket) fill(now int64) {
	if now > b.at {
		b.level = min(b.most, b.level+b.perS*time.Duration(now-b.at).Seconds())
		b.at = now
	}
}

// take takes one token.
func (b *bucket) take(now int64) bool {
	b.fill(now)
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// wait is how long until the next token.
func (b *bucket) wait() time.Duration {
	return time.Duration((1 - b.level) / b.perS * float64(time.Second))
}

// dirty is a set of keys that wait for one goroutine; marking a key twice makes it wait once.
type dirty[K comparable, V any] struct {
	mu   sync.Mutex
	keys map[K]V
	wake chan struct{}
}

func newDirty[K comparable, V any]() *dirty[K, V] {
	return &dirty[K, V]{keys: map[K]V{}, wake: make(chan struct{}, 1)}
}

func (d *dirty[K, V]) mark(k K, v V) {
	d.mu.Lock()
	d.keys[k] = v
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run calls f for each marked key until ctx ends.
func (d *dirty[K, V]) run(ctx context.Context, f func(context.Context, K, V)) {
	d.runAll(ctx, 0, func(ctx context.Context, keys map[K]V) {
		for k, v := range keys {
			f(ctx, k, v)
		}
	})
}

// runAll calls f with all marked keys until ctx ends; it collects them for so long after the first one.
func (d *dirty[K, V]) runAll(ctx context.Context, collect time.Duration, f func(context.Context, map[K]V)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		}
		if collect > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(collect):
			}
		}
		d.mu.Lock()
		keys := d.keys
		d.keys = map[K]V{}
		d.mu.Unlock()
		f(ctx, keys)
	}
}
