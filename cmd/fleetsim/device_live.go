package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// ackTimeout is how long a frame may stay unacked on a live link (close 4009).
const ackTimeout = 30 * time.Second

// ackPace is how long an ack waits for a frame to ride on.
const ackPace = 200 * time.Millisecond

// reportEvery is about how often a simulated device has something to report.
const reportEvery = 10 * time.Minute

// live keeps the device connected until ctx ends: heartbeat by the server's pings, telemetry and reports now and then,
// and the reconnect rules of the protocol (full jitter, windows, codes that end it).
func (d *simDevice) live(ctx context.Context, base string, every time.Duration, rnd *mrand.Rand) error {
	if err := d.note("boot", map[string]string{"boot_id": d.bootID}); err != nil {
		return err
	}
	d.base = base
	why, tries := "boot", 0
	for ctx.Err() == nil {
		l, err := d.connect(ctx, base, why)
		if err != nil {
			tries++
			if !pause(ctx, backoff(rnd, tries, 2*time.Second, 60*time.Second)) {
				break
			}
			continue
		}
		tries, why = 0, "lost"
		code, err := d.serve(ctx, l, every, rnd)
		if errors.Is(err, errReboot) {
			if why, err = "boot", d.reboot(); err == nil && pause(ctx, backoff(rnd, 0, rebootTakes, rebootTakes)) {
				continue
			}
		}
		if err != nil {
			return err
		}
		if code >= 4500 && code != wire.CloseDisabled {
			return fmt.Errorf("device %s: closed with %d", d.Serial, code)
		}
		wait := backoff(rnd, 1, 2*time.Second, 60*time.Second)
		switch code {
		case wire.CloseDisabled:
			wait = time.Minute
		case wire.CloseSuperseded:
			wait = time.Duration((48 + 24*rnd.Float64()) * float64(time.Second)) // 60 s +- 20 %
		}
		if !pause(ctx, wait) {
			break
		}
	}
	return ctx.Err()
}

// rebootTakes is the longest time a simulated device is off for a restart.
const rebootTakes = 3 * time.Second

// reboot is a new start of the device's program.
func (d *simDevice) reboot() error {
	d.bootID = ident.New[string]()
	return d.note("boot", map[string]string{"boot_id": d.bootID})
}

// note writes down that something happened.
func (d *simDevice) note(kind string, data map[string]string) error {
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return d.journal.write(wire.Event, wire.EventBody{Kind: kind, HappenedAt: time.Now().UnixMicro(), Data: b})
}

// inventory is what the device consists of: the same document at every start.
func (d *simDevice) inventory() []byte {
	tier := []string{"A", "A", "B", "C"}[int(d.pub[0])%4]
	doc, _ := json.Marshal(map[string]any{ // texts, numbers and lists of them always marshal
		"kind": d.Kind, "model": simModel, "serial": d.Serial, "engine": "sim", "tier": tier, "screen": []int{3840, 2160},
		"camera": d.Kind != "stb", "microphone": d.Kind != "stb", "storage_free_mb": 1024 + 16*int(d.pub[1]),
	})
	return doc
}

// serve runs one link until it ends and returns the code it was closed with. It owns the goroutine that talks and
// waits for it.
func (d *simDevice) serve(ctx context.Context, l *simLink, every time.Duration, rnd *mrand.Rand) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	former := d.journal.position().Down.Stream
	if err := d.journal.welcomed(&l.welcome); err != nil {
		_ = l.ws.Close()
		if errors.Is(err, errOldJournal) {
			return 0, nil // it comes back under the journal's new id
		}
		return 0, err
	}
	t := talker{d: d, l: l, every: every, rnd: mrand.New(mrand.NewPCG(rnd.Uint64(), 1)), acked: make(chan struct{}, 1), frames: make(chan wire.Frame, 2*wire.MaxInFlight)} //nolint:gosec // behaviour of a simulation, not a secret
	if err := t.obeys(former); err != nil {
		_ = l.ws.Close()
		return 0, err
	}
	talked := make(chan error, 1)
	go func() {
		talked <- t.talk(ctx)
		_ = l.ws.Close() // wakes the reader
	}()
	code := l.read(func(f *wire.Frame) {
		switch f.T {
		case wire.Cmd, wire.CmdCancel:
			select {
			case t.frames <- *f:
			case <-ctx.Done():
			}
		case wire.LinkConfig:
			var b wire.LinkConfigBody
			if f.Body(&b) == nil && b.Access != nil {
				t.token.Store(b.Access.Token)
			}
		default:
		}
		if f.Ack == 0 {
			return
		}
		if err := d.journal.ack(f.Ack); err != nil {
			cancel() // the disk is full or gone; the next start tries again
		}
		select {
		case t.acked <- struct{}{}:
		default:
		}
	})
	cancel()
	_ = l.ws.Close()
	switch err := <-talked; {
	case errors.Is(err, errAckTimeout):
		code = wire.CloseAckTimeout
	case errors.Is(err, errReboot):
		return code, errReboot
	}
	return code, nil
}

