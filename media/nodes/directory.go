package nodes

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Store keeps the directory.
type Store interface {
	// RegisterMediaNode writes a node's own row; a draining mark of an earlier incarnation ends.
	RegisterMediaNode(ctx context.Context, n Node, now int64) error
	// DrainMediaNode marks an incarnation as draining: no new rooms.
	DrainMediaNode(ctx context.Context, name string, inc int64) error
	// MediaNodes lists every node, with its lease and its open rooms.
	MediaNodes(ctx context.Context) ([]Node, error)
}

// Leases are the rights of this process.
type Leases interface {
	// Held returns the epoch of a lease that this process holds now.
	Held(ctx context.Context, name string) (epoch int64, ok bool)
	// Steady returns for how long every renewal was in time.
	Steady() time.Duration
}

// Deps are what a Directory works with.
type Deps struct {
	Store  Store
	Leases Leases
	Self   Node // Inc, LeaseTill and Rooms are filled in
	// Loads is what nodes report besides; nil: nothing.
	Loads func(ctx context.Context) (map[string]Load, error)
	// Alive asks a health address once; it waits no longer than the deadline of ctx.
	Alive  func(ctx context.Context, address string) bool
	Dead   func(ctx context.Context, name string) // hears of a dead node that still has rooms, until it has none; may be nil
	TTL    time.Duration                          // of leases; 0 means 4 s
	Every  time.Duration                          // between two looks; 0 means 250 ms
	Probe  time.Duration                          // a health address answers within; 0 means 300 ms
	Kept   time.Duration                          // pages may still speak of a node so long after its end; 0 means 24 h
	Now    func() time.Time
	Logger *slog.Logger
}

// Directory is this process's copy of the list of nodes.
type Directory struct {
	d   Deps
	inc int64 // registered incarnation, of Run alone

	mu      sync.RWMutex
	told    map[string]time.Time // dead nodes, and when Dead was last told of them
	list    []Node
	heard   map[string]beat
	loads   map[string]Load
	loadsAt time.Time
}

// beat is when a node's lease was last seen to move, by this process's own clock: clocks of nodes may be apart.
type beat struct {
	till int64
	at   time.Time
}

// NewDirectory returns a Directory. Call Start before rooms are placed, and Run for as long as they are.
func NewDirectory(d Deps) *Directory {
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&d.TTL, 4*time.Second)
	def(&d.Every, 250*time.Millisecond)
	def(&d.Probe, 300*time.Millisecond)
	def(&d.Kept, 24*time.Hour)
	return &Directory{d: d, told: map[string]time.Time{}, heard: map[string]beat{}, loads: map[string]Load{}}
}

// Start writes this node's row and reads everybody's.
func (d *Directory) Start(ctx context.Context) error {
	if err := d.register(ctx); err != nil {
		return err
	}
	return d.look(ctx)
}

// Run keeps the row and the copy until ctx is done, and reports the dead. A failed round is logged and repeated. The
// rooms of the dead move beside it: the copy must not grow old while everybody asks where to go.
func (d *Directory) Run(ctx context.Context) error {
	var mover sync.WaitGroup
	defer mover.Wait()
	dead := make(chan []Node) // nobody waits while the former ones are moved: the next round finds them again
	defer close(dead)
	mover.Go(func() {
		for list := range dead {
			d.bury(ctx, list)
		}
	})
	tick := time.NewTicker(d.d.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		list, err := d.round(ctx)
		if err != nil && ctx.Err() == nil {
			d.d.Logger.WarnContext(ctx, "the list of media nodes is old", slog.Any("error", err))
		}
		if len(list) > 0 {
			select {
			case dead <- list:
			default:
			}
		}
	}
}

// Step is one round of Run with everything that follows from it.
func (d *Directory) Step(ctx context.Context) error {
	list, err := d.round(ctx)
	d.bury(ctx, list)
	return err
}

// round keeps the row and the copy, and returns who may be dead.
func (d *Directory) round(ctx context.Context) ([]Node, error) {
	if err := d.register(ctx); err != nil {
		return nil, err
	}
	if err := d.look(ctx); err != nil {
		return nil, err
	}
	return d.suspects(), nil
}

// bury tells Dead of those that do not answer either.
func (d *Directory) bury(ctx context.Context, list []Node) {
	for _, n := range list {
		d.mu.RLock()
		last, again := d.told[n.Name]
		d.mu.RUnlock()
		if again && d.d.Now().Sub(last) < toldEvery || d.alive(ctx, n.Health) || ctx.Err() != nil || d.d.Dead == nil {
			continue
		}
		if !again {
			d.d.Logger.WarnContext(ctx, "a media node has died", slog.String("node", n.Name), slog.Int("rooms", n.Rooms))
		}
		d.mu.Lock()
		d.told[n.Name] = d.d.Now()
		d.mu.Unlock()
		d.d.Dead(ctx, n.Name)
	}
}

// toldEvery is the pace of further tries with a dead node whose rooms found no place.
const toldEvery = time.Second

// register writes this node's row under the epoch of its lease: at start, and when it had to win the lease anew.
func (d *Directory) register(ctx context.Context) error {
	epoch, ok := d.d.Leases.Held(ctx, Lease(d.d.Self.Name))
	if !ok || epoch == d.inc {
		return nil
	}
	n := d.d.Self
	n.Inc = epoch
	if err := d.d.Store.RegisterMediaNode(ctx, n, d.d.Now().UnixMicro()); err != nil {
		return err
	}
	d.inc = epoch
	return nil
}

