package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// nursery starts child processes that die with us, however we end: the kernel kills them when the thread that started
// them is gone, so one thread starts them all.
type nursery struct {
	jobs chan func()
	done chan struct{}
}

func newNursery() *nursery {
	n := &nursery{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the nursery
		defer close(n.done)
		for f := range n.jobs {
			f()
		}
	}()
	return n
}

// close ends the thread. Every child must have ended before.
func (n *nursery) close() {
	close(n.jobs)
	<-n.done
}

// proc is one child process. Its methods are safe for concurrent use.
type proc struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of Wait; read it after ended
	mu    sync.Mutex
	over  bool
}

// start starts a program whose output goes to out. as is the user it runs as, nil: ours.
func (n *nursery) start(out io.Writer, env []string, as *syscall.Credential, dir, bin string, args ...string) (*proc, error) {
	p := &proc{cmd: exec.Command(bin, args...), ended: make(chan struct{})} //nolint:gosec,noctx // our own words; ended by its own signals
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = env, dir, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: as}
	started := make(chan error, 1)
	n.jobs <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	go func() { // end and kill wait for it
		err := p.cmd.Wait()
		p.mu.Lock()
		p.err, p.over = err, true
		p.mu.Unlock()
		close(p.ended)
	}()
	return p, nil
}

// signal does nothing to a process that has ended.
func (p *proc) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		_ = syscall.Kill(p.cmd.Process.Pid, s)
	}
}

// kill ends the process at once and waits for it.
func (p *proc) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// end signals and waits; false when it took longer than within and was killed.
func (p *proc) end(s syscall.Signal, within time.Duration) bool {
	p.signal(s)
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-p.ended:
		return true
	case <-t.C:
		p.kill()
		return false
	}
}

// alive reports whether the process has not ended.
func (p *proc) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// output runs a program to its end and returns what it prints.
func output(ctx context.Context, env []string, bin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, bin, args...) //nolint:gosec // our own words
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %v: %w\n%s", bin, args, err, out)
	}
	return string(out), nil
}

// appendTo opens a log that outlives restarts of its process.
func appendTo(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // below our own folder
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return f, nil
}

// until polls f until it is true; the error tells what was waited for in vain.
func until(ctx context.Context, within time.Duration, what string, f func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, errLate)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// errLate is the cause of a wait that was too long.
var errLate = errors.New("not in time")
