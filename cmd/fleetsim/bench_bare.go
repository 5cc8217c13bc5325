package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v3"

	"heyi/cmd/fleetsim/sim"
	"heyi/gateway/wire"
	"heyi/internal/ident"
	"heyi/media"
)

// The yardsticks: what the libraries cost without a product on them, measured by the same load in the same run, so
// that a ratio means something on a machine that is busy or slow.
const (
	bareEchoCommand = "bare-echo-for-bench"
	bareSFUCommand  = "bare-sfu-for-bench"
)

// serveBench prints the address of a loopback listener and serves until ctx ends.
func serveBench(ctx context.Context, h http.Handler) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	_, _ = fmt.Fprintln(os.Stdout, ln.Addr())
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// runBareEcho echoes messages: gorilla as tuned as our links (small read buffer, pooled write buffers, a fresh
// goroutine after the upgrade), without handshake, store or protocol.
func runBareEcho(ctx context.Context) error {
	up := websocket.Upgrader{
		ReadBufferSize: 512, WriteBufferSize: 4096, WriteBufferPool: &sync.Pool{}, Subprotocols: []string{wire.Subprotocol},
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		open []*websocket.Conn
	)
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+bareShoutPath, func(w http.ResponseWriter, _ *http.Request) { // nothing else is written meanwhile
		msg, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte(`{"v":1,"t":"going_away","b":{"why":"deploy","window_ms":3000}}`))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, ws := range open {
			_ = ws.WritePreparedMessage(msg) // a link that is gone
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		mu.Lock()
		open = append(open, ws)
		mu.Unlock()
		wg.Go(func() {
			stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
			defer stop()
			echo(ws)
		})
	})
	err := serveBench(ctx, mux)
	wg.Wait()
	return err
}

// bareShoutPath makes the echo server say one thing to all.
const bareShoutPath = "/shout"

func bareShout(ctx context.Context, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+bareShoutPath, nil)
	if err != nil {
		return fmt.Errorf("shout: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("shout: %w", err)
	}
	return res.Body.Close() //nolint:wrapcheck // nothing to add
}

func echo(ws *websocket.Conn) {
	defer func() { _ = ws.Close() }()
	for {
		typ, b, err := ws.ReadMessage()
		if err != nil || ws.WriteMessage(typ, b) != nil {
			return
		}
	}
}

// bareSFU forwards every member's tracks to every other member of its room: pion without interceptors, one UDP port,
// ICE-lite, TrackLocalStaticRTP. It knows no rights, gates, retransmissions or keyframe requests.
type bareSFU struct {
	ctx context.Context //nolint:containedctx // of the process
	api *webrtc.API
	wg  sync.WaitGroup

	mu    sync.Mutex
	rooms map[ident.RoomID]map[ident.ParticipantID]map[webrtc.RTPCodecType]*webrtc.TrackLocalStaticRTP
}

func runBareSFU(ctx context.Context) error {
	pc, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return fmt.Errorf("codecs: %w", err)
	}
	se := webrtc.SettingEngine{}
	se.SetLite(true)
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled // it would complain about the closed socket at the end
	se.LoggerFactory = quiet
	se.SetICEUDPMux(webrtc.NewICEUDPMux(quiet.NewLogger("ice"), pc))
	se.SetIncludeLoopbackCandidate(true)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s := &bareSFU{
		ctx:   ctx,
		api:   webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(se)),
		rooms: map[ident.RoomID]map[ident.ParticipantID]map[webrtc.RTPCodecType]*webrtc.TrackLocalStaticRTP{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /spec", s.spec)
	mux.HandleFunc("GET /rtc", s.line)
	err = serveBench(ctx, mux)
	s.wg.Wait()
	return errors.Join(err, pc.Close())
}

// spec makes the tracks of members that are new.
func (s *bareSFU) spec(w http.ResponseWriter, r *http.Request) {
	var spec media.RoomSpec
	if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	room := s.rooms[spec.Room]
	if room == nil {
		room = map[ident.ParticipantID]map[webrtc.RTPCodecType]*webrtc.TrackLocalStaticRTP{}
		s.rooms[spec.Room] = room
	}
	for _, m := range spec.Members {
		if room[m.ID] != nil {
			continue
		}
		mic, err1 := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "mic", string(m.ID))
		cam, err2 := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "cam", string(m.ID))
		if err := errors.Join(err1, err2); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		room[m.ID] = map[webrtc.RTPCodecType]*webrtc.TrackLocalStaticRTP{webrtc.RTPCodecTypeAudio: mic, webrtc.RTPCodecTypeVideo: cam}
	}
}

