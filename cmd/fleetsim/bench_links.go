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
	"sync"
	"sync/atomic"
	"time"

	"heyi/gateway/wire"
)

// benchLinks opens as many signed links as the descriptor limit allows and measures connects per second and memory
// per link, idle and after every link has sent and received traffic.
func benchLinks(ctx context.Context, c benchConfig, f *figures, logger *slog.Logger) (err error) {
	srv, err := newServer(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(srv.dir)) }()
	logger.InfoContext(ctx, "enrolling", slog.Int("devices", c.Links))
	fleet, err := enrolBench(ctx, srv, c.Links)
	if err != nil {
		return err
	}
	// a fresh process: its memory holds no trace of sign-in and enrolment
	if err := srv.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	demo, err := waitDemo(ctx, srv.demo)
	if err != nil {
		return fmt.Errorf("the server did not start again: %w", err)
	}
	pid := srv.cmd.Process.Pid
	if !pause(ctx, 2*time.Second) {
		return ctx.Err()
	}
	before, err := rss(pid)
	if err != nil {
		return err
	}
	cpu0, err := cpu(pid)
	if err != nil {
		return err
	}
	links, took, err := connectAll(ctx, demo.URL, fleet)
	if err != nil {
		return err
	}
	defer closeAll(links)
	cpu1, err := cpu(pid)
	if err != nil {
		return err
	}
	n := float64(len(links))
	f.put("links", n, "links")
	f.put("connects_per_second", n/took.Seconds(), "1/s")
	f.put("connects_per_core_second", n/(cpu1-cpu0).Seconds(), "1/s")
	if err := memory(f, "link_memory_idle", pid, before, n); err != nil {
		return err
	}
	if err := traffic(ctx, links, f); err != nil {
		return err
	}
	return memory(f, "link_memory_after_traffic", pid, before, n)
}

// enrolBench gives n devices their identity in a first run of the server.
func enrolBench(ctx context.Context, srv *server, n int) (fleet []*simDevice, err error) {
	if err := srv.start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	demo, err := waitDemo(ctx, srv.demo)
	if err != nil {
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	op, err := signIn(ctx, demo, "operator", "")
	if err != nil {
		return nil, err
	}
	return benchFleet(ctx, op, n)
}

func memory(f *figures, name string, pid int, before, n float64) error {
	now, err := rss(pid)
	if err != nil {
		return err
	}
	f.put(name, (now-before)/n/1000, "kB")
	return nil
}

func benchFleet(ctx context.Context, op *staffClient, n int) ([]*simDevice, error) {
	var units struct {
		Units []unitRow `json:"units"`
	}
	if err := op.call(ctx, http.MethodGet, "/api/v1/units", nil, &units); err != nil {
		return nil, err
	}
	codes := enrolUnits(units.Units)
	rnd := mrand.New(mrand.NewPCG(1, 7)) //nolint:gosec // behaviour of a simulation, not a secret
	fleet, err := makeFleet(fleetConfig{Size: n, Seed: time.Now().UnixNano() % 1e9}, codes, rnd)
	if err != nil {
		return nil, err
	}
	for i, d := range fleet {
		d.src = net.IPv4(127, 1, byte(i/200), byte(1+i%200)) // spread over addresses as villages are
	}
	return fleet, importDevices(ctx, op, fleet)
}

// connectAll opens every link with 64 callers at once and returns them with the time it took.
func connectAll(ctx context.Context, base string, fleet []*simDevice) ([]*simLink, time.Duration, error) {
	links := make([]*simLink, len(fleet))
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	start := time.Now()
	for range 64 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(fleet) || ctx.Err() != nil {
					return
				}
				l, err := fleet[i].connect(ctx, base, "boot")
				if err != nil {
					mu.Lock()
					if first == nil {
						first = fmt.Errorf("link %d: %w", i, err)
					}
					mu.Unlock()
					return
				}
				links[i] = l
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	if first != nil {
		closeAll(links)
		return nil, 0, first
	}
	return links, took, ctx.Err()
}

func closeAll(links []*simLink) {
	for _, l := range links {
		if l != nil {
			_ = l.ws.Close()
		}
	}
}

// traffic lets every link send telemetry three times and ask ping twice; the round trip of the pings is measured at
// about 2,000 messages a second over all links.
func traffic(ctx context.Context, links []*simLink, f *figures) error {
	const perSecond = 2000
	var rtt []float64
	tick := time.NewTicker(time.Second / perSecond * 20)
	defer tick.Stop()
	for round := range 5 {
		for from := 0; from < len(links); from += 20 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
			for _, l := range links[from:min(from+20, len(links))] {
				if round%2 == 0 {
					if err := l.send(wire.Telemetry, 0, wire.TelemetryBody{CPU: .2, MemPct: 40, RTTMS: 30}); err != nil {
						return err
					}
					continue
				}
				start := time.Now()
				if err := l.send(wire.Ping, uint64(round+1), struct{}{}); err != nil {
					return err
				}
				if err := l.awaitPong(); err != nil {
					return err
				}
				rtt = append(rtt, float64(time.Since(start).Microseconds())/1000)
			}
		}
	}
	p50, p99 := quantile(rtt, .5), quantile(rtt, .99)
	f.put("link_rtt_p50", p50, "ms")
	f.put("link_rtt_p99", p99, "ms")
	return nil
}

// awaitPong reads frames until a pong comes; the caller is the link's only reader.
func (l *simLink) awaitPong() error {
	if err := l.ws.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return fmt.Errorf("deadline: %w", err)
	}
	for {
		_, raw, err := l.ws.ReadMessage()
		if err != nil {
			return fmt.Errorf("waiting for pong: %w", err)
		}
		var f wire.Frame
		if wire.Decode(raw, &f) == nil && f.T == wire.Pong {
			return nil
		}
	}
}
