package link

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/fault"
)

// ackEvery is the fastest pace of acks that ride on no other frame.
const ackEvery = 200 * time.Millisecond

// upBytes bounds the frames of one write.
const upBytes = 4 << 20

// Streams keeps what devices report; devices.Streams has it.
type Streams interface {
	// Append stores frames of many links in one transaction and answers in their order. On an error nothing is
	// stored, and the Hub tries the same frames again.
	Append(ctx context.Context, frames []devices.UpFrame) ([]devices.UpResult, error)
}

// upLine is the up stream of one link. The first group is set before the link is registered.
type upLine struct {
	stream string // '' : the device sends no durable frames

	came uint64        // last seq that came; of the reading goroutine
	kept atomic.Uint64 // last seq that is stored
	told atomic.Uint64 // last seq that was acked to the device
	last atomic.Int64  // Unix ns of the last ack
}

// resume sets where the streams stand and what welcome says of them.
func (l *upLine) resume(r *devices.Resumption, body *wire.WelcomeBody) {
	l.stream, l.came = r.Up, uint64(r.UpAcked)
	l.kept.Store(l.came)
	l.told.Store(l.came)
	body.Resumed, body.Gap = r.Resumed, r.Gap
	body.Up = &wire.UpBody{Stream: r.Up, Acked: uint64(r.UpAcked)}
}

// ack returns the seq to put into a frame's header, 0 when the device knows everything already.
func (l *upLine) ack(now time.Time) uint64 {
	kept := l.kept.Load()
	if kept <= l.told.Load() {
		return 0
	}
	l.told.Store(kept)
	l.last.Store(now.UnixNano())
	return kept
}

// upFrame is a frame that waits to be stored.
type upFrame struct {
	c    *conn
	size int
	devices.UpFrame
}

// upstream stores the durable frames of all links, many in one write, and acks them. One goroutine does both.
type upstream struct {
	hub *Hub

	mu    sync.Mutex
	queue []upFrame
	wake  chan struct{}
}

func newUpstream(h *Hub) *upstream { return &upstream{hub: h, wake: make(chan struct{}, 1)} }

// durable takes one frame of a device's stream, on a worker.
func (c *conn) durable(ctx context.Context, f *wire.Frame, size int) {
	h := c.hub
	if c.kind != kindDevice || c.up.stream == "" || h.d.Streams == nil {
		c.unknown(f.ID, f.Flags, f.T)
		return
	}
	switch {
	case f.Seq == 0:
		c.shut(wire.CloseProtocol, "frame.no_seq")
		return
	case f.Seq <= c.up.came:
		h.m.durable.WithLabelValues("repeated").Inc()
		return // after a reconnect that crossed an ack
	case f.Seq != c.up.came+1:
		c.shut(wire.CloseProtocol, "frame.seq_gap")
		return
	case f.Seq > c.up.told.Load()+wire.MaxInFlight:
		c.shut(wire.CloseProtocol, "frame.in_flight")
		return
	}
	up, err := readUp(f, h.d.Now())
	if err != nil {
		c.shut(closeOf(err))
		h.d.Logger.WarnContext(ctx, "durable frame refused", slog.String("link", c.id), slog.String("addr", c.addr), slog.Any("error", err))
		return
	}
	c.up.came = f.Seq
	up.Device, up.Epoch, up.Stream, up.Seq = c.caller.DeviceID, c.epoch, c.up.stream, int64(f.Seq)
	h.ups.put(upFrame{c: c, size: size, UpFrame: up})
}

// readUp reads the body of a durable frame.
func readUp(f *wire.Frame, now time.Time) (devices.UpFrame, error) {
	at := now.UnixMicro()
	switch f.T {
	case wire.Inventory:
		var b wire.InventoryBody
		if err := f.Body(&b); err != nil {
			return devices.UpFrame{}, err
		}
		inv, err := devices.NewInventory(b, at)
		return devices.UpFrame{Inventory: &inv}, err
	case wire.CmdStatus:
		var b wire.CmdStatusBody
		if err := f.Body(&b); err != nil {
			return devices.UpFrame{}, err
		}
		status, err := devices.NewStatus(b, at)
		return devices.UpFrame{Status: &status}, err
	case wire.LogMeta:
		var b wire.LogMetaBody
		if err := f.Body(&b); err != nil {
			return devices.UpFrame{}, err
		}
		upload, err := devices.NewUpload(b, at)
		return devices.UpFrame{Upload: &upload}, err
	default:
	}
	var b wire.EventBody
	if err := f.Body(&b); err != nil {
		return devices.UpFrame{}, err
	}
	report, err := devices.NewReport(b, at)
	return devices.UpFrame{Report: &report}, err
}

