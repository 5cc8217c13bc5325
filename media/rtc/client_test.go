package rtc_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v3"
	"go.uber.org/goleak"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/media"
	"heyi/media/rtc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	wait     = 10 * time.Second
	inFlight = 20 // packets (200 ms) that may be between a client and the server on a busy machine
)

// bench is one engine with its presence reports; it ends with the test.
type bench struct {
	*rtc.Engine
	presence chan media.Presence
}

func newBench(tb testing.TB, change func(*rtc.Config)) *bench {
	tb.Helper()
	b := &bench{presence: make(chan media.Presence, 1000)}
	cfg := rtc.Config{
		ListenUDP: []string{"127.0.0.1:0"}, Profile: rtc.ProfileE2E,
		Watcher: func(p media.Presence) { b.presence <- p },
	}
	if change != nil {
		change(&cfg)
	}
	e, err := rtc.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	b.Engine = e
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			tb.Error("Run does not end")
		}
	})
	return b
}

func (b *bench) apply(tb testing.TB, spec media.RoomSpec) {
	tb.Helper()
	if _, err := b.Apply(tb.Context(), spec); err != nil {
		tb.Fatalf("Apply: %v", err)
	}
}

// client is one attachment: a pion client that publishes counted packets and counts what it receives.
type client struct {
	t      testing.TB
	e      *rtc.Engine
	ticket media.Ticket
	sess   media.Session
	ready  chan struct{}
	frames chan media.Out
	over   chan struct{}
	ran    chan struct{} // closed when run has returned
	wg     sync.WaitGroup

	mu      sync.Mutex
	sub     *webrtc.PeerConnection
	pub     *webrtc.PeerConnection
	subGen  int
	log     []media.Out
	got     map[string][]packet // by track id
	change  chan struct{}       // closed and renewed when log or got grow
	closed  media.Reason
	discard bool   // forget what is received
	sent    uint32 // number in the newest packet sent
	key     bool   // the next picture shall be a keyframe
	pli     int
	sdps    int // offers answered
}

type packet struct {
	n   uint32 // sender's number
	seq uint16
	ts  uint32
	key bool
}

func newClient(tb testing.TB, tk media.Ticket) *client {
	tb.Helper()
	c := &client{
		t: tb, ticket: tk, ready: make(chan struct{}), frames: make(chan media.Out, 1000), over: make(chan struct{}), ran: make(chan struct{}),
		got: map[string][]packet{}, change: make(chan struct{}),
	}
	go func() {
		defer close(c.ran)
		c.run()
	}()
	tb.Cleanup(c.stop)
	return c
}

// join opens the session and sends rtc.want.
func (b *bench) join(tb testing.TB, tk media.Ticket) *client {
	tb.Helper()
	c := newClient(tb, tk)
	c.e = b.Engine
	s, err := b.Open(tb.Context(), tk, c)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	c.sess = s
	c.must(wire.RTCWant, wire.RTCWantBody{Attach: string(tk.Kind), Codecs: []string{"VP8", "opus"}})
	close(c.ready) // only now: the answer to the first offer comes after rtc.want, as on a real line
	return c
}

func (c *client) Send(o media.Out) { c.frames <- o }

func (c *client) Closed(r media.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = r
	c.changed()
}

func (c *client) changed() {
	close(c.change)
	c.change = make(chan struct{})
}

func (c *client) stop() {
	if c.stopped() {
		return
	}
	close(c.over)
	<-c.ran // a description being set while its connection closes would leave an ICE agent of pion behind
	c.hangUp()
	c.wg.Wait()
}

func (c *client) hangUp() {
	c.mu.Lock()
	pcs := []*webrtc.PeerConnection{c.pub, c.sub}
	c.mu.Unlock()
	for _, pc := range pcs {
		if pc != nil {
			_ = pc.GracefulClose()
		}
	}
}

func (c *client) stopped() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

func (c *client) handle(t wire.Type, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.sess.Handle(context.Background(), t, b)
}

func (c *client) must(t wire.Type, body any) {
	c.t.Helper()
	if err := c.handle(t, body); err != nil {
		c.t.Fatalf("%s: %v", t, err)
	}
}

