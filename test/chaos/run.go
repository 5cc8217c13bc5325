package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"heyi/cmd/fleetsim/sim"
	"heyi/gateway/wire"
)

// How a run is paced.
const (
	goHome      = 5 * time.Minute // everybody finishes what is begun
	settleAtAll = 5 * time.Minute // until the last package and report has arrived
	coolDown    = 3 * time.Minute // links are gone, what they took is given back
)

// Bounds of what a node may take more than before it ever had a client.
const (
	moreGoroutines = 64 + 32 + 25 // the link's workers stay when they were needed once (link.Config)
	moreHeap       = 48           // MB
	moreFDs        = 25
)

// violation is a broken promise with its evidence.
type violation struct{ What, Evidence string }

// run is one run of the chaos.
type run struct {
	c       config
	out     io.Writer
	started time.Time
	fig     *figures
	hands   *hands
	cl      *cluster
	st      *studio
	stage   stage

	boxes    []*box
	citizens []*citizen
	desks    []*desk
	op       *operator // nil: this build knows no commands
	asker    *asker
	on       func(b *box) // switches a device on for as long as the run lasts
	base     map[string]vitals
	restarts atomic.Int64 // nodes that ended by themselves and were started again

	mu     sync.Mutex
	rnd    *mrand.Rand
	wrong  []violation
	faults []injected
	tail   sync.WaitGroup // what later started
}

// rand returns a new stream of the run's seed.
func (r *run) rand() *mrand.Rand {
	r.mu.Lock()
	defer r.mu.Unlock()
	return mrand.New(mrand.NewPCG(r.rnd.Uint64(), r.rnd.Uint64())) //nolint:gosec // choices of a simulation, repeatable by their seed
}

// at writes an instant as seconds since the start.
func (r *run) at(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return fmt.Sprintf("+%.3fs", t.Sub(r.started).Seconds())
}

func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out, "%9s  %s\n", r.at(time.Now()), fmt.Sprintf(format, args...))
}

// violate notes a broken promise; the first of each kind are printed at once.
func (r *run) violate(what, format string, args ...any) {
	v := violation{what, fmt.Sprintf(format, args...)}
	r.mu.Lock()
	r.wrong = append(r.wrong, v)
	n := 0
	for _, w := range r.wrong {
		if w.What == what {
			n++
		}
	}
	r.mu.Unlock()
	if n <= 5 {
		r.say("VIOLATION %s: %s", v.What, v.Evidence)
	}
}

// later runs f beside everything else; the run waits for it.
func (r *run) later(f func()) { r.tail.Go(f) }

// execute is a whole run; err says that it could not be carried out, wrong what it found.
func execute(ctx context.Context, c config) (wrong []violation, err error) {
	dir := c.Keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "heyi-chaos-"); err != nil {
			return nil, fmt.Errorf("folder: %w", err)
		}
	} else if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL's user goes through it
		return nil, fmt.Errorf("folder: %w", err)
	}
	r := &run{
		c: c, out: c.Out, started: time.Now(), fig: newFigures(), hands: &hands{held: map[string]bool{}}, base: map[string]vitals{},
		rnd: mrand.New(mrand.NewPCG(c.Seed, 1)), //nolint:gosec // choices of a simulation, repeatable by their seed
	}
	r.say("SEED=%d FAULTS=%d: %d nodes, %d devices (%d with citizens), %d desks; logs in %s", c.Seed, c.Faults, c.Nodes, c.Devices, c.Citizens, c.Desks, dir)
	if r.cl, err = newCluster(ctx, c, dir); err != nil {
		return nil, err
	}
	err = r.all(ctx)
	err = errors.Join(err, r.cl.close())
	if err == nil && len(r.wrong) == 0 && c.Keep == "" {
		err = os.RemoveAll(dir)
	}
	return r.wrong, err
}

func (r *run) all(ctx context.Context) error {
	if err := r.populate(ctx); err != nil {
		return err
	}
	crowd := r.arrive(ctx)
	err := r.faultsAndRest(ctx)
	r.say("everybody goes home")
	r.stage.closing.Store(true)
	crowd.leave(ctx, r)
	if err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	if err := r.empty(ctx, crowd); err != nil {
		return err
	}
	return r.sum()
}

