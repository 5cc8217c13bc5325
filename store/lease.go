package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lease is the right of one node to do what only one may do, until it expires. Its epoch grows with every new
// holder and fences the old one: every guarded commit checks it (tx.leaseHeld).
type Lease struct {
	Name      string
	Owner     string // node name
	Epoch     int64  // 1, 2, ... per name
	ExpiresAt int64  // Unix microseconds
}

// AcquireLease takes a lease that is free, expired or released; ok is false while somebody holds it, also when that
// is owner itself, which renews instead or, restarted, takes over (StartNode).
func (s *Store) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration, now time.Time) (epoch int64, ok bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		// The columns are qualified: PostgreSQL refuses them bare.
		err := t.one(`INSERT INTO lease (name, owner, epoch, ttl, expires_at) VALUES ($1, $2, 1, $3, $4)
			ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = lease.epoch + 1, ttl = excluded.ttl, expires_at = excluded.expires_at
			WHERE lease.expires_at < $5 RETURNING epoch`,
			[]any{name, owner, ttl.Microseconds(), micros(now.Add(ttl)), micros(now)}, &epoch)
		ok = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return epoch, ok && err == nil, err
}

// RenewLeases extends everything owner holds (name -> epoch) in one statement and returns, sorted, the names that are
// no longer its own. An expired lease that nobody took meanwhile is extended: its epoch still fences.
func (s *Store) RenewLeases(ctx context.Context, owner string, held map[string]int64, ttl time.Duration, now time.Time) (lost []string, err error) {
	if len(held) == 0 {
		return nil, nil
	}
	names := slices.Sorted(maps.Keys(held))
	var pairs strings.Builder
	args := []any{micros(now.Add(ttl)), ttl.Microseconds(), owner}
	for i, name := range names {
		if i > 0 {
			pairs.WriteString(", ")
		}
		args = append(args, name, held[name])
		n := len(args)
		pairs.WriteString("($" + strconv.Itoa(n-1) + ", CAST($" + strconv.Itoa(n) + " AS BIGINT))")
	}
	err = s.write(ctx, func(t *tx) error {
		kept := make(map[string]bool, len(held))
		err := t.all(`UPDATE lease SET expires_at = $1, ttl = $2 WHERE owner = $3 AND (name, epoch) IN (VALUES `+pairs.String()+`) RETURNING name`,
			args, func(r rows) error {
				var name string
				err := r.Scan(&name)
				kept[name] = true
				return err
			})
		lost = nil
		for _, name := range names {
			if !kept[name] {
				lost = append(lost, name)
			}
		}
		return err
	})
	return lost, err
}

// ReleaseLease gives a lease up at once. The row stays, so that its epoch never repeats. Releasing what is no longer
// owner's does nothing.
func (s *Store) ReleaseLease(ctx context.Context, name, owner string, epoch int64) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE lease SET owner = '', expires_at = 0 WHERE name = $1 AND owner = $2 AND epoch = $3`, name, owner, epoch)
		return err
	})
}

// leaseHeld reports whether the epoch still holds the lease, and keeps it from changing hands until this command has
// committed. It excludes AcquireLease at the same instant.
func (t *tx) leaseHeld(name string, epoch int64, now time.Time) (bool, error) {
	var one int64
	err := t.one(`SELECT 1 FROM lease WHERE name = $1 AND epoch = $2 AND owner <> '' AND expires_at >= $3`+t.dialect.forShare(),
		[]any{name, epoch, micros(now)}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
