package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/pion/ice/v2"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"

	"heyi/configs"
	"heyi/gateway/wire"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/session"
	"heyi/store"
	"heyi/store/storetest"
)

// caller is one attachment as a browser runs it: it enters, connects, and comes back by itself.
type caller struct {
	t      *testing.T
	page   string // origin of its page
	attach string
	enter  func() answer
	placed func() int64 // what its page's fact says of the room: the placement
	api    *webrtc.API

	fence atomic.Int64 // placement that last brought a packet
	last  atomic.Int64 // Unix ns of the last packet
	gap   atomic.Int64 // longest time between two packets, ns; -1: not measured
	said  atomic.Pointer[string]
}

// entrance is what POST /sessions/{id}/media-tickets answers.
type entrance struct {
	RTC struct {
		URL    string `json:"url"`
		Node   string `json:"node"`
		Fence  int64  `json:"fence"`
		Ticket string `json:"ticket"`
	} `json:"rtc"`
}

func newCaller(t *testing.T, page string, do func(method, path string, body any) answer, session, fact string) *caller {
	t.Helper()
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	se := webrtc.SettingEngine{}
	se.SetIncludeLoopbackCandidate(true)
	se.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	c := &caller{t: t, page: page, attach: "full", api: webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(se))}
	c.enter = func() answer {
		return do(http.MethodPost, "/sessions/"+session+"/media-tickets", map[string]string{"attach": c.attach})
	}
	c.placed = func() int64 {
		var f struct {
			Session *struct {
				Fence int64 `json:"fence"`
			} `json:"session"`
		}
		if a := do(http.MethodGet, fact, nil); a.status != http.StatusOK || json.Unmarshal(a.body, &f) != nil || f.Session == nil {
			return 0
		}
		return f.Session.Fence
	}
	c.gap.Store(-1)
	return c
}

// run keeps the caller in the room until ctx ends. A room that drains is left when the new line brings packets.
func (c *caller) run(ctx context.Context) {
	var old *rtcLine
	defer func() {
		if old != nil {
			old.close()
		}
	}()
	for ctx.Err() == nil {
		l, wait, err := c.open(ctx)
		if err != nil {
			said := err.Error()
			c.said.Store(&said)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			continue
		}
		if old != nil {
			select {
			case <-l.flows:
			case <-l.over:
			case <-time.After(3 * time.Second):
			}
			old.close()
			old = nil
		}
		if c.stays(ctx, l) {
			l.close() // lost: what it had goes first
		} else {
			old = l
		}
	}
}

// stays waits for the end of a line: it is lost (true), or its room drains. A line that does not end although its node
// has died (a paused process keeps its sockets) is found by the page's fact, which is asked again and again.
func (c *caller) stays(ctx context.Context, l *rtcLine) (lost bool) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-l.over:
			return true
		case <-l.moves:
			return false
		case <-tick.C:
			if c.placed() > l.fence {
				return true
			}
		}
	}
}

// rtcLine is one media line with its connections.
type rtcLine struct {
	c         *caller
	ws        *websocket.Conn
	fence     int64
	flows     chan struct{} // a packet came
	over      chan struct{} // the line ended
	moves     chan struct{} // the room drains
	once      sync.Once
	wg        sync.WaitGroup
	sub, pub  *webrtc.PeerConnection
	stop      context.CancelFunc
	writeLock sync.Mutex
}

// open enters the room; when it may not, it says when to ask again.
func (c *caller) open(ctx context.Context) (*rtcLine, time.Duration, error) {
	const again = 300 * time.Millisecond
	a := c.enter()
	if a.status != http.StatusOK {
		var p struct {
			Code  string `json:"code"`
			Retry int64  `json:"retry_after_ms"`
		}
		_ = json.Unmarshal(a.body, &p)
		return nil, max(again, time.Duration(p.Retry)*time.Millisecond), fmt.Errorf("entry: %d %s", a.status, p.Code)
	}
	var e entrance
	if err := json.Unmarshal(a.body, &e); err != nil {
		return nil, again, err
	}
	ws, err := dialRTC(ctx, e, c.page)
	if err != nil {
		return nil, again, err
	}
	inner, stop := context.WithCancel(ctx)
	l := &rtcLine{c: c, ws: ws, fence: e.RTC.Fence, flows: make(chan struct{}), over: make(chan struct{}), moves: make(chan struct{}), stop: stop}
	err = l.send(wire.RTCWant, wire.RTCWantBody{Attach: c.attach, Codecs: []string{"VP8", "opus"}})
	if err == nil && c.attach == "full" {
		err = l.publish(inner)
	}
	l.wg.Go(l.read)
	if err != nil {
		l.close()
		return nil, again, err
	}
	return l, 0, nil
}

