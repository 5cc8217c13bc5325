package sfu_test

import (
	"bytes"
	"testing"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"heyi/media/sfu"
)

// TestParseAgreesWithPion compares our parser with the library's on what the library writes.
func TestParseAgreesWithPion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rtp.Packet{
			Header: rtp.Header{
				Version: 2, Marker: rapid.Bool().Draw(t, "m"), PayloadType: uint8(rapid.IntRange(0, 127).Draw(t, "pt")),
				SequenceNumber: rapid.Uint16().Draw(t, "seq"), Timestamp: rapid.Uint32().Draw(t, "ts"), SSRC: rapid.Uint32().Draw(t, "ssrc"),
				CSRC: rapid.SliceOfN(rapid.Uint32(), 0, 15).Draw(t, "csrc"),
			},
			Payload: rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload"),
		}
		twcc, level := rapid.Uint16().Draw(t, "twcc"), uint8(rapid.IntRange(0, 127).Draw(t, "level"))
		ids := sfu.ExtIDs{}
		if rapid.Bool().Draw(t, "ext") {
			ids = sfu.ExtIDs{TWCC: 3, Level: 5}
			for id, v := range map[uint8][]byte{3: {byte(twcc >> 8), byte(twcc)}, 5: {level | 0x80}, 7: []byte("0123456789")} {
				if err := p.SetExtension(id, v); err != nil {
					t.Fatal(err)
				}
			}
		}
		if rapid.Bool().Draw(t, "pad") {
			p.Padding, p.PaddingSize = true, uint8(rapid.IntRange(1, 20).Draw(t, "padding"))
		}
		raw, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var got sfu.Packet
		if !got.Parse(raw, ids) {
			t.Fatalf("refused %x", raw)
		}
		if !bytes.Equal(got.Payload, p.Payload) || got.Seq != p.SequenceNumber || got.Timestamp != p.Timestamp ||
			got.SSRC != p.SSRC || got.PT != p.PayloadType || got.Marker != p.Marker {
			t.Fatalf("parsed %+v from %+v", got, p)
		}
		if got.HasTWCC != (ids.TWCC != 0) || got.HasTWCC && (got.TWCC != twcc || got.Level != level || !got.HasLevel) {
			t.Fatalf("extensions: %+v, want %d and %d", got, twcc, level)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x31, 1, 2, 0, 0x90, 0xc0, 0x80, 1, 1, 0})
	f.Add([]byte{0xb0, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x10, 0, 0, 1, 5, 1, 9, 0, 0x78, 0, 2, 0x67, 1, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p sfu.Packet
		if !p.Parse(b, sfu.ExtIDs{TWCC: 3, Level: 5}) {
			return
		}
		// a hostile payload passes a whole track without harm
		for _, codec := range []sfu.Codec{sfu.VP8, sfu.H264} {
			track := sfu.NewTrack(4)
			gen := track.SetSource(sfu.Source{SSRC: p.SSRC, Codec: codec, Feedback: discard{}})
			d := sfu.NewDowntrack(track, true)
			d.Bind(discard{}, ownSSRC, sfu.PayloadTypes{sfu.VP8: 96, sfu.H264: 102}, start())
			d.Open(start())
			track.Receive(gen, &p, codec, start())
			if packets, _ := d.Counts(); packets > 1 {
				t.Errorf("one packet became %d", packets)
			}
		}
	})
}

func TestKeyframes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		codec   sfu.Codec
		payload []byte
		key     bool
	}{
		"VP8 key":                    {sfu.VP8, []byte{0x10, 0x00, 1}, true},
		"VP8 delta":                  {sfu.VP8, []byte{0x10, 0x01, 1}, false},
		"VP8 key, second packet":     {sfu.VP8, []byte{0x00, 0x00, 1}, false},
		"VP8 key, second partition":  {sfu.VP8, []byte{0x11, 0x00, 1}, false},
		"VP8 key, all descriptors":   {sfu.VP8, []byte{0x90, 0xf0, 0x81, 2, 3, 4, 0x00}, true},
		"VP8 delta, short id":        {sfu.VP8, []byte{0x90, 0x80, 0x01, 0x01}, false},
		"VP8 cut":                    {sfu.VP8, []byte{0x90, 0xf0, 0x81}, false},
		"H264 SPS":                   {sfu.H264, []byte{0x67, 0}, true},
		"H264 IDR":                   {sfu.H264, []byte{0x65, 0}, true},
		"H264 slice":                 {sfu.H264, []byte{0x61, 0}, false},
		"H264 STAP-A with SPS":       {sfu.H264, []byte{0x78, 0, 2, 0x67, 1, 0, 1, 0x68}, true},
		"H264 STAP-A, IDR second":    {sfu.H264, []byte{0x78, 0, 2, 0x68, 1, 0, 1, 0x65}, true},
		"H264 STAP-A, zero length":   {sfu.H264, []byte{0x78, 0, 0, 0x61, 1}, false},
		"H264 FU-A, start of an IDR": {sfu.H264, []byte{0x7c, 0x85, 0}, true},
		"H264 FU-A, later":           {sfu.H264, []byte{0x7c, 0x05, 0}, false},
		"nothing":                    {sfu.H264, nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(tt.codec)
			f.down.Open(f.now)
			f.send(tt.codec, 1, 0, tt.payload)
			if got := len(f.sub.out) == 1; got != tt.key {
				t.Errorf("taken as a keyframe: %v, want %v", got, tt.key)
			}
		})
	}
}

func TestCacheKeepsTheFirstPayload(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(t, "size")
		c := sfu.NewCache(size)
		model := map[uint32][]byte{}
		highest := uint32(0)
		for range rapid.IntRange(1, 60).Draw(t, "puts") {
			ext := uint32(rapid.IntRange(1, 60).Draw(t, "ext"))
			payload := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload")
			_, held := model[ext]
			if c.Put(ext, ext*7, true, payload) {
				if held {
					t.Fatalf("packet %d was replaced", ext)
				}
				model[ext] = payload
				highest = max(highest, ext)
			}
		}
		for ext, want := range model {
			got, ts, marker, ok := c.Get(ext, nil)
			if ok && (!bytes.Equal(got, want) || ts != ext*7 || !marker) {
				t.Fatalf("packet %d changed", ext)
			}
		}
		if _, _, _, ok := c.Get(highest, nil); !ok {
			t.Fatal("the newest packet is not held")
		}
		c.Clear()
		if _, _, _, ok := c.Get(highest, nil); ok {
			t.Fatal("held after Clear")
		}
	})
}
