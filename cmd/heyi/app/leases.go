package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"heyi/configs"
	"heyi/internal/fault"
	"heyi/store"
)

// leases keeps what this process holds: its node row and the rights that one process of the installation has. It
// renews them together and tries again for those it wants and another holds.
type leases struct {
	store  *store.Store
	node   string
	wanted []string
	ttl    time.Duration // of every lease
	every  time.Duration // all are renewed in one statement so often (fleet.md §2)
	now    func() time.Time
	logger *slog.Logger

	mu      sync.Mutex
	held    map[string]int64
	till    time.Time // what is held counts until then, whatever the database says meanwhile
	renewed time.Time // the last renewal ended
	steady  time.Time // since then each renewal followed the one before it in time
}

// newLeases takes this process's name, and over what an earlier process of the same name held (the caller holds the
// data folder's lock; holder names the folder). It returns the name's epoch, the incarnation of this process. others
// are the rows taken over beside it, by name.
func newLeases(ctx context.Context, s *store.Store, cfg configs.Config, holder string, now func() time.Time, logger *slog.Logger, wanted ...string) (l *leases, incarnation int64, others map[string]int64, err error) {
	node := cfg.Node.Name
	l = &leases{store: s, node: node, wanted: wanted, ttl: cfg.Media.LeaseTTL, every: cfg.Media.LeaseRenew, now: now, logger: logger, held: map[string]int64{}}
	others = map[string]int64{}
	incarnation, taken, err := s.StartNode(ctx, node, holder, l.ttl, now())
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == "node.name_taken" {
		return nil, 0, nil, fmt.Errorf("a node named %q lives on another data folder: give this one another node.name, or stop that one and wait %d s",
			node, max(1, int(f.RetryAfter.Round(time.Second)/time.Second)))
	}
	if err != nil {
		return nil, 0, nil, fmt.Errorf("node lease: %w", err)
	}
	l.held[l.own()] = incarnation
	for _, t := range taken {
		if slices.Contains(wanted, t.Name) {
			l.held[t.Name] = t.Epoch
		} else {
			others[t.Name] = t.Epoch
		}
	}
	return l, incarnation, others, l.renew(ctx)
}

func (l *leases) own() string { return "node/" + l.node }

// Held implements devices.Leases.
func (l *leases) Held(_ context.Context, name string) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	epoch, ok := l.held[name]
	return epoch, ok && l.now().Before(l.till)
}

// errNameLost ends a process whose name another one holds: everything it writes is fenced off.
var errNameLost = errors.New("another process took the name of this node while it was away; start again under another node.name, or stop that one")

// Steady returns for how long every renewal was in time: so long this process saw the database as it is.
func (l *leases) Steady() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.renewed) > l.ttl/2 {
		return 0
	}
	return now.Sub(l.steady)
}

// age is how long ago everything was last renewed.
func (l *leases) age() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ttl - l.till.Sub(l.now())
}

// Run renews until ctx is done, then gives the shared rights back at once; the node's own row just expires, so that
// its name is not taken while its last writes are under way.
func (l *leases) Run(ctx context.Context) error {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.release(context.WithoutCancel(ctx))
		case <-tick.C:
			err := l.renew(ctx)
			if errors.Is(err, errNameLost) {
				return err
			}
			if err != nil && ctx.Err() == nil {
				l.logger.ErrorContext(ctx, "leases could not be renewed", slog.Any("error", err))
			}
		}
	}
}

func (l *leases) renew(ctx context.Context) error {
	l.mu.Lock()
	held := maps.Clone(l.held)
	l.mu.Unlock()
	start := l.now()
	lost, err := l.store.RenewLeases(ctx, l.node, held, l.ttl, start)
	if err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	for _, name := range lost {
		if name == l.own() {
			return errNameLost
		}
		delete(held, name)
		l.logger.WarnContext(ctx, "a lease is lost", slog.String("lease", name))
	}
	for _, name := range l.wanted {
		if _, ok := held[name]; ok {
			continue
		}
		epoch, ok, err := l.store.AcquireLease(ctx, name, l.node, l.ttl, start)
		if err != nil {
			return fmt.Errorf("acquire %s: %w", name, err)
		}
		if ok {
			held[name] = epoch
		}
	}
	end := l.now()
	l.mu.Lock()
	if end.Sub(l.renewed) > l.ttl/2 {
		l.steady = end
	}
	l.held, l.till, l.renewed = held, start.Add(l.ttl), end
	l.mu.Unlock()
	return nil
}

func (l *leases) release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range l.wanted {
		if epoch, ok := l.held[name]; ok {
			if err := l.store.ReleaseLease(ctx, name, l.node, epoch); err != nil {
				return fmt.Errorf("release %s: %w", name, err)
			}
		}
	}
	return nil
}
