package link

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// kind is what a link belongs to.
type kind uint8

const (
	kindDevice kind = iota
	kindSession
	kindRoom
)

func (k kind) String() string { return [...]string{"device", "session", "room"}[k] }

// Causes of an end, as presence keeps them. A device may announce reboot, update or user_off itself.
const (
	causeNetwork = "network"
	causeIdle    = "idle"
	causeSlow    = "slow"
	causeDeploy  = "deploy"
	causeServer  = "server_closed"
)

// linger is how long a closed link waits for the peer's close frame; closing TCP with unread bytes would take our own
// close frame away from the peer.
const linger = time.Second

// conn is one link. Fields without a guard are set before the link is registered and never again.
type conn struct {
	hub   *Hub
	ws    *websocket.Conn
	id    string
	kind  kind
	host  string // server name the client dialled
	from  netip.Addr
	boot  string // boot id of a device
	nonce [32]byte

	caller   auth.Caller
	addr     string
	screen   string
	instance string
	epoch    int64
	room     *roomLine
	up       upLine
	down     downLine

	out      outbox
	heard    atomic.Int64  // Unix ns of the last inbound frame
	told     atomic.Int64  // Unix ns up to which presence knows of it
	writing  atomic.Int64  // Unix ns of the start of the write in flight, 0 when none is
	pingAt   atomic.Int64  // Unix ns of the next server ping
	renewAt  atomic.Int64  // Unix ns at which the access token is renewed, 0: never
	rtt      atomic.Int64  // µs
	synced   atomic.Uint64 // digest of the last sync
	open     atomic.Bool   // the last sync named something
	degraded atomic.Bool   // as the link was told
	bytes    atomic.Int64  // of frames received and sent
	welcomed atomic.Bool
	replaced atomic.Bool  // a newer link took the address
	leaving  atomic.Value // string: cause announced by going_away

	bucket bucket        // of the reading goroutine
	done   chan struct{} // a worker has finished this link's job
	writer sync.WaitGroup
}

func (h *Hub) newConn(ws *websocket.Conn, k kind, host string, from netip.Addr) *conn {
	c := &conn{hub: h, ws: ws, kind: k, host: host, from: from, id: ident.New[string](), done: make(chan struct{}, 1)}
	now := h.d.Now().UnixNano()
	c.heard.Store(now)
	perS, burst := h.cfg.PerS, h.cfg.Burst
	if k == kindRoom {
		perS, burst = h.cfg.RoomPerS, h.cfg.RoomBurst
	}
	c.bucket = bucket{perS: float64(perS), most: float64(burst), level: float64(burst), at: now}
	ws.SetPongHandler(c.pong)
	ws.SetPingHandler(c.ping)
	return c
}

// run is the link's goroutine: handshake, frames, end.
func (c *conn) run(ctx context.Context) {
	defer c.end(ctx)
	ok := c.handshake(ctx)
	c.hub.door.settle(c)
	if !ok {
		c.sink()
		return
	}
	for {
		buf, code, reason := c.next(c.longest())
		if reason != "" {
			c.shut(code, reason)
		}
		if buf == nil {
			c.sink()
			return
		}
		c.inWorker(ctx, func(ctx context.Context) { c.dispatch(ctx, *buf) })
		putBuf(buf)
		c.flush()
	}
}

// longest is the size of the longest frame that this link may send; which type may have it is judged once it is read.
func (c *conn) longest() int {
	if c.kind == kindDevice && c.up.stream != "" {
		return max(c.hub.cfg.MaxFrame, wire.MaxInventory)
	}
	return c.hub.cfg.MaxFrame
}

// next reads one message. A nil buffer ends the link: with a reason when the peer broke a rule, without one when the
// socket ended.
func (c *conn) next(limit int) (buf *[]byte, code int, reason string) {
	typ, r, err := c.ws.NextReader()
	if err != nil {
		var slow net.Error
		if errors.As(err, &slow) && slow.Timeout() && !c.welcomed.Load() {
			return nil, wire.CloseAuthTimeout, "auth.timeout"
		}
		return nil, 0, ""
	}
	now := c.hub.d.Now().UnixNano()
	c.heard.Store(now)
	switch {
	case c.out.closed():
		return nil, 0, ""
	case !c.bucket.take(now):
		return nil, wire.CloseRateLimited, "frame.rate"
	case typ != websocket.TextMessage:
		return nil, wire.CloseProtocol, "frame.binary"
	}
	buf = getBuf()
	switch n, err := readAll(r, buf, limit); {
	case err != nil:
		putBuf(buf)
		return nil, 0, ""
	case n > limit:
		putBuf(buf)
		return nil, wire.CloseProtocol, "frame.too_large"
	default:
		c.bytes.Add(int64(n))
	}
	return buf, 0, ""
}

// inWorker runs f where the stack is deep already and waits for it.
func (c *conn) inWorker(ctx context.Context, f func(context.Context)) {
	pool := c.hub.work
	if c.kind == kindRoom {
		pool = c.hub.roomWork
	}
	if pool.do(ctx, job{run: f, done: c.done}) {
		<-c.done
	}
}

