// Package coord holds the interfaces by which the nodes of one installation speak to each other: Nudges, Nodes and
// Limiter (Presence comes with the second node). memcoord is the engine for one node; coordtest is the suite that
// every engine passes.
//
// Nothing here is truth: a lost nudge, an empty node list or a wiped limiter loses no fact, because every receiver
// re-reads SQL (sweeps of 5 s or less).
package coord

import (
	"context"
	"time"

	"heyi/gateway/wire"
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
)

// Nudges carries hints between nodes, at most once.
type Nudges interface {
	// Publish hands a nudge to every subscriber of every node. It never blocks on a slow subscriber and returns
	// no error: losing a nudge is allowed.
	Publish(ctx context.Context, n Nudge)
	// Subscribe calls f, one nudge at a time, until the returned stop is called. f must return quickly.
	Subscribe(f func(Nudge)) (stop func())
}

// Node is one live process of the installation.
type Node struct {
	Name  string
	Links int
	Rooms int
}

// Nodes is the load list of live processes.
type Nodes interface {
	Report(ctx context.Context, n Node) error
	List(ctx context.Context) ([]Node, error)
}

// Limiter counts events per key in a sliding window.
//
// Errors: fault.Unavailable "coord.unavailable" when a shared engine cannot be reached; callers that guard a secret
// fail closed, others go on.
type Limiter interface {
	// Allow takes one event of key and reports whether no more than most happened in the last window; when not, it also
	// returns after how long one more is allowed.
	Allow(ctx context.Context, key string, most int, window time.Duration) (ok bool, retry time.Duration, err error)
	// Reset forgets a key (a right password clears its failures).
	Reset(ctx context.Context, key string) error
}
