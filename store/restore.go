package store

import (
	"context"
	"crypto/cipher"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/mediation"
	"heyi/store/archive"
)

// RestoreOptions are what a restore asks of its caller.
type RestoreOptions struct {
	// MasterKey returns the key that wraps the backup's keys. It is asked when the files have come.
	MasterKey func() ([]byte, error)
	// File takes a file of the archive, as archive.Visitor; nil passes over. Nothing is to be trusted before Restore
	// has returned.
	File func(path string, r io.Reader) error
}

// Restored says what a restore found.
type Restored struct {
	Head     archive.Head
	Manifest archive.Manifest
	Chains   int // of events
	// Broken names the chains of events that do not hold: they did not hold in the saved database either.
	Broken []string
}

// epochJump is added to every epoch and fence: what was handed out after the backup must not be handed out again.
const epochJump = 1 << 20

// Restore fills an empty database from an archive in one transaction, which is committed after every byte has been
// checked: whatever goes wrong before, power included, leaves the database as empty as it was. Open then brings the
// schema up to date.
//
// Everything that was running is over: leases are free, epochs and fences are raised by epochJump, staff are signed
// out. Numbers and one-use links are as they were at the backup.
//
// Errors, all fault.Precondition: "backup.damaged" and "backup.format" of the archive; "restore.not_empty";
// "restore.newer" when the archive was made by a newer program, "restore.foreign" when by another one;
// "restore.master_key" when the key is not the one of the archive.
func Restore(ctx context.Context, c Config, r io.Reader, o RestoreOptions) (out Restored, err error) {
	a, err := archive.NewReader(r)
	if err != nil {
		return out, err
	}
	out.Head = a.Head()
	migrations, err := migrationsOf(out.Head)
	if err != nil {
		return out, err
	}
	s, err := openEmpty(ctx, c)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	err = s.alone(ctx, func(t *tx) error {
		l, err := s.prepare(t, out.Head, migrations)
		if err != nil {
			return err
		}
		v := archive.Visitor{Row: l.row, File: o.File, Table: func(table archive.Table) error {
			if err := l.flush(); err != nil || table.Name != "key" {
				return err
			}
			return s.fits(t, o.MasterKey)
		}}
		if out.Manifest, err = a.Read(v); err != nil {
			return err
		}
		if out.Chains, out.Broken, err = chains(t.reader); err != nil {
			return err
		}
		return t.afterRestore(out)
	})
	return out, err
}

// migrationsOf returns the migrations that made the archive's schema; they must be the first ones of this program.
func migrationsOf(h archive.Head) ([]migration, error) {
	list, err := readMigrations(embeddedMigrations())
	if err != nil {
		return nil, err
	}
	for i, m := range h.Migrations {
		if i == len(list) || m.Version > list[len(list)-1].version {
			return nil, fault.Wrap(fault.Precondition, "restore.newer", fmt.Errorf(
				"this backup was made by Heyi %s, whose migration %s this program does not know: restore it with that version or a newer one", h.Version, m.Name))
		}
		if m.Version != list[i].version || m.SHA256 != list[i].sum {
			return nil, foreign("its migration %s is not this program's %s: restore it with the program that made it, Heyi %s", m.Name, list[i].name, h.Version)
		}
	}
	return list[:len(h.Migrations)], nil
}

func foreign(format string, args ...any) error {
	return fault.Wrap(fault.Precondition, "restore.foreign", fmt.Errorf(format, args...))
}

