package sim

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/ice/v2"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"

	"heyi/gateway/wire"
)

// Source makes the media of one publisher: it writes into the two tracks until ctx ends; wantKey is set when the
// server asks for a keyframe.
type Source func(ctx context.Context, mic, cam *webrtc.TrackLocalStaticRTP, wantKey *atomic.Bool)

// Peer is one attachment of a call: a media line and its peer connections, as a browser would run them. NACK and
// transport feedback are on, as in browsers.
type Peer struct {
	WS  *websocket.Conn
	API *webrtc.API
	Src Source // nil: receives only

	mu      sync.Mutex // guards ws writes and pcs
	pub     *webrtc.PeerConnection
	sub     *webrtc.PeerConnection
	wg      sync.WaitGroup
	wantKey atomic.Bool

	Packets    atomic.Int64          // RTP packets received
	First      chan struct{}         // made by Start, closed at the first packet
	FirstVideo chan struct{}         // made by Start, closed at the first video packet
	Delay      func(d time.Duration) // called per stamped video packet, may be nil
	first      sync.Once
	once       sync.Once
}

// LineError ends a media line; its code says what the client does next (docs/protocol.md, rtc.fail).
type LineError struct{ Code string }

func (e *LineError) Error() string { return "the engine refused: " + e.Code }

// NewPeerAPI returns the engine of loopback peers; one serves many.
func NewPeerAPI() (*webrtc.API, error) {
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, fmt.Errorf("codecs: %w", err)
	}
	reg := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(m, reg); err != nil {
		return nil, fmt.Errorf("interceptors: %w", err)
	}
	se := webrtc.SettingEngine{}
	se.SetIncludeLoopbackCandidate(true)
	se.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(reg), webrtc.WithSettingEngine(se)), nil
}

// Start sends rtc.want and, with a source, the offer of the pub connection. The line must be welcomed already.
func (p *Peer) Start(ctx context.Context, attach string) error {
	p.First, p.FirstVideo = make(chan struct{}), make(chan struct{})
	if err := p.Send(wire.RTCWant, wire.RTCWantBody{Attach: attach, Codecs: []string{"VP8", "opus"}, Engine: Model}); err != nil {
		return err
	}
	if p.Src == nil {
		return nil
	}
	return p.publish(ctx)
}

// Send writes one frame on the media line.
func (p *Peer) Send(t wire.Type, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	out, err := wire.Append(nil, &wire.Frame{T: t, B: raw})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.WS.WriteMessage(websocket.TextMessage, out); err != nil {
		return fmt.Errorf("write %s: %w", t, err)
	}
	return nil
}

// Run handles the server's frames until the line ends, then closes the connections and waits for what it started.
func (p *Peer) Run() error {
	err := p.frames()
	p.mu.Lock()
	pcs := []*webrtc.PeerConnection{p.pub, p.sub}
	p.mu.Unlock()
	for _, pc := range pcs {
		if pc != nil {
			err = errors.Join(err, pc.Close())
		}
	}
	p.wg.Wait()
	return err
}

func (p *Peer) frames() error {
	for {
		_, raw, err := p.WS.ReadMessage()
		if err != nil {
			var ce *websocket.CloseError
			if errors.As(err, &ce) || errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "closed network") {
				return nil
			}
			return fmt.Errorf("media line: %w", err)
		}
		var f wire.Frame
		if err := wire.Decode(raw, &f); err != nil {
			return fmt.Errorf("media line: %w", err)
		}
		if err := p.handle(&f); err != nil {
			return err
		}
	}
}

func (p *Peer) handle(f *wire.Frame) error {
	switch f.T {
	case wire.RTCOffer:
		var b wire.RTCSDPBody
		if err := f.Body(&b); err != nil {
			return err
		}
		return p.answer(b)
	case wire.RTCAnswer:
		var b wire.RTCSDPBody
		if err := f.Body(&b); err != nil {
			return err
		}
		p.mu.Lock()
		pc := p.pub
		p.mu.Unlock()
		if pc == nil {
			return nil
		}
		if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: b.SDP}); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	case wire.RTCFail:
		var b wire.RTCFailBody
		if err := f.Body(&b); err != nil {
			return err
		}
		return &LineError{b.Code}
	case wire.RTCMove:
		return &LineError{"rtc.move"} // the room stands elsewhere: the owner enters anew
	default: // phase, members, levels: nothing to do for a simulated caller
	}
	return nil
}

