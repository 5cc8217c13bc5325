package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"heyi/cmd/fleetsim/sim"
	"heyi/gateway/wire"
)

// Traffic of the link bench.
const (
	warmPerSecond = 5000 // messages of the first round, which is not measured
	pingPerSecond = 2000 // round trips of the measured round

	linkCalm = 6 * time.Second // after the last connect: the server has given back what the wave took

	beatsPerSecond = 633              // what 19,000 links send when each speaks every 30 s
	beatsFor       = 12 * time.Second // at that pace
	readersSettle  = 3 * time.Second  // old pings are answered before the broadcast
)

// benchLinks opens as many signed links as the descriptor limit allows and measures connects per second, round trips
// and memory per link, idle and after every link has sent and received traffic; then the same number of links to a
// bare echo server as a yardstick.
func benchLinks(ctx context.Context, c benchConfig, f *figures, logger *slog.Logger) error {
	if err := benchOwnLinks(ctx, c, f, logger); err != nil {
		return err
	}
	if err := benchBareLinks(ctx, c, f); err != nil {
		return fmt.Errorf("yardstick: %w", err)
	}
	f.put("link_connects_ratio_to_bare", f.value["connects_per_core_second"]/f.value["link_bare_connects_per_core_second"], "x")
	f.put("link_memory_ratio_to_bare", f.value["link_memory_after_traffic"]/f.value["link_bare_memory_after_traffic"], "x")
	f.put("link_heartbeat_cpu_ratio_to_bare", f.value["link_heartbeat_cpu"]/f.value["link_bare_heartbeat_cpu"], "x")
	f.put("link_broadcast_ratio_to_bare", f.value["link_broadcast_last"]/f.value["link_bare_broadcast_last"], "x")
	return nil
}

func benchOwnLinks(ctx context.Context, c benchConfig, f *figures, logger *slog.Logger) (err error) {
	srv, err := newServer(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(srv.dir)) }()
	start := time.Now()
	fleet, err := enrolBench(ctx, srv, c.Links)
	if err != nil {
		return err
	}
	logger.InfoContext(ctx, "enrolled", slog.Int("devices", c.Links), slog.Duration("took", time.Since(start)))
	pinSelf(ctx)
	// a fresh process: its memory holds no trace of sign-in and enrolment
	if err := srv.start(ctx, true); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	demo, err := srv.ready(ctx)
	if err != nil {
		return err
	}
	b := linkBench{pid: srv.cmd.Process.Pid, n: c.Links, prefix: "", f: f}
	b.open = func(ctx context.Context, i int) (*sim.Link, error) { return fleet[i].Connect(ctx, demo.URL, "boot") }
	b.tell = func(l *sim.Link) error {
		return l.Send(wire.Telemetry, 0, wire.TelemetryBody{CPU: .2, MemPct: 40, RTTMS: 30})
	}
	b.ask = func(l *sim.Link) error {
		if err := l.Send(wire.Ping, l.Sent, struct{}{}); err != nil {
			return err
		}
		return await(l, wire.Pong)
	}
	// what a node says to all at once: it goes away (device-protocol, going_away)
	b.shout = func(context.Context) error { return srv.cmd.Process.Signal(syscall.SIGTERM) }
	b.heard = func(l *sim.Link) error { return await(l, wire.GoingAway) }
	return b.run(ctx)
}

// benchBareLinks is the yardstick: gorilla as tuned as ours, with no protocol on it.
func benchBareLinks(ctx context.Context, c benchConfig, f *figures) error {
	cmd, addr, err := startChild(ctx, bareEchoCommand)
	if err != nil {
		return err
	}
	defer stopChild(cmd)
	msg := []byte(`{"v":1,"t":"telemetry","b":{"cpu":0.2,"mem_pct":40,"rtt_ms":30}}`)
	echo := func(l *sim.Link) error {
		if err := l.WS.WriteMessage(websocket.TextMessage, msg); err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		if _, _, err := l.WS.ReadMessage(); err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		return nil
	}
	b := linkBench{pid: cmd.Process.Pid, n: c.Links, prefix: "link_bare_", f: f, tell: echo, ask: echo}
	b.open = func(ctx context.Context, i int) (*sim.Link, error) {
		return sim.DialLink(ctx, "http://"+addr, benchAddr(i))
	}
	b.shout = func(ctx context.Context) error { return bareShout(ctx, addr) }
	b.heard = func(l *sim.Link) error {
		if _, _, err := l.WS.ReadMessage(); err != nil {
			return fmt.Errorf("broadcast: %w", err)
		}
		return nil
	}
	return b.run(ctx)
}