// dialRTC opens a media line and proves who comes.
func dialRTC(ctx context.Context, e entrance, page string) (*websocket.Conn, error) {
	d := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: 2 * time.Second}
	ws, res, err := d.DialContext(ctx, e.RTC.URL, http.Header{"Origin": {page}})
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	b, err := json.Marshal(wire.ConnectBody{Auth: wire.AuthBody{Kind: "room", Ticket: e.RTC.Ticket}})
	if err != nil {
		return nil, err
	}
	f, err := wire.Append(nil, &wire.Frame{V: wire.Version, T: wire.Connect, B: b})
	if err == nil {
		err = ws.WriteMessage(websocket.TextMessage, f)
	}
	if err != nil {
		_ = ws.Close()
		return nil, err
	}
	return ws, nil
}

func (l *rtcLine) close() {
	l.stop()
	_ = l.ws.Close()
	for _, pc := range []*webrtc.PeerConnection{l.sub, l.pub} {
		if pc != nil {
			_ = pc.Close()
		}
	}
	l.wg.Wait()
}

func (l *rtcLine) send(t wire.Type, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	f, err := wire.Append(nil, &wire.Frame{V: wire.Version, T: t, B: b})
	if err != nil {
		return err
	}
	l.writeLock.Lock()
	defer l.writeLock.Unlock()
	return l.ws.WriteMessage(websocket.TextMessage, f)
}

// read follows the server until the line ends or the room drains.
func (l *rtcLine) read() {
	defer close(l.over)
	for {
		_, data, err := l.ws.ReadMessage()
		if err != nil {
			return
		}
		var f wire.Frame
		if err := wire.Decode(data, &f); err != nil {
			l.c.t.Errorf("%s: %v", data, err)
			return
		}
		switch f.T {
		case wire.RTCOffer, wire.RTCAnswer:
			var b wire.RTCSDPBody
			if err := f.Body(&b); err != nil {
				l.c.t.Error(err)
				return
			}
			if err := l.negotiate(f.T, b); err != nil {
				return // a line that is being closed
			}
		case wire.RTCMove:
			close(l.moves)
		case wire.RTCFail:
			said := string(f.B)
			l.c.said.Store(&said)
			return
		default:
		}
	}
}

func (l *rtcLine) negotiate(t wire.Type, b wire.RTCSDPBody) error {
	if t == wire.RTCAnswer {
		return l.pub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: b.SDP})
	}
	if l.sub == nil {
		pc, err := l.c.api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
		if err != nil {
			return err
		}
		pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
			buf := make([]byte, 1500)
			for {
				if _, _, err := tr.Read(buf); err != nil {
					return
				}
				l.got()
			}
		})
		l.sub = pc
	}
	if err := l.sub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: b.SDP}); err != nil {
		return err
	}
	ans, err := l.sub.CreateAnswer(nil)
	if err != nil {
		return err
	}
	if err := l.sub.SetLocalDescription(ans); err != nil {
		return err
	}
	return l.send(wire.RTCAnswer, wire.RTCSDPBody{PC: "sub", Gen: b.Gen, SDP: ans.SDP})
}

// got notes a packet.
func (l *rtcLine) got() {
	now := time.Now().UnixNano()
	last := l.c.last.Swap(now)
	if g := l.c.gap.Load(); g >= 0 && now-last > g {
		l.c.gap.Store(now - last)
	}
	if f := l.c.fence.Load(); l.fence > f {
		l.c.fence.CompareAndSwap(f, l.fence)
	}
	l.once.Do(func() { close(l.flows) })
}

