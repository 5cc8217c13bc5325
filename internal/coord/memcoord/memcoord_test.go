package memcoord_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"heyi/internal/coord/coordtest"
	"heyi/internal/coord/memcoord"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestSuite(t *testing.T) {
	t.Parallel()
	coordtest.Run(t, func(*testing.T) coordtest.Engine {
		c := &clock{now: time.Unix(1_800_000_000, 0)}
		m := memcoord.New(c.Now)
		return coordtest.Engine{Nudges: m, Nodes: m, Limiter: m, Advance: c.Advance}
	})
}

// Keys of strangers must not pile up.
func TestLimiterForgetsIdleKeys(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Unix(1_800_000_000, 0)}
	m := memcoord.New(c.Now)
	for round := range 10 {
		for i := range 1000 {
			if _, _, err := m.Allow(t.Context(), fmt.Sprint(round, "/", i), 5, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		c.Advance(2 * time.Minute)
	}
	if n := m.Keys(); n > 2100 {
		t.Errorf("%d keys kept, want those of about two rounds", n)
	}
}
