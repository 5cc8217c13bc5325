package rtc_test

import (
	"log/slog"
	"testing"

	"heyi/media"
	"heyi/media/rtc"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	b, ming, wang := call(t, nil)
	f := b.Figures()
	if f.Rooms != 1 || f.Members != 2 || f.Sessions != 2 || f.GateViolations != 0 {
		t.Errorf("%+v", f)
	}
	in, out := f.Totals.In.Load(), f.Totals.Out.Load()
	if in == 0 || out == 0 || f.Totals.Keyframes.Load() == 0 {
		t.Errorf("%d in, %d out, %d keyframes asked", in, out, f.Totals.Keyframes.Load())
	}
	spec := room(media.ZoneJoint)
	spec.Epoch, spec.Closed = 2, true
	b.apply(t, spec)
	for _, c := range []*client{ming, wang} {
		c.until("closed", func() bool { return c.closed != "" })
	}
	after := b.Figures()
	if after.Rooms != 0 || after.Members != 0 || after.Totals.In.Load() < in || after.Totals.Out.Load() < out {
		t.Errorf("after the room: %+v, %d in, %d out; before %d, %d", after, after.Totals.In.Load(), after.Totals.Out.Load(), in, out)
	}
}

// A gate that a defect opened is found with the next change of the room, closed and counted.
func TestAGateThatNobodyAllowsIsClosedAndCounted(t *testing.T) {
	t.Parallel()
	b, _, _ := call(t, func(c *rtc.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	spec := room(media.ZoneLobby)
	spec.Epoch = 2
	b.apply(t, spec)
	if open := b.ForceGates(t.Context(), spec.Room); open != 4 {
		t.Fatalf("%d gates were forced open, want 4", open)
	}
	spec.Epoch = 3
	b.apply(t, spec)
	if n := b.Figures().GateViolations; n != 0 {
		t.Errorf("%d violations, but reconcile closes what is not wanted before it looks", n)
	}
	b.ForceGates(t.Context(), spec.Room)
	b.LookAtGates(t.Context(), spec.Room)
	if n := b.Figures().GateViolations; n != 4 || len(b.Gates(spec.Room)) != 0 {
		t.Errorf("%d violations, %v open; want 4 and none", n, b.Gates(spec.Room))
	}
	if open := b.ForceGates(t.Context(), spec.Room); open != 4 {
		t.Errorf("%d were closed, want 4", open)
	}
}
