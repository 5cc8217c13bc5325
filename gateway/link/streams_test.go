package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"heyi/devices"
	"heyi/gateway/link"
	"heyi/gateway/wire"
	"heyi/internal/fault"
)

// resume opens the link of a device that keeps a journal.
func (w *world) resume(tb testing.TB, d *device, r wire.ResumeBody, inventory string) *client {
	tb.Helper()
	c := w.dial(tb, "/ws/v1")
	body := d.connect(tb, c.ch)
	body.Resume = &r
	if inventory != "" {
		body.Hashes = map[string]string{"inventory": inventory}
	}
	c.send(wire.Frame{T: wire.Connect}, body)
	c.expect(wire.Welcome, &c.wel)
	return c
}

func fresh(stream string) wire.ResumeBody { return wire.ResumeBody{Up: wire.StreamPos{Stream: stream}} }

// event sends one durable event.
func (c *client) event(seq uint64, kind string) {
	c.t.Helper()
	c.send(wire.Frame{T: wire.Event, Seq: seq}, wire.EventBody{Kind: kind})
}

// ackOf reads frames until one acks seq.
func (c *client) ackOf(seq uint64) {
	c.t.Helper()
	for {
		f, err := c.read()
		if err != nil {
			c.t.Fatalf("waiting for the ack of %d: %v", seq, err)
		}
		if f.Ack > seq {
			c.t.Fatalf("ack of %d, only %d were sent", f.Ack, seq)
		}
		if f.Ack == seq {
			return
		}
	}
}

// kinds are the events a device has stored, in order.
func (w *world) kinds(d *device) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, f := range w.stored[d.id] {
		if f.Report != nil {
			list = append(list, f.Report.Kind)
		} else {
			list = append(list, "inventory")
		}
	}
	return strings.Join(list, " ")
}

func TestDurableFramesAreStoredThenAcked(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.resume(t, d, fresh("j1"), "")
	if c.wel.Resumed || c.wel.Gap || *c.wel.Up != (wire.UpBody{Stream: "j1"}) || c.wel.Down == nil || c.wel.Down.Next != 1 || c.wel.Down.Stream == "" {
		t.Fatalf("welcome %s", jsonOf(t, c.wel))
	}
	for i := range uint64(5) {
		c.event(i+1, fmt.Sprintf("e%d", i+1))
	}
	c.ackOf(5)
	if got := w.kinds(d); got != "e1 e2 e3 e4 e5" {
		t.Errorf("stored %q", got)
	}
}

// The first ack goes alone and at once, further ones at most every 200 ms; an answer takes a waiting ack along.
func TestAcksWaitForCompany(t *testing.T) {
	t.Parallel()
	inBubble(t, link.Config{}, func(t *testing.T, b *bubble) {
		r := fresh("j1")
		c := b.resume(t, b.enrol(newDevice(t, "ed25519")), &r)
		defer func() { _ = c.ws.Close() }()
		start := time.Now()
		next := func(want wire.Type, ack uint64, lo, hi time.Duration) {
			t.Helper()
			f := c.expect(want, nil)
			if took := time.Since(start); f.Ack != ack || took < lo || took > hi {
				t.Errorf("%s acks %d after %v, want %d after %v to %v", f.T, f.Ack, took, ack, lo, hi)
			}
		}
		c.event(1, "a")
		next(wire.Ack, 1, 20*time.Millisecond, 25*time.Millisecond)
		c.event(2, "b")
		c.event(3, "c")
		next(wire.Ack, 3, 220*time.Millisecond, 275*time.Millisecond)
		start = time.Now()
		c.event(4, "d")
		timer := time.NewTimer(50 * time.Millisecond)
		<-timer.C
		c.send(wire.Frame{T: wire.Ping, ID: 7}, struct{}{})
		next(wire.Pong, 4, 50*time.Millisecond, 51*time.Millisecond)
		timer.Reset(time.Second) // no ack of its own follows
		<-timer.C
		c.send(wire.Frame{T: wire.Ping, ID: 8}, struct{}{})
		next(wire.Pong, 0, time.Second, 2*time.Second)
	})
}