// answer follows an offer of the server for the sub connection. The server is ICE-lite: it needs no candidates of ours.
func (p *Peer) answer(b wire.RTCSDPBody) error {
	p.mu.Lock()
	pc := p.sub
	p.mu.Unlock()
	if pc == nil {
		var err error
		if pc, err = p.API.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle}); err != nil {
			return fmt.Errorf("sub: %w", err)
		}
		pc.OnTrack(p.receive)
		p.mu.Lock()
		p.sub = pc
		p.mu.Unlock()
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: b.SDP}); err != nil {
		return fmt.Errorf("sub offer: %w", err)
	}
	ans, err := pc.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("sub answer: %w", err)
	}
	if err := pc.SetLocalDescription(ans); err != nil {
		return fmt.Errorf("sub answer: %w", err)
	}
	return p.Send(wire.RTCAnswer, wire.RTCSDPBody{PC: "sub", Gen: b.Gen, SDP: pc.LocalDescription().SDP})
}

// receive counts packets of one remote track until it ends; it runs in pion's goroutine.
func (p *Peer) receive(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	buf := make([]byte, 1500)
	var pk rtp.Packet
	video := t.Kind() == webrtc.RTPCodecTypeVideo
	for {
		n, _, err := t.Read(buf)
		if err != nil {
			return
		}
		p.Packets.Add(1)
		p.first.Do(func() { close(p.First) })
		if !video {
			continue
		}
		p.once.Do(func() { close(p.FirstVideo) })
		if p.Delay != nil && pk.Unmarshal(buf[:n]) == nil {
			if at, ok := stampOf(pk.Payload); ok {
				p.Delay(time.Since(at))
			}
		}
	}
}

// publish makes the pub connection, offers it and starts the source.
func (p *Peer) publish(ctx context.Context) error {
	pc, err := p.API.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
	if err != nil {
		return fmt.Errorf("pub: %w", err)
	}
	p.mu.Lock()
	p.pub = pc
	p.mu.Unlock()
	mic, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "mic", "own")
	if err != nil {
		return fmt.Errorf("mic: %w", err)
	}
	cam, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "cam", "own")
	if err != nil {
		return fmt.Errorf("cam: %w", err)
	}
	for _, t := range []*webrtc.TrackLocalStaticRTP{mic, cam} {
		tr, err := pc.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return fmt.Errorf("transceiver: %w", err)
		}
		p.wg.Go(func() { p.feedback(tr.Sender()) })
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("pub offer: %w", err)
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		return fmt.Errorf("pub offer: %w", err)
	}
	up := make(chan struct{})
	var once sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(up) })
		}
	})
	p.wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-up:
			p.Src(ctx, mic, cam, &p.wantKey)
		}
	})
	return p.Send(wire.RTCOffer, wire.RTCSDPBody{PC: "pub", Gen: 1, SDP: pc.LocalDescription().SDP})
}

// feedback reads RTCP of a sender: a PLI makes the source send a keyframe.
func (p *Peer) feedback(s *webrtc.RTPSender) {
	for {
		list, _, err := s.ReadRTCP()
		if err != nil {
			return
		}
		for _, pk := range list {
			switch pk.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				p.wantKey.Store(true)
			}
		}
	}
}

// stampMark tells a stamped synthetic packet from others.
const stampMark = 0x48455949 // "HEYI"

// stamp writes mark and the time into a payload behind its first 16 bytes.
func stamp(payload []byte, at time.Time) {
	binary.BigEndian.PutUint32(payload[16:], stampMark)
	binary.BigEndian.PutUint64(payload[20:], uint64(at.UnixNano()))
}

func stampOf(payload []byte) (time.Time, bool) {
	if len(payload) < 28 || binary.BigEndian.Uint32(payload[16:]) != stampMark {
		return time.Time{}, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(payload[20:]))), true
}
