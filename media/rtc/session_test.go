package rtc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v3"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/media"
	"heyi/media/rtc"
)

// call is a room of two in joint with media flowing both ways.
func call(t *testing.T, change func(*rtc.Config)) (b *bench, ming, wang *client) {
	t.Helper()
	b = newBench(t, change)
	b.apply(t, room(media.ZoneJoint))
	ming = b.join(t, ticket("ming", media.AttachFull))
	wang = b.join(t, ticket("wang", media.AttachFull))
	ming.publish()
	wang.publish()
	wang.receives("ming:cam", 0)
	ming.receives("wang:cam", 0)
	return b, ming, wang
}

func TestOwnMute(t *testing.T) {
	t.Parallel()
	_, ming, wang := call(t, nil)
	wang.receives("ming:mic", 0)
	ming.must(wire.RTCMute, wire.RTCMuteBody{Kind: "mic", On: true})
	closed := ming.newest()
	hears(wang, wire.RoomMember, "that ming is muted", func(m wire.RoomMemberBody) bool { return m.Members[0].MicMuted })
	hears(wang, wire.RTCTracks, "that ming is muted", func(tr wire.RTCTracksBody) bool {
		return tr.Tracks[0].Muted && !tr.Tracks[0].Live && !tr.Tracks[1].Muted && tr.Tracks[1].Live
	})
	hears(ming, wire.RoomPhase, "that nobody hears", func(p wire.RoomPhaseBody) bool { return len(p.CanHear) == 0 && len(p.CanSee) == 1 })
	ming.sends(60)
	opened := ming.newest()
	ming.must(wire.RTCMute, wire.RTCMuteBody{Kind: "mic", On: false, Epoch: 1})
	wang.receives("ming:mic", opened)
	var before packet
	for i, p := range wang.packets("ming:mic") {
		if p.n > closed && p.n+inFlight < opened {
			t.Fatalf("packet %d was sent while muted (%d to %d)", p.n, closed, opened)
		}
		if i > 0 && p.seq != before.seq+1 {
			t.Fatalf("%+v after %+v: a mute must not look like loss", p, before)
		}
		before = p
	}
}

func TestHiddenTileIsNotSent(t *testing.T) {
	t.Parallel()
	_, ming, wang := call(t, nil)
	wang.must(wire.RTCWant, wire.RTCWantBody{Tiles: []wire.TileWish{{Track: "ming:cam"}}})
	hears(ming, wire.RoomPhase, "that nobody sees", func(p wire.RoomPhaseBody) bool { return len(p.CanSee) == 0 && len(p.CanHear) == 1 })
	wang.must(wire.RTCWant, wire.RTCWantBody{Tiles: []wire.TileWish{{Track: "ming:cam", W: 640, H: 360, Visible: true}}})
	wang.receives("ming:cam", ming.newest())
}

func TestChatStaysInTheZone(t *testing.T) {
	t.Parallel()
	b, ming, wang := call(t, nil)
	ming.must(wire.RoomChat, wire.RoomChatBody{Text: "  one  ", Name: "forged"})
	hears(wang, wire.RoomChat, "one", func(c wire.RoomChatBody) bool { return c.Text == "one" && c.Name == "MING" })
	if err := wang.handle(wire.RoomChat, wire.RoomChatBody{Text: "two"}); fault.CodeOf(err) != "rtc.not_allowed" {
		t.Errorf("a party's line: %v, want rtc.not_allowed", err)
	}
	if err := ming.handle(wire.RoomChat, wire.RoomChatBody{Text: strings.Repeat("字", 201)}); fault.CodeOf(err) != "rtc.bad_text" {
		t.Errorf("201 runes: %v, want rtc.bad_text", err)
	}
	spec := room(media.ZoneLobby)
	spec.Epoch = 2
	b.apply(t, spec)
	ming.must(wire.RoomChat, wire.RoomChatBody{Text: "three"})
	spec = room(media.ZoneJoint)
	spec.Epoch = 3
	b.apply(t, spec)
	ming.must(wire.RoomChat, wire.RoomChatBody{Text: "four"})
	hears(wang, wire.RoomChat, "four", func(c wire.RoomChatBody) bool { return c.Text == "four" })
	wang.mu.Lock()
	defer wang.mu.Unlock()
	for _, o := range wang.log {
		if c, ok := o.B.(wire.RoomChatBody); ok && c.Text == "three" {
			t.Error("a line crossed the lobby")
		}
	}
}

