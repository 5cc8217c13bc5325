package sim

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
)

// The synthetic picture: 25 frames a second of 6 packets of 1,200 bytes = 1.44 Mbit/s, Opus packets every 20 ms.
const (
	synthFPS     = 25
	synthPackets = 6
	synthPayload = 1200
	synthAudio   = 80
)

// Synthetic sends VP8-shaped packets at a fixed rate: valid descriptors and frame headers, so that an SFU finds its
// keyframes, but no picture. Every packet carries the time it was sent. Nothing is sent while talk is off.
func Synthetic(ctx context.Context, mic, cam *webrtc.TrackLocalStaticRTP, wantKey, talk *atomic.Bool) {
	tick := time.NewTicker(time.Second / (2 * synthFPS)) // 20 ms: an audio packet each, a frame every second one
	defer tick.Stop()
	var aseq, vseq uint16
	var ats, vts uint32
	pid := uint16(1)
	video, audio := make([]byte, synthPayload), make([]byte, synthAudio)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !talk.Load() {
			continue
		}
		aseq++
		ats += 960
		if mic.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: aseq, Timestamp: ats, Marker: n == 0}, Payload: audio}) != nil {
			return
		}
		if n%2 == 1 {
			continue
		}
		vts += 90000 / synthFPS
		pid = (pid + 1) & 0x7fff
		key := wantKey.Swap(false) || vseq == 0
		for i := range synthPackets {
			vseq++
			vp8Header(video, i == 0, key, pid)
			stamp(video, time.Now())
			h := rtp.Header{Version: 2, SequenceNumber: vseq, Timestamp: vts, Marker: i == synthPackets-1}
			if cam.WriteRTP(&rtp.Packet{Header: h, Payload: video}) != nil {
				return
			}
		}
	}
}

// vp8Header writes the payload descriptor with a 15-bit picture id (RFC 7741 §4.2) and, on the first packet of a
// frame, the frame header (RFC 6386 §9.1: bit 0 clear = keyframe, then start code and size).
func vp8Header(b []byte, first, key bool, pid uint16) {
	b[0], b[1] = 0x80, 0x80
	binary.BigEndian.PutUint16(b[2:], 0x8000|pid)
	if !first {
		return
	}
	b[0] |= 0x10
	if key {
		copy(b[4:], []byte{0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00})
	} else {
		copy(b[4:], []byte{0x11, 0x02, 0x00, 0, 0, 0, 0, 0, 0, 0})
	}
}
