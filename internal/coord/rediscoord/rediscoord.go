// Package rediscoord is the coordination engine of several nodes: what memcoord does inside one process, and a line
// between the processes through Redis 5 or newer.
//
// Nudges travel over ONE channel that every node subscribes to. A nudge names an address, not a node: routing it would
// need a list of who holds which link, which is one more thing that can be wrong after a wipe, while hearing a nudge for
// somebody else costs a node one look into a table. A publication reaches the subscribers of this process at once and
// is put into a queue that one sender empties in batches, so that nobody waits for Redis. Every batch carries its
// sender's number, and each beat a node sends one even when it has nothing to say: a jump in the numbers, a new
// subscription and an overflow of the queue all end as a nudge to coord.ToGap, so a hint may be lost but never
// unnoticed for longer than a beat.
//
// The limiter and the load list are small scripts on keys of their own, with instants of the caller's clock. All keys
// stand under one prefix; the two of the load list share a hash tag, so a Redis Cluster takes them too. Nothing here
// outlives what it is good for: every key expires.
//
// Every call has one deadline (300 ms) and a breaker: after three failures in a row calls are refused for a second,
// then one may try. While the breaker is open, or this node does not hear its own beats, the node is degraded.
//
// Concurrency: Coord is safe for concurrent use. Run owns the sender and the receiver and waits for both. Nudges that
// are published while Run does not run reach this process only.
//
// Errors: fault.Unavailable "coord.unavailable".
package rediscoord

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"heyi/internal/coord"
	"heyi/internal/coord/memcoord"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

var (
	_ coord.Nudges  = (*Coord)(nil)
	_ coord.Nodes   = (*Coord)(nil)
	_ coord.Limiter = (*Coord)(nil)
	_ coord.Health  = (*Coord)(nil)
)

//go:embed allow.lua
var allowLua string

//go:embed report.lua
var reportLua string

//go:embed list.lua
var listLua string

// Config says where Redis is and how long it is waited for. Zero values take the defaults.
type Config struct {
	URL        string        // redis[s]://[user:password@]host:port[/db]; further nodes of a cluster as ?addr=host:port
	Prefix     string        // of every key and channel; "heyi"
	Timeout    time.Duration // of one call; 300 ms
	Beat       time.Duration // how often a node says something in any case; three beats of silence are an interruption; 1 s
	BreakAfter int           // failures in a row that open the breaker; 3
	BreakFor   time.Duration // how long it stays open; 1 s
	PoolSize   int           // connections of one node; 16
}

func (c Config) withDefaults() Config {
	c.Prefix = cmp.Or(c.Prefix, "heyi")
	c.Timeout = cmp.Or(c.Timeout, 300*time.Millisecond)
	c.Beat = cmp.Or(c.Beat, time.Second)
	c.BreakAfter = cmp.Or(c.BreakAfter, 3)
	c.BreakFor = cmp.Or(c.BreakFor, time.Second)
	c.PoolSize = cmp.Or(c.PoolSize, 16)
	return c
}

// Deps are what a Coord works with. Now and Logger must be set.
type Deps struct {
	Now     func() time.Time      // clock of the limiter's windows and of reports
	Metrics prometheus.Registerer // nil leaves the figures unregistered
	Logger  *slog.Logger
}

// Coord implements coord.Nudges, coord.Nodes, coord.Limiter and coord.Health.
type Coord struct {
	cfg     Config
	d       Deps
	client  redis.UniversalClient
	local   *memcoord.Coord // the subscribers of this process
	m       *metrics
	breaker *breaker
	self    string       // this process, in messages and names of events
	events  atomic.Int64 // numbers the limiter's events
	hears   atomic.Bool  // the present subscription has brought back a beat of ours

	allow, report, list *redis.Script

	mu    sync.Mutex
	queue []coord.Nudge
	lost  bool // something was dropped since the last batch
	wake  chan struct{}
}

// New returns a Coord; it waits for no Redis. Run carries nudges, Close ends the connections.
//
// Errors: what is wrong with the address or the prefix, in words for an operator.
func New(cfg Config, d Deps) (*Coord, error) {
	cfg = cfg.withDefaults()
	if strings.ContainsAny(cfg.Prefix, "{} \t\n") {
		return nil, fmt.Errorf("coord.prefix %q: want a word without spaces and braces", cfg.Prefix)
	}
	client, err := dial(cfg)
	if err != nil {
		return nil, err
	}
	c := &Coord{
		cfg: cfg, d: d, client: client, local: memcoord.New(d.Now), self: ident.New[string](), wake: make(chan struct{}, 1),
		breaker: &breaker{after: cfg.BreakAfter, wait: cfg.BreakFor, now: time.Now},
		allow:   redis.NewScript(allowLua), report: redis.NewScript(reportLua), list: redis.NewScript(listLua),
	}
	c.m = newMetrics(d.Metrics, c)
	return c, nil
}

