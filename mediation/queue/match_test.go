package queue_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/queue"
)

// The little country of these tests: one city, two counties, two townships and four villages.
func country() map[ident.UnitID][]ident.UnitID {
	return map[ident.UnitID][]ident.UnitID{
		"v1": {"v1", "t1", "c1", "city"}, "v2": {"v2", "t1", "c1", "city"}, "v3": {"v3", "t2", "c2", "city"}, "v4": {"v4", "t2", "c2", "city"},
		"t1": {"t1", "c1", "city"}, "t2": {"t2", "c2", "city"}, "c1": {"c1", "city"}, "c2": {"c2", "city"}, "city": {"city"},
	}
}

const now = int64(1_800_000_000_000_000)

func minutesAgo(m int) int64 { return now - int64(m)*60e6 }

func waits(id string, unit ident.UnitID, edit ...func(*queue.Entry)) queue.Entry {
	path := country()[unit]
	county := path[len(path)-1]
	if len(path) > 1 {
		county = path[len(path)-2]
	}
	e := queue.Entry{
		ID: ident.TicketID(id), Ver: 1, State: queue.Waiting, Kind: mediation.Consult, Path: path,
		Lane:   mediation.Lane{Category: mediation.Wages, Lang: mediation.Chinese, County: county},
		RankAt: minutesAgo(1), EnqueuedAt: minutesAgo(1), SinceAt: minutesAgo(1), Lo: -1, Hi: -1,
	}
	for _, f := range edit {
		f(&e)
	}
	return e
}

func lawyer(id string, unit ident.UnitID, edit ...func(*queue.Server)) queue.Server {
	s := queue.Server{ID: ident.StaffID(id), Lawyer: true, Unit: unit, City: unit == "city", Free: 1, IdleAt: minutesAgo(10)}
	for _, f := range edit {
		f(&s)
	}
	return s
}

func pairs(p queue.Plan) map[ident.TicketID]ident.StaffID {
	out := map[ident.TicketID]ident.StaffID{}
	for _, x := range p.Pairs {
		out[x.Ticket] = x.Seat
	}
	return out
}

