package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/ident"
	"heyi/mediation"
)

// Every statement here that writes device_link carries its fence in its own WHERE: the epoch (with node and
// incarnation where a node speaks of its own links), or the state it judges. TestPresenceWritesAreFenced holds that.

var _ devices.PresenceStore = (*Store)(nil)

// values writes "(VALUES ($n, CAST($n+1 AS BIGINT), ..), ..)" for rows of a fixed shape; kinds has one letter a column,
// t for text and i for integers. The number of rows is rounded up to a power of two with rows of empty text and zeros,
// which match no id, so that few statement texts serve all sizes.
func values(kinds string, first int, count int, row func(i int) []any) (sql string, args []any) {
	size := 1
	for size < count {
		size *= 2
	}
	var b strings.Builder
	b.WriteString("(VALUES ")
	for i := range size {
		if i > 0 {
			b.WriteString(", ")
		}
		var cells []any
		if i < count {
			cells = row(i)
		}
		for j, kind := range kinds {
			b.WriteString([]string{"(", ", "}[min(j, 1)])
			n := strconv.Itoa(first + len(args))
			if kind == 'i' {
				b.WriteString("CAST($" + n + " AS BIGINT)")
			} else {
				b.WriteString("CAST($" + n + " AS TEXT)")
			}
			switch {
			case cells != nil:
				args = append(args, cells[j])
			case kind == 'i':
				args = append(args, int64(0))
			default:
				args = append(args, "")
			}
		}
		b.WriteString(")")
	}
	b.WriteString(")")
	return b.String(), args
}

// ConnectLinks implements devices.PresenceStore.
func (s *Store) ConnectLinks(ctx context.Context, n devices.NodeID, batch []devices.LinkUp) ([]devices.Admission, error) {
	list, args := values("ttttti", 3, len(batch), func(i int) []any {
		u := batch[i]
		return []any{u.Device, u.KeySHA256, u.BootID, u.AppVer, u.Engine, u.At}
	})
	args = append([]any{n.Name, n.Inc}, args...)
	query := `UPDATE device_link SET epoch = device_link.epoch + 1, prev_node = device_link.node, node = $1, inc = $2, cause = '',
			since_at = CASE WHEN device_link.state = 'connected' THEN device_link.since_at ELSE v.column6 END,
			state = 'connected', suspect_until_at = 0, seen_at = v.column6, boot_id = v.column3, app_ver = v.column4, engine = v.column5
		FROM ` + list + ` AS v
		WHERE device_link.device_id = v.column1 AND device_link.key_sha256 = v.column2 AND device_link.admit
		RETURNING device_link.device_id, device_link.epoch, device_link.unit_id, device_link.prev_node,
			device_link.down_tail, device_link.down_acked, device_link.down_sent`
	var in map[ident.DeviceID]devices.Admission
	err := s.write(ctx, func(t *tx) error {
		in = make(map[ident.DeviceID]devices.Admission, len(batch))
		down := make(map[ident.DeviceID]devices.StreamsAt, len(batch))
		err := t.all(query, args, func(r rows) error {
			var (
				id ident.DeviceID
				a  devices.Admission
				d  devices.StreamsAt
			)
			err := r.Scan(&id, &a.Epoch, &a.Unit, &a.PrevNode, &d.DownTail, &d.DownAcked, &d.DownSent)
			in[id], down[id] = a, d
			return err
		})
		if err != nil {
			return err
		}
		if err := t.moved(n, in, micros(s.now())); err != nil {
			return err
		}
		return t.resume(batch, in, down)
	})
	if err != nil {
		return nil, err
	}
	out := make([]devices.Admission, len(batch))
	for i, u := range batch {
		a, ok := in[u.Device]
		if !ok {
			if a.Refused, err = s.refusal(ctx, u); err != nil {
				return nil, err
			}
		}
		out[i] = a
	}
	return out, nil
}

// refusal says why a device had no admissible row.
func (s *Store) refusal(ctx context.Context, u devices.LinkUp) (devices.Refusal, error) {
	var (
		life devices.Life
		key  string
	)
	err := s.read(ctx).one(`SELECT life, key_sha256 FROM device WHERE id = $1`, []any{u.Device}, &life, &key)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return devices.Unknown, nil
	case err != nil:
		return "", err
	case life == devices.Retired || key != u.KeySHA256:
		return devices.RefusedRetired, nil
	case life == devices.Disabled:
		return devices.RefusedDisabled, nil
	case life == devices.Quarantined:
		return devices.RefusedQuarantined, nil
	case life == devices.Active:
		return devices.Superseded, nil // enabled between the two statements: it comes back
	}
	return devices.Unknown, nil
}

