// Package storetest runs store tests on both engines: SQLite in a fresh file and a real PostgreSQL, in a database
// cloned from a migrated template.
//
// PostgreSQL comes from the Debian binaries, once per test binary, on a free loopback port, or is the server that
// HEYI_TEST_POSTGRES names (make test starts one for all packages). Its absence fails the test. A test binary that
// calls Main from TestMain leaves nothing behind; without it the server ends a moment after the binary.
package storetest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"heyi/store"
)

// Main runs the tests of a package and ends the PostgreSQL they used: func TestMain(m *testing.M) { storetest.Main(m) }.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a package whose TestMain has more to do; it returns the exit code.
func Run(m interface{ Run() int }) int {
	code := m.Run()
	if err := shared.stop(); err != nil {
		slog.Error("storetest: stop PostgreSQL", slog.Any("error", err))
		code = max(code, 1)
	}
	return code
}

// Each runs f on an empty, migrated store of each engine, in subtests "sqlite" and "postgres".
func Each(t *testing.T, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachConfig(t, func(t *testing.T, c store.Config) {
		t.Helper()
		f(t, Open(t, c))
	})
}

// EachConfig runs f with the configuration of an empty, migrated database of each engine, for tests that open, close
// and open again or want a clock of their own.
func EachConfig(t *testing.T, f func(t *testing.T, c store.Config)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLiteConfig(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, PostgresConfig(t)) })
}

// Open opens a store and closes it with the test.
func Open(tb testing.TB, c store.Config) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), c)
	if err != nil {
		tb.Fatalf("open %s: %v", c.Driver, err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close %s: %v", c.Driver, err)
		}
	})
	return s
}

// OpenSQLite opens a store on an empty SQLite file of the test.
func OpenSQLite(tb testing.TB) *store.Store {
	tb.Helper()
	return Open(tb, SQLiteConfig(tb))
}

// SQLiteConfig names a SQLite file of the test that does not exist yet.
func SQLiteConfig(tb testing.TB) store.Config {
	tb.Helper()
	return config(store.SQLite, filepath.Join(tb.TempDir(), "heyi.db"))
}

// PostgresConfig names a PostgreSQL database of the test, cloned from the migrated template and dropped at its end.
func PostgresConfig(tb testing.TB) store.Config {
	tb.Helper()
	return postgres(tb, shared.database)
}

// EmptyPostgresConfig names a PostgreSQL database of the test that has no tables; it is dropped at its end.
func EmptyPostgresConfig(tb testing.TB) store.Config {
	tb.Helper()
	return postgres(tb, shared.empty)
}

func postgres(tb testing.TB, database func(context.Context) (string, func(context.Context) error, error)) store.Config {
	tb.Helper()
	// A test's own context ends before its clean-up does.
	ctx := context.WithoutCancel(tb.Context())
	url, drop, err := database(ctx)
	if err != nil {
		tb.Fatalf("PostgreSQL for tests: %v", err)
	}
	tb.Cleanup(func() {
		if err := drop(ctx); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
	return config(store.Postgres, url)
}

// MasterKey seals the databases of tests, 32 bytes.
const MasterKey = "a master key for tests, 32 bytes"

func config(driver, dsn string) store.Config {
	return store.Config{Driver: driver, DSN: dsn, MasterKey: []byte(MasterKey), Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
}

// Clock is a clock that stands still until it is set. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows at.
func NewClock(at time.Time) *Clock { return &Clock{now: at} }

// Now returns what the clock shows; it fits a Now field.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set moves the clock to at.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = at
}

// Advance moves the clock and returns what it shows now.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}