func TestMatch(t *testing.T) {
	t.Parallel()
	busy := func(s *queue.Server) { s.Free = 0 }
	mediator := func(s *queue.Server) { s.Lawyer, s.Mediator = false, true }
	since := func(m int) func(*queue.Entry) { return func(e *queue.Entry) { e.SinceAt = minutesAgo(m) } }
	not := func(reason string, seats ...ident.StaffID) func(*queue.Entry) {
		return func(e *queue.Entry) {
			for _, s := range seats {
				e.Excluded = append(e.Excluded, queue.Exclusion{Ticket: e.ID, Seat: s, Reason: reason})
			}
		}
	}
	tests := map[string]struct {
		tickets []queue.Entry
		seats   []queue.Server
		want    map[ident.TicketID]ident.StaffID
	}{
		"the first in rank gets the only seat": {
			[]queue.Entry{waits("b", "v1"), waits("a", "v1", func(e *queue.Entry) { e.RankAt-- })},
			[]queue.Server{lawyer("s", "c1")},
			map[ident.TicketID]ident.StaffID{"a": "s"},
		},
		"a mediation needs a mediator, a consult takes either": {
			[]queue.Entry{waits("a", "v1", func(e *queue.Entry) { e.Kind, e.RankAt = mediation.Mediate, e.RankAt-1 }), waits("b", "v1")},
			[]queue.Server{lawyer("l", "c1"), lawyer("m", "c1", mediator)},
			map[ident.TicketID]ident.StaffID{"a": "m", "b": "l"},
		},
		"a seat of another county never": {
			[]queue.Entry{waits("a", "v1")}, []queue.Server{lawyer("s", "c2")}, map[ident.TicketID]ident.StaffID{},
		},
		"a language that the seat does not speak": {
			[]queue.Entry{waits("a", "v1", func(e *queue.Entry) { e.Lane.Lang = mediation.Mongolian })},
			[]queue.Server{lawyer("s", "c1", func(s *queue.Server) { s.Langs = []mediation.Lang{mediation.Chinese} })},
			map[ident.TicketID]ident.StaffID{},
		},
		"the specialist before the generalist": {
			[]queue.Entry{waits("a", "v1")},
			[]queue.Server{lawyer("all", "c1"), lawyer("wages", "c1", func(s *queue.Server) { s.Categories, s.IdleAt = []mediation.Category{mediation.Wages}, now })},
			map[ident.TicketID]ident.StaffID{"a": "wages"},
		},
		"then the longest idle": {
			[]queue.Entry{waits("a", "v1")},
			[]queue.Server{lawyer("s1", "c1"), lawyer("s2", "c1", func(s *queue.Server) { s.IdleAt-- })},
			map[ident.TicketID]ident.StaffID{"a": "s2"},
		},
		"a level without seat on duty is skipped at once": {
			[]queue.Entry{waits("a", "v1", since(0))}, []queue.Server{lawyer("s", "city")}, map[ident.TicketID]ident.StaffID{"a": "s"},
		},
		"the next level waits while a seat of the lower one is on duty": {
			[]queue.Entry{waits("a", "v1", since(4))}, []queue.Server{lawyer("near", "c1", busy), lawyer("far", "city")}, map[ident.TicketID]ident.StaffID{},
		},
		"after five minutes the next level helps": {
			[]queue.Entry{waits("a", "v1", since(5))},
			[]queue.Server{lawyer("near", "c1", busy), lawyer("far", "city")},
			map[ident.TicketID]ident.StaffID{"a": "far"},
		},
		"who declined is passed over while another is on duty, even a busy one": {
			[]queue.Entry{waits("a", "v1", not(queue.ExcludedDeclined, "s"))},
			[]queue.Server{lawyer("s", "c1"), lawyer("other", "c1", busy)},
			map[ident.TicketID]ident.StaffID{},
		},
		"the next level helps at once when all of the lower one declined": {
			[]queue.Entry{waits("a", "v1", since(0), not(queue.ExcludedDeclined, "s"))},
			[]queue.Server{lawyer("s", "c1"), lawyer("far", "city")},
			map[ident.TicketID]ident.StaffID{"a": "far"},
		},
		"when everybody declined they are asked again": {
			[]queue.Entry{waits("a", "v1", not(queue.ExcludedDeclined, "s", "z"))},
			[]queue.Server{lawyer("s", "c1"), lawyer("z", "c1")},
			map[ident.TicketID]ident.StaffID{"a": "s"},
		},
		"a conflict of interest holds for ever": {
			[]queue.Entry{waits("a", "v1", not(queue.ExcludedConflict, "s"))}, []queue.Server{lawyer("s", "c1")}, map[ident.TicketID]ident.StaffID{},
		},
		"a parked ticket is not matched": {
			[]queue.Entry{waits("a", "v1", func(e *queue.Entry) { e.State = queue.Parked })}, []queue.Server{lawyer("s", "c1")}, map[ident.TicketID]ident.StaffID{},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := queue.Match(queue.Snapshot{At: now, Tickets: tt.tickets, Seats: tt.seats, Counties: 2})
			if diff := cmp.Diff(tt.want, pairs(got)); diff != "" {
				t.Errorf("pairs (-want +got):\n%s", diff)
			}
		})
	}
}

