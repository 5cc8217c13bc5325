package sfu

import "encoding/binary"

// ExtIDs are the negotiated ids of the header extensions that are read on ingress; 0 = not negotiated.
type ExtIDs struct {
	TWCC  uint8 // draft-holmer-rmcat-transport-wide-cc-extensions-01
	Level uint8 // ssrc-audio-level, RFC 6464
}

// Packet is a parsed RTP packet (RFC 3550 §5.1). Payload aliases the parsed bytes and holds no padding.
type Packet struct {
	Payload   []byte
	SSRC      uint32
	Timestamp uint32
	Seq       uint16
	TWCC      uint16 // valid with HasTWCC
	PT        uint8
	Level     uint8 // -dBov, 0 is loudest; valid with HasLevel
	Marker    bool
	HasTWCC   bool
	HasLevel  bool

	// Set by Track.Receive.
	ext uint32    // extended sequence number
	gen uint32    // generation of the source
	key bool      // first packet of a keyframe
	vp8 vp8Header // descriptor, for VP8
}

// Parse reads b into p. It reports false when b is no whole RTP packet. Nothing is allocated.
func (p *Packet) Parse(b []byte, ids ExtIDs) bool {
	*p = Packet{}
	if len(b) < 12 || b[0]>>6 != 2 {
		return false
	}
	p.Marker = b[1]&0x80 != 0
	p.PT = b[1] & 0x7f
	p.Seq = binary.BigEndian.Uint16(b[2:])
	p.Timestamp = binary.BigEndian.Uint32(b[4:])
	p.SSRC = binary.BigEndian.Uint32(b[8:])
	at := 12 + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 {
		if len(b) < at+4 {
			return false
		}
		profile := binary.BigEndian.Uint16(b[at:])
		n := 4 * int(binary.BigEndian.Uint16(b[at+2:]))
		at += 4
		if len(b) < at+n {
			return false
		}
		p.extensions(profile, b[at:at+n], ids)
		at += n
	}
	end := len(b)
	if b[0]&0x20 != 0 {
		end -= int(b[len(b)-1])
	}
	if at > len(b) || end < at {
		return false
	}
	p.Payload = b[at:end]
	return true
}

// extensions walks the one-byte (RFC 8285 §4.2) or two-byte (§4.3) elements.
func (p *Packet) extensions(profile uint16, b []byte, ids ExtIDs) {
	two := profile&0xfff0 == 0x1000
	if profile != 0xbede && !two {
		return
	}
	for len(b) > 0 {
		if b[0] == 0 { // padding
			b = b[1:]
			continue
		}
		id, n, head := b[0]>>4, int(b[0]&0x0f)+1, 1
		if two {
			if len(b) < 2 {
				return
			}
			id, n, head = b[0], int(b[1]), 2
		} else if id == 15 {
			return
		}
		if len(b) < head+n {
			return
		}
		v := b[head : head+n]
		switch {
		case id == ids.TWCC && id != 0 && n >= 2:
			p.TWCC, p.HasTWCC = binary.BigEndian.Uint16(v), true
		case id == ids.Level && id != 0 && n >= 1:
			p.Level, p.HasLevel = v[0]&0x7f, true
		}
		b = b[head+n:]
	}
}
