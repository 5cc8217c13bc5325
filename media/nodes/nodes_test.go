package nodes_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heyi/internal/fault"
	"heyi/media/nodes"
)

const now = int64(1_000_000_000)

func live(name string, rooms int) nodes.Node {
	return nodes.Node{Name: name, URL: "https://" + name + ".example", MaxRooms: 10, LeaseTill: now + 1, Rooms: rooms}
}

func with(n nodes.Node, f func(*nodes.Node)) nodes.Node {
	f(&n)
	return n
}

func TestChoose(t *testing.T) {
	t.Parallel()
	first := func(int) int { return 0 } // the first two candidates
	alone := nodes.Node{Name: "a", MaxRooms: 10, LeaseTill: now + 1}
	tests := map[string]struct {
		list   []nodes.Node
		region string
		loads  map[string]nodes.Load
		want   string // empty: media.no_node
	}{
		"no directory: here":                              {want: "a"},
		"one node without an address: here":               {list: []nodes.Node{alone}, want: "a"},
		"its late lease is no reason against it":          {list: []nodes.Node{with(alone, func(n *nodes.Node) { n.LeaseTill = 0 })}, want: "a"},
		"it drains: nowhere":                              {list: []nodes.Node{with(alone, func(n *nodes.Node) { n.Draining = true })}},
		"it is full: nowhere":                             {list: []nodes.Node{with(alone, func(n *nodes.Node) { n.Rooms = 10 })}},
		"nobody else reaches it: the one with an address": {list: []nodes.Node{alone, live("b", 5)}, want: "b"},
		"a stranger without an address is none":           {list: []nodes.Node{alone, {Name: "b", MaxRooms: 10, LeaseTill: now + 1}}, want: "a"},
		"the emptier of two":                              {list: []nodes.Node{live("a", 4), live("b", 3)}, want: "b"},
		"emptier by share, not by number":                 {list: []nodes.Node{live("a", 4), with(live("b", 8), func(n *nodes.Node) { n.MaxRooms = 100 })}, want: "b"},
		"what a node reports adds to what stands in SQL":  {list: []nodes.Node{live("a", 1), live("b", 2)}, loads: map[string]nodes.Load{"a": {Rooms: 5}}, want: "b"},
		"as full as the other: fewer links":               {list: []nodes.Node{live("a", 1), live("b", 1)}, loads: map[string]nodes.Load{"a": {Links: 9}}, want: "b"},
		"full":                                            {list: []nodes.Node{live("a", 10), live("b", 9)}, want: "b"},
		"all full":                                        {list: []nodes.Node{live("a", 10), live("b", 10)}},
		"draining":                                        {list: []nodes.Node{with(live("a", 0), func(n *nodes.Node) { n.Draining = true }), live("b", 9)}, want: "b"},
		"a lease that ended":                              {list: []nodes.Node{live("a", 9), with(live("b", 0), func(n *nodes.Node) { n.LeaseTill = now - 1 })}, want: "a"},
		"its own region":                                  {list: []nodes.Node{live("a", 0), with(live("b", 8), func(n *nodes.Node) { n.Region = "north" })}, region: "north", want: "b"},
		"a full region: any other":                        {list: []nodes.Node{live("a", 0), with(live("b", 10), func(n *nodes.Node) { n.Region = "north" })}, region: "north", want: "a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := nodes.Choose(tt.list, nodes.Choice{Self: "a", Region: tt.region, Now: now, Loads: tt.loads, IntN: first})
			if code := fault.CodeOf(err); got != tt.want || (code == "media.no_node") != (tt.want == "") {
				t.Errorf("Choose = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

// Whatever the list, a chosen node may take the room; and none is chosen only when none may.
func TestChooseProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var list []nodes.Node
		for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
			list = append(list, nodes.Node{
				Name: string(rune('a' + i)), URL: "https://x", MaxRooms: 3, Rooms: rapid.IntRange(0, 3).Draw(t, "rooms"),
				Draining: rapid.Bool().Draw(t, "draining"), LeaseTill: now + rapid.Int64Range(-1, 1).Draw(t, "lease"),
			})
		}
		may := func(n nodes.Node) bool { return (n.Live(now) || n.Name == "a") && !n.Draining && n.Rooms < n.MaxRooms }
		got, err := nodes.Choose(list, nodes.Choice{Self: "a", Now: now, IntN: func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "random") }})
		if err != nil {
			if slices.ContainsFunc(list, may) {
				t.Fatalf("%v although a node may take the room", err)
			}
			return
		}
		if i := slices.IndexFunc(list, func(n nodes.Node) bool { return n.Name == got }); i < 0 || !may(list[i]) {
			t.Fatalf("%q may not take a room", got)
		}
	})
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://G1.example:8480": "https://g1.example:8480", "http://127.0.0.1:1/": "http://127.0.0.1:1",
		"wss://g1.example": "", "https://u@g1.example": "", "https://g1.example/x": "", "g1.example": "", "": "",
	} {
		if got, ok := nodes.Origin(in); got != want || ok != (want != "") {
			t.Errorf("Origin(%q) = %q, %v", in, got, ok)
		}
	}
}

