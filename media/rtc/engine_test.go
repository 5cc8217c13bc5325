package rtc_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v3"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/media"
)

func TestTwoMembersHearAndSeeEachOther(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.apply(t, room(media.ZoneJoint))
	ming := b.join(t, ticket("ming", media.AttachFull))
	wang := b.join(t, ticket("wang", media.AttachFull))
	ming.publish()
	wang.publish()
	for _, kind := range []string{"mic", "cam"} {
		wang.receives("ming:"+kind, 0)
		ming.receives("wang:"+kind, 0)
	}
	for _, p := range [][]packet{wang.packets("ming:cam"), ming.packets("wang:cam")} {
		if !p[0].key {
			t.Error("the first picture is no keyframe")
		}
	}
	if len(ming.packets("ming:mic")) > 0 {
		t.Error("ming hears himself")
	}
	if got := len(b.Gates("room")); got != 4 {
		t.Errorf("open gates = %d, want 4", got)
	}
	hears(wang, wire.RoomPhase, "that MING hears and sees", func(p wire.RoomPhaseBody) bool {
		return p.Zone == "joint" && len(p.CanHear) == 1 && p.CanHear[0] == "MING" && len(p.CanSee) == 1
	})
	hears(wang, wire.RTCTracks, "of ming's live tracks", func(tr wire.RTCTracksBody) bool {
		return len(tr.Tracks) == 2 && tr.Tracks[0].Live && tr.Tracks[1].Live && tr.Tracks[0].Mid != tr.Tracks[1].Mid
	})
	hears(wang, wire.RTCLevels, "how loud ming is", func(l wire.RTCLevelsBody) bool {
		_, self := l.Levels["wang"]
		return l.Levels["ming"] > 0 && !self
	})
	wang.mu.Lock()
	first := wang.sdps
	wang.mu.Unlock()
	if first != 1 {
		t.Errorf("offers = %d, want 1: publishing must not renegotiate", first)
	}
	if rooms, sessions := b.Load(); rooms != 1 || sessions != 2 {
		t.Errorf("Load = %d, %d, want 1, 2", rooms, sessions)
	}
}

func TestTheScreenShowsAndThePhoneSpeaks(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := room(media.ZoneJoint)
	spec.Members[1] = member("wang", media.RoleParty, media.ZoneJoint, media.AttachView, media.AttachCapture)
	b.apply(t, spec)
	ming := b.join(t, ticket("ming", media.AttachFull))
	ming.publish()
	phone := b.join(t, ticket("wang", media.AttachCapture))
	phone.publish()
	hears(phone, wire.RTCTracks, "the profile", func(tr wire.RTCTracksBody) bool { return tr.Profile != nil || len(tr.Tracks) == 0 })
	// nobody is heard who cannot hear
	hears(ming, wire.RoomMember, "of the phone", func(m wire.RoomMemberBody) bool {
		return len(m.Members) == 2 && len(m.Members[1].Attach) == 1
	})
	if got := b.Gates("room"); len(got) != 0 {
		t.Errorf("gates without a screen = %v, want none", got)
	}
	tv := b.join(t, ticket("wang", media.AttachView))
	for _, kind := range []string{"mic", "cam"} {
		tv.receives("ming:"+kind, 0)
		ming.receives("wang:"+kind, 0)
	}
	if len(tv.packets("wang:mic"))+len(tv.packets("wang:cam")) > 0 {
		t.Error("the screen plays its own person's phone")
	}
	hears(phone, wire.RoomPhase, "who hears", func(p wire.RoomPhaseBody) bool { return len(p.CanHear) == 1 })

	// the screen goes: nothing from the person passes any more, the phone is told
	if err := tv.sess.Close("ended"); err != nil {
		t.Fatal(err)
	}
	closed := phone.newest()
	hears(phone, wire.RoomPhase, "that nobody hears", func(p wire.RoomPhaseBody) bool { return len(p.CanHear) == 0 })
	phone.sends(60)
	reopened := phone.newest()
	again := b.join(t, ticket("wang", media.AttachView))
	ming.receives("wang:mic", reopened)
	for _, p := range ming.packets("wang:mic") {
		if p.n > closed && p.n+inFlight < reopened {
			t.Fatalf("packet %d crossed a gate closed at %d and opened at %d", p.n, closed, reopened)
		}
	}
	if err := again.sess.Close("ended"); err != nil {
		t.Fatal(err)
	}
	if err := phone.sess.Close("ended"); err != nil {
		t.Fatal(err)
	}
	lost, both := false, false
	for !lost || !both {
		select {
		case p := <-b.presence:
			both = both || p.Participant == "wang" && len(p.Live) == 2
			lost = lost || both && p.Participant == "wang" && p.Lost
		case <-time.After(wait):
			t.Fatalf("presence: both %v, lost %v", both, lost)
		}
	}
}