// openEmpty opens a database to be filled.
func openEmpty(ctx context.Context, c Config) (*Store, error) {
	if c.Driver == SQLite && !strings.HasPrefix(c.DSN, "file:") {
		if err := createPrivate(c.DSN); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	s, err := bare(c)
	if err != nil {
		return nil, err
	}
	if c.Driver == Postgres {
		err = s.checkLocale(ctx)
	}
	if err == nil {
		err = empty(s.reader(ctx))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// empty refuses a database with tables in it.
func empty(r reader) error {
	tables, err := catalog(r)
	if err != nil {
		return err
	}
	var ran string
	if err := r.one(r.dialect.tableExists(), []any{schemaTable}, &ran); !errors.Is(err, sql.ErrNoRows) || len(tables) > 0 {
		return errors.Join(errNotEmpty, err)
	}
	return nil
}

var errNotEmpty = fault.Wrap(fault.Precondition, "restore.not_empty", errors.New(
	"there are tables in this database already: a restore goes into a new one only; name another folder (--data) or make an empty database (createdb -T template0 -E UTF8 -l C NAME)"))

// alone runs f in one transaction that nobody else writes beside.
func (s *Store) alone(ctx context.Context, f func(t *tx) error) (err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return s.dialect.fault(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, query := range s.dialect.beginAlone() {
		if _, err := conn.ExecContext(ctx, query); err != nil {
			return s.dialect.fault(err)
		}
	}
	t := tx{reader: reader{ctx: ctx, on: conn, dialect: s.dialect}, store: s}
	end := "COMMIT"
	if err = t.run(f); err != nil {
		end = "ROLLBACK"
	}
	_, endErr := conn.ExecContext(context.WithoutCancel(ctx), end)
	return errors.Join(err, s.dialect.fault(endErr))
}

// prepare makes the archive's schema, without rows.
func (s *Store) prepare(t *tx, h archive.Head, migrations []migration) (*loader, error) {
	if err := empty(t.reader); err != nil { // again: now nobody else can make any
		return nil, err
	}
	for _, m := range migrations {
		if err := s.runMigration(t.ctx, t.on, m); err != nil {
			return nil, err
		}
	}
	made, err := catalog(t.reader)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(made, h.Tables) {
		return nil, foreign("its tables are not those that its migrations make")
	}
	for i := range made { // those that others refer to last
		if _, err := t.exec("DELETE FROM " + quoted(made[len(made)-1-i].Name)); err != nil {
			return nil, err
		}
	}
	return &loader{t: t}, nil
}

// fits opens every key under the master key.
func (s *Store) fits(t *tx, masterKey func() ([]byte, error)) error {
	key, err := masterKey()
	if err != nil {
		return err
	}
	if s.wrap, err = newAEAD(key); err != nil {
		return fmt.Errorf("store: master key: %w", err)
	}
	return t.all(`SELECT `+keyColumns+` FROM key WHERE state <> 'revoked'`, nil, func(r rows) error {
		return opens(s.wrap, r)
	})
}

func opens(wrap cipher.AEAD, r rows) error {
	k, err := (&Store{wrap: wrap}).scanKey(r.Scan)
	if err != nil {
		return fault.Wrap(fault.Precondition, "restore.master_key", fmt.Errorf(
			"the master key is not the one of this backup, without which nothing sealed in it can be read: set HEYI_MASTER_KEY, or put master.key into the data folder, as on the node that was saved (key %s)", k.KID))
	}
	return nil
}

// afterRestore ends what was running when the backup was made, and notes the restore.
func (t *tx) afterRestore(r Restored) error {
	now := t.store.now()
	// No guard: nobody else is on this database.
	for _, q := range []struct {
		query string
		args  []any
	}{
		{`UPDATE lease SET owner = '', expires_at = 0, epoch = epoch + $1`, []any{epochJump}},
		{`UPDATE device_link SET epoch = epoch + $1`, []any{epochJump}}, // access tokens carry it
		{`UPDATE room_placement SET fence = fence + $1`, []any{epochJump}},
		// A sign-in that was ended since the backup must not come back.
		{`UPDATE login_session SET revoked_at = $1 WHERE revoked_at = 0`, []any{micros(now)}},
	} {
		if _, err := t.exec(q.query, q.args...); err != nil {
			return err
		}
	}
	at := time.UnixMicro(r.Head.At).UTC().Format(time.RFC3339)
	return t.event(audit.Event{
		Aggregate: "store", ID: "backup", Type: "store.restored", Actor: mediation.Actor{Kind: mediation.ActorSystem, ID: "admin"},
		Data: map[string]string{"saved_at": at, "node": r.Head.Node, "engine": r.Head.Engine, "rows": strconv.FormatInt(r.Manifest.Rows(), 10)},
	})
}

// chains verifies every chain of events.
func chains(r reader) (n int, broken []string, err error) {
	var last audit.Event
	good := true
	end := func() {
		if last.Aggregate != "" {
			if n++; !good {
				broken = append(broken, last.Aggregate+"/"+last.ID)
			}
		}
		good = true
	}
	err = r.all(`SELECT aggregate, agg_id, seq, type, data, actor_kind, actor_id, actor_device, at, cause, prev_hash, hash
		FROM event ORDER BY aggregate, agg_id, seq`, nil, func(row rows) error {
		var (
			e    audit.Event
			data string
		)
		err := row.Scan(&e.Aggregate, &e.ID, &e.Seq, &e.Type, &data, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Device, &e.At, &e.Cause, &e.PrevHash, &e.Hash)
		e.Data = audit.DecodeData(data)
		if e.Aggregate != last.Aggregate || e.ID != last.ID {
			end()
			last = audit.Event{}
		}
		good = good && e.Seq == last.Seq+1 && e.PrevHash == last.Hash && e.Hash == audit.Sum(e)
		last = e
		return err
	})
	end()
	return n, broken, err
}

// The most that one INSERT of a restore carries; SQLite takes 32,766 values.
const (
	loadRows   = 200
	loadValues = 30_000
	loadBytes  = 4 << 20
)

// loader puts rows into tables, many at a time.
type loader struct {
	t     *tx
	table archive.Table
	args  []any
	rows  int
	bytes int // of texts and bytes in args
}

func (l *loader) row(table archive.Table, values []any) error {
	l.table = table
	l.args = append(l.args, values...)
	l.rows++
	for _, v := range values {
		switch v := v.(type) {
		case string:
			l.bytes += len(v)
		case []byte:
			l.bytes += len(v)
		}
	}
	if l.rows == loadRows || len(l.args)+len(table.Columns) > loadValues || l.bytes >= loadBytes {
		return l.flush()
	}
	return nil
}

func (l *loader) flush() error {
	if l.rows == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("INSERT INTO " + quoted(l.table.Name) + " (" + names(l.table) + ") VALUES ")
	for i := range l.args {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%len(l.table.Columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	b.WriteString(")")
	_, err := l.t.exec(b.String(), l.args...)
	clear(l.args)
	l.args, l.rows, l.bytes = l.args[:0], 0, 0
	if err != nil {
		return fmt.Errorf("store: rows of %s: %w", l.table.Name, err)
	}
	return nil
}
