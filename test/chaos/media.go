package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"heyi/cmd/fleetsim/sim"
)

// Patience of a participant with his media line.
const (
	dialLine    = 6 * time.Second
	silentFor   = 2500 * time.Millisecond // packets came and stopped: the node may be stopped
	firstWithin = 8 * time.Second         // no packet at all on a new line
)

// studio is what all calls of a run share: prepared media and what was measured.
type studio struct {
	frames [][]byte
	nodes  []*server

	mu    sync.Mutex
	joins int
	back  []gap // after the death of a node
	gaps  []gap // after anything else
}

// gap is a time without media in a call that had media before.
type gap struct {
	session, node string
	from, to      time.Time
}

// attend keeps one participant in the room of a session until ctx ends or the session takes nobody any more. It owns
// what it starts.
func (st *studio) attend(ctx context.Context, a *asker, sign func(http.Header) bool, session string) {
	api, err := sim.NewPeerAPI()
	if err != nil {
		return
	}
	var (
		was      time.Time
		lastNode string
	)
	for ctx.Err() == nil {
		var (
			ready sim.RoomReady
			host  string
		)
		err := a.ask(ctx, request{method: http.MethodPost, path: "/api/v1/sessions/" + session + "/media-tickets", body: map[string]string{"attach": "full"}, sign: sign, at: &host}, &ready)
		if codeOf(err) == "session.none" || err != nil && codeOf(err) == "" {
			return
		}
		if err != nil { // not in this state
			wait(ctx, 500*time.Millisecond)
			continue
		}
		dial, cancel := context.WithTimeout(ctx, dialLine)
		line, err := (&sim.Client{Base: host, HTTP: a.http}).Line(dial, ready)
		cancel()
		if err != nil {
			a.note("no_media_line")
			wait(ctx, 300*time.Millisecond)
			continue
		}
		p := &sim.Peer{WS: line.WS, API: api, Src: sim.Prepared(st.frames)}
		last, first := st.watch(ctx, p, line)
		if !first.IsZero() {
			st.note(gap{session: session, node: lastNode, from: was, to: first})
		}
		if !last.IsZero() {
			was, lastNode = last, line.Node
		}
	}
}

// watch runs one media line until it ends or falls silent; it returns when the first and the last packet came.
func (st *studio) watch(ctx context.Context, p *sim.Peer, line *sim.Link) (last, first time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, line.Close)
	defer stop()
	if err := p.Start(ctx, "full"); err != nil {
		return last, first
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.Run() // how it ended shows in what follows
	}()
	defer func() {
		cancel()
		<-ended
	}()
	opened := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var seen int64
	for {
		select {
		case <-ended:
			return last, first
		case now := <-tick.C:
			if n := p.Packets.Load(); n > seen {
				if seen, last = n, now; first.IsZero() {
					first = now
				}
				continue
			}
			if !last.IsZero() && now.Sub(last) > silentFor || last.IsZero() && now.Sub(opened) > firstWithin {
				return last, first
			}
		}
	}
}

// note keeps a gap and finds out whether a node's death was its cause.
func (st *studio) note(g gap) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.joins++
	if g.from.IsZero() {
		return
	}
	for _, s := range st.nodes {
		if s.name != g.node {
			continue
		}
		for _, d := range s.deaths() { // the tick of watch and a packet in flight
			if d.After(g.from.Add(-300*time.Millisecond)) && d.Before(g.from.Add(time.Second)) {
				g.from = d
				st.back = append(st.back, g)
				return
			}
		}
	}
	st.gaps = append(st.gaps, g)
}

// newKey is an idempotency key.
func newKey() string { return uuid.Must(uuid.NewV7()).String() }
