package devices

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"heyi/internal/coord"
	"heyi/internal/ident"
)

// ConnectBatch is the most devices of one epoch statement (fleet.md §2).
const ConnectBatch = 200

// SweeperLease is held by the one node that judges presence.
const SweeperLease = "fleet-sweeper"

// LinkUp asks for the next epoch of one device whose proof holds.
type LinkUp struct {
	Device    ident.DeviceID
	KeySHA256 string // of the credential; only the device's present key is let in
	BootID    string
	AppVer    string
	Engine    string
	At        int64
	Resume    *Resume // nil: the terminal keeps no journal
}

// Admission answers a LinkUp. Refused is empty when the device is in; else its life, or Unknown, or Replaced.
type Admission struct {
	Epoch    int64
	Unit     ident.UnitID
	PrevNode string      // node that held the link before, may be this one
	Streams  *Resumption // where a terminal that sent Resume stands
	Refused  Refusal
}

// Refusal says why a device is not admitted.
type Refusal string

// The refusals.
const (
	Unknown            Refusal = "unknown"     // no such device, or not active yet
	RefusedRetired     Refusal = "retired"     // revoked, or another key took its place
	RefusedDisabled    Refusal = "disabled"    //
	RefusedQuarantined Refusal = "quarantined" //
	Superseded         Refusal = "superseded"  // a later request of the same batch took the epoch
)

// LinkDown reports that a link ended and no newer one of this node took its place.
type LinkDown struct {
	Device ident.DeviceID
	Epoch  int64
	Cause  string // network, idle, reboot, update, user_off, deploy, server_closed, slow
	At     int64
	Bytes  int64 // received and sent
}

// Sighting is a sign of life of a live link.
type Sighting struct {
	Device ident.DeviceID
	Epoch  int64
	At     int64
}

// Kick says that what a node still holds of a device's links is over: its life or key changed, or another node has the
// device now.
type Kick struct {
	Device ident.DeviceID
	Below  int64 // links of a lower epoch
	Life   Life  // empty: superseded
}

// NodeID is this process in presence rows: its stable name and its incarnation, the epoch of its lease node/<name>.
type NodeID struct {
	Name string
	Inc  int64
}

// Fallen is a link that became suspect, with the end of its grace.
type Fallen struct {
	LinkDown
	Until int64
}

// PresenceStore writes the rows of presence. Every write carries its fence: the epoch, node and incarnation, or the
// state it judges; a late write changes nothing.
type PresenceStore interface {
	// ConnectLinks raises the epochs of at most ConnectBatch devices, each at most once, in one statement. It answers
	// in the order of the batch.
	ConnectLinks(ctx context.Context, n NodeID, batch []LinkUp) ([]Admission, error)
	// DropLinks marks connected links of this node suspect and returns how many it marked.
	DropLinks(ctx context.Context, n NodeID, batch []Fallen) (int64, error)
	// SeeLinks notes signs of life and returns the devices whose link is not this node's any more.
	SeeLinks(ctx context.Context, n NodeID, batch []Sighting) (stale []ident.DeviceID, err error)
	// Restarted marks up to limit links of former incarnations of this node suspect until the given instant.
	Restarted(ctx context.Context, n NodeID, now, until int64, limit int) (int64, error)
	// SweepPresence judges once under the sweeper's lease; see SweepOrder.
	SweepPresence(ctx context.Context, o SweepOrder) (Swept, error)
}

// SweepOrder is one round of the sweeper: shift open graces by the service's own downtime, make links of lost nodes
// suspect, make links whose grace is over offline.
type SweepOrder struct {
	Node     NodeID
	Epoch    int64 // of SweeperLease
	Now      time.Time
	Gap      time.Duration // a pause in sweeping longer than this is downtime
	LostNode time.Duration // a node whose lease ended so long ago is lost; 0: judge no node in this round
	Grace    time.Duration // for links of a lost node
	Limit    int           // rows of each kind in one round
}

