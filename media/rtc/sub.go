package rtc

import (
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/transport/v2/packetio"
	"github.com/pion/webrtc/v3"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/media/sfu"
)

const (
	coalesce     = 150 * time.Millisecond // changes of members go into one offer
	gatherWithin = 2 * time.Second        // host candidates of an open socket take microseconds
)

var (
	errNegotiation = errors.New("rtc: negotiation failed")
	errGathering   = errors.New("rtc: no candidates")
)

// sub is one connection that carries the other members' tracks to a subscriber. The loop owns it, except egress.
type sub struct {
	s          *session
	gen        int
	pc         *webrtc.PeerConnection
	downs      map[trackKey]*down
	up         bool
	candidates int

	offered    bool // an offer waits for its answer
	offerNo    int
	answered   int                            // number of the newest offer that was answered
	spare      map[*webrtc.RTPTransceiver]int // m-lines of leavers, with the number of the last offer before
	stale      bool                           // members have changed since
	scheduled  bool                           // a coalesced offer is coming
	iceRestart bool

	egress *egress
}

type trackKey struct {
	from ident.ParticipantID
	kind media.Kinds
}

// egress finds the downtrack that a subscriber's RTCP is about. It is filled by Bind and read by pion's decrypting
// goroutine.
type egress struct {
	now    func() time.Time
	mu     sync.RWMutex
	bySSRC map[uint32]*sfu.Downtrack

	rtcpSecond time.Time // of the RTCP goroutine
	rtcpCount  int
}

// down is one m-line: another member's track for this subscriber. It implements webrtc.TrackLocal.
type down struct {
	trackKey
	sub    *sub
	gate   *sfu.Downtrack
	tr     *webrtc.RTPTransceiver
	sender *webrtc.RTPSender
}

// newSub makes the connection with an m-line for every track that the room can have now, and offers it at once.
func (s *session) newSub() error {
	eg := &egress{now: s.r.e.cfg.Now, bySSRC: map[uint32]*sfu.Downtrack{}}
	pc, err := s.r.e.apis.sub(eg.buffer)
	if err != nil {
		return err
	}
	s.subGen++
	b := &sub{s: s, gen: s.subGen, pc: pc, downs: map[trackKey]*down{}, spare: map[*webrtc.RTPTransceiver]int{}, egress: eg}
	s.sub = b
	pc.OnConnectionStateChange(func(webrtc.PeerConnectionState) { s.r.post(func() { b.stateChanged() }) })
	pc.OnICEConnectionStateChange(func(webrtc.ICEConnectionState) { s.r.post(func() { b.stateChanged() }) })
	if err := b.sync(); err != nil {
		s.dropSub()
		return err
	}
	return b.offer()
}

// syncDowntracks makes the m-lines follow the members of the room; changes are offered soon.
func (s *session) syncDowntracks() {
	b := s.sub
	if b == nil {
		return
	}
	before := b.stale
	b.stale = false
	err := b.sync()
	changed := b.stale
	b.stale = b.stale || before
	if err != nil {
		s.end("lost", "rtc.internal")
		return
	}
	if !changed || b.scheduled {
		return
	}
	b.scheduled = true
	s.r.after(coalesce, func() {
		b.scheduled = false
		if s.sub == b && b.stale && b.offer() != nil {
			s.end("lost", "rtc.internal")
			s.r.reconcile(s.r.now(), nil)
		}
	})
}

// sync adds and removes m-lines.
func (b *sub) sync() error {
	r := b.s.r
	for key, d := range b.downs {
		if r.people[key.from] != nil {
			continue
		}
		d.gate.Remove()
		delete(b.downs, key)
		b.stale = true
		if err := b.pc.RemoveTrack(d.sender); err != nil {
			return errNegotiation
		}
		b.spare[d.tr] = b.offerNo
	}
	for _, m := range r.spec.Members {
		if m.ID == b.s.participant {
			continue
		}
		for _, kind := range []media.Kinds{media.Mic, media.Cam} {
			key := trackKey{m.ID, kind}
			if b.downs[key] != nil {
				continue
			}
			if err := b.add(key); err != nil {
				return errNegotiation
			}
		}
	}
	return nil
}

