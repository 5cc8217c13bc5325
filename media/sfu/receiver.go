package sfu

import (
	"time"

	"github.com/pion/rtcp"
)

// receiver holds the reception state of one source (RFC 3550 §6.4.1 and appendix A).
type receiver struct {
	started bool
	highest uint32 // extended
	base    uint32
	got     uint32

	jitter    float64 // clock units
	transit   int64
	clock     uint32
	arrival   time.Time // of the first packet: origin of transit times
	sentGot   uint32    // values at the last report
	sentHigh  uint32
	lastSR    uint32 // middle 32 bits of its NTP time
	lastSRAt  time.Time
	reportAt  time.Time
	srTracked bool
}

const reportEvery = time.Second

// next extends a sequence number; ok is false for one too old to be of use.
func (r *receiver) next(seq uint16) (ext uint32, ok bool) {
	if !r.started {
		// one whole cycle of room below, so that late first packets stay positive
		return 1<<16 | uint32(seq), true
	}
	ext = r.highest + uint32(int32(int16(seq-uint16(r.highest))))
	return ext, int32(ext-r.base) > -(1 << 15)
}

// note counts an accepted packet.
func (r *receiver) note(ext, ts uint32, now time.Time) {
	if !r.started {
		r.started, r.highest, r.base, r.arrival = true, ext, ext, now
		r.sentHigh, r.reportAt = ext-1, now
	}
	r.got++
	transit := now.Sub(r.arrival).Microseconds()*int64(r.clock)/1e6 - int64(ts)
	if r.got > 1 {
		d := transit - r.transit
		if d < 0 {
			d = -d
		}
		if d < int64(r.clock) { // a jump of the clock is no jitter
			r.jitter += (float64(d) - r.jitter) / 16
		}
	}
	r.transit = transit
	if int32(ext-r.highest) > 0 {
		r.highest = ext
	}
}

// report returns a reception report when one is due.
func (r *receiver) report(ssrc uint32, now time.Time) (rtcp.ReceptionReport, bool) {
	if !r.started || now.Sub(r.reportAt) < reportEvery {
		return rtcp.ReceptionReport{}, false
	}
	r.reportAt = now
	expected, got := r.highest-r.sentHigh, r.got-r.sentGot
	r.sentHigh, r.sentGot = r.highest, r.got
	rep := rtcp.ReceptionReport{SSRC: ssrc, LastSequenceNumber: r.highest, Jitter: uint32(r.jitter)}
	if lost := int64(expected) - int64(got); lost > 0 && expected > 0 {
		rep.FractionLost = uint8(min(lost*256/int64(expected), 255))
	}
	if total := int64(r.highest-r.base) + 1 - int64(r.got); total > 0 {
		rep.TotalLost = uint32(min(total, 1<<23-1))
	}
	if r.srTracked {
		rep.LastSenderReport = r.lastSR
		rep.Delay = uint32(now.Sub(r.lastSRAt).Microseconds() * 65536 / 1e6)
	}
	return rep, true
}
