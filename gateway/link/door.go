package link

import (
	"crypto/rand"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/auth"
	"heyi/gateway/wire"
)

// door decides before the upgrade whether the node takes another socket, cheapest test first: a refusal here costs far
// less than an upgrade and a close.
type door struct {
	cfg     Config
	m       *metrics
	hosts   []string
	upgrade websocket.Upgrader

	mu      sync.Mutex
	shut    bool
	coming  map[*conn]struct{} // sockets before welcome
	opening int                // upgrades under way
	node    bucket
	addrs   map[netip.Prefix]*bucket
	sweepAt int // number of address buckets at which full ones are dropped
	fails   map[netip.Addr]*failures
}

func newDoor(cfg Config, m *metrics) *door {
	d := &door{cfg: cfg, m: m, coming: map[*conn]struct{}{}, addrs: map[netip.Prefix]*bucket{}, sweepAt: 1024, fails: map[netip.Addr]*failures{}}
	for _, h := range cfg.Hosts {
		d.hosts = append(d.hosts, strings.ToLower(h))
	}
	d.node = bucket{perS: float64(cfg.NodePerS), most: float64(cfg.NodePerS), level: float64(cfg.NodePerS)}
	d.upgrade = websocket.Upgrader{
		ReadBufferSize: 512, WriteBufferSize: 4096, WriteBufferPool: &sync.Pool{},
		Subprotocols: []string{wire.Subprotocol},
		CheckOrigin:  func(*http.Request) bool { return true }, // judged by origin before
	}
	return d
}

// close refuses everybody from now on.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
}

// waiting returns how many sockets are before their welcome.
func (d *door) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opening + len(d.coming)
}

// each calls f for every socket before its welcome.
func (d *door) each(f func(*conn)) {
	d.mu.Lock()
	list := make([]*conn, 0, len(d.coming))
	for c := range d.coming {
		list = append(list, c)
	}
	d.mu.Unlock()
	for _, c := range list {
		f(c)
	}
}

// refusal is an answer instead of an upgrade.
type refusal struct {
	status int
	reason string
	retry  time.Duration
}

// admit takes a place for one upgrade; settle or leave gives it back.
func (d *door) admit(addr netip.Addr, now int64) *refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return &refusal{http.StatusServiceUnavailable, "draining", 5 * time.Second}
	}
	if f := d.fails[guesser(addr)]; f != nil && now < f.until {
		return &refusal{http.StatusTooManyRequests, "auth_fails", time.Duration(f.until - now)}
	}
	if d.opening+len(d.coming) >= d.cfg.PendingMax {
		return &refusal{http.StatusServiceUnavailable, "pending", 2 * time.Second}
	}
	if !d.node.take(now) {
		return &refusal{http.StatusServiceUnavailable, "node_rate", d.node.wait()}
	}
	if b := d.address(addr, now); !b.take(now) {
		return &refusal{http.StatusTooManyRequests, "address_rate", b.wait()}
	}
	d.opening++
	return nil
}

// address returns the bucket of a client's neighbourhood: carrier NAT puts whole villages behind one address.
func (d *door) address(addr netip.Addr, now int64) *bucket {
	bits := 24
	if addr.Is6() {
		bits = 56
	}
	net, err := addr.Prefix(bits)
	if err != nil {
		net = netip.Prefix{} // no address (a pipe in a test): one bucket for all of them
	}
	b := d.addrs[net]
	if b == nil {
		if len(d.addrs) >= d.sweepAt {
			for k, b := range d.addrs {
				if b.fill(now); b.level >= b.most {
					delete(d.addrs, k)
				}
			}
			d.sweepAt = max(1024, 2*len(d.addrs))
		}
		b = &bucket{perS: float64(d.cfg.AddrPerS), most: float64(d.cfg.AddrBurst), level: float64(d.cfg.AddrBurst), at: now}
		d.addrs[net] = b
	}
	return b
}

// failures counts the wrong proofs of one address.
type failures struct {
	count int
	since int64 // Unix ns: start of the minute that is counted
	until int64 // refused until then
}

// over reports whether nothing of it counts any more.
func (f *failures) over(now int64) bool { return now >= f.until && now-f.since >= int64(time.Minute) }

// guesser is the address that failures are counted by: an IPv6 host has a whole /64.
func guesser(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	net, err := addr.Prefix(64)
	if err != nil {
		return addr
	}
	return net.Addr()
}

