package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"heyi/internal/fault"
	"heyi/store/archive"
)

// BackupOptions says what a backup says of itself and what it takes along.
type BackupOptions struct {
	Version string // of this program
	Node    string
	// Files is called before the rows and adds files of the data folder; nil adds none.
	Files func(w *archive.Writer) error
}

// Backup writes all rows of the database of c to w, as one transaction sees them; the service may go on working. Keys
// and sealed fields stay as they are: wrapped by the master key, which Backup neither needs nor writes. Memory does
// not grow with the database, but on SQLite the write-ahead log does with what is written meanwhile.
//
// Errors: fault.Precondition "backup.no_database" when there is nothing to save, "store.migration_newer" and
// "store.migration_edited" as Open.
func Backup(ctx context.Context, c Config, w io.Writer, o BackupOptions) (archive.Head, archive.Manifest, error) {
	if c.Driver == SQLite && !strings.HasPrefix(c.DSN, "file:") { // SQLite would make the file
		if _, err := os.Stat(c.DSN); errors.Is(err, fs.ErrNotExist) {
			return archive.Head{}, archive.Manifest{}, noDatabase(err)
		}
	}
	s, err := bare(c)
	if err != nil {
		return archive.Head{}, archive.Manifest{}, err
	}
	var (
		head archive.Head
		sums archive.Manifest
	)
	err = s.snapshot(ctx, func(r reader) error {
		if head, err = s.head(r, o); err != nil {
			return err
		}
		a, err := archive.NewWriter(w, head)
		if err != nil {
			return err
		}
		if o.Files != nil {
			if err := o.Files(a); err != nil {
				return err
			}
		}
		for _, t := range head.Tables {
			if err := dump(r, t, a); err != nil {
				return fmt.Errorf("store: table %s: %w", t.Name, err)
			}
		}
		sums, err = a.Close()
		return err
	})
	return head, sums, errors.Join(err, s.Close())
}

func noDatabase(err error) error {
	return fault.Wrap(fault.Precondition, "backup.no_database", fmt.Errorf("there is no database of Heyi: check store.dsn and data: %w", err))
}

