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
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"heyi/cmd/fleetsim/sim"
)

type benchConfig struct {
	Heyi   string
	Config string
	JSON   string
	Only   string
	Links  int
	Rooms  int
}

// The machine is divided: the server under test has one processor to itself, this program (the load) another.
const (
	serverCore = 0
	clientCore = 1
)

// onCore returns the command line that keeps a program on one processor, where taskset is there to do it.
func onCore(core int, argv ...string) []string {
	if path, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 {
		return append([]string{path, "-c", strconv.Itoa(core)}, argv...)
	}
	return argv
}

// pinSelf keeps this program off the server's processor and says whether it could.
func pinSelf(ctx context.Context) {
	_, _ = fmt.Fprintf(os.Stdout, "# server on processor %d with GOMAXPROCS=1, load on processor %d: %t\n", serverCore, clientCore, pin(ctx))
}

func pin(ctx context.Context) bool {
	cmd := onCore(clientCore)
	if len(cmd) == 0 {
		return false
	}
	runtime.GOMAXPROCS(1)
	return exec.CommandContext(ctx, cmd[0], "-a", "-cp", strconv.Itoa(clientCore), strconv.Itoa(os.Getpid())).Run() == nil //nolint:gosec // taskset, on ourselves
}

// figures collects "name value unit" lines and the flat JSON object.
type figures struct {
	value map[string]float64
}

func newFigures() *figures { return &figures{value: map[string]float64{}} }

func (f *figures) put(name string, v float64, unit string) {
	f.value[name] = v
	_, _ = fmt.Fprintf(os.Stdout, "%s %.4g %s\n", name, v, unit)
}

// load notes how many processes wanted to run in the last minute: figures of a busy machine are worth less.
func (f *figures) load(name string) error {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	var one float64
	if _, err := fmt.Sscan(string(b), &one); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	f.put(name, one, "processes")
	return nil
}

func (f *figures) write(path string) error {
	b, err := json.MarshalIndent(f.value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil { //nolint:gosec // the operator names the file
		return fmt.Errorf("figures: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil { //nolint:gosec // the operator names the file
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
	debug.SetGCPercent(400) // the load's own garbage collection would show in the delays
	f := newFigures()
	if c.Only != "media" {
		if err := benchLinks(ctx, c, f, logger); err != nil {
			return fmt.Errorf("links: %w", err)
		}
	}
	if c.Only == "media" {
		pinSelf(ctx)
	}
	if c.Only != "links" {
		if err := benchMedia(ctx, c, f, logger); err != nil {
			return fmt.Errorf("media: %w", err)
		}
	}
	return f.write(c.JSON)
}

// server is a child process on a scratch folder; it is ended by its id and may start again on the same data.
type server struct {
	conf      benchConfig
	cmd       *exec.Cmd
	gone      chan struct{} // closed when it has ended, with err
	err       error
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

// start runs the server, on one processor when it is measured.
func (s *server) start(ctx context.Context, measured bool) error {
	c, dir := s.conf, s.dir
	argv := []string{c.Heyi, "serve", "--config", c.Config, "--data", dir}
	var one []string
	if measured {
		argv, one = onCore(serverCore, argv...), []string{"GOMAXPROCS=1"}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the program under test, named by the caller
	cmd.Env = append(os.Environ(), "HEYI_HTTP_LISTEN=127.0.0.1:"+strconv.Itoa(s.port), "HEYI_MEDIA_LISTEN_UDP=127.0.0.1:"+strconv.Itoa(s.udp))
	cmd.Env = append(cmd.Env, one...)
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
	s.cmd, s.gone = cmd, make(chan struct{})
	go func() { // ends with the process; stop waits for it
		s.err = cmd.Wait()
		close(s.gone)
	}()
	return nil
}

// ready waits until the server answers, no longer than it lives.
func (s *server) ready(ctx context.Context) (sim.Demo, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	demo, err := sim.WaitDemo(ctx, s.demo)
	if err != nil {
		said, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
		return demo, fmt.Errorf("the server did not start: %w\n%s", err, said[max(0, len(said)-2000):])
	}
	return demo, nil
}

func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.gone
	if _, ok := errors.AsType[*exec.ExitError](s.err); ok {
		return nil // ended by our signal
	}
	return s.err
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

// cpu returns the time a process has used: all its threads, as the scheduler counts them (in nanoseconds, where
// /proc/<pid>/stat counts in hundredths of a second).
func cpu(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("cpu of %d: no threads (%w)", pid, err)
	}
	var sum int64
	for _, t := range tasks {
		b, err := os.ReadFile(t) //nolint:gosec // of a process we started
		if err != nil {
			return 0, fmt.Errorf("cpu of %d: %w", pid, err)
		}
		var ns int64
		if _, err := fmt.Sscan(string(b), &ns); err != nil {
			return 0, fmt.Errorf("cpu of %d: %w", pid, err)
		}
		sum += ns
	}
	return time.Duration(sum), nil
}

// startChild starts this program again as one of its own servers and returns the address that it prints.
func startChild(ctx context.Context, what string) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("own path: %w", err)
	}
	argv := onCore(serverCore, self, what)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)     //nolint:gosec // our own program
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=25") // as heyi sets it for itself
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", what, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("%s: %w", what, err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stopChild(cmd)
		return nil, "", fmt.Errorf("%s did not start: %w", what, err)
	}
	return cmd, strings.TrimSpace(addr), nil
}

func stopChild(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = cmd.Wait()                          // it was ended by our signal
}
