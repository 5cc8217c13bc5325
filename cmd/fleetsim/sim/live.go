package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"slices"
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

// Life is how a device lives.
type Life struct {
	Hosts     []string      // base addresses; each try takes another
	Telemetry time.Duration // about so often
	Report    time.Duration // about so often it has something to report; 0: reportEvery
	AtOnce    bool          // a person pressed a key: the first try waits for nothing
	On        Events
	Rand      *mrand.Rand
}

// Events tell what happens to a device. A nil one is not called; they are called from Live's own goroutines and must
// not block.
type Events struct {
	Up    func(l *Link, host string)
	Down  func(Loss)
	Frame func(l *Link, f *wire.Frame)
	Tried func(host string, err error)
	Order func(wire.CmdBody) // a command takes effect
}

// Loss is the end of a link as the device sees it.
type Loss struct {
	Code   int           // of the close frame, 0: the line broke
	Window time.Duration // within which the device comes back by the rules it was given
	Wait   time.Duration // what it chose
}

// The reconnect rules of devices (device-protocol.md §14).
const (
	bootWithin  = 30 * time.Second // a whole village returns at once after a power cut
	lostAtMost  = 30 * time.Second // of the window, after a loss without a word
	healthyFrom = time.Minute      // a link that held so long resets the count of tries
	dialWithin  = 15 * time.Second
)

// Live keeps the device connected until ctx ends: heartbeat by the server's pings, telemetry and reports now and then,
// and the reconnect rules of the protocol (full jitter, windows, Retry-After, codes that end it).
func (d *Device) Live(ctx context.Context, c Life) error {
	if c.Report == 0 {
		c.Report = reportEvery
	}
	if err := d.Note("boot", map[string]string{"boot_id": d.BootID}); err != nil {
		return err
	}
	if !c.AtOnce && !Pause(ctx, time.Duration(c.Rand.Float64()*float64(bootWithin))) {
		return ctx.Err()
	}
	rule := wire.ReconnectRule{BaseMS: 2000, CapMS: 300_000}
	host := c.Rand.IntN(len(c.Hosts))
	why, tries := "boot", 0
	for ctx.Err() == nil {
		base := c.Hosts[host%len(c.Hosts)]
		host++
		dial, cancel := context.WithTimeout(ctx, dialWithin)
		l, err := d.Connect(dial, base, why)
		cancel()
		if c.On.Tried != nil {
			c.On.Tried(base, err)
		}
		if err != nil {
			tries++
			wait := Backoff(c.Rand, tries-1, ms(rule.BaseMS), ms(rule.CapMS))
			if r, ok := errors.AsType[*RefusedError](err); ok && r.After > 0 {
				wait = r.After + time.Duration(c.Rand.Float64()*float64(r.After))
			}
			if e, ok := errors.AsType[*ClosedError](err); ok && final(e.Code) {
				return fmt.Errorf("device %s: %w", d.Serial, err)
			}
			if !Pause(ctx, wait) {
				break
			}
			continue
		}
		rule, why = l.Welcome.Reconnect, "lost"
		up := time.Now()
		if c.On.Up != nil {
			c.On.Up(l, base)
		}
		d.base = base
		loss, err := d.serve(ctx, l, c)
		if errors.Is(err, errReboot) {
			if why, err = "boot", d.reboot(); err == nil && Pause(ctx, Backoff(c.Rand, 0, rebootTakes, rebootTakes)) {
				continue
			}
		}
		if err != nil {
			return err
		}
		if time.Since(up) >= healthyFrom {
			tries = 0
		}
		if final(loss.Code) {
			return fmt.Errorf("device %s: closed with %d", d.Serial, loss.Code)
		}
		if c.On.Down != nil {
			c.On.Down(loss)
		}
		if !Pause(ctx, loss.Wait) {
			break
		}
	}
	return ctx.Err()
}

// rebootTakes is the longest time a simulated device is off for a restart.
const rebootTakes = 3 * time.Second

