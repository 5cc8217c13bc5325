package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A node whose clock jumps. libfaketime works through libc, which a static Go program has none of, and a product must not
// carry a switch for its clock: so the same sources are built once more, with a package time of which one line is
// changed. Durations stay true, as they do when a real clock jumps: they come from the monotonic clock.

// clockEnv holds the schedule of a node's clock, "3s+3600s,20s+0s": from 3 s after the start it shows an hour more, from
// 20 s on the real time again. Only a program built by buildClock reads it.
const clockEnv = "CHAOS_CLOCK"

// clockSource is added to package time.
const clockSource = `package time

import "syscall"

type chaosStep struct {
	after int64 // ns since the start
	shift int64 // s
}

var chaosSteps = chaosSchedule()

func chaosSchedule() (list []chaosStep) {
	text, _ := syscall.Getenv("` + clockEnv + `")
	for text != "" {
		var step string
		step, text, _ = chaosCut(text, ',')
		after, shift, sign := step, "", int64(1)
		for i := 1; i < len(step); i++ {
			if step[i] == '+' || step[i] == '-' {
				after, shift = step[:i], step[i+1:]
				if step[i] == '-' {
					sign = -1
				}
				break
			}
		}
		a, err := ParseDuration(after)
		s, err2 := ParseDuration(shift)
		if err != nil || err2 != nil {
			panic("` + clockEnv + `: " + step)
		}
		list = append(list, chaosStep{int64(a), sign * int64(s/Second)})
	}
	return list
}

func chaosCut(s string, sep byte) (string, string, bool) {
	for i := range len(s) {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// chaosShift is what the clock shows too much, in seconds.
func chaosShift(mono int64) (shift int64) {
	for _, s := range chaosSteps {
		if mono-startNano >= s.after {
			shift = s.shift
		}
	}
	return shift
}
`

// The line of time.Now that is changed.
const (
	clockLine    = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	clockChanged = clockLine + "\tsec += chaosShift(mono)\n"
)

// buildClock builds the program with a clock that can jump.
func buildClock(ctx context.Context, pkg, out string) (err error) {
	root, err := output(ctx, os.Environ(), "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	dir := filepath.Join(strings.TrimSpace(root), "src", "time")
	src, err := os.ReadFile(filepath.Join(dir, "time.go")) //nolint:gosec // of the toolchain
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	if strings.Count(string(src), clockLine) != 1 {
		return errors.New("clock: this Go's time.Now is another one; adapt test/chaos/clock.go")
	}
	tmp, err := os.MkdirTemp("", "heyi-clock-")
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	files := map[string]string{"time.go": strings.Replace(string(src), clockLine, clockChanged, 1), "chaos.go": clockSource}
	replace := map[string]string{}
	for name, text := range files {
		replace[filepath.Join(dir, name)] = filepath.Join(tmp, name)
		if err := os.WriteFile(filepath.Join(tmp, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("clock: %w", err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	path := filepath.Join(tmp, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-overlay", path, "-o", out, pkg) //nolint:gosec // our own words
	cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("clock: go build: %w", err)
	}
	return nil
}
