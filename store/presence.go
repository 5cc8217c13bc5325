package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
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
//
// A statement compares the columns of such a list only with an empty text or a zero added: SQLite then has no column of
// the list to build an index on, and goes from the list to its rows. From 256 rows on it would read the whole table instead
// (TestBatchesFollowTheirIDs).
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
	list, args := values("tttttti", 3, len(batch), func(i int) []any {
		u := batch[i]
		return []any{u.Device, u.KeySHA256, u.BootID, u.AppVer, u.Engine, devices.TierOf(u.Engine), u.At}
	})
	args = append([]any{n.Name, n.Inc}, args...)
	query := `UPDATE device_link SET epoch = device_link.epoch + 1, prev_node = device_link.node, node = $1, inc = $2, cause = '',
			since_at = CASE WHEN device_link.state = 'connected' THEN device_link.since_at ELSE v.column7 END,
			prev_chip = device_link.chip, chip = 'online', prev_at = device_link.linked_at, linked_at = v.column7,
			state = 'connected', suspect_until_at = 0, seen_at = v.column7, boot_id = v.column3, app_ver = v.column4, engine = v.column5, tier = v.column6
		FROM ` + list + ` AS v
		WHERE device_link.device_id = v.column1 || '' AND device_link.key_sha256 = v.column2 || '' AND device_link.admit
		RETURNING device_link.device_id, device_link.epoch, device_link.unit_id, device_link.kind, device_link.class,
			device_link.prev_node, device_link.prev_chip, device_link.prev_at, device_link.linked_at,
			device_link.down_tail, device_link.down_acked, device_link.down_sent`
	var in map[ident.DeviceID]devices.Admission
	err := s.write(ctx, func(t *tx) error {
		in = make(map[ident.DeviceID]devices.Admission, len(batch))
		down := make(map[ident.DeviceID]devices.StreamsAt, len(batch))
		moved := tally{}
		var over []linkEnd
		err := t.all(query, args, func(r rows) error {
			var (
				id       ident.DeviceID
				a        devices.Admission
				d        devices.StreamsAt
				to       = cell{chip: devices.ChipOnline}
				was      devices.Chip
				from, at int64
			)
			err := r.Scan(&id, &a.Epoch, &a.Unit, &to.kind, &to.class, &a.PrevNode, &was, &from, &at, &d.DownTail, &d.DownAcked, &d.DownSent)
			to.unit = a.Unit
			in[id], down[id] = a, d
			moved.moved(to, was)
			if was == devices.ChipOnline { // its former link had not ended
				over = append(over, linkEnd{device: id, epoch: a.Epoch - 1, node: a.PrevNode, from: from, to: at, cause: "superseded"})
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := t.linksEnded(over); err != nil {
			return err
		}
		if err := t.count(slotOf(n.Name), moved); err != nil {
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
	query := `UPDATE device_link SET state = 'suspect', prev_chip = device_link.chip, chip = 'suspect', cause = v.column3, since_at = v.column4, suspect_until_at = v.column5
		FROM ` + list + ` AS v
		WHERE device_link.device_id = v.column1 || '' AND device_link.epoch = v.column2 + 0 AND device_link.node = $1 AND device_link.inc = $2
			AND (device_link.state = 'connected' OR device_link.state = 'suspect' AND device_link.cause = 'node_lost')
		` + returnEnded
	bytes := make(map[ident.DeviceID]int64, len(batch))
	for _, f := range batch {
		bytes[f.Device] = f.Bytes
	}
	err = s.write(ctx, func(t *tx) error {
		ended, err := t.ended(slotOf(n.Name), query, args)
		for i := range ended {
			ended[i].bytes = bytes[ended[i].device]
		}
		dropped = int64(len(ended))
		if err != nil {
			return err
		}
		return t.linksEnded(ended)
	})
	return dropped, err
}

// SeeLinks implements devices.PresenceStore. Links that a sweeper took for lost while this node was paused are
// connected again.
func (s *Store) SeeLinks(ctx context.Context, n devices.NodeID, batch []devices.Sighting) (stale []ident.DeviceID, err error) {
	list, args := values("tii", 3, len(batch), func(i int) []any { return []any{batch[i].Device, batch[i].Epoch, batch[i].At} })
	args = append([]any{n.Name, n.Inc}, args...)
	query := `UPDATE device_link SET seen_at = v.column3,
			state = CASE WHEN device_link.state = 'suspect' AND device_link.cause = 'node_lost' THEN 'connected' ELSE device_link.state END,
			prev_chip = device_link.chip,
			chip = CASE WHEN device_link.state = 'suspect' AND device_link.cause = 'node_lost' THEN 'online' ELSE device_link.chip END,
			since_at = CASE WHEN device_link.state = 'suspect' AND device_link.cause = 'node_lost' THEN device_link.linked_at ELSE device_link.since_at END,
			cause = CASE WHEN device_link.state = 'suspect' AND device_link.cause = 'node_lost' THEN '' ELSE device_link.cause END
		FROM ` + list + ` AS v
		WHERE device_link.device_id = v.column1 || '' AND device_link.epoch = v.column2 + 0 AND device_link.node = $1 AND device_link.inc = $2
		RETURNING device_link.device_id, device_link.unit_id, device_link.kind, device_link.class, device_link.prev_chip, device_link.chip`
	err = s.write(ctx, func(t *tx) error {
		mine, moved := make(map[ident.DeviceID]bool, len(batch)), tally{}
		err := t.all(query, args, func(r rows) error {
			var (
				id  ident.DeviceID
				to  cell
				was devices.Chip
			)
			err := r.Scan(&id, &to.unit, &to.kind, &to.class, &was, &to.chip)
			mine[id] = true
			moved.moved(to, was)
			return err
		})
		if err != nil {
			return err
		}
		stale = nil
		for _, b := range batch {
			if !mine[b.Device] {
				stale = append(stale, b.Device)
			}
		}
		return t.count(slotOf(n.Name), moved)
	})
	return stale, err
}

// fenced is one row and the epoch under which it was read.
type fenced struct {
	device ident.DeviceID
	epoch  int64
	inc    int64 // incarnation of the node that holds the link
	cause  string
}

// fences reads rows that a sweep is going to judge.
func (t *tx) fences(query string, args ...any) ([]fenced, error) {
	var list []fenced
	err := t.all(query, args, func(r rows) error {
		var f fenced
		err := r.Scan(&f.device, &f.epoch, &f.inc, &f.cause)
		list = append(list, f)
		return err
	})
	return list, err
}

// linkEnd is one row of the history of links.
type linkEnd struct {
	device   ident.DeviceID
	epoch    int64
	node     string
	from, to int64
	cause    string
	bytes    int64
}

// returnEnded ends a statement that takes links away; ended reads its rows.
const returnEnded = `RETURNING device_link.device_id, device_link.epoch, device_link.node, device_link.linked_at, device_link.since_at, device_link.cause,
	device_link.unit_id, device_link.kind, device_link.class, device_link.prev_chip, device_link.chip`

// ended runs such a statement and counts the chips that it changed.
func (t *tx) ended(slot int, query string, args []any) ([]linkEnd, error) {
	var list []linkEnd
	moved := tally{}
	err := t.all(query, args, func(r rows) error {
		var (
			e   linkEnd
			to  cell
			was devices.Chip
		)
		err := r.Scan(&e.device, &e.epoch, &e.node, &e.from, &e.to, &e.cause, &to.unit, &to.kind, &to.class, &was, &to.chip)
		list = append(list, e)
		moved.moved(to, was)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, t.count(slot, moved)
}

// linksEnded writes the history. A link that was taken for lost and lived on ends again, at its real end.
func (t *tx) linksEnded(list []linkEnd) error {
	for chunk := range slices.Chunk(list, devices.ConnectBatch) {
		vals, args := values("titiiti", 1, len(chunk), func(i int) []any {
			e := chunk[i]
			return []any{e.device, e.epoch, e.node, e.from, e.to, e.cause, e.bytes}
		})
		_, err := t.exec(`INSERT INTO device_session (device_id, epoch, node, from_at, to_at, cause, bytes)
			SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7 FROM `+vals+` AS v WHERE v.column1 <> ''
			ON CONFLICT (device_id, epoch) DO UPDATE SET to_at = excluded.to_at, cause = excluded.cause, bytes = excluded.bytes`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// lose marks connected links suspect because their node is gone.
// by is the node that says so. It returns those that it marked.
func (t *tx) lose(by string, list []fenced, now, until int64) ([]fenced, error) {
	if len(list) == 0 {
		return nil, nil
	}
	vals, args := values("ti", 3, len(list), func(i int) []any { return []any{list[i].device, list[i].epoch} })
	ended, err := t.ended(slotOf(by), `UPDATE device_link SET state = 'suspect', prev_chip = device_link.chip, chip = 'suspect', cause = 'node_lost', since_at = $1, suspect_until_at = $2
		FROM `+vals+` AS v
		WHERE device_link.device_id = v.column1 || '' AND device_link.epoch = v.column2 + 0 AND device_link.state = 'connected'
		`+returnEnded, append([]any{now, until}, args...))
	if err != nil {
		return nil, err
	}
	return only(list, ended), t.linksEnded(ended)
}

// Restarted implements devices.PresenceStore.
func (s *Store) Restarted(ctx context.Context, n devices.NodeID, now, until int64, limit int) (lost int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		list, err := t.fences(`SELECT device_id, epoch, inc, cause FROM device_link WHERE state = 'connected' AND node = $1 AND inc < $2 LIMIT $3`,
			n.Name, n.Inc, limit)
		if err != nil {
			return err
		}
		marked, err := t.lose(n.Name, list, now, until)
		if err != nil {
			return err
		}
		lost = int64(len(marked))
		return t.nodeLost(marked, n.Name, "restarted", now)
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
		if out.Offline, err = t.endGraces(o); err != nil {
			return err
		}
		if out.Faded, err = t.fade(o); err != nil {
			return err
		}
		return t.settleNodes(o)
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
		list, err := t.fences(`SELECT device_id, epoch, inc, cause FROM device_link WHERE state = 'connected' AND node = $1 AND inc <= $2 LIMIT $3`,
			n.name, n.inc, o.Limit-total)
		if err != nil {
			return 0, err
		}
		marked, err := t.lose(o.Node.Name, list, micros(o.Now), micros(o.Now.Add(o.Grace)))
		if err != nil {
			return 0, err
		}
		if err := t.nodeLost(marked, n.name, "lost", micros(o.Now)); err != nil {
			return 0, err
		}
		total += len(marked)
	}
	return total, nil
}

// endGraces makes suspects offline whose grace is over and writes their events. since_at stays: they are off since the
// link was lost.
func (t *tx) endGraces(o devices.SweepOrder) ([]ident.DeviceID, error) {
	now := micros(o.Now)
	list, err := t.fences(`SELECT device_id, epoch, inc, cause FROM device_link WHERE state = 'suspect' AND suspect_until_at <= $1
		ORDER BY suspect_until_at LIMIT $2`, now, o.Limit)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	vals, args := values("ti", 2, len(list), func(i int) []any { return []any{list[i].device, list[i].epoch} })
	ended, err := t.ended(slotOf(o.Node.Name), `UPDATE device_link SET state = 'offline', prev_chip = device_link.chip, chip = 'offline', suspect_until_at = 0
		FROM `+vals+` AS v
		WHERE device_link.device_id = v.column1 || '' AND device_link.epoch = v.column2 + 0 AND device_link.state = 'suspect' AND device_link.suspect_until_at <= $1
		`+returnEnded, append([]any{now}, args...))
	if err != nil {
		return nil, err
	}
	off := make(map[ident.DeviceID]linkEnd, len(list))
	for _, e := range ended {
		off[e.device] = e
	}
	var gone []ident.DeviceID
	for _, f := range list {
		e, ok := off[f.device]
		if !ok {
			continue
		}
		gone = append(gone, f.device)
		err := t.event(audit.Event{
			Aggregate: "device", ID: string(f.device), Type: "device.offline", At: now,
			Data:  map[string]string{"epoch": strconv.FormatInt(f.epoch, 10), "cause": f.cause, "since": strconv.FormatInt(e.to, 10)},
			Actor: mediation.Actor{Kind: mediation.ActorSystem, ID: devices.SweeperLease},
		})
		if err != nil {
			return nil, err
		}
	}
	return gone, nil
}