// Swept is what a round did. Held is false when the lease is not held: nothing was done.
type Swept struct {
	Held    bool
	Shifted time.Duration // downtime that was added to open graces
	Lost    int           // links of lost nodes that became suspect
	Offline []ident.DeviceID
	Faded   int // devices that were offline for so long that they are lost now
}

// Leases are the right to sweep; the node's own renewal keeps them.
type Leases interface {
	// Held returns the epoch of a lease this node holds now, false when another node has it.
	Held(ctx context.Context, name string) (epoch int64, ok bool)
}

// PresenceConfig holds the clocks of presence. Zero values take the defaults of fleet.md §2.
type PresenceConfig struct {
	Grace    time.Duration // after a link is gone; 60 s
	Announce time.Duration // after going_away with reboot or update; 300 s
	Window   time.Duration // reconnect window handed out at a drain; graces of deploy and node_lost are Window + Grace; 60 s
	Sweep    time.Duration // how often the sweeper judges; 5 s
	Gap      time.Duration // a longer pause in sweeping is the service's own downtime; 10 s
	LostNode time.Duration // a node is lost so long after its last renewal ended; 15 s less the lease's 4 s
	Settled  time.Duration // the sweeper judges other nodes after it held its lease for so long; 20 s
}

// PresenceDeps are what Presence works with. All must be set.
type PresenceDeps struct {
	Store  PresenceStore
	Leases Leases
	Nudges coord.Nudges
	Node   NodeID
	// Live lists signs of life of this node's links, each link at most once in 10 minutes; nil leaves seen_at to
	// connects.
	Live   func() []Sighting
	Now    func() time.Time
	Logger *slog.Logger
}

// Presence writes who is connected.
type Presence struct {
	cfg PresenceConfig
	d   PresenceDeps
}

// NewPresence returns a ready Presence. Call Restart once before links are accepted, and Run for as long as they are.
func NewPresence(cfg PresenceConfig, d PresenceDeps) *Presence {
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&cfg.Grace, time.Minute)
	def(&cfg.Announce, 5*time.Minute)
	def(&cfg.Window, time.Minute)
	def(&cfg.Sweep, 5*time.Second)
	def(&cfg.Gap, 10*time.Second)
	def(&cfg.LostNode, 11*time.Second)
	def(&cfg.Settled, 20*time.Second)
	return &Presence{cfg: cfg, d: d}
}

// Connect raises the epoch of every device of the batch that is let in and answers all in order. A device that stands
// twice in a batch gets one epoch, for its last request.
func (p *Presence) Connect(ctx context.Context, batch []LinkUp) ([]Admission, error) {
	out := make([]Admission, len(batch))
	last := make(map[ident.DeviceID]int, len(batch))
	for i, u := range batch {
		last[u.Device] = i
	}
	var (
		todo  []LinkUp
		index []int
	)
	for i, u := range batch {
		if last[u.Device] != i {
			out[i].Refused = Superseded
			continue
		}
		todo, index = append(todo, u), append(index, i)
	}
	done := 0
	for chunk := range slices.Chunk(todo, ConnectBatch) {
		got, err := p.d.Store.ConnectLinks(ctx, p.d.Node, chunk)
		if err != nil {
			return nil, err
		}
		for i := range got {
			out[index[done+i]] = got[i]
		}
		done += len(chunk)
	}
	for i, a := range out {
		if a.Refused == "" && a.PrevNode != "" && a.PrevNode != p.d.Node.Name {
			p.d.Nudges.Publish(ctx, coord.Nudge{
				To: "device/" + string(batch[i].Device), ID: string(batch[i].Device), Ver: a.Epoch, Why: KickWhy(""),
			})
		}
	}
	p.changed(ctx)
	return out, nil
}

// Gone marks links suspect. What an older socket says after a newer one connected changes nothing.
func (p *Presence) Gone(ctx context.Context, batch []LinkDown) error {
	for chunk := range slices.Chunk(batch, ConnectBatch) {
		fallen := make([]Fallen, 0, len(chunk))
		for _, g := range chunk {
			fallen = append(fallen, Fallen{LinkDown: g, Until: g.At + p.grace(g.Cause).Microseconds()})
		}
		if _, err := p.d.Store.DropLinks(ctx, p.d.Node, fallen); err != nil {
			return err
		}
	}
	p.changed(ctx)
	return nil
}