func TestResumeAfterABrokenLine(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	first := w.resume(t, d, fresh("j1"), "")
	down := first.wel.Down.Stream
	first.event(1, "a")
	first.event(2, "b")
	first.ackOf(2)
	first.event(3, "c")
	_ = first.ws.Close() // in the middle

	second := w.resume(t, d, wire.ResumeBody{Down: wire.StreamPos{Stream: down}, Up: wire.StreamPos{Stream: "j1", Seq: 2}}, "")
	acked := second.wel.Up.Acked
	if !second.wel.Resumed || second.wel.Gap || acked < 2 || acked > 3 || second.wel.Down.Stream != down {
		t.Fatalf("welcome %s", jsonOf(t, second.wel))
	}
	second.event(3, "c") // perhaps a repetition
	second.event(4, "d")
	second.ackOf(4)
	if got := w.kinds(d); got != "a b c d" {
		t.Errorf("stored %q", got)
	}

	third := w.resume(t, d, wire.ResumeBody{Down: wire.StreamPos{Stream: "elsewhere", Seq: 3}, Up: wire.StreamPos{Stream: "j1", Seq: 4}}, "")
	if third.wel.Resumed || !third.wel.Gap || third.wel.Down.Stream != down || !slices.Contains(third.wel.Want, "inventory") {
		t.Errorf("another down stream: welcome %s", jsonOf(t, third.wel))
	}
	fourth := w.resume(t, d, wire.ResumeBody{Down: wire.StreamPos{Stream: down}, Up: wire.StreamPos{Stream: "j2"}}, "")
	if !fourth.wel.Resumed || *fourth.wel.Up != (wire.UpBody{Stream: "j2"}) {
		t.Errorf("another journal: welcome %s", jsonOf(t, fourth.wel))
	}
}

func TestInventoryIsWantedWhenItsHashDiffers(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{WantWithin: 5 * time.Second, MaxFrame: 8 << 10})
	d := w.enrol(newDevice(t, "ed25519"))
	doc, err := json.Marshal(map[string]string{"tier": "A", "panel": strings.Repeat("x", 100<<10)}) // longer than other frames
	if err != nil {
		t.Fatal(err)
	}
	hash := wire.DocumentHash(doc)
	c := w.resume(t, d, fresh("j1"), hash)
	if !slices.Equal(c.wel.Want, []string{"inventory"}) || c.wel.WantInMS != 5000 {
		t.Fatalf("welcome %s", jsonOf(t, c.wel))
	}
	c.send(wire.Frame{T: wire.Inventory, Seq: 1}, wire.InventoryBody{Hash: hash, Document: doc})
	c.ackOf(1)
	again := w.resume(t, d, wire.ResumeBody{Down: wire.StreamPos{Stream: c.wel.Down.Stream}, Up: wire.StreamPos{Stream: "j1", Seq: 1}}, hash)
	if len(again.wel.Want) != 0 || again.wel.WantInMS != 0 {
		t.Errorf("nothing changed: welcome %s", jsonOf(t, again.wel))
	}
	other := w.resume(t, d, wire.ResumeBody{Down: wire.StreamPos{Stream: c.wel.Down.Stream}, Up: wire.StreamPos{Stream: "j1", Seq: 1}}, wire.DocumentHash(nil))
	if !slices.Contains(other.wel.Want, "inventory") {
		t.Errorf("another document: welcome %s", jsonOf(t, other.wel))
	}
}

func TestRulesOfStreams(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{MaxFrame: 8 << 10})
	tests := map[string]struct {
		do     func(c *client)
		reason string
	}{
		"a gap":                    {func(c *client) { c.event(2, "a") }, "frame.seq_gap"},
		"no seq":                   {func(c *client) { c.event(0, "a") }, "frame.no_seq"},
		"an ack of what never was": {func(c *client) { c.send(wire.Frame{T: wire.Ack, Ack: 1}, nil) }, "frame.ack_ahead"},
		"a kind that is none":      {func(c *client) { c.event(1, "Boot!") }, "device.bad_event"},
		"data that is no object": {func(c *client) {
			c.send(wire.Frame{T: wire.Event, Seq: 1}, wire.EventBody{Kind: "a", Data: json.RawMessage(`"x"`)})
		}, "device.bad_event"},
		"a foreign hash": {func(c *client) {
			c.send(wire.Frame{T: wire.Inventory, Seq: 1}, wire.InventoryBody{Hash: wire.DocumentHash(nil), Document: json.RawMessage(`{}`)})
		}, "device.bad_inventory"},
		"a long frame that is no inventory": {func(c *client) {
			c.send(wire.Frame{T: wire.Telemetry}, map[string]string{"x": strings.Repeat("x", 9<<10)})
		}, "frame.too_large"},
		"an inventory beyond all bounds": {func(c *client) {
			c.send(wire.Frame{T: wire.Inventory, Seq: 1}, map[string]string{"x": strings.Repeat("x", wire.MaxInventory)})
		}, "frame.too_large"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := w.enrol(newDevice(t, "ed25519"))
			c := w.resume(t, d, fresh("j1"), "")
			c.t = t
			tt.do(c)
			if code, reason := c.closed(); code != wire.CloseProtocol || reason != tt.reason {
				t.Errorf("closed with %d %q, want %d %q", code, reason, wire.CloseProtocol, tt.reason)
			}
			if got := w.kinds(d); got != "" {
				t.Errorf("stored %q", got)
			}
		})
	}
}

func TestResumeWithoutAJournalIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	for name, r := range map[string]wire.ResumeBody{
		"no id":    {Down: wire.StreamPos{Stream: "d"}},
		"long id":  fresh(strings.Repeat("j", 65)),
		"far seq":  {Up: wire.StreamPos{Stream: "j", Seq: wire.MaxInt + 1}},
		"bad down": {Down: wire.StreamPos{Stream: "a\x00b"}, Up: wire.StreamPos{Stream: "j"}},
	} {
		d := w.enrol(newDevice(t, "ed25519"))
		c := w.dial(t, "/ws/v1")
		body := d.connect(t, c.ch)
		body.Resume = &r
		c.send(wire.Frame{T: wire.Connect}, body)
		if code, reason := c.closed(); code != wire.CloseProtocol || reason != "frame.resume" {
			t.Errorf("%s: closed with %d %q", name, code, reason)
		}
	}
}

// A device that said nothing about streams has none.
func TestDurableFramesNeedResume(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	c := w.login(t, w.enrol(newDevice(t, "ed25519")))
	if c.wel.Up != nil || c.wel.Down != nil || c.wel.Want != nil {
		t.Errorf("welcome %s", jsonOf(t, c.wel))
	}
	c.send(wire.Frame{T: wire.Event, Seq: 1, ID: 5}, wire.EventBody{Kind: "boot"})
	if f := c.expect(wire.Event, nil); f.Re != 5 || f.Err == nil || f.Err.Code != wire.NumUnknownType {
		t.Errorf("answer %+v", f)
	}
	c.alive()
}

func TestAtMostSixteenInFlight(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.resume(t, d, fresh("j1"), "")
	w.mu.Lock() // the store is slow: nothing is acked
	for i := range uint64(wire.MaxInFlight + 1) {
		c.event(i+1, "e")
	}
	code, reason := c.closed()
	w.mu.Unlock()
	if code != wire.CloseProtocol || reason != "frame.in_flight" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// Frames of many links share a write.
func TestFramesOfManyLinksShareAWrite(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{BatchWait: 300 * time.Millisecond})
	var all []*client
	for range 20 {
		c := w.resume(t, w.enrol(newDevice(t, "ed25519")), fresh("j"), "")
		all = append(all, c)
	}
	for _, c := range all {
		c.event(1, "a")
		c.event(2, "b")
	}
	for _, c := range all {
		c.ackOf(2)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.appends); n > 5 {
		t.Errorf("%d writes for 40 frames", n)
	}
}

func TestAStoreThatIsAwayLosesNoFrame(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.resume(t, d, fresh("j1"), "")
	w.mu.Lock()
	w.appendNo = fault.New(fault.Unavailable, "store.read_only")
	w.mu.Unlock()
	c.event(1, "a")
	c.event(2, "b")
	c.ackOf(2)
	if got := w.kinds(d); got != "a b" {
		t.Errorf("stored %q", got)
	}
}

// What the store cannot take from one link holds up no other.
func TestABrokenFrameHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	bad := &refuser{kind: "poison"}
	w := setup(t, link.Config{BatchWait: 200 * time.Millisecond}, func(d *link.Deps, _ *link.Hub) {
		if d != nil {
			bad.Streams = d.Streams
			d.Streams = bad
		}
	})
	one, two := w.enrol(newDevice(t, "ed25519")), w.enrol(newDevice(t, "ed25519"))
	a, b := w.resume(t, one, fresh("j"), ""), w.resume(t, two, fresh("j"), "")
	a.event(1, "poison")
	b.event(1, "fine")
	b.ackOf(1)
	if code, _ := a.closed(); code != wire.CloseOverload {
		t.Errorf("closed with %d, want %d", code, wire.CloseOverload)
	}
}

// refuser is a store that chokes on one kind of report.
type refuser struct {
	link.Streams
	kind string
}

func (r *refuser) Append(ctx context.Context, frames []devices.UpFrame) ([]devices.UpResult, error) {
	for _, f := range frames {
		if f.Report != nil && f.Report.Kind == r.kind {
			return nil, errors.New("cannot be stored")
		}
	}
	return r.Streams.Append(ctx, frames)
}

// Frames of an older link change nothing once a newer one is in, also on another node.
func TestFramesOfAnOldEpochCloseTheLink(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.resume(t, d, fresh("j1"), "")
	w.mu.Lock()
	w.epochs[d.id]++ // the device connected elsewhere
	w.mu.Unlock()
	c.event(1, "late")
	if code, _ := c.closed(); code != wire.CloseSuperseded {
		t.Errorf("closed with %d, want %d", code, wire.CloseSuperseded)
	}
	if got := w.kinds(d); got != "" {
		t.Errorf("stored %q", got)
	}
}
