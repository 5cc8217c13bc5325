package store

import (
	"context"
	"database/sql"
	"errors"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation"
)

// SeedUnits adds the units of a fixture that are not there yet, by code, and leaves the others alone. Parents stand
// before their children. It returns how many were added.
//
// Errors: fault.Invalid "org.bad_parent".
func (s *Store) SeedUnits(ctx context.Context, seeds []org.Seed) (added int, err error) {
	at := micros(s.now())
	err = s.write(ctx, func(t *tx) error {
		added = 0
		for _, seed := range seeds {
			var parent ident.UnitID
			if seed.ParentCode != "" {
				err := t.one(`SELECT id FROM org_unit WHERE code = $1`, []any{seed.ParentCode}, &parent)
				if errors.Is(err, sql.ErrNoRows) {
					return fault.InField("org.bad_parent", seed.Code)
				}
				if err != nil {
					return err
				}
			}
			id := ident.New[ident.UnitID]()
			n, err := t.exec(`INSERT INTO org_unit (id, code, name, level, parent_id, kind, abbr, sample, at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (code) DO NOTHING`,
				id, seed.Code, seed.Name, seed.Level, parent, seed.Kind, seed.Abbr, seed.Sample, at)
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			added++
			if _, err := t.exec(`INSERT INTO org_closure (ancestor, node)
				SELECT ancestor, CAST($1 AS TEXT) FROM org_closure WHERE node = $2 UNION ALL SELECT CAST($1 AS TEXT), CAST($1 AS TEXT)`, id, parent); err != nil {
				return err
			}
			err = t.event(audit.Event{
				Aggregate: "unit", ID: string(id), Type: "unit.seeded", At: at, Data: map[string]string{"code": seed.Code, "parent": string(parent)},
				Actor: mediation.Actor{Kind: mediation.ActorSystem, ID: "seed"},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return added, err
}

// Units returns every unit of the tree.
func (s *Store) Units(ctx context.Context) ([]org.Unit, error) {
	var units []org.Unit
	err := s.read(ctx).all(`SELECT id, code, name, level, parent_id, kind, abbr, sample FROM org_unit ORDER BY code`, nil, func(r rows) error {
		var u org.Unit
		err := r.Scan(&u.ID, &u.Code, &u.Name, &u.Level, &u.ParentID, &u.Kind, &u.Abbr, &u.Sample)
		units = append(units, u)
		return err
	})
	return units, err
}

// unitUnder checks that a unit lies in the subtree of root, both included. fault.NotFound "org.no_unit".
func unitUnder(q querier, root, unit ident.UnitID) error {
	var one int
	err := q.one(`SELECT 1 FROM org_closure WHERE ancestor = $1 AND node = $2`, []any{root, unit}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return &fault.Error{Kind: fault.NotFound, Code: "org.no_unit", Field: "unit_id"}
	}
	return err
}