func (d *Directory) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.d.TTL/2)
	defer cancel()
	list, err := d.d.Store.MediaNodes(ctx)
	if err != nil {
		return err
	}
	now := d.d.Now()
	loads := d.report(ctx, now)
	d.mu.Lock()
	defer d.mu.Unlock()
	heard := make(map[string]beat, len(list))
	for _, n := range list {
		heard[n.Name] = beat{n.LeaseTill, now}
		if b, ok := d.heard[n.Name]; ok && b.till == n.LeaseTill {
			heard[n.Name] = b
		}
		if n.Live(now.UnixMicro()) {
			delete(d.told, n.Name)
		}
	}
	d.list, d.heard = list, heard
	if loads != nil {
		d.loads, d.loadsAt = loads, now
	}
	return nil
}

// loadsEvery is how often reports of load are read, loadsKept how long they count.
const (
	loadsEvery = 2 * time.Second
	loadsKept  = 10 * time.Second
)

func (d *Directory) report(ctx context.Context, now time.Time) map[string]Load {
	if d.d.Loads == nil || now.Sub(d.loadsAt) < loadsEvery {
		return nil
	}
	loads, err := d.d.Loads(ctx)
	if err != nil {
		if now.Sub(d.loadsAt) < loadsKept {
			return nil
		}
		return map[string]Load{} // rooms in SQL remain
	}
	return loads
}

// suspects are the nodes that hold rooms and have let their lease end, as far as this process may judge.
func (d *Directory) suspects() []Node {
	if d.d.Leases.Steady() < d.d.TTL {
		return nil
	}
	now := d.d.Now()
	d.mu.RLock()
	defer d.mu.RUnlock()
	var out []Node
	for _, n := range d.list {
		silent := n.LeaseTill == 0 || now.Sub(d.heard[n.Name].at) >= d.d.TTL-d.d.Every
		if n.Name != d.d.Self.Name && n.Rooms > 0 && !n.Live(now.UnixMicro()) && silent {
			out = append(out, n)
		}
	}
	return out
}

// alive asks twice; one answer is enough.
func (d *Directory) alive(ctx context.Context, address string) bool {
	if address == "" {
		return false
	}
	ask, cancel := context.WithTimeout(ctx, d.d.Probe)
	defer cancel()
	if d.d.Alive(ask, address) {
		return true
	}
	<-ask.Done() // a refusal comes at once: a node that is just opening its port gets its time
	again, cancel := context.WithTimeout(ctx, d.d.Probe)
	defer cancel()
	return d.d.Alive(again, address)
}

// Place chooses the node for a new room among those the caller's transaction sees.
func (d *Directory) Place(list []Node) (string, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return Choose(list, Choice{
		Self: d.d.Self.Name, Region: d.d.Self.Region, Now: d.d.Now().UnixMicro(), Loads: d.loads,
		IntN: rand.IntN,
	})
}

// Others reports how many other nodes live and take rooms.
func (d *Directory) Others() int { return d.others(0) }

// Expected reports whether another node that takes rooms lives, or did a moment ago: after a pause of the database
// everybody renews within a second.
func (d *Directory) Expected() bool { return d.others(3*d.d.TTL) > 0 }

func (d *Directory) others(past time.Duration) int {
	now := d.d.Now().Add(-past).UnixMicro()
	d.mu.RLock()
	defer d.mu.RUnlock()
	n := 0
	for i := range d.list {
		if o := &d.list[i]; o.Name != d.d.Self.Name && o.URL != "" && o.Live(now) && !o.Draining {
			n++
		}
	}
	return n
}

// Drain marks this node in the directory: no new rooms.
func (d *Directory) Drain(ctx context.Context) error {
	epoch, ok := d.d.Leases.Held(ctx, Lease(d.d.Self.Name))
	if !ok {
		return nil
	}
	return d.d.Store.DrainMediaNode(ctx, d.d.Self.Name, epoch)
}

// Reach is how clients get to a room on a node.
type Reach int

// The ways.
const (
	Here    Reach = iota // at the returned origin, or under the page's own address when that is empty
	Silent               // it has not been heard of for half a lease: its rooms may move soon
	Nowhere              // it has no address of its own and clients are not on it
)

// Where returns the websocket origin of a node.
func (d *Directory) Where(name string) (string, Reach) {
	if name == d.d.Self.Name {
		return d.d.Self.Socket(), Here
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	i := slices.IndexFunc(d.list, func(n Node) bool { return n.Name == name })
	switch {
	case i < 0, d.list[i].LeaseTill == 0, d.d.Now().Sub(d.heard[name].at) >= d.d.TTL/2:
		return "", Silent
	case d.list[i].URL == "":
		return "", Nowhere
	}
	return d.list[i].Socket(), Here
}

// Sockets lists the websocket origins that pages may speak to, sorted: those of every node that lives or did lately.
func (d *Directory) Sockets() []string {
	return d.origins(func(n *Node, add func(string)) { add(n.Socket()) })
}

// Pages lists the origins of pages that may open media lines here, sorted.
func (d *Directory) Pages() []string {
	return d.origins(func(n *Node, add func(string)) {
		add(n.URL)
		add(n.Page)
	})
}

func (d *Directory) origins(f func(n *Node, add func(string))) []string {
	found := map[string]bool{}
	add := func(s string) {
		if s != "" {
			found[s] = true
		}
	}
	f(&d.d.Self, add)
	d.mu.RLock()
	defer d.mu.RUnlock()
	now := d.d.Now()
	for i := range d.list {
		till := d.list[i].LeaseTill
		if now.Sub(d.heard[d.list[i].Name].at) < d.d.Kept && (till == 0 || now.UnixMicro()-till < d.d.Kept.Microseconds()) {
			f(&d.list[i], add)
		}
	}
	return slices.Sorted(maps.Keys(found))
}
