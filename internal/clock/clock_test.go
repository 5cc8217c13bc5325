package clock

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = errors.New("away")

// world is a database and a machine of its own whose wall clock may be wrong; both run by the bubble's clock.
type world struct {
	wrong time.Duration // of the machine's wall clock
	late  time.Duration // each way to the database
	ahead time.Duration // of the database before the bubble's clock
	away  bool
	told  time.Duration
}

// clock is the machine's. A wall clock that jumps while the monotonic one goes on cannot be made here: make chaos does it.
func (w *world) clock(cfg Config) *Clock {
	return New(cfg, Deps{
		Own: time.Now, Told: func(off time.Duration) { w.told = off }, Logger: slog.New(slog.DiscardHandler),
		Ask: func(context.Context) (time.Time, error) {
			time.Sleep(w.late) //nolint:forbidigo // in a synctest bubble
			if w.away {
				return time.Time{}, errAway
			}
			at := time.Now().Add(w.ahead - w.wrong)
			time.Sleep(w.late) //nolint:forbidigo // in a synctest bubble
			return at, nil
		},
	})
}

func (w *world) off(c *Clock) time.Duration {
	return c.Now().Sub(time.Now().Add(w.ahead - w.wrong).Round(0))
}

func TestItShowsTheDatabasesTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{wrong: time.Hour, late: 20 * time.Millisecond} // this machine is an hour ahead
		c := w.clock(Config{})
		if got := w.off(c); got != time.Hour {
			t.Errorf("before the first sync it is off by %v, want its own time", got)
		}
		if err := c.Sync(t.Context()); err != nil || w.off(c) != 0 || w.told != time.Hour {
			t.Errorf("%v: off by %v, told %v", err, w.off(c), w.told)
		}
		time.Sleep(30 * time.Minute) //nolint:forbidigo // in a synctest bubble
		if got := w.off(c); got != 0 {
			t.Errorf("half an hour later: off by %v", got)
		}
		w.away = true
		if err := c.Sync(t.Context()); !errors.Is(err, errAway) || w.off(c) != 0 {
			t.Errorf("%v: off by %v", err, w.off(c))
		}
	})
}

func TestItFollowsWithoutJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{late: 400 * time.Millisecond}
		c := w.clock(Config{Every: time.Second})
		w.ahead = 150 * time.Millisecond
		if err := c.Sync(t.Context()); err != nil || w.off(c) != -150*time.Millisecond {
			t.Errorf("%v: off by %v, a small difference is left alone", err, w.off(c))
		}
		w.ahead = 350 * time.Millisecond
		if err := c.Sync(t.Context()); err != nil || w.off(c) != -350*time.Millisecond {
			t.Errorf("%v: off by %v, half the way there and back is uncertain", err, w.off(c))
		}
		w.ahead = -2 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := c.Run(ctx); !errors.Is(err, context.DeadlineExceeded) || w.off(c) != 0 {
			t.Errorf("%v: off by %v after Run", err, w.off(c))
		}
	})
}