// publish offers a microphone and sends a packet every 20 ms.
func (l *rtcLine) publish(ctx context.Context) error {
	pc, err := l.c.api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
	if err != nil {
		return err
	}
	l.pub = pc
	mic, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "mic", "own")
	if err != nil {
		return err
	}
	if _, err := pc.AddTransceiverFromTrack(mic, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
		return err
	}
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
		return err
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	l.wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := uint16(0); ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			_ = mic.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Timestamp: 960 * uint32(n)}, Payload: make([]byte, 80)}) // before it is connected nothing is sent
		}
	})
	return l.send(wire.RTCOffer, wire.RTCSDPBody{PC: "pub", Gen: 1, SDP: offer.SDP})
}

// mediaCluster is an installation: two front nodes that take no rooms, two media nodes, one database.
type mediaCluster struct {
	t      *testing.T
	store  *store.Store
	front  [2]*process
	rooms  map[string]*process
	cfgs   map[string]configs.Config
	room   string // id
	id     ident.SessionID
	tv     *terminal
	lawyer *mediator
	calls  []*caller
}

func freeUDP(t *testing.T) string {
	t.Helper()
	c, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().String()
}

func newMediaCluster(t *testing.T) *mediaCluster {
	t.Helper()
	db := storetest.PostgresConfig(t)
	c := &mediaCluster{t: t, rooms: map[string]*process{}, cfgs: map[string]configs.Config{}, store: storetest.Open(t, db)}
	config := func(name string, most int) configs.Config {
		cfg := demoConfig(t)
		cfg.Node.Name, cfg.Node.URL = name, "http://"+cfg.HTTP.Listen
		cfg.Store.Driver, cfg.Store.DSN = store.Postgres, db.DSN
		cfg.Media.MaxRooms, cfg.Media.ListenUDP = most, []string{freeUDP(t)}
		cfg.Media.DrainSettle, cfg.Media.DrainOverlap = 500*time.Millisecond, 3*time.Second
		cfg.Log.Level = "info"
		c.cfgs[name] = cfg
		return cfg
	}
	c.front[0] = spawn(t, config("f1", 0))
	demo, err := os.ReadFile(filepath.Join(c.front[0].cfg.Data, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	// every node's demo has the same people: their passwords lie beside the first one's data
	share := func(cfg configs.Config) configs.Config {
		err := errors.Join(os.MkdirAll(cfg.Data, 0o700), os.WriteFile(filepath.Join(cfg.Data, "demo.json"), demo, 0o600)) //nolint:gosec // a folder of this test
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	c.front[1] = spawn(t, share(config("f2", 0)))
	for _, name := range []string{"m1", "m2"} {
		c.rooms[name] = spawn(t, share(config(name, 100)))
	}
	return c
}

// talk brings a citizen at the first front node and a lawyer at the second one into a call, with media both ways.
func (c *mediaCluster) talk() {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.t.Context()))
	var wg sync.WaitGroup
	c.t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	c.tv = c.front[0].claim()
	c.tv.connect()
	c.lawyer = c.front[1].signIn("lvshi")
	c.lawyer.connect()
	c.tv.waits()
	if a := c.lawyer.do(http.MethodPost, "/seat", map[string]string{"state": "ready"}); a.status != http.StatusOK {
		c.t.Fatalf("seat: %d %s", a.status, a.body)
	}
	var desk struct {
		Offer *struct {
			ID  string `json:"id"`
			Ver int64  `json:"ver"`
		} `json:"offer"`
		Session *struct {
			ID     string `json:"id"`
			RoomID string `json:"room_id"`
		} `json:"session"`
	}
	c.front[1].until("an offer", func() bool {
		c.lawyer.do(http.MethodGet, "/desk", nil).into(c.t, &desk)
		return desk.Offer != nil
	})
	a := c.lawyer.do(http.MethodPost, "/offers/"+desk.Offer.ID+"/accept", map[string]int64{"ver": desk.Offer.Ver})
	if a.into(c.t, &desk); a.status != http.StatusOK || desk.Session == nil {
		c.t.Fatalf("accept: %d %s", a.status, a.body)
	}
	c.room, c.id = desk.Session.RoomID, ident.SessionID(desk.Session.ID)
	var s struct {
		Ticket *struct{ ID string }
	}
	c.tv.do(http.MethodGet, "/situation", nil).into(c.t, &s)
	c.calls = []*caller{
		newCaller(c.t, c.front[0].url, c.tv.do, desk.Session.ID, "/situation"), newCaller(c.t, c.front[1].url, c.lawyer.do, desk.Session.ID, "/desk"),
	}
	for _, call := range c.calls {
		wg.Go(func() { call.run(ctx) })
	}
	if a := c.tv.do(http.MethodPost, "/tickets/"+s.Ticket.ID+"/answer", map[string]any{"key": key(), "take": true}); a.status != http.StatusOK {
		c.t.Fatalf("answer: %d %s", a.status, a.body)
	}
	c.flows(1)
}

// flows waits until both hear each other under a placement.
func (c *mediaCluster) flows(fence int64) {
	c.t.Helper()
	c.front[0].until(fmt.Sprintf("media both ways under fence %d (%s)", fence, c.says()), func() bool {
		return c.calls[0].fence.Load() == fence && c.calls[1].fence.Load() == fence
	})
}

func (c *mediaCluster) says() string {
	var out []string
	for _, call := range c.calls {
		if s := call.said.Load(); s != nil {
			out = append(out, *s)
		}
	}
	return strings.Join(out, "; ")
}

// placed reads the session from the truth.
func (c *mediaCluster) placed() session.Session {
	c.t.Helper()
	k, err := c.store.ChangeSession(c.t.Context(), mediation.System("look", "test", time.Now().UnixMicro()), c.id, func(*session.Session) error { return nil })
	if err != nil {
		c.t.Fatal(err)
	}
	return k.After
}

// on demands where the room stands, and since how many moves.
func (c *mediaCluster) on(node string, fence int64) {
	c.t.Helper()
	if k := c.placed(); k.Node != node || k.Fence != fence {
		c.t.Fatalf("the room is on %s under fence %d, want %s, %d", k.Node, k.Fence, node, fence)
	}
}

func other(name string) string { return map[string]string{"m1": "m2", "m2": "m1"}[name] }

// A citizen on one node, a lawyer on another, their room on a third: the room outlives its node, a node that was only
// paused has nothing to say any more, and a node that is stopped hands its room over.
func TestMediaCluster(t *testing.T) {
	c := newMediaCluster(t)
	start := time.Now()
	c.talk()
	first := c.placed().Node
	if first != "m1" && first != "m2" {
		t.Fatalf("the room is on %s, which takes none", first)
	}
	t.Logf("in the call %v after the terminal came; the room is on %s", time.Since(start).Round(time.Millisecond), first)
	c.strangers(first)

	// SIGKILL
	killed := time.Now()
	c.rooms[first].end(syscall.SIGKILL)
	second := other(first)
	c.flows(2)
	back := time.Since(killed)
	t.Logf("SIGKILL of the media node: media both ways again after %d ms", back.Milliseconds())
	if back > 6*time.Second { // the budget: 4 s until the lease is over, then placing and connecting
		t.Errorf("media back after %v", back)
	}
	c.on(second, 2)

	// restarted under its name it finds nothing of its own; the room stays where it is
	c.rooms[first] = spawn(t, c.cfgs[first])
	c.on(second, 2)

	// SIGSTOP: the same, with a node that comes back and believes to have the room
	var held entrance
	c.calls[0].enter().into(t, &held) // good at the second node under fence 2
	stopped := time.Now()
	c.rooms[second].signal(syscall.SIGSTOP)
	c.flows(3)
	t.Logf("SIGSTOP of the media node: media both ways again after %d ms", time.Since(stopped).Milliseconds())
	c.on(first, 3)
	c.rooms[second].signal(syscall.SIGCONT)
	c.refused(held)
	c.rooms[second].until("the node that was paused is ready", func() bool {
		status, _ := c.rooms[second].get("/readyz", nil)
		return status == http.StatusOK
	})
	c.on(first, 3)

	c.paused(first, 3)

	// SIGTERM
	for _, call := range c.calls {
		call.gap.Store(0)
	}
	c.rooms[first].signal(syscall.SIGTERM)
	c.flows(4)
	c.on(second, 4)
	_ = c.rooms[first].cmd.Wait()
	for i, call := range c.calls {
		gap := time.Duration(call.gap.Load())
		t.Logf("drain of the media node: longest silence of caller %d %d ms", i, gap.Milliseconds())
		if gap > 2*time.Second {
			t.Errorf("caller %d heard nothing for %v", i, gap)
		}
	}
	if code := c.rooms[first].cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the drained node ended with %d", code)
	}
}

