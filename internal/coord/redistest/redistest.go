// Package redistest starts real Redis servers for tests: the Debian binary on a free loopback port, without
// persistence, ended by its process.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds a start.
const patience = 20 * time.Second

// watch runs redis-server in its own directory until standard input ends, then ends it by SIGKILL: the server dies with
// us even when we are killed. It prints the server's process id first.
const watch = `cd "$1" || exit; shift; exec 3<&0 </dev/null
"$@" >/dev/null 2>&1 3<&- & pid=$!; echo $pid
{ cat <&3; kill -KILL $pid; } >/dev/null 2>&1 &
wait $pid`

// Server is one Redis server. Its address stays the same over Kill and Start.
type Server struct {
	tb      testing.TB
	dir     string
	port    int
	options []string

	mu    sync.Mutex
	stdin io.Closer // nil while it does not run
	pid   int
	ended chan struct{}
}

// Start starts a server and ends it with the test. options are further words of the command line.
func Start(tb testing.TB, options ...string) *Server {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{tb: tb, dir: tb.TempDir(), port: l.Addr().(*net.TCPAddr).Port, options: options}
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Kill)
	s.Start()
	return s
}

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is the address as the configuration wants it.
func (s *Server) URL() string { return "redis://" + s.Addr() + "/0" }

// Start starts the server again, empty, after Kill, and waits until it answers.
func (s *Server) Start() {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stdin != nil {
		s.tb.Fatal("redistest: it runs already")
	}
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		s.tb.Fatal("no redis-server: install the Debian package redis-server (apt-get install redis-server)")
	}
	words := append([]string{
		"-c", watch, "sh", s.dir, bin, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no",
	}, s.options...)
	cmd := exec.CommandContext(context.WithoutCancel(s.tb.Context()), "sh", words...) //nolint:gosec // our own words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}                             // Ctrl-C is for us; closing stdin ends it
	stdin, err := cmd.StdinPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		s.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		s.tb.Fatalf("redistest: no process id: %v", err)
	}
	ended := make(chan struct{})
	go func() { // Kill waits for it
		defer close(ended)
		_ = cmd.Wait() // its status says nothing: the server is killed on purpose
	}()
	s.stdin, s.ended = stdin, ended
	if err := s.ready(); err != nil {
		s.tb.Fatal(err)
	}
}

// ready waits until the server answers PING.
func (s *Server) ready() error {
	end := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ping()
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("redistest: the server ended while starting")
		case <-tick.C:
		}
		if time.Now().After(end) {
			return fmt.Errorf("redistest: the server does not answer: %w", err)
		}
	}
}

func (s *Server) ping() (err error) {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(context.WithoutCancel(s.tb.Context()), "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && line != "+PONG\r\n" {
		err = fmt.Errorf("redistest: it answers %q", line)
	}
	return err
}

// Kill ends the server by SIGKILL and waits until it is gone. Killing it twice does nothing.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stdin == nil {
		return
	}
	_ = s.stdin.Close() // the shell ends the server
	<-s.ended
	s.stdin = nil
}

// Pause stops the server's process without ending it, as an overloaded machine does; Continue lets it go on.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := syscall.Kill(s.pid, sig); err != nil {
		s.tb.Fatal(err)
	}
}

// Command sends one inline command and returns the answer, the words of an error included.
func (s *Server) Command(line string) string {
	s.tb.Helper()
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(context.WithoutCancel(s.tb.Context()), "tcp", s.Addr())
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.tb.Fatal(err)
	}
	if _, err := conn.Write([]byte(line + "\r\n")); err != nil {
		s.tb.Fatal(err)
	}
	r := bufio.NewReader(conn)
	head, err := r.ReadString('\n')
	if err != nil {
		s.tb.Fatal(err)
	}
	head = strings.TrimSpace(head)
	if !strings.HasPrefix(head, "$") {
		return head
	}
	size, err := strconv.Atoi(head[1:])
	if err != nil || size < 0 {
		return ""
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		s.tb.Fatal(err)
	}
	return string(body)
}