func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	b, ming, wang := call(t, nil)
	for round, id := range []string{"li", "zhao"} {
		spec := room(media.ZoneJoint)
		spec.Epoch = int64(2 + 2*round)
		spec.Members = append(spec.Members, member(id, media.RoleParty, media.ZoneJoint, media.AttachFull))
		b.apply(t, spec)
		late := b.join(t, ticket(id, media.AttachFull))
		late.publish()
		late.receives("ming:cam", 0)
		late.receives("wang:mic", 0)
		for _, c := range []*client{ming, wang} {
			c.receives(id+":mic", 0)
			c.receives(id+":cam", 0)
			if p := c.packets(id + ":cam"); !p[0].key {
				t.Errorf("%s: the first picture is no keyframe", id)
			}
		}
		spec = room(media.ZoneJoint)
		spec.Epoch = int64(3 + 2*round)
		b.apply(t, spec)
		hears(late, wire.RTCFail, "rtc.removed", func(f wire.RTCFailBody) bool { return f.Code == "rtc.removed" })
		hears(ming, wire.RTCTracks, "that "+id+" left", func(tr wire.RTCTracksBody) bool { return len(tr.Tracks) == 2 })
		offers := 3 + 2*round
		ming.until("offered the change", func() bool { return ming.sdps >= offers })
	}
	ming.mu.Lock()
	lines := len(ming.sub.GetTransceivers())
	ming.mu.Unlock()
	if lines > 4 {
		t.Errorf("m-lines = %d, want 4: those of a leaver are used again", lines)
	}
	ming.receives("wang:cam", wang.newest())
}

func TestSubRestarts(t *testing.T) {
	t.Parallel()
	_, ming, wang := call(t, nil)
	ufrag := func() string {
		s, ok := last[wire.RTCSDPBody](wang, wire.RTCOffer)
		if !ok {
			return ""
		}
		_, rest, _ := strings.Cut(s.SDP, "a=ice-ufrag:")
		u, _, _ := strings.Cut(rest, "\r\n")
		return u
	}
	wang.mu.Lock()
	first := ufrag()
	wang.mu.Unlock()
	wang.must(wire.RTCRestart, wire.RTCRestartBody{PC: "sub"})
	wang.until("offered new credentials", func() bool { return wang.sdps == 2 && ufrag() != first })
	wang.receives("ming:cam", ming.newest())

	wang.must(wire.RTCRestart, wire.RTCRestartBody{PC: "sub", Fresh: true})
	wang.until("offered a new connection", func() bool { return wang.subGen == 2 })
	wang.receives("ming:cam", ming.newest()+5)
	wang.receives("ming:mic", ming.newest())

	// an answer to the old connection is dropped
	wang.must(wire.RTCAnswer, wire.RTCSDPBody{PC: "sub", Gen: 1, SDP: "v=0"})
}

func TestPubRestarts(t *testing.T) {
	t.Parallel()
	_, ming, wang := call(t, nil)
	ming.mu.Lock()
	pc := ming.pub
	ming.mu.Unlock()
	answered := func() int {
		n := 0
		for _, o := range ming.log {
			if s, ok := o.B.(wire.RTCSDPBody); ok && s.PC == "pub" {
				n++
			}
		}
		return n
	}
	offer, err := pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	ming.must(wire.RTCOffer, wire.RTCSDPBody{PC: "pub", Gen: 1, SDP: pc.LocalDescription().SDP})
	ming.until("answered the restart", func() bool { return answered() == 2 })
	wang.receives("ming:cam", ming.newest()+20)
	for _, s := range wang.packets("ming:cam")[:1] {
		if !s.key {
			t.Error("the first picture is no keyframe")
		}
	}
}

func TestMediaOutlivesTheSignalling(t *testing.T) {
	t.Parallel()
	b, ming, wang := call(t, func(c *rtc.Config) { c.Resume = 500 * time.Millisecond })
	if err := ming.sess.Close("lost"); err != nil {
		t.Fatal(err)
	}
	wang.receives("ming:mic", ming.newest()+5)
	limit := time.After(wait)
	for gone := false; !gone; {
		select {
		case p := <-b.presence:
			gone = p.Participant == "ming" && p.Lost
		case <-limit:
			t.Fatal("an attachment without signalling stays for ever")
		}
	}
	if len(b.Gates("room")) != 0 {
		t.Error("gates are open although one has gone")
	}
}

