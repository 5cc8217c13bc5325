// Package rtc is the media engine: it implements media.Engine on pion/webrtc v3 and is, beside cmd/fleetsim, the only
// importer of that library.
//
// An attachment has up to two peer connections: pub (the client offers) and sub (the server offers, every other
// member's microphone and camera at once, so that a gate opens without negotiation). All connections of a node share
// one UDP port; the server is ICE-lite and has no data channels.
//
// Concurrency: Engine and its sessions are safe for concurrent use. One loop goroutine owns all state of a room;
// others post to it. Rooms share no lock. Packets never pass the loop: the goroutine that decrypts a publisher's
// packets writes them to every subscriber (sfu.Track.Receive). Peer connections are closed off the loop, because
// closing waits for callbacks (pion/webrtc#2798). Run owns every goroutine and waits for it.
//
// Errors: see media.Engine and media.Session; those that end a session reach the client as rtc.fail.
package rtc

import (
	"fmt"
	"log/slog"
	"time"

	"heyi/gateway/wire"
	"heyi/media"
)

// Config is what an Engine needs. The zero value of a field means the default named with it.
type Config struct {
	ListenUDP []string // explicit addresses, one per interface; default 127.0.0.1:7882
	PublicIPs []string // advertised instead of the listen addresses (1:1 NAT), one per family; default none

	// Profile returns how an attachment of this kind shall encode; default ProfileAuto.
	Profile func(media.AttachKind) wire.RTCProfile

	MaxRooms        int           // default 100
	OffersPerMinute int           // of one session, default 20
	Handshake       time.Duration // ICE and DTLS, default 10 s
	AnswerWithin    time.Duration // for the client's answer to an offer, default 15 s
	SilentAfter     time.Duration // without a packet until a connection counts as down, default 5 s
	Resume          time.Duration // media goes on this long after the signalling is lost, default 30 s
	ZoneGuard       time.Duration // nothing of a person goes out this long after leaving a zone, default 500 ms

	Logger  *slog.Logger // default slog.Default()
	Watcher media.Watcher
	Now     func() time.Time // default time.Now
}

// Limits of one session that are not configurable (media.md §15.1).
const (
	maxSDP        = 60 << 10
	maxMLines     = 24
	maxCandidates = 30
	maxTracks     = 3
	maxChatRunes  = 200
	maxStats      = 4 << 10
	maxRTCP       = 200 // a second
)

// ProfileAuto is the default profile (media.md §9): desk 1280x720, phone 640x480, box 640x360, one layer each.
func ProfileAuto(kind media.AttachKind) wire.RTCProfile {
	if kind == media.AttachCapture {
		return wire.RTCProfile{W: 640, H: 480, FPS: 20, VideoKbps: 700, AudioKbps: 32}
	}
	return wire.RTCProfile{W: 1280, H: 720, FPS: 25, VideoKbps: 1500, AudioKbps: 32}
}

// ProfileE2E is the small picture of browser tests.
func ProfileE2E(media.AttachKind) wire.RTCProfile {
	return wire.RTCProfile{W: 320, H: 180, FPS: 10, VideoKbps: 150, AudioKbps: 24}
}

func (c Config) withDefaults() (Config, error) {
	if len(c.ListenUDP) == 0 {
		c.ListenUDP = []string{"127.0.0.1:7882"}
	}
	if c.Profile == nil {
		c.Profile = ProfileAuto
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Watcher == nil {
		c.Watcher = func(media.Presence) {}
	}
	for _, n := range []struct {
		p   *int
		def int
	}{{&c.MaxRooms, 100}, {&c.OffersPerMinute, 20}} {
		if *n.p == 0 {
			*n.p = n.def
		}
		if *n.p < 0 {
			return c, fmt.Errorf("rtc: negative limit %d", *n.p)
		}
	}
	for _, d := range []struct {
		p   *time.Duration
		def time.Duration
	}{
		{&c.Handshake, 10 * time.Second},
		{&c.AnswerWithin, 15 * time.Second},
		{&c.SilentAfter, 5 * time.Second},
		{&c.Resume, 30 * time.Second},
		{&c.ZoneGuard, 500 * time.Millisecond},
	} {
		if *d.p == 0 {
			*d.p = d.def
		}
		if *d.p < 0 {
			return c, fmt.Errorf("rtc: negative duration %s", *d.p)
		}
	}
	return c, nil
}
