package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"heyi/internal/fault"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

func embeddedMigrations() fs.FS { return migrationFiles }

// migration is one file NNNN_name.sql. A file that ran somewhere is never changed again: write the next one.
//
// A file NNNN_name.additive.sql only adds what an older program does not see: tables, columns with a default, indexes
// (TestAdditiveMigrations reads them). A program that does not know it works on that database all the same, so nodes
// are upgraded one after the other (docs/operations.md, "Upgrade"). Every other file stops older programs.
type migration struct {
	version int64
	name    string
	text    string
	sum     string // SHA-256 of the text, hex
}

// additive tells by its name that a migration, known or not, disturbs no older program.
func additive(name string) bool { return strings.HasSuffix(name, ".additive.sql") }

func readMigrations(fsys fs.FS) ([]migration, error) {
	names, err := fs.Glob(fsys, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var list []migration
	for _, path := range names {
		text, err := fs.ReadFile(fsys, path)
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(path, "migrations/")
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || len(number) != 4 || (len(list) > 0 && list[len(list)-1].version >= version) {
			return nil, fmt.Errorf("store: migration %s: the name must be NNNN_name.sql with a number of its own", name)
		}
		sum := sha256.Sum256(text)
		list = append(list, migration{version, name, string(text), hex.EncodeToString(sum[:])})
	}
	return list, nil
}

// Schema identifies the schema that this program needs: it changes when any migration does.
func Schema() (string, error) {
	list, err := readMigrations(embeddedMigrations())
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, m := range list {
		h.Write([]byte(m.sum))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// migrateLock is the advisory lock that nodes starting at once queue for ("heyi" in ASCII).
const migrateLock = 0x68657969

// migrate brings the schema up to date on one connection: forward only, one transaction a file. A database that is
// up to date is not written to.
func (s *Store) migrate(ctx context.Context, conn *sql.Conn, fsys fs.FS) error {
	list, err := readMigrations(fsys)
	if err != nil {
		return err
	}
	pending, newer, err := s.pending(ctx, conn, list)
	if len(newer) > 0 {
		s.logger.WarnContext(ctx, "a newer program added to this database; this one goes on without", slog.Any("migrations", newer))
	}
	if err != nil || len(pending) == 0 {
		return err
	}
	if _, ok := s.dialect.(postgresDialect); ok {
		// Somebody else's migration may take longer than lock_timeout.
		if _, err := conn.ExecContext(ctx, `SET lock_timeout = 0`); err != nil {
			return s.dialect.fault(err)
		}
		if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, migrateLock); err != nil {
			return s.dialect.fault(err)
		}
		defer func() {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, migrateLock)
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), `RESET lock_timeout`)
		}()
	}
	for range list { // at most one each
		done, err := s.migrateNext(ctx, conn, list)
		if err != nil || done {
			return err
		}
	}
	return nil
}

// pending returns the migrations that have not run here, and the names of those that did and are unknown to this
// program; it refuses a history that is not ours.
func (s *Store) pending(ctx context.Context, on handle, list []migration) (todo []migration, newer []string, err error) {
	type row struct{ name, sum string }
	ran := map[int64]row{}
	q := reader{ctx, on, s.dialect}
	var table string
	switch err := q.one(s.dialect.tableExists(), []any{schemaTable}, &table); {
	case errors.Is(err, sql.ErrNoRows):
		return list, nil, nil
	case err != nil:
		return nil, nil, err
	}
	err = q.all(`SELECT version, name, sha256 FROM schema_migration`, nil, func(r rows) error {
		var version int64
		var m row
		err := r.Scan(&version, &m.name, &m.sum)
		ran[version] = m
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for _, m := range list {
		switch there, ok := ran[m.version]; {
		case !ok:
			todo = append(todo, m)
		case there.sum != m.sum:
			return nil, nil, fault.Wrap(fault.Precondition, "store.migration_edited",
				fmt.Errorf("migration %s was edited after it ran on this database", m.name))
		case len(todo) > 0:
			return nil, nil, fault.Wrap(fault.Precondition, "store.migration_edited",
				fmt.Errorf("migration %s is missing although %s ran on this database", todo[0].name, m.name))
		}
		delete(ran, m.version)
	}
	for version, m := range ran {
		if !additive(m.name) || len(todo) > 0 || version < list[len(list)-1].version {
			return nil, nil, fault.Wrap(fault.Precondition, "store.migration_newer",
				fmt.Errorf("migration %s ran on this database and is unknown to this program: start the newer program, or an older backup in a new place", m.name))
		}
		newer = append(newer, m.name)
	}
	slices.Sort(newer)
	return todo, newer, nil
}

// migrateNext runs the first pending migration, seen again inside its transaction: another node may have been faster.
func (s *Store) migrateNext(ctx context.Context, conn *sql.Conn, list []migration) (done bool, err error) {
	sqltx, err := conn.BeginTx(ctx, nil) // on SQLite BEGIN IMMEDIATE by _txlock
	if err != nil {
		return false, s.dialect.fault(err)
	}
	defer func() { _ = sqltx.Rollback() }()
	pending, _, err := s.pending(ctx, sqltx, list)
	if err != nil || len(pending) == 0 {
		return true, err
	}
	if err := s.runMigration(ctx, sqltx, pending[0]); err != nil {
		return false, err
	}
	return len(pending) == 1, s.dialect.fault(sqltx.Commit())
}

// runMigration runs one migration in the transaction of on and notes that it ran.
func (s *Store) runMigration(ctx context.Context, on handle, m migration) error {
	const table = `CREATE TABLE IF NOT EXISTS schema_migration (
		version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, at BIGINT NOT NULL)`
	if _, err := on.ExecContext(ctx, table); err != nil {
		return s.dialect.fault(err)
	}
	if _, err := on.ExecContext(ctx, m.text); err != nil {
		return fmt.Errorf("store: migration %s: %w", m.name, s.dialect.fault(err))
	}
	_, err := on.ExecContext(ctx, `INSERT INTO schema_migration (version, name, sha256, at) VALUES ($1, $2, $3, $4)`,
		m.version, m.name, m.sum, micros(s.now()))
	return s.dialect.fault(err)
}
