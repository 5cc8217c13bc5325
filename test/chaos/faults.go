package main

import (
	"context"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"syscall"
	"time"

	"heyi/test/impair"
)

// kind is one way in which things go wrong. inject begins it, keeps it up and ends it; it says what it does as soon as it
// has chosen.
type kind struct {
	name   string
	weight int
	can    func(*run) bool
	takes  func(*run, *mrand.Rand) []string // what it lays hands on: no two faults share one
	inject func(context.Context, *run, *mrand.Rand, []string, func(string, ...any)) error
}

// injected is one fault of the log.
type injected struct {
	No   int
	Kind string
	What string
	At   time.Time
	Over time.Time // everything works again as far as it is concerned
}

// hands are the things that faults hold.
type hands struct {
	mu   sync.Mutex
	held map[string]bool
}

func (h *hands) take(list []string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range list {
		if h.held[k] {
			return false
		}
	}
	for _, k := range list {
		h.held[k] = true
	}
	return true
}

func (h *hands) give(list []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range list {
		delete(h.held, k)
	}
}

func always(*run) bool       { return true }
func withRedis(r *run) bool  { return r.cl.redis != nil }
func withClocks(r *run) bool { return r.c.Clock != "" }

// anyNode takes one node of the cluster.
func anyNode(r *run, rnd *mrand.Rand) []string {
	return []string{r.cl.nodes[rnd.IntN(len(r.cl.nodes))].name}
}

func nothing(*run, *mrand.Rand) []string { return nil }

func only(names ...string) func(*run, *mrand.Rand) []string {
	return func(*run, *mrand.Rand) []string { return names }
}

func (r *run) node(name string) *server {
	for _, s := range r.cl.nodes {
		if s.name == name {
			return s
		}
	}
	panic("chaos: no node " + name)
}

// between is a random duration.
func between(rnd *mrand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rnd.Int64N(int64(to-from)+1))
}

// kinds is the chaos list of fleet.md §12 as far as it concerns several nodes.
func kinds() []kind {
	return []kind{
		{"kill", 14, always, anyNode, killNode},
		{"kill_30s", 5, always, anyNode, killForLong},
		{"pause", 10, always, anyNode, pauseNode},
		{"roll", 8, always, anyNode, rollNode},
		{"pg_fast", 4, always, only("pg"), restartPostgres(syscall.SIGINT)},
		{"pg_crash", 4, always, only("pg"), restartPostgres(syscall.SIGQUIT)},
		{"pg_kill", 2, always, only("pg"), restartPostgres(syscall.SIGKILL)},
		{"pg_pause", 3, always, only("pg"), pausePostgres},
		{"redis_kill", 6, withRedis, only("redis"), killRedis},
		{"redis_flush", 3, withRedis, only("redis"), flushRedis},
		{"redis_pause", 3, withRedis, only("redis"), pauseRedis},
		{"cut_redis", 5, withRedis, anyNode, cutRedis},
		{"cut_pg", 7, always, anyNode, cutPostgres},
		{"slow_pg", 3, always, anyNode, slowPostgres},
		{"reset", 8, always, nothing, resetClients},
		{"half_open", 6, always, nothing, halfOpen},
		{"stall", 7, always, anyNode, stallClients},
		{"slow", 4, always, anyNode, slowClients},
		{"refuse", 4, always, anyNode, refuseClients},
		{"power_cut", 4, always, only("power"), powerCut},
		{"switch_off", 4, always, nothing, switchOff},
		{"site", 2, always, allNodes, killSite},
		{"clock", 5, withClocks, anyNode, jumpClock},
	}
}

func allNodes(r *run, _ *mrand.Rand) []string {
	list := []string{}
	for _, s := range r.cl.nodes {
		list = append(list, s.name)
	}
	return list
}

// again starts a node and waits until it is ready.
func (r *run) again(ctx context.Context, s *server, clock string) error {
	if err := s.start(clock); err != nil {
		return err
	}
	// without its database it cannot become ready: then it may end, and is started again as a supervisor would
	return until(ctx, 3*time.Minute, s.name+" is ready", func() bool {
		if !s.process().alive() {
			r.restarts.Add(1)
			if err := s.start(clock); err != nil {
				return false
			}
		}
		return s.ready(ctx)
	})
}

func killNode(ctx context.Context, r *run, _ *mrand.Rand, t []string, say func(string, ...any)) error {
	s := r.node(t[0])
	say("kill -9 %s, started again at once", s.name)
	s.kill()
	return r.again(ctx, s, "")
}

func killForLong(ctx context.Context, r *run, _ *mrand.Rand, t []string, say func(string, ...any)) error {
	s := r.node(t[0])
	say("kill -9 %s, gone for 30 s", s.name)
	s.kill()
	wait(ctx, 30*time.Second)
	return r.again(ctx, s, "")
}