// enrolBench gives n devices their identity in a first run of the server.
func enrolBench(ctx context.Context, srv *server, n int) (fleet []*sim.Device, err error) {
	if err := srv.start(ctx, false); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	demo, err := srv.ready(ctx)
	if err != nil {
		return nil, err
	}
	op, err := sim.SignIn(ctx, demo, "operator", "")
	if err != nil {
		return nil, err
	}
	return benchFleet(ctx, op, n)
}

func benchFleet(ctx context.Context, op *sim.Client, n int) ([]*sim.Device, error) {
	var units struct {
		Units []unitRow `json:"units"`
	}
	if err := op.Call(ctx, http.MethodGet, "/api/v1/units", nil, &units); err != nil {
		return nil, err
	}
	codes := enrolUnits(units.Units)
	rnd := mrand.New(mrand.NewPCG(1, 7)) //nolint:gosec // behaviour of a simulation, not a secret
	fleet, err := makeFleet(fleetConfig{Size: n, Seed: time.Now().UnixNano() % 1e9}, codes, rnd)
	if err != nil {
		return nil, err
	}
	for i, d := range fleet {
		d.Src = benchAddr(i)
	}
	return fleet, importDevices(ctx, op, fleet)
}

// benchAddr spreads links over addresses, as villages are.
func benchAddr(i int) net.IP { return net.IPv4(127, 1, byte(i/200), byte(1+i%200)) }

// linkBench measures n links to one server process.
type linkBench struct {
	pid    int
	n      int
	prefix string // of the names of the figures
	f      *figures
	open   func(ctx context.Context, i int) (*sim.Link, error)
	tell   func(l *sim.Link) error         // one message
	ask    func(l *sim.Link) error         // one round trip
	shout  func(ctx context.Context) error // lets the server say something to every link
	heard  func(l *sim.Link) error         // waits until a link has heard it

	links []*sim.Link
}

func (b *linkBench) run(ctx context.Context) error {
	if !sim.Pause(ctx, 2*time.Second) { // the server's own start is over
		return ctx.Err()
	}
	if err := b.f.load(b.name("link_load_1m")); err != nil {
		return err
	}
	before, err := rss(b.pid)
	if err != nil {
		return err
	}
	b.links = make([]*sim.Link, b.n)
	defer b.close()
	if err := b.connects(ctx); err != nil {
		return err
	}
	b.f.put(b.name("links"), float64(b.n), "links")
	if !sim.Pause(ctx, linkCalm) {
		return ctx.Err()
	}
	if err := b.memory("link_memory_idle", before); err != nil {
		return err
	}
	if err := b.traffic(ctx); err != nil {
		return err
	}
	if err := b.memory("link_memory_after_traffic", before); err != nil {
		return err
	}
	if err := b.heartbeats(ctx); err != nil {
		return err
	}
	return b.broadcast(ctx)
}

// heartbeats lets links speak one after another at the pace of the whole fleet's heartbeats and measures what share of
// a processor the server needs for them, its own pings included.
func (b *linkBench) heartbeats(ctx context.Context) error {
	few := *b
	few.links = b.links[:min(len(b.links), int(beatsPerSecond*beatsFor.Seconds()))]
	c0, err := cpu(b.pid)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := few.round(ctx, beatsPerSecond, b.tell); err != nil {
		return err
	}
	took := time.Since(start)
	c1, err := cpu(b.pid)
	if err != nil {
		return err
	}
	b.f.put(b.name("link_heartbeat_rate"), float64(len(few.links))/took.Seconds(), "1/s")
	b.f.put(b.name("link_heartbeat_cpu"), 100*(c1-c0).Seconds()/took.Seconds(), "%")
	return nil
}

