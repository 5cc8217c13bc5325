// Package clock is the one clock of an installation. Several nodes decide together who holds a lease, whose grace is over
// and when a ring ends, so they must agree on the time; the clock they agree on is the database's. A node asks it now and
// then and counts on by its own monotonic clock, so that its own wall clock may be wrong, or jump by an hour, without
// anybody noticing.
//
// Concurrency: a Clock is safe for concurrent use.
package clock

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Config says when a Clock follows. Zero values take the defaults.
type Config struct {
	Every     time.Duration // how often it asks; 5 s
	Tolerance time.Duration // a smaller difference is left alone, so that time does not jitter; 200 ms
}

// Deps are what a Clock works with. All must be set.
type Deps struct {
	Own    func() time.Time                             // time.Now: its readings carry the monotonic clock
	Ask    func(ctx context.Context) (time.Time, error) // the database's clock
	Told   func(off time.Duration)                      // by how much the own wall clock is ahead of the database's
	Logger *slog.Logger
}

// Clock shows the database's time.
type Clock struct {
	cfg Config
	d   Deps

	mu    sync.RWMutex
	local time.Time // reading of Own, with its monotonic part
	shown time.Time // what was shown then
}

// New returns a Clock that shows the own time until the first Sync.
func New(cfg Config, d Deps) *Clock {
	if cfg.Every == 0 {
		cfg.Every = 5 * time.Second
	}
	if cfg.Tolerance == 0 {
		cfg.Tolerance = 200 * time.Millisecond
	}
	now := d.Own()
	return &Clock{cfg: cfg, d: d, local: now, shown: now.Round(0)}
}

// Now returns the time of the installation.
func (c *Clock) Now() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.at(c.d.Own())
}

// at counts on from the last sync. Sub uses the monotonic clock.
func (c *Clock) at(own time.Time) time.Time { return c.shown.Add(own.Sub(c.local)) }

// Sync asks the database once. An answer that was long under way moves the clock only by what is certain.
func (c *Clock) Sync(ctx context.Context) error {
	before := c.d.Own()
	theirs, err := c.d.Ask(ctx)
	if err != nil {
		return err
	}
	after := c.d.Own()
	trip := after.Sub(before)
	theirs = theirs.Round(0).Add(trip / 2)
	c.d.Told(after.Round(0).Sub(theirs))
	c.mu.Lock()
	defer c.mu.Unlock()
	off := theirs.Sub(c.at(after))
	if off.Abs() <= max(c.cfg.Tolerance, trip/2) {
		return nil
	}
	c.local, c.shown = after, theirs
	c.d.Logger.WarnContext(ctx, "the clock follows the database's", slog.Duration("by", off))
	return nil
}

// Run asks every so often until ctx is done. While the database does not answer the clock counts on.
func (c *Clock) Run(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		ask, cancel := context.WithTimeout(ctx, c.cfg.Every)
		_ = c.Sync(ask) // the leases tell that the database is away
		cancel()
	}
}