// populate makes accounts and devices.
func (r *run) populate(ctx context.Context) error {
	staff := map[string]account{}
	var err error
	if staff["operator"], err = r.cl.addStaff(ctx, "operator", "operator,dispatcher"); err != nil {
		return err
	}
	for i := range r.c.Desks {
		login := fmt.Sprintf("lawyer%d", i+1)
		if staff[login], err = r.cl.addStaff(ctx, login, "lawyer"); err != nil {
			return err
		}
	}
	var hosts []string
	for _, s := range r.cl.nodes {
		hosts = append(hosts, s.base())
		v, err := s.vitals(ctx)
		if err != nil {
			return err
		}
		r.base[s.name] = v
	}
	frames, err := sim.PreparedFrames()
	if err != nil {
		return err //nolint:wrapcheck // names itself
	}
	r.st = &studio{frames: frames, nodes: r.cl.nodes}
	r.asker = newAsker(hosts, r.rand())
	op, err := newDesk(ctx, hosts[0], staff["operator"], r.asker, r.st, r.rand())
	if err != nil {
		return err
	}
	codes, err := units(ctx, op.client)
	if err != nil {
		return err
	}
	on := &happenings{frame: r.heard}
	for i := range r.c.Devices {
		b, err := newBox(i, codes[i%len(codes)], fmt.Sprintf("CHAOS-%05d", i))
		if err != nil {
			return err
		}
		b.hosts, b.on = hosts, on
		r.boxes = append(r.boxes, b)
	}
	if err := enrol(ctx, op.client, r.boxes); err != nil {
		return err
	}
	for i := range r.c.Citizens {
		r.citizens = append(r.citizens, &citizen{b: r.boxes[i], a: r.asker, st: r.st, stage: &r.stage, rnd: r.rand(), nudge: make(chan struct{}, 1)})
	}
	for i := range r.c.Desks {
		d, err := newDesk(ctx, hosts[i%len(hosts)], staff[fmt.Sprintf("lawyer%d", i+1)], r.asker, r.st, r.rand())
		if err != nil {
			return err
		}
		d.longest = r.c.Talk
		r.desks = append(r.desks, d)
	}
	if r.cl.orders {
		r.op = &operator{d: op, boxes: r.boxes, idle: r.boxes[r.c.Citizens:], rnd: r.rand()}
	}
	r.say("enrolled")
	return nil
}

// heard passes what a device hears on.
func (r *run) heard(b *box, _ *sim.Link, f *wire.Frame) {
	if b.no < len(r.citizens) && f.T >= wire.TicketState {
		token(r.citizens[b.no].nudge)
	}
}

// idleLines are the local ends of device lines that are up.
func (r *run) idleLines() []string {
	var list []string
	for _, b := range r.boxes {
		b.mu.Lock()
		if n := len(b.spans); n > 0 && b.spans[n-1].live().IsZero() {
			list = append(list, b.spans[n-1].local)
		}
		b.mu.Unlock()
	}
	return list
}

// crowd is everybody who acts in a run.
type crowd struct {
	citizens, desks, others sync.WaitGroup
	endCitizens, endDesks   context.CancelFunc
	endReports, endOthers   context.CancelFunc
	endLives                context.CancelFunc
}

