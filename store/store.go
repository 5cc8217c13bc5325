// Package store holds all SQL of the product: one file per aggregate, the same hand-written queries on embedded
// SQLite and on PostgreSQL (architecture.md §5).
//
// One command is one Store method is one transaction. A method passes a function to write; it sees a *tx and may run
// more than once, so it only assigns its outputs. Reads outside a transaction go through read. No transaction type
// leaves the package.
//
// On SQLite one writer goroutine takes all waiting commands into one commit, each in its own savepoint, and answers
// them after the commit. On PostgreSQL every command has its own transaction, repeated after a serialisation failure
// or deadlock.
//
// Concurrency: a Store is safe for concurrent use. Open starts the writer; Close waits for it.
//
// Errors: a fault.Error of the method's rule; fault.Unavailable "store.read_only" when the database takes no writes
// (read-only, disk full), "store.unavailable" when it cannot be reached or stays locked or the store is closed;
// sql.ErrNoRows only inside the package; everything else is internal.
package store

import (
	"cmp"
	"context"
	"crypto/cipher"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heyi/internal/sign"
)

// The drivers of Config.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Config says which database to open and how.
type Config struct {
	Driver string // SQLite or Postgres
	DSN    string // SQLite: file path or file: URI; PostgreSQL: URL
	// MasterKey wraps the keys in table key (AES-256-GCM): 32 bytes, the same on every node and for the life of the
	// database.
	MasterKey []byte
	SealAlg   sign.Alg // of new committee keys; "" means sign.Ed25519
	// Readers is the number of read connections beside the writer (SQLite) or of all connections (PostgreSQL);
	// 0 means 4, at least one a core, or 32.
	Readers  int
	BatchMax int // most commands in one SQLite commit; 0 means 256
	Now      func() time.Time
	Logger   *slog.Logger
	Metrics  prometheus.Registerer // nil: nobody counts
}

// Stats counts since Open what the group commit did.
type Stats struct {
	Commits  int64 // transactions committed
	Commands int64 // commands answered by those commits, refused ones included
}

// Store is the database of one process.
type Store struct {
	dialect dialect
	db      *sql.DB // PostgreSQL: everything; SQLite: the readers
	reads   handle  // db, on SQLite with cached statements
	writer  *writer // SQLite only
	writes  *sql.DB // SQLite only: the writer's one connection
	now     func() time.Time
	logger  *slog.Logger

	wrap  cipher.AEAD // the master key
	field fieldKeys

	search  []byte // keys SearchHash
	sealAlg sign.Alg

	swept atomic.Int64 // when Sweep last ran, Unix microseconds

	commits, commands atomic.Int64
	metrics           *metrics

	inFlight sync.RWMutex // PostgreSQL: held for reading by every command
	closed   bool         // under inFlight
	closing  sync.Once
	closeErr error
}

// Open opens the database, brings its schema up to date and starts the writer. It refuses a master key that does not
// fit the database, migrations that were edited after they ran (fault.Precondition "store.migration_edited") and a
// database of a newer program ("store.migration_newer").
func Open(ctx context.Context, c Config) (*Store, error) {
	wrap, err := newAEAD(c.MasterKey)
	if err != nil {
		return nil, fmt.Errorf("store: master key: %w", err)
	}
	s := &Store{wrap: wrap, now: c.Now, logger: c.Logger, sealAlg: cmp.Or(c.SealAlg, sign.Ed25519)}
	if s.now == nil {
		s.now = time.Now
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.metrics = newMetrics(s, c.Metrics)
	switch c.Driver {
	case SQLite:
		s.dialect = sqliteDialect{}
		if c.Readers == 0 {
			c.Readers = max(4, runtime.GOMAXPROCS(0))
		}
		if c.BatchMax == 0 {
			c.BatchMax = 256
		}
		err = s.openSQLite(ctx, c)
	case Postgres:
		s.dialect = postgresDialect{}
		if c.Readers == 0 {
			c.Readers = 32
		}
		err = s.openPostgres(ctx, c)
	default:
		return nil, fmt.Errorf("store: unknown driver %q", c.Driver)
	}
	if err == nil {
		err = s.loadFieldKeys(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close refuses new commands, waits until those already handed in are answered, and closes the database. It may be
// called more than once.
func (s *Store) Close() error {
	s.closing.Do(func() {
		var errs []error
		if s.writer != nil {
			errs = append(errs, s.writer.close())
		}
		s.inFlight.Lock()
		s.closed = true
		s.inFlight.Unlock()
		for _, db := range []*sql.DB{s.db, s.writes} { // the writer's connection last: it folds the WAL back
			if db != nil {
				errs = append(errs, db.Close())
			}
		}
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}

// Ping writes one row, for readiness: it fails with fault.Unavailable "store.read_only" or "store.unavailable".
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE store_check SET at = $1 WHERE id = 1`, micros(s.now()))
		return err
	})
}

// Stats returns what the store did since Open.
func (s *Store) Stats() Stats {
	return Stats{Commits: s.commits.Load(), Commands: s.commands.Load()}
}

// write runs fn in one transaction and returns after it is durable. An error of fn undoes what fn did and is returned
// as it is. fn may run more than once and must be quick: on SQLite other commands wait for it. fn works through its
// tx alone: another command of the Store inside it would wait for itself. A command whose ctx ends while it waits is
// not run and gets the ctx's error; on SQLite one that has begun runs to its end.
func (s *Store) write(ctx context.Context, fn func(*tx) error) error {
	if s.writer != nil {
		return s.writer.do(ctx, fn)
	}
	return s.writePostgres(ctx, fn)
}

// read returns a querier for reads outside a transaction; each of its calls sees its own snapshot.
func (s *Store) read(ctx context.Context) querier {
	return reader{ctx: ctx, on: s.reads, dialect: s.dialect}
}

// micros is an instant as SQL holds it.
func micros(t time.Time) int64 { return t.UnixMicro() }
