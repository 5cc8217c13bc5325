package link_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"heyi/gateway/link"
	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/ident"
)

// boots opens the link of a device as a program with this boot id would.
func (w *world) boots(tb testing.TB, d *device, boot string) *client {
	tb.Helper()
	c := w.dial(tb, "/ws/v1")
	body := d.connect(tb, c.ch)
	body.BootID = boot
	c.send(wire.Frame{T: wire.Connect}, body)
	c.expect(wire.Welcome, &c.wel)
	return c
}

// Two programs with one key take the link from each other: both are closed and the device goes out of service. One that
// reboots again and again is left alone.
func TestClonesAreFound(t *testing.T) {
	t.Parallel()
	found := make(chan ident.DeviceID, 10)
	var w *world
	w = setup(t, link.Config{}, func(d *link.Deps, _ *link.Hub) {
		if d == nil {
			return
		}
		d.Cloned = func(ctx context.Context, dev ident.DeviceID, unit ident.UnitID) {
			w.mu.Lock()
			w.life[dev] = link.CodeQuarantined
			w.epochs[dev]++
			epoch := w.epochs[dev]
			w.mu.Unlock()
			w.nudges.Publish(ctx, coord.Nudge{To: "device/" + string(dev), ID: string(dev), Ver: epoch, Why: "kick.quarantined"})
			if unit != "u1" {
				t.Errorf("unit %q", unit)
			}
			found <- dev
		}
	})
	d, restless := w.enrol(newDevice(t, "ed25519")), w.enrol(newDevice(t, "ed25519"))
	for range 50 {
		w.boots(t, restless, ident.New[string]())
	}
	var last *client
	for _, boot := range []string{"a", "b", "a", "b", "a"} {
		last = w.boots(t, d, boot)
	}
	select {
	case dev := <-found:
		if dev != d.id {
			t.Errorf("found %s, want %s", dev, d.id)
		}
	case <-time.After(patience):
		t.Fatal("the clone was not found")
	}
	if code, _ := last.closed(); code != wire.CloseQuarantined {
		t.Errorf("closed with %d, want %d", code, wire.CloseQuarantined)
	}
	c := w.dial(t, "/ws/v1")
	c.send(wire.Frame{T: wire.Connect}, d.connect(t, c.ch))
	if code, _ := c.closed(); code != wire.CloseQuarantined {
		t.Errorf("the other one: closed with %d, want %d", code, wire.CloseQuarantined)
	}
	if len(found) != 0 {
		t.Error("found again")
	}
}

// An address that brings wrong proofs is refused before the upgrade; right ones cost nothing.
func TestAnAddressThatGuessesIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{AuthFails: 3, AuthBlock: time.Hour})
	d := w.enrol(newDevice(t, "ed25519"))
	for range 5 {
		w.login(t, d)
	}
	for range 3 {
		c := w.dial(t, "/ws/v1")
		body := d.connect(t, c.ch)
		body.Auth.Sig[0] ^= 1
		c.send(wire.Frame{T: wire.Connect}, body)
		if code, _ := c.closed(); code != wire.CloseBadSignature {
			t.Fatalf("closed with %d", code)
		}
	}
	ws, res, err := dialer().DialContext(t.Context(), "ws"+strings.TrimPrefix(w.srv.URL, "http")+"/ws/v1", nil)
	if err == nil {
		_ = ws.Close()
		t.Fatal("the door stays open")
	}
	_ = res.Body.Close()
	if wait, _ := strconv.Atoi(res.Header.Get("Retry-After")); res.StatusCode != http.StatusTooManyRequests || wait < 2400 {
		t.Errorf("refused with %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
}