func pauseNode(ctx context.Context, r *run, rnd *mrand.Rand, t []string, say func(string, ...any)) error {
	s, d := r.node(t[0]), between(rnd, 2*time.Second, 20*time.Second)
	say("SIGSTOP %s for %.1f s", s.name, d.Seconds())
	s.process().signal(syscall.SIGSTOP)
	wait(ctx, d)
	s.process().signal(syscall.SIGCONT)
	return until(ctx, time.Minute, s.name+" is ready", func() bool { return s.ready(ctx) })
}

// drainWithin is how long a node may take to leave.
const drainWithin = 3 * time.Minute

func rollNode(ctx context.Context, r *run, _ *mrand.Rand, t []string, say func(string, ...any)) error {
	s := r.node(t[0])
	say("SIGTERM %s under load, started again when it has left", s.name)
	start := time.Now()
	clean := s.process().end(syscall.SIGTERM, drainWithin)
	r.fig.add("drain", time.Since(start).Seconds())
	if !clean {
		r.violate("drain", "%s did not leave within %v", s.name, drainWithin)
	}
	return r.again(ctx, s, "")
}

func killSite(ctx context.Context, r *run, rnd *mrand.Rand, _ []string, say func(string, ...any)) error {
	d := between(rnd, 0, 20*time.Second)
	say("kill -9 of every node at once, back after %.1f s", d.Seconds())
	for _, s := range r.cl.nodes {
		s.kill()
	}
	wait(ctx, d)
	var wg sync.WaitGroup
	errs := make([]error, len(r.cl.nodes))
	for i, s := range r.cl.nodes {
		wg.Go(func() { errs[i] = r.again(ctx, s, "") })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func restartPostgres(sig syscall.Signal) func(context.Context, *run, *mrand.Rand, []string, func(string, ...any)) error {
	return func(ctx context.Context, r *run, rnd *mrand.Rand, _ []string, say func(string, ...any)) error {
		d := between(rnd, 0, 8*time.Second)
		say("PostgreSQL ended by %v, back after %.1f s", sig, d.Seconds())
		return r.cl.pg.restart(ctx, sig, d)
	}
}

// pausePostgres stalls the lines of all nodes: a database that hangs.
func pausePostgres(ctx context.Context, r *run, rnd *mrand.Rand, _ []string, say func(string, ...any)) error {
	d := between(rnd, 2*time.Second, 12*time.Second)
	say("PostgreSQL hangs for %.1f s", d.Seconds())
	for _, s := range r.cl.nodes {
		s.toPG.Set(impair.Line{Stall: true})
	}
	wait(ctx, d)
	for _, s := range r.cl.nodes {
		s.toPG.Set(impair.Line{})
	}
	return nil
}

func killRedis(ctx context.Context, r *run, rnd *mrand.Rand, _ []string, say func(string, ...any)) error {
	d := between(rnd, 0, 15*time.Second)
	say("Redis killed, back empty after %.1f s", d.Seconds())
	r.cl.redis.proc.kill()
	wait(ctx, d)
	return r.cl.redis.start(ctx)
}

func flushRedis(ctx context.Context, r *run, _ *mrand.Rand, _ []string, say func(string, ...any)) error {
	say("Redis flushed")
	return r.cl.redis.flush(ctx)
}

func pauseRedis(ctx context.Context, r *run, rnd *mrand.Rand, _ []string, say func(string, ...any)) error {
	d := between(rnd, time.Second, 10*time.Second)
	say("Redis stopped for %.1f s", d.Seconds())
	r.cl.redis.proc.signal(syscall.SIGSTOP)
	wait(ctx, d)
	r.cl.redis.proc.signal(syscall.SIGCONT)
	return nil
}

// spoil sets a line for a while.
func spoil(ctx context.Context, p *impair.TCP, l impair.Line, d time.Duration) error {
	p.Set(l)
	wait(ctx, d)
	p.Set(impair.Line{})
	return nil
}

func cutRedis(ctx context.Context, r *run, rnd *mrand.Rand, t []string, say func(string, ...any)) error {
	d := between(rnd, 3*time.Second, 20*time.Second)
	say("%s cut from Redis for %.1f s", t[0], d.Seconds())
	return spoil(ctx, r.node(t[0]).toR, impair.Line{Stall: true}, d)
}

func cutPostgres(ctx context.Context, r *run, rnd *mrand.Rand, t []string, say func(string, ...any)) error {
	d := between(rnd, 3*time.Second, 20*time.Second)
	say("%s cut from PostgreSQL for %.1f s", t[0], d.Seconds())
	return spoil(ctx, r.node(t[0]).toPG, impair.Line{Stall: true}, d)
}

func slowPostgres(ctx context.Context, r *run, rnd *mrand.Rand, t []string, say func(string, ...any)) error {
	d, late := between(rnd, 3*time.Second, 12*time.Second), between(rnd, 20*time.Millisecond, 150*time.Millisecond)
	say("%s to PostgreSQL %d ms late each way for %.1f s", t[0], late.Milliseconds(), d.Seconds())
	return spoil(ctx, r.node(t[0]).toPG, impair.Line{Delay: late}, d)
}

func stallClients(ctx context.Context, r *run, rnd *mrand.Rand, t []string, say func(string, ...any)) error {
	d := between(rnd, 2*time.Second, 15*time.Second)
	say("nothing passes between clients and %s for %.1f s", t[0], d.Seconds())
	return spoil(ctx, r.node(t[0]).front, impair.Line{Stall: true}, d)
}

func slowClients(ctx context.Context, r *run, rnd *mrand.Rand, t []string, say func(string, ...any)) error {
	d, late := between(rnd, 5*time.Second, 20*time.Second), between(rnd, 100*time.Millisecond, 1500*time.Millisecond)
	say("clients and %s hear each other %d ms late for %.1f s", t[0], late.Milliseconds(), d.Seconds())
	return spoil(ctx, r.node(t[0]).front, impair.Line{Delay: late}, d)
}

func refuseClients(ctx context.Context, r *run, rnd *mrand.Rand, t []string, say func(string, ...any)) error {
	d := between(rnd, 5*time.Second, 20*time.Second)
	say("%s refuses new connections for %.1f s", t[0], d.Seconds())
	return spoil(ctx, r.node(t[0]).front, impair.Line{Refuse: true}, d)
}

// some returns about share of a list, at least one of a list that is not empty.
func some(rnd *mrand.Rand, list []string, share float64) []string {
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	n := int(share * float64(len(list)))
	return list[:min(len(list), max(1, n))]
}

func resetClients(_ context.Context, r *run, rnd *mrand.Rand, _ []string, say func(string, ...any)) error {
	share, n := .05+.5*rnd.Float64(), 0
	for _, s := range r.cl.nodes {
		n += s.front.Reset(some(rnd, s.front.Open(), share)...)
	}
	say("RST on %d client connections", n)
	return nil
}

// halfOpen cuts lines of devices without a word: they find out after 100 s, as the service does.
func halfOpen(_ context.Context, r *run, rnd *mrand.Rand, _ []string, say func(string, ...any)) error {
	now, n := time.Now(), 0
	picked := some(rnd, r.idleLines(), .04)
	for _, local := range picked {
		for _, b := range r.boxes {
			if b.cut(local, now) {
				n++
			}
		}
	}
	for _, s := range r.cl.nodes {
		s.front.HalfOpen(picked...)
	}
	say("%d device lines half open", n)
	return nil
}

func powerCut(ctx context.Context, r *run, rnd *mrand.Rand, _ []string, say func(string, ...any)) error {
	d := between(rnd, 0, 20*time.Second)
	say("power cut: all %d devices drop at once, all return at once after %.1f s", len(r.boxes), d.Seconds())
	var wg sync.WaitGroup
	for _, b := range r.boxes {
		wg.Go(b.switchOff)
	}
	wg.Wait()
	wait(ctx, d)
	for _, b := range r.boxes {
		r.on(b)
	}
	return nil
}

// switchOff turns a few devices off for longer than any grace: they must be shown offline.
func switchOff(ctx context.Context, r *run, rnd *mrand.Rand, _ []string, say func(string, ...any)) error {
	d := between(rnd, 190*time.Second, 230*time.Second)
	n := 1 + rnd.IntN(3)
	var list []*box
	for range n {
		if b := r.boxes[r.c.Citizens+rnd.IntN(len(r.boxes)-r.c.Citizens)]; r.hands.take([]string{b.dev.Serial}) {
			list = append(list, b)
		}
	}
	say("%d devices switched off for %.0f s", len(list), d.Seconds())
	for _, b := range list {
		b.switchOff()
	}
	r.later(func() {
		wait(ctx, d)
		for _, b := range list {
			r.on(b)
			r.hands.give([]string{b.dev.Serial})
		}
	})
	return nil
}

func jumpClock(ctx context.Context, r *run, rnd *mrand.Rand, t []string, say func(string, ...any)) error {
	s := r.node(t[0])
	shift := []time.Duration{time.Hour, -time.Hour, 90 * time.Second, -90 * time.Second}[rnd.IntN(4)]
	d := between(rnd, 15*time.Second, 30*time.Second)
	say("the clock of %s jumps by %v while it runs, for %.0f s", s.name, shift, d.Seconds())
	s.kill()
	if err := r.again(ctx, s, fmt.Sprintf("3s%+ds,%s%+ds", int(shift.Seconds()), (3*time.Second+d).String(), 0)); err != nil {
		return err
	}
	wait(ctx, 3*time.Second+d+3*time.Second)
	s.kill()
	return r.again(ctx, s, "")
}
