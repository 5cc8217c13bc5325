// Package link keeps the websockets of devices, pages and media lines: protocol heyi.v1 (docs/protocol.md §4).
//
// Hub is the only way in. ServeWS and ServeRTC are the HTTP handlers: they test whether the node takes another link,
// upgrade, send the challenge and hand the socket to Run, so the HTTP handler's goroutine ends and its buffers go.
// From then on a link is one goroutine that reads; everything that needs a deep stack (JSON, signatures, handlers)
// runs in a small pool of workers while that goroutine waits, so its own stack stays small. Writing happens on demand:
// who puts the first frame into an empty outbox starts one writer, which ends when the outbox is empty. No link has a
// timer; one sweeper looks at every link once a second (silence, pings, stuck writes, access tokens). Nudges may be lost:
// every 5 s, and at once when a gap is told, an audit reads from the store which links ended elsewhere and, while the
// nodes do not hear each other, what is open for whom. Durable frames of
// devices wait for one goroutine that stores those of many links in one write and then acks them; a frame that was not
// stored is not acked, so nothing is lost with the process. Another goroutine gives links what waits for their devices, woken
// by nudges, by connects and by a sweep, and stores their acks.
//
// Concurrency: Hub is safe for concurrent use. Locks: a shard's lock and a link's outbox lock are never held together,
// and nothing that waits is called while one is held. Every goroutine of a link is waited for by the link, every link
// by Run.
package link

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/ident"
)

// Config holds the limits and times of links. Zero values take the defaults of docs/protocol.md.
type Config struct {
	Node       string
	Hosts      []string       // names and addresses under which clients dial us; the first is the canonical one
	Origins    []string       // further origins of pages ("https://host:port") beside those of Hosts
	Trusted    []netip.Prefix // proxies whose forwarding headers count
	TZ         string         // time zone of the service, told in welcome
	DesiredVer string         // version that pages should run, told in welcome

	AuthTimeout    time.Duration // from challenge to connect; 10 s
	MaxFrameBefore int           // bytes before auth; 4096
	MaxFrame       int           // bytes after auth; 65536
	PerS, Burst    int           // frames of a device or page; 20/s, 60
	RoomPerS       int           // frames of a media line; 60/s
	RoomBurst      int           // 200
	SendBuffer     int           // bytes that wait for one link; 262144
	WriteTimeout   time.Duration // for one write; 10 s
	ReadTimeout    time.Duration // silence that ends a link; 100 s
	PingEvery      time.Duration // 45 s, each time ± 20 %
	PersonLinks    int           // links of one person or grant; 4

	PendingMax int // sockets before welcome; 2000
	NodePerS   int // upgrades of the node per second; 1000
	AddrPerS   int // upgrades of one IPv4 /24 or IPv6 /56; 200
	AddrBurst  int // 2000

	BatchWait time.Duration // connects are collected for so long; 20 ms
	BatchMax  int           // or until so many wait; 200

	Workers     int // parallel frames of devices and pages; 64
	RoomWorkers int // parallel frames of media lines; 32

	Sweep time.Duration // how often the Hub reads again what a lost nudge did not tell; 5 s

	ViewEvery   time.Duration // fastest pace of a live view; 500 ms
	ViewRefresh time.Duration // a view is read again even when nothing was announced; 5 s

	AuthFails int           // wrong proofs a minute from one address; 200
	AuthBlock time.Duration // then it is refused for so long; 15 min

	WantWithin time.Duration // devices send a wanted inventory within so long; 30 s

	AckTimeout time.Duration // a device that acks nothing for so long is closed with 4009; 30 s
	DownSweep  time.Duration // how often waiting frames are looked for whose nudge was lost; 5 s

	Reconnect wire.ReconnectRule // told to devices; 2 s, 300 s, 30 s
}