// grace is how long a link may be gone for a cause before the device counts as offline.
func (p *Presence) grace(cause string) time.Duration {
	switch cause {
	case "user_off":
		return 0
	case "reboot", "update":
		return p.cfg.Announce
	case "deploy", "node_lost":
		return p.cfg.Window + p.cfg.Grace
	}
	return p.cfg.Grace
}

// Restart makes the links of this node's former incarnations suspect, with a full grace from now: the service was
// down, not the devices.
func (p *Presence) Restart(ctx context.Context) error {
	for {
		now := p.d.Now()
		n, err := p.d.Store.Restarted(ctx, p.d.Node, now.UnixMicro(), now.Add(p.grace("node_lost")).UnixMicro(), sweepLimit)
		if err != nil || n < sweepLimit {
			return err
		}
	}
}

// sweepLimit is how many rows one transaction of the sweeper touches.
const sweepLimit = 250

// seenEvery is how often signs of life are written.
const seenEvery = 30 * time.Second

// Run sweeps while this node holds the sweeper's lease and writes signs of life, until ctx ends.
func (p *Presence) Run(ctx context.Context) error {
	sweep, seen := time.NewTicker(p.cfg.Sweep), time.NewTicker(seenEvery)
	defer sweep.Stop()
	defer seen.Stop()
	var judge sweeper
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sweep.C:
			err = p.sweep(ctx, &judge)
		case <-seen.C:
			err = p.flushSeen(ctx)
		}
		if err != nil && ctx.Err() == nil {
			p.d.Logger.ErrorContext(ctx, "presence write failed", slog.Any("error", err))
		}
	}
}

// sweeper remembers since when this node holds the sweeper's lease without a gap.
type sweeper struct {
	epoch int64
	since time.Time
}

func (p *Presence) sweep(ctx context.Context, s *sweeper) error {
	for {
		epoch, ok := p.d.Leases.Held(ctx, SweeperLease)
		if !ok {
			*s = sweeper{}
			return nil
		}
		now := p.d.Now()
		if s.epoch != epoch {
			*s = sweeper{epoch: epoch, since: now}
		}
		o := SweepOrder{Node: p.d.Node, Epoch: epoch, Now: now, Gap: p.cfg.Gap, Grace: p.grace("node_lost"), Limit: sweepLimit}
		if now.Sub(s.since) >= p.cfg.Settled {
			o.LostNode = p.cfg.LostNode
		}
		done, err := p.d.Store.SweepPresence(ctx, o)
		if err != nil || !done.Held {
			*s = sweeper{}
			return err
		}
		if done.Shifted > 0 {
			p.d.Logger.InfoContext(ctx, "presence graces shifted by downtime", slog.Duration("by", done.Shifted))
		}
		if len(done.Offline)+done.Lost+done.Faded > 0 {
			p.changed(ctx)
		}
		if len(done.Offline) < sweepLimit && done.Lost < sweepLimit && done.Faded < sweepLimit {
			return nil
		}
	}
}

func (p *Presence) flushSeen(ctx context.Context) error {
	if p.d.Live == nil {
		return nil
	}
	for chunk := range slices.Chunk(p.d.Live(), ConnectBatch) {
		stale, err := p.d.Store.SeeLinks(ctx, p.d.Node, chunk)
		if err != nil {
			return err
		}
		// The row belongs to another link or life: whoever still speaks here under an old epoch is closed.
		for _, id := range stale {
			i := slices.IndexFunc(chunk, func(s Sighting) bool { return s.Device == id })
			p.d.Nudges.Publish(ctx, coord.Nudge{To: "device/" + string(id), ID: string(id), Ver: chunk[i].Epoch + 1, Why: KickWhy("")})
		}
	}
	return nil
}

// changed marks live views of devices dirty; they read again.
func (p *Presence) changed(ctx context.Context) {
	p.d.Nudges.Publish(ctx, coord.Nudge{To: coord.ToConsole, ID: "devices"})
}
