package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/session"
)

var _ session.CaptureStore = (*Store)(nil)

func captureOver() error { return fault.New(fault.Unauthenticated, "capture.over") }

const captureColumns = `capture_grant.id, capture_grant.device_id, capture_grant.visit_id, capture_grant.expires_at, capture_grant.redeemed_at`

func captureDest(c *session.Capture) []any {
	return []any{&c.ID, &c.Device, &c.Visit, &c.ExpiresAt, &c.RedeemedAt}
}

// AddCapture implements session.CaptureStore.
func (s *Store) AddCapture(ctx context.Context, cmd mediation.Command, n session.NewCapture) (session.Capture, error) {
	var c session.Capture
	err := s.write(ctx, func(t *tx) error {
		first, answer, err := t.remember(actorKey(cmd.Actor), cmd.Key, cmd.Name, cmd.At)
		if err != nil {
			return err
		}
		if !first {
			return t.one(`SELECT `+captureColumns+` FROM capture_grant WHERE id = $1`, []any{answer}, captureDest(&c)...)
		}
		c = session.Capture{ID: n.ID, Device: n.Device, ExpiresAt: n.ExpiresAt}
		err = t.one(`SELECT id FROM visit WHERE device_id = $1 AND closed_at = 0`+t.forUpdate(), []any{n.Device}, &c.Visit)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.Forbidden, "visit.required")
		}
		if err != nil {
			return err
		}
		// an expired grant must not keep its code from being drawn again
		if _, err := t.exec(`UPDATE capture_grant SET revoked_at = $1, why = 'expired' WHERE code_hash = $2 AND redeemed_at = 0 AND revoked_at = 0 AND expires_at <= $1`, cmd.At, n.CodeHash); err != nil {
			return err
		}
		rowsIn, err := t.exec(`INSERT INTO capture_grant (id, device_id, visit_id, token_hash, code_hash, expires_at, at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			n.ID, n.Device, c.Visit, n.TokenHash, n.CodeHash, n.ExpiresAt, cmd.At)
		if err != nil {
			return err
		}
		if rowsIn == 0 {
			return fault.New(fault.Unavailable, "capture.try_again") // one code in 2^40 is drawn twice
		}
		if err := t.captureEvent(cmd, c, "offered"); err != nil {
			return err
		}
		return t.answer(actorKey(cmd.Actor), cmd.Key, string(n.ID))
	})
	return c, err
}

func (t *tx) captureEvent(cmd mediation.Command, c session.Capture, to string) error {
	return t.event(audit.Event{
		Aggregate: "capture", ID: string(c.ID), Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause,
		Data: map[string]string{"to": to, "device": string(c.Device), "visit": string(c.Visit)},
	})
}

// openCapture returns the grant of a secret while it may be redeemed.
func openCapture(q querier, k session.Secret, now int64, lock string) (session.Capture, error) {
	var c session.Capture
	var revoked int64
	column := "token_hash"
	if k.IsCode {
		column = "code_hash"
	}
	err := q.one(`SELECT `+captureColumns+`, capture_grant.revoked_at FROM capture_grant WHERE `+column+` = $1 ORDER BY at DESC LIMIT 1`+lock,
		[]any{k.Hash}, append(captureDest(&c), &revoked)...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return c, fault.New(fault.NotFound, "capture.unknown")
	case err != nil:
		return c, err
	case c.RedeemedAt > 0:
		return c, fault.New(fault.Conflict, "capture.spent")
	case revoked > 0 || c.ExpiresAt <= now:
		return c, fault.New(fault.Expired, "capture.expired")
	}
	return c, nil
}

// FindCapture implements session.CaptureStore.
func (s *Store) FindCapture(ctx context.Context, k session.Secret, now int64) (session.Found, error) {
	q := s.read(ctx)
	c, err := openCapture(q, k, now, "")
	f := session.Found{Capture: c}
	if err != nil {
		return f, err
	}
	var unit ident.UnitID
	if err := q.one(`SELECT name, unit_id FROM device WHERE id = $1`, []any{c.Device}, &f.DeviceName, &unit); err != nil {
		return f, err
	}
	_, _, f.Place, err = unitPath(q, unit)
	return f, err
}

// RedeemCapture implements session.CaptureStore.
func (s *Store) RedeemCapture(ctx context.Context, cmd mediation.Command, k session.Secret, cookieHash string) (session.Capture, []ident.GrantID, int64, error) {
	var (
		c        session.Capture
		replaced []ident.GrantID
		ver      int64
	)
	err := s.write(ctx, func(t *tx) error {
		replaced, ver = nil, 0
		var err error
		if c, err = openCapture(t, k, cmd.At, t.forUpdate()); err != nil {
			return err
		}
		// The terminal's row orders two phones that redeem two grants at once.
		var one int
		if err := t.one(`SELECT 1 FROM device WHERE id = $1`+t.forUpdate(), []any{c.Device}, &one); err != nil {
			return err
		}
		err = t.all(`UPDATE capture_grant SET revoked_at = $2, why = 'replaced' WHERE device_id = $1 AND id <> $3 AND revoked_at = 0 RETURNING id, redeemed_at`,
			[]any{c.Device, cmd.At, c.ID}, func(r rows) error {
				var id ident.GrantID
				var redeemed int64
				err := r.Scan(&id, &redeemed)
				if redeemed > 0 {
					replaced = append(replaced, id)
				}
				return err
			})
		if err != nil {
			return err
		}
		c.RedeemedAt = cmd.At
		if _, err := t.exec(`UPDATE capture_grant SET redeemed_at = $2, cookie_hash = $3 WHERE id = $1`, c.ID, cmd.At, cookieHash); err != nil {
			return err
		}
		cmd.Actor.ID = string(c.ID)
		if err := t.captureEvent(cmd, c, "redeemed"); err != nil {
			return err
		}
		if err := t.phonesGone(cmd, c.Device, replaced); err != nil {
			return err
		}
		ver, _, err = t.situationChanged(c.Device, cmd.At)
		return err
	})
	return c, replaced, ver, err
}

// liveCapture is what a phone may act by: redeemed, not revoked.
const liveCapture = ` AND redeemed_at > 0 AND revoked_at = 0`

// CaptureByToken implements session.CaptureStore.
func (s *Store) CaptureByToken(ctx context.Context, cookieHash string) (session.Capture, error) {
	return s.capture(ctx, `cookie_hash = $1`, cookieHash)
}

// CaptureByID implements session.CaptureStore.
func (s *Store) CaptureByID(ctx context.Context, id ident.GrantID) (session.Capture, error) {
	return s.capture(ctx, `id = $1`, id)
}

func (s *Store) capture(ctx context.Context, where string, arg any) (session.Capture, error) {
	var c session.Capture
	err := s.read(ctx).one(`SELECT `+captureColumns+` FROM capture_grant WHERE `+where+liveCapture, []any{arg}, captureDest(&c)...)
	if errors.Is(err, sql.ErrNoRows) {
		return c, captureOver()
	}
	return c, err
}

// DropCapture implements session.CaptureStore.
func (s *Store) DropCapture(ctx context.Context, cmd mediation.Command, id ident.GrantID) (ident.DeviceID, int64, error) {
	var (
		device ident.DeviceID
		ver    int64
	)
	err := s.write(ctx, func(t *tx) error {
		var c session.Capture
		device, ver = "", 0
		err := t.one(`UPDATE capture_grant SET revoked_at = $2, why = 'dropped' WHERE id = $1 AND revoked_at = 0 RETURNING id, device_id, visit_id, expires_at, redeemed_at`,
			[]any{id, cmd.At}, captureDest(&c)...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		device = c.Device
		if err := t.captureEvent(cmd, c, "revoked"); err != nil {
			return err
		}
		if err := t.phonesGone(cmd, c.Device, []ident.GrantID{id}); err != nil {
			return err
		}
		ver, _, err = t.situationChanged(c.Device, cmd.At)
		return err
	})
	return device, ver, err
}

// phonesGone takes phones out of the room of their terminal: whatever a media line still holds, the next spec ends it.
// Closing a visit calls it for the grants it revoked.
func (t *tx) phonesGone(cmd mediation.Command, device ident.DeviceID, grants []ident.GrantID) error {
	if len(grants) == 0 {
		return nil
	}
	var ids []ident.SessionID
	err := t.all(`SELECT id FROM session WHERE device_id = $1 AND state IN ('lobby', 'checking', 'joint', 'suspended')`, []any{device}, func(r rows) error {
		var id ident.SessionID
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		k, err := t.session(id)
		if err != nil {
			return err
		}
		var c flow.Change
		c.Before.Session, c.After.Session = k, k.Clone()
		for _, g := range slices.Sorted(slices.Values(grants)) {
			c.After.Session.Drop(g)
		}
		if err := t.save(cmd, &c); err != nil {
			return err
		}
	}
	return nil
}
