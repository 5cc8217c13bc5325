package queue

import (
	"cmp"
	"slices"
	"time"

	"heyi/internal/ident"
	"heyi/mediation"
)

// Snapshot is the line and the seats on duty at one instant; Match and Estimate read nothing else.
type Snapshot struct {
	At       int64    // Unix microseconds
	Tickets  []Entry  // everybody in line, any order
	Seats    []Server // on duty: ready, busy or wrapping up
	Counties int      // county units of the installation, for the number of lanes of a city seat
}

// Entry is a ticket in line, as far as matching needs it.
type Entry struct {
	ID                          ident.TicketID
	Ver                         int64
	Device                      ident.DeviceID
	State                       State // only Waiting is matched; the others count as people ahead
	Kind                        mediation.TicketKind
	Lane                        mediation.Lane
	Path                        []ident.UnitID // from the terminal's unit up to the city
	RankAt, EnqueuedAt, SinceAt int64
	Level                       int
	Shown, Lo, Hi               int
	Passed                      bool
	Excluded                    []Exclusion
}

// Server is a seat on duty.
type Server struct {
	ID         ident.StaffID
	Mediator   bool // takes both kinds; otherwise a lawyer, who takes consults
	Lawyer     bool
	Unit       ident.UnitID         // tickets of its subtree reach it
	City       bool                 // its unit stands above the counties
	Categories []mediation.Category // empty = all
	Langs      []mediation.Lang     // empty = all
	Free       int                  // tickets it may take now
	IdleAt     int64
	Busy       []Job // what it holds, for the estimate
}

// Job is a ticket in the hands of a seat.
type Job struct {
	Kind     mediation.TicketKind
	Category mediation.Category
	StartAt  int64 // Unix microseconds
	WrapUp   bool
}

// Pair gives a ticket to a seat.
type Pair struct {
	Ticket ident.TicketID
	Ver    int64
	Seat   ident.StaffID
}

// Raise lets seats of a higher level take a ticket.
type Raise struct {
	Ticket ident.TicketID
	Level  int
}

// Plan is what Match decided.
type Plan struct {
	Pairs  []Pair
	Raises []Raise
}

// Less orders tickets: by rank, then by the time they were drawn, then by id. The order of two tickets never changes.
func Less(a, b *Entry) int {
	if c := cmp.Compare(a.RankAt, b.RankAt); c != 0 {
		return c
	}
	if c := cmp.Compare(a.EnqueuedAt, b.EnqueuedAt); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// May reports whether a seat may take tickets of a kind, category and language at all, its place left aside. A consult
// needs a lawyer or a mediator, a mediation a mediator.
func (s *Server) May(kind mediation.TicketKind, c mediation.Category, l mediation.Lang) bool {
	if !s.Mediator && (kind == mediation.Mediate || !s.Lawyer) {
		return false
	}
	return (len(s.Categories) == 0 || slices.Contains(s.Categories, c) || c == mediation.Unsure) &&
		(len(s.Langs) == 0 || slices.Contains(s.Langs, l))
}

// lanes is the number of lanes that a seat serves: specialists are used up before generalists.
func (s *Server) lanes(counties int) int {
	n := cmp.Or(len(s.Categories), len(mediation.Categories())) * cmp.Or(len(s.Langs), 2)
	if s.Mediator {
		n *= 2
	}
	if s.City {
		n *= max(counties, 1)
	}
	return n
}

// levelsAfter is how many levels with a seat on duty a ticket reaches after waiting without an offer: one at once,
// the next after 5 min, then 15 min, then every 10 min (domain.md 7.1).
func levelsAfter(waited time.Duration) int {
	switch {
	case waited < 5*time.Minute:
		return 1
	case waited < 15*time.Minute:
		return 2
	}
	return 3 + int((waited-15*time.Minute)/(10*time.Minute))
}

// Match pairs waiting tickets with free seats. It walks the tickets in rank order and gives each, among the seats that
// may take it, the one with the fewest lanes, then the longest idle, then the smallest id.
//
// Within a lane a ticket is passed only for seats it is barred from, and nobody waits while a seat that may take him
// is free. Pure; s is not changed.
func Match(s Snapshot) Plan {
	m := newMatcher(&s)
	var plan Plan
	for _, t := range waiting(s.Tickets) {
		seat, level := m.pick(t, s.At)
		if level > t.Level {
			plan.Raises = append(plan.Raises, Raise{Ticket: t.ID, Level: level})
		}
		if seat >= 0 {
			m.free[seat]--
			plan.Pairs = append(plan.Pairs, Pair{Ticket: t.ID, Ver: t.Ver, Seat: s.Seats[seat].ID})
		}
	}
	return plan
}

// waiting returns the tickets that may be matched, in order.
func waiting(ts []Entry) []*Entry {
	out := make([]*Entry, 0, len(ts))
	for i := range ts {
		if ts[i].State == Waiting {
			out = append(out, &ts[i])
		}
	}
	slices.SortFunc(out, Less)
	return out
}

// demand is a set of tickets that the same seats of one unit may take.
type demand struct {
	kind     mediation.TicketKind
	category mediation.Category
	lang     mediation.Lang
}

// choice is the seats for a demand in order of preference.
type choice struct {
	seats []int // places in matcher.seats, best first
	next  int   // everything before it has no room left
}

// unitSeats is the seats of one unit.
type unitSeats struct {
	seats   []int // best first
	choices map[demand]*choice
}

// matcher is the working state of one run of Match.
type matcher struct {
	seats  []Server
	byUnit map[ident.UnitID]*unitSeats
	nobody choice
	rank   []int // seat -> place in the order of preference
	free   []int
	line   []*choice // reused: the choices of one ticket by level
}

func newMatcher(s *Snapshot) *matcher {
	m := &matcher{
		seats: s.Seats, byUnit: make(map[ident.UnitID]*unitSeats), rank: make([]int, len(s.Seats)), free: make([]int, len(s.Seats)),
	}
	order := make([]int, len(s.Seats))
	lanes := make([]int, len(s.Seats))
	for i := range s.Seats {
		order[i], lanes[i], m.free[i] = i, s.Seats[i].lanes(s.Counties), s.Seats[i].Free
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &s.Seats[a], &s.Seats[b]
		return cmp.Or(cmp.Compare(lanes[a], lanes[b]), cmp.Compare(x.IdleAt, y.IdleAt), cmp.Compare(x.ID, y.ID))
	})
	for place, i := range order {
		m.rank[i] = place
		u := m.byUnit[s.Seats[i].Unit]
		if u == nil {
			u = &unitSeats{choices: make(map[demand]*choice)}
			m.byUnit[s.Seats[i].Unit] = u
		}
		u.seats = append(u.seats, i)
	}
	return m
}

