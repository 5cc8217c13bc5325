package sim

import (
	mrand "math/rand/v2"
	"testing"
	"time"

	"heyi/gateway/wire"
)

// How a device comes back (device-protocol.md §14): inside the window it was given, whatever ended the link.
func TestComingBack(t *testing.T) {
	t.Parallel()
	rule := wire.ReconnectRule{BaseMS: 2000, CapMS: 300_000, WindowMS: 45_000}
	rnd := mrand.New(mrand.NewPCG(1, 2)) //nolint:gosec // of a test
	for name, tt := range map[string]struct {
		code        int
		told        time.Duration
		least, most time.Duration
	}{
		"a line that broke uses at most 30 s of the window": {0, 0, 0, 30 * time.Second},
		"told to go away":                      {wire.CloseGoingAway, 3 * time.Second, 0, 3 * time.Second},
		"moved by itself before it was closed": {0, 3 * time.Second, 0, 3 * time.Second},
		"closed without a window":              {wire.CloseGoingAway, 0, 0, 45 * time.Second},
		"superseded waits about a minute":      {wire.CloseSuperseded, 0, 48 * time.Second, 72 * time.Second},
		"an ack that did not come":             {wire.CloseAckTimeout, 0, 0, 2 * time.Second},
	} {
		for range 200 {
			l := after(tt.code, tt.told, rule, rnd)
			if l.Wait < tt.least || l.Wait > tt.most || l.Window != tt.most {
				t.Fatalf("%s: waits %v of %v, want %v..%v", name, l.Wait, l.Window, tt.least, tt.most)
			}
		}
	}
}
