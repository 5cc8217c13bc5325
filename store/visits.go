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
	"heyi/mediation/flow"
	"heyi/mediation/queue"
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

// CloseVisit implements flow.Store. Rows are locked in the order device, ticket, offer, seat, session, situation: the
// device first, so that no ticket is drawn meanwhile.
func (s *Store) CloseVisit(ctx context.Context, cmd mediation.Command, c flow.VisitClose, part func(*flow.Matter) (string, error)) (flow.VisitClosed, error) {
	var out flow.VisitClosed
	err := s.write(ctx, func(t *tx) error {
		out = flow.VisitClosed{}
		var one int
		err := t.one(`SELECT 1 FROM device WHERE id = $1`+t.forUpdate(), []any{c.Device}, &one)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoDevice()
		}
		if err != nil {
			return err
		}
		v, err := visitByID(t, c.Visit)
		if err == nil && v.DeviceID != c.Device {
			err = fault.New(fault.NotFound, "visit.not_found")
		}
		if err != nil || v.ClosedAt > 0 {
			return err
		}
		if out.Change, err = t.partVisit(cmd, v, part); err != nil {
			return err
		}
		closed, err := t.closeVisit(c.Device, c.Visit, c.Why, cmd.Actor, cmd.At)
		out.Grants, out.Ver = closed.grants, closed.ver
		return err
	})
	return out, err
}

// partVisit ends the open ticket that a visit holds itself.
func (t *tx) partVisit(cmd mediation.Command, v devices.Visit, part func(*flow.Matter) (string, error)) (flow.Change, error) {
	var c flow.Change
	var id ident.TicketID
	err := t.one(`SELECT id FROM ticket WHERE holder_key = $1 AND state IN `+openStates, []any{visitHolder + string(v.ID)}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	m, err := t.matter(queue.Ref{Ticket: id}, cmd.At)
	if err != nil {
		return c, err
	}
	m.Gone = true
	c = flow.Change{Before: m, After: copyMatter(&m)}
	cmd.Cause = "visit/" + string(v.ID)
	if cmd.Name, err = part(&c.After); err != nil {
		return c, err
	}
	return c, t.save(cmd, &c)
}

// visitClosed is what closing a visit changed beside its ticket.
type visitClosed struct {
	grants []ident.GrantID
	ver    int64
}

// closeVisit ends the open visit of a device (only the named one unless id is empty), its rights and the phones paired
// in it. It does nothing when there is none.
func (t *tx) closeVisit(device ident.DeviceID, id ident.VisitID, why string, by mediation.Actor, at int64) (visitClosed, error) {
	var out visitClosed
	v, err := openVisit(t, device)
	if err != nil || v == nil || id != "" && v.ID != id {
		return out, err
	}
	n, err := t.exec(`UPDATE visit SET closed_at = $2, why = $3 WHERE id = $1 AND closed_at = 0`, v.ID, at, why)
	if err != nil || n == 0 {
		return out, err
	}
	cmd := mediation.Command{Name: "visit.close", Actor: by, At: at, Cause: string(v.ID)}
	if out.grants, err = t.revokeVisitCaptures(*v, cmd); err != nil {
		return out, err
	}
	if out.ver, _, err = t.situationChanged(device, at); err != nil {
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
