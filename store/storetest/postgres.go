package storetest

import (
	"bytes"
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

// Postgres is a PostgreSQL server for tests.
type Postgres struct {
	URL string // of its maintenance database

	stdin  io.Closer     // closing it ends the server
	ended  chan struct{} // closed when the server has ended and its directory is gone
	output bytes.Buffer  // the end of the server's log; read it after ended
}

// watch makes a cluster in $1 with the programs in $2 and runs it on port $3 by the words that follow, until its
// standard input ends; then it stops the server at once, by its pid, and removes the directory. So the server ends
// with us even when we are killed. A shell's background job ignores SIGQUIT until PostgreSQL sets its own handler, so
// the signal is repeated.
const watch = `dir=$1 bin=$2 port=$3; shift 3; cd "$dir" || exit; exec 3<&0 </dev/null
if "$@" "$bin/initdb" -D "$dir/data" -U heyi --auth=trust --locale=C --encoding=UTF8 --no-sync >"$dir/log" 2>&1 3<&-
then
	"$@" "$bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
		-c max_connections=400 -c shared_buffers=64MB >"$dir/log" 2>&1 3<&- &
	pid=$!
	{ cat <&3; while kill -QUIT $pid; do sleep 0.1; done; } >/dev/null 2>&1 &
	wait $pid
fi
tail -n 20 "$dir/log" >&2
cd / && rm -rf "$dir"`

// StartPostgres starts a server on a free loopback port: empty, C locale, every local user trusted, fsync on.
func StartPostgres(ctx context.Context) (*Postgres, error) {
	bin, err := binaries("/usr/lib/postgresql")
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ { // another process may take the port between the look and the start
		p, err := start(ctx, bin)
		if err == nil || try == 3 {
			return p, err
		}
	}
}

// Stop ends the server at once and removes its files.
func (p *Postgres) Stop() error {
	err := p.stdin.Close()
	<-p.ended
	return err
}

// binaries returns the newest root/*/bin with a server in it, as Debian lays them out.
func binaries(root string) (string, error) {
	found, err := filepath.Glob(filepath.Join(root, "*/bin/initdb"))
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("no " + root + "/*/bin/initdb: install the Debian package postgresql " +
			"(apt-get install postgresql), or name a server in HEYI_TEST_POSTGRES=postgres://user@host:port/postgres")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 9.6 and the like count as 0
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// unprivileged returns the words before a command that runs it as user postgres, none when we are not root, and gives
// dir to that user: PostgreSQL refuses to run as root.
func unprivileged(dir string) ([]string, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w (the Debian package postgresql makes the user)", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return []string{"setpriv", "--reuid=" + u.Uid, "--regid=" + u.Gid, "--clear-groups", "--"}, os.Chown(dir, uid, gid)
}

func start(ctx context.Context, bin string) (*Postgres, error) {
	dir, err := os.MkdirTemp("", "heyi-pg-")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	words := slices.Concat([]string{"-c", watch, "sh", dir, bin, strconv.Itoa(port)}, as)
	p := &Postgres{URL: fmt.Sprintf("postgres://heyi@127.0.0.1:%d/postgres?sslmode=disable", port), ended: make(chan struct{})}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "sh", words...) //nolint:gosec // our own words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}                  // Ctrl-C is for us; closing stdin ends it
	cmd.Stderr = &p.output
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() { // Stop waits for it
		defer close(p.ended)
		_ = cmd.Wait() // its status says nothing: the server is killed on purpose
	}()
	if err := p.ready(ctx); err != nil {
		return nil, errors.Join(err, p.Stop(), errors.New(p.output.String()))
	}
	return p, nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// ready waits until the server answers.
func (p *Postgres) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, p.URL)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.ended:
			return errors.New("PostgreSQL ended while starting")
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		case <-tick.C:
		}
	}
}
