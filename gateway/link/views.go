package link

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/fault"
)

// Snapshot is the body of view.snapshot.
type Snapshot struct {
	Rows  []json.RawMessage `json:"rows"`
	Total int               `json:"total"`
	VSeq  int64             `json:"vseq"`
}

// Delta is the body of view.delta: rows that are new or changed, ids that left, and the new total.
type Delta struct {
	VSeq  int64             `json:"vseq"`
	Up    []json.RawMessage `json:"up"`
	Gone  []string          `json:"gone"`
	Total int               `json:"total"`
}

// view is the one live list of a link. A link opens another by replacing it.
type view struct {
	c    *conn
	open wire.ViewOpenBody

	// guarded by views.mu
	dirty bool
	held  bool // the snapshot is not in the outbox yet
	// of the goroutine that answers: open makes them, then only run touches them
	vseq  int64
	total int
	rows  map[string]uint64 // id -> digest of the row as the client has it
	read  time.Time         // when the rows were read last
}

// views keeps the live lists of staff pages. One goroutine reads them again, one after the other, so that a hundred
// consoles cannot press harder on the store than one.
type views struct {
	hub  *Hub
	seed maphash.Seed

	mu   sync.Mutex
	list map[*conn]*view
}

func newViews(h *Hub) *views {
	return &views{hub: h, seed: maphash.MakeSeed(), list: map[*conn]*view{}}
}

// open answers view.open with the whole list and keeps it live; deltas follow after release.
func (v *views) open(ctx context.Context, c *conn, f *wire.Frame) (*Snapshot, error) {
	if v.hub.d.Views == nil {
		return nil, fault.New(fault.Unsupported, "view.none")
	}
	w := &view{c: c, held: true, vseq: 1, read: v.hub.d.Now()}
	if err := f.Body(&w.open); err != nil {
		return nil, err
	}
	v.keep(w) // before reading: what changes meanwhile marks it dirty
	res, err := v.hub.d.Views(ctx, c.caller, w.open)
	if err != nil {
		v.drop(c)
		return nil, err
	}
	snap := &Snapshot{Rows: make([]json.RawMessage, 0, len(res.Rows)), Total: res.Total, VSeq: w.vseq}
	w.rows, w.total = make(map[string]uint64, len(res.Rows)), res.Total
	for _, r := range res.Rows {
		snap.Rows = append(snap.Rows, r.Row)
		w.rows[r.ID] = maphash.Bytes(v.seed, r.Row)
	}
	return snap, nil
}

func (v *views) keep(w *view) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.list[w.c] = w
}

// release lets deltas follow: the snapshot is in the outbox.
func (v *views) release(c *conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if w := v.list[c]; w != nil {
		w.held = false
	}
}

// drop ends the live list of a link.
func (v *views) drop(c *conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.list, c)
}

// markDirty notes that lists of a topic changed.
func (v *views) markDirty(topic string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, w := range v.list {
		if w.open.View == topic {
			w.dirty = true
		}
	}
}

// due returns the lists to read now and marks them clean. A link that still has something to write waits.
func (v *views) due(now time.Time) []*view {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []*view
	for c, w := range v.list {
		if !w.held && (w.dirty || now.Sub(w.read) >= v.hub.cfg.ViewRefresh) && !c.out.waiting() {
			w.dirty = false
			out = append(out, w)
		}
	}
	return out
}

// live reports whether a list is still the one of its link.
func (v *views) live(w *view) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.list[w.c] == w
}

// run sends deltas until ctx ends, at most one a list every ViewEvery.
func (v *views) run(ctx context.Context) {
	tick := time.NewTicker(v.hub.cfg.ViewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, w := range v.due(v.hub.d.Now()) {
			v.refresh(ctx, w)
		}
	}
}

func (v *views) refresh(ctx context.Context, w *view) {
	ctx, cancel := context.WithTimeout(ctx, handlerTime)
	defer cancel()
	res, err := v.hub.d.Views(ctx, w.c.caller, w.open)
	w.read = v.hub.d.Now()
	if err != nil {
		// the list stays as it is and is read again after ViewRefresh
		v.hub.d.Logger.WarnContext(ctx, "view not read", slog.String("link", w.c.id), slog.Any("error", err))
		return
	}
	d := w.diff(res, v.seed)
	if d == nil || !v.live(w) {
		return
	}
	v.hub.m.viewDeltas.Inc()
	w.c.send(item{t: wire.ViewDelta, data: encode(&wire.Frame{T: wire.ViewDelta}, d)})
}

// diff moves the list on to what was read and returns the difference, nil when there is none.
func (w *view) diff(now ViewRows, seed maphash.Seed) *Delta {
	d := &Delta{Up: []json.RawMessage{}, Gone: []string{}, Total: now.Total}
	rows := make(map[string]uint64, len(now.Rows))
	for _, r := range now.Rows {
		sum := maphash.Bytes(seed, r.Row)
		rows[r.ID] = sum
		if old, there := w.rows[r.ID]; !there || old != sum {
			d.Up = append(d.Up, r.Row)
		}
	}
	for id := range w.rows {
		if _, there := rows[id]; !there {
			d.Gone = append(d.Gone, id)
		}
	}
	if len(d.Up) == 0 && len(d.Gone) == 0 && now.Total == w.total {
		return nil
	}
	w.rows, w.total = rows, now.Total
	w.vseq++
	d.VSeq = w.vseq
	return d
}