func (c Config) withDefaults() Config {
	c.AuthTimeout = cmp.Or(c.AuthTimeout, 10*time.Second)
	c.MaxFrameBefore = cmp.Or(c.MaxFrameBefore, 4<<10)
	c.MaxFrame = cmp.Or(c.MaxFrame, 64<<10)
	c.PerS, c.Burst = cmp.Or(c.PerS, 20), cmp.Or(c.Burst, 60)
	c.RoomPerS, c.RoomBurst = cmp.Or(c.RoomPerS, 60), cmp.Or(c.RoomBurst, 200)
	c.SendBuffer = cmp.Or(c.SendBuffer, 256<<10)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 100*time.Second)
	c.PingEvery = cmp.Or(c.PingEvery, 45*time.Second)
	c.PersonLinks = cmp.Or(c.PersonLinks, 4)
	c.PendingMax = cmp.Or(c.PendingMax, 2000)
	c.NodePerS = cmp.Or(c.NodePerS, 1000)
	c.AddrPerS, c.AddrBurst = cmp.Or(c.AddrPerS, 200), cmp.Or(c.AddrBurst, 2000)
	c.BatchWait, c.BatchMax = cmp.Or(c.BatchWait, 20*time.Millisecond), cmp.Or(c.BatchMax, 200)
	c.Workers, c.RoomWorkers = cmp.Or(c.Workers, 64), cmp.Or(c.RoomWorkers, 32)
	c.ViewEvery, c.ViewRefresh = cmp.Or(c.ViewEvery, 500*time.Millisecond), cmp.Or(c.ViewRefresh, 5*time.Second)
	c.Sweep = cmp.Or(c.Sweep, 5*time.Second)
	c.AuthFails, c.AuthBlock = cmp.Or(c.AuthFails, 200), cmp.Or(c.AuthBlock, 15*time.Minute)
	c.WantWithin = cmp.Or(c.WantWithin, 30*time.Second)
	c.AckTimeout, c.DownSweep = cmp.Or(c.AckTimeout, 30*time.Second), cmp.Or(c.DownSweep, 5*time.Second)
	if c.Reconnect.BaseMS == 0 {
		c.Reconnect = wire.ReconnectRule{BaseMS: 2000, CapMS: 300_000, WindowMS: 30_000, Hosts: c.Reconnect.Hosts}
	}
	return c
}

// handlerTime is how long a handler of a frame may take.
const handlerTime = 10 * time.Second

// shards is the number of parts of the address table; a power of two.
const shards = 64

// shard is one part of the address table.
type shard struct {
	mu     sync.RWMutex
	byAddr map[string][]*conn
}

// Hub holds the links of this node.
type Hub struct {
	cfg    Config
	d      Deps
	m      *metrics
	seed   maphash.Seed
	routes [256]Handler

	door     *door
	work     *workers
	roomWork *workers
	connects *batcher[ConnectRequest, ConnectResult]
	gone     *goneList
	watch    *dirty[string, watched]
	resync   *dirty[*conn, struct{}] // told in any case
	checks   *dirty[*conn, struct{}] // told when it is news
	views    *views
	ups      *upstream
	downs    *downstream
	clones   *clones

	gaps chan struct{} // holds one token when nudges were lost

	shards  [shards]shard
	accept  chan *conn // upgraded sockets for Run
	links   atomic.Int64
	running chan struct{} // closed when Run takes links
	over    chan struct{} // closed when Run takes no more
}

// New returns a Hub; Run makes it work.
func New(cfg Config, d Deps) *Hub {
	cfg = cfg.withDefaults()
	h := &Hub{
		cfg: cfg, d: d, m: newMetrics(d.Metrics), seed: maphash.MakeSeed(),
		work: newWorkers(cfg.Workers), roomWork: newWorkers(cfg.RoomWorkers),
		gone: newGoneList(), watch: newDirty[string, watched](), resync: newDirty[*conn, struct{}](),
		checks: newDirty[*conn, struct{}](), gaps: make(chan struct{}, 1),
		accept: make(chan *conn), running: make(chan struct{}), over: make(chan struct{}),
	}
	h.door = newDoor(cfg, h.m)
	h.connects = newBatcher(cfg.BatchWait, cfg.BatchMax, h.connectBatch)
	h.views = newViews(h)
	h.ups = newUpstream(h)
	h.downs = newDownstream(h)
	h.clones = newClones()
	for i := range h.shards {
		h.shards[i].byAddr = map[string][]*conn{}
	}
	return h
}

// Handle sets the handler of a type that clients send on /ws/v1. Call it before Run.
func (h *Hub) Handle(t wire.Type, f Handler) {
	if h.routes[t] != nil {
		panic("link: two handlers for " + t.String()) // a defect of the build; every start and test finds it
	}
	h.routes[t] = f
}

// Run serves links until ctx ends, then closes those that are left (after Drain: none) and returns when every
// goroutine has ended.
func (h *Hub) Run(ctx context.Context) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var helpers, conns sync.WaitGroup
	for _, part := range []func(context.Context){
		h.work.run, h.roomWork.run, h.connects.run, h.sweep, h.views.run, h.runWatch, h.runResync, h.runGone, h.runClones, h.ups.run, h.downs.run,
		h.runAudit, h.runChecks,
	} {
		helpers.Go(func() { part(inner) })
	}
	unsubscribe := h.d.Nudges.Subscribe(func(n coord.Nudge) { h.deliver(n) })
	close(h.running)
