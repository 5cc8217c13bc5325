package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"heyi/internal/fault"
	"heyi/store"
	"heyi/store/storetest"
)

func onPostgres(t *testing.T, dsn, query string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), query)
	if err := errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func wantUnavailable(t *testing.T, err error, code string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Unavailable || f.Code != code || f.RetryAfter <= 0 || f.Err == nil {
		t.Errorf("err = %v, want fault.Unavailable %s with a time to retry and a cause", err, code)
	}
}

func TestReadOnlyDatabaseIsNoticed(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		c := storetest.SQLiteConfig(t)
		if err := storetest.Open(t, c).Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.DSN = "file:" + c.DSN + "?mode=ro"
		s := storetest.Open(t, c)
		wantUnavailable(t, s.Ping(t.Context()), "store.read_only")
		wantUnavailable(t, addRow(t.Context(), s, "row"), "store.read_only")
		if hasRow(t, s, "row") {
			t.Error("a row in a read-only database")
		}
	})
	t.Run("postgres", func(t *testing.T) {
		c := storetest.PostgresConfig(t)
		before := storetest.Open(t, c)
		if err := before.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.ParseConfig(c.DSN)
		if err != nil {
			t.Fatal(err)
		}
		onPostgres(t, c.DSN, `ALTER DATABASE `+pgx.Identifier{conn.Database}.Sanitize()+` SET default_transaction_read_only = on`)
		s := storetest.Open(t, c)
		wantUnavailable(t, s.Ping(t.Context()), "store.read_only")
		wantUnavailable(t, addRow(t.Context(), s, "row"), "store.read_only")
		if hasRow(t, s, "row") {
			t.Error("a row in a read-only database")
		}
	})
}

func TestFullDiskIsNoticedAndPasses(t *testing.T) {
	c := storetest.SQLiteConfig(t)
	storetest.Open(t, c)
	c.DSN = "file:" + c.DSN + "?_pragma=max_page_count(1)" // SQLite raises it to the pages there are: not one more
	s := storetest.Open(t, c)
	var err error
	for i := 0; err == nil && i < 10000; i++ {
		err = addRow(t.Context(), s, string(make([]byte, 1000))+string(rune('a'+i%26))+url.QueryEscape(string(rune(i+256))))
	}
	wantUnavailable(t, err, "store.read_only")
	var n int
	if err := s.One(t.Context(), `SELECT count(*) FROM spent_token`, nil, &n); err != nil {
		t.Errorf("reads fail too: %v", err)
	}
	err = s.Write(t.Context(), func(t *store.Tx) error {
		_, err := t.Exec(`DELETE FROM spent_token`)
		return err
	})
	if err != nil {
		t.Errorf("after room was made: %v", err)
	}
	if err := addRow(t.Context(), s, "row"); err != nil {
		t.Errorf("after room was made: %v", err)
	}
}

func TestLockedDatabaseIsUnavailable(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		c := storetest.SQLiteConfig(t)
		c.DSN = "file:" + c.DSN + "?_pragma=busy_timeout(50)"
		s := storetest.Open(t, c)
		stranger, err := sql.Open("sqlite", c.DSN+"&_txlock=immediate")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = stranger.Close() }()
		lock, err := stranger.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantUnavailable(t, addRow(t.Context(), s, "row"), "store.unavailable")
		if err := lock.Rollback(); err != nil {
			t.Fatal(err)
		}
		if err := addRow(t.Context(), s, "row"); err != nil {
			t.Errorf("after the lock is gone: %v", err)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		c := storetest.PostgresConfig(t)
		c.DSN += "&lock_timeout=50"
		s := storetest.Open(t, c)
		stranger, err := pgx.Connect(t.Context(), c.DSN)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = stranger.Close(context.WithoutCancel(t.Context())) }()
		lock, err := stranger.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lock.Exec(t.Context(), `LOCK TABLE spent_token`); err != nil {
			t.Fatal(err)
		}
		wantUnavailable(t, addRow(t.Context(), s, "row"), "store.unavailable")
		if err := lock.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := addRow(t.Context(), s, "row"); err != nil {
			t.Errorf("after the lock is gone: %v", err)
		}
	})
}

func TestServerThatIsAwayIsUnavailable(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := storetest.SQLiteConfig(t)
	c.Driver, c.DSN = store.Postgres, "postgres://heyi@"+addr+"/heyi?sslmode=disable"
	_, err = store.Open(t.Context(), c)
	wantUnavailable(t, err, "store.unavailable")
}

// Between two statements of a transaction the driver knows already that its connection is gone; it was found by make chaos.
func TestConnectionThatIsGoneIsUnavailable(t *testing.T) {
	t.Parallel()
	wantUnavailable(t, store.PostgresFault(fmt.Errorf("in a transaction: %w", pgconn.ErrConnClosed)), "store.unavailable")
}

func TestServerThatGoesAwayIsUnavailableAndComesBack(t *testing.T) {
	c := storetest.PostgresConfig(t)
	s := storetest.Open(t, c)
	err := s.Write(t.Context(), func(tx *store.Tx) error {
		var pid int
		if err := tx.One(`SELECT pg_backend_pid()`, nil, &pid); err != nil {
			return err
		}
		var done bool
		if err := s.One(t.Context(), `SELECT pg_terminate_backend($1)`, []any{pid}, &done); err != nil || !done {
			t.Errorf("terminate: %v, %v", done, err)
		}
		_, err := tx.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ('row', 1)`)
		return err
	})
	wantUnavailable(t, err, "store.unavailable")
	if err := addRow(t.Context(), s, "next"); err != nil {
		t.Errorf("on a new connection: %v", err)
	}
	if hasRow(t, s, "row") {
		t.Error("the broken command left its row")
	}
}

func TestDatabaseThatSortsByLanguageIsRefused(t *testing.T) {
	c := storetest.PostgresConfig(t)
	u, err := url.Parse(c.DSN)
	if err != nil {
		t.Fatal(err)
	}
	name := u.Path[1:] + "_icu"
	onPostgres(t, c.DSN, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize()+` TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'zh'`)
	u.Path = "/" + name
	admin := c.DSN
	t.Cleanup(func() { dropDatabase(t, admin, name) })
	c.DSN = u.String()
	if _, err := store.Open(t.Context(), c); fault.CodeOf(err) != "store.locale" {
		t.Errorf("err = %v, want store.locale", err)
	}
}

func dropDatabase(t *testing.T, dsn, name string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Error(err)
		return
	}
	_, err = conn.Exec(ctx, `DROP DATABASE `+pgx.Identifier{name}.Sanitize()+` WITH (FORCE)`)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		t.Error(err)
	}
}
