package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media/ivfreader"

	"heyi/cmd/fleetsim/clip"
)

// preparedFPS is the frame rate of the prepared clip.
const preparedFPS = 10

// opusSilence is one 20 ms Opus frame of silence (RFC 6716: TOC 0xF8, CELT full band, code 0).
var opusSilence = []byte{0xf8, 0xff, 0xfe} //nolint:gochecknoglobals // constant bytes

// PreparedFrames reads the clip.
func PreparedFrames() ([][]byte, error) {
	r, _, err := ivfreader.NewWith(bytes.NewReader(clip.TestCard))
	if err != nil {
		return nil, fmt.Errorf("prepared clip: %w", err)
	}
	var frames [][]byte
	for {
		f, _, err := r.ParseNextFrame()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return nil, fmt.Errorf("prepared clip: %w", err)
		}
		frames = append(frames, f)
	}
}

// Prepared returns a source that plays the clip in a loop beside silence; a wanted keyframe jumps to the next one.
func Prepared(frames [][]byte) Source {
	return func(ctx context.Context, mic, cam *webrtc.TrackLocalStaticRTP, wantKey *atomic.Bool) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		pay := &codecs.VP8Payloader{EnablePictureID: true}
		var aseq, vseq uint16
		var ats, vts uint32
		at := 0
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			aseq++
			ats += 960
			if mic.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: aseq, Timestamp: ats}, Payload: opusSilence}) != nil {
				return
			}
			if n%(50/preparedFPS) != 0 {
				continue
			}
			if wantKey.Swap(false) {
				for i := 0; i < len(frames) && !keyframe(frames[at]); i++ {
					at = (at + 1) % len(frames)
				}
			}
			vts += 90000 / preparedFPS
			parts := pay.Payload(1180, frames[at])
			for i, b := range parts {
				vseq++
				if cam.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: vseq, Timestamp: vts, Marker: i == len(parts)-1}, Payload: b}) != nil {
					return
				}
			}
			at = (at + 1) % len(frames)
		}
	}
}

// keyframe reports whether a VP8 frame is one (RFC 6386 §9.1: bit 0 of the first byte clear).
func keyframe(f []byte) bool { return len(f) > 0 && f[0]&1 == 0 }
