package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"heyi/internal/ident"
	"heyi/mediation/session"
)

// placeRoom writes the room of a session; a changed spec gets the next epoch.
func (t *tx) placeRoom(b, a *session.Session) error {
	if b.ID != "" && sameSpec(a.Spec(), b.Spec()) {
		return nil
	}
	a.Epoch++
	spec, err := json.Marshal(a.Spec())
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO room_placement (session_id, room, node, fence, spec, spec_epoch, closed) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (session_id) DO UPDATE SET node = excluded.node, fence = excluded.fence, spec = excluded.spec, spec_epoch = excluded.spec_epoch, closed = excluded.closed`,
		a.ID, a.Room, a.Node, a.Fence, string(spec), a.Epoch, !a.State.Live())
	return err
}

// SessionOfRoom implements session.RoomStore.
func (s *Store) SessionOfRoom(ctx context.Context, room ident.RoomID) (ident.SessionID, error) {
	var id ident.SessionID
	err := s.read(ctx).one(`SELECT session_id FROM room_placement WHERE room = $1`, []any{room}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", noSession()
	}
	return id, err
}

// OpenRooms implements session.RoomStore.
func (s *Store) OpenRooms(ctx context.Context, node string) ([]ident.SessionID, error) {
	var list []ident.SessionID
	err := s.read(ctx).all(`SELECT session_id FROM room_placement WHERE node = $1 AND closed = FALSE ORDER BY session_id`, []any{node}, func(r rows) error {
		var id ident.SessionID
		err := r.Scan(&id)
		list = append(list, id)
		return err
	})
	return list, err
}

// PendingRooms implements session.RoomStore.
func (s *Store) PendingRooms(ctx context.Context, node string) ([]session.Placement, error) {
	var list []session.Placement
	err := s.read(ctx).all(`SELECT session_id, spec FROM room_placement WHERE node = $1 AND (closed = FALSE OR spec_epoch > applied_epoch) AND spec_epoch > applied_epoch
		ORDER BY session_id`, []any{node}, func(r rows) error {
		var (
			p    session.Placement
			spec []byte
		)
		if err := r.Scan(&p.Session, &spec); err != nil {
			return err
		}
		err := json.Unmarshal(spec, &p.Spec)
		list = append(list, p)
		return err
	})
	return list, err
}

// RoomApplied implements session.RoomStore.
func (s *Store) RoomApplied(ctx context.Context, id ident.SessionID, fence, epoch int64) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE room_placement SET applied_epoch = $3 WHERE session_id = $1 AND fence = $2 AND applied_epoch < $3`, id, fence, epoch)
		return err
	})
}
