// Package nodes is the directory of media nodes: who they are, where clients reach them, to which of them a new room
// goes, and which one has died.
//
// A Node is a row; it lives while its lease does. Choose is the pure rule of placement. Directory keeps this process's
// own row and a copy of everybody's, half a second old at most, and reports the dead: a node counts as dead only when
// its lease has ended, its health address does not answer, and this process itself could write all the time, so that a
// pause of the database does not look like the death of everybody.
//
// Concurrency: Choose is pure; Directory is safe for concurrent use, one Run a process.
//
// Errors: fault.Unavailable "media.no_node" when no node takes rooms; everything else is the store's.
package nodes

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"heyi/internal/fault"
)

// Node is one media node of the installation.
type Node struct {
	Name     string
	Inc      int64  // its incarnation: the epoch of its lease
	URL      string // origin by which clients reach it, "https://g1.example:8480"; empty: under the page's own address only
	Page     string // origin of the pages it hands out, when that is another one; may be empty
	Health   string // address that answers while it lives; empty: none
	Region   string
	Version  string
	MaxRooms int
	Draining bool

	LeaseTill int64 // Unix microseconds; 0 when it gave its lease back or another incarnation holds it
	Rooms     int   // open rooms that are placed on it
}

// Lease is the name of a node's lease.
func Lease(name string) string { return "media/" + name }

// Live reports whether the lease of the node's incarnation holds.
func (n *Node) Live(now int64) bool { return n.LeaseTill >= now }

// Socket is the origin of the node's websockets, empty when it is reached under the page's own address.
func (n *Node) Socket() string { return socket(n.URL) }

func socket(origin string) string {
	if origin == "" {
		return ""
	}
	return "ws" + strings.TrimPrefix(origin, "http")
}

// Origin reads the address of a node or page: scheme and host alone, http or https. ok is false for anything else.
func Origin(s string) (origin string, ok bool) {
	u, err := url.Parse(strings.TrimSuffix(s, "/"))
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", false
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), true
}

// Load is what a node reported about itself besides.
type Load struct{ Rooms, Links int }

// Choice is what Choose decides by.
type Choice struct {
	Self   string // this node: where rooms stand while there is no directory
	Region string // preferred; empty: all the same
	Now    int64  // Unix microseconds
	Loads  map[string]Load
	IntN   func(n int) int // a random number below n
}

// Choose returns the node for a new room: of two random candidates the one that is less full. Candidates live, do not
// drain, have room, and can be reached by everybody; those of the wanted region come before all others. A node without
// an address of its own is chosen by itself alone, and only when no node has one: an installation of one node.
//
// Errors: fault.Unavailable "media.no_node".
func Choose(list []Node, c Choice) (string, error) {
	if len(list) == 0 {
		return c.Self, nil
	}
	var open []Node
	for _, n := range list {
		live := n.Live(c.Now) || n.Name == c.Self // it is the one that asks, its renewal may be late
		if n.URL != "" && live && !n.Draining && (c.Region == "" || n.Region == c.Region) {
			open = append(open, n)
		}
	}
	if len(open) == 0 && c.Region != "" {
		c.Region = ""
		return Choose(list, c)
	}
	if len(open) == 0 {
		for _, n := range list {
			if n.Name == c.Self && n.URL == "" && !n.Draining {
				open = append(open, n)
			}
		}
	}
	open = slices.DeleteFunc(open, func(n Node) bool { return n.Rooms >= n.MaxRooms })
	switch len(open) {
	case 0:
		if c.Region != "" {
			c.Region = ""
			return Choose(list, c)
		}
		return "", fault.New(fault.Unavailable, "media.no_node").After(2 * time.Second)
	case 1:
		return open[0].Name, nil
	}
	i := c.IntN(len(open))
	j := c.IntN(len(open) - 1)
	if j >= i {
		j++
	}
	a, b := &open[i], &open[j]
	if c.fuller(a, b) {
		return b.Name, nil
	}
	return a.Name, nil
}

// fuller reports whether a is fuller than b. Rooms in SQL are exact at this instant; what nodes report is some seconds
// old, so it only ever adds to them.
func (c *Choice) fuller(a, b *Node) bool {
	rooms := func(n *Node) float64 { return float64(max(n.Rooms, c.Loads[n.Name].Rooms)) / float64(n.MaxRooms) }
	if d := cmp.Compare(rooms(a), rooms(b)); d != 0 {
		return d > 0
	}
	return c.Loads[a.Name].Links > c.Loads[b.Name].Links
}
