package store_test

import (
	"testing"
	"time"

	"heyi/store"
	"heyi/store/storetest"
)

// PostgreSQL shows its own time, whatever this process believes; an embedded database has none of its own.
func TestClock(t *testing.T) {
	t.Parallel()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		wrong := time.Now().Add(-time.Hour)
		c.Now = func() time.Time { return wrong }
		s := storetest.Open(t, c)
		before := time.Now()
		got, err := s.Clock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.Driver == store.SQLite {
			if !got.Equal(wrong) {
				t.Errorf("%v, want %v", got, wrong)
			}
			return
		}
		// microseconds, rounded
		if got.Before(before.Add(-time.Millisecond)) || got.After(time.Now().Add(time.Millisecond)) {
			t.Errorf("%v is not between %v and now", got, before)
		}
	})
}