func (b *sub) add(key trackKey) error {
	d := &down{trackKey: key, sub: b}
	d.gate = sfu.NewDowntrack(b.s.r.people[key.from].tracks[key.kind], key.kind == media.Cam)
	tr, err := b.transceiver(d)
	if err != nil {
		d.gate.Remove()
		return err
	}
	d.tr, d.sender = tr, tr.Sender()
	b.downs[key] = d
	b.stale = true
	return nil
}

// transceiver takes the m-line of a member who has left, else a new one. A leaver's m-line is free when the client
// has agreed that it is inactive; before that pion would make another one that also receives.
func (b *sub) transceiver(d *down) (*webrtc.RTPTransceiver, error) {
	for tr, since := range b.spare {
		if tr.Kind() != d.Kind() || b.offered || b.answered <= since {
			continue
		}
		sender, err := b.pc.AddTrack(d)
		if err != nil {
			return nil, err
		}
		for _, tr := range b.pc.GetTransceivers() {
			if tr.Sender() == sender {
				delete(b.spare, tr) // pion picks the first that is free, not always ours
				return tr, nil
			}
		}
		return nil, errNegotiation
	}
	return b.pc.AddTransceiverFromTrack(d, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
}

// offer sends the current m-lines. While an offer is out it only notes that another is needed.
func (b *sub) offer() error {
	if b.offered {
		b.stale = true
		return nil
	}
	if len(b.pc.GetTransceivers()) == 0 {
		return nil // alone in the room: the first member who comes brings the first offer
	}
	offer, err := b.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: b.iceRestart && b.pc.RemoteDescription() != nil})
	if err != nil {
		return errNegotiation
	}
	sdp, err := settle(b.pc, offer)
	if err != nil {
		return err
	}
	b.offered, b.stale, b.iceRestart, b.candidates = true, false, false, 0
	b.offerNo++
	no := b.offerNo
	b.s.send(wire.RTCOffer, wire.RTCSDPBody{PC: "sub", Gen: b.gen, SDP: sdp})
	b.s.r.after(b.s.r.e.cfg.AnswerWithin, func() {
		if b.s.sub == b && b.offered && b.offerNo == no {
			b.s.end("lost", "rtc.internal")
			b.s.r.reconcile(b.s.r.now(), nil)
		}
	})
	return nil
}

// answer takes a subscriber's answer.
func (s *session) answer(m wire.RTCSDPBody) error {
	b := s.sub
	if m.PC != "sub" || b == nil || m.Gen != b.gen || !b.offered {
		return nil // stale
	}
	if _, err := guard(m.SDP, false); err != nil {
		return err
	}
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.SDP}); err != nil {
		return fault.Wrap(fault.Invalid, "rtc.bad_sdp", errNegotiation) // pion's error quotes the SDP
	}
	b.offered, b.answered = false, b.offerNo
	s.r.after(s.r.e.cfg.Handshake, func() {
		if s.sub == b && stateOf(b.pc) == webrtc.PeerConnectionStateConnecting {
			s.dropSub()
			s.r.reconcile(s.r.now(), nil)
		}
	})
	if b.stale || b.iceRestart {
		if err := b.offer(); err != nil {
			return err
		}
	}
	s.r.reconcile(s.r.now(), nil)
	return nil
}

// stateChanged follows the connection. When DTLS is up the gates open, each with a keyframe request.
func (b *sub) stateChanged() {
	s := b.s
	if s.sub != b {
		return
	}
	switch stateOf(b.pc) {
	case webrtc.PeerConnectionStateConnected:
		b.up = true
	case webrtc.PeerConnectionStateDisconnected:
		b.up = false
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		s.dropSub()
	default:
	}
	s.r.reconcile(s.r.now(), nil)
}

// dropSub ends the downlink; the caller reconciles.
func (s *session) dropSub() {
	b := s.sub
	if b == nil {
		return
	}
	s.sub = nil
	for _, d := range b.downs {
		d.gate.Remove()
	}
	s.r.e.reap(b.pc, s.r.id)
}

// settle sets a local description and returns it with all candidates in it.
func settle(pc *webrtc.PeerConnection, desc webrtc.SessionDescription) (string, error) {
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(desc); err != nil {
		return "", errNegotiation
	}
	limit := time.NewTimer(gatherWithin)
	defer limit.Stop()
	select {
	case <-gathered:
	case <-limit.C:
		return "", errGathering
	}
	return pc.LocalDescription().SDP, nil
}

