package notify

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"heyi/internal/fault"
)

// Store is the outbox.
type Store interface {
	// ClaimTexts returns texts that are due, at most limit; each is tried again after lease (Unix microseconds) unless
	// it was settled. Texts that have no more use are closed on the way.
	ClaimTexts(ctx context.Context, now, lease int64, limit int) ([]Claimed, error)
	// TextSent closes a text that was handed over.
	TextSent(ctx context.Context, id string, at int64) error
	// TextFailed notes a failure by its code; next is the instant of the next try, 0 gives the text up.
	TextFailed(ctx context.Context, id, code string, next int64) error
	// ForgetTexts removes closed texts from before an instant.
	ForgetTexts(ctx context.Context, before int64) error
}

// Claimed is a text to send now.
type Claimed struct {
	Text

	Attempts int // failures so far
}

// Adapter hands a text to the world. Errors: a fault of kind Invalid when trying again cannot help; anything else is
// tried again.
type Adapter interface {
	Send(ctx context.Context, id, to, text string) error
}

// Config are what a Sender works with. Store, Adapter, Now and Logger must be set.
type Config struct {
	Store   Store
	Adapter Adapter
	Now     func() time.Time
	Logger  *slog.Logger
	Every   time.Duration // how often it looks; 0 means 1 s
	Keep    time.Duration // how long closed texts stay; 0 means 30 days
	Count   func(Result)  // after each try; nil: nobody counts
}

// Result is what became of a try.
type Result string

// The results.
const (
	Sent  Result = "sent"
	Again Result = "again" // failed, will be tried again
	Dead  Result = "dead"  // failed for good
)

// Sender sends what is due.
type Sender struct {
	c    Config
	wake chan struct{}
}

// NewSender returns a Sender; Run does the work.
func NewSender(c Config) *Sender {
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.Keep == 0 {
		c.Keep = 30 * 24 * time.Hour
	}
	if c.Count == nil {
		c.Count = func(Result) {}
	}
	return &Sender{c: c, wake: make(chan struct{}, 1)}
}

// Wake makes Run look at once.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

const (
	batch     = 20
	sendTime  = 10 * time.Second // of one try
	leaseTime = 5 * time.Minute  // longer than a batch of tries
	forget    = time.Hour        // how often closed texts are looked through
)

// Run sends until ctx is done. A failed round is logged and repeated: the rows are the truth.
func (s *Sender) Run(ctx context.Context) error {
	tick := time.NewTicker(s.c.Every)
	defer tick.Stop()
	var forgot time.Time
	for {
		if err := s.Step(ctx); err != nil && ctx.Err() == nil {
			s.c.Logger.ErrorContext(ctx, "send texts", slog.Any("error", err))
		}
		if now := s.c.Now(); now.Sub(forgot) >= forget {
			forgot = now
			if err := s.c.Store.ForgetTexts(ctx, now.Add(-s.c.Keep).UnixMicro()); err != nil && ctx.Err() == nil {
				s.c.Logger.WarnContext(ctx, "old texts stay", slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// Step sends everything that is due now.
func (s *Sender) Step(ctx context.Context) error {
	for {
		now := s.c.Now()
		list, err := s.c.Store.ClaimTexts(ctx, now.UnixMicro(), now.Add(leaseTime).UnixMicro(), batch)
		if err != nil {
			return err
		}
		var errs []error
		for i := range list {
			errs = append(errs, s.send(ctx, &list[i]))
		}
		if err := errors.Join(errs...); err != nil || len(list) < batch {
			return err
		}
	}
}

// send tries one text and writes down how it went.
func (s *Sender) send(ctx context.Context, c *Claimed) error {
	text, _, err := c.Words()
	if err == nil {
		once, cancel := context.WithTimeout(ctx, sendTime)
		err = s.c.Adapter.Send(once, c.ID, c.To, text)
		cancel()
	}
	now := s.c.Now()
	if err == nil {
		s.c.Count(Sent)
		return s.c.Store.TextSent(ctx, c.ID, now.UnixMicro())
	}
	if ctx.Err() != nil {
		return ctx.Err() // we stop; the lease ends by itself
	}
	next, result := int64(0), Dead
	if fault.KindOf(err) != fault.Invalid {
		next, result = now.Add(backoff(c.Attempts)).UnixMicro(), Again
	}
	s.c.Count(result)
	code := fault.CodeOf(err)
	s.c.Logger.WarnContext(ctx, "a text was not sent", slog.String("text", c.ID), slog.String("template", string(c.Template)),
		slog.Int("attempts", c.Attempts+1), slog.Bool("again", next > 0), slog.String("code", code))
	return s.c.Store.TextFailed(ctx, c.ID, code, next)
}

// backoff doubles from 1 s to 10 min, jittered by half.
func backoff(attempts int) time.Duration {
	d := min(time.Second<<min(attempts, 16), 10*time.Minute)
	return d/2 + rand.N(d/2) //nolint:gosec // jitter, no secret
}
