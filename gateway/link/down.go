package link

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"heyi/devices"
	"heyi/gateway/wire"
)

// Down carries what waits for devices; devices.Commands has it.
type Down interface {
	// HandOver returns what links may send now and notes that they have it. On an error nothing is noted.
	HandOver(ctx context.Context, pulls []devices.Pull) ([]devices.Pulled, error)
	// Acked stores how far devices have it and returns links whose epoch is over.
	Acked(ctx context.Context, acks []devices.DownAck) ([]devices.LinkAt, error)
	// Pending lists links of this node that have frames to come.
	Pending(ctx context.Context) ([]devices.Waiting, error)
}

// downLine is the down stream of one link.
type downLine struct {
	mu    sync.Mutex
	sent  uint64    // last frame that was put on the link
	acked uint64    // last one that the device has processed
	since time.Time // when the oldest frame that is not acked was sent, or the last ack came; zero: all are acked
	more  bool      // the last pull filled the window
}

// resume sets where the stream stands and what welcome says of it; true when something waits.
func (l *downLine) resume(r *devices.Resumption, body *wire.WelcomeBody) bool {
	l.sent = uint64(r.DownAcked)
	l.acked = l.sent
	body.Down = &wire.DownBody{Stream: r.Down, Next: l.sent + 1}
	if r.DownTail > r.DownAcked {
		body.Down.Tail = uint64(r.DownTail)
	}
	return body.Down.Tail > 0
}

// put notes that a frame goes onto the link.
func (l *downLine) put(seq uint64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = seq
	if l.since.IsZero() {
		l.since = now
	}
}

// window is where the next pull begins and how many frames it may bring.
func (l *downLine) window() (after uint64, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent, wire.MaxInFlight - int(l.sent-l.acked)
}

// ack takes an ack of the device. ok is false when it acks what was never sent; news when it says more than the last
// one; pull when the window that was full is open again.
func (l *downLine) ack(seq uint64, now time.Time) (ok, news, pull bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq > l.sent || seq <= l.acked {
		return seq <= l.sent, false, false
	}
	l.acked = seq
	l.since = now
	if l.acked == l.sent {
		l.since = time.Time{}
	}
	return true, true, l.more
}

// overdue reports whether nothing was acked for so long although something waits to be.
func (l *downLine) overdue(now time.Time, within time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.since.IsZero() && now.Sub(l.since) > within
}

// acked takes the header ack of a frame: how far the device has processed what we sent.
func (c *conn) acked(seq uint64) bool {
	if c.kind != kindDevice {
		return true
	}
	ok, news, pull := c.down.ack(seq, c.hub.d.Now())
	switch {
	case !ok:
		c.shut(wire.CloseProtocol, "frame.ack_ahead")
	case news:
		c.hub.downs.acked(c, seq)
		if pull {
			c.hub.downs.want(c)
		}
	}
	return ok
}

// downstream gives links what waits for their devices, and stores the acks: many links in one write each. One goroutine
// does both. What it does not store is not lost: a sweep or the next connect finds it.
type downstream struct {
	hub *Hub

	mu    sync.Mutex
	pulls map[*conn]struct{}
	acks  map[*conn]uint64
	wake  chan struct{}
}

func newDownstream(h *Hub) *downstream {
	return &downstream{hub: h, pulls: map[*conn]struct{}{}, acks: map[*conn]uint64{}, wake: make(chan struct{}, 1)}
}

// want asks for what waits for a link.
func (d *downstream) want(c *conn) {
	if d.hub.d.Down == nil || c.kind != kindDevice || c.up.stream == "" {
		return
	}
	d.mu.Lock()
	d.pulls[c] = struct{}{}
	d.mu.Unlock()
	d.signal()
}

func (d *downstream) acked(c *conn, seq uint64) {
	if d.hub.d.Down == nil {
		return
	}
	d.mu.Lock()
	d.acks[c] = max(d.acks[c], seq)
	d.mu.Unlock()
	d.signal()
}

func (d *downstream) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// take removes up to BatchMax entries of a waiting set, without those of links that ended.
func take[V any](d *downstream, set map[*conn]V) map[*conn]V {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[*conn]V{}
	for c, v := range set {
		if len(out) == d.hub.cfg.BatchMax {
			break
		}
		delete(set, c)
		if !c.out.closed() {
			out[c] = v
		}
	}
	return out
}

func (d *downstream) waiting() (pulls, acks bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pulls) > 0, len(d.acks) > 0
}

