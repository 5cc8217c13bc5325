package link

import (
	"context"
	"maps"
	"sync"
	"time"

	"heyi/devices"
	"heyi/internal/ident"
)

// clones notices devices whose identity lives in two places: their programs take the link from each other in turn.
type clones struct {
	mu    sync.Mutex
	seen  map[ident.DeviceID]*devices.Swaps
	found *dirty[ident.DeviceID, ident.UnitID]
}

// clonesMax is how many devices may be remembered before those whose time is over are forgotten.
const clonesMax = 1024

func newClones() *clones {
	return &clones{seen: map[ident.DeviceID]*devices.Swaps{}, found: newDirty[ident.DeviceID, ident.UnitID]()}
}

// tookFrom notes that this link took the place of an older one of its device. One that was silent is no second place.
func (c *conn) tookFrom(o *conn, now time.Time) {
	if c.kind != kindDevice || c.hub.d.Cloned == nil || now.UnixNano()-o.heard.Load() > int64(c.hub.cfg.ReadTimeout) {
		return
	}
	if c.hub.clones.took(c.caller.DeviceID, o.boot, c.boot, now) {
		c.hub.clones.found.mark(c.caller.DeviceID, c.caller.DeviceUnit)
	}
}

func (l *clones) took(dev ident.DeviceID, held, next string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) >= clonesMax {
		maps.DeleteFunc(l.seen, func(_ ident.DeviceID, s *devices.Swaps) bool { return s.Stale(now) })
	}
	s := l.seen[dev]
	if s == nil {
		s = &devices.Swaps{}
		l.seen[dev] = s
	}
	if !s.Took(held, next, now) {
		return false
	}
	delete(l.seen, dev)
	return true
}

// runClones hands what was found to its owner, who closes the links.
func (h *Hub) runClones(ctx context.Context) {
	h.clones.found.run(ctx, func(ctx context.Context, dev ident.DeviceID, unit ident.UnitID) {
		h.m.clones.Inc()
		ctx, cancel := context.WithTimeout(ctx, handlerTime)
		defer cancel()
		h.d.Cloned(ctx, dev, unit)
	})
}
