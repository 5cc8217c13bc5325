package devices

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"heyi/internal/ident"
)

// Drift kinds: what Upkeep compares. All of them must be 0.
const (
	DriftCounters = "counters"           // a counter and the devices it counts
	DriftNoRow    = "socket_without_row" // a live link whose row names another link
	DriftNoSocket = "row_without_socket" // a row that names this node for a link that is not here
)

// Rows of one question, and of one transaction that forgets.
const (
	auditPage  = 2000
	forgetPage = 500
)

// UpkeepConfig holds how often presence is checked against itself and how long history is kept. Zero values take the
// defaults of fleet.md §2 and §10.
type UpkeepConfig struct {
	Every time.Duration // 10 min
	Kept  time.Duration // links that ended; 400 days
	Share float64       // of this node's live links that one audit compares; 0.01
	// Settle is how long a difference is given to be the moment between two writes before it is looked at again; 10 s.
	Settle time.Duration
}

// UpkeepDeps are what Upkeep works with. All must be set.
type UpkeepDeps struct {
	Store  HistoryStore
	Leases Leases
	Node   NodeID
	// Links lists a random share of this node's live device links, all of them at share 1.
	Links func(share float64) []Sighting
	// Drift notes by how much two things differ that must agree.
	Drift  func(kind string, n int)
	Now    func() time.Time
	Logger *slog.Logger
}

// Upkeep compares presence with itself and keeps its history short: every node its sockets with its rows, the holder of
// the sweeper's lease the counters with what they count.
type Upkeep struct {
	cfg UpkeepConfig
	d   UpkeepDeps
}

// NewUpkeep returns a ready Upkeep.
func NewUpkeep(cfg UpkeepConfig, d UpkeepDeps) *Upkeep {
	if cfg.Every == 0 {
		cfg.Every = 10 * time.Minute
	}
	if cfg.Kept == 0 {
		cfg.Kept = 400 * 24 * time.Hour
	}
	if cfg.Share == 0 {
		cfg.Share = 0.01
	}
	if cfg.Settle == 0 {
		cfg.Settle = 10 * time.Second
	}
	return &Upkeep{cfg: cfg, d: d}
}

// Run checks until ctx ends.
func (u *Upkeep) Run(ctx context.Context) error {
	tick := time.NewTicker(u.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := u.Once(ctx); err != nil && ctx.Err() == nil {
			u.d.Logger.ErrorContext(ctx, "upkeep of presence failed", slog.Any("error", err))
		}
	}
}

// Once checks everything this node is responsible for.
func (u *Upkeep) Once(ctx context.Context) error {
	if err := u.audit(ctx); err != nil {
		return err
	}
	if _, ok := u.d.Leases.Held(ctx, SweeperLease); !ok {
		return nil
	}
	drift, err := u.d.Store.RecountFleet(ctx)
	if err != nil {
		return err
	}
	u.tell(ctx, DriftCounters, drift)
	before := u.d.Now().Add(-u.cfg.Kept).UnixMicro()
	for {
		n, err := u.d.Store.ForgetLinks(ctx, before, forgetPage)
		if err != nil || n < forgetPage {
			return err
		}
	}
}

func (u *Upkeep) tell(ctx context.Context, kind string, n int) {
	u.d.Drift(kind, n)
	if n != 0 {
		u.d.Logger.ErrorContext(ctx, "presence does not agree with itself", slog.String("what", kind), slog.Int("devices", n))
	}
}

// audit compares sockets with rows in both directions. A link that comes or goes during the look is no difference: what
// differs is looked at again a while later.
func (u *Upkeep) audit(ctx context.Context) error {
	noRow, err := u.withoutRow(ctx, u.d.Links(u.cfg.Share))
	if err != nil {
		return err
	}
	noSocket, err := u.withoutSocket(ctx)
	if err != nil {
		return err
	}
	if len(noRow)+len(noSocket) > 0 {
		settle := time.NewTimer(u.cfg.Settle)
		defer settle.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-settle.C:
		}
		live := u.live()
		if noRow, err = u.withoutRow(ctx, slices.DeleteFunc(noRow, func(l Sighting) bool { return !live[l.unseen()] })); err != nil {
			return err
		}
		noSocket = slices.DeleteFunc(noSocket, func(l Sighting) bool { return live[l.unseen()] })
		moved, err := u.withoutRow(ctx, noSocket)
		if err != nil {
			return err
		}
		noSocket = noSocket[:len(noSocket)-len(moved)] // only how many they are counts
	}
	u.tell(ctx, DriftNoRow, len(noRow))
	u.tell(ctx, DriftNoSocket, len(noSocket))
	return nil
}

func (u *Upkeep) live() map[Sighting]bool {
	live := map[Sighting]bool{}
	for _, l := range u.d.Links(1) {
		live[l.unseen()] = true
	}
	return live
}

// unseen is a sighting as a key: the same link at whatever time.
func (s Sighting) unseen() Sighting { return Sighting{Device: s.Device, Epoch: s.Epoch} }

func (u *Upkeep) withoutRow(ctx context.Context, links []Sighting) ([]Sighting, error) {
	var out []Sighting
	for len(links) > 0 {
		n := min(len(links), ConnectBatch)
		ids, err := u.d.Store.LinkedHere(ctx, u.d.Node, links[:n])
		if err != nil {
			return nil, err
		}
		known := make(map[ident.DeviceID]bool, len(ids))
		for _, id := range ids {
			known[id] = true
		}
		for _, l := range links[:n] {
			if !known[l.Device] {
				out = append(out, l)
			}
		}
		links = links[n:]
	}
	return out, nil
}

// withoutSocket returns rows that name this node for a link that is not here.
func (u *Upkeep) withoutSocket(ctx context.Context) ([]Sighting, error) {
	var odd []Sighting
	var after ident.DeviceID
	for {
		rows, err := u.d.Store.LinksOf(ctx, u.d.Node, after, auditPage)
		if err != nil {
			return nil, err
		}
		live := u.live()
		for _, r := range rows {
			if !live[r.unseen()] {
				odd = append(odd, r)
			}
		}
		if len(rows) < auditPage {
			return odd, nil
		}
		after = rows[len(rows)-1].Device
	}
}