loop:
	for {
		select {
		case c := <-h.accept:
			conns.Go(func() { c.run(inner) })
		case <-ctx.Done():
			break loop
		}
	}
	h.door.close()
	close(h.over)
	unsubscribe()
	h.door.each(func(c *conn) { c.kill(wire.CloseGoingAway, causeDeploy) }) // before the table: a link moves that way
	h.each(func(c *conn) { c.kill(wire.CloseGoingAway, causeDeploy) })
	conns.Wait()
	stop()
	helpers.Wait()
	h.flushGone(context.WithoutCancel(ctx))
	return ctx.Err()
}

// Drain tells every link that the node goes away, lets them leave for the length of window, then closes the rest at
// 500/s. New links are refused from the start. It returns when no link is left or ctx ends.
func (h *Hub) Drain(ctx context.Context, why string, window time.Duration) {
	h.door.close()
	frame := encode(&wire.Frame{T: wire.GoingAway}, wire.GoingAwayBody{Why: why, WindowMS: window.Milliseconds()})
	h.each(func(c *conn) {
		c.leaving.CompareAndSwap(nil, causeDeploy)
		c.send(item{t: wire.GoingAway, data: frame})
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	until := time.NewTimer(window)
	defer until.Stop()
	closing := false
	for h.links.Load() > 0 || h.door.waiting() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-until.C:
			closing = true
		case <-tick.C:
			if closing {
				left := 10 // a tick: 500/s
				h.door.each(func(c *conn) { c.shut(wire.CloseGoingAway, why) })
				h.each(func(c *conn) {
					if left > 0 && c.shut(wire.CloseGoingAway, why) {
						left--
					}
				})
			}
		}
	}
}

// Links returns how many links are up.
func (h *Hub) Links() int { return int(h.links.Load()) }

// Epoch returns the epoch of a device's live link on this node; access tokens are checked against it.
func (h *Hub) Epoch(dev ident.DeviceID) (epoch int64, live bool) {
	for _, c := range h.at(deviceAddr(dev)) {
		return c.epoch, true
	}
	return 0, false
}

// Live reports whether an address has a link on this node.
func (h *Hub) Live(addr string) bool { return len(h.at(addr)) > 0 }

// RTT returns the round trip of a device's last server ping, false before the first one.
func (h *Hub) RTT(dev ident.DeviceID) (time.Duration, bool) {
	for _, c := range h.at(deviceAddr(dev)) {
		if us := c.rtt.Load(); us > 0 {
			return time.Duration(us) * time.Microsecond, true
		}
	}
	return 0, false
}

// CloseDevice ends the links of a device whose epoch is below the given one.
func (h *Hub) CloseDevice(dev ident.DeviceID, below int64, code int, reason string) {
	for _, c := range h.at(deviceAddr(dev)) {
		if c.epoch < below {
			c.shut(code, reason)
		}
	}
}

// CloseAddr ends every link of an address, e.g. of a person who signed out.
func (h *Hub) CloseAddr(addr string, code int, reason string) {
	for _, c := range h.at(addr) {
		c.shut(code, reason)
	}
}

// seenEvery is how often a link's sign of life may be written.
const seenEvery = 10 * time.Minute

// Seen returns signs of life for the presence table: each device link at most once in 10 minutes. Call it every 30 s.
func (h *Hub) Seen() []Seen {
	now := h.d.Now()
	var out []Seen
	h.each(func(c *conn) {
		heard, told := c.heard.Load(), c.told.Load()
		if c.kind == kindDevice && now.Sub(time.Unix(0, told)) >= seenEvery && heard > told {
			c.told.Store(now.UnixNano())
			out = append(out, Seen{Device: c.caller.DeviceID, Epoch: c.epoch, At: time.Unix(0, heard)})
		}
	})
	return out
}

// Linked returns a random share of the live links of devices, all of them at share 1, for the audit of presence.
func (h *Hub) Linked(share float64) []Seen {
	var out []Seen
	h.each(func(c *conn) {
		if c.kind == kindDevice && (share >= 1 || rand.Float64() < share) { //nolint:gosec // a sample is no secret
			out = append(out, Seen{Device: c.caller.DeviceID, Epoch: c.epoch, At: time.Unix(0, c.heard.Load())})
		}
	})
	return out
}

// Addresses of links.
func deviceAddr(id ident.DeviceID) string { return "device/" + string(id) }

