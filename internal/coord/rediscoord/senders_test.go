package rediscoord

import (
	"testing"
	"time"
)

func TestJumps(t *testing.T) {
	t.Parallel()
	const beat = time.Second
	type step struct {
		at   time.Duration
		from string
		seq  uint64
		want bool
	}
	for name, steps := range map[string][]step{
		"one after the other":                             {{0, "a", 7, false}, {beat, "a", 8, false}, {2 * beat, "a", 9, false}},
		"one is missing":                                  {{0, "a", 7, false}, {beat, "a", 9, true}, {2 * beat, "a", 10, false}},
		"what was said before we listened is no loss":     {{0, "a", 7, false}, {beat, "b", 90, false}},
		"a new node begins with one":                      {{0, "a", 7, false}, {9 * beat, "b", 1, false}, {9 * beat, "b", 2, false}},
		"a new node whose first word was lost":            {{0, "a", 7, false}, {9 * beat, "b", 2, true}, {9 * beat, "b", 3, false}},
		"one that was cut off for long":                   {{0, "a", 7, false}, {60 * beat, "b", 1, false}, {61 * beat, "a", 9, true}},
		"one that was cut off so long that it is no more": {{0, "a", 7, false}, {60 * beat, "b", 1, false}, {72 * beat, "a", 8, true}},
	} {
		s, start := newSenders(beat), time.Unix(1_800_000_000, 0)
		for i, x := range steps {
			if got := s.jumped(x.from, x.seq, start.Add(x.at)); got != x.want {
				t.Errorf("%s: step %d: jumped = %v", name, i, got)
			}
		}
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	b := &breaker{after: 2, wait: time.Second, now: func() time.Time { return now }}
	call := func(v verdict) bool {
		if !b.enter() {
			return false
		}
		b.settle(v)
		return true
	}
	if !call(bad) || !call(good) || !call(bad) || b.state() != closed {
		t.Error("failures that are not in a row open it")
	}
	if !call(bad) || b.state() != open || call(good) {
		t.Error("two failures in a row do not open it")
	}
	now = now.Add(time.Second)
	if !b.enter() || b.state() != halfOpen || b.enter() {
		t.Error("after its time not exactly one call tries")
	}
	b.settle(bad)
	if b.state() != open || call(good) {
		t.Error("a failed try does not open it again")
	}
	now = now.Add(time.Second)
	if !call(unknown) || b.state() != open || !call(good) || b.state() != closed {
		t.Error("a try whose caller went away decides, or a good one does not close it")
	}
}