// line serves one member: its first frame brings our offer with everybody else's tracks.
func (s *bareSFU) line(w http.ResponseWriter, r *http.Request) {
	var t media.Ticket
	if err := json.Unmarshal([]byte(r.URL.Query().Get("ticket")), &t); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	up := websocket.Upgrader{}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	stop := context.AfterFunc(s.ctx, func() { _ = ws.Close() }) //nolint:contextcheck // a line outlives its request
	defer stop()
	m := &bareMember{s: s, t: t, p: sim.Peer{WS: ws}}
	_ = m.serve() // the line's end is the member's end
	_ = ws.Close()
	for _, pc := range []*webrtc.PeerConnection{m.pub, m.sub} {
		if pc != nil {
			_ = pc.Close() // the client is gone
		}
	}
}

type bareMember struct {
	s        *bareSFU
	t        media.Ticket
	p        sim.Peer // its line
	pub, sub *webrtc.PeerConnection
}

func (m *bareMember) serve() error {
	for {
		_, raw, err := m.p.WS.ReadMessage()
		if err != nil {
			return fmt.Errorf("line: %w", err)
		}
		var f wire.Frame
		if err := wire.Decode(raw, &f); err != nil {
			return fmt.Errorf("line: %w", err)
		}
		var b wire.RTCSDPBody
		if f.T == wire.RTCWant {
			err = m.offer()
		} else if err = f.Body(&b); err == nil {
			switch f.T {
			case wire.RTCOffer:
				err = m.accept(b)
			case wire.RTCAnswer:
				err = m.sub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: b.SDP})
			default:
			}
		}
		if err != nil {
			return err
		}
	}
}

func (m *bareMember) offer() (err error) {
	if m.sub, err = m.s.api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle}); err != nil {
		return fmt.Errorf("sub: %w", err)
	}
	m.s.mu.Lock()
	var tracks []*webrtc.TrackLocalStaticRTP
	for id, list := range m.s.rooms[m.t.Room] {
		if id != m.t.Participant {
			tracks = append(tracks, list[webrtc.RTPCodecTypeAudio], list[webrtc.RTPCodecTypeVideo])
		}
	}
	m.s.mu.Unlock()
	for _, t := range tracks {
		tr, err := m.sub.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return fmt.Errorf("sub: %w", err)
		}
		m.s.wg.Go(func() {
			buf := make([]byte, 1500)
			for {
				if _, _, err := tr.Sender().Read(buf); err != nil {
					return
				}
			}
		})
	}
	offer, err := m.sub.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("sub: %w", err)
	}
	return m.settle(m.sub, offer, wire.RTCOffer, "sub", 1)
}

// accept answers the member's offer; what comes is copied into its tracks.
func (m *bareMember) accept(b wire.RTCSDPBody) (err error) {
	if m.pub, err = m.s.api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle}); err != nil {
		return fmt.Errorf("pub: %w", err)
	}
	m.s.mu.Lock()
	tracks := m.s.rooms[m.t.Room][m.t.Participant]
	m.s.mu.Unlock()
	m.pub.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		buf := make([]byte, 1500)
		for {
			n, _, err := remote.Read(buf)
			if err != nil {
				return
			}
			_, _ = tracks[remote.Kind()].Write(buf[:n]) // a subscriber who left
		}
	})
	if err := m.pub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: b.SDP}); err != nil {
		return fmt.Errorf("pub: %w", err)
	}
	answer, err := m.pub.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("pub: %w", err)
	}
	return m.settle(m.pub, answer, wire.RTCAnswer, "pub", b.Gen)
}

func (m *bareMember) settle(pc *webrtc.PeerConnection, desc webrtc.SessionDescription, t wire.Type, name string, gen int) error {
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(desc); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	<-gathered
	return m.p.Send(t, wire.RTCSDPBody{PC: name, Gen: gen, SDP: pc.LocalDescription().SDP})
}