// errAckTimeout says that the service has not acked for ackTimeout.
var errAckTimeout = errors.New("no ack")

// talker is the only writer of one link.
type talker struct {
	d     *simDevice
	l     *simLink
	every time.Duration
	rnd   *mrand.Rand
	acked chan struct{} // a token after an ack: more may be sent

	frames chan wire.Frame // of the down stream
	work   obedience
	token  atomic.Value // string: bearer token of the link
	owed   bool         // the service was not told of the last place yet
}

// obeys makes the link ready for commands; former is the down stream that counted before.
func (t *talker) obeys(former string) error {
	w := &t.l.welcome
	t.token.Store("")
	if w.Access != nil {
		t.token.Store(w.Access.Token)
	}
	t.work = obedience{d: t.d, leave: func() error { return t.l.send(wire.GoingAway, 0, wire.GoingAwayBody{Why: "reboot"}) }}
	t.work.bring = func(ctx context.Context, id string, body []byte) (wire.LogMetaBody, error) {
		token, _ := t.token.Load().(string)
		return t.d.upload(ctx, t.d.base, token, id, body)
	}
	if w.NowAt > 0 {
		t.work.offset = time.Until(time.UnixMicro(w.NowAt))
	}
	if w.Down == nil {
		return nil
	}
	t.work.tail = w.Down.Tail
	if err := t.work.woken(); err != nil {
		return err
	}
	if former != "" && former != w.Down.Stream {
		return t.work.moved()
	}
	return nil
}

// around is d +- 20 %.
func (t *talker) around(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*t.rnd.Float64()))
}

func (t *talker) talk(ctx context.Context) error {
	telemetry, report, watch := time.NewTimer(t.around(t.every)), time.NewTimer(t.around(reportEvery)), time.NewTicker(t.d.ackWithin/30)
	inventory := time.NewTimer(time.Duration(t.rnd.Float64() * float64(t.l.welcome.WantInMS) * float64(time.Millisecond)))
	defer telemetry.Stop()
	defer report.Stop()
	defer watch.Stop()
	defer inventory.Stop()
	look, tell := time.NewTicker(time.Second), time.NewTimer(time.Hour)
	defer look.Stop()
	defer tell.Stop()
	wanted := slices.Contains(t.l.welcome.Want, "inventory")
	for {
		if err := t.pump(); err != nil {
			return err
		}
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.acked:
		case f := <-t.frames:
			if err = t.work.take(&f); err == nil {
				t.owed = true
				tell.Reset(ackPace)
				err = t.work.work(ctx)
			}
		case <-look.C:
			err = t.work.work(ctx)
		case <-tell.C:
			if t.owed {
				t.owed = false
				err = t.l.write(wire.Frame{T: wire.Ack, Ack: t.d.journal.position().Down.Seq})
			}
		case <-inventory.C:
			if wanted {
				doc := t.d.inventory()
				err = t.d.journal.write(wire.Inventory, wire.InventoryBody{Hash: wire.DocumentHash(doc), Document: doc})
			}
		case <-report.C:
			report.Reset(t.around(reportEvery))
			err = t.d.note("network_changed", map[string]string{"to": []string{"ethernet", "wifi"}[t.rnd.IntN(2)]})
		case <-telemetry.C:
			telemetry.Reset(t.around(t.every))
			err = t.l.send(wire.Telemetry, 0, wire.TelemetryBody{
				CPU: t.rnd.Float64() * .4, MemPct: 30 + 20*t.rnd.Float64(), TempC: 45 + 10*t.rnd.Float64(), RTTMS: 20 + 60*t.rnd.Float64(),
			})
		case <-watch.C:
			if t.d.journal.overdue(time.Now(), t.d.ackWithin) {
				_ = t.l.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(wire.CloseAckTimeout, "ack"), time.Now().Add(time.Second))
				return errAckTimeout
			}
		}
		if err != nil {
			return err
		}
	}
}

// pump sends what the journal has, as far as the window allows.
func (t *talker) pump() error {
	for _, e := range t.d.journal.unsent(time.Now()) {
		f := wire.Frame{T: e.t, Seq: e.seq, B: e.body}
		if t.owed {
			t.owed, f.Ack = false, t.d.journal.position().Down.Seq
		}
		if err := t.l.write(f); err != nil {
			return err
		}
	}
	return nil
}