// put hands a frame to the writer; a link has at most MaxInFlight of them here.
func (u *upstream) put(f upFrame) {
	u.mu.Lock()
	u.queue = append(u.queue, f)
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// take removes the frames of the next write from the queue.
func (u *upstream) take() []upFrame {
	u.mu.Lock()
	defer u.mu.Unlock()
	n, size := 0, 0
	for n < len(u.queue) && n < u.hub.cfg.BatchMax && (n == 0 || size+u.queue[n].size <= upBytes) {
		size += u.queue[n].size
		n++
	}
	batch := slices.Clone(u.queue[:n])
	u.queue = slices.Delete(u.queue, 0, n)
	if len(u.queue) == 0 {
		u.queue = nil
	}
	return batch
}

// back returns frames whose write failed, except those of links that ended: their devices send them again.
func (u *upstream) back(batch []upFrame) {
	batch = slices.DeleteFunc(batch, func(f upFrame) bool { return f.c.out.closed() })
	u.mu.Lock()
	defer u.mu.Unlock()
	u.queue = append(batch, u.queue...)
}

func (u *upstream) waiting() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.queue) > 0
}

// run stores and acks until ctx ends. What was not stored then was not acked either.
func (u *upstream) run(ctx context.Context) {
	owed := map[*conn]struct{}{} // links whose ack waits for its turn
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	wait := u.hub.cfg.BatchWait
	var writeAt time.Time // of the next write, zero: nothing waits
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.wake:
		case <-timer.C:
		}
		now := time.Now()
		if writeAt.IsZero() && u.waiting() {
			writeAt = now.Add(wait)
		}
		if !writeAt.IsZero() && !now.Before(writeAt) {
			if u.write(ctx, owed) {
				wait = u.hub.cfg.BatchWait
			} else {
				wait = min(max(2*wait, 100*time.Millisecond), 5*time.Second)
			}
			writeAt = time.Time{}
			if now = time.Now(); u.waiting() {
				writeAt = now.Add(wait)
			}
		}
		u.tell(owed)
		switch {
		case !writeAt.IsZero() && len(owed) > 0:
			timer.Reset(min(writeAt.Sub(now), ackEvery/4))
		case !writeAt.IsZero():
			timer.Reset(writeAt.Sub(now))
		case len(owed) > 0:
			timer.Reset(ackEvery / 4)
		}
	}
}

// write stores what waits and reports whether the store took it.
func (u *upstream) write(ctx context.Context, owed map[*conn]struct{}) bool {
	h := u.hub
	batch := u.take()
	if len(batch) == 0 {
		return true
	}
	frames := make([]devices.UpFrame, len(batch))
	for i, f := range batch {
		frames[i] = f.UpFrame
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handlerTime)
	defer cancel()
	out, err := h.d.Streams.Append(ctx, frames)
	switch {
	case err == nil && len(out) == len(frames):
		u.settle(batch, out, owed)
		return true
	case ctx.Err() == nil && fault.KindOf(err) == fault.Internal && batch[0].c != batch[len(batch)-1].c:
		return u.apart(ctx, batch, owed)
	}
	h.d.Logger.WarnContext(ctx, "durable frames not written", slog.Int("frames", len(batch)), slog.Any("error", err))
	u.back(batch)
	return false
}

// apart writes a batch that the store cannot take link by link, so that one link's frames do not hold up all others.
// Those that fail again end their link: its device comes back with them after a while.
func (u *upstream) apart(ctx context.Context, batch []upFrame, owed map[*conn]struct{}) bool {
	for len(batch) > 0 {
		if ctx.Err() != nil {
			u.back(batch)
			return false
		}
		c := batch[0].c
		var own []upFrame
		var frames []devices.UpFrame
		for _, f := range batch {
			if f.c == c {
				own, frames = append(own, f), append(frames, f.UpFrame)
			}
		}
		batch = slices.DeleteFunc(batch, func(f upFrame) bool { return f.c == c })
		out, err := u.hub.d.Streams.Append(ctx, frames)
		if err != nil || len(out) != len(frames) {
			u.hub.d.Logger.ErrorContext(ctx, "durable frames of a link not written", slog.String("link", c.id), slog.Any("error", err))
			c.shut(wire.CloseOverload, "stream")
			continue
		}
		u.settle(own, out, owed)
	}
	return true
}

// settle notes what became of a batch.
func (u *upstream) settle(batch []upFrame, out []devices.UpResult, owed map[*conn]struct{}) {
	h := u.hub
	for i, f := range batch {
		switch out[i] {
		case devices.UpStored, devices.UpRepeated:
			f.c.up.kept.Store(max(f.c.up.kept.Load(), uint64(f.Seq)))
			owed[f.c] = struct{}{}
			h.m.durable.WithLabelValues("stored").Inc()
		case devices.UpSuperseded:
			f.c.overtaken()
		case devices.UpBroken:
			f.c.shut(wire.CloseProtocol, "frame.stream")
		}
	}
}

// tell sends the acks whose turn has come.
func (u *upstream) tell(owed map[*conn]struct{}) {
	now := u.hub.d.Now()
	for c := range owed {
		if now.UnixNano()-c.up.last.Load() < int64(ackEvery) {
			continue
		}
		delete(owed, c)
		if seq := c.up.ack(now); seq != 0 {
			c.send(item{t: wire.Ack, data: encode(&wire.Frame{T: wire.Ack, Ack: seq}, nil)})
		}
	}
}
