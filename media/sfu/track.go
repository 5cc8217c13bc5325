package sfu

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
)

// Sink is where packets leave: one stream of a peer connection. A WriteRTP of 0 bytes without error means that the
// stream is not up yet. The header is reused after the call.
type Sink interface {
	WriteRTP(h *Header, payload []byte) (int, error)
	WriteRTCP(pkts []rtcp.Packet) error
}

// Feedback carries RTCP back to a publisher. Errors are the connection's own business.
type Feedback interface {
	WriteRTCP(pkts []rtcp.Packet) error
}

// Source is one published stream: a (re)connection of the publisher brings a new one.
type Source struct {
	SSRC     uint32
	Codec    Codec
	Feedback Feedback
	SSRCSelf uint32 // sender SSRC of our RTCP
}

// MaxPacketRate is the number of packets a second beyond which those of one track are dropped (media.md §15.1).
const MaxPacketRate = 2000

// Track is what one participant publishes of one kind. It lives as long as the participant is in the room; sources
// come and go. Safe for concurrent use.
type Track struct {
	downs   atomic.Pointer[[]*Downtrack] // copy on write: Receive takes no lock for it
	downsMu sync.Mutex
	loudest atomic.Uint32 // 127 + 1 - dBov: 0 = nothing heard since the last TakeLevel
	packets atomic.Uint64
	dropped atomic.Uint64
	totals  *Totals // set by AddTo before use

	mu     sync.Mutex
	gen    uint32
	live   bool
	src    Source
	recv   receiver
	floor  uint32 // zone barrier: nothing at or below it passes
	barred bool   // floor is set
	cache  *Cache
	nack   Nacker
	keys   KeyRequests
	second time.Time // rate guard
	count  int
}

// NewTrack returns a track without a source whose cache holds size packets.
func NewTrack(size int) *Track { return &Track{cache: NewCache(size), totals: &Totals{}} }

// SetSource makes src the only source and returns its generation, which Receive wants.
func (t *Track) SetSource(src Source) (gen uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gen++
	t.live, t.src = true, src
	t.recv = receiver{clock: src.Codec.ClockRate()}
	t.floor, t.barred = 0, false
	t.cache.Clear()
	t.nack, t.keys = Nacker{}, KeyRequests{}
	return t.gen
}

// DropSource ends the source of a generation; a newer one is left alone.
func (t *Track) DropSource(gen uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gen == gen {
		t.live = false
		t.cache.Clear()
		t.nack.Clear()
	}
}

// Receive takes one packet of the source of a generation and forwards it through every open gate. Calls for one
// generation come from one goroutine. Nothing is allocated for an ordinary packet.
func (t *Track) Receive(gen uint32, p *Packet, codec Codec, now time.Time) {
	t.mu.Lock()
	if !t.accept(gen, p, codec, now) {
		t.mu.Unlock()
		t.dropped.Add(1)
		t.totals.Refused.Add(1)
		return
	}
	ask := t.requests(now)
	fb := t.src.Feedback
	t.mu.Unlock()

	t.packets.Add(1)
	t.totals.In.Add(1)
	if p.HasLevel {
		t.heard(p.Level)
	}
	if downs := t.downs.Load(); downs != nil {
		for _, d := range *downs {
			d.forward(p, codec, now)
		}
	}
	if ask != nil {
		_ = fb.WriteRTCP(ask) // a publisher who cannot be reached is noticed by ICE
	}
}

func (t *Track) accept(gen uint32, p *Packet, codec Codec, now time.Time) bool {
	if !t.live || gen != t.gen || p.SSRC != t.src.SSRC || codec == NoCodec {
		return false
	}
	if now.Sub(t.second) >= time.Second {
		t.second, t.count = now, 0
	}
	if t.count++; t.count > MaxPacketRate {
		return false
	}
	ext, ok := t.recv.next(p.Seq)
	if !ok || (t.barred && int32(ext-t.floor) <= 0) || !t.cache.Put(ext, p.Timestamp, p.Marker, p.Payload) {
		return false
	}
	before := t.recv.highest
	if !t.recv.started {
		before = ext - 1
	}
	t.recv.note(ext, p.Timestamp, now)
	t.nack.Got(ext, before, now)
	p.ext, p.gen = ext, gen
	switch codec {
	case VP8:
		p.vp8 = parseVP8(p.Payload)
		p.key = p.vp8.key
	case H264:
		p.key = keyframeH264(p.Payload)
	default:
	}
	if p.key {
		t.keys.Got()
	}
	return true
}