// paused lets the database take no lease for longer than they live: nobody is dead, no room moves, what plays plays on,
// and the rooms' node freezes and thaws them.
func (c *mediaCluster) paused(at string, fence int64) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.cfgs[at].Store.DSN)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(c.t.Context())) }()
	tx, err := conn.Begin(c.t.Context())
	if err == nil {
		_, err = tx.Exec(c.t.Context(), `LOCK TABLE lease IN EXCLUSIVE MODE`) // reading goes on
	}
	if err != nil {
		c.t.Fatal(err)
	}
	for _, call := range c.calls {
		call.gap.Store(0)
	}
	c.front[0].until("every lease is over for 3 s", func() bool {
		var last int64
		if err := tx.QueryRow(c.t.Context(), `SELECT max(expires_at) FROM lease WHERE name LIKE 'media/%'`).Scan(&last); err != nil {
			c.t.Fatal(err)
		}
		return time.Since(time.UnixMicro(last)) > 3*time.Second
	})
	if !strings.Contains(c.rooms[at].log.String(), "rooms are frozen") {
		c.t.Error("the node goes on as if nothing were")
	}
	if err := tx.Rollback(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.front[0].until("the rooms thaw", func() bool { return strings.Contains(c.rooms[at].log.String(), "rooms thaw") })
	c.on(at, fence)
	for i, call := range c.calls {
		gap := time.Duration(call.gap.Load())
		c.t.Logf("database without leases for 7 s: longest silence of caller %d %d ms", i, gap.Milliseconds())
		if gap > 2*time.Second {
			c.t.Errorf("caller %d heard nothing for %v", i, gap)
		}
	}
}

