package link_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"heyi/devices"
	"heyi/gateway/link"
	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/ident"
)

// shelf holds down streams by the rules of the store.
type shelf struct {
	b *backend

	mu     sync.Mutex
	names  map[ident.DeviceID][]string // at the places 1, 2, ...
	failed int                         // calls that are still to fail
	writes int
	kept   chan struct{} // a token for each write of acks
}

func (s *shelf) fails() error {
	if s.failed > 0 {
		s.failed--
		return errors.New("the store is away")
	}
	return nil
}

func (s *shelf) current(at devices.LinkAt) bool { return s.b.epochs[at.Device] == at.Epoch }

// HandOver implements link.Down.
func (s *shelf) HandOver(_ context.Context, pulls []devices.Pull) ([]devices.Pulled, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if err := s.fails(); err != nil {
		return nil, err
	}
	out := make([]devices.Pulled, len(pulls))
	for i, p := range pulls {
		if !s.current(p.LinkAt) {
			out[i].Stale = true
			continue
		}
		at := s.b.streams[p.Device]
		for seq, name := range s.names[p.Device] {
			n := int64(seq + 1)
			if n <= p.After || n > p.After+int64(p.Most) {
				continue
			}
			f := devices.DownFrame{Seq: n, Cmd: &wire.CmdBody{CmdID: name, Name: "volume.set", WhenBusy: "run"}}
			if strings.HasPrefix(name, "-") {
				f = devices.DownFrame{Seq: n, Cancel: &wire.CmdCancelBody{CmdID: name[1:]}}
			}
			out[i].Frames = append(out[i].Frames, f)
			at.DownSent = max(at.DownSent, n)
		}
		s.b.streams[p.Device] = at
	}
	return out, nil
}

// Acked implements link.Down.
func (s *shelf) Acked(_ context.Context, acks []devices.DownAck) (stale []devices.LinkAt, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if err := s.fails(); err != nil {
		return nil, err
	}
	s.writes++
	for _, a := range acks {
		if !s.current(a.LinkAt) {
			stale = append(stale, a.LinkAt)
			continue
		}
		at := s.b.streams[a.Device]
		at.DownAcked = max(at.DownAcked, a.Seq)
		s.b.streams[a.Device] = at
	}
	s.kept <- struct{}{}
	return stale, nil
}

// Pending implements link.Down.
func (s *shelf) Pending(context.Context) ([]devices.Waiting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if err := s.fails(); err != nil {
		return nil, err
	}
	var list []devices.Waiting
	for id, names := range s.names {
		if tail := int64(len(names)); tail > s.b.streams[id].DownAcked {
			list = append(list, devices.Waiting{LinkAt: devices.LinkAt{Device: id, Epoch: s.b.epochs[id]}, Tail: tail})
		}
	}
	return list, nil
}

// add puts commands into a device's stream.
func (s *shelf) add(d *device, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.names[d.id] = append(s.names[d.id], names...)
	at := s.b.streams[d.id]
	at.Down = "d1"
	at.DownTail = int64(len(s.names[d.id]))
	s.b.streams[d.id] = at
}

// stored is how far a device's acks are stored, and in how many writes of all.
func (s *shelf) stored(d *device) (acked int64, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	return s.b.streams[d.id].DownAcked, s.writes
}

func newShelf(b *backend) *shelf {
	return &shelf{b: b, names: map[ident.DeviceID][]string{}, kept: make(chan struct{}, 100)}
}

// downs opens a world whose devices have down streams.
func downs(tb testing.TB, cfg link.Config) (*world, *shelf) {
	tb.Helper()
	var s *shelf
	w := setup(tb, cfg, func(d *link.Deps, _ *link.Hub) {
		if d != nil {
			b, _ := d.Verifier.(*backend)
			s = newShelf(b)
			d.Down = s
		}
	})
	return w, s
}

func nudge(w *world, d *device) {
	w.nudges.Publish(context.Background(), coord.Nudge{To: "device/" + string(d.id), T: wire.Cmd, ID: "c"})
}

// commands reads n frames of the down stream, which must follow after.
func (c *client) commands(after uint64, n int) (last uint64, names string) {
	c.t.Helper()
	for range n {
		f, err := c.read()
		if err != nil {
			c.t.Fatalf("after %d: %v", after, err)
		}
		if f.T == wire.Ack || f.T == wire.Sync {
			n++
			continue
		}
		if f.Seq != after+1 {
			c.t.Fatalf("%s %d follows %d", f.T, f.Seq, after)
		}
		after++
		if f.T == wire.CmdCancel {
			var b wire.CmdCancelBody
			if err := f.Body(&b); err != nil {
				c.t.Fatal(err)
			}
			names += " -" + b.CmdID
			continue
		}
		var b wire.CmdBody
		if err := f.Body(&b); err != nil {
			c.t.Fatal(err)
		}
		names += " " + b.CmdID
	}
	return after, strings.TrimSpace(names)
}

func (c *client) acks(seq uint64) {
	c.t.Helper()
	c.send(wire.Frame{T: wire.Ack, Ack: seq}, nil)
}

