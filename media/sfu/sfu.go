// Package sfu is the pure forwarding core of the video rooms: who may hear whom (Edges), the path of a packet from a
// published Track through the gate of each Downtrack, sequence and timestamp rewriting, the packet cache, NACK and
// keyframe requests.
//
// It opens no sockets, starts no goroutines and reads no clock: time comes in as an argument, packets go out through
// a Sink. media/rtc joins it to peer connections.
//
// Concurrency: Edges, Validate, Packet, Cache, Nacker, Rewriter and KeyRequests are plain values for one goroutine.
// Track and Downtrack are safe for concurrent use. Locks: a Downtrack's mutex is held from the gate check to the end
// of the write, so when Close returns no packet of it is in flight; it may be held while a Track's mutex is taken,
// never the other way round.
//
// Invariants (media.md §17.1): M1 nothing crosses a closed gate; M2 one (SSRC, sequence number), one payload; M3
// contiguous sequence numbers and monotone timestamps; M4 a picture starts with a keyframe; M13 nobody is heard who
// cannot hear.
package sfu

// Codec is the coding of a track.
type Codec uint8

// The codecs of this build (media.md §9).
const (
	NoCodec Codec = iota
	Opus
	VP8
	H264
)

// ClockRate returns the RTP clock of a codec in Hz.
func (c Codec) ClockRate() uint32 {
	if c == Opus {
		return 48000
	}
	return 90000
}
