package queue_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/queue"
)

func TestOutward(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lo, hi int // minutes
		want   queue.Range
	}{{8, 14, queue.Range{Lo: 5, Hi: 15}}, {0, 0, queue.Range{Lo: 0, Hi: 5}}, {5, 5, queue.Range{Lo: 5, Hi: 10}}, {10, 21, queue.Range{Lo: 10, Hi: 25}}} {
		if got := queue.Outward(time.Duration(tt.lo)*time.Minute, time.Duration(tt.hi)*time.Minute); got != tt.want {
			t.Errorf("Outward(%d, %d) = %v, want %v", tt.lo, tt.hi, got, tt.want)
		}
	}
}

func TestShownRange(t *testing.T) {
	t.Parallel()
	r := func(lo, hi int) queue.Range { return queue.Range{Lo: lo, Hi: hi} }
	tests := map[string]struct {
		last, now queue.Range
		mayGrow   bool
		want      queue.Range
	}{
		"the first range as it is":   {queue.None(), r(20, 30), false, r(20, 30)},
		"shrinks at once":            {r(20, 30), r(5, 10), false, r(5, 10)},
		"does not grow yet":          {r(5, 10), r(20, 30), false, r(5, 10)},
		"grows one step":             {r(5, 10), r(20, 30), true, r(10, 15)},
		"goes away":                  {r(5, 10), queue.None(), false, queue.None()},
		"never closes to one number": {r(5, 10), r(10, 10), true, r(10, 15)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := queue.ShownRange(tt.last, tt.now, tt.mayGrow); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	h := queue.HandlingTimes{Consult: queue.Handling{P50: 10 * time.Minute, P80: 16 * time.Minute}, Mediate: queue.Handling{P50: time.Hour, P80: time.Hour}}
	busySince := func(m int) func(*queue.Server) {
		return func(s *queue.Server) {
			s.Free, s.Busy = 0, []queue.Job{{Kind: mediation.Consult, Category: mediation.Wages, StartAt: minutesAgo(m)}}
		}
	}
	second := func(e *queue.Entry) { e.RankAt++ }
	tests := map[string]struct {
		seats   []queue.Server
		tickets []queue.Entry
		want    map[ident.TicketID]queue.Range
	}{
		"one seat on duty gives no range": {
			[]queue.Server{lawyer("s", "c1", busySince(2))}, []queue.Entry{waits("a", "v1")}, map[ident.TicketID]queue.Range{"a": queue.None()},
		},
		"a free seat is now": {
			[]queue.Server{lawyer("s", "c1"), lawyer("z", "c1", busySince(2))}, []queue.Entry{waits("a", "v1")}, map[ident.TicketID]queue.Range{"a": {Lo: 0, Hi: 5}},
		},
		// busy since 2 and 5 minutes: free in 5 (P50) or 11 (P80), then in 8 or 14
		"the first to be free serves the first": {
			[]queue.Server{lawyer("s", "c1", busySince(5)), lawyer("z", "c1", busySince(2))},
			[]queue.Entry{waits("a", "v1"), waits("b", "v1", second)},
			map[ident.TicketID]queue.Range{"a": {Lo: 5, Hi: 15}, "b": {Lo: 5, Hi: 15}},
		},
		"a mediation waits for nobody who is no mediator": {
			[]queue.Server{lawyer("s", "c1"), lawyer("z", "c1")},
			[]queue.Entry{waits("a", "v1", func(e *queue.Entry) { e.Kind = mediation.Mediate })},
			map[ident.TicketID]queue.Range{"a": queue.None()},
		},
		"nobody on duty": {nil, []queue.Entry{waits("a", "v1")}, map[ident.TicketID]queue.Range{"a": queue.None()}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := queue.Estimate(queue.Snapshot{At: now, Tickets: tt.tickets, Seats: tt.seats, Counties: 2}, h)
			for id, want := range tt.want {
				if got[id] != want {
					t.Errorf("%s: %v, want %v", id, got[id], want)
				}
			}
		})
	}
}

// Whoever Match serves now has a range that begins at 0; nobody's range is upside down.
func TestEstimateFollowsMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := crowd(t)
		got := queue.Estimate(s, queue.DefaultHandling())
		served := pairs(queue.Match(s))
		for _, e := range s.Tickets {
			r, ok := got[e.ID]
			if ok != (e.State == queue.Waiting) {
				t.Fatalf("%s in state %s: a range is given: %v", e.ID, e.State, ok)
			}
			if !ok || r == queue.None() {
				continue
			}
			if r.Lo < 0 || r.Hi <= r.Lo || r.Lo%5 != 0 || r.Hi%5 != 0 {
				t.Fatalf("range %v", r)
			}
			if _, now := served[e.ID]; now && r.Lo != 0 {
				t.Fatalf("%s is served now, range %v", e.ID, r)
			}
		}
	})
}

func BenchmarkEstimate(b *testing.B) {
	s := queue.Snapshot{At: now, Counties: 2}
	for i := range 1000 {
		e := waits(string(rune('a'+i%26))+time.Duration(i).String(), "v1")
		s.Tickets = append(s.Tickets, e)
	}
	for i := range 60 {
		s.Seats = append(s.Seats, lawyer(time.Duration(i).String(), "c1", func(v *queue.Server) {
			v.Free, v.Busy = 0, []queue.Job{{Kind: mediation.Consult, Category: mediation.Wages, StartAt: minutesAgo(i % 15)}}
		}))
	}
	for b.Loop() {
		queue.Estimate(s, queue.DefaultHandling())
	}
}
