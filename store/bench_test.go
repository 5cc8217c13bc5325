package store_test

import (
	"context"
	"database/sql"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"heyi/internal/ident"
	"heyi/store"
	"heyi/store/storetest"
)

const insertRow = `INSERT INTO spent_token (jti, expires_at) VALUES ($1, $2)`

// BenchmarkWrite measures durable rows a second as the caller sees them (performance.md, "Durable rows"):
//
//	bare     the same insert by plain database/sql, one transaction a row: what the engine gives without a store
//	row      one row through Store.write: the measure for every other command
//	command  what a real command costs: idempotency key, row, audit event, answer
func BenchmarkWrite(b *testing.B) {
	for driver, config := range map[string]func(testing.TB) store.Config{
		store.SQLite: storetest.SQLiteConfig, store.Postgres: storetest.PostgresConfig,
	} {
		b.Run(driver, func(b *testing.B) {
			c := config(b)
			s := storetest.Open(b, c)
			db := store.OpenBare(b, c)
			for _, callers := range []int{1, 16, 64} {
				b.Run(strconv.Itoa(callers), func(b *testing.B) {
					b.Run("bare", func(b *testing.B) { inParallel(b, callers, bareInsert(db)) })
					b.Run("row", func(b *testing.B) {
						inParallel(b, callers, func(ctx context.Context, id string) error { return addRow(ctx, s, id) })
					})
					b.Run("command", func(b *testing.B) { inParallel(b, callers, wholeCommand(s)) })
				})
			}
		})
	}
}

func bareInsert(db *sql.DB) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		_, err := db.ExecContext(ctx, insertRow, id, 1)
		return err
	}
}

func wholeCommand(s *store.Store) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		return s.Write(ctx, func(t *store.Tx) error {
			if _, _, err := t.Remember("bench", id, "bench.command", 1); err != nil {
				return err
			}
			if _, err := t.Exec(insertRow, id, 1); err != nil {
				return err
			}
			if err := t.Event(ticketEvent(id, 0)); err != nil {
				return err
			}
			return t.Answer("bench", id, id)
		})
	}
}

// inParallel runs do b.N times in all from so many callers.
func inParallel(b *testing.B, callers int, do func(ctx context.Context, id string) error) {
	b.Helper()
	round := ident.New[string]() // rounds of one benchmark share a database
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				if err := do(b.Context(), round+strconv.FormatInt(n, 10)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