func (h *Hub) shard(addr string) *shard {
	return &h.shards[maphash.String(h.seed, addr)&(shards-1)]
}

// at returns the links of an address.
func (h *Hub) at(addr string) []*conn {
	s := h.shard(addr)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.byAddr[addr])
}

// each calls f for every link, shard by shard, without a lock.
func (h *Hub) each(f func(*conn)) {
	for i := range h.shards {
		for _, c := range h.inShard(i) {
			f(c)
		}
	}
}

func (h *Hub) inShard(i int) []*conn {
	s := &h.shards[i]
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*conn, 0, len(s.byAddr))
	for _, list := range s.byAddr {
		out = append(out, list...)
	}
	return out
}

// register puts a link into the table and returns those that it supersedes; false when a newer link of the same
// device is there already.
func (h *Hub) register(c *conn) (older []*conn, ok bool) {
	s := h.shard(c.addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.byAddr[c.addr]
	switch c.kind {
	case kindDevice:
		if slices.ContainsFunc(list, func(o *conn) bool { return o.epoch > c.epoch }) {
			return nil, false
		}
		older, list = list, nil
	case kindSession:
		same := func(o *conn) bool { return o.instance == c.instance && o.screen == c.screen }
		for _, o := range list {
			if same(o) {
				older = append(older, o)
			}
		}
		list = slices.DeleteFunc(slices.Clone(list), same)
		if n := len(list) - h.cfg.PersonLinks + 1; n > 0 {
			older, list = append(older, list[:n]...), list[n:]
		}
	case kindRoom: // the engine decides which media line of an attachment wins
	}
	s.byAddr[c.addr] = append(slices.Clip(list), c)
	for _, o := range older {
		o.replaced.Store(true)
	}
	return older, true
}

// unregister takes a link out of the table and reports whether it was still there and whether its address is empty
// now.
func (h *Hub) unregister(c *conn) (was, empty bool) {
	s := h.shard(c.addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.byAddr[c.addr]
	i := slices.Index(list, c)
	if i < 0 {
		return false, len(list) == 0
	}
	if len(list) == 1 {
		delete(s.byAddr, c.addr)
		return true, true
	}
	s.byAddr[c.addr] = slices.Delete(slices.Clone(list), i, i+1)
	return true, false
}

// deliver hands a nudge to the links of its address. A nudge without a type is for the node: it ends links
// ("kick.<why>") or is for one of the inner addresses.
func (h *Hub) deliver(n coord.Nudge) {
	switch n.To {
	case coord.ToConsole:
		h.views.markDirty(n.ID)
		return
	case coord.ToGap:
		h.gap()
		return
	}
	list := h.at(n.To)
	if len(list) == 0 {
		return
	}
	switch n.T {
	case 0:
		h.kick(list, n.ID, n.Ver, n.Why)
		return
	case wire.Cmd: // the frame itself stands in the device's stream
		for _, c := range list {
			h.downs.want(c)
		}
		return
	default:
	}
	frame := encode(&wire.Frame{T: n.T}, wire.NudgeBody{ID: n.ID, Ver: n.Ver, Why: n.Why})
	for _, c := range list {
		c.send(item{t: n.T, key: n.ID, ver: n.Ver, data: frame})
	}
}

// kick ends links because of "kick.<life>" (devices: those of a lower epoch) or "kick.signed_out" (people: those of the
// sign-in session or grant id, all when it is empty).
func (h *Hub) kick(list []*conn, id string, below int64, why string) {
	code := map[string]int{
		"kick.": wire.CloseSuperseded, "kick.retired": wire.CloseRevoked, "kick.disabled": wire.CloseDisabled,
		"kick.quarantined": wire.CloseQuarantined, "kick.signed_out": wire.CloseSignedOut,
	}[why]
	if code == 0 {
		return
	}
	for _, c := range list {
		switch c.kind {
		case kindDevice:
			if c.epoch >= below {
				continue
			}
			if code == wire.CloseSuperseded {
				c.replaced.Store(true) // its row is another link's: it must not report itself gone
			}
		case kindSession:
			if id != "" && id != string(c.caller.LoginID) && id != string(c.caller.GrantID) {
				continue
			}
		case kindRoom:
			continue
		}
		c.shut(code, why)
	}
}

// encode writes a frame with its body; both are ours and always encode.
func encode(f *wire.Frame, body any) []byte {
	b, err := marshal(f, body)
	if err != nil {
		panic(fmt.Sprintf("link: encode %s: %v", f.T, err))
	}
	return b
}
