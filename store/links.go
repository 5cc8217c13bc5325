package store

import (
	"context"
	"database/sql"
	"errors"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation/partylink"
)

var _ partylink.Store = (*Store)(nil)

const linkColumns = `id, dispute_id, party_id, purpose, digest, state, expires_at, redeemed_at, revoked_at`

func linkDest(l *partylink.Link) []any {
	return []any{&l.ID, &l.Dispute, &l.Party, &l.Purpose, &l.Digest, &l.State, &l.ExpiresAt, &l.RedeemedAt, &l.RevokedAt}
}

// FindLink implements partylink.Store.
func (s *Store) FindLink(ctx context.Context, k partylink.Secret) (partylink.Link, error) {
	column := "token_hash"
	if k.IsCode {
		column = "code_hash"
	}
	return s.link(ctx, fault.New(fault.NotFound, "link.unknown"), column+` = $1 ORDER BY at DESC LIMIT 1`, k.Hash)
}

func linkOver() error { return fault.New(fault.Unauthenticated, "link.over") }

// LinkByCookie implements partylink.Store.
func (s *Store) LinkByCookie(ctx context.Context, cookieHash string) (partylink.Link, error) {
	return s.link(ctx, linkOver(), `cookie_hash = $1 AND redeemed_at > 0`, cookieHash)
}

// LinkByID implements partylink.Store.
func (s *Store) LinkByID(ctx context.Context, id ident.LinkID) (partylink.Link, error) {
	return s.link(ctx, linkOver(), `id = $1 AND redeemed_at > 0`, id)
}

func (s *Store) link(ctx context.Context, none error, where string, arg any) (partylink.Link, error) {
	var l partylink.Link
	err := s.read(ctx).one(`SELECT `+linkColumns+` FROM party_link WHERE `+where, []any{arg}, linkDest(&l)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = none
	}
	return l, err
}
