package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heyi/internal/fault"
	"heyi/store"
	"heyi/store/storetest"
)

var nine = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // constant instant

const ttl = 10 * time.Second

func acquire(t *testing.T, s *store.Store, name, owner string, now time.Time) (epoch int64, ok bool) {
	t.Helper()
	epoch, ok, err := s.AcquireLease(t.Context(), name, owner, ttl, now)
	if err != nil {
		t.Fatal(err)
	}
	return epoch, ok
}

func held(t *testing.T, s *store.Store, name string, epoch int64, now time.Time) (ok bool) {
	t.Helper()
	err := s.Write(t.Context(), func(t *store.Tx) (err error) {
		ok, err = t.LeaseHeld(name, epoch, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestLeaseHasOneHolder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		first, ok := acquire(t, s, "matcher", "a", nine)
		if !ok || first != 1 {
			t.Fatalf("epoch %d, ok %v; want 1, true", first, ok)
		}
		if _, ok := acquire(t, s, "matcher", "b", nine.Add(ttl)); ok {
			t.Error("b took a lease in its last instant")
		}
		if !held(t, s, "matcher", first, nine.Add(ttl)) {
			t.Error("a does not hold its lease in its last instant")
		}
		late := nine.Add(ttl + time.Microsecond)
		if held(t, s, "matcher", first, late) {
			t.Error("a holds an expired lease")
		}
		second, ok := acquire(t, s, "matcher", "b", late)
		if !ok || second != 2 {
			t.Errorf("b after expiry: epoch %d, ok %v; want 2, true", second, ok)
		}
		if _, ok := acquire(t, s, "sweeper", "a", late); !ok {
			t.Error("another name is another lease")
		}
		if held(t, s, "nobody's", 1, nine) {
			t.Error("a lease nobody took is held")
		}
	})
}

func TestPausedHolderIsFenced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		old, _ := acquire(t, s, "matcher", "a", nine)
		stolen, ok := acquire(t, s, "matcher", "b", nine.Add(time.Minute))
		if !ok {
			t.Fatal("b could not steal an expired lease")
		}
		// a wakes up and believes, by its own clock of before, that nothing happened.
		if held(t, s, "matcher", old, nine.Add(time.Second)) {
			t.Error("a's old epoch passes a guarded commit")
		}
		lost, err := s.RenewLeases(t.Context(), "a", map[string]int64{"matcher": old}, ttl, nine.Add(time.Second))
		if err != nil || !slices.Equal(lost, []string{"matcher"}) {
			t.Errorf("lost = %v, err = %v; want [matcher]", lost, err)
		}
		if err := s.ReleaseLease(t.Context(), "matcher", "a", old); err != nil {
			t.Fatal(err)
		}
		if !held(t, s, "matcher", stolen, nine.Add(time.Minute+ttl)) {
			t.Error("a's renewal or release changed b's lease")
		}
	})
}

func TestGuardedCommitComesBeforeTheThief(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		epoch, _ := acquire(t, s, "matcher", "a", nine)
		var inside atomic.Bool
		var wg sync.WaitGroup
		early := make(chan struct{}, 1)
		err := s.Write(t.Context(), func(tx *store.Tx) error {
			inside.Store(true)
			defer inside.Store(false)
			if ok, err := tx.LeaseHeld("matcher", epoch, nine.Add(ttl)); !ok || err != nil {
				return fmt.Errorf("held = %v: %w", ok, err)
			}
			wg.Go(func() { // b's clock says the lease is over
				_, ok, err := s.AcquireLease(t.Context(), "matcher", "b", ttl, nine.Add(time.Minute))
				if !ok || err != nil {
					t.Errorf("b: ok = %v, err = %v", ok, err)
				}
				if inside.Load() {
					early <- struct{}{}
				}
			})
			eventually(t, "b waits for a's command, or took the lease before its end", func() bool {
				return len(early) > 0 || blocked(t, s)
			})
			return nil
		})
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if len(early) > 0 {
			t.Error("b took the lease between a's check and a's commit")
		}
		if held(t, s, "matcher", epoch, nine) {
			t.Error("a's epoch survived the theft")
		}
	})
}

