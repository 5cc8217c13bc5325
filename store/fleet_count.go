package store

import (
	"cmp"
	"context"
	"hash/fnv"
	"maps"
	"slices"

	"heyi/devices"
	"heyi/internal/ident"
)

// countSlots spreads the counters over nodes: two nodes rarely write the same row (fleet.md §2, "Counters").
const countSlots = 16

// slotOf is the slot in which a node counts; what is counted for no node goes to slot 0.
func slotOf(node string) int {
	if node == "" {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(node)) // never fails
	return int(h.Sum32() % countSlots)
}

// cell is one counter without its slot.
type cell struct {
	unit  ident.UnitID
	kind  devices.Kind
	class devices.Class
	chip  devices.Chip
}

// tally collects what the statements of one command change in the counters.
type tally map[cell]int

// moved notes a device that went from one chip to another.
func (c tally) moved(at cell, from devices.Chip) {
	if at.chip == from {
		return
	}
	c[at]++
	at.chip = from
	c[at]--
}

// count adds a tally to the counters of a slot. The rows are taken in one order, so that two commands never wait for
// each other.
func (t *tx) count(slot int, c tally) error {
	maps.DeleteFunc(c, func(_ cell, n int) bool { return n == 0 })
	if len(c) == 0 {
		return nil
	}
	cells := slices.SortedFunc(maps.Keys(c), func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.unit, b.unit), cmp.Compare(a.kind, b.kind), cmp.Compare(a.class, b.class), cmp.Compare(a.chip, b.chip))
	})
	for chunk := range slices.Chunk(cells, 256) {
		list, args := values("tttti", 2, len(chunk), func(i int) []any {
			at := chunk[i]
			return []any{at.unit, at.kind, at.class, at.chip, c[at]}
		})
		_, err := t.exec(`INSERT INTO fleet_count (unit_id, kind, class, chip, slot, n)
			SELECT v.column1, v.column2, v.column3, v.column4, CAST($1 AS BIGINT), v.column5 FROM `+list+` AS v WHERE v.column1 <> ''
			ORDER BY v.column1, v.column2, v.column3, v.column4
			ON CONFLICT (unit_id, kind, class, chip, slot) DO UPDATE SET n = fleet_count.n + excluded.n`, append([]any{slot}, args...)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// RecountFleet compares the counters with the rows they count, in one snapshot, and repairs them. It returns by how
// many devices they were wrong, which must be 0.
func (s *Store) RecountFleet(ctx context.Context) (drift int, err error) {
	wrong := tally{}
	// Both sides change in the same transactions, so in one statement's snapshot they agree; and a difference that is
	// added later stays right, whatever was counted meanwhile.
	err = s.read(ctx).all(`SELECT unit_id, kind, class, chip, SUM(n) FROM (
			SELECT unit_id, kind, class, chip, COUNT(*) AS n FROM device_link GROUP BY unit_id, kind, class, chip
			UNION ALL SELECT unit_id, kind, class, chip, -SUM(n) FROM fleet_count GROUP BY unit_id, kind, class, chip) AS both_sides
		GROUP BY unit_id, kind, class, chip HAVING SUM(n) <> 0`, nil, func(r rows) error {
		var (
			at cell
			n  int
		)
		err := r.Scan(&at.unit, &at.kind, &at.class, &at.chip, &n)
		wrong[at] = n
		drift += max(n, -n)
		return err
	})
	if err != nil || drift == 0 {
		return 0, err
	}
	return drift, s.write(ctx, func(t *tx) error { return t.count(0, maps.Clone(wrong)) })
}
