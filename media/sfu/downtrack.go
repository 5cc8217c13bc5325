package sfu

import (
	"math/bits"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// Header is the RTP header of an outgoing packet: no contributing sources, no extensions of the publisher.
type Header = rtp.Header

// PayloadTypes are the negotiated payload types of a subscriber by codec; 0 = not negotiated.
type PayloadTypes [H264 + 1]uint8

const (
	maxPLIPerSecond = 2   // from one subscriber (media.md §15.1)
	resendSlots     = 128 // retransmissions whose time is remembered
	resendTries     = 3   // of one packet
	resendFloor     = 20  // retransmissions a second that are always answered; beyond, a quarter of what was sent
	mtu             = 1500
)

// Downtrack is one subscriber's copy of a Track behind a gate. It starts closed. Safe for concurrent use.
type Downtrack struct {
	track *Track
	video bool

	mu      sync.Mutex
	open    bool // the gate
	sink    Sink
	ssrc    uint32
	pts     PayloadTypes
	codec   Codec
	waiting bool   // for the first packet of a period
	gen     uint32 // source generation when the gate opened
	floor   uint32 // highest packet of that generation when the gate opened: only later ones pass
	floored bool
	rw      Rewriter
	header  Header
	scratch []byte

	packets uint32
	octets  uint32
	rtt     time.Duration
	srNTP   uint32
	srAt    time.Time
	pliAt   time.Time
	plis    int
	resends [resendSlots]resend
	budget  budget
}

type resend struct {
	at    time.Time
	seq   uint16
	tries uint8
}

// budget bounds retransmissions: a subscriber whose link is full asks for ever more, and answering all of it would
// only fill the link further.
type budget struct {
	second time.Time
	sent   int // packets in this second
	resent int
}

func (b *budget) spend(now time.Time, again bool) bool {
	if now.Sub(b.second) >= time.Second {
		*b = budget{second: now}
	}
	if !again {
		b.sent++
		return true
	}
	if b.resent >= resendFloor && 4*b.resent >= b.sent {
		return false
	}
	b.resent++
	return true
}

// NewDowntrack joins a subscriber to a track. video says that a period must begin with a keyframe.
func NewDowntrack(t *Track, video bool) *Downtrack {
	clock := Opus.ClockRate()
	if video {
		clock = VP8.ClockRate()
	}
	d := &Downtrack{track: t, video: video, rw: Rewriter{clock: clock}, rtt: rttAtStart}
	t.attach(d)
	return d
}

// Bind gives the stream to write to. A picture whose gate is open already starts with a fresh keyframe.
func (d *Downtrack) Bind(sink Sink, ssrc uint32, pts PayloadTypes, now time.Time) {
	d.mu.Lock()
	d.sink, d.ssrc, d.pts = sink, ssrc, pts
	d.header = Header{Version: 2, SSRC: ssrc}
	opened := d.open
	d.mu.Unlock()
	if opened && d.video {
		d.track.WantKeyframe(now, true)
	}
}

// Unbind takes the stream away; no write is in flight when it returns.
func (d *Downtrack) Unbind() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sink = nil
}

// Open opens the gate: from now on packets newer than the newest known one pass, a picture from its next keyframe on,
// which is asked for at once. It reports false when the gate was open.
func (d *Downtrack) Open(now time.Time) bool {
	gen, highest, started := d.track.highest()
	d.mu.Lock()
	if d.open {
		d.mu.Unlock()
		return false
	}
	d.gen, d.floor, d.floored = gen, highest, started
	d.waiting = true
	d.rw.Break()
	d.open = true
	d.mu.Unlock()
	if d.video {
		d.track.WantKeyframe(now, true)
	}
	return true
}

// Close closes the gate. When it returns nothing of this downtrack is in flight and nothing old is retransmitted. It
// reports false when the gate was closed.
func (d *Downtrack) Close() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.open
	d.open = false
	return was
}

// Remove closes the gate and leaves the track for ever.
func (d *Downtrack) Remove() {
	d.Close()
	d.Unbind()
	d.track.detach(d)
}

// IsOpen reports whether the gate is open.
func (d *Downtrack) IsOpen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// Counts returns the packets and payload octets sent.
func (d *Downtrack) Counts() (packets, octets uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.packets, d.octets
}

func (d *Downtrack) forward(p *Packet, codec Codec, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open || d.sink == nil || d.pts[codec] == 0 || !d.admit(p, codec) {
		return
	}
	seq, ts, ok := d.rw.Next(p, now)
	if !ok {
		return
	}
	payload := p.Payload
	if codec == VP8 && d.rw.patches() && p.vp8.parsed {
		d.scratch = append(d.scratch[:0], payload...)
		d.rw.patch(d.scratch, p.vp8)
		payload = d.scratch
	}
	d.budget.spend(now, false)
	if !d.write(codec, seq, ts, p.Marker, payload) && d.waiting {
		d.rw.Break() // the stream was not up: begin again with the next keyframe
		return
	}
	d.waiting = false
}