// reboot is a new start of the device's program.
func (d *Device) reboot() error {
	d.BootID = ident.New[string]()
	return d.Note("boot", map[string]string{"boot_id": d.BootID})
}

// final reports whether nothing helps until someone acts. A disabled device keeps its key and asks again.
func final(code int) bool { return code >= 4500 && code != wire.CloseDisabled }

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// after is what a device does about a link that ended with a code. window is that of going_away, 0: none was told.
func after(code int, window time.Duration, rule wire.ReconnectRule, rnd *mrand.Rand) Loss {
	spread := func(d time.Duration) time.Duration { return time.Duration(rnd.Float64() * float64(d)) }
	l := Loss{Code: code}
	switch {
	case window > 0 || code == wire.CloseGoingAway:
		l.Window = window
		if l.Window == 0 {
			l.Window = ms(rule.WindowMS)
		}
		l.Wait = spread(l.Window)
	case code == 0: // perhaps a killed node
		l.Window = min(ms(rule.WindowMS), lostAtMost)
		l.Wait = spread(l.Window)
	case code == wire.CloseDisabled:
		l.Window, l.Wait = time.Minute, time.Minute
	case code == wire.CloseSuperseded:
		l.Window = 72 * time.Second
		l.Wait = 48*time.Second + spread(24*time.Second) // 60 s +- 20 %
	default:
		l.Window = ms(rule.BaseMS)
		l.Wait = spread(l.Window)
	}
	return l
}

// Note writes down that something happened.
func (d *Device) Note(kind string, data map[string]string) error {
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return d.Journal.Write(wire.Event, wire.EventBody{Kind: kind, HappenedAt: d.Clock().UnixMicro(), Data: b})
}

// inventory is what the device consists of: the same document at every start.
func (d *Device) inventory() []byte {
	tier := []string{"A", "A", "B", "C"}[int(d.pub[0])%4]
	doc, _ := json.Marshal(map[string]any{ // texts, numbers and lists of them always marshal
		"kind": d.Kind, "model": Model, "serial": d.Serial, "engine": "sim", "tier": tier, "screen": []int{3840, 2160},
		"camera": d.Kind != "stb", "microphone": d.Kind != "stb", "storage_free_mb": 1024 + 16*int(d.pub[1]),
	})
	return doc
}