func TestHangingUpClosesTheEdges(t *testing.T) {
	t.Parallel()
	b, ming, wang := call(t, nil)
	ming.stop() // closes its connections
	hears(wang, wire.RoomMember, "that ming has gone", func(m wire.RoomMemberBody) bool { return !m.Members[0].Present })
	hears(wang, wire.RoomPhase, "that nobody hears", func(p wire.RoomPhaseBody) bool { return len(p.CanHear) == 0 })
	if got := b.Gates("room"); len(got) != 0 {
		t.Errorf("gates = %v, want none", got)
	}
}

func TestTheEndOfARoomAndOfTheEngine(t *testing.T) {
	t.Parallel()
	b, ming, wang := call(t, nil)
	if err := b.Close(t.Context(), "room", 0, "ended"); fault.CodeOf(err) != "rtc.stale_fence" {
		t.Errorf("an older fence closes: %v", err)
	}
	if err := b.Close(t.Context(), "room", 1, "ended"); err != nil {
		t.Fatal(err)
	}
	ming.until("closed", func() bool { return ming.closed == "ended" })
	wang.until("closed", func() bool { return wang.closed == "ended" })
	if rooms, sessions := b.Load(); rooms != 0 || sessions != 0 {
		t.Errorf("Load = %d, %d, want 0, 0", rooms, sessions)
	}
	if err := ming.handle(wire.RTCMute, wire.RTCMuteBody{Kind: "mic", On: true}); fault.CodeOf(err) != "rtc.no_room" {
		t.Errorf("a closed room answers: %v", err)
	}

	e, err := rtc.New(rtc.Config{ListenUDP: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Apply(t.Context(), room(media.ZoneLobby)); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, ticket("ming", media.AttachFull))
	if c.sess, err = e.Open(t.Context(), c.ticket, c); err != nil {
		t.Fatal(err)
	}
	close(c.ready)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	hears(c, wire.RTCFail, "rtc.draining", func(f wire.RTCFailBody) bool { return f.Code == "rtc.draining" && f.RetryMS > 0 })
	if _, err := e.Apply(t.Context(), room(media.ZoneLobby)); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a stopped engine makes rooms: %v", err)
	}
}

func TestFromACaucusBackToJoint(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := room("caucus:A")
	spec.Members = append(spec.Members, member("li", media.RoleParty, media.ZoneJoint, media.AttachFull))
	b.apply(t, spec)
	ming := b.join(t, ticket("ming", media.AttachFull))
	wang := b.join(t, ticket("wang", media.AttachFull))
	li := b.join(t, ticket("li", media.AttachFull))
	for _, c := range []*client{ming, wang, li} {
		c.publish()
	}
	ming.receives("wang:mic", 0)
	wang.receives("ming:cam", 0)
	hears(li, wire.RoomMember, "that all are here", func(m wire.RoomMemberBody) bool {
		return m.Members[0].Present && m.Members[1].Present && m.Members[2].Present
	})
	for _, e := range b.Gates("room") {
		if e.From == "li" || e.To == "li" {
			t.Fatalf("gate %v leads out of a caucus", e)
		}
	}

	spec = room(media.ZoneJoint)
	spec.Epoch = 2
	spec.Members = append(spec.Members, member("li", media.RoleParty, media.ZoneJoint, media.AttachFull))
	b.apply(t, spec)
	moved := wang.newest()
	for _, e := range b.Gates("room") {
		if e.From != "li" {
			t.Errorf("gate %v is open inside the zone guard: words of the caucus are still on their way", e)
		}
	}
	li.receives("wang:cam", moved)
	if p := li.packets("wang:cam"); !p[0].key || p[0].n < moved {
		t.Errorf("first picture = %+v, want a keyframe after %d", p[0], moved)
	}
	hears(li, wire.RoomMember, "that wang comes back muted", func(m wire.RoomMemberBody) bool {
		return m.Members[0].MicMuted && m.Members[1].MicMuted && !m.Members[2].MicMuted
	})
	if err := wang.handle(wire.RTCMute, wire.RTCMuteBody{Kind: "mic", Epoch: 1}); fault.CodeOf(err) != "rtc.stale_epoch" {
		t.Errorf("unmuting under the epoch of the caucus: %v, want rtc.stale_epoch", err)
	}
	if n := len(li.packets("wang:mic")); n != 0 {
		t.Errorf("%d packets of a muted microphone arrived", n)
	}
	speaks := wang.newest()
	wang.must(wire.RTCMute, wire.RTCMuteBody{Kind: "mic", Epoch: 2})
	li.receives("wang:mic", speaks)
	if p := li.packets("wang:mic"); p[0].n+inFlight < speaks {
		t.Errorf("packet %d is older than the unmuting at %d", p[0].n, speaks)
	}
}
