package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"heyi/internal/audit"
	"heyi/internal/fault"
)

// openPostgres opens the pool and brings the schema up to date.
func (s *Store) openPostgres(ctx context.Context, c Config) error {
	var err error
	if s.db, err = poolPostgres(c); err != nil {
		return err
	}
	s.reads = s.db
	if err := s.checkLocale(ctx); err != nil {
		return err
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return s.dialect.fault(err)
	}
	return errors.Join(s.migrate(ctx, conn, embeddedMigrations()), conn.Close())
}

// poolPostgres makes the pool; nothing is connected yet.
func poolPostgres(c Config) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		return nil, fmt.Errorf("store: database URL: %w", err)
	}
	for name, value := range map[string]string{
		"application_name": "heyi",
		"lock_timeout":     "5000", // ms, as SQLite's busy_timeout
		// A paused node must not hold its locks for ever.
		"idle_in_transaction_session_timeout": "30000", // ms
	} {
		if _, set := cfg.RuntimeParams[name]; !set {
			cfg.RuntimeParams[name] = value
		}
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(c.Readers)
	db.SetMaxIdleConns(c.Readers)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, nil
}

// checkLocale refuses a database whose text order is not by code point.
func (s *Store) checkLocale(ctx context.Context) error {
	var byCode bool
	var encoding string
	err := s.db.QueryRowContext(ctx, `SELECT 'Z' < 'a' AND 'a' < '一', pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()`).
		Scan(&byCode, &encoding)
	if err != nil {
		return s.dialect.fault(err)
	}
	if !byCode || encoding != "UTF8" {
		return fault.Wrap(fault.Precondition, "store.locale",
			errors.New("the database must have encoding UTF8 and locale C: createdb -T template0 -E UTF8 -l C NAME"))
	}
	return nil
}

// maxAttempts bounds how often a command is repeated after a serialisation failure or deadlock.
const maxAttempts = 6

// writePostgres runs fn in its own transaction at READ COMMITTED: every command guards what it changes in the WHERE
// clause of the change or by FOR UPDATE, and unique indexes hold the rest, so a stricter level would only add
// retries under load.
func (s *Store) writePostgres(ctx context.Context, fn func(*tx) error) error {
	s.inFlight.RLock() // Close waits for us
	defer s.inFlight.RUnlock()
	if s.closed {
		return because(errUnavailable, errClosed)
	}
	for attempt := 1; ; attempt++ {
		begun := s.now()
		did, err := s.attempt(ctx, fn)
		if err == nil {
			s.commits.Add(1)
			s.metrics.committed(1, s.now().Sub(begun))
		}
		if attempt == maxAttempts || !mayRepeat(err) {
			s.commands.Add(1)
			s.metrics.answered(did, err)
			return err
		}
		// 1, 2, 4 .. ms, each with jitter, so that two that met do not meet again.
		wait := time.Millisecond << (attempt - 1)
		select {
		case <-time.After(wait + rand.N(wait)): //nolint:gosec // jitter needs no secrecy
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func mayRepeat(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// attempt runs fn once and returns the events it committed.
func (s *Store) attempt(ctx context.Context, fn func(*tx) error) ([]audit.Event, error) {
	sqltx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return nil, s.dialect.fault(err)
	}
	defer func() { _ = sqltx.Rollback() }() // after a commit it does nothing; also when fn panics
	t := tx{reader: reader{ctx: ctx, on: sqltx, dialect: s.dialect}, store: s}
	if err := t.run(fn); err != nil {
		return nil, err
	}
	return t.events, s.dialect.fault(sqltx.Commit())
}