// serve runs one link until it ends and says what that means. It owns the goroutine that talks and waits for it.
func (d *Device) serve(ctx context.Context, l *Link, c Life) (Loss, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	former := d.Journal.Position().Down.Stream
	if err := d.Journal.welcomed(&l.Welcome); err != nil {
		l.Close()
		if errors.Is(err, errOldJournal) {
			return Loss{}, nil // it comes back under the journal's new id
		}
		return Loss{}, err
	}
	t := talker{d: d, l: l, c: c, rnd: mrand.New(mrand.NewPCG(c.Rand.Uint64(), 1)), acked: make(chan struct{}, 1), leave: make(chan struct{}, 1), frames: make(chan wire.Frame, 2*wire.MaxInFlight)} //nolint:gosec // behaviour of a simulation, not a secret
	if err := t.obeys(former); err != nil {
		l.Close()
		return Loss{}, err
	}
	talked := make(chan error, 1)
	go func() {
		talked <- t.talk(ctx)
		l.Close() // wakes the reader
	}()
	var window time.Duration
	code := l.Read(func(f *wire.Frame) {
		if f.Ack > 0 {
			if err := d.Journal.Ack(f.Ack); err != nil {
				cancel() // the disk is full or gone; the next start tries again
			}
			token(t.acked)
		}
		switch f.T {
		case wire.GoingAway:
			var b wire.GoingAwayBody
			if f.Body(&b) == nil {
				window = ms(b.WindowMS)
				token(t.leave)
			}
		case wire.Cmd, wire.CmdCancel:
			select {
			case t.frames <- *f:
			case <-ctx.Done():
			}
		default:
		}
		if c.On.Frame != nil {
			c.On.Frame(l, f)
		}
	})
	cancel()
	l.Close()
	switch err := <-talked; {
	case errors.Is(err, errAckTimeout):
		code = wire.CloseAckTimeout
	case errors.Is(err, errReboot):
		return Loss{}, errReboot
	}
	return after(code, window, l.Welcome.Reconnect, c.Rand), nil
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// errAckTimeout says that the service has not acked for ackTimeout.
var errAckTimeout = errors.New("no ack")

// talker is the only writer of one link.
type talker struct {
	d     *Device
	l     *Link
	c     Life
	rnd   *mrand.Rand
	acked chan struct{} // a token after an ack: more may be sent
	leave chan struct{} // a token after going_away: the device moves in its own time

	frames chan wire.Frame // of the down stream
	work   obedience
	owed   bool // the service was not told of the last place yet
}

// obeys makes the link ready for commands; former is the down stream that counted before.
func (t *talker) obeys(former string) error {
	w := &t.l.Welcome
	t.work = obedience{d: t.d, begun: t.c.On.Order, leave: func() error { return t.l.Send(wire.GoingAway, 0, wire.GoingAwayBody{Why: "reboot"}) }}
	t.work.bring = func(ctx context.Context, id string, body []byte) (wire.LogMetaBody, error) {
		return t.d.upload(ctx, t.d.base, t.l.Access(), id, body)
	}
	if w.NowAt > 0 {
		t.work.offset = time.UnixMicro(w.NowAt).Sub(t.d.Clock())
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
	telemetry, report, watch := time.NewTimer(t.around(t.c.Telemetry)), time.NewTimer(t.around(t.c.Report)), time.NewTicker(t.d.AckWithin/30)
	inventory := time.NewTimer(time.Duration(t.rnd.Float64() * float64(t.l.Welcome.WantInMS) * float64(time.Millisecond)))
	defer telemetry.Stop()
	defer report.Stop()
	defer watch.Stop()
	defer inventory.Stop()
	look, tell := time.NewTicker(time.Second), time.NewTimer(time.Hour)
	defer look.Stop()
	defer tell.Stop()
	wanted := slices.Contains(t.l.Welcome.Want, "inventory")
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
				err = t.l.Write(wire.Frame{T: wire.Ack, Ack: t.d.Journal.Position().Down.Seq})
			}
		case <-t.leave:
			return nil // what is not acked yet travels on the next link
		case <-inventory.C:
			if wanted {
				doc := t.d.inventory()
				err = t.d.Journal.Write(wire.Inventory, wire.InventoryBody{Hash: wire.DocumentHash(doc), Document: doc})
			}
		case <-report.C:
			report.Reset(t.around(t.c.Report))
			err = t.d.Note("network_changed", map[string]string{"to": []string{"ethernet", "wifi"}[t.rnd.IntN(2)]})
		case <-telemetry.C:
			telemetry.Reset(t.around(t.c.Telemetry))
			err = t.l.Send(wire.Telemetry, 0, wire.TelemetryBody{
				CPU: t.rnd.Float64() * .4, MemPct: 30 + 20*t.rnd.Float64(), TempC: 45 + 10*t.rnd.Float64(), RTTMS: 20 + 60*t.rnd.Float64(),
			})
		case <-watch.C:
			if t.d.Journal.overdue(time.Now(), t.d.AckWithin) {
				_ = t.l.WS.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(wire.CloseAckTimeout, "ack"), time.Now().Add(time.Second))
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
	for _, e := range t.d.Journal.unsent(time.Now()) {
		f := wire.Frame{T: e.t, Seq: e.seq, B: e.body}
		if t.owed {
			t.owed, f.Ack = false, t.d.Journal.Position().Down.Seq
		}
		if err := t.l.Write(f); err != nil {
			return err
		}
	}
	return nil
}
