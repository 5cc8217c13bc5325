package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/ident"
)

// Lists of the fleet (docs/adr/0012-fleet-rows.md). What a list filters and sorts by stands in device_link, in indexes
// that hold all of it: a question is at most one pass over one index, and only the rows of the page are read whole.

var _ devices.ListStore = (*Store)(nil)

// DeviceRows implements devices.ListStore.
func (s *Store) DeviceRows(ctx context.Context, sc devices.Scope, f devices.Filter) (devices.Page, error) {
	after, err := devices.ParseCursor(f.Cursor)
	if err != nil {
		return devices.Page{}, err
	}
	c, err := s.compile(ctx, sc, f)
	if err != nil {
		return devices.Page{}, err
	}
	c.chip(f.Chip)
	order := c.order(f, after)
	query := `SELECT device_link.device_id FROM device_link WHERE ` + c.where.String() + order + ` LIMIT ` + c.arg(f.Limit+1)
	if f.Cursor == "" && f.Offset > 0 {
		query += ` OFFSET ` + c.arg(f.Offset)
	}
	var ids []ident.DeviceID
	err = s.read(ctx).all(query, c.args, func(r rows) error {
		var id ident.DeviceID
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return devices.Page{}, err
	}
	more := len(ids) > f.Limit
	if more {
		ids = ids[:f.Limit]
	}
	var page devices.Page
	page.Rows, err = s.DevicesByID(ctx, sc, ids)
	if n := len(page.Rows); more && n > 0 {
		page.Next = f.After(page.Rows[n-1]).Cursor()
	}
	return page, err
}

// DevicesByID implements devices.ListStore.
func (s *Store) DevicesByID(ctx context.Context, sc devices.Scope, ids []ident.DeviceID) ([]devices.Row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, args := values("t", 2, len(ids), func(i int) []any { return []any{ids[i]} })
	found := make(map[ident.DeviceID]devices.Row, len(ids))
	// CROSS JOIN and the empty text hold SQLite to the order of a reader: from the ids to their rows, never from the units
	// to all of theirs.
	err := s.read(ctx).all(`SELECT `+rowColumns+` FROM `+list+` AS v CROSS JOIN device_link CROSS JOIN device
		WHERE device_link.device_id = v.column1 || '' AND device.id = v.column1 || ''
			AND EXISTS (SELECT 1 FROM org_closure WHERE org_closure.ancestor = $1 AND org_closure.node = device.unit_id || '')`,
		append([]any{sc.Unit}, args...), func(r rows) error {
			row, err := scanRow(r)
			found[row.ID] = row
			return err
		})
	if err != nil {
		return nil, err
	}
	out := make([]devices.Row, 0, len(found))
	for _, id := range ids {
		if row, ok := found[id]; ok {
			out = append(out, row)
		}
	}
	return out, nil
}

// Tally implements devices.ListStore. What the counters count is not counted again.
func (s *Store) Tally(ctx context.Context, sc devices.Scope, f devices.Filter) (devices.Tally, error) {
	c, err := s.compile(ctx, sc, f)
	if err != nil {
		return nil, err
	}
	query := `SELECT chip, COUNT(*) FROM device_link WHERE ` + c.where.String() + ` GROUP BY chip`
	if f.Tier == "" && f.Model == "" && f.Q == "" {
		query = strings.Replace(query, `COUNT(*) FROM device_link`, `SUM(n) FROM fleet_count`, 1)
		query = strings.ReplaceAll(query, `device_link.`, `fleet_count.`)
	}
	tally := devices.Tally{}
	err = s.read(ctx).all(query, c.args, func(r rows) error {
		var (
			chip devices.Chip
			n    int
		)
		err := r.Scan(&chip, &n)
		tally[chip] = n
		return err
	})
	return tally, err
}

// CountUnits implements devices.ListStore.
func (s *Store) CountUnits(ctx context.Context, sc devices.Scope) (map[ident.UnitID]devices.Count, error) {
	counts := map[ident.UnitID]devices.Count{}
	err := s.read(ctx).all(`SELECT unit_id, class, chip, SUM(n) FROM fleet_count
		WHERE unit_id IN (SELECT node FROM org_closure WHERE ancestor = $1) GROUP BY unit_id, class, chip`, []any{sc.Unit}, func(r rows) error {
		var (
			unit  ident.UnitID
			class devices.Class
			chip  devices.Chip
			n     int
		)
		err := r.Scan(&unit, &class, &chip, &n)
		counts[unit] = counts[unit].Put(class, chip, n)
		return err
	})
	return counts, err
}

// DeviceModels implements devices.ListStore.
func (s *Store) DeviceModels(ctx context.Context, sc devices.Scope) (devices.Models, error) {
	var list devices.Models
	err := s.read(ctx).all(`SELECT model, COUNT(*) FROM device_link
		WHERE unit_id IN (SELECT node FROM org_closure WHERE ancestor = $1) AND model <> '' AND chip <> 'retired'
		GROUP BY model ORDER BY 2 DESC, 1 LIMIT 200`, []any{sc.Unit}, func(r rows) error {
		var m struct {
			Model string
			N     int
		}
		err := r.Scan(&m.Model, &m.N)
		list = append(list, m)
		return err
	})
	return list, err
}

// NoteExport implements devices.ListStore. What was searched for stands as a digest: it may be somebody's name.
func (s *Store) NoteExport(ctx context.Context, sc devices.Scope, f devices.Filter, rows int, at int64) error {
	q := sha256.Sum256([]byte(f.Q))
	data := map[string]string{"rows": strconv.Itoa(rows), "scope": string(sc.Unit)}
	for name, v := range map[string]string{
		"unit": string(f.Unit), "chip": string(f.Chip), "kind": string(f.Kind), "class": string(f.Class), "tier": string(f.Tier), "model": f.Model,
	} {
		if v != "" {
			data[name] = v
		}
	}
	if f.Q != "" {
		data["q_sha256"] = hex.EncodeToString(q[:])
	}
	return s.write(ctx, func(t *tx) error {
		return t.event(audit.Event{Aggregate: "export", ID: ident.New[string](), Type: "devices.exported", At: at, Actor: sc.Actor, Data: data})
	})
}

// condition is a filter on the way to SQL.
type condition struct {
	where strings.Builder
	args  []any
}

func (c *condition) arg(v any) string {
	c.args = append(c.args, v)
	return "$" + strconv.Itoa(len(c.args))
}

func (c *condition) and(parts ...string) {
	c.where.WriteString(" AND ")
	for _, p := range parts {
		c.where.WriteString(p)
	}
}

// compile writes everything of a filter but its chip. The scope comes first and is never left out.
func (s *Store) compile(ctx context.Context, sc devices.Scope, f devices.Filter) (*condition, error) {
	c := &condition{}
	c.where.WriteString(`device_link.unit_id IN (SELECT org_closure.node FROM org_closure WHERE org_closure.ancestor = ` + c.arg(sc.Unit) + `)`)
	if f.Unit != "" && f.Unit != sc.Unit {
		c.and(`device_link.unit_id IN (SELECT org_closure.node FROM org_closure WHERE org_closure.ancestor = `, c.arg(f.Unit), `)`)
	}
	for _, eq := range []struct{ column, value string }{
		{"kind", string(f.Kind)}, {"class", string(f.Class)}, {"tier", string(f.Tier)}, {"model", f.Model},
	} {
		if eq.value != "" {
			c.and(`device_link.`, eq.column, ` = `, c.arg(eq.value))
		}
	}
	if f.Q == "" {
		return c, nil
	}
	// Ranges instead of LIKE: both engines compare by code points (openPostgres refuses anything else). What begins with
	// the text in one column only is found by that column's index.
	from, to := devices.Key(f.Q), devices.Key(f.Q)+"\U0010FFFF"
	var named, numbered bool
	err := s.read(ctx).one(`SELECT EXISTS (SELECT 1 FROM device_link WHERE name_key >= $1 AND name_key < $2),
		EXISTS (SELECT 1 FROM device_link WHERE serial_key >= $1 AND serial_key < $2)`, []any{from, to}, &named, &numbered)
	if err != nil {
		return nil, err
	}
	x, y := c.arg(from), c.arg(to)
	switch {
	case named && numbered:
		// The empty text keeps the planner from two index scans and a sort when one pass in the order of the list does.
		c.and(`(device_link.name_key || '' >= `, x, ` AND device_link.name_key || '' < `, y, ` OR device_link.serial_key || '' >= `, x, ` AND device_link.serial_key || '' < `, y, `)`)
	case numbered:
		c.and(`device_link.serial_key >= `, x, ` AND device_link.serial_key < `, y)
	default:
		c.and(`device_link.name_key >= `, x, ` AND device_link.name_key < `, y)
	}
	return c, nil
}

func (c *condition) chip(chip devices.Chip) {
	switch chip {
	case "":
		c.and(`device_link.chip <> 'retired'`)
	case devices.ChipOnline: // nearly everybody: the order's own index serves it best
		c.and(`device_link.chip || '' = `, c.arg(string(chip)))
	default:
		c.and(`device_link.chip = `, c.arg(string(chip)))
	}
}

// chipRank is devices.Chip.Rank in SQL.
const chipRank = `CASE device_link.chip WHEN 'quarantined' THEN 0 WHEN 'pending' THEN 1 WHEN 'offline' THEN 2 WHEN 'lost' THEN 3
	WHEN 'suspect' THEN 4 WHEN 'online' THEN 5 WHEN 'disabled' THEN 6 ELSE 7 END`

// order writes ORDER BY, and the condition by which a page begins after a row.
func (c *condition) order(f devices.Filter, after devices.Position) string {
	keys := []string{"device_link.name_key"}
	at := []any{after.Text}
	switch f.Order {
	case devices.BySerial:
		keys = []string{"device_link.serial_key"}
	case devices.ByModel:
		keys = []string{"device_link.model"}
	case devices.ByAppVer:
		keys = []string{"device_link.app_ver"}
	case devices.BySince:
		keys, at = []string{"device_link.since_at"}, []any{after.N}
	case devices.ByChip:
		keys, at = []string{chipRank, "device_link.name_key"}, []any{after.N, after.Text}
	case devices.ByName:
	}
	keys, at = append(keys, "device_link.device_id"), append(at, after.ID)
	way, than := "", " > "
	if f.Desc {
		way, than = " DESC", " < "
	}
	if after.ID != "" {
		marks := make([]string, len(at))
		for i, v := range at {
			marks[i] = c.arg(v)
		}
		c.and(`(`, strings.Join(keys, ", "), `)`, than, `(`, strings.Join(marks, ", "), `)`)
	}
	return ` ORDER BY ` + strings.Join(keys, way+", ") + way
}