// DropLinks implements devices.PresenceStore. A link that another node's sweeper took for lost is dropped as well, so
// that SeeLinks cannot bring it back.
func (s *Store) DropLinks(ctx context.Context, n devices.NodeID, batch []devices.Fallen) (dropped int64, err error) {
	list, args := values("titii", 3, len(batch), func(i int) []any {
		f := batch[i]
		return []any{f.Device, f.Epoch, f.Cause, f.At, f.Until}
	})
	args = append([]any{n.Name, n.Inc}, args...)
	query := `UPDATE device_link SET state = 'suspect', cause = v.column3, since_at = v.column4, suspect_until_at = v.column5
		FROM ` + list + ` AS v
		WHERE device_link.device_id = v.column1 AND device_link.epoch = v.column2 AND device_link.node = $1 AND device_link.inc = $2
			AND (device_link.state = 'connected' OR device_link.state = 'suspect' AND device_link.cause = 'node_lost')`
	err = s.write(ctx, func(t *tx) error {
		dropped, err = t.exec(query, args...)
		return err
	})
	return dropped, err
}

// SeeLinks implements devices.PresenceStore. Links that a sweeper took for lost while this node was paused are
// connected again.
func (s *Store) SeeLinks(ctx context.Context, n devices.NodeID, batch []devices.Sighting) (stale []ident.DeviceID, err error) {
	list, args := values("tii", 3, len(batch), func(i int) []any { return []any{batch[i].Device, batch[i].Epoch, batch[i].At} })
	args = append([]any{n.Name, n.Inc}, args...)
	query := `UPDATE device_link SET seen_at = v.column3,
			state = CASE WHEN device_link.state = 'suspect' AND device_link.cause = 'node_lost' THEN 'connected' ELSE device_link.state END
		FROM ` + list + ` AS v
		WHERE device_link.device_id = v.column1 AND device_link.epoch = v.column2 AND device_link.node = $1 AND device_link.inc = $2
		RETURNING device_link.device_id`
	err = s.write(ctx, func(t *tx) error {
		mine := make(map[ident.DeviceID]bool, len(batch))
		err := t.all(query, args, func(r rows) error {
			var id ident.DeviceID
			err := r.Scan(&id)
			mine[id] = true
			return err
		})
		stale = nil
		for _, b := range batch {
			if !mine[b.Device] {
				stale = append(stale, b.Device)
			}
		}
		return err
	})
	return stale, err
}

// fenced is one row and the epoch under which it was read.
type fenced struct {
	device ident.DeviceID
	epoch  int64
	cause  string
}

// fences reads rows that a sweep is going to judge.
func (t *tx) fences(query string, args ...any) ([]fenced, error) {
	var list []fenced
	err := t.all(query, args, func(r rows) error {
		var f fenced
		err := r.Scan(&f.device, &f.epoch, &f.cause)
		list = append(list, f)
		return err
	})
	return list, err
}

// lose marks connected links suspect because their node is gone.
func (t *tx) lose(list []fenced, now, until int64) (int64, error) {
	if len(list) == 0 {
		return 0, nil
	}
	vals, args := values("ti", 3, len(list), func(i int) []any { return []any{list[i].device, list[i].epoch} })
	return t.exec(`UPDATE device_link SET state = 'suspect', cause = 'node_lost', since_at = $1, suspect_until_at = $2
		FROM `+vals+` AS v
		WHERE device_link.device_id = v.column1 AND device_link.epoch = v.column2 AND device_link.state = 'connected'`,
		append([]any{now, until}, args...)...)
}

// Restarted implements devices.PresenceStore.
func (s *Store) Restarted(ctx context.Context, n devices.NodeID, now, until int64, limit int) (lost int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		list, err := t.fences(`SELECT device_id, epoch, cause FROM device_link WHERE state = 'connected' AND node = $1 AND inc < $2 LIMIT $3`,
			n.Name, n.Inc, limit)
		if err != nil {
			return err
		}
		lost, err = t.lose(list, now, until)
		return err
	})
	return lost, err
}

// SweepPresence implements devices.PresenceStore.
func (s *Store) SweepPresence(ctx context.Context, o devices.SweepOrder) (devices.Swept, error) {
	var out devices.Swept
	err := s.write(ctx, func(t *tx) (err error) {
		out = devices.Swept{}
		if out.Held, err = t.leaseHeld(devices.SweeperLease, o.Epoch, o.Now); err != nil || !out.Held {
			return err
		}
		if out.Shifted, err = t.shiftGraces(o); err != nil {
			return err
		}
		if o.LostNode > 0 {
			if out.Lost, err = t.loseNodes(o); err != nil {
				return err
			}
		}
		out.Offline, err = t.endGraces(o)
		return err
	})
	return out, err
}