// failed notes a wrong proof. Who brings too many in a minute is refused before the upgrade for a while.
func (d *door) failed(addr netip.Addr, now int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := guesser(addr)
	f := d.fails[key]
	if f == nil {
		if len(d.fails) >= 1024 {
			maps.DeleteFunc(d.fails, func(_ netip.Addr, f *failures) bool { return f.over(now) })
		}
		f = &failures{}
		d.fails[key] = f
	}
	if f.over(now) {
		*f = failures{since: now}
	}
	if f.count++; f.count >= d.cfg.AuthFails {
		f.until = now + int64(d.cfg.AuthBlock)
	}
}

// leave gives the place of a failed upgrade back.
func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opening--
}

// enter turns the place of an upgrade into that of a link.
func (d *door) enter(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opening--
	d.coming[c] = struct{}{}
}

// settle gives the place of a link back when its handshake is over.
func (d *door) settle(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.coming, c)
}

// allowedOrigin reports whether a page of this origin may open links; programs that are no browsers send none.
func (d *door) allowedOrigin(origin, dialled string) bool {
	if origin == "" || slices.Contains(d.cfg.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, dialled) && d.known(u.Hostname())
}

// known reports whether host is one of ours.
func (d *door) known(host string) bool { return slices.Contains(d.hosts, strings.ToLower(host)) }

// serverName is the name that the challenge gives and the signature covers: the one dialled when it is ours.
func (d *door) serverName(host string) string {
	if d.known(host) || len(d.hosts) == 0 {
		return host
	}
	return d.hosts[0]
}

// ServeWS opens links of devices and pages: GET /ws/v1.
func (h *Hub) ServeWS(w http.ResponseWriter, r *http.Request) { h.serve(w, r, kindDevice) }

// ServeRTC opens media lines: GET /ws/rtc.
func (h *Hub) ServeRTC(w http.ResponseWriter, r *http.Request) { h.serve(w, r, kindRoom) }

// Started is closed when Run takes links.
func (h *Hub) Started() <-chan struct{} { return h.running }

// Ready reports whether the Hub takes links.
func (h *Hub) Ready() bool {
	select {
	case <-h.running:
	default:
		return false
	}
	h.door.mu.Lock()
	defer h.door.mu.Unlock()
	return !h.door.shut
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request, k kind) {
	select {
	case <-h.running:
	default:
		h.refuse(w, refusal{http.StatusServiceUnavailable, "starting", time.Second})
		return
	}
	if !websocket.IsWebSocketUpgrade(r) || !slices.Contains(websocket.Subprotocols(r), wire.Subprotocol) {
		h.refuse(w, refusal{http.StatusBadRequest, "subprotocol", 0})
		return
	}
	peer := auth.ResolvePeer(r, h.cfg.Trusted)
	origin := r.Header.Get("Origin")
	ofNode := k == kindRoom && h.d.RoomPages != nil && h.d.RoomPages(origin)
	if !ofNode && !h.door.allowedOrigin(origin, r.Host) {
		h.refuse(w, refusal{http.StatusForbidden, "origin", 0})
		return
	}
	if no := h.door.admit(peer.Addr, h.d.Now().UnixNano()); no != nil {
		h.refuse(w, *no)
		return
	}
	ws, err := h.door.upgrade.Upgrade(w, r, nil)
	if err != nil {
		h.door.leave() // Upgrade has answered
		return
	}
	// nothing of r may be kept: it would hold the buffers of the HTTP server for as long as the link lives
	c := h.newConn(ws, k, strings.Clone(h.door.serverName(peer.Host)), peer.Addr)
	h.door.enter(c)
	c.challenge()
	select {
	case h.accept <- c:
	case <-h.over:
		h.door.settle(c)
		_ = ws.Close()
		c.writer.Wait()
	}
}

// challenge is written from the HTTP handler's goroutine, whose deep stack ends with it.
func (c *conn) challenge() {
	cfg := c.hub.cfg
	_, _ = rand.Read(c.nonce[:]) // never fails, see crypto/rand
	_ = c.ws.SetReadDeadline(time.Now().Add(cfg.AuthTimeout))
	c.reply(item{t: wire.Challenge, data: encode(&wire.Frame{T: wire.Challenge}, wire.ChallengeBody{
		Nonce: c.nonce[:], Server: c.host, Node: cfg.Node, NowAt: c.hub.d.Now().UnixMicro(),
		Algs: []string{"ed25519", "p256"}, AuthTimeoutMS: cfg.AuthTimeout.Milliseconds(), MaxFrame: cfg.MaxFrameBefore,
	})})
	c.flush()
}

func (h *Hub) refuse(w http.ResponseWriter, no refusal) {
	h.m.refused(no.reason)
	if no.retry > 0 {
		// spread those who come back
		secs := int(math.Ceil(jitter(no.retry).Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(max(1, secs)))
	}
	http.Error(w, no.reason, no.status)
}
