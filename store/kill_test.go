package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"heyi/internal/fault"
	"heyi/store"
	"heyi/store/storetest"
)

// childEnv makes this test binary the writer of TestKill9KeepsWhatWasAnswered: "driver dsn".
const childEnv = "HEYI_STORE_TEST_CHILD"

var farFuture = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // constant instant

// child spends tokens from 16 goroutines for ever and prints the jti of each that was answered.
func child() int {
	driver, dsn, _ := strings.Cut(os.Getenv(childEnv), " ")
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Driver: driver, DSN: dsn, MasterKey: []byte("a master key for tests, 32 bytes")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := 0; ; j++ {
				jti := fmt.Sprintf("%d-%d", i, j)
				if err := s.SpendToken(ctx, jti, farFuture, time.Now()); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				if _, err := os.Stdout.WriteString(jti + "\n"); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return 1
}

func TestKill9KeepsWhatWasAnswered(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		for round := 1; round <= 3; round++ {
			answered := killedAfter(t, c, 500*round)
			s := storetest.Open(t, c)
			for _, jti := range answered {
				if err := s.SpendToken(t.Context(), jti, farFuture, time.Now()); fault.CodeOf(err) != "token.spent" {
					t.Fatalf("round %d: %s was answered before kill -9 and is not there after it (err = %v)", round, jti, err)
				}
			}
			// The next round's child must not meet this one's rows.
			err := s.Write(t.Context(), func(t *store.Tx) error {
				_, err := t.Exec(`DELETE FROM spent_token`)
				return err
			})
			if err := errors.Join(err, s.Close()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// killedAfter runs the child until it has answered at least n rows, ends it by SIGKILL in full flight and returns
// what it answered.
func killedAfter(t *testing.T, c store.Config, n int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test binary itself
	cmd.Env = append(os.Environ(), childEnv+"="+c.Driver+" "+c.DSN)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var answered []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		answered = append(answered, lines.Text())
		if len(answered) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	if len(answered) < n {
		t.Fatalf("the child ended by itself after %d rows: %v\n%s", len(answered), err, stderr.String())
	}
	// The pipe's last line may be cut only if it was not written in one piece; short writes to a pipe are atomic.
	return answered
}