func TestWaitingCommandsComeWithTheLink(t *testing.T) {
	t.Parallel()
	w, s := downs(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	s.add(d, strings.Fields("a b c d e f g h i j k l m n o p q r s t")...)
	c := w.resume(t, d, fresh("j1"), "")
	if c.wel.Down.Next != 1 || c.wel.Down.Tail != 20 {
		t.Fatalf("welcome %s", jsonOf(t, c.wel))
	}
	last, names := c.commands(0, wire.MaxInFlight)
	if names != "a b c d e f g h i j k l m n o p" {
		t.Errorf("came %s", names)
	}
	c.alive() // and nothing more before an ack
	c.acks(3)
	last, names = c.commands(last, 3)
	if names != "q r s" {
		t.Errorf("then came %s", names)
	}
	c.acks(last)
	if last, names = c.commands(last, 1); names != "t" {
		t.Errorf("at last %s", names)
	}
	c.acks(last)
	s.add(d, "u", "-t")
	nudge(w, d)
	if _, names = c.commands(last, 2); names != "u -t" {
		t.Errorf("after a nudge %s", names)
	}
}

func TestWhatWasNotAckedComesAgain(t *testing.T) {
	t.Parallel()
	w, s := downs(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	s.add(d, "a", "b", "c")
	c := w.resume(t, d, fresh("j1"), "")
	stream := c.wel.Down.Stream
	c.commands(0, 3)
	_ = c.ws.Close() // it has written down the first
	again := w.resume(t, d, wire.ResumeBody{Down: wire.StreamPos{Stream: stream, Seq: 1}, Up: wire.StreamPos{Stream: "j1"}}, "")
	if !again.wel.Resumed || again.wel.Down.Next != 2 || again.wel.Down.Tail != 3 {
		t.Fatalf("welcome %s", jsonOf(t, again.wel))
	}
	if _, names := again.commands(1, 2); names != "b c" {
		t.Errorf("came %s", names)
	}
}

func TestALostNudgeCostsOneSweep(t *testing.T) {
	t.Parallel()
	w, s := downs(t, link.Config{DownSweep: 20 * time.Millisecond})
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.resume(t, d, fresh("j1"), "")
	s.add(d, "a")
	if _, names := c.commands(0, 1); names != "a" {
		t.Errorf("came %s", names)
	}
	c.alive() // the sweep does not send again what is on its way
}

func TestTheStoreIsAway(t *testing.T) {
	t.Parallel()
	w, s := downs(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.resume(t, d, fresh("j1"), "")
	s.mu.Lock()
	s.failed = 2
	s.mu.Unlock()
	s.add(d, "a")
	nudge(w, d)
	last, _ := c.commands(0, 1)
	s.mu.Lock()
	s.failed = 2
	s.mu.Unlock()
	c.acks(last)
	select {
	case <-s.kept:
	case <-time.After(patience):
		t.Fatal("the ack is not stored")
	}
	if acked, _ := s.stored(d); acked != 1 {
		t.Errorf("stored %d", acked)
	}
}

func TestRulesOfTheDownStream(t *testing.T) {
	t.Parallel()
	w, s := downs(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	s.add(d, "a")
	c := w.resume(t, d, fresh("j1"), "")
	c.commands(0, 1)
	c.acks(2)
	if code, reason := c.closed(); code != wire.CloseProtocol || reason != "frame.ack_ahead" {
		t.Errorf("closed %d %s", code, reason)
	}
	// a device without a journal gets none, whatever waits
	plain := w.login(t, d)
	nudge(w, d)
	plain.alive()
	// another node took the device: this one hears it at its next write
	old := w.resume(t, d, wire.ResumeBody{Up: wire.StreamPos{Stream: "j1"}}, "")
	w.mu.Lock()
	w.epochs[d.id]++
	w.mu.Unlock()
	s.add(d, "b")
	nudge(w, d)
	if code, _ := old.closed(); code != wire.CloseSuperseded {
		t.Errorf("closed %d", code)
	}
}

func TestAcksOfTheDownStreamShareAWrite(t *testing.T) {
	t.Parallel()
	inBubbleWith(t, link.Config{}, func(d *link.Deps, b *backend) { d.Down = newShelf(b) }, func(t *testing.T, b *bubble, d link.Deps) {
		s, _ := d.Down.(*shelf)
		dev := b.enrol(newDevice(t, "ed25519"))
		s.add(dev, "a", "b", "c", "d")
		r := fresh("j1")
		c := b.resume(t, dev, &r)
		defer func() { _ = c.ws.Close() }()
		c.commands(0, 4)
		wait := func(d time.Duration) {
			timer := time.NewTimer(d)
			<-timer.C
		}
		c.acks(1)
		wait(time.Millisecond)
		acked, first := s.stored(dev)
		c.acks(2)
		wait(10 * time.Millisecond)
		c.acks(3)
		wait(100 * time.Millisecond)
		between, _ := s.stored(dev)
		wait(100 * time.Millisecond)
		last, writes := s.stored(dev)
		if acked != 1 || between != 1 || last != 3 || writes != first+1 {
			t.Errorf("stored %d, %d, %d in %d and %d writes", acked, between, last, first, writes)
		}
		wait(28 * time.Second) // the fourth is never acked
		c.alive()
		wait(4 * time.Second)
		if code, reason := c.closed(); code != wire.CloseAckTimeout || reason != "ack" {
			t.Errorf("closed %d %s", code, reason)
		}
	})
}