// bare opens a database as it is: no migration, no writer, no keys.
func bare(c Config) (*Store, error) {
	s := &Store{now: c.Now, logger: c.Logger}
	var err error
	switch c.Driver {
	case SQLite:
		s.dialect = sqliteDialect{}
		s.db, err = sql.Open("sqlite", sqliteDSN(c.DSN))
	case Postgres:
		s.dialect = postgresDialect{}
		s.db, err = poolPostgres(c)
	default:
		err = fmt.Errorf("unknown driver %q", c.Driver)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return s, nil
}

// reader reads a bare database.
func (s *Store) reader(ctx context.Context) reader {
	return reader{ctx: ctx, on: s.db, dialect: s.dialect}
}

// snapshot runs f on one connection that sees the database as it is at one instant, and changes nothing.
func (s *Store) snapshot(ctx context.Context, f func(r reader) error) (err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return s.dialect.fault(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, query := range s.dialect.beginSnapshot() {
		if _, err := conn.ExecContext(ctx, query); err != nil {
			return s.dialect.fault(err)
		}
	}
	defer func() {
		_, rerr := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		if err == nil {
			err = s.dialect.fault(rerr)
		}
	}()
	return f(reader{ctx: ctx, on: conn, dialect: s.dialect})
}

// head describes the database that r sees.
func (s *Store) head(r reader, o BackupOptions) (archive.Head, error) {
	list, err := readMigrations(embeddedMigrations())
	if err != nil {
		return archive.Head{}, err
	}
	todo, newer, err := s.pending(r.ctx, r.on, list)
	if err != nil {
		return archive.Head{}, err
	}
	if len(newer) > 0 { // it would not know what their tables are for, and could not restore them
		return archive.Head{}, fault.Wrap(fault.Precondition, "store.migration_newer",
			fmt.Errorf("migration %s ran on this database and is unknown to this program: take the backup with the newer one", newer[0]))
	}
	if len(todo) == len(list) {
		return archive.Head{}, noDatabase(errors.New("no migration ever ran on it"))
	}
	h := archive.Head{Version: o.Version, Node: o.Node, Engine: s.dialect.name(), At: micros(s.now())}
	for _, m := range list[:len(list)-len(todo)] {
		h.Migrations = append(h.Migrations, archive.Migration{Version: m.version, Name: m.name, SHA256: m.sum})
	}
	h.Tables, err = catalog(r)
	return h, err
}

// schemaTable is not part of a backup: a restore runs the migrations themselves.
const schemaTable = "schema_migration"

// catalog lists the tables with their columns, each table after those that its foreign keys name and the rest by
// name; key comes first, so that a restore learns early whether the master key fits.
func catalog(r reader) ([]archive.Table, error) {
	var tables []archive.Table
	err := r.all(r.dialect.columns(), nil, func(row rows) error {
		var table, column, typ string
		if err := row.Scan(&table, &column, &typ); err != nil || table == schemaTable {
			return err
		}
		if n := len(tables); n == 0 || tables[n-1].Name != table {
			tables = append(tables, archive.Table{Name: table})
		}
		t := &tables[len(tables)-1]
		t.Columns = append(t.Columns, archive.Column{Name: column, Type: archive.Type(strings.ToUpper(typ))})
		return nil
	})
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{}
	err = r.all(r.dialect.references(), nil, func(row rows) error {
		var table, other string
		err := row.Scan(&table, &other)
		if table != other {
			needs[table] = append(needs[table], other)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tables, func(a, b archive.Table) int {
		if (a.Name == "key") != (b.Name == "key") {
			return map[bool]int{true: -1, false: 1}[a.Name == "key"]
		}
		return strings.Compare(a.Name, b.Name)
	})
	return ordered(tables, needs)
}

// ordered puts every table after those it needs and keeps the order of the rest.
func ordered(tables []archive.Table, needs map[string][]string) ([]archive.Table, error) {
	placed := map[string]bool{}
	out := make([]archive.Table, 0, len(tables))
	for len(out) < len(tables) {
		before := len(out)
		for _, t := range tables {
			if !placed[t.Name] && !slices.ContainsFunc(needs[t.Name], func(n string) bool { return !placed[n] }) {
				placed[t.Name] = true
				out = append(out, t)
			}
		}
		if len(out) == before {
			return nil, errors.New("store: tables refer to each other in a circle: no order to load them in")
		}
	}
	return out, nil
}

// dump writes the rows of a table in the order of its primary key, the same on every engine: C locale.
func dump(r reader, t archive.Table, a *archive.Writer) error {
	var key []string
	err := r.all(r.dialect.primaryKey(), []any{t.Name}, func(row rows) error {
		var column string
		err := row.Scan(&column)
		key = append(key, quoted(column))
		return err
	})
	if err != nil {
		return err
	}
	if len(key) == 0 {
		return errors.New("it has no primary key")
	}
	query := "SELECT " + names(t) + " FROM " + quoted(t.Name) + " ORDER BY " + strings.Join(key, ", ")
	values, dest := make([]any, len(t.Columns)), make([]any, len(t.Columns))
	cells := make([]func() any, len(t.Columns))
	for i, c := range t.Columns {
		if dest[i], cells[i] = archived(c.Type); dest[i] == nil {
			return fmt.Errorf("column %s has type %s, which is not of our subset", c.Name, c.Type)
		}
	}
	return r.all(query, nil, func(row rows) error {
		if err := row.Scan(dest...); err != nil {
			return err
		}
		for i := range values {
			values[i] = cells[i]()
		}
		return a.Row(t.Name, values)
	})
}

// archived is where a column of a type is read into, and what then stands there.
func archived(typ archive.Type) (dest any, value func() any) {
	switch typ {
	case archive.Text:
		return nullable[string]()
	case archive.Int:
		return nullable[int64]()
	case archive.Bool:
		return nullable[bool]()
	case archive.Bytes:
		v := new(any) // tells an empty value from none
		return v, func() any { return *v }
	}
	return nil, nil
}

func nullable[T any]() (dest any, value func() any) {
	v := &sql.Null[T]{}
	return v, func() any {
		if !v.Valid {
			return nil
		}
		return v.V
	}
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// names lists the columns of a table for SQL.
func names(t archive.Table) string {
	list := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		list[i] = quoted(c.Name)
	}
	return strings.Join(list, ", ")
}
