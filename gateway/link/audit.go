package link

import (
	"context"
	"log/slog"
	"time"

	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// Kick says that links of a device are over; see devices.Kick.
type Kick struct {
	Device ident.DeviceID
	Below  int64  // links of a lower epoch
	Why    string // as in a nudge: kick.<life>
}

// Facts are what the Hub reads again by itself, because nudges may be lost. A nil func is not asked.
type Facts struct {
	// Degraded reports that nudges of other nodes may not arrive now: pages are told to ask by themselves, and links
	// for which something is open are looked after here.
	Degraded func() bool
	// Kicks returns, once each, which links of this node ended by something that happened elsewhere.
	Kicks func(ctx context.Context) ([]Kick, error)
	// Over returns those of the callers (pages of people) that may not be here any more: signed out, revoked.
	Over func(ctx context.Context, list []auth.Caller) ([]auth.Caller, error)
	// Waiting lists the devices linked to this node for which something is open.
	Waiting func(ctx context.Context) ([]ident.DeviceID, error)
}

// runAudit reads again what nudges tell, every Sweep, and at once after a gap. A failed round is logged and repeated:
// the rows are the truth.
func (h *Hub) runAudit(ctx context.Context) {
	tick := time.NewTicker(h.cfg.Sweep)
	defer tick.Stop()
	missed := false // nudges were lost since the last whole round
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-h.gaps:
			missed = true
		}
		once, cancel := context.WithTimeout(ctx, handlerTime)
		err := h.audit(once, missed || h.deaf())
		cancel()
		if err == nil {
			missed = false
		} else if ctx.Err() == nil {
			h.d.Logger.WarnContext(ctx, "links not audited", slog.Any("error", err))
		}
	}
}

// deaf reports that nudges of other nodes may not arrive.
func (h *Hub) deaf() bool { return h.d.Facts.Degraded != nil && h.d.Facts.Degraded() }

// gap notes that nudges were lost: everybody looks again.
func (h *Hub) gap() {
	for _, topic := range []string{"devices", "queue", "sessions"} {
		h.views.markDirty(topic)
	}
	select {
	case h.gaps <- struct{}{}:
	default:
	}
}

func (h *Hub) audit(ctx context.Context, resync bool) error {
	if err := h.auditKicks(ctx); err != nil {
		return err
	}
	if err := h.auditPeople(ctx); err != nil {
		return err
	}
	if resync {
		return h.auditOpen(ctx)
	}
	return nil
}

func (h *Hub) auditKicks(ctx context.Context) error {
	if h.d.Facts.Kicks == nil {
		return nil
	}
	list, err := h.d.Facts.Kicks(ctx)
	for _, k := range list {
		h.kick(h.at(deviceAddr(k.Device)), string(k.Device), k.Below, k.Why)
	}
	return err
}

// auditPeople ends the links of people who were signed out, or whose phone lost its right.
func (h *Hub) auditPeople(ctx context.Context) error {
	if h.d.Facts.Over == nil {
		return nil
	}
	list := h.People()
	if len(list) == 0 {
		return nil
	}
	over, err := h.d.Facts.Over(ctx, list)
	if err != nil || len(over) == 0 {
		return err
	}
	gone := make(map[who]bool, len(over))
	for _, c := range over {
		gone[whoIs(c)] = true
	}
	h.each(func(c *conn) {
		if c.kind == kindSession && gone[whoIs(c.caller)] {
			c.shut(wire.CloseSignedOut, "kick.signed_out")
		}
	})
	return nil
}

// auditOpen tells links what is open for them, when it is not what they were told last: pages of people, and devices
// for which something is open now or was when they were told.
func (h *Hub) auditOpen(ctx context.Context) error {
	waiting := map[ident.DeviceID]bool{}
	if h.d.Facts.Waiting != nil {
		list, err := h.d.Facts.Waiting(ctx)
		if err != nil {
			return err
		}
		for _, id := range list {
			waiting[id] = true
		}
	}
	h.each(func(c *conn) {
		if c.kind == kindSession || c.kind == kindDevice && (waiting[c.caller.DeviceID] || c.open.Load()) {
			h.checks.mark(c, struct{}{})
		}
	})
	return nil
}

// who names a person's right to be here, the same for all links of it.
type who struct {
	kind  auth.CallerKind
	login ident.LoginID
	grant ident.GrantID
	link  ident.LinkID
}

func whoIs(c auth.Caller) who { return who{c.Kind, c.LoginID, c.GrantID, c.Link} }

// People lists who has a page linked to this node, each right once.
func (h *Hub) People() []auth.Caller {
	seen := map[who]bool{}
	var list []auth.Caller
	h.each(func(c *conn) {
		if w := whoIs(c.caller); c.kind == kindSession && !seen[w] {
			seen[w] = true
			list = append(list, c.caller)
		}
	})
	return list
}

// runChecks tells links what is open for them where that is news.
func (h *Hub) runChecks(ctx context.Context) {
	h.checks.run(ctx, func(ctx context.Context, c *conn, _ struct{}) {
		ctx, cancel := context.WithTimeout(ctx, handlerTime)
		defer cancel()
		c.sync(ctx, false)
		c.out.kick(c)
	})
}

// tellDegraded tells a link when coordination failed or came back since it was told.
func (c *conn) tellDegraded(now bool) {
	if c.kind == kindRoom || c.degraded.Swap(now) == now {
		return
	}
	c.send(item{t: wire.LinkConfig, data: encode(&wire.Frame{T: wire.LinkConfig}, wire.LinkConfigBody{Degraded: &now})})
}