// requests returns the RTCP that is due: NACK, keyframe request, reception report. Packets arrive at least every
// 20 ms while anyone speaks, so no timer is needed.
func (t *Track) requests(now time.Time) []rtcp.Packet {
	var out []rtcp.Packet
	if pairs := t.nack.Due(t.recv.highest, now); pairs != nil {
		t.totals.NacksOut.Add(1)
		out = append(out, &rtcp.TransportLayerNack{SenderSSRC: t.src.SSRCSelf, MediaSSRC: t.src.SSRC, Nacks: pairs})
	}
	if t.keys.Due(now) {
		out = append(out, t.pli())
	}
	if rep, ok := t.recv.report(t.src.SSRC, now); ok {
		out = append(out, &rtcp.ReceiverReport{SSRC: t.src.SSRCSelf, Reports: []rtcp.ReceptionReport{rep}})
	}
	return out
}

func (t *Track) pli() rtcp.Packet {
	t.totals.Keyframes.Add(1)
	return &rtcp.PictureLossIndication{SenderSSRC: t.src.SSRCSelf, MediaSSRC: t.src.SSRC}
}

// WantKeyframe asks the publisher of a picture for a keyframe, as often as KeyRequests allows.
func (t *Track) WantKeyframe(now time.Time, urgent bool) {
	t.mu.Lock()
	if !t.live || t.src.Codec == Opus || !t.keys.Want(now, urgent) {
		t.mu.Unlock()
		return
	}
	fb, pli := t.src.Feedback, t.pli()
	t.mu.Unlock()
	_ = fb.WriteRTCP([]rtcp.Packet{pli}) // repeated by requests when it was lost
}

// SenderReport takes a publisher's sender report and passes it on, mapped, through every open gate, so that receivers
// can join sound and picture (media.md §7.5).
func (t *Track) SenderReport(gen uint32, sr *rtcp.SenderReport, now time.Time) {
	t.mu.Lock()
	if !t.live || gen != t.gen || sr.SSRC != t.src.SSRC {
		t.mu.Unlock()
		return
	}
	t.recv.lastSR, t.recv.lastSRAt, t.recv.srTracked = uint32(sr.NTPTime>>16), now, true
	t.mu.Unlock()
	if downs := t.downs.Load(); downs != nil {
		for _, d := range *downs {
			d.senderReport(gen, sr, now)
		}
	}
}

// Barrier begins a new zone: what was published before, and comes late, is dropped and never retransmitted.
func (t *Track) Barrier() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cache.Clear()
	t.nack.Clear()
	if t.recv.started {
		t.floor, t.barred = t.recv.highest, true
	}
}

// TakeLevel returns the loudest level since the last call, 0 (silence) to 100.
func (t *Track) TakeLevel() int {
	v := int(t.loudest.Swap(0)) // 1..128, 128 = 0 dBov
	const quietest = 128 - 60   // -60 dBov and below count as silence
	return max(v-quietest, 0) * 100 / 60
}

func (t *Track) heard(level uint8) {
	v := 128 - uint32(level)
	for {
		old := t.loudest.Load()
		if v <= old || t.loudest.CompareAndSwap(old, v) {
			return
		}
	}
}

// Counts returns the packets accepted and dropped on ingress.
func (t *Track) Counts() (accepted, dropped uint64) { return t.packets.Load(), t.dropped.Load() }

func (t *Track) highest() (gen, ext uint32, started bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gen, t.recv.highest, t.live && t.recv.started
}

func (t *Track) cached(gen, ext uint32, dst []byte) (payload []byte, ts uint32, marker, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.live || gen != t.gen {
		return dst, 0, false, false
	}
	return t.cache.Get(ext, dst)
}

func (t *Track) attach(d *Downtrack) {
	t.downsMu.Lock()
	defer t.downsMu.Unlock()
	var list []*Downtrack
	if old := t.downs.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = append(list, d)
	t.downs.Store(&list)
}

func (t *Track) detach(d *Downtrack) {
	t.downsMu.Lock()
	defer t.downsMu.Unlock()
	if old := t.downs.Load(); old != nil {
		list := slices.DeleteFunc(slices.Clone(*old), func(e *Downtrack) bool { return e == d })
		t.downs.Store(&list)
	}
}
