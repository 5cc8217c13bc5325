package store

import (
	"context"
	"database/sql"
	"errors"
)

// Issued reports whether a file with this digest (hex SHA-256) is a paper of a dispute that ended here.
func (s *Store) Issued(ctx context.Context, digest string) (bool, error) {
	var known bool
	err := s.read(ctx).one(`SELECT EXISTS (SELECT 1 FROM document JOIN dispute ON dispute.id = document.dispute_id
		WHERE document.digest = $1 AND dispute.state IN ('agreed', 'terminated', 'guided', 'handed_off'))`, []any{digest}, &known)
	return known, err
}

// EffectiveAgreement returns when the agreement of a digest took effect, Unix microseconds; 0 when none did.
func (s *Store) EffectiveAgreement(ctx context.Context, digest string) (int64, error) {
	var at int64
	err := s.read(ctx).one(`SELECT effective_at FROM agreement WHERE digest = $1 AND digest <> '' AND state = 'effective'`, []any{digest}, &at)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return at, err
}