// broadcast measures from the server's order to the moment at which the last link has heard it.
func (b *linkBench) broadcast(ctx context.Context) error {
	at := make([]time.Time, len(b.links))
	errs := make([]error, len(b.links))
	var wg sync.WaitGroup
	for i, l := range b.links {
		wg.Go(func() { errs[i], at[i] = b.heard(l), time.Now() })
	}
	if !sim.Pause(ctx, readersSettle) {
		b.close()
		wg.Wait()
		return ctx.Err()
	}
	start := time.Now()
	if err := b.shout(ctx); err != nil {
		b.close()
		wg.Wait()
		return fmt.Errorf("broadcast: %w", err)
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	b.f.put(b.name("link_broadcast_last"), float64(slices.MaxFunc(at, time.Time.Compare).Sub(start).Microseconds())/1000, "ms")
	return nil
}

// name puts the prefix in the place of "link_".
func (b *linkBench) name(s string) string {
	if b.prefix == "" {
		return s
	}
	return b.prefix + strings.TrimPrefix(s, "link_")
}

func (b *linkBench) memory(name string, before float64) error {
	now, err := rss(b.pid)
	if err != nil {
		return err
	}
	b.f.put(b.name(name), (now-before)/float64(b.n)/1000, "kB")
	return nil
}

// connects opens the links in six parts and puts the medians of all but the first, which warms the server up.
func (b *linkBench) connects(ctx context.Context) error {
	const parts = 6
	var perSecond, perCore []float64
	for part := range parts {
		from, to := b.n*part/parts, b.n*(part+1)/parts
		cpu0, err := cpu(b.pid)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := b.connect(ctx, from, to); err != nil {
			return err
		}
		took := time.Since(start)
		cpu1, err := cpu(b.pid)
		if err != nil {
			return err
		}
		if n := float64(to - from); part > 0 {
			perSecond = append(perSecond, n/took.Seconds())
			perCore = append(perCore, n/(cpu1-cpu0).Seconds())
		}
	}
	b.f.put(b.name("connects_per_second"), quantile(perSecond, .5), "1/s")
	b.f.put(b.name("connects_per_core_second"), quantile(perCore, .5), "1/s")
	return nil
}

// connect opens the links from..to with 64 callers at once.
func (b *linkBench) connect(ctx context.Context, from, to int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(from))
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= to {
					return
				}
				l, err := b.open(ctx, i)
				if err != nil {
					cancel(fmt.Errorf("link %d: %w", i, err))
					return
				}
				b.links[i] = l
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (b *linkBench) close() {
	for _, l := range b.links {
		if l != nil {
			_ = l.WS.Close()
		}
	}
}

// traffic lets every link send one message, then two round trips; the second is measured.
func (b *linkBench) traffic(ctx context.Context) error {
	if err := b.round(ctx, warmPerSecond, b.tell); err != nil {
		return err
	}
	if err := b.round(ctx, pingPerSecond, b.ask); err != nil {
		return err
	}
	var rtt []float64
	err := b.round(ctx, pingPerSecond, func(l *sim.Link) error {
		start := time.Now()
		err := b.ask(l)
		rtt = append(rtt, float64(time.Since(start).Microseconds())/1000)
		return err
	})
	if err != nil {
		return err
	}
	b.f.put(b.name("link_rtt_p50"), quantile(rtt, .5), "ms")
	b.f.put(b.name("link_rtt_p99"), quantile(rtt, .99), "ms")
	return nil
}

// round does something with every link, in small groups at the given pace.
func (b *linkBench) round(ctx context.Context, perSecond int, do func(l *sim.Link) error) error {
	const group = 20
	tick := time.NewTicker(time.Second * group / time.Duration(perSecond))
	defer tick.Stop()
	for from := 0; from < len(b.links); from += group {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		for _, l := range b.links[from:min(from+group, len(b.links))] {
			if err := do(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// await reads frames until one of a type comes; the caller is the link's only reader.
func await(l *sim.Link, t wire.Type) error {
	for {
		_, raw, err := l.WS.ReadMessage()
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", t, err)
		}
		var f wire.Frame
		if wire.Decode(raw, &f) == nil && f.T == t {
			return nil
		}
	}
}
