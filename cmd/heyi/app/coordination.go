package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heyi/configs"
	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/link"
	"heyi/internal/coord"
	"heyi/internal/coord/memcoord"
	"heyi/internal/coord/rediscoord"
	"heyi/internal/ident"
)

// engine is how this process speaks to the other nodes: memcoord or rediscoord.
type engine interface {
	coord.Nudges
	coord.Nodes
	coord.Limiter
	coord.Health
}

// coordination makes the engine that the configuration names. loose limits load, on this node alone while the shared
// counters are away; the engine's own limiter then refuses. carry is nil when there is nothing to run.
func coordination(cfg configs.Coord, metrics prometheus.Registerer, logger *slog.Logger) (e engine, loose coord.Limiter, carry func(context.Context) error, end func() error, err error) {
	own := memcoord.New(time.Now)
	if cfg.Driver == configs.CoordMemory {
		return own, own, nil, func() error { return nil }, nil
	}
	c, err := rediscoord.New(rediscoord.Config{
		URL: cfg.URL, Prefix: cfg.Prefix, Timeout: cfg.Timeout, Beat: cfg.Beat, BreakAfter: cfg.BreakAfter, BreakFor: cfg.BreakFor,
	}, rediscoord.Deps{Now: time.Now, Metrics: metrics, Logger: logger})
	if err != nil {
		return nil, nil, nil, nil, err //nolint:wrapcheck // names the setting
	}
	return c, coord.Alone{Shared: c, Own: own}, c.Run, c.Close, nil
}

// degraded reports that this node may not hear the others: Redis is away, or there are others and no Redis.
func (n *node) degraded() bool { return n.deaf.Load() || n.coord.Degraded() }

// coordState is what /healthz says.
func (n *node) coordState() (state, reason string) {
	if n.deaf.Load() {
		return "degraded", "several nodes, but coord.driver is memory"
	}
	return n.coord.State()
}

// facts are what links read again by themselves.
func (n *node) facts(self devices.NodeID) link.Facts {
	return link.Facts{
		Degraded: n.degraded,
		Kicks: func(ctx context.Context) ([]link.Kick, error) {
			list, err := n.store.TakeKicks(ctx, self.Name)
			out := make([]link.Kick, len(list))
			for i, k := range list {
				out[i] = link.Kick{Device: k.Device, Below: k.Below, Why: devices.KickWhy(k.Life)}
			}
			return out, err //nolint:wrapcheck // a fault keeps its code
		},
		Over:    n.over,
		Waiting: func(ctx context.Context) ([]ident.DeviceID, error) { return n.store.WaitingAt(ctx, self) },
	}
}

// over returns the callers whose sign-in, phone or link is over.
func (n *node) over(ctx context.Context, list []auth.Caller) ([]auth.Caller, error) {
	var (
		logins []ident.LoginID
		grants []ident.GrantID
		links  []ident.LinkID
		out    []auth.Caller
	)
	for _, c := range list {
		switch c.Kind {
		case auth.Staff:
			logins = append(logins, c.LoginID)
		case auth.Capture:
			grants = append(grants, c.GrantID)
		case auth.Party:
			links = append(links, c.Link)
		case auth.Device:
		}
	}
	stand, err := n.store.Standing(ctx, logins, grants, links, n.now().UnixMicro())
	if err != nil {
		return nil, err //nolint:wrapcheck // a fault keeps its code
	}
	for _, c := range list {
		if !stand.Logins[c.LoginID] && !stand.Grants[c.GrantID] && !stand.Links[c.Link] {
			out = append(out, c)
		}
	}
	return out, nil
}

// seatsHere lists the people whose desk has a link on this node.
func (n *node) seatsHere() []ident.StaffID {
	var list []ident.StaffID
	for _, c := range n.hub.People() {
		if c.Kind == auth.Staff && c.Has(auth.RolesOf(auth.TakeTickets)...) {
			list = append(list, c.StaffID)
		}
	}
	return list
}

// audit compares seats with links and looks for neighbours, every coord.sweep.
func (n *node) audit(ctx context.Context) error {
	tick := time.NewTicker(n.cfg.Coord.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		once, cancel := context.WithTimeout(ctx, n.cfg.Coord.Sweep)
		err := n.desk.Audit(once, n.seatsHere)
		if err == nil {
			err = n.neighbours(once)
		}
		cancel()
		if err != nil && ctx.Err() == nil {
			n.logger.WarnContext(ctx, "seats and neighbours not audited", slog.Any("error", err))
		}
	}
}

// neighbours notices other nodes that this one cannot hear, because nothing but the database ties them.
func (n *node) neighbours(ctx context.Context) error {
	if n.cfg.Coord.Driver != configs.CoordMemory {
		return nil
	}
	others, err := n.store.Neighbours(ctx, n.cfg.Node.Name, n.now())
	if err != nil {
		return fmt.Errorf("neighbours: %w", err)
	}
	if deaf := others > 0; n.deaf.Swap(deaf) != deaf && deaf {
		n.logger.WarnContext(ctx, "other nodes live on this database, but coord.driver is memory: what happens there is seen here by sweeps only, "+
			"up to coord.sweep late, and every node counts rate limits by itself; set coord.driver: redis on all of them", slog.Int("others", others))
	}
	return nil
}

// load tells the other nodes how much this one carries.
func (n *node) load(ctx context.Context) error {
	tick := time.NewTicker(coord.ReportEvery)
	defer tick.Stop()
	for {
		// an error means that Redis is away, which is said elsewhere
		_ = n.coord.Report(ctx, coord.Node{Name: n.cfg.Node.Name, Links: n.hub.Links()})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
