package rtc

import (
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
	"github.com/pion/transport/v2/packetio"
	"github.com/pion/webrtc/v3"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/media"
	"heyi/media/sfu"
)

// twccEvery is how often arrival times go back to the publisher's congestion control.
const twccEvery = 100 * time.Millisecond

// pub is one connection that brings a publisher's media. The loop owns it, except what ingest names.
type pub struct {
	s          *session
	gen        int
	pc         *webrtc.PeerConnection
	kinds      media.Kinds // published by the last offer
	up         bool
	candidates int
	ingest     *ingest
	owned      map[*sfu.Track]uint32 // generation of our source in each track
}

// ingest is the packet side of a pub. pion decrypts the RTP of one connection on one goroutine and its RTCP on
// another; the fields below table belong to the first.
type ingest struct {
	now   func() time.Time
	pc    atomic.Pointer[webrtc.PeerConnection]
	table atomic.Pointer[uplinks]

	packet   sfu.Packet
	recorder *twcc.Recorder
	start    time.Time
	fedBack  time.Time

	rtcpSecond time.Time // of the RTCP goroutine
	rtcpCount  int
}

type uplinks struct {
	bySSRC map[uint32]uplink
	codecs [128]sfu.Codec
	exts   sfu.ExtIDs
}

type uplink struct {
	track *sfu.Track
	gen   uint32
}

// offer takes a publisher's offer: the first of a generation makes the connection, later ones renegotiate it.
func (s *session) offer(b wire.RTCSDPBody) error {
	if b.PC != "pub" || !sfu.Publishes(s.kind) {
		return fault.New(fault.Forbidden, "rtc.not_admitted")
	}
	if s.pub != nil && b.Gen < s.pub.gen {
		return nil // stale
	}
	if !s.offers.Allow() {
		return fault.New(fault.TooMany, "rtc.rate_limited")
	}
	desc, err := guard(b.SDP, true)
	if err != nil {
		return err
	}
	if s.pub == nil || b.Gen > s.pub.gen {
		s.dropPub()
		if s.pub, err = s.newPub(b.Gen); err != nil {
			return err
		}
	}
	s.pub.candidates = 0
	s.pub.adopt(desc)
	sdp, err := s.pub.negotiate(b.SDP)
	if err != nil {
		s.dropPub()
		s.r.reconcile(s.r.now(), nil)
		return fault.Wrap(fault.Invalid, "rtc.bad_sdp", errNegotiation) // pion's error quotes the SDP
	}
	s.send(wire.RTCAnswer, wire.RTCSDPBody{PC: "pub", Gen: b.Gen, SDP: sdp})
	s.r.reconcile(s.r.now(), nil)
	return nil
}

func (s *session) newPub(gen int) (*pub, error) {
	now := s.r.e.cfg.Now
	in := &ingest{now: now, recorder: twcc.NewRecorder(rand.Uint32()), start: now()} //nolint:gosec // an SSRC is no secret
	in.table.Store(&uplinks{})
	pc, err := s.r.e.apis.pub(in.buffer)
	if err != nil {
		return nil, err
	}
	in.pc.Store(pc)
	p := &pub{s: s, gen: gen, pc: pc, ingest: in, owned: map[*sfu.Track]uint32{}}
	pc.OnConnectionStateChange(func(webrtc.PeerConnectionState) { s.r.post(func() { p.stateChanged() }) })
	pc.OnICEConnectionStateChange(func(webrtc.ICEConnectionState) { s.r.post(func() { p.stateChanged() }) })
	s.r.after(s.r.e.cfg.Handshake, func() {
		if st := stateOf(pc); s.pub == p && (st == webrtc.PeerConnectionStateNew || st == webrtc.PeerConnectionStateConnecting) {
			s.dropPub()
		}
	})
	return p, nil
}

// adopt makes the offered streams the sources of the person's tracks, before the first packet can come.
func (p *pub) adopt(desc description) {
	person := p.s.r.people[p.s.participant]
	table := &uplinks{bySSRC: map[uint32]uplink{}, codecs: desc.codecs, exts: desc.exts}
	old := p.ingest.table.Load()
	p.kinds = 0
	for _, st := range desc.streams {
		track := person.tracks[st.kind]
		up, known := old.bySSRC[st.ssrc]
		if !known || up.track != track {
			up = uplink{track, track.SetSource(sfu.Source{SSRC: st.ssrc, Codec: st.codec, Feedback: p.pc, SSRCSelf: 1})}
		}
		table.bySSRC[st.ssrc] = up
		p.owned[track] = up.gen
		p.kinds |= st.kind
	}
	p.ingest.table.Store(table)
}

func (p *pub) negotiate(offer string) (string, error) {
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	return settle(p.pc, answer)
}

// stateChanged follows the connection; callbacks may come in any order, so the state is read, not passed.
func (p *pub) stateChanged() {
	s := p.s
	if s.pub != p {
		return
	}
	switch stateOf(p.pc) {
	case webrtc.PeerConnectionStateConnected:
		p.up = true
	case webrtc.PeerConnectionStateDisconnected:
		p.up = false
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		s.dropPub()
	default:
	}
	s.r.reconcile(s.r.now(), nil)
}

// dropPub ends the uplink; the caller reconciles.
func (s *session) dropPub() {
	p := s.pub
	if p == nil {
		return
	}
	s.pub = nil
	p.ingest.table.Store(&uplinks{})
	for track, gen := range p.owned {
		track.DropSource(gen)
	}
	s.r.e.reap(p.pc, s.r.id)
}

// buffer implements bufferFactory.
func (in *ingest) buffer(kind packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser {
	if kind == packetio.RTPBufferPacket {
		return sink(in.rtp)
	}
	return sink(func(b []byte) { in.rtcp(ssrc, b) })
}

// rtp takes one decrypted packet.
func (in *ingest) rtp(b []byte) {
	table := in.table.Load()
	if !in.packet.Parse(b, table.exts) {
		return
	}
	now := in.now()
	p := &in.packet
	if p.HasTWCC {
		in.recorder.Record(p.SSRC, p.TWCC, now.Sub(in.start).Microseconds())
	}
	if up, ok := table.bySSRC[p.SSRC]; ok {
		up.track.Receive(up.gen, p, table.codecs[p.PT], now)
	}
	if p.HasTWCC && now.Sub(in.fedBack) >= twccEvery {
		in.fedBack = now
		if pkts := in.recorder.BuildFeedbackPacket(); len(pkts) > 0 {
			_ = in.pc.Load().WriteRTCP(pkts) // the next report covers a lost one
		}
	}
}

// rtcp takes one decrypted compound packet of the publisher.
func (in *ingest) rtcp(ssrc uint32, b []byte) {
	now := in.now()
	if !within(&in.rtcpSecond, &in.rtcpCount, now) {
		return
	}
	up, ok := in.table.Load().bySSRC[ssrc]
	if !ok {
		return
	}
	pkts, err := rtcp.Unmarshal(b)
	if err != nil {
		return
	}
	for _, pkt := range pkts {
		if sr, ok := pkt.(*rtcp.SenderReport); ok && sr.SSRC == ssrc {
			up.track.SenderReport(up.gen, sr, now)
		}
	}
}

// within counts RTCP packets of a connection against maxRTCP a second.
func within(second *time.Time, count *int, now time.Time) bool {
	if now.Sub(*second) >= time.Second {
		*second, *count = now, 0
	}
	*count++
	return *count <= maxRTCP
}
