package app

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"heyi/media/nodes"
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
		Store: n.store, Leases: n.leases, Self: self, Loads: n.loads, Alive: newHealth().alive,
		TTL: n.cfg.Media.LeaseTTL, Now: time.Now, Logger: n.logger,
	})
	return n.nodes.Start(ctx) //nolint:wrapcheck // names itself
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
