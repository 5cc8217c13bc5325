package rediscoord

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"heyi/gateway/wire"
	"heyi/internal/coord"
)

const (
	queueMax = 8192 // nudges that wait for the sender; beyond it they are lost and the other nodes hear of a gap
	batchMax = 256  // nudges of one message
	missed   = 3    // beats not heard that count as an interruption
)

// message is what travels on the channel: a batch of one process, numbered 1, 2, ... An empty one is a beat.
type message struct {
	From   string  `json:"f"`
	Seq    uint64  `json:"s"`
	Nudges []nudge `json:"n,omitempty"`
}

type nudge struct {
	To  string `json:"to"`
	T   uint8  `json:"t,omitempty"` // wire.Type by its number: a name that an older build lacks would spoil the batch
	ID  string `json:"id,omitempty"`
	Ver int64  `json:"v,omitempty"`
	Why string `json:"w,omitempty"`
}

func (c *Coord) channel() string { return c.cfg.Prefix + ":nudges" }

// Subscribe implements coord.Nudges. stop waits until f has returned for the last time; f must not call it.
func (c *Coord) Subscribe(f func(coord.Nudge)) (stop func()) { return c.local.Subscribe(f) }

// Publish implements coord.Nudges.
func (c *Coord) Publish(ctx context.Context, n coord.Nudge) {
	c.local.Publish(ctx, n)
	c.mu.Lock()
	if len(c.queue) >= queueMax {
		c.m.dropped.Add(float64(len(c.queue)))
		c.queue, c.lost = c.queue[:0], true
	}
	c.queue = append(c.queue, n)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take removes the nudges of the next message from the queue.
func (c *Coord) take() (batch []nudge, lost, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.queue), batchMax)
	batch = make([]nudge, n)
	for i, q := range c.queue[:n] {
		batch[i] = nudge{To: q.To, T: uint8(q.T), ID: q.ID, Ver: q.Ver, Why: q.Why}
	}
	c.queue = append(c.queue[:0], c.queue[n:]...)
	lost, c.lost = c.lost, false
	return batch, lost, len(c.queue) > 0
}

// send publishes what waits, and each beat something in any case, until ctx ends; then what is left, once.
func (c *Coord) send(ctx context.Context) {
	beat := time.NewTicker(c.cfg.Beat)
	defer beat.Stop()
	var seq uint64
	for {
		select {
		case <-ctx.Done():
			c.sendBatches(context.WithoutCancel(ctx), &seq, false)
			return
		case <-c.wake:
			c.sendBatches(ctx, &seq, false)
		case <-beat.C:
			c.sendBatches(ctx, &seq, true)
		}
	}
}

// sendBatches publishes all that waits; a beat goes out even when nothing does. A number is used up even when its
// message is lost: the receivers see the jump.
func (c *Coord) sendBatches(ctx context.Context, seq *uint64, beat bool) {
	for {
		batch, lost, more := c.take()
		if len(batch) == 0 && !lost && !beat {
			return
		}
		beat = false
		if lost {
			*seq++
		}
		*seq++
		data, err := json.Marshal(message{From: c.self, Seq: *seq, Nudges: batch})
		if err == nil {
			err = c.call(ctx, "publish", func(ctx context.Context) error { return c.client.Publish(ctx, c.channel(), data).Err() })
		}
		if err != nil {
			c.m.dropped.Add(float64(len(batch)))
		} else {
			c.m.sent.Add(float64(len(batch)))
		}
		if !more {
			return
		}
	}
}

// receive keeps a subscription until ctx ends.
func (c *Coord) receive(ctx context.Context) {
	told := false // of this interruption
	for {
		err := c.listen(ctx)
		heard := c.hears.Swap(false)
		if ctx.Err() != nil {
			return
		}
		if heard || !told {
			told = true
			c.d.Logger.WarnContext(ctx, "the line to the other nodes is down; sweeps go on", slog.Any("error", err))
		}
		again := time.NewTimer(c.cfg.Beat/4 + rand.N(c.cfg.Beat/2)) //nolint:gosec // spreads load, guards nothing
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

// listen hands on what one subscription brings, until it breaks or nothing is heard for three beats: our own beats come
// this way too.
func (c *Coord) listen(ctx context.Context) error {
	sub := c.client.Subscribe(ctx)
	defer func() { _ = sub.Close() }() // it may be closed already
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	dial, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	err := sub.Subscribe(dial, c.channel())
	cancel()
	if err != nil {
		return err
	}
	heard := newSenders(c.cfg.Beat)
	for {
		got, err := sub.ReceiveTimeout(ctx, missed*c.cfg.Beat)
		if err != nil {
			return err
		}
		switch m := got.(type) {
		case *redis.Subscription:
			heard = newSenders(c.cfg.Beat)
			c.gap(ctx, "subscribed")
		case *redis.Message:
			if err := c.hear(ctx, heard, m.Payload); err != nil {
				c.d.Logger.WarnContext(ctx, "a message of another node is not understood", slog.Any("error", err))
			}
		default:
			return errors.New("rediscoord: an answer that nobody asked for")
		}
	}
}

// hear hands on the nudges of another process, with the gap before them.
func (c *Coord) hear(ctx context.Context, heard *senders, payload string) error {
	var m message
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		return err
	}
	if m.From == c.self {
		if !c.hears.Swap(true) {
			c.d.Logger.InfoContext(ctx, "the line to the other nodes is up")
		}
		return nil
	}
	if heard.jumped(m.From, m.Seq, time.Now()) {
		c.gap(ctx, "lost")
	}
	for _, n := range m.Nudges {
		t := wire.Type(n.T)
		if _, err := t.MarshalText(); t != 0 && err != nil {
			c.gap(ctx, "newer") // a newer build speaks of something that our links cannot say
			continue
		}
		c.local.Publish(ctx, coord.Nudge{To: n.To, T: t, ID: n.ID, Ver: n.Ver, Why: n.Why})
	}
	return nil
}

func (c *Coord) gap(ctx context.Context, why string) {
	c.m.gaps.WithLabelValues(why).Inc()
	c.local.Publish(ctx, coord.Nudge{To: coord.ToGap, Why: why})
}

// senders are the processes heard on one subscription. It belongs to the receiver.
type senders struct {
	beat   time.Duration
	began  time.Time // of the first message
	last   map[string]sender
	pruned time.Time
}

type sender struct {
	seq uint64
	at  time.Time
}

func newSenders(beat time.Duration) *senders { return &senders{beat: beat, last: map[string]sender{}} }

// forget is how many beats a silent process is remembered; it may be gone, or cut off.
const forget = 10

// jumped notes a message and reports whether one before it was lost. What was said before this subscription began is
// no loss: a new subscription is a gap by itself.
func (s *senders) jumped(from string, seq uint64, now time.Time) bool {
	if s.began.IsZero() {
		s.began, s.pruned = now, now
	}
	if now.Sub(s.pruned) > forget*s.beat {
		s.pruned = now
		for name, old := range s.last {
			if now.Sub(old.at) > forget*s.beat {
				delete(s.last, name)
			}
		}
	}
	old, known := s.last[from]
	s.last[from] = sender{seq, now}
	if !known {
		return seq != 1 && now.Sub(s.began) > missed*s.beat
	}
	return seq != old.seq+1
}
