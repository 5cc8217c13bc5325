package people

import (
	"context"
	"errors"
	"strings"
	"testing"

	"heyi/internal/fault"
)

// cheap keeps tests quick.
func cheap() *hasher { return newHasher(Argon2{MemoryKiB: 8, Passes: 1, Lanes: 1}, 1) }

func TestPassword(t *testing.T) {
	t.Parallel()
	h := cheap()
	phc, err := h.hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatalf("%q, %v", phc, err)
	}
	again, err := h.hash(t.Context(), "correct horse")
	if err != nil || again == phc {
		t.Errorf("two hashes of one password are the same: no salt (%v)", err)
	}
	strong := newHasher(Argon2{MemoryKiB: 64, Passes: 2, Lanes: 1}, 0) // other cost than the hash's own
	tests := map[string]struct {
		password, phc string
		want          bool
	}{
		"right":                      {"correct horse", phc, true},
		"wrong":                      {"correct hors", phc, false},
		"empty":                      {"", phc, false},
		"no hash":                    {"", "", false},
		"broken hash":                {"correct horse", strings.Replace(phc, "argon2id", "argon2i", 1), false},
		"hash cut off":               {"correct horse", phc[:len(phc)-30], false},
		"hash that demands too much": {"correct horse", strings.Replace(phc, "m=8", "m=99999999", 1), false},
	}
	for name, tt := range tests {
		got, err := strong.verify(t.Context(), tt.password, tt.phc)
		if err != nil || got != tt.want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, tt.want)
		}
	}
}

// Sign-ins cannot exhaust memory: hashes run a few at a time, some callers wait, the rest are turned away.
func TestHashesAreBounded(t *testing.T) {
	t.Parallel()
	h := cheap()
	var leaves []func()
	leave, err := h.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leaves = append(leaves, leave)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 16)
	for range 15 { // one works, fifteen wait
		go func() {
			_, err := h.enter(ctx)
			waiting <- err
		}()
	}
	for len(h.line) < 16 {
		select {
		case err := <-waiting:
			t.Fatalf("one of those who wait left: %v", err)
		default:
		}
	}
	if _, err := h.enter(t.Context()); fault.CodeOf(err) != "auth.busy" {
		t.Errorf("the seventeenth: %v, want auth.busy", err)
	}
	cancel()
	for range 15 {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who went away: %v", err)
		}
	}
	for _, leave := range leaves {
		leave()
	}
	if len(h.slots)+len(h.line) != 0 {
		t.Errorf("%d slots and %d places are not given back", len(h.slots), len(h.line))
	}
}

func TestNewPasswordIsReadable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		p := NewPassword()
		if len(p) != 14 || strings.ContainsAny(p, "ilo") || seen[p] {
			t.Fatalf("password %q", p)
		}
		seen[p] = true
	}
}
