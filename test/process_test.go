package test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"

	"heyi/cmd/heyi/app"
	"heyi/configs"
)

// nodeEnv makes this test binary a node: the value is the path of its configuration. A node that is killed, stopped
// and continued must be a process of its own.
const nodeEnv = "HEYI_TEST_NODE"

func runNode(path string) int {
	cfg, err := configs.Load(path, nil)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err = app.Run(ctx, cfg, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is a node in a process of its own.
type process struct {
	*node
	cmd *exec.Cmd
	log output
}

// output is what a process wrote; it may be read while the process runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// spawn starts a node and waits until it is ready.
func spawn(t *testing.T, cfg configs.Config) *process {
	t.Helper()
	text, err := yaml.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	p := &process{node: &node{t: t, cfg: cfg, url: "http://" + cfg.HTTP.Listen, http: &http.Client{Transport: transport, Timeout: patience}}}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0]) //nolint:gosec // this test binary itself
	p.cmd.Env = append(os.Environ(), nodeEnv+"="+path)
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		transport.CloseIdleConnections()
		if t.Failed() {
			t.Logf("--- %s ---\n%s", cfg.Node.Name, tail(p.log.String(), 30))
		}
	})
	p.until(cfg.Node.Name+" is ready", func() bool {
		status, _ := p.get("/readyz", nil)
		return status == http.StatusOK
	})
	return p
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// end sends a last signal and waits for the process.
func (p *process) end(s syscall.Signal) {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(s) // it may have ended by itself
	_ = p.cmd.Wait()            // a killed process is an error
}
