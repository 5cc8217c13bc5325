package sfu

import (
	"encoding/binary"
	"time"
)

// Rewriter maps the packets of one source onto one outgoing stream: contiguous sequence numbers, monotone
// timestamps, VP8 picture ids that go on counting, also across closed gates and a publisher who came back with a new
// source. Inside one open period (a run of packets since the gate opened) all offsets are constant, so a
// retransmission is computed, not remembered, and equals its first sending.
type Rewriter struct {
	clock uint32 // Hz

	started bool // anything was ever sent
	period  bool // base and offsets are valid
	gen     uint32
	base    uint32 // first extended sequence number of the period
	highIn  uint32 // highest extended sequence number of the period

	outSeq uint16 // highest sent
	outTS  uint32
	outAt  time.Time
	outPID uint16
	outTL0 uint8

	seqOff uint16
	tsOff  uint32
	pidOff uint16
	tl0Off uint8
}

// Break ends the period; the next packet begins a new one.
func (r *Rewriter) Break() { r.period = false }

// Next maps a packet of the source generation gen. ok is false for one from before the period, which must not be
// sent. The caller makes sure that a period begins with a keyframe.
func (r *Rewriter) Next(p *Packet, now time.Time) (seq uint16, ts uint32, ok bool) {
	if !r.period || p.gen != r.gen {
		r.begin(p, now)
	}
	if int32(p.ext-r.base) < 0 {
		return 0, 0, false
	}
	seq, ts = uint16(p.ext)+r.seqOff, p.Timestamp+r.tsOff
	if !r.started || int32(p.ext-r.highIn) >= 0 {
		r.started, r.highIn = true, p.ext
		r.outSeq, r.outTS, r.outAt = seq, ts, now
		if p.vp8.parsed {
			r.outPID, r.outTL0 = p.vp8.pid+r.pidOff, p.vp8.tl0+r.tl0Off
		}
	}
	return seq, ts, true
}

func (r *Rewriter) begin(p *Packet, now time.Time) {
	fresh := p.gen != r.gen // the source's numbers have no relation to the last ones
	r.period, r.gen, r.base, r.highIn = true, p.gen, p.ext, p.ext
	if !r.started {
		r.seqOff, r.tsOff, r.pidOff, r.tl0Off = 0, 0, 0, 0
		return
	}
	r.seqOff = r.outSeq + 1 - uint16(p.ext)
	if fresh {
		elapsed := uint32(now.Sub(r.outAt).Microseconds() * int64(r.clock) / 1e6)
		r.tsOff = r.outTS + max(elapsed, 1) - p.Timestamp
		r.pidOff = r.outPID + 1 - p.vp8.pid
		r.tl0Off = r.outTL0 + 1 - p.vp8.tl0
	}
	if int32(p.Timestamp+r.tsOff-r.outTS) <= 0 {
		r.tsOff = r.outTS + 1 - p.Timestamp
	}
}

// Source returns the extended sequence number that was sent as out; ok is false when none of this period was.
func (r *Rewriter) Source(out uint16) (ext uint32, ok bool) {
	if !r.period || !r.started {
		return 0, false
	}
	back := r.outSeq - out
	ext = r.highIn - uint32(back)
	return ext, back < 1<<15 && int32(ext-r.base) >= 0
}

// patches reports whether payloads must be changed.
func (r *Rewriter) patches() bool { return r.pidOff != 0 || r.tl0Off != 0 }

// patch rewrites the picture id and TL0PICIDX in payload.
func (r *Rewriter) patch(payload []byte, h vp8Header) {
	if h.pidAt != 0 {
		pid := h.pid + r.pidOff
		if h.pid15 {
			binary.BigEndian.PutUint16(payload[h.pidAt:], 0x8000|pid&0x7fff)
		} else {
			payload[h.pidAt] = uint8(pid & 0x7f)
		}
	}
	if h.tl0At != 0 {
		payload[h.tl0At] = h.tl0 + r.tl0Off
	}
}
