package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"heyi/store"
)

// server is the PostgreSQL of this test binary: started when the first test asks for it.
type server struct {
	mu       sync.Mutex
	own      *Postgres // nil while none is started, or when HEYI_TEST_POSTGRES names one
	url      string    // empty until the template is there
	template string
	err      error // why it could not be started; every further test fails at once
}

var shared server //nolint:gochecknoglobals // one server per test binary; tests have nobody to hand it down

// database clones the template and returns the clone's URL and what drops it.
func (s *server) database(ctx context.Context) (dsn string, drop func(context.Context) error, err error) {
	s.mu.Lock()
	if s.url == "" && s.err == nil {
		s.err = s.prepare(ctx)
	}
	admin, template, err := s.url, s.template, s.err
	s.mu.Unlock()
	if err != nil {
		return "", nil, err
	}
	name := "t_" + uuid.NewString()
	if err := execute(ctx, admin, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)); err != nil {
		return "", nil, err
	}
	dsn, err = withDatabase(admin, name)
	return dsn, func(ctx context.Context) error {
		return execute(ctx, admin, "DROP DATABASE "+quote(name)+" WITH (FORCE)")
	}, err
}

// empty makes a database without any table and returns its URL and what drops it.
func (s *server) empty(ctx context.Context) (dsn string, drop func(context.Context) error, err error) {
	_, unused, err := s.database(ctx) // brings the server up
	if err != nil {
		return "", nil, err
	}
	name := "e_" + uuid.NewString()
	err = errors.Join(unused(ctx), execute(ctx, s.url, "CREATE DATABASE "+quote(name)+" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"))
	if err != nil {
		return "", nil, err
	}
	dsn, err = withDatabase(s.url, name)
	return dsn, func(ctx context.Context) error {
		return execute(ctx, s.url, "DROP DATABASE "+quote(name)+" WITH (FORCE)")
	}, err
}

// prepare finds or starts the server and makes the template.
func (s *server) prepare(ctx context.Context) error {
	admin := os.Getenv("HEYI_TEST_POSTGRES")
	if admin == "" {
		var err error
		if s.own, err = StartPostgres(ctx); err != nil {
			return err
		}
		admin = s.own.URL
	}
	schema, err := store.Schema()
	if err != nil {
		return err
	}
	s.template = "heyi_template_" + schema[:16]
	if err := makeTemplate(ctx, admin, s.template); err != nil {
		return err
	}
	s.url = admin
	return nil
}

// makeTemplate makes the migrated database that tests clone, once per server and schema. It gets its name when it is
// whole, so that a binary killed half way leaves nothing that others would take for it.
func makeTemplate(ctx context.Context, admin, template string) (err error) {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	const lock = 0x68657974 // "heyt": other test binaries wait here
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", lock); err != nil {
		return err
	}
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", template).Scan(&there); err != nil || there {
		return err
	}
	raw := template + "_raw"
	dsn, err := withDatabase(admin, raw)
	if err != nil {
		return err
	}
	for _, query := range []string{
		"DROP DATABASE IF EXISTS " + quote(raw) + " WITH (FORCE)",
		"CREATE DATABASE " + quote(raw) + " TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'",
	} {
		if _, err := conn.Exec(ctx, query); err != nil {
			return err
		}
	}
	st, err := store.Open(ctx, config(store.Postgres, dsn))
	if err != nil {
		return fmt.Errorf("migrate the template: %w", err)
	}
	if err := st.Close(); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+quote(raw)+" RENAME TO "+quote(template))
	return err
}

func (s *server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.New("stopped")
	if s.own == nil {
		return nil
	}
	return s.own.Stop()
}

func execute(ctx context.Context, dsn, query string) (err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, query)
	return err
}

func withDatabase(dsn, name string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
