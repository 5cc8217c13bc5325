package link

import (
	"testing"
	"time"

	"heyi/devices"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

func TestRefusalsHaveTheirCloseCodes(t *testing.T) {
	t.Parallel()
	for refusal, want := range map[devices.Refusal]string{
		devices.Unknown: CodeUnknownDevice, devices.RefusedRetired: CodeRevoked, devices.RefusedDisabled: CodeDisabled,
		devices.RefusedQuarantined: CodeQuarantined, devices.Superseded: "link.again",
	} {
		if got := fault.CodeOf(refused(refusal)); got != want {
			t.Errorf("%s: %s, want %s", refusal, got, want)
		}
	}
	if err := refused(""); err != nil {
		t.Errorf("admitted: %v", err)
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	long := ""
	for range 30 {
		long += "村村"
	}
	for in, want := range map[string]string{"1.2": "1.2", "a\x00b\n": "ab", long: long[:63]} {
		if got := clip(in); got != want {
			t.Errorf("clip(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSightings(t *testing.T) {
	t.Parallel()
	id := ident.New[ident.DeviceID]()
	got := Sightings([]Seen{{Device: id, Epoch: 3, At: time.UnixMicro(77)}})
	if len(got) != 1 || got[0] != (devices.Sighting{Device: id, Epoch: 3, At: 77}) {
		t.Errorf("%+v", got)
	}
}
