package rtc

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/media/sfu"
)

var _ media.Session = (*session)(nil)

// session is one attachment's connection with the engine. Its fields belong to the room's loop; Handle and Close
// post to it.
type session struct {
	r           *room
	id          ident.AttachmentID
	participant ident.ParticipantID
	kind        media.AttachKind
	joinGen     int64

	handler media.Handler // nil: the signalling is lost
	over    bool
	wanted  bool // rtc.want has come
	offers  *rate.Limiter
	pub     *pub
	sub     *sub
	subGen  int
	hidden  map[string]bool // track ids the client does not draw
	stats   json.RawMessage // newest rtc.stats
	loud    bool

	toldPhase   wire.RoomPhaseBody
	toldMembers wire.RoomMemberBody
	toldTracks  wire.RTCTracksBody
}

func newSession(r *room, t media.Ticket, h media.Handler) *session {
	n := r.e.cfg.OffersPerMinute
	return &session{
		r: r, id: t.Attachment, participant: t.Participant, kind: t.Kind, joinGen: t.JoinGen, handler: h,
		offers: rate.NewLimiter(rate.Limit(float64(n)/60), n), hidden: map[string]bool{},
	}
}

// Handle implements media.Session.
func (s *session) Handle(ctx context.Context, t wire.Type, body json.RawMessage) error {
	f, err := s.command(t, body)
	if err != nil {
		return err
	}
	return s.r.do(ctx, func() error {
		switch {
		case s.over:
			return fault.New(fault.Conflict, "rtc.replaced")
		case !s.wanted && t != wire.RTCWant:
			return fault.New(fault.Precondition, "rtc.want_first")
		}
		return f()
	})
}

// command decodes a frame on the caller's goroutine and returns what the loop shall do.
func (s *session) command(t wire.Type, body json.RawMessage) (func() error, error) {
	switch t {
	case wire.RTCWant:
		return decode(body, s.want)
	case wire.RTCOffer:
		return decode(body, s.offer)
	case wire.RTCAnswer:
		return decode(body, s.answer)
	case wire.RTCICE:
		return decode(body, s.candidate)
	case wire.RTCRestart:
		return decode(body, s.restart)
	case wire.RTCMute:
		return decode(body, s.mute)
	case wire.RoomChat:
		return decode(body, s.chat)
	case wire.RTCStats:
		if len(body) > maxStats {
			return nil, fault.InField("rtc.bad_frame", "b")
		}
		return func() error { s.stats = body; return nil }, nil
	default:
		return nil, fault.New(fault.Unsupported, "rtc.unknown_type")
	}
}

func decode[T any](body json.RawMessage, f func(T) error) (func() error, error) {
	var v T
	if len(body) > 0 {
		if err := json.Unmarshal(body, &v); err != nil {
			return nil, fault.InField("rtc.bad_frame", "b") // the cause would carry SDP into logs
		}
	}
	return func() error { return f(v) }, nil
}

// Close implements media.Session. After the reason "lost" (the signalling broke) media goes on until the same
// attachment opens again, its connections fall silent or Config.Resume is over; any other reason ends it at once.
// The handler is not called any more.
func (s *session) Close(reason media.Reason) error {
	err := s.r.do(context.Background(), func() error {
		s.handler = nil
		if reason != "lost" {
			s.end(reason, "")
			s.r.reconcile(s.r.now(), nil)
			return nil
		}
		s.r.after(s.r.e.cfg.Resume, func() {
			s.end("lost", "")
			s.r.reconcile(s.r.now(), nil)
		})
		return nil
	})
	if fault.CodeOf(err) == "rtc.no_room" {
		return nil // the room has ended and the session with it
	}
	return err
}

// end closes the session's connections and forgets it. The client is told code when there is one; the caller
// reconciles.
func (s *session) end(reason media.Reason, code string) {
	if s.over {
		return
	}
	s.over = true
	s.dropPub()
	s.dropSub()
	if s.r.sessions[s.id] == s {
		delete(s.r.sessions, s.id)
	}
	s.r.e.live.Add(-1)
	if code != "" {
		s.send(wire.RTCFail, failBody(code))
	}
	if s.handler != nil {
		s.handler.Closed(reason)
		s.handler = nil
	}
}

func failBody(code string) wire.RTCFailBody {
	body := wire.RTCFailBody{Code: code}
	if code == "rtc.draining" || code == "rtc.frozen" {
		body.RetryMS = 1000
	}
	return body
}

func (s *session) send(t wire.Type, body any) {
	if s.handler != nil {
		s.handler.Send(media.Out{T: t, B: body})
	}
}

// live is what sfu.Edges wants to know.
func (s *session) live() sfu.Live {
	var l sfu.Live
	if s.sub != nil {
		l.Sub = s.sub.up
	}
	if s.pub != nil && s.pub.up {
		l.Pub = s.pub.kinds
	}
	return l
}

func (s *session) connected() bool {
	return (s.sub != nil && s.sub.up) || (s.pub != nil && s.pub.up)
}

// wants reports whether this attachment takes a track at all.
func (s *session) wants(d *down) bool {
	m, _ := memberOf(s.r.spec, s.participant)
	for _, a := range m.Attach {
		if a.ID == s.id {
			return sfu.Plays(a, d.kind) && !s.hidden[d.ID()]
		}
	}
	return false
}

