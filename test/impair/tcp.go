// Package impair forwards TCP on loopback and spoils it as lines do: it stalls, delays, resets, refuses, and leaves
// connections half open, whose ends learn nothing from each other any more. What happens to whom is up to the caller's
// seeded choices; the forwarder itself does nothing at random.
//
// Concurrency: a TCP is safe for concurrent use. Close waits for every goroutine.
package impair

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Line is the state of a line. The zero Line passes everything at once.
type Line struct {
	Stall  bool          // nothing passes either way, in open and new connections; what was sent waits
	Refuse bool          // new connections are reset; open ones are not touched
	Delay  time.Duration // each piece is this late, each way
}

// TCP forwards connections to one address.
type TCP struct {
	target string
	ln     net.Listener

	mu      sync.Mutex
	line    Line
	changed chan struct{} // closed at the next change of line
	pairs   map[*pair]struct{}
	closed  bool

	wg sync.WaitGroup
}

// pair is one connection through the forwarder.
type pair struct {
	client net.Conn
	server net.Conn // nil until the target answered
	dead   atomic.Bool
}

// dialWithin is how long the target may take to answer.
const dialWithin = 10 * time.Second

// ListenTCP forwards from a free loopback port to target until Close.
func ListenTCP(ctx context.Context, target string) (*TCP, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("impair: %w", err)
	}
	p := &TCP{target: target, ln: ln, changed: make(chan struct{}), pairs: map[*pair]struct{}{}}
	p.wg.Go(func() { p.accept(context.WithoutCancel(ctx)) })
	return p, nil
}

// Addr is where the forwarder listens, host:port.
func (p *TCP) Addr() string { return p.ln.Addr().String() }

// Set changes the line, for open connections too.
func (p *TCP) Set(l Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = l
	close(p.changed)
	p.changed = make(chan struct{})
}

// Open lists the client addresses of the open connections.
func (p *TCP) Open() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]string, 0, len(p.pairs))
	for c := range p.pairs {
		if c.server != nil && !c.dead.Load() {
			list = append(list, c.client.RemoteAddr().String())
		}
	}
	return list
}

// Reset ends the connections of the given clients with RST at both ends and returns how many there were.
func (p *TCP) Reset(clients ...string) int {
	return p.each(clients, func(c *pair) {
		reset(c.client)
		reset(c.server)
	})
}

// HalfOpen cuts the connections of the given clients without telling anybody: both ends stay open, what is sent is
// lost, and when one end closes the other never hears of it. It returns how many there were.
func (p *TCP) HalfOpen(clients ...string) int {
	return p.each(clients, func(c *pair) { c.dead.Store(true) })
}

func (p *TCP) each(clients []string, f func(*pair)) int {
	want := make(map[string]bool, len(clients))
	for _, c := range clients {
		want[c] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for c := range p.pairs {
		if want[c.client.RemoteAddr().String()] && c.server != nil && !c.dead.Load() {
			f(c)
			n++
		}
	}
	return n
}

// Close ends the forwarder and every connection.
func (p *TCP) Close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.pairs {
		_ = c.client.Close()
		if c.server != nil {
			_ = c.server.Close()
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	_ = p.ln.Close()
	p.wg.Wait()
}

func (p *TCP) accept(ctx context.Context) {
	for {
		conn, err := p.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // out of descriptors for a moment
		}
		c := &pair{client: conn}
		p.mu.Lock()
		if p.closed || p.line.Refuse {
			p.mu.Unlock()
			reset(conn)
			continue
		}
		p.pairs[c] = struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.serve(ctx, c) })
	}
}

// serve runs one connection until both ends are closed.
func (p *TCP) serve(ctx context.Context, c *pair) {
	defer func() {
		p.mu.Lock()
		delete(p.pairs, c)
		p.mu.Unlock()
		_ = c.client.Close()
	}()
	if !p.pass() { // a cut cable: the target hears of the connection when the line is back
		return
	}
	server, err := (&net.Dialer{Timeout: dialWithin}).DialContext(ctx, "tcp", p.target)
	if err != nil {
		reset(c.client)
		return
	}
	defer func() { _ = server.Close() }()
	p.mu.Lock()
	c.server = server
	over := p.closed
	p.mu.Unlock()
	if over {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.pump(c, server, c.client) })
	wg.Go(func() { p.pump(c, c.client, server) })
	wg.Wait()
}

// pump carries one direction. The end of the source is told to the destination unless the connection is half open.
func (p *TCP) pump(c *pair, to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !c.dead.Load() {
			if !p.pass() {
				break
			}
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = errors.Join(err, werr)
			}
		}
		if err == nil {
			continue
		}
		if c.dead.Load() {
			_ = from.Close()
			return
		}
		if !p.pass() {
			break
		}
		if tcp, ok := errors.AsType[*net.OpError](err); ok && tcp != nil {
			reset(to) // it broke, it did not end
			reset(from)
			return
		}
		if half, ok := to.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		return
	}
	_ = from.Close()
	_ = to.Close()
}

// pass waits until the line passes; false when the forwarder ends.
func (p *TCP) pass() bool {
	for {
		p.mu.Lock()
		l, changed, over := p.line, p.changed, p.closed
		p.mu.Unlock()
		switch {
		case over:
			return false
		case l.Stall:
			<-changed
			continue
		case l.Delay > 0:
			t := time.NewTimer(l.Delay)
			select {
			case <-t.C:
				return true
			case <-changed:
				t.Stop()
				continue
			}
		}
		return true
	}
}

// reset ends a connection with RST.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
