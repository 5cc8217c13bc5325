// Package coord holds the interfaces by which the nodes of one installation speak to each other: Nudges, Nodes,
// Limiter and Health. memcoord is the engine of one node, rediscoord that of several; coordtest is the suite that both
// pass.
//
// Nothing here is truth: a lost nudge, an empty node list or a wiped limiter loses no fact, because every receiver
// re-reads SQL: at once when it hears that nudges were lost (ToGap), by sweeps of 5 s or less in any case.
package coord

import (
	"context"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/fault"
)

// Nudge is a hint that something changed; the receiver fetches the fact.
type Nudge struct {
	To  string    // address: "device/<id>", "staff/<id>", "capture/<grant>", "media/<node>", "matcher", "console"
	T   wire.Type // frame type for a link, zero for the inner addresses
	ID  string    // what changed
	Ver int64     // its version, so that an older nudge can be ignored
	Why string
}

// Addresses of nudges that no link holds.
const (
	ToMatcher = "matcher" // the queue changed
	ToConsole = "console" // something that live views show changed; ID is its topic: devices, queue, sessions
	// ToGap tells a subscriber that nudges were lost before this one: its queue overflowed, or the line to the other
	// nodes was interrupted. It says to everybody "look again"; who subscribes to an address takes it as a nudge to that.
	ToGap = "gap"
)

// Nudges carries hints between nodes, at most once.
type Nudges interface {
	// Publish hands a nudge to every subscriber of every node. It never blocks, neither on a slow subscriber nor on a
	// line that is down, and returns no error: losing a nudge is allowed. Subscribers of this node hear it whatever
	// happens to the others.
	Publish(ctx context.Context, n Nudge)
	// Subscribe calls f, one nudge at a time, until the returned stop is called. f must return quickly. A subscriber
	// that may have lost nudges hears one to ToGap.
	Subscribe(f func(Nudge)) (stop func())
}

// Node is one live process of the installation.
type Node struct {
	Name  string
	Links int
	Rooms int
}

// NodeTTL is how long a report counts; a node reports every ReportEvery.
const (
	NodeTTL     = 10 * time.Second
	ReportEvery = 3 * time.Second
)

// Nodes is the load list of live processes. It says where there is room; whether a node lives is for its lease to say.
//
// Errors: fault.Unavailable "coord.unavailable".
type Nodes interface {
	// Report replaces the node's former report.
	Report(ctx context.Context, n Node) error
	// List returns the nodes that reported within NodeTTL, sorted by name.
	List(ctx context.Context) ([]Node, error)
}

// Health says whether hints travel between the nodes.
type Health interface {
	// Degraded reports that nudges of other nodes may not arrive now: pages then ask by themselves.
	Degraded() bool
	// State is "ok" or "degraded", with what is known about the reason.
	State() (state, reason string)
}

// Limiter counts events per key in a sliding window.
//
// Errors: fault.Unavailable "coord.unavailable" when a shared engine cannot be reached. Callers that guard what can be
// guessed (passwords, short codes) fail closed; who only limits load is given an Alone.
type Limiter interface {
	// Allow takes one event of key and reports whether no more than most happened in the last window; when not, it also
	// returns after how long one more is allowed.
	Allow(ctx context.Context, key string, most int, window time.Duration) (ok bool, retry time.Duration, err error)
	// Reset forgets a key (a right password clears its failures).
	Reset(ctx context.Context, key string) error
}

// Alone is a Limiter for callers that only limit load: while the shared counters cannot be reached, this node counts by
// itself, so that an installation of n nodes lets n times as much through.
type Alone struct {
	Shared Limiter
	Own    Limiter // of this process; never unavailable
}

var _ Limiter = Alone{}

// Allow implements Limiter.
func (a Alone) Allow(ctx context.Context, key string, most int, window time.Duration) (ok bool, retry time.Duration, err error) {
	ok, retry, err = a.Shared.Allow(ctx, key, most, window)
	if fault.KindOf(err) == fault.Unavailable {
		return a.Own.Allow(ctx, key, most, window)
	}
	return ok, retry, err
}

// Reset implements Limiter.
func (a Alone) Reset(ctx context.Context, key string) error {
	if err := a.Shared.Reset(ctx, key); err != nil && fault.KindOf(err) != fault.Unavailable {
		return err
	}
	return a.Own.Reset(ctx, key)
}
