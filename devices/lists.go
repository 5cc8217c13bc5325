package devices

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"heyi/internal/ident"
)

// The ages to which answers are shared between consoles beside CountsKept, and how many are kept.
const (
	modelsKept  = time.Minute
	answersKept = 256
)

// lists asks the store about many devices and shares what many ask at once: a hundred consoles that look at the same
// numbers cost one question each CountsKept.
type lists struct {
	store  ListStore
	counts *shared[Tally]
	own    *shared[map[ident.UnitID]Count]
	kinds  *shared[Models]
	window *shared[[]Row]
}

func newLists(s ListStore, now func() time.Time, kept time.Duration) *lists {
	return &lists{
		store: s, counts: newShared[Tally](now, kept), own: newShared[map[ident.UnitID]Count](now, kept), kinds: newShared[Models](now, modelsKept),
		window: newShared[[]Row](now, kept/4),
	}
}

// forget makes the next question ask the store: something was changed by this very process.
func (l *lists) forget() {
	l.counts.forget()
	l.own.forget()
	l.kinds.forget()
	l.window.forget()
}

func (l *lists) tally(ctx context.Context, s Scope, f Filter) (Tally, error) {
	f.Chip, f.Order, f.Desc, f.Cursor, f.Offset, f.Limit = "", "", false, "", 0, 0
	key := strings.Join([]string{string(s.Unit), string(f.Unit), string(f.Kind), string(f.Class), string(f.Tier), f.Model, f.Q}, "\x00")
	return l.counts.get(ctx, key, func(ctx context.Context) (Tally, error) { return l.store.Tally(ctx, s, f) })
}

func (l *lists) units(ctx context.Context, s Scope) (map[ident.UnitID]Count, error) {
	return l.own.get(ctx, string(s.Unit), func(ctx context.Context) (map[ident.UnitID]Count, error) { return l.store.CountUnits(ctx, s) })
}

func (l *lists) models(ctx context.Context, s Scope) (Models, error) {
	return l.kinds.get(ctx, string(s.Unit), func(ctx context.Context) (Models, error) { return l.store.DeviceModels(ctx, s) })
}

// rows reads a window; consoles that look at the same one share it.
func (l *lists) rows(ctx context.Context, s Scope, ids []ident.DeviceID) ([]Row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var key strings.Builder
	key.WriteString(string(s.Unit))
	for _, id := range ids {
		key.WriteByte(0)
		key.WriteString(string(id))
	}
	return l.window.get(ctx, key.String(), func(ctx context.Context) ([]Row, error) { return l.store.DevicesByID(ctx, s, slices.Clone(ids)) })
}

// shared keeps answers for a while; who asks while an answer is being fetched waits for that one. What it hands out is
// shared: nobody changes it.
type shared[T any] struct {
	now  func() time.Time
	kept time.Duration

	mu    sync.Mutex
	known map[string]*answer[T]
}

type answer[T any] struct {
	at   time.Time
	done chan struct{}
	v    T
	err  error
}

func newShared[T any](now func() time.Time, kept time.Duration) *shared[T] {
	return &shared[T]{now: now, kept: kept, known: map[string]*answer[T]{}}
}

func (s *shared[T]) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

func (s *shared[T]) get(ctx context.Context, key string, ask func(context.Context) (T, error)) (T, error) {
	s.mu.Lock()
	a := s.known[key]
	if a != nil && s.now().Sub(a.at) < s.kept {
		s.mu.Unlock()
		select {
		case <-a.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
		if a.err == nil {
			return a.v, nil
		}
		return ask(ctx) // the first may have been somebody who went away
	}
	a = &answer[T]{at: s.now(), done: make(chan struct{})}
	if len(s.known) >= answersKept {
		clear(s.known)
	}
	s.known[key] = a
	s.mu.Unlock()

	a.v, a.err = ask(ctx)
	close(a.done)
	if a.err != nil {
		s.mu.Lock()
		if s.known[key] == a {
			delete(s.known, key)
		}
		s.mu.Unlock()
	}
	return a.v, a.err
}