// arrive switches the devices on and lets everybody begin.
func (r *run) arrive(ctx context.Context) *crowd {
	c := &crowd{}
	var lives, deskCtx, citizenCtx, reportCtx, otherCtx context.Context
	lives, c.endLives = context.WithCancel(ctx)
	r.on = func(b *box) { b.switchOn(lives, r.rand(), true) }
	deskCtx, c.endDesks = context.WithCancel(ctx)
	citizenCtx, c.endCitizens = context.WithCancel(ctx)
	reportCtx, c.endReports = context.WithCancel(ctx)
	otherCtx, c.endOthers = context.WithCancel(ctx)
	for _, b := range r.boxes {
		r.on(b)
	}
	for _, d := range r.desks {
		c.desks.Go(func() {
			r.stuck(d.run(deskCtx), "desk "+d.login, func() string { d.mu.Lock(); defer d.mu.Unlock(); return d.busy })
		})
	}
	for _, x := range r.citizens {
		c.citizens.Go(func() {
			r.stuck(x.run(citizenCtx), "citizen at "+x.b.dev.Serial, func() string { x.mu.Lock(); defer x.mu.Unlock(); return x.busy })
		})
	}
	rnd := r.rand()
	c.others.Go(func() {
		r.stuck(reporting(reportCtx, r.boxes, reportEvery*time.Duration(1+len(r.boxes)/100), rnd), "reports", nil)
	})
	if r.op != nil {
		c.others.Go(func() {
			r.stuck(r.op.run(reportCtx), "operator", func() string { r.op.d.mu.Lock(); defer r.op.d.mu.Unlock(); return r.op.d.busy })
		})
	}
	c.others.Go(func() { r.monitor(otherCtx) })
	return c
}

// stuck notes somebody who met an answer that he could do nothing about.
func (r *run) stuck(err error, who string, doing func() string) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	what := ""
	if doing != nil {
		what = doing()
	}
	r.violate("stuck", "%s: %s: %v", who, what, err)
}

// leave waits until the citizens are served and the desks have nothing left, then sends them home. Devices stay.
func (c *crowd) leave(ctx context.Context, r *run) {
	done := make(chan struct{})
	go func() { // ends with the citizens, whose context ends below at the latest
		c.citizens.Wait()
		close(done)
	}()
	t := time.NewTimer(goHome)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		for _, x := range r.citizens {
			x.mu.Lock()
			r.say("not home after %v: citizen at %s: %s", goHome, x.b.dev.Serial, x.busy)
			x.mu.Unlock()
		}
		r.violate("go_home", "citizens were not served within %v after the last fault", goHome)
	}
	c.endCitizens()
	<-done
	wait(ctx, 5*time.Second) // desks take their forms
	c.endDesks()
	c.desks.Wait()
	c.endReports() // what was written must arrive, more does not come
}

// faultsAndRest injects the faults, then heals everything.
func (r *run) faultsAndRest(ctx context.Context) error {
	if !wait(ctx, r.c.Warm) {
		return ctx.Err()
	}
	if err := r.inject(ctx); err != nil {
		return err
	}
	r.say("the last fault is over; everything is healed")
	if err := r.cl.heal(ctx); err != nil {
		return err
	}
	r.tail.Wait()
	return nil
}

// A fault of its own, undisturbed by others.
const (
	aloneEvery = 40 // faults
	calmBefore = 10 * time.Second
)

// inject injects the faults, several at a time, spread over the time of the run.
func (r *run) inject(ctx context.Context) error {
	list, rnd := kinds(), r.rand()
	kinds := strings.Split(r.c.Only, ",")
	list = slices.DeleteFunc(list, func(k kind) bool { return !k.can(r) || r.c.Only != "" && !slices.Contains(kinds, k.name) })
	if len(list) == 0 {
		return fmt.Errorf("no kind of fault is called %q in this build", r.c.Only)
	}
	gap := r.c.Time / time.Duration(r.c.Faults)
	var (
		wg   sync.WaitGroup
		errs errorList
	)
	for no := 1; no <= r.c.Faults && errs.err() == nil; {
		k, alone := pick(rnd, list), no%aloneEvery == aloneEvery/2 && r.c.Only == ""
		if alone { // a death that nothing else disturbs: how everybody comes back from it is measured
			wg.Wait()
			k = list[slices.IndexFunc(list, func(k kind) bool { return k.name == "kill_30s" })]
			if !wait(ctx, calmBefore) {
				break
			}
		}
		takes := k.takes(r, rnd)
		if !r.hands.take(takes) {
			if !wait(ctx, 50*time.Millisecond) {
				break
			}
			continue
		}
		f := injected{No: no, Kind: k.name, At: time.Now()}
		own := r.rand()
		wg.Go(func() {
			defer r.hands.give(takes)
			say := func(format string, args ...any) {
				f.What = fmt.Sprintf(format, args...)
				r.say("fault %d/%d %s: %s", f.No, r.c.Faults, f.Kind, f.What)
			}
			if err := k.inject(ctx, r, own, takes, say); err != nil {
				errs.add(fmt.Errorf("fault %d %s: %w", f.No, k.name, err))
			}
			f.Over = time.Now()
			r.mu.Lock()
			r.faults = append(r.faults, f)
			r.mu.Unlock()
		})
		no++
		if alone {
			wg.Wait()
			continue
		}
		if !wait(ctx, time.Duration((.3+1.4*rnd.Float64())*float64(gap))) {
			break
		}
	}
	wg.Wait()
	return errors.Join(errs.err(), ctx.Err())
}