// admit decides whether a packet may be the next: not from before the gate opened, and a period begins with a
// keyframe. A new source begins a new period.
func (d *Downtrack) admit(p *Packet, codec Codec) bool {
	if p.gen != d.gen {
		if int32(p.gen-d.gen) < 0 {
			return false
		}
		d.gen, d.floored, d.waiting = p.gen, false, true
		d.rw.Break()
	}
	if d.floored && int32(p.ext-d.floor) <= 0 {
		return false
	}
	if d.waiting && d.video && !p.key {
		return false
	}
	d.codec = codec
	return true
}

// write sends one packet; it is called with the mutex held.
func (d *Downtrack) write(codec Codec, seq uint16, ts uint32, marker bool, payload []byte) bool {
	d.header.PayloadType = d.pts[codec]
	d.header.SequenceNumber, d.header.Timestamp, d.header.Marker = seq, ts, marker
	n, err := d.sink.WriteRTP(&d.header, payload)
	if err != nil || n == 0 {
		return false
	}
	d.packets++
	d.track.totals.Out.Add(1)
	d.octets += uint32(len(payload))
	return true
}

// HandleRTCP takes what a subscriber says about this stream: NACK, PLI or FIR, reception reports. Closed gates answer
// nothing, because even a keyframe request reveals that someone is there (media.md §10.1).
func (d *Downtrack) HandleRTCP(pkts []rtcp.Packet, now time.Time) {
	for _, pkt := range pkts {
		switch m := pkt.(type) {
		case *rtcp.TransportLayerNack:
			for _, pair := range m.Nacks {
				d.track.totals.NacksIn.Add(uint64(1 + bits.OnesCount16(uint16(pair.LostPackets))))
				d.retransmit(m.MediaSSRC, pair, now)
			}
		case *rtcp.PictureLossIndication:
			d.track.totals.PLIsIn.Add(1)
			d.wantKeyframe(m.MediaSSRC, now)
		case *rtcp.FullIntraRequest:
			for _, e := range m.FIR {
				d.track.totals.PLIsIn.Add(1)
				d.wantKeyframe(e.SSRC, now)
			}
		case *rtcp.ReceiverReport:
			d.reception(m.Reports, now)
		default:
		}
	}
}

func (d *Downtrack) wantKeyframe(ssrc uint32, now time.Time) {
	d.mu.Lock()
	ask := d.open && d.video && ssrc == d.ssrc
	if ask {
		if now.Sub(d.pliAt) >= time.Second {
			d.pliAt, d.plis = now, 0
		}
		d.plis++
		ask = d.plis <= maxPLIPerSecond
	}
	d.mu.Unlock()
	if ask {
		d.track.WantKeyframe(now, false)
	}
}

func (d *Downtrack) reception(reports []rtcp.ReceptionReport, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range reports {
		if r.SSRC == d.ssrc && r.LastSenderReport != 0 && r.LastSenderReport == d.srNTP {
			held := time.Duration(r.Delay) * time.Second / 65536
			if rtt := now.Sub(d.srAt) - held; rtt > 0 {
				d.rtt = max((7*d.rtt+rtt)/8, rttSmallest)
			}
		}
	}
}

// retransmit answers one NACK pair from the track's cache: gate first, and no packet twice within one round trip. A
// miss needs no answer: the track's own Nacker is asking the publisher.
func (d *Downtrack) retransmit(ssrc uint32, pair rtcp.NackPair, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open || d.waiting || d.sink == nil || ssrc != d.ssrc {
		return
	}
	pair.Range(func(seq uint16) bool {
		ext, ok := d.rw.Source(seq)
		if !ok {
			return true
		}
		slot := &d.resends[seq%resendSlots]
		if slot.seq != seq || now.Sub(slot.at) > time.Minute { // another packet, or one from 65,536 ago
			*slot = resend{seq: seq}
		}
		if slot.tries >= resendTries || now.Sub(slot.at) < d.rtt {
			return true
		}
		if d.scratch == nil {
			d.scratch = make([]byte, 0, mtu)
		}
		payload, ts, marker, ok := d.track.cached(d.gen, ext, d.scratch[:0])
		d.scratch = payload
		if !ok {
			return true
		}
		if d.codec == VP8 && d.rw.patches() {
			if h := parseVP8(payload); h.parsed {
				d.rw.patch(payload, h)
			}
		}
		if !d.budget.spend(now, true) {
			return false
		}
		slot.at = now
		slot.tries++
		d.track.totals.Resent.Add(1)
		d.write(d.codec, seq, ts+d.rw.tsOff, marker, payload)
		return true
	})
}

func (d *Downtrack) senderReport(gen uint32, sr *rtcp.SenderReport, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open || d.waiting || d.sink == nil || gen != d.gen {
		return
	}
	d.srNTP, d.srAt = uint32(sr.NTPTime>>16), now
	_ = d.sink.WriteRTCP([]rtcp.Packet{&rtcp.SenderReport{ // lost reports are followed by others
		SSRC: d.ssrc, NTPTime: sr.NTPTime, RTPTime: sr.RTPTime + d.rw.tsOff, PacketCount: d.packets, OctetCount: d.octets,
	}})
}
