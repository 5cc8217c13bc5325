package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"heyi/internal/audit"
	"heyi/internal/notify"
	"heyi/mediation"
	"heyi/mediation/session"
)

// What the core's tests see of its inside.

type (
	Tx   = tx
	Rows = rows
)

func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error { return s.write(ctx, fn) }

func (s *Store) Seal(plain []byte) ([]byte, error)   { return s.seal(plain) }
func (s *Store) Unseal(plain []byte) ([]byte, error) { return s.open(plain) }

// One and All read outside a transaction.
func (s *Store) One(ctx context.Context, query string, args []any, dest ...any) error {
	return s.read(ctx).one(query, args, dest...)
}

func (s *Store) All(ctx context.Context, query string, args []any, scan func(Rows) error) error {
	return s.read(ctx).all(query, args, scan)
}

// Queued is the number of commands that wait for SQLite's writer.
func (s *Store) Queued() int {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.queue)
}

// MigrateWith runs other migrations than the embedded ones, as a second process would.
func MigrateWith(ctx context.Context, c Config, fsys fs.FS) (err error) {
	s := &Store{dialect: postgresDialect{}, now: time.Now, logger: slog.New(slog.DiscardHandler)}
	name, dsn := "pgx", c.DSN
	if c.Driver == SQLite {
		s.dialect = sqliteDialect{}
		name, dsn = "sqlite", sqliteDSN(c.DSN)
	}
	db, err := sql.Open(name, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.migrate(ctx, conn, fsys), conn.Close())
}

// Statements are the texts that SQLite's writer and readers have prepared.
func (s *Store) Statements() []string {
	var list []string
	for _, on := range []handle{s.writer.on, s.reads} {
		p, _ := on.(*statements)
		p.mu.Lock()
		for text := range p.known {
			list = append(list, text)
		}
		p.mu.Unlock()
	}
	return list
}

// Plan is how SQLite would run a statement.
func (s *Store) Plan(ctx context.Context, query string) (string, error) {
	var plan strings.Builder
	args := make([]any, strings.Count(query, "$"))
	rs, err := s.db.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		return "", err
	}
	defer func() { _ = rs.Close() }()
	for rs.Next() {
		var a, b, c int
		var step string
		if err := rs.Scan(&a, &b, &c, &step); err != nil {
			return "", err
		}
		plan.WriteString(step + "\n")
	}
	return plan.String(), rs.Err()
}

func EmbeddedMigrations() fs.FS { return embeddedMigrations() }

func IsUnique(err error) bool { return isUnique(err) }

func (t *tx) Exec(query string, args ...any) (int64, error) { return t.exec(query, args...) }

func (t *tx) One(query string, args []any, dest ...any) error { return t.one(query, args, dest...) }

func (t *tx) Event(e audit.Event) error { return t.event(e) }

func (t *tx) LeaseHeld(name string, epoch int64, now time.Time) (bool, error) {
	return t.leaseHeld(name, epoch, now)
}

func (t *tx) Remember(actor, key, command string, at int64) (bool, string, error) {
	return t.remember(actor, key, command, at)
}

func (t *tx) Answer(actor, key, answer string) error { return t.answer(actor, key, answer) }

func (t *tx) Text(x notify.Text, at int64) error { return t.text(x, at) }

func (t *tx) DropTexts(subject string, template notify.Template, at int64) error {
	return t.dropTexts(subject, template, at)
}

func (t *tx) InsertSession(cmd mediation.Command, k session.Session) error {
	return t.saveSession(cmd, &session.Session{}, &k)
}

func (t *tx) ForUpdate() string { return t.forUpdate() }

// Grouping reports whether commands share commits.
func (s *Store) Grouping() bool { return s.writer != nil }

// OpenBare opens the database of a Config by plain database/sql, as a program without a store would.
func OpenBare(tb testing.TB, c Config) *sql.DB {
	tb.Helper()
	name, dsn := "pgx", c.DSN
	if c.Driver == SQLite {
		name, dsn = "sqlite", sqliteDSN(c.DSN)
	}
	db, err := sql.Open(name, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	conns := 32
	if c.Driver == SQLite {
		conns = 1
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db
}

// FiguresQueries are what a scrape's figures ask.
func FiguresQueries() []string {
	return []string{ticketFigures, sessionFigures, seatFigures, otherFigures}
}

// PostgresFault is what a command on PostgreSQL makes of an error of the driver.
func PostgresFault(err error) error { return postgresDialect{}.fault(err) }

// Positional is positional.
func Positional(query string) string { return positional(query) }
