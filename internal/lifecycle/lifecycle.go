// Package lifecycle starts the parts of a process in order and stops them in the opposite order.
//
// Each part is a Run(ctx) error that blocks. Group is the only place, beside a connection's owner, that writes "go";
// it waits for everything it started. The first part that fails stops the others.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

type part struct {
	name string
	run  func(context.Context) error
}

// Group is an ordered list of parts. Add parts first, then call Run once.
type Group struct {
	parts []part
	// StopTimeout bounds how long one part may take to stop; 0 means 10 s.
	StopTimeout time.Duration
}

// Add appends a part. Parts start in the order of Add and stop in the opposite order.
func (g *Group) Add(name string, run func(context.Context) error) {
	g.parts = append(g.parts, part{name, run})
}

// Run starts every part and returns when all have ended: after ctx is done, or after the first part failed. Parts
// are cancelled one by one, last added first, each waited for before the next. The error joins what failed; a
// context.Canceled after a stop is no failure.
func (g *Group) Run(ctx context.Context) error {
	type running struct {
		part
		cancel context.CancelFunc
		done   chan error
	}
	var (
		failed = make(chan struct{})
		once   sync.Once
		list   []running
	)
	for _, p := range g.parts {
		pctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := running{part: p, cancel: cancel, done: make(chan error, 1)}
		list = append(list, r)
		go func() {
			err := p.run(pctx)
			if err != nil && !errors.Is(err, context.Canceled) {
				once.Do(func() { close(failed) })
			}
			r.done <- err
		}()
	}
	select {
	case <-ctx.Done():
	case <-failed:
	}
	timeout := g.StopTimeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	var errs []error
	for _, r := range slices.Backward(list) {
		r.cancel()
		select {
		case err := <-r.done:
			if err != nil && !errors.Is(err, context.Canceled) {
				errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
			}
		case <-time.After(timeout):
			errs = append(errs, fmt.Errorf("%s: did not stop within %s", r.name, timeout))
		}
	}
	return errors.Join(errs...)
}