// rows is the directory's table, and the leases behind it.
type rows struct {
	mu   sync.Mutex
	list []nodes.Node
	err  error
}

func (r *rows) RegisterMediaNode(_ context.Context, n nodes.Node, _ int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(slices.DeleteFunc(r.list, func(o nodes.Node) bool { return o.Name == n.Name }), n)
	return r.err
}

func (r *rows) DrainMediaNode(_ context.Context, name string, inc int64) error {
	r.set(name, func(n *nodes.Node) { n.Draining = n.Inc == inc })
	return nil
}

func (r *rows) MediaNodes(context.Context) ([]nodes.Node, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list), r.err
}

func (r *rows) set(name string, f func(*nodes.Node)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.list {
		if r.list[i].Name == name {
			f(&r.list[i])
		}
	}
}

// held are leases that hold while steady is not negative.
type held struct {
	epoch  int64
	steady time.Duration
}

func (h *held) Held(context.Context, string) (int64, bool) { return h.epoch, h.epoch > 0 }
func (h *held) Steady() time.Duration                      { return h.steady }

// watch is a Directory of node a that watches node b, on a clock of its own.
type watch struct {
	*nodes.Directory
	t      *testing.T
	at     time.Time
	rows   *rows
	leases *held
	alive  bool // what the health address of b says
	asked  int
	dead   []string
}