func (d *down) mid() string { return d.tr.Mid() }

// ID implements webrtc.TrackLocal: "<participant>:<mic|cam>", so that a client can map without rtc.tracks.
func (d *down) ID() string { return string(d.from) + ":" + kindName(d.kind) }

// StreamID implements webrtc.TrackLocal.
func (d *down) StreamID() string { return string(d.from) }

// RID implements webrtc.TrackLocal.
func (d *down) RID() string { return "" }

// Kind implements webrtc.TrackLocal.
func (d *down) Kind() webrtc.RTPCodecType {
	if d.kind == media.Cam {
		return webrtc.RTPCodecTypeVideo
	}
	return webrtc.RTPCodecTypeAudio
}

// Bind implements webrtc.TrackLocal: the m-line is negotiated, packets may be written.
func (d *down) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	var pts sfu.PayloadTypes
	var first webrtc.RTPCodecParameters
	for _, c := range ctx.CodecParameters() {
		codec := codecOf(c.MimeType)
		if codec == sfu.NoCodec || pts[codec] != 0 {
			continue
		}
		pts[codec] = uint8(c.PayloadType)
		if first.MimeType == "" {
			first = c
		}
	}
	if first.MimeType == "" {
		return first, webrtc.ErrUnsupportedCodec
	}
	ssrc := uint32(ctx.SSRC())
	d.sub.egress.add(ssrc, d.gate)
	d.gate.Bind(outgoing{ctx.WriteStream(), d.sub.pc}, ssrc, pts, d.sub.egress.now())
	return first, nil
}

// Unbind implements webrtc.TrackLocal.
func (d *down) Unbind(ctx webrtc.TrackLocalContext) error {
	d.gate.Unbind()
	d.sub.egress.remove(uint32(ctx.SSRC()))
	return nil
}

func codecOf(mime string) sfu.Codec {
	switch strings.ToLower(mime) {
	case strings.ToLower(webrtc.MimeTypeOpus):
		return sfu.Opus
	case strings.ToLower(webrtc.MimeTypeVP8):
		return sfu.VP8
	case strings.ToLower(webrtc.MimeTypeH264):
		return sfu.H264
	}
	return sfu.NoCodec
}

// outgoing joins the two ways out of a subscriber's connection to one sfu.Sink.
type outgoing struct {
	webrtc.TrackLocalWriter
	pc *webrtc.PeerConnection
}

// WriteRTCP implements sfu.Sink.
func (o outgoing) WriteRTCP(pkts []rtcp.Packet) error { return o.pc.WriteRTCP(pkts) }

func (eg *egress) add(ssrc uint32, d *sfu.Downtrack) {
	eg.mu.Lock()
	defer eg.mu.Unlock()
	eg.bySSRC[ssrc] = d
}

func (eg *egress) remove(ssrc uint32) {
	eg.mu.Lock()
	defer eg.mu.Unlock()
	delete(eg.bySSRC, ssrc)
}

// buffer implements bufferFactory. A subscriber sends no RTP.
func (eg *egress) buffer(kind packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser {
	if kind == packetio.RTPBufferPacket {
		return sink(func([]byte) {})
	}
	return sink(func(b []byte) { eg.rtcp(ssrc, b) })
}

// rtcp takes one decrypted compound packet. pion hands it in once for every SSRC it names; the downtrack picks what
// is about itself.
func (eg *egress) rtcp(ssrc uint32, b []byte) {
	now := eg.now()
	if !within(&eg.rtcpSecond, &eg.rtcpCount, now) {
		return
	}
	eg.mu.RLock()
	d := eg.bySSRC[ssrc]
	eg.mu.RUnlock()
	if d == nil {
		return
	}
	if pkts, err := rtcp.Unmarshal(b); err == nil {
		d.HandleRTCP(pkts, now)
	}
}

// sink is a buffer that hands each packet on at once. pion's own reader of it ends immediately, so that no goroutine
// waits per stream.
type sink func(b []byte)

// Write implements io.Writer.
func (f sink) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// Read implements io.Reader.
func (f sink) Read([]byte) (int, error) { return 0, io.EOF }

// Close implements io.Closer.
func (f sink) Close() error { return nil }
