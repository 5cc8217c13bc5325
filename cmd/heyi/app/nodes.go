package app

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"heyi/media/nodes"
	"heyi/mediation/session"
)

// directory makes the list of media nodes. Its own row is written before any room is placed.
func (n *node) directory(ctx context.Context) error {
	c := n.cfg.Node
	self := nodes.Node{Name: c.Name, Region: c.Region, Version: Version, MaxRooms: n.cfg.Media.MaxRooms, Health: c.Health}
	self.URL, _ = nodes.Origin(c.URL) // judged by Validate
	self.Page, _ = nodes.Origin(n.public)
	if self.Health == "" && self.URL != "" {
		self.Health = self.URL + "/healthz"
	}
	n.nodes = nodes.NewDirectory(nodes.Deps{
		Store: n.store, Leases: n.leases, Self: self, Loads: n.loads, Alive: newHealth().alive, Dead: n.takeOver,
		TTL: n.cfg.Media.LeaseTTL, Now: n.now, Logger: n.logger,
	})
	return n.nodes.Start(ctx) //nolint:wrapcheck // names itself
}

// takeOver hears of a dead node.
func (n *node) takeOver(ctx context.Context, name string) {
	if err := n.rooms.TakeOver(ctx, name); err != nil && ctx.Err() == nil {
		n.logger.WarnContext(ctx, "rooms of a dead node wait", slog.String("node", name), slog.Any("error", err))
	}
}

// holdsRooms reports whether the lease under which rooms stand here holds now.
func (n *node) holdsRooms() bool {
	_, ok := n.leases.Held(context.Background(), nodes.Lease(n.cfg.Node.Name))
	return ok
}

// loads reads what nodes report about themselves.
func (n *node) loads(ctx context.Context) (map[string]nodes.Load, error) {
	list, err := n.coord.List(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // a fault keeps its code
	}
	out := make(map[string]nodes.Load, len(list))
	for _, x := range list {
		out[x.Name] = nodes.Load{Rooms: x.Rooms, Links: x.Links}
	}
	return out, nil
}

// sockets are the websocket origins that pages may speak to beside their own.
func (n *node) sockets() []string {
	if n.nodes == nil { // the case store alone
		return nil
	}
	return n.nodes.Sockets()
}

// pageOf reports whether pages of an origin may open media lines here: those of every node may.
func (n *node) pageOf(origin string) bool {
	return slices.Contains(n.nodes.Pages(), strings.ToLower(origin))
}

// health asks whether a node answers. Any answer is a sign of life.
type health struct{ client *http.Client }

func newHealth() health {
	return health{&http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,                                  // a line that stands already says nothing about the process behind it
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // nothing is sent and nothing in the answer is believed
		},
	}}
}

func (h health) alive(ctx context.Context, address string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return false
	}
	res, err := h.client.Do(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 4<<10))
	_ = res.Body.Close()
	return err == nil
}

// moveAway waits for the end of the process; then rooms go to other nodes, before the door closes. Without another
// node they stay, and the restarted process takes them up again.
func (n *node) moveAway(ctx context.Context) error {
	<-ctx.Done()
	end := ctx.Err()
	c := n.cfg.Media
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.DrainDeadline+c.DrainOverlap+time.Second)
	defer cancel()
	n.retire()
	if _, ok := n.leases.Held(ctx, n.leases.own()); !ok { // another process may have the name, and its rooms
		return end
	}
	soon, cancel := context.WithTimeout(ctx, 5*time.Second) // without the database nothing can move
	defer cancel()
	if err := n.nodes.Drain(soon); err != nil {
		n.logger.WarnContext(ctx, "this node is not marked as draining", slog.Any("error", err))
		return end
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n.nodes.Others() == 0 {
		if !n.nodes.Expected() || soon.Err() != nil {
			return end
		}
		<-tick.C
	}
	rule := session.DrainRule{Deadline: c.DrainDeadline, Overlap: c.DrainOverlap, Settle: c.DrainSettle}
	if err := n.rooms.Drain(ctx, rule); err != nil {
		n.logger.WarnContext(ctx, "rooms stay on a node that stops", slog.Any("error", err))
	}
	return end
}

// What a node takes of reconnecting links, and the bounds of the window in which they are asked to spread (fleet.md §4).
const (
	connectsPerNode = 800 // a second: the admission limit less its reserve
	windowLeast     = 5 * time.Second
	windowMost      = 150 * time.Second
	windowAlone     = 3 * time.Second // nobody takes them: they wait for this node to come back
)

// drainWindow is how long links may take to leave for the other nodes.
func (n *node) drainWindow(links int) time.Duration {
	others := 0
	if n.nodes != nil {
		others = n.nodes.Others()
	}
	if others == 0 {
		return windowAlone
	}
	spread := time.Duration(2*links) * time.Second / time.Duration(others*connectsPerNode)
	return min(max(spread, windowLeast), windowMost)
}
