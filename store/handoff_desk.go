package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/handoff"
)

var _ handoff.Desk = (*Store)(nil)

// Handoffs implements handoff.Desk.
func (s *Store) Handoffs(ctx context.Context, f handoff.Filter) (list []handoff.Row, total int, err error) {
	q := s.read(ctx)
	where, args := `FROM handoff JOIN org_closure ON org_closure.node = handoff.unit_id WHERE org_closure.ancestor = $1`, []any{f.Unit}
	if f.State != "" {
		where, args = where+` AND handoff.state = $2`, append(args, f.State)
	}
	if err := q.one(`SELECT count(*) `+where, args, &total); err != nil {
		return nil, 0, err
	}
	n := len(args)
	where += ` AND (handoff.created_at, handoff.id) < ($` + strconv.Itoa(n+1) + `, $` + strconv.Itoa(n+2) + `)
		ORDER BY handoff.created_at DESC, handoff.id DESC LIMIT $` + strconv.Itoa(n+3)
	err = q.all(`SELECT `+handoffColumns+` `+where, append(args, f.After.At, f.After.ID, f.Limit+1), func(r rows) error {
		var x handoff.Row
		err := r.Scan(handoffDest(&x)...)
		list = append(list, x)
		return err
	})
	return list, total, err
}

// OpenHandoffs counts the packages of a subtree that are on their way, and those that were given up.
func (s *Store) OpenHandoffs(ctx context.Context, unit ident.UnitID) (queued, dead int, err error) {
	err = s.read(ctx).one(`SELECT COALESCE(SUM(CASE WHEN handoff.state = 'dead' THEN 0 ELSE 1 END), 0), COALESCE(SUM(CASE WHEN handoff.state = 'dead' THEN 1 ELSE 0 END), 0)
		FROM handoff WHERE handoff.state IN ('queued', 'sending', 'failed', 'dead')
			AND handoff.unit_id IN (SELECT node FROM org_closure WHERE ancestor = $1)`, []any{unit}, &queued, &dead)
	return queued, dead, err
}

// RetryHandoff implements handoff.Desk.
func (s *Store) RetryHandoff(ctx context.Context, cmd mediation.Command, unit ident.UnitID, id ident.HandoffID) (handoff.Row, error) {
	var row handoff.Row
	err := s.write(ctx, func(t *tx) error {
		row = handoff.Row{}
		where, args := `id = $1`, []any{id}
		if unit != "" {
			where, args = where+` AND unit_id IN (SELECT node FROM org_closure WHERE ancestor = $2)`, append(args, unit)
		}
		err := t.one(`SELECT `+handoffColumns+` FROM handoff WHERE `+where+t.forUpdate(), args, handoffDest(&row)...)
		if errors.Is(err, sql.ErrNoRows) {
			return noHandoff()
		}
		if err != nil {
			return err
		}
		if cmd.Key != "" {
			first, _, err := t.remember(actorKey(cmd.Actor), cmd.Key, cmd.Name, cmd.At)
			if err != nil || !first {
				return err
			}
		}
		if !slices.Contains([]handoff.State{handoff.Failed, handoff.Dead}, row.State) {
			return fault.New(fault.Conflict, "handoff.state").WithRef(string(row.State))
		}
		return t.requeue(cmd, &row)
	})
	return row, err
}

// requeue lets a row begin anew: the day after which it is given up counts from now.
func (t *tx) requeue(cmd mediation.Command, r *handoff.Row) error {
	from := r.State
	r.State, r.NextAt, r.SinceAt, r.At = handoff.Queued, cmd.At, cmd.At, cmd.At
	n, err := t.exec(`UPDATE handoff SET state = $2, next_at = $3, since_at = $3, at = $3 WHERE id = $1`, r.ID, r.State, cmd.At)
	if err := oneRow(n, err, "handoff"); err != nil {
		return err
	}
	return t.event(audit.Event{
		Aggregate: "handoff", ID: string(r.ID), Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause, Data: map[string]string{"from": string(from)},
	})
}

// RetryDeadHandoffs implements handoff.Desk.
func (s *Store) RetryDeadHandoffs(ctx context.Context, cmd mediation.Command) (int, error) {
	n := 0
	err := s.write(ctx, func(t *tx) error {
		var list []handoff.Row
		err := t.all(`SELECT `+handoffColumns+` FROM handoff WHERE state = 'dead' ORDER BY id`+t.forUpdate(), nil, func(r rows) error {
			var x handoff.Row
			err := r.Scan(handoffDest(&x)...)
			list = append(list, x)
			return err
		})
		for i := range list {
			err = errors.Join(err, t.requeue(cmd, &list[i]))
		}
		n = len(list)
		return err
	})
	return n, err
}

// HandoffOf returns the first package of a dispute or consultation, whose receipt number names its case; ok is false
// before there is one.
func (s *Store) HandoffOf(ctx context.Context, subject string) (r handoff.Row, ok bool, err error) {
	return handoffOf(s.read(ctx), subject)
}

func handoffOf(q querier, subject string) (r handoff.Row, ok bool, err error) {
	err = q.one(`SELECT `+handoffColumns+` FROM handoff WHERE subject = $1 ORDER BY version LIMIT 1`, []any{subject}, handoffDest(&r)...)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}
