package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"heyi/cmd/fleetsim/sim"
	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// Traffic of the simulated devices. They report far more than real ones, so that every fault meets frames in flight.
const (
	telemetryEvery = 20 * time.Second
	reportEvery    = 4 * time.Second
)

// box is one simulated device with a memory of its own: when it was linked, what it told, what it was told to do.
type box struct {
	no    int
	dev   *sim.Device
	hosts []string
	on    *happenings

	power  sync.Mutex // held by who switches it
	cancel context.CancelFunc
	lived  chan struct{}

	mu     sync.Mutex
	link   *sim.Link
	host   string
	spans  []span
	losses []loss
	said   int // reports written, numbered from 1
	offAt  time.Time
	onAt   time.Time       // switched on, not linked yet
	starts []time.Duration // from the switch to the welcome
	gaveUp error
	ran    map[string][]time.Time // when commands took effect, by id
}

// span is a time during which the device held a welcomed link.
type span struct {
	epoch int64
	node  string
	local string // its end of the line
	up    time.Time
	down  time.Time // zero: still up
	dead  time.Time // cut without a word at this time, zero: it was not
}

// live tells until when the line carried frames.
func (s *span) live() time.Time {
	if !s.dead.IsZero() && (s.down.IsZero() || s.dead.Before(s.down)) {
		return s.dead
	}
	return s.down
}

// loss is the end of a link and the return.
type loss struct {
	node   string
	at     time.Time
	window time.Duration
	code   int
	back   time.Time // zero: not yet
	off    bool      // the device itself was switched off
}

func newBox(no int, unit string, serial string) (*box, error) {
	d, err := sim.NewDevice(serial)
	if err != nil {
		return nil, err //nolint:wrapcheck // names itself
	}
	d.Kind, d.Class = "stb", "home"
	if no%3 == 0 {
		d.Kind, d.Class = "kiosk", "public"
	}
	d.Model, d.KeyStore, d.Org, d.Name = "chaos", "webcrypto", unit, fmt.Sprintf("%s%03d", d.Kind, no)
	if no%10 == 7 { // its battery is empty: it believes that it is 1970
		start := time.Now()
		d.Clock = func() time.Time { return time.Unix(0, 0).Add(time.Since(start)) }
	}
	return &box{no: no, dev: d, ran: map[string][]time.Time{}}, nil
}

// switchOn starts the device; it is nobody's choice but the caller's whether it connects at once.
func (b *box) switchOn(ctx context.Context, rnd *mrand.Rand, atOnce bool) {
	b.power.Lock()
	defer b.power.Unlock()
	if b.cancel != nil {
		return
	}
	b.mu.Lock()
	b.offAt = time.Time{}
	b.onAt = time.Now()
	b.mu.Unlock()
	b.dev.BootID = ident.New[string]()
	ctx, b.cancel = context.WithCancel(ctx)
	b.lived = make(chan struct{})
	done := b.lived
	go func() { // switchOff waits for it
		defer close(done)
		err := b.dev.Live(ctx, sim.Life{
			Hosts: b.hosts, Telemetry: telemetryEvery, Report: 24 * time.Hour, AtOnce: atOnce, Rand: rnd,
			On: sim.Events{Up: b.up, Down: b.down, Frame: b.frame, Order: b.did},
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			b.mu.Lock()
			b.gaveUp = err
			b.mu.Unlock()
		}
	}()
}

// switchOff cuts the power: the link ends without a word.
func (b *box) switchOff() {
	b.power.Lock()
	defer b.power.Unlock()
	if b.cancel == nil {
		return
	}
	now := time.Now()
	b.mu.Lock()
	b.offAt = now
	b.mu.Unlock()
	b.cancel()
	b.mu.Lock()
	if b.link != nil {
		b.link.Close()
	}
	b.mu.Unlock()
	<-b.lived
	b.cancel = nil
	b.mu.Lock()
	b.closeSpan(now, loss{off: true})
	b.mu.Unlock()
}

func (b *box) up(l *sim.Link, host string) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.link, b.host = l, host
	if !b.onAt.IsZero() {
		b.starts, b.onAt = append(b.starts, now.Sub(b.onAt)), time.Time{}
	}
	b.spans = append(b.spans, span{epoch: l.Welcome.Epoch, node: l.Node, local: l.WS.LocalAddr().String(), up: now})
	if n := len(b.losses); n > 0 && b.losses[n-1].back.IsZero() {
		b.losses[n-1].back = now
	}
	if !b.offAt.IsZero() { // switched off while it was being welcomed
		l.Close()
	}
}