// run works until ctx ends: pulls at once, acks at most every ackEvery, and a sweep for lost nudges.
func (d *downstream) run(ctx context.Context) {
	if d.hub.d.Down == nil {
		return
	}
	sweep := time.NewTicker(d.hub.cfg.DownSweep)
	defer sweep.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var ackAt, pullAt time.Time // not before
	wait := d.hub.cfg.BatchWait // after a failure
	for {
		select {
		case <-ctx.Done():
			d.flush(context.WithoutCancel(ctx))
			return
		case <-d.wake:
		case <-timer.C:
		case <-sweep.C:
			d.sweep(ctx)
		}
		now := time.Now()
		pulls, acks := d.waiting()
		ok := true
		if pulls && !now.Before(pullAt) {
			ok = d.pull(ctx)
		}
		if acks && !now.Before(ackAt) {
			ok = d.store(ctx) && ok
			ackAt = now.Add(ackEvery)
		}
		if ok {
			wait = d.hub.cfg.BatchWait
		} else {
			wait = min(max(2*wait, 100*time.Millisecond), 5*time.Second)
			pullAt = now.Add(wait)
			ackAt = pullAt
		}
		if pulls, acks = d.waiting(); pulls || acks {
			next := ackAt
			if pulls && pullAt.Before(next) {
				next = pullAt
			}
			timer.Reset(max(time.Until(next), 0))
		}
	}
}

// pull gives links what waits for them; false when the store did not answer.
func (d *downstream) pull(ctx context.Context) bool {
	h := d.hub
	batch := take(d, d.pulls)
	var (
		conns []*conn
		pulls []devices.Pull
	)
	for c := range batch {
		after, most := c.down.window()
		if most > 0 {
			conns = append(conns, c)
			pulls = append(pulls, devices.Pull{LinkAt: devices.LinkAt{Device: c.caller.DeviceID, Epoch: c.epoch}, After: int64(after), Most: most})
		}
	}
	if len(pulls) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handlerTime)
	defer cancel()
	out, err := h.d.Down.HandOver(ctx, pulls)
	if err != nil || len(out) != len(pulls) {
		h.d.Logger.WarnContext(ctx, "commands not handed over", slog.Int("links", len(pulls)), slog.Any("error", err))
		for _, c := range conns {
			d.want(c)
		}
		return false
	}
	for i, c := range conns {
		c.give(out[i], pulls[i].Most)
	}
	return true
}

// give puts frames of the down stream onto a link.
func (c *conn) give(p devices.Pulled, most int) {
	if p.Stale {
		c.overtaken()
		return
	}
	h := c.hub
	c.down.mu.Lock()
	c.down.more = len(p.Frames) == most
	c.down.mu.Unlock()
	for _, f := range p.Frames {
		frame, body := wire.Frame{T: wire.Cmd, Seq: uint64(f.Seq)}, any(f.Cmd)
		if f.Cancel != nil {
			frame.T, body = wire.CmdCancel, f.Cancel
		}
		c.down.put(frame.Seq, h.d.Now())
		h.m.durable.WithLabelValues("sent").Inc()
		c.send(item{t: frame.T, data: encode(&frame, body)})
	}
}

// overtaken ends a link whose row is another link's, or nobody's.
func (c *conn) overtaken() {
	c.replaced.Store(true)
	c.shut(wire.CloseSuperseded, "superseded")
}

// store writes acks down; false when the store did not answer.
func (d *downstream) store(ctx context.Context) bool {
	h := d.hub
	batch := take(d, d.acks)
	by := map[devices.LinkAt]*conn{}
	acks := make([]devices.DownAck, 0, len(batch))
	for c, seq := range batch {
		at := devices.LinkAt{Device: c.caller.DeviceID, Epoch: c.epoch}
		by[at] = c
		acks = append(acks, devices.DownAck{LinkAt: at, Seq: int64(seq)})
	}
	if len(acks) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handlerTime)
	defer cancel()
	stale, err := h.d.Down.Acked(ctx, acks)
	if err != nil {
		h.d.Logger.WarnContext(ctx, "acks not stored", slog.Int("links", len(acks)), slog.Any("error", err))
		for c, seq := range batch {
			d.acked(c, seq)
		}
		return false
	}
	for _, at := range stale {
		by[at].overtaken()
	}
	return true
}

// flush stores the acks that wait when the node stops; what fails the next connect says again.
func (d *downstream) flush(ctx context.Context) {
	for {
		if _, acks := d.waiting(); !acks || !d.store(ctx) {
			return
		}
	}
}

// sweep finds what lost nudges left behind.
func (d *downstream) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handlerTime)
	defer cancel()
	list, err := d.hub.d.Down.Pending(ctx)
	if err != nil {
		d.hub.d.Logger.WarnContext(ctx, "waiting commands not looked for", slog.Any("error", err))
		return
	}
	for _, w := range list {
		for _, c := range d.hub.at(deviceAddr(w.Device)) {
			if after, _ := c.down.window(); c.epoch == w.Epoch && after < uint64(w.Tail) {
				d.want(c)
			}
		}
	}
}