// strangers demands that pages of other origins and tickets for another node are turned away.
func (c *mediaCluster) strangers(at string) {
	c.t.Helper()
	var e entrance
	c.calls[0].enter().into(c.t, &e)
	if want := "ws" + strings.TrimPrefix(c.cfgs[at].Node.URL, "http") + "/ws/rtc"; e.RTC.URL != want || e.RTC.Node != at {
		c.t.Errorf("the entry leads to %s on %s, want %s", e.RTC.URL, e.RTC.Node, want)
	}
	if ws, err := dialRTC(c.t.Context(), e, "https://elsewhere.example"); err == nil {
		_ = ws.Close()
		c.t.Error("a page of a foreign origin opens a media line")
	}
	wrong := e
	wrong.RTC.URL = "ws" + strings.TrimPrefix(c.cfgs[other(at)].Node.URL, "http") + "/ws/rtc"
	c.refused(wrong)
	a := c.front[0].call(http.MethodGet, c.front[0].url+"/tv", nil, nil)
	for _, p := range c.cfgs {
		if origin := "ws" + strings.TrimPrefix(p.Node.URL, "http"); !strings.Contains(a.header.Get("Content-Security-Policy"), origin) {
			c.t.Errorf("pages may not speak to %s: %s", origin, a.header.Get("Content-Security-Policy"))
		}
	}
}

// refused demands that a ticket is turned away for its placement.
func (c *mediaCluster) refused(e entrance) {
	c.t.Helper()
	ws, err := dialRTC(c.t.Context(), e, c.front[0].url)
	if err != nil {
		c.t.Fatal(err)
	}
	l := &link{t: c.t, ws: ws}
	defer func() { _ = ws.Close() }()
	var f wire.RTCFailBody
	if l.expect(wire.RTCFail, &f); f.Code != "rtc.stale_fence" {
		c.t.Errorf("refused with %s, want rtc.stale_fence", f.Code)
	}
}
