package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
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
	// size is a select list item: the bytes of the database.
	size() string
	// beginSnapshot are the statements that begin a transaction which sees one instant and may read for long.
	beginSnapshot() []string
	// beginAlone are the statements that begin a transaction which no other process of Heyi meets.
	beginAlone() []string
	name() string
	// clock is a query of the server's time in Unix microseconds, empty when the database is this process.
	clock() string
	// columns is a query of (table, column, type) of all tables, in order.
	columns() string
	// primaryKey is a query of the columns of table $1's primary key.
	primaryKey() string
	// references is a query of (table, table that its foreign key names).
	references() string
	// lockChain holds off other commands that append to the same chain until this one ends.
	lockChain(t *tx, name string) error
	// fault turns an error of the driver into a fault where a caller may act on it.
	fault(err error) error
}

// Clock returns the time of the database's machine; of an embedded one its own.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	query := s.dialect.clock()
	if query == "" {
		return s.now(), nil
	}
	var us int64
	err := s.read(ctx).one(query, nil, &us)
	return time.UnixMicro(us), err
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

func (sqliteDialect) name() string { return SQLite }
func (sqliteDialect) size() string {
	return `(SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size())`
}
func (sqliteDialect) clock() string           { return "" }
func (sqliteDialect) beginSnapshot() []string { return []string{"BEGIN DEFERRED"} }

func (sqliteDialect) beginAlone() []string {
	// New pages go into the file itself, so that it needs the room of the database once, not twice.
	return []string{"PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE"}
}

func (sqliteDialect) columns() string {
	return `SELECT m.name, c.name, c.type FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid`
}

func (sqliteDialect) primaryKey() string {
	return `SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk`
}

func (sqliteDialect) references() string {
	return `SELECT m.name, f."table" FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'`
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

func (postgresDialect) name() string { return Postgres }
func (postgresDialect) size() string { return `pg_database_size(current_database())` }

func (postgresDialect) clock() string {
	return `SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)`
}

func (postgresDialect) beginSnapshot() []string {
	// Who takes the rows may be slow: a full pipe is no dead node.
	return []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET LOCAL idle_in_transaction_session_timeout = 0"}
}

func (postgresDialect) beginAlone() []string {
	return []string{"BEGIN", "SET LOCAL idle_in_transaction_session_timeout = 0", "SET LOCAL lock_timeout = 0", fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", migrateLock)}
}

func (postgresDialect) columns() string {
	return `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class AS c
		JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = CAST(current_schema() AS regnamespace) ORDER BY c.relname, a.attnum`
}

func (postgresDialect) primaryKey() string {
	return `SELECT a.attname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
		JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
		WHERE i.indisprimary AND c.relname = $1 AND c.relnamespace = CAST(current_schema() AS regnamespace)
		ORDER BY array_position(CAST(i.indkey AS smallint[]), a.attnum)`
}

func (postgresDialect) references() string {
	return `SELECT c.relname, f.relname FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_class AS f ON f.oid = k.confrelid
		WHERE k.contype = 'f' AND c.relnamespace = CAST(current_schema() AS regnamespace)`
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
		errors.Is(err, net.ErrClosed) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, pgconn.ErrConnClosed) {
		return because(errUnavailable, err)
	}
	return err
}
