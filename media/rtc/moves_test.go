package rtc_test

import (
	"testing"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/media"
)

// A room that moved with its picture plays on, takes nobody in and says where everybody shall ask; then it ends with a
// code that makes clients ask too.
func TestARoomThatLeavesPlaysOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.apply(t, room(media.ZoneJoint))
	ming := b.join(t, ticket("ming", media.AttachFull))
	wang := b.join(t, ticket("wang", media.AttachFull))
	ming.publish()
	wang.publish()
	ming.receives("wang:cam", 0)
	if err := b.Leave(t.Context(), "room", "drain"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{ming, wang} {
		hears(c, wire.RTCMove, "that the room moved", func(m wire.RTCMoveBody) bool { return m.Why == "drain" })
	}
	at := wang.newest()
	ming.receives("wang:cam", at+inFlight)
	if _, err := b.Open(t.Context(), ticket("ming", media.AttachFull), nil); fault.CodeOf(err) != "rtc.stale_fence" {
		t.Errorf("a newcomer: %v, want rtc.stale_fence", err)
	}
	if err := b.Close(t.Context(), "room", room(media.ZoneJoint).Fence+1, "moved"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{ming, wang} {
		hears(c, wire.RTCFail, "to ask for a new entry", func(f wire.RTCFailBody) bool { return f.Code == "rtc.stale_fence" })
	}
	if err := b.Leave(t.Context(), "room", "drain"); fault.CodeOf(err) != "rtc.no_room" {
		t.Errorf("a room that is over: %v", err)
	}
}

// Frozen: what plays plays on, nothing opens, nobody comes in.
func TestAFrozenRoomOpensNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := room(media.ZoneJoint)
	b.apply(t, spec)
	ming := b.join(t, ticket("ming", media.AttachFull))
	wang := b.join(t, ticket("wang", media.AttachFull))
	ming.publish()
	wang.publish()
	ming.receives("wang:mic", 0)
	wang.receives("ming:mic", 0)
	wang.must(wire.RTCMute, wire.RTCMuteBody{Kind: "mic", On: true, Epoch: spec.Epoch})
	b.Freeze(true)

	at := ming.newest()
	wang.receives("ming:mic", at+inFlight)
	unmute := wire.RTCMuteBody{Kind: "mic", Epoch: spec.Epoch}
	if err := wang.handle(wire.RTCMute, unmute); fault.CodeOf(err) != "rtc.frozen" {
		t.Errorf("unmuting: %v, want rtc.frozen", err)
	}
	again := ticket("ming", media.AttachFull)
	again.JoinGen++
	if _, err := b.Open(t.Context(), again, nil); fault.CodeOf(err) != "rtc.frozen" {
		t.Errorf("a newcomer: %v, want rtc.frozen", err)
	}
	other := room(media.ZoneJoint)
	other.Room = "other"
	if _, err := b.Apply(t.Context(), other); fault.CodeOf(err) != "rtc.frozen" {
		t.Errorf("a new room: %v, want rtc.frozen", err)
	}
	// a wider spec opens nothing, a narrower one closes
	ming.must(wire.RTCMute, wire.RTCMuteBody{Kind: "cam", On: true, Epoch: spec.Epoch})
	for _, e := range b.Gates("room") {
		if e.From == "ming" && e.Kind == media.Cam || e.From == "wang" && e.Kind == media.Mic {
			t.Errorf("%v is open", e)
		}
	}

	b.Freeze(false)
	wang.must(wire.RTCMute, unmute)
	now := wang.newest()
	ming.receives("wang:mic", now)
}