func newWatch(t *testing.T) *watch {
	w := &watch{t: t, at: time.UnixMicro(now), rows: &rows{}, leases: &held{epoch: 7, steady: time.Hour}}
	w.rows.list = []nodes.Node{{Name: "b", Inc: 3, URL: "https://b.example", Page: "https://law.example", Health: "https://b.example/healthz", MaxRooms: 10, Rooms: 2}}
	w.beat()
	w.Directory = nodes.NewDirectory(nodes.Deps{
		Store: w.rows, Leases: w.leases, Self: nodes.Node{Name: "a", URL: "https://a.example", MaxRooms: 10},
		Alive: func(context.Context, string) bool { w.asked++; return w.alive },
		Dead:  func(_ context.Context, name string) { w.dead = append(w.dead, name) },
		Probe: time.Millisecond, Now: func() time.Time { return w.at }, Logger: slog.New(slog.DiscardHandler),
	})
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// beat is a renewal of b's lease.
func (w *watch) beat() {
	w.rows.set("b", func(n *nodes.Node) { n.LeaseTill = w.at.Add(4 * time.Second).UnixMicro() })
}

// wait lets time pass in steps of a quarter of a second.
func (w *watch) wait(d time.Duration) {
	w.t.Helper()
	for end := w.at.Add(d); w.at.Before(end); {
		w.at = w.at.Add(250 * time.Millisecond)
		if err := w.Step(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestDeathNeedsThreeSigns(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		harm func(w *watch)
		dead bool
	}{
		"lease over, no answer":                     {func(*watch) {}, true},
		"lease given back, no answer":               {func(w *watch) { w.rows.set("b", func(n *nodes.Node) { n.LeaseTill = 0 }) }, true},
		"lease over, but it answers":                {func(w *watch) { w.alive = true }, false},
		"no answer, but its lease goes on":          {func(w *watch) { w.rows.set("b", func(n *nodes.Node) { n.LeaseTill += time.Hour.Microseconds() }) }, false},
		"the observer itself could not write":       {func(w *watch) { w.leases.steady = 3 * time.Second }, false},
		"nothing stands on it":                      {func(w *watch) { w.rows.set("b", func(n *nodes.Node) { n.Rooms = 0 }) }, false},
		"this node itself is not its own judge":     {func(w *watch) { w.rows.list[0].Name = "a" }, false},
		"a clock that is ahead does not shorten it": {func(w *watch) { w.rows.set("b", func(n *nodes.Node) { n.LeaseTill -= 3 * time.Second.Microseconds() }) }, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatch(t)
			w.wait(time.Second)
			w.beat()
			w.wait(250 * time.Millisecond)
			tt.harm(w)
			w.wait(3500 * time.Millisecond)
			if given := name == "lease given back, no answer"; len(w.dead) > 0 != given {
				t.Errorf("dead before its lease has ended: %v", w.dead)
			}
			w.wait(time.Second)
			if (len(w.dead) > 0) != tt.dead {
				t.Errorf("dead = %v, want %v", w.dead, tt.dead)
			}
		})
	}
}

func TestASilentNodeIsNotOfferedToClients(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	want := func(name, origin string, r nodes.Reach) {
		t.Helper()
		if got, reach := w.Where(name); got != origin || reach != r {
			t.Errorf("Where(%q) = %q, %v; want %q, %v", name, got, reach, origin, r)
		}
	}
	want("a", "wss://a.example", nodes.Here)
	want("b", "wss://b.example", nodes.Here)
	want("c", "", nodes.Silent)
	w.wait(1750 * time.Millisecond)
	want("b", "wss://b.example", nodes.Here)
	w.wait(500 * time.Millisecond)
	want("b", "", nodes.Silent)
	w.beat()
	w.wait(250 * time.Millisecond)
	want("b", "wss://b.example", nodes.Here)
	w.rows.set("b", func(n *nodes.Node) { n.URL = "" })
	w.wait(250 * time.Millisecond)
	want("b", "", nodes.Nowhere)
}

func TestOriginsComeFromTheList(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	if got := w.Sockets(); !slices.Equal(got, []string{"wss://a.example", "wss://b.example"}) {
		t.Errorf("Sockets = %v", got)
	}
	if got := w.Pages(); !slices.Equal(got, []string{"https://a.example", "https://b.example", "https://law.example"}) {
		t.Errorf("Pages = %v", got)
	}
	w.at = w.at.Add(25 * time.Hour)
	if got := w.Sockets(); !slices.Equal(got, []string{"wss://a.example"}) {
		t.Errorf("a day after its end: %v", got)
	}
}

func TestOwnRowFollowsTheLease(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	own := func() nodes.Node {
		i := slices.IndexFunc(w.rows.list, func(n nodes.Node) bool { return n.Name == "a" })
		return w.rows.list[i]
	}
	if n := own(); n.Inc != 7 {
		t.Errorf("registered as %d", n.Inc)
	}
	if err := w.Drain(t.Context()); err != nil || !own().Draining {
		t.Errorf("drain: %v, %+v", err, own())
	}
	if w.Others() != 1 {
		t.Errorf("%d others", w.Others())
	}
	w.leases.epoch = 9 // lost and won anew
	w.wait(250 * time.Millisecond)
	if n := own(); n.Inc != 9 || n.Draining {
		t.Errorf("after the lease was won anew: %+v", n)
	}
	w.rows.err = errors.New("the database is away")
	if err := w.Step(t.Context()); err == nil {
		t.Error("an old list is told")
	}
}
