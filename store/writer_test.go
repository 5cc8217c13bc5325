package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"heyi/internal/fault"
	"heyi/store"
	"heyi/store/storetest"
)

// addRow is the smallest command: one new row, named by id.
func addRow(ctx context.Context, s *store.Store, id string) error {
	return s.Write(ctx, func(t *store.Tx) error {
		_, err := t.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ($1, $2)`, id, 1)
		return err
	})
}

func hasRow(t *testing.T, s *store.Store, id string) bool {
	t.Helper()
	var one int
	err := s.One(t.Context(), `SELECT 1 FROM spent_token WHERE jti = $1`, []any{id}, &one)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	return err == nil
}

// eventually polls for what another goroutine or server is about to reach and offers no event to wait for.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-limit.C:
			t.Fatalf("still not: %s", what)
		case <-tick.C:
		}
	}
}

// hold keeps SQLite's writer busy with one command until release is called, so that what is handed in meanwhile
// shares the next commit.
func hold(t *testing.T, s *store.Store) (release func()) {
	t.Helper()
	busy, free, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.Write(context.WithoutCancel(t.Context()), func(*store.Tx) error {
			close(busy)
			<-free
			return nil
		})
	}()
	<-busy
	return func() {
		close(free)
		if err := <-ended; err != nil {
			t.Errorf("the holding command: %v", err)
		}
	}
}

func TestGroupCommitSharesOneCommit(t *testing.T) {
	s := storetest.OpenSQLite(t)
	const callers = 64
	release := hold(t, s)
	before := s.Stats()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			id := fmt.Sprint("row-", i)
			if err := addRow(t.Context(), s, id); err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			if !hasRow(t, s, id) {
				t.Errorf("caller %d was answered before its commit", i)
			}
		})
	}
	eventually(t, "all callers wait", func() bool { return s.Queued() == callers })
	if hasRow(t, s, "row-0") {
		t.Error("a waiting command has run")
	}
	release()
	wg.Wait()
	after := s.Stats()
	if got := after.Commits - before.Commits; got != 2 { // the holding command's and theirs
		t.Errorf("%d rows took %d commits, want 2", callers, got)
	}
	if got := after.Commands - before.Commands; got != callers+1 {
		t.Errorf("Commands = %d, want %d", got, callers+1)
	}
}

func TestFreeRunningCallersShareCommits(t *testing.T) {
	s := storetest.OpenSQLite(t)
	const callers, each = 64, 20
	before := s.Stats()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				if err := addRow(t.Context(), s, fmt.Sprint(i, "-", j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var rows int64
	if err := s.One(t.Context(), `SELECT count(*) FROM spent_token`, nil, &rows); err != nil {
		t.Fatal(err)
	}
	commits := s.Stats().Commits - before.Commits
	t.Logf("%d rows in %d commits", rows, commits)
	if rows != callers*each {
		t.Errorf("%d rows, want %d", rows, callers*each)
	}
	if commits*4 > rows {
		t.Errorf("%d commits for %d rows: no grouping", commits, rows)
	}
}

func TestOneFailureSparesItsNeighbours(t *testing.T) {
	refusal := fault.New(fault.Conflict, "test.refused")
	failures := map[string]struct {
		fn   func(*store.Tx) error
		want func(error) bool
	}{
		"a rule refuses after a change": {func(t *store.Tx) error {
			if _, err := t.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ('bad', 1)`); err != nil {
				return err
			}
			return refusal
		}, func(err error) bool { return errors.Is(err, refusal) }},
		"a row is there already": {func(t *store.Tx) error {
			for range 2 {
				if _, err := t.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ('bad', 1)`); err != nil {
					return err
				}
			}
			return nil
		}, store.IsUnique},
		"a statement is wrong": {func(t *store.Tx) error {
			if _, err := t.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ('bad', 1)`); err != nil {
				return err
			}
			_, err := t.Exec(`INSERT INTO no_such_table VALUES (1)`)
			return err
		}, func(err error) bool { return err != nil && fault.KindOf(err) == fault.Internal }},
	}
	for name, tt := range failures {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				release := func() {}
				queued := func(int) bool { return true }
				if s.Grouping() {
					release = hold(t, s)
					queued = func(n int) bool { return s.Queued() == n }
				}
				var wg sync.WaitGroup
				add := func(i int, fn func(*store.Tx) error, check func(error)) {
					wg.Go(func() { check(s.Write(t.Context(), fn)) })
					eventually(t, "the command waits", func() bool { return queued(i + 1) })
				}
				for i := range 5 { // the bad one is in the middle, in the same commit
					if i == 2 {
						add(i, tt.fn, func(err error) {
							if !tt.want(err) {
								t.Errorf("the failing command got %v", err)
							}
						})
						continue
					}
					add(i, func(t *store.Tx) error {
						_, err := t.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ($1, 1)`, fmt.Sprint("good-", i))
						return err
					}, func(err error) {
						if err != nil {
							t.Errorf("neighbour %d: %v", i, err)
						}
					})
				}
				release()
				wg.Wait()
				for i := range 5 {
					if i != 2 && !hasRow(t, s, fmt.Sprint("good-", i)) {
						t.Errorf("neighbour %d's row is missing", i)
					}
				}
				if hasRow(t, s, "bad") {
					t.Error("the failing command left its row")
				}
			})
		})
	}
}

func TestPanicReachesItsCaller(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		func() {
			defer func() {
				if v := fmt.Sprint(recover()); !strings.Contains(v, "out of order") {
					t.Errorf("recovered %q, want the command's panic", v)
				}
			}()
			_ = s.Write(t.Context(), func(t *store.Tx) error {
				if _, err := t.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ('half', 1)`); err != nil {
					return err
				}
				panic("out of order")
			})
		}()
		if hasRow(t, s, "half") {
			t.Error("the command that panicked left its row")
		}
		if err := addRow(t.Context(), s, "next"); err != nil {
			t.Errorf("after a panic: %v", err)
		}
	})
}

