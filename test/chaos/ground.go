package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is a real PostgreSQL whose process we may stop and kill and start again on the same data and port.
type postgres struct {
	n    *nursery
	dir  string
	bin  string
	port int
	as   *syscall.Credential
	log  io.Writer
	proc *proc
}

// dbName is the database of the installation under test.
const dbName = "heyi"

func newPostgres(ctx context.Context, n *nursery, dir string, log io.Writer) (*postgres, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return nil, errors.New("no /usr/lib/postgresql/*/bin/postgres: install the Debian package postgresql")
	}
	pg := &postgres{n: n, dir: filepath.Join(dir, "pg"), bin: filepath.Dir(slices.Max(found)), log: log}
	if err := os.Mkdir(pg.dir, 0o700); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		if pg.as, err = postgresUser(); err != nil {
			return nil, err
		}
		if err := errors.Join(os.Chown(pg.dir, int(pg.as.Uid), int(pg.as.Gid)), os.Chmod(dir, 0o711)); err != nil { //nolint:gosec // that user must get through
			return nil, fmt.Errorf("postgres: %w", err)
		}
	}
	if pg.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	init, err := n.start(log, os.Environ(), pg.as, pg.dir, filepath.Join(pg.bin, "initdb"), "-D", filepath.Join(pg.dir, "data"), "-U", dbName, "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync")
	if err != nil {
		return nil, err
	}
	<-init.ended
	if init.err != nil {
		return nil, fmt.Errorf("initdb: %w", init.err)
	}
	if err := pg.start(ctx); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, pg.url("postgres", pg.port))
	if err != nil {
		return nil, errors.Join(err, pg.stop())
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+dbName+" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
	return pg, errors.Join(err, conn.Close(ctx))
}

func postgresUser() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w (the Debian package postgresql makes the user)", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err, err2)
}

func (pg *postgres) url(db string, port int) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", dbName, port, db)
}

func (pg *postgres) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(pg.port)) }

// start starts the server on its data and waits until it answers.
func (pg *postgres) start(ctx context.Context) error {
	var err error
	pg.proc, err = pg.n.start(pg.log, os.Environ(), pg.as, pg.dir, filepath.Join(pg.bin, "postgres"), "-D", filepath.Join(pg.dir, "data"), "-p", strconv.Itoa(pg.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=120", "-c", "shared_buffers=64MB")
	if err != nil {
		return err
	}
	err = until(ctx, time.Minute, "PostgreSQL answers", func() bool {
		conn, err := pgx.Connect(ctx, pg.url("postgres", pg.port))
		if err != nil {
			return !pg.proc.alive()
		}
		return conn.Close(ctx) == nil
	})
	if err == nil && !pg.proc.alive() {
		return errors.New("PostgreSQL ended while starting")
	}
	return err
}

// restart ends the server by a signal (SIGINT fast, SIGQUIT or SIGKILL like a crash), leaves it down and starts it.
func (pg *postgres) restart(ctx context.Context, s syscall.Signal, down time.Duration) error {
	pg.proc.end(s, 30*time.Second)
	if !wait(ctx, down) {
		return ctx.Err()
	}
	err := pg.start(ctx)
	for range 20 { // after SIGKILL the orphans of the old server hold its memory for a moment
		if err == nil || ctx.Err() != nil || pg.proc.alive() {
			return err
		}
		wait(ctx, 250*time.Millisecond)
		err = pg.start(ctx)
	}
	return err
}

func (pg *postgres) stop() error {
	pg.proc.signal(syscall.SIGCONT)
	pg.proc.end(syscall.SIGQUIT, 20*time.Second)
	return nil
}

// redis is a real Redis without persistence: it comes back empty.
type redis struct {
	n    *nursery
	dir  string
	bin  string
	port int
	log  io.Writer
	proc *proc
}

func newRedis(ctx context.Context, n *nursery, dir string, log io.Writer) (*redis, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("no redis-server: install the Debian package redis-server")
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	r := &redis{n: n, dir: dir, bin: bin, port: port, log: log}
	return r, r.start(ctx)
}

func (r *redis) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

func (r *redis) start(ctx context.Context) (err error) {
	r.proc, err = r.n.start(r.log, os.Environ(), nil, r.dir, r.bin, "--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no")
	if err != nil {
		return err
	}
	return until(ctx, 20*time.Second, "Redis answers", func() bool {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", r.addr())
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

// flush empties it while everybody is connected.
func (r *redis) flush(ctx context.Context) error {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", r.addr())
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	if _, err := io.WriteString(c, "FLUSHALL\r\n"); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil { // +OK\r\n
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of a TCP listener
	return port, l.Close()
}

// wait waits d or until ctx ends; it reports whether the wait was whole.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
