package rtc

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"heyi/internal/fault"
	"heyi/media"
	"heyi/media/sfu"
)

// description is what the guard learned from a client's SDP.
type description struct {
	streams []stream
	codecs  [128]sfu.Codec // by payload type
	exts    sfu.ExtIDs
}

// stream is one published source.
type stream struct {
	kind  media.Kinds
	ssrc  uint32
	codec sfu.Codec // the first one we know in the m-line
}

// guard reads an SDP before pion does and refuses what pion must never see (media.md §5, §3): data channels (they
// would start SCTP over a DTLS with an open advisory), more than one ICE user fragment, too much of anything.
//
// Errors: fault.Invalid "rtc.bad_sdp", "rtc.data_channel", "rtc.ufrag_conflict"; fault.Unsupported "rtc.no_codec";
// fault.TooMany "rtc.too_many_tracks".
func guard(text string, offer bool) (description, error) {
	var d description
	bad := fault.InField("rtc.bad_sdp", "sdp")
	if len(text) == 0 || len(text) > maxSDP {
		return d, bad
	}
	var s sdp.SessionDescription
	if err := s.UnmarshalString(text); err != nil {
		return d, bad // err would carry addresses into logs
	}
	if len(s.MediaDescriptions) == 0 || len(s.MediaDescriptions) > maxMLines {
		return d, bad
	}
	ufrags := map[string]bool{}
	if u, ok := s.Attribute("ice-ufrag"); ok {
		ufrags[u] = true
	}
	candidates := 0
	for _, m := range s.MediaDescriptions {
		switch m.MediaName.Media {
		case "audio", "video":
		case "application":
			return d, fault.InField("rtc.data_channel", "sdp")
		default:
			return d, bad
		}
		if mid, ok := m.Attribute("mid"); !ok || mid == "" {
			return d, bad
		}
		for _, a := range m.Attributes {
			switch a.Key {
			case "ice-ufrag":
				ufrags[a.Value] = true
			case "candidate":
				candidates++
			}
		}
		if offer {
			if err := d.line(m); err != nil {
				return d, err
			}
		}
	}
	switch {
	case len(ufrags) == 0 || candidates > maxCandidates:
		return d, bad
	case len(ufrags) > 1:
		return d, fault.InField("rtc.ufrag_conflict", "sdp")
	case len(d.streams) > maxTracks:
		return d, fault.New(fault.TooMany, "rtc.too_many_tracks")
	}
	return d, nil
}

// line reads one m-line of an offer.
func (d *description) line(m *sdp.MediaDescription) error {
	kind := media.Mic
	if m.MediaName.Media == "video" {
		kind = media.Cam
	}
	h264 := constrainedH264(m)
	codecs := map[int]sfu.Codec{}
	for _, a := range m.Attributes {
		switch a.Key {
		case "rtpmap":
			pt, name, ok := strings.Cut(a.Value, " ")
			n, err := strconv.Atoi(pt)
			if !ok || err != nil || n < 0 || n > 127 {
				return fault.InField("rtc.bad_sdp", "sdp")
			}
			name, _, _ = strings.Cut(strings.ToLower(name), "/")
			switch {
			case name == "opus":
				codecs[n] = sfu.Opus
			case name == "vp8":
				codecs[n] = sfu.VP8
			case name == "h264" && h264[n]:
				codecs[n] = sfu.H264
			}
		case "extmap":
			d.extension(a.Value)
		}
	}
	first := sfu.NoCodec
	for _, format := range m.MediaName.Formats {
		n, err := strconv.Atoi(format)
		if err != nil || n < 0 || n > 127 {
			return fault.InField("rtc.bad_sdp", "sdp")
		}
		if c := codecs[n]; c != sfu.NoCodec {
			d.codecs[n] = c
			if first == sfu.NoCodec {
				first = c
			}
		}
	}
	if !sends(m) {
		return nil
	}
	if first == sfu.NoCodec {
		return fault.New(fault.Unsupported, "rtc.no_codec")
	}
	ssrc, ok := primarySSRC(m)
	if !ok {
		return nil // nothing is sent on it yet
	}
	for _, s := range d.streams {
		if s.kind == kind {
			return fault.New(fault.TooMany, "rtc.too_many_tracks")
		}
	}
	d.streams = append(d.streams, stream{kind, ssrc, first})
	return nil
}

func (d *description) extension(value string) {
	id, uri, _ := strings.Cut(value, " ")
	id, _, _ = strings.Cut(id, "/")
	n, err := strconv.ParseUint(id, 10, 8)
	if err != nil {
		return
	}
	switch uri {
	case sdp.TransportCCURI:
		d.exts.TWCC = uint8(n)
	case sdp.AudioLevelURI:
		d.exts.Level = uint8(n)
	}
}

func sends(m *sdp.MediaDescription) bool {
	if m.MediaName.Port.Value == 0 {
		if _, bundled := m.Attribute("bundle-only"); !bundled {
			return false
		}
	}
	for _, dir := range []string{"recvonly", "inactive"} {
		if _, ok := m.Attribute(dir); ok {
			return false
		}
	}
	return true
}

// primarySSRC returns the first declared source that is no retransmission of another (RFC 5576 §4.2, "FID").
func primarySSRC(m *sdp.MediaDescription) (uint32, bool) {
	var repair []string
	for _, a := range m.Attributes {
		if f := strings.Fields(a.Value); a.Key == "ssrc-group" && len(f) == 3 && f[0] == "FID" {
			repair = append(repair, f[2])
		}
	}
	for _, a := range m.Attributes {
		if a.Key != "ssrc" {
			continue
		}
		id, _, _ := strings.Cut(a.Value, " ")
		if n, err := strconv.ParseUint(id, 10, 32); err == nil && !slices.Contains(repair, id) {
			return uint32(n), true
		}
	}
	return 0, false
}

// constrainedH264 returns the payload types of H.264 constrained baseline in packetization mode 1, the only one we
// forward (media.md §9).
func constrainedH264(m *sdp.MediaDescription) map[int]bool {
	pts := map[int]bool{}
	for _, a := range m.Attributes {
		if a.Key != "fmtp" {
			continue
		}
		pt, params, _ := strings.Cut(a.Value, " ")
		params = strings.ToLower(params)
		if n, err := strconv.Atoi(pt); err == nil && strings.Contains(params, "packetization-mode=1") &&
			strings.Contains(params, "profile-level-id=42e0") {
			pts[n] = true
		}
	}
	return pts
}