func (b *box) down(l sim.Loss) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closeSpan(time.Now(), loss{window: l.Window, code: l.Code, off: !b.offAt.IsZero()})
}

// closeSpan ends the open span. b.mu is held.
func (b *box) closeSpan(now time.Time, l loss) {
	n := len(b.spans)
	if n == 0 || !b.spans[n-1].down.IsZero() {
		return
	}
	s := &b.spans[n-1]
	s.down = now
	b.link = nil
	l.node, l.at = s.node, now
	b.losses = append(b.losses, l)
}

// cut notes that the line was cut without a word.
func (b *box) cut(local string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.spans)
	if n == 0 || b.spans[n-1].local != local || !b.spans[n-1].down.IsZero() {
		return false
	}
	b.spans[n-1].dead = now
	return true
}

// report lets the device write something that must arrive exactly once.
func (b *box) report() error {
	b.mu.Lock()
	b.said++
	n := b.said
	b.mu.Unlock()
	return b.dev.Note("chaos", map[string]string{"n": strconv.Itoa(n)}) //nolint:wrapcheck // names itself
}

func (b *box) frame(l *sim.Link, f *wire.Frame) {
	if b.on.frame != nil {
		b.on.frame(b, l, f)
	}
}

// happenings are what the run wants to hear of.
type happenings struct {
	frame func(b *box, l *sim.Link, f *wire.Frame)
}

// now returns the link of this moment, nil when there is none, and the node's address.
func (b *box) now() (l *sim.Link, host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.link, b.host
}

// truth is what presence must show.
type truth struct {
	linked bool
	epoch  int64
	node   string
	since  time.Time // it has been so since then
	off    bool      // and somebody switched it off
}

func (b *box) truth() truth {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.spans)
	if n == 0 {
		return truth{since: b.offAt, off: !b.offAt.IsZero()}
	}
	s := &b.spans[n-1]
	if end := s.live(); !end.IsZero() {
		return truth{since: end, off: !b.offAt.IsZero()}
	}
	return truth{linked: true, epoch: s.epoch, node: s.node, since: s.up}
}

// history is a copy of what the device remembers.
func (b *box) history() (spans []span, losses []loss) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append(spans, b.spans...), append(losses, b.losses...)
}

// reporting lets all devices of a fleet report until ctx ends, each about so often.
func reporting(ctx context.Context, boxes []*box, every time.Duration, rnd *mrand.Rand) error {
	gap := every / time.Duration(len(boxes))
	for wait(ctx, time.Duration((.5+rnd.Float64())*float64(gap))) {
		if err := boxes[rnd.IntN(len(boxes))].report(); err != nil {
			return err
		}
	}
	return nil
}

// enrol registers the devices and gives them their identities.
func enrol(ctx context.Context, op *sim.Client, boxes []*box) error {
	var csv strings.Builder
	csv.WriteString(sim.ImportHead)
	for _, b := range boxes {
		csv.WriteString(b.dev.CSV() + "\n")
	}
	var res struct {
		Results []struct {
			OK   bool   `json:"ok"`
			Code string `json:"code"`
		} `json:"results"`
	}
	if err := op.Call(ctx, http.MethodPost, "/api/v1/devices/import", csv.String(), &res); err != nil {
		return err //nolint:wrapcheck // names itself
	}
	for _, r := range res.Results {
		if !r.OK {
			return fmt.Errorf("import: %s", r.Code)
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, len(boxes))
	slots := make(chan struct{}, 8)
	for i, b := range boxes {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = b.dev.Enrol(ctx, op)
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// units are the villages that devices stand in.
func units(ctx context.Context, op *sim.Client) ([]string, error) {
	var list struct {
		Units []struct{ Code, Level string } `json:"units"`
	}
	if err := op.Call(ctx, http.MethodGet, "/api/v1/units", nil, &list); err != nil {
		return nil, err //nolint:wrapcheck // names itself
	}
	var codes []string
	for _, u := range list.Units {
		if u.Level == "village" {
			codes = append(codes, u.Code)
		}
	}
	if len(codes) == 0 {
		return nil, errors.New("no villages")
	}
	return codes, nil
}

// number reads the number of a chaos report.
func number(data string) int {
	var d struct{ N string }
	if json.Unmarshal([]byte(data), &d) != nil {
		return 0
	}
	n, _ := strconv.Atoi(d.N)
	return n
}
