// Command chaos starts an installation of several nodes with real PostgreSQL and Redis, lets devices, citizens and
// mediators use it, breaks it in every way of fleet.md §12 and holds afterwards what everybody was promised against what
// is in the books.
//
//	chaos clock ./cmd/heyi build/heyi-clock     builds the program with a clock that can jump
//	chaos -faults 200 -seed 1     prints every fault, the figures as "name value unit"; exit code 1 on any violation
//
// Everybody acts over the real protocol and keeps a journal of his own. A seed repeats the choices of a run, not its
// timing. docs/chaos.md tells what is injected and what is judged.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := judge(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

// judge runs and returns the exit code: 0 everything held, 1 it did not, 2 the run could not be carried out.
func judge(ctx context.Context, args []string, out io.Writer) int {
	if len(args) == 3 && args[0] == "clock" {
		if err := buildClock(ctx, args[1], args[2]); err != nil {
			_, _ = fmt.Fprintf(out, "chaos: %v\n", err)
			return 2
		}
		return 0
	}
	c, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		var wrong []violation
		wrong, err = execute(ctx, c)
		if err == nil && len(wrong) > 0 {
			_, _ = fmt.Fprintf(out, "%d violations; repeat with SEED=%d\n", len(wrong), c.Seed)
			return 1
		}
	}
	if err != nil {
		_, _ = fmt.Fprintf(out, "chaos: %v\n", err)
		return 2
	}
	_, _ = fmt.Fprintln(out, "everything held")
	return 0
}