// sink writes what waits, the close frame last, and reads on until the peer has answered it or linger is over.
func (c *conn) sink() {
	c.flush()
	if !c.out.closed() {
		return // the peer ended it
	}
	c.writer.Wait() // a closed outbox starts no other; the sweeper ends one that is stuck
	for {
		if _, _, err := c.ws.NextReader(); err != nil {
			return
		}
	}
}

// end takes the link down, in an order that lets nothing start after it: outbox, table, socket, writer.
func (c *conn) end(ctx context.Context) {
	code := c.out.stop()
	_ = c.ws.Close() // its errors say only that it is closed already
	c.writer.Wait()
	h := c.hub
	h.views.drop(c)
	if c.room != nil {
		c.inWorker(ctx, func(ctx context.Context) { c.room.end(ctx) })
	}
	if !c.welcomed.Load() {
		h.m.refused(refusedAfter(code))
		return
	}
	was, empty := h.unregister(c)
	if was {
		h.links.Add(-1)
		h.m.up(c.kind, -1)
	}
	cause := c.cause(code)
	switch c.kind {
	case kindDevice:
		if was && empty && !c.replaced.Load() {
			h.gone.add(Gone{Device: c.caller.DeviceID, Epoch: c.epoch, Cause: cause, At: h.d.Now(), Bytes: c.bytes.Load()})
		}
	case kindSession:
		h.watch.mark(c.addr, watched{caller: c.caller})
	case kindRoom:
	}
	h.m.ended(cause)
	h.d.Logger.DebugContext(ctx, "link ended", slog.String("link", c.id), slog.String("addr", c.addr),
		slog.Int("code", code), slog.String("cause", cause))
}

// cause is why the link ended, as presence keeps it.
func (c *conn) cause(code int) string {
	if why, ok := c.leaving.Load().(string); ok {
		return why
	}
	switch code {
	case 0:
		return causeNetwork
	case wire.CloseIdle:
		return causeIdle
	case wire.CloseSlowConsumer:
		return causeSlow
	case wire.CloseGoingAway:
		return causeDeploy
	}
	return causeServer
}

// ping answers a client's ping frame; it counts like any other frame.
func (c *conn) ping(data string) error {
	now := c.hub.d.Now().UnixNano()
	c.heard.Store(now)
	if !c.bucket.take(now) {
		c.shut(wire.CloseRateLimited, "frame.rate")
		return nil
	}
	c.out.put(c, item{msg: websocket.PongMessage, data: []byte(data)}, false)
	c.flush()
	return nil
}

// pong is the answer to a server ping; its payload is the instant of the ping.
func (c *conn) pong(data string) error {
	now := c.hub.d.Now().UnixNano()
	c.heard.Store(now)
	if !c.bucket.take(now) {
		c.shut(wire.CloseRateLimited, "frame.rate")
		return nil
	}
	if sent, ok := pingStamp(data); ok && now >= sent {
		c.rtt.Store(max(1, (now-sent)/1000))
	}
	return nil
}

// send puts a frame into the outbox and sees that it is written; it never blocks.
func (c *conn) send(it item) { c.out.put(c, it, true) }

// reply puts a frame into the outbox from a worker; the link's own goroutine writes it.
func (c *conn) reply(it item) { c.out.put(c, it, false) }

// shut ends the link with a close frame behind what waits in the outbox. It reports whether this call did it.
func (c *conn) shut(code int, reason string) bool {
	return c.out.close(c, code, reason)
}

// kill ends the link at once, without a close frame.
func (c *conn) kill(code int, cause string) {
	if c.out.fail(code) {
		c.leaving.CompareAndSwap(nil, cause)
	}
	_ = c.ws.Close()
}

// flush writes the outbox from the calling goroutine, unless somebody does already.
func (c *conn) flush() {
	if c.out.claim() {
		c.write()
	}
}

// write empties the outbox. Who calls it has claimed the writing.
func (c *conn) write() {
	for {
		it, ok := c.out.pop(c)
		if !ok {
			return
		}
		c.writing.Store(c.hub.d.Now().UnixNano())
		err := c.ws.WriteMessage(it.kind(), it.data)
		c.writing.Store(0)
		c.bytes.Add(int64(len(it.data)))
		if err != nil {
			c.out.fail(0)
			_ = c.ws.Close()
			return
		}
		if it.msg == websocket.CloseMessage {
			_ = c.ws.NetConn().SetReadDeadline(time.Now().Add(linger))
		}
	}
}

// jitter returns d ± 20 %: timers of links that came together must drift apart.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + rand.N(d*2/5+1) //nolint:gosec // spreads load, guards nothing
}

// readAll reads r into buf, at most limit+1 bytes, and returns how many.
func readAll(r io.Reader, buf *[]byte, limit int) (int, error) {
	b := (*buf)[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit || errors.Is(err, io.EOF):
			*buf = b
			return len(b), nil
		case err != nil:
			*buf = b
			return len(b), err
		}
	}
}

// bufs keeps read buffers between messages; idle links hold none.
//
//nolint:gochecknoglobals // a pool has no state of its own
var bufs = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func getBuf() *[]byte {
	b, _ := bufs.Get().(*[]byte)
	return b
}

func putBuf(b *[]byte) {
	if cap(*b) <= 16<<10 {
		bufs.Put(b)
	}
}