// crowd draws a random snapshot.
func crowd(t *rapid.T) queue.Snapshot {
	units := []ident.UnitID{"v1", "v2", "v3", "v4", "t1", "t2", "c1", "c2", "city"}
	categories := []mediation.Category{mediation.Wages, mediation.Family, mediation.Unsure}
	langs := []mediation.Lang{mediation.Chinese, mediation.Mongolian}
	s := queue.Snapshot{At: now, Counties: 2}
	for i := range rapid.IntRange(0, 8).Draw(t, "seats") {
		role := rapid.IntRange(0, 2).Draw(t, "role")
		v := queue.Server{
			ID: ident.StaffID(fmt.Sprintf("s%d", i)), Mediator: role > 0, Lawyer: role < 2, Unit: rapid.SampledFrom(units).Draw(t, "seat unit"),
			Free: rapid.IntRange(0, 2).Draw(t, "free"), IdleAt: int64(rapid.IntRange(0, 3).Draw(t, "idle")),
		}
		v.City = v.Unit == "city"
		if rapid.Bool().Draw(t, "specialist") {
			v.Categories = []mediation.Category{rapid.SampledFrom(categories[:2]).Draw(t, "skill")}
		}
		if rapid.Bool().Draw(t, "one language") {
			v.Langs = []mediation.Lang{rapid.SampledFrom(langs).Draw(t, "speaks")}
		}
		if v.Free == 0 {
			v.Busy = []queue.Job{{Kind: mediation.Consult, Category: mediation.Wages, StartAt: minutesAgo(rapid.IntRange(0, 30).Draw(t, "since"))}}
		}
		s.Seats = append(s.Seats, v)
	}
	for i := range rapid.IntRange(0, 30).Draw(t, "tickets") {
		e := waits(fmt.Sprintf("t%02d", i), rapid.SampledFrom(units).Draw(t, "unit"))
		e.State = rapid.SampledFrom([]queue.State{queue.Waiting, queue.Waiting, queue.Waiting, queue.Parked, queue.Missed, queue.Offered}).Draw(t, "state")
		e.Kind = rapid.SampledFrom([]mediation.TicketKind{mediation.Consult, mediation.Mediate}).Draw(t, "kind")
		e.Lane.Category = rapid.SampledFrom(categories).Draw(t, "category")
		e.Lane.Lang = rapid.SampledFrom(langs).Draw(t, "lang")
		e.RankAt = minutesAgo(rapid.IntRange(0, 10).Draw(t, "rank"))
		e.SinceAt = minutesAgo(rapid.IntRange(0, 40).Draw(t, "waited"))
		e.Shown = rapid.IntRange(0, 30).Draw(t, "shown")
		if len(s.Seats) > 0 && rapid.IntRange(0, 3).Draw(t, "excludes") == 0 {
			for range rapid.IntRange(1, 3).Draw(t, "how many") {
				x := queue.Exclusion{Ticket: e.ID, Seat: rapid.SampledFrom(s.Seats).Draw(t, "barred").ID, Reason: rapid.SampledFrom([]string{queue.ExcludedConflict, queue.ExcludedDeclined}).Draw(t, "why")}
				if !slices.ContainsFunc(e.Excluded, func(o queue.Exclusion) bool { return o.Seat == x.Seat }) {
					e.Excluded = append(e.Excluded, x)
				}
			}
		}
		s.Tickets = append(s.Tickets, e)
	}
	return s
}

// open is the rule of the domain written plainly: the seats that may take a ticket now, were they free.
func open(s queue.Snapshot, e queue.Entry) []queue.Server {
	may := func(v queue.Server, bars []string) bool {
		for _, x := range e.Excluded {
			if x.Seat == v.ID && slices.Contains(bars, x.Reason) {
				return false
			}
		}
		return v.May(e.Kind, e.Lane.Category, e.Lane.Lang) && slices.Contains(e.Path, v.Unit)
	}
	bars := []string{queue.ExcludedConflict, queue.ExcludedDeclined}
	if !slices.ContainsFunc(s.Seats, func(v queue.Server) bool { return may(v, bars) }) {
		bars = bars[:1] // nobody else is on duty: who declined is asked again
	}
	levels := 1
	if waited := time.Duration(s.At-e.SinceAt) * time.Microsecond; waited >= 5*time.Minute {
		levels = 2
		if waited >= 15*time.Minute {
			levels = 3 + int((waited-15*time.Minute)/(10*time.Minute))
		}
	}
	var list []queue.Server
	for level, unit := range e.Path {
		here := slices.Clone(s.Seats)
		here = slices.DeleteFunc(here, func(v queue.Server) bool { return v.Unit != unit || !may(v, bars) })
		if len(here) == 0 {
			continue
		}
		if levels--; levels >= 0 || level <= e.Level {
			list = append(list, here...)
		}
	}
	return list
}

func TestMatchKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := crowd(t)
		tickets := map[ident.TicketID]queue.Entry{}
		for _, e := range s.Tickets {
			tickets[e.ID] = e
		}
		before := fmt.Sprint(s)
		plan := queue.Match(s)
		if fmt.Sprint(s) != before {
			t.Fatal("Match changed its input")
		}
		got := pairs(plan)
		if len(got) != len(plan.Pairs) {
			t.Fatal("a ticket is given twice")
		}
		left := map[ident.StaffID]int{}
		for _, v := range s.Seats {
			left[v.ID] = v.Free
		}
		isOpen := func(e queue.Entry, seat ident.StaffID) bool {
			return slices.ContainsFunc(open(s, e), func(v queue.Server) bool { return v.ID == seat })
		}
		for id, seat := range got {
			if left[seat]--; left[seat] < 0 {
				t.Fatalf("%s is over its capacity", seat)
			}
			if e := tickets[id]; e.State != queue.Waiting || !isOpen(e, seat) {
				t.Fatalf("%s may not take %s", seat, id)
			}
		}
		for _, e := range s.Tickets {
			if _, ok := got[e.ID]; ok || e.State != queue.Waiting {
				continue
			}
			for _, v := range open(s, e) {
				if left[v.ID] > 0 {
					t.Fatalf("%s waits while %s is free", e.ID, v.ID)
				}
			}
			for id, seat := range got {
				later := tickets[id]
				if later.Lane == e.Lane && queue.Less(&e, &later) < 0 && isOpen(e, seat) {
					t.Fatalf("%s was passed by %s for %s, from which it is not barred", e.ID, id, seat)
				}
			}
		}
		for _, r := range plan.Raises {
			if e := tickets[r.Ticket]; r.Level <= e.Level || r.Level >= len(e.Path) {
				t.Fatalf("level %d -> %d of %d", e.Level, r.Level, len(e.Path))
			}
		}
	})
}