// errorList collects errors of several goroutines.
type errorList struct {
	mu   sync.Mutex
	list []error
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, err)
}

func (l *errorList) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.list...)
}

// pick chooses by weight.
func pick(rnd *mrand.Rand, list []kind) kind {
	total := 0
	for _, k := range list {
		total += k.weight
	}
	n := rnd.IntN(total)
	for _, k := range list {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	return list[0]
}

// settle waits until presence is right and everything durable has arrived.
func (r *run) settle(ctx context.Context) error {
	b, err := r.books(ctx)
	if err != nil {
		return err
	}
	defer b.close(ctx)
	start := time.Now()
	var wrong []string
	err = until(ctx, presenceWithin, "presence", func() bool {
		wrong, err = r.unsettled(ctx, b)
		return err == nil && len(wrong) == 0
	})
	r.fig.put("presence_settled", time.Since(start).Seconds(), "s")
	if errors.Is(err, errLate) {
		for _, w := range wrong {
			r.violate("presence_at_rest", "%s", w)
		}
	} else if err != nil {
		return err
	}
	left, open, orders := 0, 0, 0
	err = until(ctx, settleAtAll, "packages and reports", func() bool {
		var err1, err2, err3 error
		left, err1 = r.missing(ctx, b)
		open, err2 = b.count(ctx, `SELECT (SELECT count(*) FROM handoff WHERE state <> 'verified')
			+ (SELECT count(*) FROM ticket WHERE state = 'wrap_up') + (SELECT count(*) FROM handoff WHERE state = 'dead')`)
		orders, err3 = r.openOrders(ctx, b)
		return err1 == nil && err2 == nil && err3 == nil && left <= 0 && open == 0 && orders == 0
	})
	r.fig.put("all_arrived", time.Since(start).Seconds(), "s")
	if errors.Is(err, errLate) {
		r.violate("arrival", "%d reports, %d packages and %d commands have not arrived within %v", left, open, orders, settleAtAll)
		return nil
	}
	return err
}

// empty sends the devices away and compares what the nodes take with what they took at first.
func (r *run) empty(ctx context.Context, c *crowd) error {
	c.endOthers()
	c.others.Wait()
	var wg sync.WaitGroup
	for _, b := range r.boxes {
		wg.Go(b.switchOff)
	}
	wg.Wait()
	c.endLives()
	r.asker.http.CloseIdleConnections()
	for _, s := range r.cl.nodes {
		base := r.base[s.name]
		var now vitals
		err := until(ctx, coolDown, s.name, func() bool {
			v, err := s.vitals(ctx)
			now = v
			return err == nil && v.goroutines <= base.goroutines+moreGoroutines && v.heap <= base.heap+moreHeap && v.fds <= base.fds+moreFDs
		})
		if err != nil && !errors.Is(err, errLate) {
			return err
		}
		r.say("%s up %s: goroutines %.0f -> %.0f, heap %.1f -> %.1f MB, descriptors %.0f -> %.0f", s.name, time.Since(s.startAt).Round(time.Second),
			base.goroutines, now.goroutines, base.heap, now.heap, base.fds, now.fds)
		if err != nil {
			r.violate("base", "%s does not give back: %+v before the first client, %+v after the last", s.name, base, now)
		}
		r.fig.add("goroutines_over_base", now.goroutines-base.goroutines)
		r.fig.add("heap_over_base", now.heap-base.heap)
	}
	return nil
}

// sum makes figures of what was seen, prints and saves them.
func (r *run) sum() error {
	r.returns()
	r.st.mu.Lock()
	for _, g := range r.st.back {
		r.fig.add("media_back_after_node_death_any", g.to.Sub(g.from).Seconds())
		if r.quiet(g.node, g.from, g.to) {
			r.fig.add("media_back_after_node_death", g.to.Sub(g.from).Seconds())
		}
	}
	for _, g := range r.st.gaps {
		r.fig.add("media_other_gaps", g.to.Sub(g.from).Seconds())
	}
	r.st.mu.Unlock()
	r.fig.spread("media_back_after_node_death", "s", 50, 95)
	r.fig.spread("media_back_after_node_death_any", "s", 50, 95)
	r.fig.spread("media_other_gaps", "s", 50, 95)
	r.fig.spread("goroutines_over_base", "1")
	r.fig.spread("heap_over_base", "MB")
	r.fig.spread("drain", "s", 50)
	r.fig.spread("presence_differs", "devices", 50, 95)
	r.fig.put("faults_injected", float64(len(r.faults)), "faults")
	r.fig.put("violations", float64(len(r.wrong)), "violations")
	r.fig.put("node_restarts_by_itself", float64(r.restarts.Load()), "1")
	r.fig.put("run", time.Since(r.started).Seconds(), "s")
	r.asker.mu.Lock()
	r.fig.put("requests", float64(r.asker.asked), "requests")
	r.fig.put("request_longest", r.asker.longMS/1000, "s")
	for code, n := range r.asker.met {
		r.fig.put("repeated_"+strings.ReplaceAll(code, ".", "_"), float64(n), "times")
	}
	r.asker.mu.Unlock()
	r.fig.print(r.out)
	if r.c.JSON == "" {
		return nil
	}
	return r.fig.save(r.c.JSON, map[string]any{"seed": r.c.Seed, "faults": r.faults, "violations": r.wrong})
}

// returns measures how devices came back. Those that lost a node while nothing else was wrong must be back inside the
// window they were given.
func (r *run) returns() {
	late, clean := 0, 0
	for _, x := range r.boxes {
		_, losses := x.history()
		x.mu.Lock()
		for _, d := range x.starts {
			r.fig.add("linked_after_power", d.Seconds())
		}
		x.mu.Unlock()
		for _, l := range losses {
			if l.off || l.back.IsZero() {
				continue
			}
			took := l.back.Sub(l.at)
			r.fig.add("back_all", took.Seconds())
			if l.window == 0 || !r.quiet(l.node, l.at, l.back) {
				continue
			}
			clean++
			r.fig.add("back", took.Seconds())
			r.fig.add("back_share_of_window", took.Seconds()/l.window.Seconds())
			if took > l.window+backSlack {
				late++
			}
		}
	}
	r.fig.spread("linked_after_power", "s", 50, 95, 99)
	r.fig.spread("back_all", "s", 50, 95, 99)
	r.fig.spread("back", "s", 50, 95, 99)
	r.fig.spread("back_share_of_window", "1", 50, 99)
	r.fig.put("back_late", float64(late), "returns")
	if clean >= 100 && late*100 > clean {
		r.violate("window", "%d of %d undisturbed returns took longer than the window they were given", late, clean)
	}
}

// backSlack is what a return may take beyond the moment that the device chose: dial, proof, epoch.
const backSlack = 2 * time.Second

// quiet reports whether nothing but the end of one node was wrong between the loss of a line to it and the return.
func (r *run) quiet(node string, from, to time.Time) bool {
	for _, f := range r.faults {
		if f.Over.Before(from.Add(-time.Second)) || f.At.After(to) {
			continue
		}
		own := slices.Contains([]string{"kill", "kill_30s", "roll"}, f.Kind) && strings.Contains(f.What, node) && f.At.Before(from.Add(time.Second))
		if !own && !harmless(f.Kind) {
			return false
		}
	}
	return true
}

// harmless faults keep no device from coming back.
func harmless(kind string) bool {
	return slices.Contains([]string{"reset", "half_open", "switch_off", "redis_flush", "redis_kill", "redis_pause", "cut_redis"}, kind)
}
