package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"heyi/internal/fault"
)

// dialect is what the two engines do not share.
type dialect interface {
	forUpdate() string
	forShare() string
	// forShareOf is forShare for one table of a join.
	forShareOf(table string) string
	// forUpdateOf is forUpdate for one table of a join.
	forUpdateOf(table string) string
	skipLocked() string
	// tableExists is a query that returns a row when the table $1 exists.
	tableExists() string
	// lockChain holds off other commands that append to the same chain until this one ends.
	lockChain(t *tx, name string) error
	// fault turns an error of the driver into a fault where a caller may act on it.
	fault(err error) error
}

// retryAfter is what a caller is told when the database is away.
const retryAfter = 2 * time.Second

var (
	errReadOnly    = fault.New(fault.Unavailable, "store.read_only").After(retryAfter)
	errUnavailable = fault.New(fault.Unavailable, "store.unavailable").After(retryAfter)
)

// because returns a copy of e that keeps err for the log.
func because(e *fault.Error, err error) error {
	c := *e
	c.Err = err
	return &c
}

// isClosed reports that the pool was closed; database/sql does not export the error.
func isClosed(err error) bool { return err.Error() == "sql: database is closed" }

// settled reports errors that need no translation: none, ours, no row, and a caller that went away.
func settled(err error) bool {
	var ours *fault.Error
	return err == nil || errors.As(err, &ours) || errors.Is(err, sql.ErrNoRows) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isUnique reports a clash with a primary key or unique index.
func isUnique(err error) bool {
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "23505"
}

type sqliteDialect struct{}

func (sqliteDialect) forUpdate() string               { return "" }
func (sqliteDialect) forShare() string                { return "" }
func (sqliteDialect) forShareOf(_ string) string      { return "" }
func (sqliteDialect) forUpdateOf(_ string) string     { return "" }
func (sqliteDialect) skipLocked() string              { return "" }
func (sqliteDialect) lockChain(_ *tx, _ string) error { return nil } // there is one writer
func (sqliteDialect) tableExists() string {
	return `SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1`
}

func (sqliteDialect) fault(err error) error {
	var e *sqlite.Error
	switch {
	case settled(err):
		return err
	case isClosed(err), errors.Is(err, sql.ErrConnDone), errors.Is(err, driver.ErrBadConn):
		return because(errUnavailable, err)
	case !errors.As(err, &e):
		return err
	}
	switch e.Code() & 0xff { // the primary result code
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL:
		return because(errReadOnly, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL:
		return because(errUnavailable, err)
	}
	return err
}

type postgresDialect struct{}

func (postgresDialect) forUpdate() string               { return " FOR UPDATE" }
func (postgresDialect) forShare() string                { return " FOR SHARE" }
func (postgresDialect) forShareOf(table string) string  { return " FOR SHARE OF " + table }
func (postgresDialect) forUpdateOf(table string) string { return " FOR UPDATE OF " + table }
func (postgresDialect) skipLocked() string              { return " FOR UPDATE SKIP LOCKED" }
func (postgresDialect) tableExists() string {
	return `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1`
}

func (postgresDialect) lockChain(t *tx, name string) error {
	// The seed keeps these locks apart from others that hash texts. Two chains with one hash only wait for each other.
	_, err := t.exec(`SELECT pg_advisory_xact_lock(hashtextextended($1, 4711))`, name)
	return err
}

// fault reads SQLSTATE codes (PostgreSQL manual, appendix A).
func (postgresDialect) fault(err error) error {
	if settled(err) {
		return err
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "25006", "53100": // read_only_sql_transaction, disk_full
			return because(errReadOnly, err)
		case "40001", "40P01", "55P03": // serialization_failure, deadlock_detected, lock_not_available
			return because(errUnavailable, err)
		}
		switch e.Code[:2] {
		case "08", "53", "57", "58": // connection, resources, operator intervention, system error
			return because(errUnavailable, err)
		}
	}
	var (
		connect *pgconn.ConnectError
		network net.Error
	)
	if isClosed(err) || errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return because(errUnavailable, err)
	}
	return err
}