func TestShownPositionNeverGrows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := crowd(t)
		ahead := queue.Ahead(s.Tickets)
		lanes := map[mediation.Lane]map[int]bool{}
		for _, e := range s.Tickets {
			n := ahead[e.ID]
			if got := queue.ShownAhead(e.Shown, n); got > e.Shown || got > n {
				t.Fatalf("shown %d after %d of %d", got, e.Shown, n)
			}
			if lanes[e.Lane] == nil {
				lanes[e.Lane] = map[int]bool{}
			}
			if lanes[e.Lane][n] {
				t.Fatalf("two tickets of a lane have %d ahead", n)
			}
			lanes[e.Lane][n] = true
		}
		for _, l := range lanes {
			for n := range len(l) {
				if !l[n] {
					t.Fatalf("no ticket of the lane has %d ahead", n)
				}
			}
		}
	})
}

func TestRankKeepsOrder(t *testing.T) {
	t.Parallel()
	nine := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	rank := func(c queue.Class, after time.Duration) time.Time {
		return queue.Rank(nine.Add(after), c, queue.DefaultBoosts())
	}
	tests := map[string]struct{ first, second time.Time }{
		"same class, first come first served":                  {rank(queue.Normal, 0), rank(queue.Normal, time.Second)},
		"an elder within the boost passes a normal one":        {rank(queue.Access, 4*time.Minute), rank(queue.Normal, 0)},
		"an elder beyond the boost does not":                   {rank(queue.Normal, 0), rank(queue.Access, 6*time.Minute)},
		"after 30 minutes nothing new can pass":                {rank(queue.Normal, 0), rank(queue.Risk, 30*time.Minute+time.Second)},
		"work that the system broke off before an appointment": {rank(queue.Returning, 2*time.Minute), rank(queue.Appointment, 0)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !tt.first.Before(tt.second) {
				t.Errorf("rank %v, want before %v", tt.first, tt.second)
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	s := queue.Snapshot{At: now, Counties: 12}
	categories := mediation.Categories()
	for i := range 5000 {
		county := ident.UnitID(fmt.Sprint("c", i%12))
		township := ident.UnitID(fmt.Sprint(county, "t", i%200))
		village := ident.UnitID(fmt.Sprint(township, "v", i%2000))
		e := waits(fmt.Sprintf("t%05d", i*7919%5000), "v1")
		e.Path = []ident.UnitID{village, township, county, "city"}
		e.Lane = mediation.Lane{Category: categories[i%len(categories)], Lang: mediation.Chinese, County: county}
		if i%10 == 0 {
			e.Lane.Lang = mediation.Mongolian
		}
		if i%3 == 0 {
			e.Kind = mediation.Mediate
		}
		e.RankAt, e.SinceAt = minutesAgo(i*31%40), minutesAgo(i%40)
		if i%20 == 0 {
			e.Excluded = []queue.Exclusion{{Ticket: e.ID, Seat: ident.StaffID(fmt.Sprintf("s%04d", i%1000)), Reason: queue.ExcludedDeclined}}
		}
		s.Tickets = append(s.Tickets, e)
	}
	for i := range 1000 {
		v := lawyer(fmt.Sprintf("s%04d", i), ident.UnitID(fmt.Sprint("c", i%12)))
		v.Mediator, v.IdleAt = i%2 == 0, minutesAgo(i%60)
		if i%13 == 0 {
			v.Unit, v.City = "city", true
		}
		for j := range i % 5 {
			v.Categories = append(v.Categories, categories[(i+j*3)%len(categories)])
		}
		s.Seats = append(s.Seats, v)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p := queue.Match(s); len(p.Pairs) < 800 {
			b.Fatalf("%d pairs", len(p.Pairs))
		}
	}
}