// blocked reports whether somebody waits for a command in this database to end.
func blocked(t *testing.T, s *store.Store) bool {
	t.Helper()
	if s.Grouping() {
		return s.Queued() > 0
	}
	var n int
	err := s.One(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`, nil, &n)
	if err != nil {
		t.Error(err)
	}
	return n > 0
}

func TestRenewExtendsOnlyWhatIsHeld(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mine, _ := acquire(t, s, "room/1", "a", nine)
		acquire(t, s, "room/2", "b", nine)
		released, _ := acquire(t, s, "room/3", "a", nine)
		if err := s.ReleaseLease(t.Context(), "room/3", "a", released); err != nil {
			t.Fatal(err)
		}
		unnamed, _ := acquire(t, s, "room/4", "a", nine)
		now := nine.Add(5 * time.Second)
		lost, err := s.RenewLeases(t.Context(), "a", map[string]int64{"room/1": mine, "room/2": 1, "room/3": released, "room/9": 1}, ttl, now)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"room/2", "room/3", "room/9"}, lost); diff != "" {
			t.Errorf("lost (-want +got):\n%s", diff)
		}
		if !held(t, s, "room/1", mine, now.Add(ttl)) {
			t.Error("a renewed lease was not extended")
		}
		if held(t, s, "room/4", unnamed, now.Add(ttl)) {
			t.Error("a lease that was not named was extended")
		}
		if lost, err := s.RenewLeases(t.Context(), "a", nil, ttl, now); err != nil || lost != nil {
			t.Errorf("nothing to renew: lost = %v, err = %v", lost, err)
		}
	})
}

func TestRenewThousandsInOneStatement(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		want := map[string]int64{}
		for i := range 3000 {
			want[fmt.Sprintf("room/%04d", i)] = 1
		}
		acquire(t, s, "room/0007", "a", nine)
		lost, err := s.RenewLeases(t.Context(), "a", want, ttl, nine)
		if err != nil || len(lost) != len(want)-1 || slices.Contains(lost, "room/0007") {
			t.Errorf("lost %d, err = %v; want all but room/0007", len(lost), err)
		}
	})
}

func TestReleasedLeaseIsFreeUnderANewEpoch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		first, _ := acquire(t, s, "matcher", "a", nine)
		if err := s.ReleaseLease(t.Context(), "matcher", "a", first); err != nil {
			t.Fatal(err)
		}
		if held(t, s, "matcher", first, nine) {
			t.Error("a released lease is held")
		}
		second, ok := acquire(t, s, "matcher", "b", nine)
		if !ok || second != first+1 {
			t.Errorf("epoch %d, ok %v; want %d at once", second, ok, first+1)
		}
	})
}

func TestRestartedNodeTakesItsLeasesOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		old, _ := acquire(t, s, "matcher", "a", nine)
		acquire(t, s, "sweeper", "a", nine)
		acquire(t, s, "room/1", "b", nine)
		now := nine.Add(time.Second)
		inc, got, err := s.StartNode(t.Context(), "a", "folder", ttl, now)
		if err != nil || inc != 1 {
			t.Fatalf("incarnation %d, %v", inc, err)
		}
		until := now.Add(ttl).UnixMicro()
		want := []store.Lease{{Name: "matcher", Owner: "a", Epoch: 2, ExpiresAt: until}, {Name: "sweeper", Owner: "a", Epoch: 2, ExpiresAt: until}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("leases (-want +got):\n%s", diff)
		}
		if held(t, s, "matcher", old, now) {
			t.Error("the earlier incarnation still passes")
		}
		if !held(t, s, "matcher", 2, now) || !held(t, s, "room/1", 1, now) {
			t.Error("the new incarnation or the neighbour does not hold its lease")
		}
	})
}

func TestOneOfManyGetsAFreeLease(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for round := range 5 {
			now := nine.Add(time.Duration(round) * time.Hour)
			var winners atomic.Int64
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					epoch, ok, err := s.AcquireLease(t.Context(), "matcher", fmt.Sprint("node-", i), ttl, now)
					if err != nil {
						t.Error(err)
					}
					if ok {
						winners.Add(1)
						if epoch != int64(round+1) {
							t.Errorf("epoch %d, want %d", epoch, round+1)
						}
					}
				})
			}
			wg.Wait()
			if n := winners.Load(); n != 1 {
				t.Errorf("%d nodes got the lease, want 1", n)
			}
		}
	})
}

func TestTokenIsSpentOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var spent, refused atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				switch err := s.SpendToken(t.Context(), "jti-1", nine.Add(time.Minute), nine); {
				case err == nil:
					spent.Add(1)
				case errors.Is(err, fault.New(fault.Conflict, "token.spent")) && fault.KindOf(err) == fault.Conflict:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if spent.Load() != 1 || refused.Load() != 31 {
			t.Errorf("spent %d times, refused %d; want 1 and 31", spent.Load(), refused.Load())
		}
		if err := s.SpendToken(t.Context(), "jti-2", nine, nine); fault.CodeOf(err) != "token.expired" {
			t.Errorf("at its end: %v, want token.expired", err)
		}
	})
}

func TestSweepForgetsOnlyWhatCannotComeBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for id, expires := range map[string]time.Time{"short": nine.Add(time.Minute), "long": nine.Add(48 * time.Hour)} {
			if err := s.SpendToken(t.Context(), id, expires, nine); err != nil {
				t.Fatal(err)
			}
		}
		// A day later the next token carries the sweep with it.
		if err := s.SpendToken(t.Context(), "next", nine.Add(48*time.Hour), nine.Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if hasRow(t, s, "short") || !hasRow(t, s, "long") || !hasRow(t, s, "next") {
			t.Errorf("short %v, long %v, next %v; want only the expired one gone", hasRow(t, s, "short"), hasRow(t, s, "long"), hasRow(t, s, "next"))
		}
	})
}