func TestCallerWhoLeavesTheQueueIsNotServed(t *testing.T) {
	s := storetest.OpenSQLite(t)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- addRow(ctx, s, "left") }()
	eventually(t, "the command waits", func() bool { return s.Queued() == 1 })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
	release()
	if err := addRow(t.Context(), s, "stayed"); err != nil { // runs after it
		t.Fatal(err)
	}
	if hasRow(t, s, "left") {
		t.Error("a command whose caller had left was run")
	}
}

func TestCallerWhoLeavesARunningCommandGetsItsAnswer(t *testing.T) {
	s := storetest.OpenSQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Write(ctx, func(t *store.Tx) error {
		cancel()
		_, err := t.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ('running', 1)`)
		return err
	})
	if err != nil || !hasRow(t, s, "running") {
		t.Errorf("err = %v, row there = %v; want the command done", err, hasRow(t, s, "running"))
	}
}

func TestEndedContextDoesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := addRow(ctx, s, "late"); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want context.Canceled", err)
		}
		if hasRow(t, s, "late") {
			t.Error("it was run")
		}
	})
}

func TestCloseAnswersEveryoneAndRefusesLatecomers(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		s := storetest.Open(t, c)
		const callers = 32
		var wg sync.WaitGroup
		results := make([]error, callers)
		for i := range callers {
			wg.Go(func() { results[i] = addRow(t.Context(), s, fmt.Sprint("row-", i)) })
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := addRow(t.Context(), s, "latecomer"); fault.CodeOf(err) != "store.unavailable" {
			t.Errorf("after Close: %v, want store.unavailable", err)
		}
		again := storetest.Open(t, c)
		for i, err := range results {
			if err != nil && fault.CodeOf(err) != "store.unavailable" {
				t.Errorf("caller %d: %v", i, err)
			}
			if there := hasRow(t, again, fmt.Sprint("row-", i)); there != (err == nil) {
				t.Errorf("caller %d was told %v, but row there = %v", i, err, there)
			}
		}
	})
}

func TestDeadlockIsRepeated(t *testing.T) {
	s := storetest.Open(t, storetest.PostgresConfig(t))
	for _, id := range []string{"a", "b"} {
		if err := addRow(t.Context(), s, id); err != nil {
			t.Fatal(err)
		}
	}
	var met sync.WaitGroup
	met.Add(2)
	cross := func(first, second string) func() error {
		runs := 0
		return func() error {
			return s.Write(t.Context(), func(t *store.Tx) error {
				runs++
				if _, err := t.Exec(`UPDATE spent_token SET expires_at = expires_at + 1 WHERE jti = $1`, first); err != nil {
					return err
				}
				if runs == 1 {
					met.Done()
					met.Wait() // both hold their first row now
				}
				_, err := t.Exec(`UPDATE spent_token SET expires_at = expires_at + 1 WHERE jti = $1`, second)
				return err
			})
		}
	}
	var wg sync.WaitGroup
	for _, run := range []func() error{cross("a", "b"), cross("b", "a")} {
		wg.Go(func() {
			if err := run(); err != nil {
				t.Errorf("a deadlock reached the caller: %v", err)
			}
		})
	}
	wg.Wait()
	var sum int
	if err := s.One(t.Context(), `SELECT sum(expires_at) FROM spent_token`, nil, &sum); err != nil || sum != 6 {
		t.Errorf("sum = %d, err = %v; want each command done once (6)", sum, err)
	}
}
