// Command hold takes the write lock of an embedded database and keeps it until standard input ends: the browser tests
// use it as the other process that makes a database unavailable.
//
//	hold data/heyi.db    prints "held" once it has the lock
package main

import (
	"context"
	"errors"
	"io"
	"os"

	"heyi/store/storetest"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: hold FILE")
	}
	release, err := storetest.Hold(ctx, args[0])
	if err != nil {
		return err //nolint:wrapcheck // names itself
	}
	_, err = os.Stdout.WriteString("held\n")
	if err == nil {
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	return errors.Join(err, release())
}
