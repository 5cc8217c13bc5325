package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heyi/mediation/agreement/pdf/pdftest"
)

// TestAFewFaults is the small form of make chaos: two nodes, half a minute of faults of the short kinds, every invariant.
func TestAFewFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	heyi := filepath.Join(dir, "heyi")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", heyi, "heyi/cmd/heyi") //nolint:gosec // our own words
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // PostgreSQL's user goes through it
		t.Fatal(err)
	}
	wrong, err := execute(t.Context(), config{
		Heyi: heyi, Fonts: filepath.Dir(pdftest.Fonts(t).Regular[0]), Units: "../../internal/org/chifeng.csv", Out: out{t},
		Faults: 6, Seed: uint64(time.Now().UnixNano()), Nodes: 2, Devices: 24, Citizens: 4, Desks: 2, Time: 25 * time.Second,
		Only: "kill,pause,roll,pg_fast,redis_kill,cut_pg,reset", Warm: 3 * time.Second, Talk: 8 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Errorf("%s: %s", w.What, w.Evidence)
	}
}

// out prints to the test's log.
type out struct{ t *testing.T }

func (o out) Write(b []byte) (int, error) {
	o.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

func TestHas(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]bool{
		"node:\n  name: a\n  url: \"\"\nhttp:\n  listen: x\n": true,
		"node:\n  name: a\nhttp:\n  url: x\n":                 false,
	} {
		if got := has(settings, "node", "url"); got != want {
			t.Errorf("%q: %v", settings, got)
		}
	}
}

// What a device remembers is held against an "offline" event as fleet.md §12 demands.
func TestJudgeOffline(t *testing.T) {
	t.Parallel()
	t0 := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	spans := []span{{epoch: 1, node: "n1", up: at(10), down: at(100)}, {epoch: 2, node: "n2", up: at(300), down: at(600), dead: at(400)}}
	for name, tt := range map[string]struct {
		at    int
		epoch int64
		want  string
	}{
		"gone for two minutes":            {220, 1, ""},
		"gone for half a minute":          {130, 1, "offline_early"},
		"while it was linked":             {350, 2, "offline_false"},
		"with the epoch of an older link": {350, 1, "offline_old_epoch"},
		"cut without a word long ago":     {470, 2, ""},
		"cut without a word a moment ago": {430, 2, "offline_early"},
		"before it was ever linked":       {9, 0, "offline_early"},
	} {
		r := &run{started: t0, out: out{t}, fig: newFigures()}
		x := mustBox(t)
		x.spans = spans
		owed := r.judgeOffline(x, at(tt.at), tt.epoch, "network")
		got := ""
		for _, w := range r.wrong {
			got = w.What
		}
		if got != tt.want || owed != (tt.want == "") {
			t.Errorf("%s: %q, owed %v; want %q", name, got, owed, tt.want)
		}
	}
}

func mustBox(t *testing.T) *box {
	t.Helper()
	b, err := newBox(1, rootUnit, "SN-1")
	if err != nil {
		t.Fatal(err)
	}
	return b
}