func TestLobbyIsSilentAndAZoneIsClosedWhenApplyReturns(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := room(media.ZoneLobby)
	b.apply(t, spec)
	ming := b.join(t, ticket("ming", media.AttachFull))
	wang := b.join(t, ticket("wang", media.AttachFull))
	ming.publish()
	wang.publish()
	// every member is connected and publishes, and nothing passes
	hears(wang, wire.RoomMember, "that all are here", func(m wire.RoomMemberBody) bool {
		return len(m.Members) == 2 && m.Members[0].Present && m.Members[1].Present
	})
	if got := b.Gates("room"); len(got) != 0 {
		t.Fatalf("gates in the lobby = %v, want none", got)
	}
	ming.sends(60)

	inLobby := ming.newest()
	spec.Epoch, spec.Members = 2, room(media.ZoneJoint).Members
	b.apply(t, spec)
	wang.receives("ming:mic", inLobby)
	wang.receives("ming:cam", inLobby)
	for _, track := range []string{"ming:mic", "ming:cam"} {
		if p := wang.packets(track); p[0].n+inFlight < inLobby {
			t.Errorf("%s: packet %d of the lobby arrived, gate opened at %d", track, p[0].n, inLobby)
		}
	}
	if p := wang.packets("ming:cam"); !p[0].key {
		t.Error("the first picture is no keyframe")
	}

	// back to the lobby: what was sent after Apply returned never arrives
	spec.Epoch, spec.Members = 3, room(media.ZoneLobby).Members
	b.apply(t, spec)
	closed := ming.newest()
	hears(wang, wire.RoomPhase, "the lobby", func(p wire.RoomPhaseBody) bool { return p.Zone == "lobby" && len(p.CanHear) == 0 })
	ming.sends(60)
	reopened := ming.newest()
	spec.Epoch, spec.Members = 4, room(media.ZoneJoint).Members
	b.apply(t, spec)
	for _, track := range []string{"ming:mic", "ming:cam"} {
		wang.receives(track, reopened)
		var before packet
		for i, p := range wang.packets(track) {
			if p.n > closed && p.n+inFlight < reopened {
				t.Fatalf("%s: packet %d crossed a gate closed at %d and opened at %d", track, p.n, closed, reopened)
			}
			if i > 0 && (p.seq != before.seq+1 || int32(p.ts-before.ts) <= 0) {
				t.Fatalf("%s: %+v after %+v", track, p, before)
			}
			if i > 0 && before.n <= closed && p.n > closed && track == "ming:cam" && !p.key {
				t.Error("the picture after the opening is no keyframe")
			}
			before = p
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := room(media.ZoneJoint)
	spec.Epoch = 2
	spec.Members[1] = member("wang", media.RoleParty, media.ZoneJoint, media.AttachView)
	b.apply(t, spec)
	c := b.join(t, ticket("ming", media.AttachFull))
	c.pub = newPC(t)
	if _, err := c.pub.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	offer, err := c.pub.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.pub.CreateDataChannel("chat", nil); err != nil {
		t.Fatal(err)
	}
	data, err := c.pub.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		sdp, code string
	}{
		"a data channel":       {data.SDP, "rtc.data_channel"},
		"no SDP":               {"v=0\r\nnonsense", "rtc.bad_sdp"},
		"nothing":              {"", "rtc.bad_sdp"},
		"too long":             {offer.SDP + strings.Repeat("a=x\r\n", 20000), "rtc.bad_sdp"},
		"too many candidates":  {offer.SDP + strings.Repeat("a=candidate:1 1 udp 1 127.0.0.1 1 typ host\r\n", 31), "rtc.bad_sdp"},
		"two fragments of ICE": {offer.SDP + "a=ice-ufrag:other\r\n", "rtc.ufrag_conflict"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.handle(wire.RTCOffer, wire.RTCSDPBody{PC: "pub", Gen: 1, SDP: tt.sdp})
			if fault.CodeOf(err) != tt.code {
				t.Errorf("error = %v, want %s", err, tt.code)
			}
		})
	}
	t.Run("a view does not publish", func(t *testing.T) {
		t.Parallel()
		tv := b.join(t, ticket("wang", media.AttachView))
		err := tv.handle(wire.RTCOffer, wire.RTCSDPBody{PC: "pub", Gen: 1, SDP: offer.SDP})
		if fault.CodeOf(err) != "rtc.not_admitted" {
			t.Errorf("error = %v, want rtc.not_admitted", err)
		}
		if err := tv.handle(wire.RoomChat, wire.RoomChatBody{Text: "x"}); fault.CodeOf(err) != "rtc.not_allowed" {
			t.Errorf("error = %v, want rtc.not_allowed", err)
		}
	})
	t.Run("tickets", func(t *testing.T) {
		t.Parallel()
		for code, change := range map[string]func(*media.Ticket){
			"rtc.no_room":      func(tk *media.Ticket) { tk.Room = "other" },
			"rtc.stale_fence":  func(tk *media.Ticket) { tk.Fence = 0 },
			"rtc.not_admitted": func(tk *media.Ticket) { tk.Kind = media.AttachCapture },
			"rtc.replaced":     func(tk *media.Ticket) { tk.JoinGen = 0 },
		} {
			tk := ticket("ming", media.AttachFull)
			change(&tk)
			if _, err := b.Open(t.Context(), tk, c); fault.CodeOf(err) != code {
				t.Errorf("error = %v, want %s", err, code)
			}
		}
	})
	t.Run("specs", func(t *testing.T) {
		t.Parallel()
		spec := room(media.ZoneJoint)
		if _, err := b.Apply(t.Context(), spec); fault.CodeOf(err) != "rtc.stale_epoch" {
			t.Errorf("error = %v, want rtc.stale_epoch", err)
		}
		spec.Fence = 0
		if _, err := b.Apply(t.Context(), spec); fault.CodeOf(err) != "rtc.stale_fence" {
			t.Errorf("error = %v, want rtc.stale_fence", err)
		}
	})
	t.Run("frames", func(t *testing.T) {
		t.Parallel()
		if err := c.sess.Handle(t.Context(), wire.RTCMute, json.RawMessage(`{"kind":7}`)); fault.CodeOf(err) != "rtc.bad_frame" {
			t.Errorf("error = %v, want rtc.bad_frame", err)
		}
		if err := c.sess.Handle(t.Context(), wire.Telemetry, nil); fault.CodeOf(err) != "rtc.unknown_type" {
			t.Errorf("error = %v, want rtc.unknown_type", err)
		}
		var f *fault.Error
		if err := c.handle(wire.RTCMute, wire.RTCMuteBody{Kind: "mic", Epoch: 1}); !errors.As(err, &f) || f.Code != "rtc.stale_epoch" {
			t.Errorf("unmuting under an old epoch: %v, want rtc.stale_epoch", err)
		}
	})
}

func TestANewerConnectionReplacesTheOlder(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.apply(t, room(media.ZoneJoint))
	wang := b.join(t, ticket("wang", media.AttachFull))
	wang.publish()
	old := b.join(t, ticket("ming", media.AttachFull))
	old.receives("wang:cam", 0)
	tk := ticket("ming", media.AttachFull)
	tk.JoinGen = 2
	newer := b.join(t, tk)
	hears(old, wire.RTCFail, "rtc.replaced", func(f wire.RTCFailBody) bool { return f.Code == "rtc.replaced" })
	old.until("closed", func() bool { return old.closed == "replaced" })
	newer.receives("wang:cam", 0)
	if p := newer.packets("wang:cam"); !p[0].key {
		t.Error("the first picture is no keyframe")
	}
	if err := old.handle(wire.RTCMute, wire.RTCMuteBody{Kind: "mic", On: true}); fault.CodeOf(err) != "rtc.replaced" {
		t.Errorf("the old session is still served: %v", err)
	}
	if _, err := b.Open(t.Context(), ticket("ming", media.AttachFull), old); fault.CodeOf(err) != "rtc.replaced" {
		t.Errorf("an older ticket opens: %v", err)
	}
}