// run answers the server's offers.
func (c *client) run() {
	select {
	case <-c.ready:
	case <-c.over:
		return
	}
	for {
		select {
		case <-c.over:
			return
		case o := <-c.frames:
			switch b := o.B.(type) {
			case wire.RTCSDPBody:
				if b.PC == "sub" {
					c.answer(b)
				} else if err := c.pub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: b.SDP}); err != nil {
					c.t.Errorf("answer to pub: %v", err)
				}
			default:
			}
			c.mu.Lock()
			c.log = append(c.log, o)
			c.changed()
			c.mu.Unlock()
		}
	}
}

func (c *client) answer(b wire.RTCSDPBody) {
	c.mu.Lock()
	pc := c.sub
	if pc == nil || b.Gen != c.subGen {
		if pc != nil {
			old := pc
			c.wg.Go(func() { _ = old.GracefulClose() })
		}
		pc = newPC(c.t)
		c.sub, c.subGen = pc, b.Gen
		pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { c.receive(tr) })
	}
	c.mu.Unlock()
	err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: b.SDP})
	if err == nil {
		var a webrtc.SessionDescription
		if a, err = pc.CreateAnswer(nil); err == nil {
			err = pc.SetLocalDescription(a) // the engine is ICE-lite: it needs no candidates of ours
		}
	}
	if err == nil {
		err = c.handle(wire.RTCAnswer, wire.RTCSDPBody{PC: "sub", Gen: b.Gen, SDP: pc.LocalDescription().SDP})
	}
	switch fault.CodeOf(err) {
	case "rtc.no_room", "rtc.replaced": // the test has ended the session meanwhile
	default:
		if err != nil && !c.stopped() {
			c.t.Errorf("answering: %v", err)
		}
	}
	c.mu.Lock()
	c.sdps++
	c.changed()
	c.mu.Unlock()
}

func (c *client) receive(tr *webrtc.TrackRemote) {
	for {
		p, _, err := tr.ReadRTP()
		if err != nil {
			return
		}
		c.mu.Lock()
		if len(p.Payload) < 6 || c.discard {
			c.mu.Unlock()
			continue
		}
		c.got[tr.ID()] = append(c.got[tr.ID()], packet{
			n: binary.BigEndian.Uint32(p.Payload[2:]), seq: p.SequenceNumber, ts: p.Timestamp, key: p.Payload[1]&1 == 0,
		})
		c.changed()
		c.mu.Unlock()
	}
}

// publish sends 100 packets a second on a microphone and a camera until the client stops.
func (c *client) publish() {
	c.t.Helper()
	tracks, level := c.connect()
	c.wg.Go(func() { c.pump(tracks[0], tracks[1], level) })
}

// connect offers microphone and camera and waits for the connection; level is the id of the audio level extension.
func (c *client) connect() (tracks []*webrtc.TrackLocalStaticRTP, level uint8) {
	c.t.Helper()
	c.mu.Lock()
	pc := newPC(c.t)
	c.pub = pc
	c.mu.Unlock()
	up := make(chan struct{})
	var once sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(up) })
		}
	})
	for _, mime := range []string{webrtc.MimeTypeOpus, webrtc.MimeTypeVP8} {
		tr, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, mime, "me")
		if err != nil {
			c.t.Fatal(err)
		}
		tracks = append(tracks, tr)
		tv, err := pc.AddTransceiverFromTrack(tr, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			c.t.Fatal(err)
		}
		for _, x := range tv.Sender().GetParameters().HeaderExtensions {
			if x.URI == sdp.AudioLevelURI {
				level = uint8(x.ID)
			}
		}
		c.wg.Go(func() { c.readFeedback(tv.Sender()) })
	}
	c.offer(1)
	select {
	case <-up:
	case <-time.After(wait):
		c.t.Fatal("pub does not connect")
	}
	return tracks, level
}