// choice returns the seats of one unit for a ticket, made at its first use.
func (m *matcher) choice(t *Entry, unit ident.UnitID) *choice {
	u, ok := m.byUnit[unit]
	if !ok {
		return &m.nobody
	}
	d := demand{t.Kind, t.Lane.Category, t.Lane.Lang}
	c, ok := u.choices[d]
	if !ok {
		c = &choice{}
		for _, i := range u.seats {
			if m.seats[i].May(d.kind, d.category, d.lang) {
				c.seats = append(c.seats, i)
			}
		}
		u.choices[d] = c
	}
	return c
}

// lineOf fills m.line with the choices of a ticket by level and returns the seats that are barred from it.
func (m *matcher) lineOf(t *Entry) []ident.StaffID {
	m.line = m.line[:0]
	for _, unit := range t.Path {
		m.line = append(m.line, m.choice(t, unit))
	}
	return m.bars(t)
}

// reach returns how many levels of m.line are open to a ticket, and the highest that has a seat on duty. A level
// without eligible seat on duty is skipped at once.
func (m *matcher) reach(t *Entry, bars []ident.StaffID, now int64) (open, level int) {
	levels := levelsAfter(time.Duration(now-t.SinceAt) * time.Microsecond)
	level = t.Level
	for at, c := range m.line {
		if at > t.Level && levels <= 0 {
			break
		}
		open = at + 1
		if onDuty(c, m.seats, bars) {
			levels--
			level = max(level, at)
		}
	}
	return open, level
}

// pick returns the best free seat for a ticket, -1 when there is none, and the level that the ticket reaches.
func (m *matcher) pick(t *Entry, now int64) (seat, level int) {
	bars := m.lineOf(t)
	open, level := m.reach(t, bars, now)
	seat = -1
	for _, c := range m.line[:open] {
		if s := m.first(c, bars); s >= 0 && (seat < 0 || m.rank[s] < m.rank[seat]) {
			seat = s
		}
	}
	return seat, level
}

// first returns the first seat of a choice with room for the ticket, -1 when there is none.
func (m *matcher) first(c *choice, bars []ident.StaffID) int {
	for c.next < len(c.seats) && m.free[c.seats[c.next]] <= 0 {
		c.next++
	}
	for _, i := range c.seats[c.next:] {
		if m.free[i] > 0 && !slices.Contains(bars, m.seats[i].ID) {
			return i
		}
	}
	return -1
}

// bars returns the seats that may not take a ticket: conflicts of interest always; seats that declined it only while
// another seat on duty may take it.
func (m *matcher) bars(t *Entry) []ident.StaffID {
	if len(t.Excluded) == 0 {
		return nil
	}
	all := make([]ident.StaffID, 0, len(t.Excluded))
	var conflicts []ident.StaffID
	for _, x := range t.Excluded {
		all = append(all, x.Seat)
		if x.Reason == ExcludedConflict {
			conflicts = append(conflicts, x.Seat)
		}
	}
	for _, c := range m.line {
		if onDuty(c, m.seats, all) {
			return all
		}
	}
	return conflicts
}

func onDuty(c *choice, seats []Server, bars []ident.StaffID) bool {
	if len(bars) == 0 {
		return len(c.seats) > 0
	}
	return slices.ContainsFunc(c.seats, func(i int) bool { return !slices.Contains(bars, seats[i].ID) })
}
