package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"heyi/internal/audit"
)

var errClosed = errors.New("store: closed")

// writer is SQLite's one writer: it takes all commands that wait into one transaction and answers them after the
// commit, so that many callers share one fsync (performance.md, "Durable rows").
type writer struct {
	store *Store
	on    *statements // the only connection that writes
	max   int

	mu     sync.Mutex
	queue  []*command
	closed bool
	wake   chan struct{} // holds one token while the queue may be non-empty
	done   chan struct{} // closed when the writer has ended
}

// The states of a command: whoever moves it away from waiting decides whether it runs.
const (
	cmdWaiting int32 = iota
	cmdTaken         // the writer runs it; its caller waits for the answer
	cmdLeft          // its caller went away first; it is not run
)

type command struct {
	ctx   context.Context //nolint:containedctx // carries the caller's values across the queue
	fn    func(*tx) error
	state atomic.Int32
	err   error // fn's own error, or what befell the commit
	did   []audit.Event
	panic *panicked
	done  chan struct{}
}

// panicked is a panic of a command on its way from the writer to the command's caller.
type panicked struct {
	value any
	stack []byte
}

func newWriter(s *Store, on *statements, maxBatch int) *writer {
	w := &writer{store: s, on: on, max: maxBatch, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.loop() // close waits for it
	return w
}

// do hands fn to the writer and returns its answer. A panic of fn goes on in the caller.
func (w *writer) do(ctx context.Context, fn func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &command{ctx: context.WithoutCancel(ctx), fn: fn, done: make(chan struct{})}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return because(errUnavailable, errClosed)
	}
	w.queue = append(w.queue, c)
	w.mu.Unlock()
	w.signal()

	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(cmdWaiting, cmdLeft) {
			return ctx.Err()
		}
		<-c.done // it runs already: its outputs must not change behind the caller's back
	}
	if c.panic != nil {
		panic(fmt.Sprintf("%v\n\ncommand in the store's writer:\n%s", c.panic.value, c.panic.stack))
	}
	return c.err
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// close refuses new commands, waits until the queue is empty and releases the statements.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	<-w.done
	return w.on.close()
}

func (w *writer) loop() {
	defer close(w.done)
	for range w.wake {
		// Callers just answered are about to ask again; let them, so that they share the next commit.
		runtime.Gosched()
		for {
			batch, closed := w.take()
			if len(batch) > 0 {
				w.commit(batch)
				continue
			}
			if closed {
				return
			}
			break
		}
	}
}

// take returns the commands to commit next, without those whose callers left.
func (w *writer) take() (batch []*command, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 && len(batch) < w.max {
		c := w.queue[0]
		w.queue[0] = nil
		w.queue = w.queue[1:]
		if c.state.CompareAndSwap(cmdWaiting, cmdTaken) {
			batch = append(batch, c)
		}
	}
	return batch, w.closed
}

// commit runs a batch in one transaction and answers every command of it.
func (w *writer) commit(batch []*command) {
	begun := w.store.now()
	err := w.transact(batch)
	if err == nil {
		w.store.metrics.committed(len(batch), w.store.now().Sub(begun))
		w.store.commits.Add(1)
		w.store.commands.Add(int64(len(batch)))
	}
	for _, c := range batch {
		if err != nil && c.panic == nil {
			c.err = err // the commit failed: nothing of anybody is in the database
		}
		if c.panic == nil {
			w.store.metrics.answered(c.did, c.err)
		}
		close(c.done)
	}
}

// transact is BEGIN, the commands, COMMIT. Its error is the whole batch's. The context is not a caller's: an
// interrupted statement would roll back the neighbours' work too.
func (w *writer) transact(batch []*command) (err error) {
	ctx := context.Background()
	if err := w.sql(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// Some failures (disk full, I/O) have ended the transaction already, then there is nothing to roll back.
			_, _ = w.on.ExecContext(ctx, "ROLLBACK")
		}
	}()
	for _, c := range batch {
		if err := w.sql(ctx, "SAVEPOINT command"); err != nil {
			return err
		}
		w.run(c)
		if c.err != nil || c.panic != nil {
			if err := w.sql(ctx, "ROLLBACK TO command"); err != nil {
				// The command's error has ended the transaction: it befell all.
				return errors.Join(c.err, err)
			}
		}
		if err := w.sql(ctx, "RELEASE command"); err != nil {
			return err
		}
	}
	return w.sql(ctx, "COMMIT")
}

// run calls the command and catches its panic: the writer serves everybody.
func (w *writer) run(c *command) {
	defer func() {
		if v := recover(); v != nil {
			c.panic = &panicked{v, debug.Stack()}
		}
	}()
	t := tx{reader: reader{ctx: c.ctx, on: w.on, dialect: w.store.dialect}, store: w.store}
	c.err = t.run(c.fn)
	c.did = t.events
}

func (w *writer) sql(ctx context.Context, query string) error {
	_, err := w.on.ExecContext(ctx, query)
	return w.store.dialect.fault(err)
}
