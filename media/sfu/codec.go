package sfu

import "encoding/binary"

// vp8Header is the part of the VP8 payload descriptor that forwarding needs (RFC 7741 §4.2).
type vp8Header struct {
	pidAt  uint8 // offset of the picture id, 0 = none
	tl0At  uint8 // offset of TL0PICIDX, 0 = none
	pid15  bool  // the picture id has 15 bits, else 7
	key    bool  // first packet of a keyframe
	pid    uint16
	tl0    uint8
	parsed bool
}

func parseVP8(b []byte) (h vp8Header) {
	if len(b) < 2 {
		return h
	}
	start := b[0]&0x10 != 0 && b[0]&0x07 == 0 // S set, partition 0
	at := 1
	if b[0]&0x80 != 0 { // X
		x := b[1]
		at = 2
		if x&0x80 != 0 { // I
			if len(b) <= at {
				return h
			}
			h.pidAt = uint8(at)
			h.pid = uint16(b[at] & 0x7f)
			if b[at]&0x80 != 0 {
				if len(b) <= at+1 {
					return vp8Header{}
				}
				h.pid15 = true
				h.pid = binary.BigEndian.Uint16(b[at:]) & 0x7fff
				at++
			}
			at++
		}
		if x&0x40 != 0 { // L
			if len(b) <= at {
				return vp8Header{}
			}
			h.tl0At, h.tl0 = uint8(at), b[at]
			at++
		}
		if x&0x30 != 0 { // T or K
			at++
		}
	}
	if len(b) <= at {
		return vp8Header{}
	}
	h.key = start && b[at]&0x01 == 0 // inverse keyframe flag of the payload header, RFC 7741 §4.3
	h.parsed = true
	return h
}

// keyframeH264 reports whether b begins a picture that can be decoded by itself: an SPS or IDR slice, alone, in a
// STAP-A or at the start of an FU-A (RFC 6184 §5.4-5.8).
func keyframeH264(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	const idr, sps, stapA, fuA = 5, 7, 24, 28
	switch b[0] & 0x1f {
	case idr, sps:
		return true
	case stapA:
		for b = b[1:]; len(b) > 2; {
			n := int(binary.BigEndian.Uint16(b))
			if t := b[2] & 0x1f; t == idr || t == sps {
				return true
			}
			if n == 0 || len(b) < 2+n {
				return false
			}
			b = b[2+n:]
		}
	case fuA:
		return b[1]&0x80 != 0 && b[1]&0x1f == idr
	}
	return false
}
