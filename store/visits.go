package store

import (
	"context"
	"database/sql"
	"errors"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// OpenVisit implements devices.FleetStore.
func (s *Store) OpenVisit(ctx context.Context, v devices.Visit, key string) (devices.Visit, error) {
	actor := mediation.Actor{Kind: mediation.ActorDevice, ID: string(v.DeviceID), Device: v.DeviceID}
	var out devices.Visit
	err := s.write(ctx, func(t *tx) error {
		var life devices.Life
		err := t.one(`SELECT life FROM device WHERE id = $1`+t.forUpdate(), []any{v.DeviceID}, &life)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoDevice()
		}
		if err != nil {
			return err
		}
		if life != devices.Active {
			return fault.New(fault.Precondition, "device.not_active")
		}
		first, answer, err := t.rememberAs(actor, key, "visit.open", v.OpenedAt)
		if err != nil {
			return err
		}
		if !first {
			out, err = visitByID(t, ident.VisitID(answer))
			return err
		}
		open, err := openVisit(t, v.DeviceID)
		switch {
		case err != nil:
			return err
		case open != nil:
			out = *open
		default:
			out = v
			if _, err := t.exec(`INSERT INTO visit (id, device_id, how, opened_at) VALUES ($1, $2, $3, $4)`, v.ID, v.DeviceID, v.How, v.OpenedAt); err != nil {
				return err
			}
			err := t.event(audit.Event{
				Aggregate: "visit", ID: string(v.ID), Type: "visit.opened", At: v.OpenedAt, Actor: actor, Data: map[string]string{"how": v.How},
			})
			if err != nil {
				return err
			}
			if _, _, err := t.situationChanged(v.DeviceID, v.OpenedAt); err != nil {
				return err
			}
		}
		return t.answerAs(actor, key, string(out.ID))
	})
	return out, err
}

const visitColumns = `id, device_id, how, opened_at, closed_at, why`

func visitDest(v *devices.Visit) []any {
	return []any{&v.ID, &v.DeviceID, &v.How, &v.OpenedAt, &v.ClosedAt, &v.Why}
}

func visitByID(q querier, id ident.VisitID) (devices.Visit, error) {
	var v devices.Visit
	err := q.one(`SELECT `+visitColumns+` FROM visit WHERE id = $1`, []any{id}, visitDest(&v)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = fault.New(fault.NotFound, "visit.not_found")
	}
	return v, err
}

// openVisit returns the open visit of a device, nil when there is none.
func openVisit(q querier, id ident.DeviceID) (*devices.Visit, error) {
	var v devices.Visit
	err := q.one(`SELECT `+visitColumns+` FROM visit WHERE device_id = $1 AND closed_at = 0`, []any{id}, visitDest(&v)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // no visit is no error
	}
	return &v, err
}

// CloseVisit implements devices.FleetStore.
func (s *Store) CloseVisit(ctx context.Context, c devices.VisitClose) (devices.VisitClosed, error) {
	actor := mediation.Actor{Kind: mediation.ActorDevice, ID: string(c.DeviceID), Device: c.DeviceID}
	var out devices.VisitClosed
	err := s.write(ctx, func(t *tx) error {
		v, err := visitByID(t, c.VisitID)
		if err == nil && v.DeviceID != c.DeviceID {
			err = fault.New(fault.NotFound, "visit.not_found")
		}
		if err != nil {
			return err
		}
		out, err = t.closeVisit(c.DeviceID, c.VisitID, c.Why, actor, c.At)
		return err
	})
	return out, err
}

// closeVisit ends the open visit of a device (only the named one unless id is empty), its rights and the phones paired
// in it. It does nothing when there is none.
func (t *tx) closeVisit(device ident.DeviceID, id ident.VisitID, why string, by mediation.Actor, at int64) (devices.VisitClosed, error) {
	var out devices.VisitClosed
	v, err := openVisit(t, device)
	if err != nil || v == nil || id != "" && v.ID != id {
		return out, err
	}
	n, err := t.exec(`UPDATE visit SET closed_at = $2, why = $3 WHERE id = $1 AND closed_at = 0`, v.ID, at, why)
	if err != nil || n == 0 {
		return out, err
	}
	cmd := mediation.Command{Name: "visit.close", Actor: by, At: at, Cause: string(v.ID)}
	if out.Grants, err = t.revokeVisitCaptures(*v, cmd); err != nil {
		return out, err
	}
	if out.Ver, _, err = t.situationChanged(device, at); err != nil {
		return out, err
	}
	return out, t.event(audit.Event{Aggregate: "visit", ID: string(v.ID), Type: "visit.closed", At: at, Actor: by, Data: map[string]string{"why": why}})
}

// Situated implements devices.FleetStore.
func (s *Store) Situated(ctx context.Context, id ident.DeviceID) (devices.Device, *devices.Visit, error) {
	var d devices.Device
	q := s.read(ctx)
	err := q.one(`SELECT `+deviceColumns+` FROM device WHERE id = $1`, []any{id}, deviceDest(&d)...)
	if errors.Is(err, sql.ErrNoRows) {
		return d, nil, errNoDevice()
	}
	if err != nil {
		return d, nil, err
	}
	v, err := openVisit(q, id)
	return d, v, err
}

// revokeVisitCaptures ends the phones paired in a visit and takes them out of the terminal's room.
func (t *tx) revokeVisitCaptures(v devices.Visit, cmd mediation.Command) ([]ident.GrantID, error) {
	var grants []ident.GrantID
	err := t.all(`UPDATE capture_grant SET revoked_at = $2, why = 'visit' WHERE visit_id = $1 AND revoked_at = 0 RETURNING id`,
		[]any{v.ID, cmd.At}, func(r rows) error {
			var g ident.GrantID
			err := r.Scan(&g)
			grants = append(grants, g)
			return err
		})
	if err != nil {
		return nil, err
	}
	return grants, t.phonesGone(cmd, v.DeviceID, grants)
}
