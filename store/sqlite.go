package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // driver "sqlite"
)

// openSQLite opens the file twice: one connection that writes, a pool that only reads.
func (s *Store) openSQLite(ctx context.Context, c Config) error {
	if !strings.HasPrefix(c.DSN, "file:") {
		if err := createPrivate(c.DSN); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	dsn := sqliteDSN(c.DSN)
	var err error
	if s.writes, err = sql.Open("sqlite", dsn); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.writes.SetMaxOpenConns(1)
	if s.db, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.db.SetMaxOpenConns(c.Readers)
	s.db.SetMaxIdleConns(c.Readers)
	s.reads = newStatements(s.db, nil)

	conn, err := s.writes.Conn(ctx)
	if err != nil {
		return s.dialect.fault(err)
	}
	if err := s.migrate(ctx, conn, embeddedMigrations()); err != nil {
		return errors.Join(err, conn.Close())
	}
	s.writer = newWriter(s, newStatements(conn, conn.Close), c.BatchMax) //nolint:contextcheck // it outlives Open's caller
	return nil
}

// sqliteDSN adds how we use SQLite to a path or file: URI. A pragma that the URI itself sets is left alone.
func sqliteDSN(dsn string) string {
	path, query, _ := strings.Cut(dsn, "?")
	if !strings.HasPrefix(dsn, "file:") {
		path, query = "file:"+(&url.URL{Path: dsn}).EscapedPath(), ""
	}
	var ours strings.Builder
	for _, pragma := range [...]struct{ name, value string }{
		{"busy_timeout", "5000"}, // ms
		{"journal_mode", "WAL"},
		{"synchronous", "FULL"}, // these are legal documents; an acknowledged commit survives a power cut
		{"foreign_keys", "1"},
	} {
		if !strings.Contains(query, "_pragma="+pragma.name) {
			ours.WriteString("&_pragma=" + pragma.name + "(" + pragma.value + ")")
		}
	}
	if query != "" {
		query = "&" + query
	}
	return path + "?_txlock=immediate" + ours.String() + query
}

// createPrivate makes the database file readable by its owner only; SQLite gives the WAL the same mode.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's configuration
	if errors.Is(err, os.ErrPermission) {
		return nil // an existing file we may only read: SQLite says so where it matters
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// maxStatements bounds a cache; queries put together from filters could otherwise fill it for ever.
const maxStatements = 512

// statements is a handle that prepares every query once: parsing costs modernc's SQLite more than running it.
type statements struct {
	on interface {
		handle
		PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	}
	release func() error // gives the connection back, may be nil

	mu    sync.Mutex
	known map[string]*sql.Stmt
}

func newStatements(on interface {
	handle
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}, release func() error,
) *statements {
	return &statements{on: on, release: release, known: map[string]*sql.Stmt{}}
}

// prepared returns the statement of a query, nil when the cache is full.
func (p *statements) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	p.mu.Lock()
	st, n := p.known[query], len(p.known)
	p.mu.Unlock()
	if st != nil || n >= maxStatements {
		return st, nil
	}
	st, err := p.on.PrepareContext(ctx, positional(query))
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.known[query]; first != nil {
		return first, st.Close() //nolint:sqlclosecheck // two readers met here: ours is not needed
	}
	p.known[query] = st
	return st, nil
}

// positional writes "?" for "$1", "$2" and so on where each stands once and in order. SQLite takes "$1" for a name, and
// the driver looks through all names for each of the hundreds of values of a batch.
func positional(query string) string {
	parts := strings.Split(query, "$")
	var b strings.Builder
	b.WriteString(parts[0])
	for i, part := range parts[1:] {
		rest, ok := strings.CutPrefix(part, strconv.Itoa(i+1))
		if !ok || rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return query
		}
		b.WriteString("?" + rest)
	}
	return b.String()
}

func (p *statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	st, err := p.prepared(ctx, query) //nolint:sqlclosecheck // close closes them all
	if err != nil {
		return nil, err
	}
	if st == nil {
		return p.on.ExecContext(ctx, query, args...)
	}
	return st.ExecContext(ctx, args...)
}

func (p *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := p.prepared(ctx, query) //nolint:sqlclosecheck // close closes them all
	if err != nil {
		return nil, err
	}
	if st == nil {
		return p.on.QueryContext(ctx, query, args...)
	}
	return st.QueryContext(ctx, args...)
}

func (p *statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	st, err := p.prepared(ctx, query) //nolint:sqlclosecheck // close closes them all
	if err != nil || st == nil {
		return p.on.QueryRowContext(ctx, query, args...) // carries the same error
	}
	return st.QueryRowContext(ctx, args...)
}

// close releases every statement and the connection.
func (p *statements) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, st := range p.known {
		errs = append(errs, st.Close())
	}
	clear(p.known)
	if p.release != nil {
		errs = append(errs, p.release())
	}
	return errors.Join(errs...)
}
