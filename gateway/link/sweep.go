package link

import (
	"context"
	"log/slog"
	"time"

	"heyi/gateway/auth"
	"heyi/gateway/wire"
)

// The sweeper looks at a quarter of the shards each tick, so at every link once a second.
const (
	sweepTick  = 250 * time.Millisecond
	sweepParts = 4
)

// sweep watches all links until ctx ends: stuck writes, silence, pings, access tokens. No link has a timer of its own.
func (h *Hub) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepTick)
	defer tick.Stop()
	part := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		degraded := h.deaf()
		for i := part; i < shards; i += sweepParts {
			for _, c := range h.inShard(i) {
				c.tellDegraded(degraded)
				c.look(ctx, h.d.Now())
			}
		}
		h.door.each(func(c *conn) { c.stuck(h.d.Now().UnixNano()) }) // their silence ends by a read deadline
		part = (part + 1) % sweepParts
	}
}

// look does for one link what is due.
func (c *conn) look(ctx context.Context, now time.Time) {
	ns := now.UnixNano()
	if c.stuck(ns) {
		return
	}
	if ns-c.heard.Load() > int64(c.hub.cfg.ReadTimeout) {
		c.shut(wire.CloseIdle, "idle")
		return
	}
	if c.kind == kindDevice && c.down.overdue(now, c.hub.cfg.AckTimeout) {
		c.shut(wire.CloseAckTimeout, "ack")
		return
	}
	if ns >= c.pingAt.Load() {
		c.pingAt.Store(now.Add(jitter(c.hub.cfg.PingEvery)).UnixNano())
		c.send(pingItem(ns))
	}
	if at := c.renewAt.Load(); at != 0 && ns >= at {
		c.renew(ctx, now)
	}
}

// stuck ends a link whose peer has taken nothing for WriteTimeout.
func (c *conn) stuck(now int64) bool {
	since := c.writing.Load()
	if since == 0 || now-since <= int64(c.hub.cfg.WriteTimeout) {
		return false
	}
	c.kill(wire.CloseSlowConsumer, causeSlow)
	return true
}

// renew sends a fresh access token; the Verifier makes it from memory.
func (c *conn) renew(ctx context.Context, now time.Time) {
	access, err := c.hub.d.Verifier.Access(ctx, c.caller.DeviceID, c.id, c.epoch, now)
	if err != nil {
		c.renewAt.Store(now.Add(10 * time.Second).UnixNano())
		c.hub.d.Logger.ErrorContext(ctx, "access token not renewed", slog.String("link", c.id), slog.Any("error", err))
		return
	}
	c.renewAt.Store(renewal(access, now))
	c.send(item{t: wire.LinkConfig, data: encode(&wire.Frame{T: wire.LinkConfig}, wire.LinkConfigBody{Access: &access})})
}

// watched is the last caller of an address of people.
type watched struct{ caller auth.Caller }

// runWatch tells the level of addresses that changed.
func (h *Hub) runWatch(ctx context.Context) {
	h.watch.run(ctx, func(ctx context.Context, addr string, w watched) {
		if h.d.Watch != nil {
			h.d.Watch(ctx, addr, w.caller, h.Live(addr))
		}
	})
}

// runResync repairs links that lost nudges while they were slow.
func (h *Hub) runResync(ctx context.Context) {
	h.resync.run(ctx, func(ctx context.Context, c *conn, _ struct{}) {
		ctx, cancel := context.WithTimeout(ctx, handlerTime)
		defer cancel()
		c.sync(ctx, true)
		c.out.kick(c)
	})
}
