package store

import (
	"context"
	"time"

	"heyi/internal/fault"
)

// SpendToken redeems a one-time token by its jti: fault.Conflict "token.spent" the second time, also on another node;
// fault.Expired "token.expired" after expiresAt, when the row may be gone already.
func (s *Store) SpendToken(ctx context.Context, jti string, expiresAt, now time.Time) error {
	if !expiresAt.After(now) {
		return fault.New(fault.Expired, "token.expired")
	}
	err := s.write(ctx, func(t *tx) error {
		n, err := t.exec(`INSERT INTO spent_token (jti, expires_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING`, jti, micros(expiresAt))
		if err == nil && n == 0 {
			return fault.New(fault.Conflict, "token.spent")
		}
		return err
	})
	if err != nil {
		return err
	}
	if last := s.swept.Load(); micros(now)-last > sweepEvery.Microseconds() && s.swept.CompareAndSwap(last, micros(now)) {
		return s.Sweep(ctx, now)
	}
	return nil
}

const (
	sweepEvery = 10 * time.Minute
	// tokenMargin covers nodes whose clocks differ.
	tokenMargin = time.Hour
	// answerKept is how long a repeated command finds its first answer; a device may come back after days without net.
	answerKept = 7 * 24 * time.Hour
	// kickKept is how long word is kept for a node that does not come for it; its sockets are gone with it.
	kickKept = time.Hour
)

// Sweep removes spent tokens that have expired, remembered answers older than a week and word for nodes that are gone. SpendToken calls it now and
// then.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	return s.write(ctx, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM spent_token WHERE expires_at < $1`, micros(now.Add(-tokenMargin))); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM idempotency WHERE at < $1`, micros(now.Add(-answerKept))); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM link_kick WHERE at < $1`, micros(now.Add(-kickKept))) // of nodes that did not come back
		return err
	})
}