func (c *client) offer(gen int) {
	c.t.Helper()
	offer, err := c.pub.CreateOffer(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.pub.SetLocalDescription(offer); err != nil {
		c.t.Fatal(err)
	}
	c.must(wire.RTCOffer, wire.RTCSDPBody{PC: "pub", Gen: gen, SDP: c.pub.LocalDescription().SDP})
}

func (c *client) readFeedback(s *webrtc.RTPSender) {
	for {
		pkts, _, err := s.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range pkts {
			if _, ok := p.(*rtcp.PictureLossIndication); ok {
				c.mu.Lock()
				c.key = true
				c.pli++
				c.changed()
				c.mu.Unlock()
			}
		}
	}
}

func (c *client) pump(mic, cam *webrtc.TrackLocalStaticRTP, level uint8) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.over:
			return
		case <-tick.C:
		}
		c.mu.Lock()
		c.sent++
		n, key := c.sent, c.key
		c.key = false
		c.changed()
		c.mu.Unlock()
		voice := counted(n, 960*n, true)
		if err := voice.SetExtension(level, []byte{20}); err != nil { // -20 dBov
			c.t.Error(err)
		}
		_ = mic.WriteRTP(voice)
		_ = cam.WriteRTP(counted(n, 900*n, key))
	}
}

// counted is a packet that carries its number; for VP8 it is a whole picture.
func counted(n, ts uint32, key bool) *rtp.Packet {
	payload := make([]byte, 40)
	payload[0] = 0x10 // VP8: start of partition 0
	if !key {
		payload[1] = 1
	}
	binary.BigEndian.PutUint32(payload[2:], n)
	return &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: ts, Marker: true}, Payload: payload}
}

// condition tells how far the client's connections are, for a test that failed.
func (c *client) condition() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := ""
	for name, pc := range map[string]*webrtc.PeerConnection{"pub": c.pub, "sub": c.sub} {
		if pc != nil {
			out += fmt.Sprintf("%s %s, ICE %s, signalling %s; ", name, pc.ConnectionState(), pc.ICEConnectionState(), pc.SignalingState())
		}
	}
	for _, o := range c.log {
		out += " " + o.T.String()
	}
	if c.e != nil {
		out += "\nthe engine says:\n" + c.e.Describe(c.ticket.Room)
	}
	return out
}

// until waits for a condition on the client's state.
func (c *client) until(what string, ok func() bool) {
	c.t.Helper()
	limit := time.After(wait)
	for {
		c.mu.Lock()
		good, change := ok(), c.change
		c.mu.Unlock()
		if good {
			return
		}
		select {
		case <-change:
		case <-limit:
			c.t.Fatalf("%s/%s: never %s\n%s", c.ticket.Participant, c.ticket.Kind, what, c.condition())
		}
	}
}

// receives waits until packets newer than number after have come on a track.
func (c *client) receives(track string, after uint32) {
	c.t.Helper()
	c.until("received "+track, func() bool {
		list := c.got[track]
		return len(list) > 0 && list[len(list)-1].n > after
	})
}

// sends waits until n more packets have been sent.
func (c *client) sends(n uint32) {
	c.t.Helper()
	from := c.newest()
	c.until("sent packets", func() bool { return c.sent >= from+n })
}

func (c *client) newest() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

func (c *client) packets(track string) []packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]packet(nil), c.got[track]...)
}

// last returns the newest frame of a type into a fresh T.
func last[T any](c *client, t wire.Type) (v T, ok bool) {
	for _, o := range slices.Backward(c.log) {
		if o.T == t {
			v, ok = o.B.(T)
			return v, ok
		}
	}
	return v, false
}

// hears waits for a frame of a type that satisfies good.
func hears[T any](c *client, t wire.Type, what string, good func(T) bool) {
	c.t.Helper()
	c.until("told "+what, func() bool {
		v, ok := last[T](c, t)
		return ok && good(v)
	})
}

func newPC(tb testing.TB) *webrtc.PeerConnection {
	tb.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(func(ip net.IP) bool { return ip.Equal(net.IPv4(127, 0, 0, 1)) })
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		tb.Fatal(err)
	}
	if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.AudioLevelURI}, webrtc.RTPCodecTypeAudio); err != nil {
		tb.Fatal(err)
	}
	reg := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(m, reg); err != nil {
		tb.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(reg)).
		NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		tb.Fatal(err)
	}
	return pc
}