// shiftGraces lets no grace run while nobody swept: the service's own downtime is nobody's absence. A grace that began
// in the gap starts anew.
func (t *tx) shiftGraces(o devices.SweepOrder) (time.Duration, error) {
	now := micros(o.Now)
	swept := now
	err := t.one(`SELECT swept_at FROM presence_sweep WHERE name = 'fleet'`, nil, &swept)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	if _, err := t.exec(`INSERT INTO presence_sweep (name, swept_at) VALUES ('fleet', $1)
		ON CONFLICT (name) DO UPDATE SET swept_at = excluded.swept_at`, now); err != nil {
		return 0, err
	}
	gap := time.Duration(now-swept) * time.Microsecond
	if gap <= o.Gap {
		return 0, nil
	}
	_, err = t.exec(`UPDATE device_link SET suspect_until_at = suspect_until_at
			+ CASE WHEN since_at > $2 AND since_at < $1 THEN CAST($1 AS BIGINT) - since_at WHEN since_at >= $1 THEN 0 ELSE CAST($1 AS BIGINT) - CAST($2 AS BIGINT) END
		WHERE state = 'suspect'`, now, swept)
	return gap, err
}

// loseNodes marks links of nodes whose lease ended long ago. The sweeper's own node is alive.
func (t *tx) loseNodes(o devices.SweepOrder) (int, error) {
	type node struct {
		name string
		inc  int64
	}
	var lost []node
	err := t.all(`SELECT name, epoch FROM lease WHERE name >= 'node/' AND name < 'node0' AND expires_at < $1`,
		[]any{micros(o.Now.Add(-o.LostNode))}, func(r rows) error {
			var n node
			err := r.Scan(&n.name, &n.inc)
			n.name = strings.TrimPrefix(n.name, "node/")
			lost = append(lost, n)
			return err
		})
	if err != nil {
		return 0, err
	}
	total := 0
	for _, n := range lost {
		if n.name == o.Node.Name || total >= o.Limit {
			continue
		}
		list, err := t.fences(`SELECT device_id, epoch, cause FROM device_link WHERE state = 'connected' AND node = $1 AND inc <= $2 LIMIT $3`,
			n.name, n.inc, o.Limit-total)
		if err != nil {
			return 0, err
		}
		marked, err := t.lose(list, micros(o.Now), micros(o.Now.Add(o.Grace)))
		if err != nil {
			return 0, err
		}
		total += int(marked)
	}
	return total, nil
}

// endGraces makes suspects offline whose grace is over and writes their events. since_at stays: they are off since the
// link was lost.
func (t *tx) endGraces(o devices.SweepOrder) ([]ident.DeviceID, error) {
	now := micros(o.Now)
	list, err := t.fences(`SELECT device_id, epoch, cause FROM device_link WHERE state = 'suspect' AND suspect_until_at <= $1
		ORDER BY suspect_until_at LIMIT $2`, now, o.Limit)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	vals, args := values("ti", 2, len(list), func(i int) []any { return []any{list[i].device, list[i].epoch} })
	off := make(map[ident.DeviceID]bool, len(list))
	err = t.all(`UPDATE device_link SET state = 'offline', suspect_until_at = 0
		FROM `+vals+` AS v
		WHERE device_link.device_id = v.column1 AND device_link.epoch = v.column2 AND device_link.state = 'suspect' AND device_link.suspect_until_at <= $1
		RETURNING device_link.device_id`, append([]any{now}, args...), func(r rows) error {
		var id ident.DeviceID
		err := r.Scan(&id)
		off[id] = true
		return err
	})
	if err != nil {
		return nil, err
	}
	var gone []ident.DeviceID
	for _, f := range list {
		if !off[f.device] {
			continue
		}
		gone = append(gone, f.device)
		err := t.event(audit.Event{
			Aggregate: "device", ID: string(f.device), Type: "device.offline", At: now,
			Data:  map[string]string{"epoch": strconv.FormatInt(f.epoch, 10), "cause": f.cause},
			Actor: mediation.Actor{Kind: mediation.ActorSystem, ID: devices.SweeperLease},
		})
		if err != nil {
			return nil, err
		}
	}
	return gone, nil
}
