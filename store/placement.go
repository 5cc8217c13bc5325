package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media/nodes"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/session"
)

// placeRoom writes the room of a session; a changed spec gets the next epoch.
func (t *tx) placeRoom(cmd mediation.Command, b, a *session.Session) error {
	if b.ID != "" && sameSpec(a.Spec(), b.Spec()) {
		return nil
	}
	a.Epoch++
	if zonesChanged(b, a) {
		a.ZoneAt = cmd.At
	}
	spec, err := json.Marshal(a.Spec())
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO room_placement (session_id, room, node, fence, spec, spec_epoch, closed, zone_at, overlap_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (session_id) DO UPDATE SET node = excluded.node, fence = excluded.fence, spec = excluded.spec, spec_epoch = excluded.spec_epoch,
			closed = excluded.closed, zone_at = excluded.zone_at, overlap_until = excluded.overlap_until`,
		a.ID, a.Room, a.Node, a.Fence, string(spec), a.Epoch, !a.State.Live(), a.ZoneAt, a.OverlapUntil)
	return err
}

// zonesChanged reports whether somebody who was here is in another zone now.
func zonesChanged(b, a *session.Session) bool {
	for i := range b.Members {
		if i < len(a.Members) && a.Members[i].Zone != b.Members[i].Zone {
			return true
		}
	}
	return false
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

// PlacementOf implements session.RoomStore.
func (s *Store) PlacementOf(ctx context.Context, room ident.RoomID) (session.Placement, error) {
	var (
		p    session.Placement
		spec []byte
	)
	err := s.read(ctx).one(`SELECT session_id, node, spec, overlap_until FROM room_placement WHERE room = $1`, []any{room}, &p.Session, &p.Node, &spec, &p.OverlapUntil)
	if errors.Is(err, sql.ErrNoRows) {
		return p, noSession()
	}
	if err == nil {
		err = json.Unmarshal(spec, &p.Spec)
	}
	return p, err
}

// MoveRoom implements session.RoomStore.
func (s *Store) MoveRoom(ctx context.Context, cmd mediation.Command, id ident.SessionID, from string, dead bool, fn func(*session.Session, []nodes.Node) error) (session.Change, error) {
	var c flow.Change
	err := s.write(ctx, func(t *tx) error {
		k, err := t.session(id)
		if err != nil {
			return err
		}
		c = flow.Change{}
		c.Before.Session, c.After.Session = k, k.Clone()
		if k.Node != from || !k.State.Live() {
			return fault.New(fault.Conflict, "room.moved")
		}
		if dead {
			// the row of the lease is held until this has committed: a node that wakes now renews before or after
			var held int64
			err := t.one(`SELECT expires_at FROM lease WHERE name = $1`+t.forUpdate(), []any{nodes.Lease(from)}, &held)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if held >= cmd.At {
				return fault.New(fault.Conflict, "room.node_lives")
			}
		}
		list, err := t.hosts()
		if err != nil {
			return err
		}
		if err := fn(&c.After.Session, list); err != nil {
			return err
		}
		return t.save(cmd, &c)
	})
	return session.Change{Before: c.Before.Session, After: c.After.Session, Phone: c.Phone, Ver: c.Ver}, err
}

// PlacedRooms implements session.RoomStore.
func (s *Store) PlacedRooms(ctx context.Context, node string) ([]ident.RoomID, error) {
	var list []ident.RoomID
	err := s.read(ctx).all(`SELECT room FROM room_placement WHERE node = $1 AND closed = FALSE`, []any{node}, func(r rows) error {
		var id ident.RoomID
		err := r.Scan(&id)
		list = append(list, id)
		return err
	})
	return list, err
}
