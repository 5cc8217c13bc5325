package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type benchConfig struct {
	Heyi   string
	Config string
	JSON   string
	Links  int
	Rooms  int
}

// figures collects "name value unit" lines and the flat JSON object.
type figures struct {
	order []string
	value map[string]float64
	unit  map[string]string
}

func newFigures() *figures { return &figures{value: map[string]float64{}, unit: map[string]string{}} }

func (f *figures) put(name string, v float64, unit string) {
	f.order = append(f.order, name)
	f.value[name], f.unit[name] = v, unit
	_, _ = fmt.Fprintf(os.Stdout, "%s %.4g %s\n", name, v, unit)
}

func (f *figures) write(path string) error {
	b, err := json.MarshalIndent(f.value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("figures: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("figures: %w", err)
	}
	return nil
}

// runBench measures links on a real server process and media on a real engine process, and prints every figure with
// the configuration that made it.
func runBench(ctx context.Context, c benchConfig, logger *slog.Logger) error {
	conf, err := os.ReadFile(c.Config)
	if err != nil {
		return fmt.Errorf("bench configuration: %w", err)
	}
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	if c.Links == 0 {
		c.Links = max(100, int(min(lim.Max, 20000))-1000)
	}
	_, _ = fmt.Fprintf(os.Stdout, "# %s %s/%s, %d cores, %d descriptors; %s:\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), lim.Max, c.Config)
	for line := range strings.Lines(string(conf)) {
		if s := strings.TrimSpace(line); s != "" && !strings.HasPrefix(s, "#") {
			_, _ = fmt.Fprintf(os.Stdout, "#   %s", line)
		}
	}
	f := newFigures()
	if err := benchLinks(ctx, c, f, logger); err != nil {
		return fmt.Errorf("links: %w", err)
	}
	if err := benchMedia(ctx, c, f, logger); err != nil {
		return fmt.Errorf("media: %w", err)
	}
	return f.write(c.JSON)
}

// server is a child process on a scratch folder; it is ended by its id and may start again on the same data.
type server struct {
	conf      benchConfig
	cmd       *exec.Cmd
	dir       string
	demo      string
	port, udp int
}

func newServer(ctx context.Context, c benchConfig) (*server, error) {
	dir, err := os.MkdirTemp("", "heyi-bench-")
	if err != nil {
		return nil, fmt.Errorf("scratch: %w", err)
	}
	s := &server{conf: c, dir: dir, demo: filepath.Join(dir, "demo.json")}
	if s.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	s.udp, err = freePort(ctx)
	return s, err
}

// start runs the server on one processor.
func (s *server) start(ctx context.Context) error {
	c, dir := s.conf, s.dir
	cmd := exec.CommandContext(ctx, c.Heyi, "serve", "--config", c.Config, "--data", dir) //nolint:gosec // the program under test, named by the caller
	cmd.Env = append(os.Environ(), "HEYI_HTTP_LISTEN=127.0.0.1:"+strconv.Itoa(s.port), "HEYI_MEDIA_LISTEN_UDP=127.0.0.1:"+strconv.Itoa(s.udp), "GOMAXPROCS=1")
	log, err := os.Create(filepath.Join(dir, "server.log")) //nolint:gosec // our own scratch folder
	if err != nil {
		return fmt.Errorf("scratch: %w", err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.Heyi, err)
	}
	s.cmd = cmd
	return nil
}

func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	err := s.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		err = nil // ended by our signal
	}
	return err
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	a, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("free port: no TCP address")
	}
	return a.Port, nil
}

// rss returns the resident set of a process in bytes.
func rss(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("memory of %d: %w", pid, err)
	}
	sc := bufio.NewScanner(bytes.NewReader(b))
	for sc.Scan() {
		if v, ok := strings.CutPrefix(sc.Text(), "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			if err != nil {
				return 0, fmt.Errorf("memory of %d: %w", pid, err)
			}
			return kb * 1024, nil
		}
	}
	return 0, fmt.Errorf("memory of %d: no VmRSS", pid)
}

// cpu returns the user and system time a process has used.
func cpu(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("cpu of %d: %w", pid, err)
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, fmt.Errorf("cpu of %d: unreadable", pid)
	}
	u, err1 := strconv.ParseInt(f[11], 10, 64)
	s, err2 := strconv.ParseInt(f[12], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("cpu of %d: %w", pid, err)
	}
	return time.Duration(u+s) * (time.Second / 100), nil // USER_HZ is 100 on Linux
}
