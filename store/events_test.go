package store_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/mediation"
	"heyi/store"
	"heyi/store/storetest"
)

func ticketEvent(id string, n int) audit.Event {
	return audit.Event{
		Aggregate: "ticket", ID: id, Type: "ticket.created", At: nine.UnixMicro() + int64(n), Cause: "request 7",
		Data:  map[string]string{"n": strconv.Itoa(n), "state": "waiting"},
		Actor: mediation.Actor{Kind: mediation.ActorDevice, ID: "visit-1", Device: "device-1"},
	}
}

func TestParallelEventsFormChains(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const callers, each = 16, 10
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for j := range each {
					// Every command writes to two chains, in an order that differs from its neighbour's.
					first, second := "one", "two"
					if i%2 == 1 {
						first, second = second, first
					}
					err := s.Write(t.Context(), func(t *store.Tx) error {
						if err := t.Event(ticketEvent(first, i*each+j)); err != nil {
							return err
						}
						return t.Event(ticketEvent(second, i*each+j))
					})
					if err != nil {
						t.Errorf("caller %d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		for _, id := range []string{"one", "two"} {
			chain, err := s.Events(t.Context(), "ticket", id)
			if err != nil {
				t.Fatal(err)
			}
			if len(chain) != callers*each {
				t.Errorf("%d events, want %d", len(chain), callers*each)
			}
			if at := audit.Verify(chain); at != -1 {
				t.Errorf("the chain breaks at %d", at)
			}
		}
	})
}

func TestEventsComeBackWholeAndTamperingShows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var want []audit.Event
		prev := ""
		for n := range 3 {
			e := ticketEvent("one", n)
			if err := s.Write(t.Context(), func(t *store.Tx) error { return t.Event(e) }); err != nil {
				t.Fatal(err)
			}
			e.Seq, e.PrevHash = int64(n+1), prev
			e.Hash = audit.Sum(e)
			prev = e.Hash
			want = append(want, e)
		}
		got, err := s.Events(t.Context(), "ticket", "one")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if none, err := s.Events(t.Context(), "ticket", "other"); err != nil || len(none) != 0 {
			t.Errorf("another aggregate has %d events, err = %v", len(none), err)
		}
		err = s.Write(t.Context(), func(t *store.Tx) error {
			_, err := t.Exec(`UPDATE event SET actor_id = 'somebody else' WHERE agg_id = 'one' AND seq = 2`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err = s.Events(t.Context(), "ticket", "one"); err != nil || audit.Verify(got) != 1 {
			t.Errorf("Verify = %d, err = %v; want it to point at the changed event", audit.Verify(got), err)
		}
	})
}

func TestRefusedCommandLeavesNoEvent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		refusal := fault.New(fault.Conflict, "test.refused")
		err := s.Write(t.Context(), func(t *store.Tx) error {
			if err := t.Event(ticketEvent("one", 0)); err != nil {
				return err
			}
			return refusal
		})
		if fault.CodeOf(err) != "test.refused" {
			t.Fatal(err)
		}
		if chain, err := s.Events(t.Context(), "ticket", "one"); err != nil || len(chain) != 0 {
			t.Errorf("%d events, err = %v; want none", len(chain), err)
		}
	})
}

// once is a command under an idempotency key that counts how often it was really done.
func once(t *testing.T, s *store.Store, actor, key, command string, done *atomic.Int64) (answer string, err error) {
	t.Helper()
	first := false
	err = s.Write(t.Context(), func(tx *store.Tx) (err error) {
		if first, answer, err = tx.Remember(actor, key, command, nine.UnixMicro()); err != nil || !first {
			return err
		}
		answer = fmt.Sprintf("ticket of %s under %s", actor, key)
		return tx.Answer(actor, key, answer)
	})
	if first && err == nil {
		done.Add(1)
	}
	return answer, err
}

func TestRepeatedKeyGetsTheFirstAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var done atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				answer, err := once(t, s, "a", "key-1", "ticket.create", &done)
				if err != nil || answer != "ticket of a under key-1" {
					t.Errorf("answer %q, err = %v", answer, err)
				}
			})
		}
		wg.Wait()
		if n := done.Load(); n != 1 {
			t.Errorf("done %d times, want once", n)
		}
		if _, err := once(t, s, "a", "key-1", "ticket.cancel", &done); fault.KindOf(err) != fault.Conflict || fault.CodeOf(err) != "idempotency.key_reused" {
			t.Errorf("the same key for another command: %v", err)
		}
		if answer, err := once(t, s, "b", "key-1", "ticket.cancel", &done); err != nil || answer != "ticket of b under key-1" {
			t.Errorf("the same key of another actor: %q, %v", answer, err)
		}
	})
}

func TestRefusedCommandMayBeRepeated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		refusal := fault.New(fault.Precondition, "visit.required")
		err := s.Write(t.Context(), func(t *store.Tx) error {
			if _, _, err := t.Remember("a", "key-1", "ticket.create", nine.UnixMicro()); err != nil {
				return err
			}
			return refusal
		})
		if fault.CodeOf(err) != "visit.required" {
			t.Fatal(err)
		}
		var done atomic.Int64
		if _, err := once(t, s, "a", "key-1", "ticket.create", &done); err != nil || done.Load() != 1 {
			t.Errorf("done %d times, err = %v; want the repeat to be done", done.Load(), err)
		}
	})
}
