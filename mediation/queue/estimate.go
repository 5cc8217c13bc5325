package queue

import (
	"container/heap"
	"slices"
	"time"

	"heyi/internal/ident"
	"heyi/mediation"
)

// Handling is how long one ticket keeps a seat, wrap-up included: the median and the 80th percentile.
type Handling struct {
	P50, P80 time.Duration
}

// HandlingTimes gives the handling time of a kind and category.
type HandlingTimes struct {
	Consult, Mediate Handling
	ByCategory       map[mediation.Category]Handling // overrides both, nil allowed
}

// DefaultHandling returns log-normal times with the means of domain.md 4.2: 10 min a consult, 45 min a mediation.
func DefaultHandling() HandlingTimes {
	return HandlingTimes{
		Consult: Handling{P50: 9 * time.Minute, P80: 15 * time.Minute},
		Mediate: Handling{P50: 40 * time.Minute, P80: 65 * time.Minute},
	}
}

func (h HandlingTimes) of(kind mediation.TicketKind, c mediation.Category, p80 bool) time.Duration {
	x, ok := h.ByCategory[c]
	if !ok {
		x = h.Consult
		if kind == mediation.Mediate {
			x = h.Mediate
		}
	}
	if p80 {
		return x.P80
	}
	return x.P50
}

// Range is a waiting time in minutes, rounded outward to 5; None when no range can be given.
type Range struct{ Lo, Hi int }

// None is the range of a ticket whose wait cannot be told.
func None() Range { return Range{-1, -1} }

// horizon bounds the virtual clock: beyond it no range is given.
const horizon = 4 * time.Hour

// minSeats is how many eligible seats must be on duty for a range (domain.md 6.1).
const minSeats = 2

// Estimate returns the waiting range of every waiting ticket, from now. It runs Match forward on a virtual clock, once
// with the median and once with the 80th percentile of handling times, and rounds outward to 5 minutes. A ticket with
// fewer than two seats on duty that may take it, or beyond four hours, has None. Pure.
func Estimate(s Snapshot, h HandlingTimes) map[ident.TicketID]Range {
	lo, hi := forward(s, h, false), forward(s, h, true)
	out := make(map[ident.TicketID]Range, len(lo))
	m := newMatcher(&s)
	for i := range s.Tickets {
		t := &s.Tickets[i]
		if t.State != Waiting {
			continue
		}
		a, okA := lo[t.ID]
		b, okB := hi[t.ID]
		if !okA || !okB || m.eligible(t) < minSeats {
			out[t.ID] = None()
			continue
		}
		out[t.ID] = Outward(min(a, b), max(a, b))
	}
	return out
}

// Outward rounds a range of durations outward to 5 minutes: 8-14 min -> 5-15.
func Outward(lo, hi time.Duration) Range {
	const step = 5 * time.Minute
	l := int(lo/step) * 5
	u := int((hi+step-1)/step) * 5
	return Range{Lo: l, Hi: max(u, l+5)}
}

// ShownRange returns the range to show after last. It shrinks at once and grows by one 5-minute step, when mayGrow
// says that the last step is long enough ago (domain.md 6.1).
func ShownRange(last, now Range, mayGrow bool) Range {
	if last == None() || now == None() {
		return now
	}
	step := 0
	if mayGrow {
		step = 5
	}
	r := Range{Lo: min(now.Lo, last.Lo+step), Hi: min(now.Hi, last.Hi+step)}
	r.Hi = max(r.Hi, r.Lo+5)
	return r
}

// Ahead returns, for every ticket in line, how many of its lane stand before it. Missed, parked and ringing tickets
// stay counted, so a return worsens nothing.
func Ahead(ts []Entry) map[ident.TicketID]int {
	order := make([]*Entry, len(ts))
	for i := range ts {
		order[i] = &ts[i]
	}
	slices.SortFunc(order, Less)
	seen := map[mediation.Lane]int{}
	out := make(map[ident.TicketID]int, len(ts))
	for _, t := range order {
		out[t.ID] = seen[t.Lane]
		seen[t.Lane]++
	}
	return out
}

// ShownAhead returns the position to show: it never grows (domain.md 6.1).
func ShownAhead(last, ahead int) int { return min(last, ahead) }

// eligible counts the seats on duty that may take a ticket on any of its levels.
func (m *matcher) eligible(t *Entry) int {
	bars := m.lineOf(t)
	n := 0
	for _, c := range m.line {
		for _, i := range c.seats {
			if !slices.Contains(bars, m.seats[i].ID) {
				n++
			}
		}
	}
	return n
}

// freeing is the instant at which a seat becomes free on the virtual clock.
type freeing struct {
	at   int64
	seat int
}

type freeings []freeing

func (f freeings) Len() int { return len(f) }
func (f freeings) Less(i, j int) bool {
	return f[i].at < f[j].at || f[i].at == f[j].at && f[i].seat < f[j].seat
}
func (f freeings) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

// Push implements heap.Interface.
func (f *freeings) Push(x any) { *f = append(*f, x.(freeing)) }

// Pop implements heap.Interface.
func (f *freeings) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// forward runs the line on a virtual clock and returns when each ticket gets its seat, from now. After the first
// round one seat frees after another, where Match reduces to: the first ticket in order that this seat may take.
func forward(s Snapshot, h HandlingTimes, p80 bool) map[ident.TicketID]time.Duration {
	start := make(map[ident.TicketID]time.Duration)
	m := newMatcher(&s)
	queue := waiting(s.Tickets)
	var busy freeings
	for i := range s.Seats {
		seat := &s.Seats[i]
		for _, j := range seat.Busy {
			left := j.StartAt + h.of(j.Kind, j.Category, p80).Microseconds() - s.At
			if j.WrapUp {
				left = min(left, time.Minute.Microseconds())
			}
			// one that lasts longer than usual is not over at once
			busy = append(busy, freeing{s.At + max(left, time.Minute.Microseconds()), i})
		}
	}
	serve := func(t *Entry, seat int, now int64) {
		start[t.ID] = time.Duration(now-s.At) * time.Microsecond
		heap.Push(&busy, freeing{now + h.of(t.Kind, t.Lane.Category, p80).Microseconds(), seat})
	}
	heap.Init(&busy)
	rest := queue[:0:0]
	for _, t := range queue {
		if seat, _ := m.pick(t, s.At); seat >= 0 {
			m.free[seat]--
			serve(t, seat, s.At)
			continue
		}
		rest = append(rest, t)
	}
	for len(rest) > 0 && busy.Len() > 0 {
		f, ok := heap.Pop(&busy).(freeing)
		if !ok || f.at-s.At > horizon.Microseconds() {
			break
		}
		for i, t := range rest {
			if m.takes(f.seat, t, f.at) {
				serve(t, f.seat, f.at)
				rest = slices.Delete(rest, i, i+1)
				break
			}
		}
	}
	return start
}

// takes reports whether one seat may take a ticket at an instant, whoever else is free.
func (m *matcher) takes(seat int, t *Entry, now int64) bool {
	s := &m.seats[seat]
	if !s.May(t.Kind, t.Lane.Category, t.Lane.Lang) {
		return false
	}
	at := slices.Index(t.Path, s.Unit)
	if at < 0 {
		return false
	}
	bars := m.lineOf(t)
	_, level := m.reach(t, bars, now)
	return at <= level && !slices.Contains(bars, s.ID)
}
