package rediscoord

import (
	"sync"
	"time"
)

// The states of a breaker, as the metric shows them.
const (
	closed   = 0 // calls go through
	halfOpen = 1 // one call tries whether Redis is back
	open     = 2 // calls are refused at once
)

// breaker refuses calls to a Redis that does not answer, so that nobody waits for each of them.
type breaker struct {
	after int           // failures in a row that open it
	wait  time.Duration // how long it stays open before one call may try
	now   func() time.Time

	mu     sync.Mutex
	failed int
	until  time.Time // refuses until then
	trying bool
}

// verdict is what became of a call.
type verdict uint8

const (
	good    verdict = iota
	bad             // Redis did not answer in time, or with an error
	unknown         // the caller went away meanwhile
)

// enter reports whether a call may go through; the caller tells settle what became of it.
func (b *breaker) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < b.after {
		return true
	}
	if b.trying || b.now().Before(b.until) {
		return false
	}
	b.trying = true
	return true
}

func (b *breaker) settle(v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	switch v {
	case good:
		b.failed = 0
	case bad:
		b.failed = min(b.failed+1, b.after)
		b.until = b.now().Add(b.wait)
	case unknown:
	}
}

func (b *breaker) state() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failed < b.after:
		return closed
	case b.trying:
		return halfOpen
	}
	return open
}