func (s *session) want(b wire.RTCWantBody) error {
	if (!s.wanted || b.Attach != "") && media.AttachKind(b.Attach) != s.kind {
		return fault.New(fault.Forbidden, "rtc.not_admitted")
	}
	first := !s.wanted
	s.wanted = true
	clear(s.hidden)
	for _, tile := range b.Tiles {
		if strings.HasSuffix(tile.Track, ":cam") {
			s.hidden[tile.Track] = !tile.Visible
		}
	}
	if first {
		body := s.tracks()
		s.toldTracks = body
		if sfu.Publishes(s.kind) {
			profile := s.r.e.cfg.Profile(s.kind)
			body.Profile = &profile
		}
		s.send(wire.RTCTracks, body)
	}
	s.r.reconcile(s.r.now(), nil)
	return nil
}

// tellTracks sends rtc.tracks when it has changed; the first one answers rtc.want.
func (s *session) tellTracks() {
	if !s.wanted {
		return
	}
	if body := s.tracks(); !reflect.DeepEqual(body, s.toldTracks) {
		s.toldTracks = body
		s.send(wire.RTCTracks, body)
	}
}

func (s *session) tracks() wire.RTCTracksBody {
	body := wire.RTCTracksBody{Epoch: s.r.spec.Epoch, Tracks: []wire.RTCTrack{}}
	if s.sub == nil {
		return body
	}
	me, _ := memberOf(s.r.spec, s.participant)
	for _, m := range s.r.spec.Members {
		for _, kind := range []media.Kinds{media.Mic, media.Cam} {
			d := s.sub.downs[trackKey{m.ID, kind}]
			if d == nil {
				continue
			}
			body.Tracks = append(body.Tracks, wire.RTCTrack{
				Track: d.ID(), Participant: string(m.ID), Name: m.Name, Kind: kindName(kind), Mid: d.mid(),
				Live: d.gate.IsOpen(), Muted: m.Zone == me.Zone && s.r.muted(m)&kind != 0,
			})
		}
	}
	return body
}

// mute is a person's own mute. Unmuting under an old epoch is refused: the zone may be another by now.
func (s *session) mute(b wire.RTCMuteBody) error {
	kind := media.Mic
	switch b.Kind {
	case kindName(media.Mic):
	case kindName(media.Cam):
		kind = media.Cam
	default:
		return fault.InField("rtc.bad_frame", "kind")
	}
	p := s.r.people[s.participant]
	if p == nil {
		return fault.New(fault.Forbidden, "rtc.not_admitted")
	}
	if b.On {
		p.muted |= kind
	} else {
		if b.Epoch != s.r.spec.Epoch {
			return fault.New(fault.Conflict, "rtc.stale_epoch")
		}
		if s.r.frozen != nil {
			return errFrozen()
		}
		p.muted &^= kind
	}
	s.r.reconcile(s.r.now(), nil)
	return nil
}

// chat relays a line of the mediator inside his zone.
func (s *session) chat(b wire.RoomChatBody) error {
	me, ok := memberOf(s.r.spec, s.participant)
	if !ok || me.Role != media.RoleMediator {
		return fault.New(fault.Forbidden, "rtc.not_allowed")
	}
	text := strings.TrimSpace(b.Text)
	if text == "" || !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxChatRunes {
		return fault.InField("rtc.bad_text", "text")
	}
	out := wire.RoomChatBody{Participant: string(me.ID), Name: me.Name, Text: text}
	for _, other := range s.r.sessions {
		m, _ := memberOf(s.r.spec, other.participant)
		if other != s && m.Zone == me.Zone && me.Zone != media.ZoneLobby {
			other.send(wire.RoomChat, out)
		}
	}
	return nil
}

// restart: a sub gets an offer with new ICE credentials or, when fresh or without one, a new connection. A pub needs
// no answer: its client offers, with the same generation for an ICE restart, a higher one for a new connection.
func (s *session) restart(b wire.RTCRestartBody) error {
	if b.PC != "sub" {
		return nil
	}
	if !sfu.Subscribes(s.kind) {
		return fault.New(fault.Forbidden, "rtc.not_admitted")
	}
	if !s.offers.Allow() {
		return fault.New(fault.TooMany, "rtc.rate_limited")
	}
	if s.sub != nil && !b.Fresh {
		s.sub.iceRestart = true
		return s.sub.offer()
	}
	s.dropSub()
	err := s.newSub()
	s.r.reconcile(s.r.now(), nil)
	return err
}

// candidate accepts and counts what a client trickles. Nothing is done with it: an ICE-lite server answers checks
// from wherever they come (RFC 8445 §7.3) and sends none, so no packet ever goes to an address a client names.
func (s *session) candidate(b wire.RTCICEBody) error {
	var n *int
	switch {
	case b.Candidate == "":
		return nil
	case b.PC == "pub" && s.pub != nil && s.pub.gen == b.Gen:
		n = &s.pub.candidates
	case b.PC == "sub" && s.sub != nil && s.sub.gen == b.Gen:
		n = &s.sub.candidates
	default:
		return nil // stale
	}
	if *n++; *n > maxCandidates {
		return fault.InField("rtc.bad_sdp", "candidate")
	}
	return nil
}

func kindName(k media.Kinds) string {
	if k == media.Mic {
		return "mic"
	}
	return "cam"
}
