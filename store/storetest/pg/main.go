// Command pg starts a PostgreSQL server for tests.
//
//	pg -- go test ./...    runs the command with HEYI_TEST_POSTGRES set and ends with its exit code
//	pg                     prints the server's URL and runs until standard input ends
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"heyi/store/storetest"
)

func main() {
	// The command gets Ctrl-C from the terminal itself; we stay to end the server after it.
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	code, err := run(ctx, os.Args[1:])
	if err != nil {
		_, _ = os.Stderr.WriteString("pg: " + err.Error() + "\n")
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (code int, err error) {
	p, err := storetest.StartPostgres(ctx)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		if _, err := os.Stdout.WriteString(p.URL + "\n"); err != nil {
			return 1, err
		}
		ended := make(chan struct{})
		go func() { // ends with standard input or with the process
			_, _ = io.Copy(io.Discard, os.Stdin)
			close(ended)
		}()
		select {
		case <-ended:
		case <-ctx.Done():
		}
		return 0, nil
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the caller's own command
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "HEYI_TEST_POSTGRES="+p.URL)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