// dial makes the client: one server, or a cluster when the address names several. Nothing is tried twice: the deadline
// of a call is short, and its caller has a way to go on without Redis.
func dial(cfg Config) (redis.UniversalClient, error) {
	logging.Disable() // the library writes plain lines to stderr; what we know of an outage is logged once, with its reason
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if strings.Contains(cfg.URL, "addr=") {
		o, err := redis.ParseClusterURL(cfg.URL)
		if err != nil {
			return nil, fmt.Errorf("coord.url: %w", err)
		}
		o.MaxRetries, o.MaxRedirects, o.DialerRetries = -1, 3, 1
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = cfg.Timeout, cfg.Timeout, cfg.Timeout, cfg.Timeout
		o.ContextTimeoutEnabled, o.DisableIdentity, o.PoolSize, o.MaintNotificationsConfig = true, true, cfg.PoolSize, quiet
		return redis.NewClusterClient(o), nil
	}
	o, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("coord.url: %w", err)
	}
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = cfg.Timeout, cfg.Timeout, cfg.Timeout, cfg.Timeout
	o.ContextTimeoutEnabled, o.DisableIdentity, o.PoolSize, o.MaintNotificationsConfig = true, true, cfg.PoolSize, quiet
	return redis.NewClient(o), nil
}

// Close ends the connections; call it after Run has returned.
func (c *Coord) Close() error { return c.client.Close() }

// Run carries nudges until ctx ends.
func (c *Coord) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.receive(ctx) })
	wg.Go(func() { c.send(ctx) })
	wg.Wait()
	return ctx.Err()
}

// call makes one call to Redis, within its deadline, unless the breaker is open.
func (c *Coord) call(ctx context.Context, op string, f func(context.Context) error) error {
	if !c.breaker.enter() {
		c.m.calls.WithLabelValues(op, "refused").Inc()
		return c.unavailable(nil)
	}
	start := time.Now()
	inner, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	err := f(inner)
	cancel()
	switch {
	case err == nil:
		c.breaker.settle(good)
		c.m.calls.WithLabelValues(op, "ok").Inc()
		c.m.seconds.WithLabelValues(op).Observe(time.Since(start).Seconds())
		return nil
	case ctx.Err() != nil:
		c.breaker.settle(unknown)
	default:
		c.breaker.settle(bad)
	}
	c.m.calls.WithLabelValues(op, "failed").Inc()
	return c.unavailable(err)
}

func (c *Coord) unavailable(err error) error {
	e := fault.New(fault.Unavailable, "coord.unavailable").After(c.cfg.BreakFor)
	e.Err = err
	return e
}

// Degraded implements coord.Health.
func (c *Coord) Degraded() bool { return !c.hears.Load() || c.breaker.state() != closed }

// State implements coord.Health.
func (c *Coord) State() (state, reason string) {
	switch {
	case c.breaker.state() != closed:
		return "degraded", "redis does not answer"
	case !c.hears.Load():
		return "degraded", "no subscription"
	}
	return "ok", ""
}

// Allow implements coord.Limiter.
func (c *Coord) Allow(ctx context.Context, key string, most int, window time.Duration) (ok bool, retry time.Duration, err error) {
	if most <= 0 {
		return false, window, nil
	}
	var got []int64
	err = c.call(ctx, "allow", func(ctx context.Context) error {
		name := c.self + "." + strconv.FormatInt(c.events.Add(1), 36)
		var err error
		got, err = c.allow.Run(ctx, c.client, []string{c.limitKey(key)}, c.d.Now().UnixMicro(), window.Microseconds(), most, name).Int64Slice()
		if err == nil && len(got) != 2 {
			err = errors.New("rediscoord: the script answers something else")
		}
		return err
	})
	if err != nil {
		return false, 0, err
	}
	return got[0] == 1, time.Duration(got[1]) * time.Microsecond, nil
}

// Reset implements coord.Limiter.
func (c *Coord) Reset(ctx context.Context, key string) error {
	return c.call(ctx, "reset", func(ctx context.Context) error { return c.client.Del(ctx, c.limitKey(key)).Err() })
}

// limitKey hashes what is counted: strangers choose its length, and addresses of people need not stand in Redis.
func (c *Coord) limitKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return c.cfg.Prefix + ":limit:" + hex.EncodeToString(sum[:16])
}

// nodeKeys are the two keys of the load list; the hash tag keeps them on one node of a Redis Cluster.
func (c *Coord) nodeKeys() []string {
	return []string{c.cfg.Prefix + ":{nodes}:at", c.cfg.Prefix + ":{nodes}:load"}
}

// Report implements coord.Nodes.
func (c *Coord) Report(ctx context.Context, n coord.Node) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return c.call(ctx, "report", func(ctx context.Context) error {
		return c.report.Run(ctx, c.client, c.nodeKeys(), c.d.Now().UnixMicro(), coord.NodeTTL.Microseconds(), n.Name, string(b)).Err()
	})
}

// List implements coord.Nodes.
func (c *Coord) List(ctx context.Context) ([]coord.Node, error) {
	var rows []string
	err := c.call(ctx, "list", func(ctx context.Context) error {
		var err error
		rows, err = c.list.Run(ctx, c.client, c.nodeKeys(), c.d.Now().UnixMicro(), coord.NodeTTL.Microseconds()).StringSlice()
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]coord.Node, 0, len(rows))
	for _, row := range rows {
		var n coord.Node
		if err := json.Unmarshal([]byte(row), &n); err == nil { // what another build wrote and we cannot read is no node of ours
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(a, b coord.Node) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}
