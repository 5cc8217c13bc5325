package queue

import (
	"context"
	"sync"
	"time"

	"heyi/internal/ident"
	"heyi/mediation"
)

// Service is what a terminal may promise before a ticket is drawn.
type Service struct {
	Open  bool
	Seats int // on duty for it
	Busy  int // of them busy or wrapping up
	Range Range
}

// BoardDeps are what a Board works with.
type BoardDeps struct {
	Store interface {
		Snapshot(ctx context.Context, at int64) (Snapshot, error)
	}
	Handling HandlingTimes
	Now      func() time.Time
	Open     func(time.Time) bool // nil means day and night
	Fresh    time.Duration        // how old an answer may be; 0 means 2 s
}

// Board answers how busy the service is. It reads a snapshot at most every 2 s, for however many terminals ask.
type Board struct {
	d BoardDeps

	mu    sync.Mutex
	snap  Snapshot
	cache map[boardKey]Service
}

type boardKey struct {
	unit ident.UnitID
	kind mediation.TicketKind
}

// NewBoard returns a ready Board.
func NewBoard(d BoardDeps) *Board {
	if d.Fresh == 0 {
		d.Fresh = 2 * time.Second
	}
	if d.Handling.Consult.P50 == 0 {
		d.Handling = DefaultHandling()
	}
	return &Board{d: d}
}

// Service tells what somebody who drew a ticket now at a terminal of path[0] would find: in Chinese, for a matter not
// yet named.
func (b *Board) Service(ctx context.Context, path []ident.UnitID, kind mediation.TicketKind) (Service, error) {
	now := b.d.Now()
	out := Service{Open: b.d.Open == nil || b.d.Open(now), Range: None()}
	if len(path) == 0 {
		return out, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cache == nil || now.Sub(time.UnixMicro(b.snap.At)) >= b.d.Fresh {
		snap, err := b.d.Store.Snapshot(ctx, now.UnixMicro())
		if err != nil {
			return Service{}, err
		}
		b.snap, b.cache = snap, map[boardKey]Service{}
	}
	key := boardKey{path[0], kind}
	if s, ok := b.cache[key]; ok {
		s.Open = out.Open
		return s, nil
	}
	t := Entry{
		ID: "next", State: Waiting, Kind: kind, Lane: mediation.Lane{Category: mediation.Unsure, Lang: mediation.Chinese}, Path: path,
		RankAt: now.UnixMicro(), EnqueuedAt: now.UnixMicro(), SinceAt: now.UnixMicro(), Lo: -1, Hi: -1,
	}
	m := newMatcher(&b.snap)
	for _, unit := range path {
		for _, i := range m.choice(&t, unit).seats {
			out.Seats++
			if b.snap.Seats[i].Free <= 0 {
				out.Busy++
			}
		}
	}
	with := b.snap
	with.Tickets = append(append([]Entry(nil), b.snap.Tickets...), t)
	if r, ok := Estimate(with, b.d.Handling)[t.ID]; ok {
		out.Range = r
	}
	b.cache[key] = out
	return out, nil
}
