package store

import (
	"context"
	"slices"
	"strconv"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/ident"
	"heyi/mediation"
)

var _ devices.HistoryStore = (*Store)(nil)

// nodeLost notes that links of a node were taken for lost: one row and one event for the node, not one a device.
func (t *tx) nodeLost(list []fenced, node, why string, now int64) error {
	byInc := map[int64]int64{}
	for _, f := range list {
		byInc[f.inc]++
	}
	for inc, n := range byInc {
		var links int64
		err := t.one(`INSERT INTO node_loss (node, inc, why, at, links) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (node, inc) DO UPDATE SET links = node_loss.links + excluded.links, settled_at = 0 RETURNING links`,
			[]any{node, inc, why, now, n}, &links)
		if err != nil {
			return err
		}
		if links > n {
			continue // a further part of a loss that is told already
		}
		err = t.event(nodeEvent(node, "node.lost", now, map[string]string{"inc": strconv.FormatInt(inc, 10), "why": why}))
		if err != nil {
			return err
		}
	}
	return nil
}

func nodeEvent(node, what string, at int64, data map[string]string) audit.Event {
	return audit.Event{
		Aggregate: "node", ID: node, Type: what, At: at, Data: data,
		Actor: mediation.Actor{Kind: mediation.ActorSystem, ID: devices.SweeperLease},
	}
}

// missing counts the devices of a lost node that have not come back: on their way, and off after their grace.
func missing(q querier, node string, inc int64) (moving, off int, err error) {
	err = q.one(`SELECT COALESCE(SUM(CASE WHEN state = 'suspect' THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN state = 'offline' THEN 1 ELSE 0 END), 0)
		FROM device_link WHERE node = $1 AND inc = $2 AND cause = 'node_lost'`, []any{node, inc}, &moving, &off)
	return moving, off, err
}

// settleNodes closes the losses of which no device is on its way any more.
func (t *tx) settleNodes(o devices.SweepOrder) error {
	open, err := losses(t, `settled_at = 0 ORDER BY at LIMIT $1`, o.Limit)
	if err != nil {
		return err
	}
	for _, l := range open {
		moving, off, err := missing(t, l.Node, l.Inc)
		if err != nil {
			return err
		}
		if moving > 0 {
			continue
		}
		now := micros(o.Now)
		if _, err := t.exec(`UPDATE node_loss SET settled_at = $3, off = $4 WHERE node = $1 AND inc = $2 AND settled_at = 0`, l.Node, l.Inc, now, off); err != nil {
			return err
		}
		err = t.event(nodeEvent(l.Node, "node.settled", now, map[string]string{
			"inc": strconv.FormatInt(l.Inc, 10), "links": strconv.Itoa(l.Links), "off": strconv.Itoa(off),
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

func losses(q querier, tail string, args ...any) ([]devices.NodeLoss, error) {
	var list []devices.NodeLoss
	err := q.all(`SELECT node, inc, why, at, links, settled_at, off FROM node_loss WHERE `+tail, args, func(r rows) error {
		var l devices.NodeLoss
		err := r.Scan(&l.Node, &l.Inc, &l.Why, &l.At, &l.Links, &l.SettledAt, &l.Off)
		list = append(list, l)
		return err
	})
	return list, err
}

// NodeLosses implements devices.HistoryStore.
func (s *Store) NodeLosses(ctx context.Context, since int64, limit int) ([]devices.NodeLoss, error) {
	q := s.read(ctx)
	list, err := losses(q, `at >= $1 OR settled_at = 0 ORDER BY at DESC LIMIT $2`, since, limit)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if l := &list[i]; l.SettledAt == 0 {
			if l.Moving, l.Off, err = missing(q, l.Node, l.Inc); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// NodeLinks implements devices.HistoryStore.
func (s *Store) NodeLinks(ctx context.Context) ([]devices.NodeLinks, error) {
	var list []devices.NodeLinks
	err := s.read(ctx).all(`SELECT lease.name, lease.epoch, lease.owner, lease.expires_at,
			(SELECT COUNT(*) FROM device_link WHERE device_link.state = 'connected' AND device_link.node = SUBSTR(lease.name, 6) AND device_link.inc = lease.epoch)
		FROM lease WHERE lease.name >= 'node/' AND lease.name < 'node0' ORDER BY lease.name`, nil, func(r rows) error {
		var (
			n     devices.NodeLinks
			owner string
		)
		err := r.Scan(&n.Node, &n.Inc, &owner, &n.LeaseEnd, &n.Links)
		n.Node = n.Node[len("node/"):]
		n.Released = owner == ""
		list = append(list, n)
		return err
	})
	return list, err
}

// DeviceLinks implements devices.HistoryStore.
func (s *Store) DeviceLinks(ctx context.Context, sc devices.Scope, ids []ident.DeviceID, since int64, limit int) ([]devices.LinkSpan, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	// From the ids to their rows, as in DevicesByID.
	list, args := values("t", 4, len(ids), func(i int) []any { return []any{ids[i]} })
	var spans []devices.LinkSpan
	err := s.read(ctx).all(`SELECT device_session.device_id, device_session.epoch, device_session.node, device_session.from_at, device_session.to_at,
			device_session.cause, device_session.bytes
		FROM `+list+` AS v CROSS JOIN device_link CROSS JOIN device_session
		WHERE device_link.device_id = v.column1 || '' AND device_session.device_id = v.column1 || ''
			AND device_session.to_at >= $2 AND NOT (device_session.epoch = device_link.epoch AND device_link.state = 'connected')
			AND EXISTS (SELECT 1 FROM org_closure WHERE org_closure.ancestor = $1 AND org_closure.node = device_link.unit_id || '')
		ORDER BY v.column1, device_session.epoch DESC LIMIT $3`, append([]any{sc.Unit, since, limit}, args...), func(r rows) error {
		var l devices.LinkSpan
		err := r.Scan(&l.Device, &l.Epoch, &l.Node, &l.From, &l.To, &l.Cause, &l.Bytes)
		spans = append(spans, l)
		return err
	})
	return spans, err
}

// DevicePast implements devices.HistoryStore.
func (s *Store) DevicePast(ctx context.Context, sc devices.Scope, id ident.DeviceID, day, month int64) (devices.Past, error) {
	var p devices.Past
	q := s.read(ctx)
	err := q.one(`SELECT COALESCE(SUM(CASE WHEN visit.opened_at >= $3 THEN 1 ELSE 0 END), 0), COUNT(*) FROM visit JOIN device ON device.id = visit.device_id
		WHERE visit.device_id = $2 AND visit.opened_at >= $4 AND device.unit_id IN (SELECT node FROM org_closure WHERE ancestor = $1)`,
		[]any{sc.Unit, id, day, month}, &p.VisitsToday, &p.VisitsMonth)
	if err != nil {
		return p, err
	}
	err = q.all(`SELECT claim.id, claim.state, claim.at FROM claim JOIN device ON device.id = claim.device_id
		WHERE claim.device_id = $2 AND device.unit_id IN (SELECT node FROM org_closure WHERE ancestor = $1) ORDER BY claim.at DESC LIMIT 10`,
		[]any{sc.Unit, id}, func(r rows) error {
			var c devices.Claim
			err := r.Scan(&c.ID, &c.State, &c.At)
			p.Claims = append(p.Claims, c)
			return err
		})
	return p, err
}

// ForgetLinks implements devices.HistoryStore.
func (s *Store) ForgetLinks(ctx context.Context, before int64, limit int) (n int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		n, err = t.exec(`DELETE FROM device_session WHERE (device_id, epoch) IN
			(SELECT device_id, epoch FROM device_session WHERE to_at < $1 ORDER BY to_at LIMIT $2)`, before, limit)
		if err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM node_loss WHERE at < $1 AND settled_at > 0`, before)
		return err
	})
	return n, err
}

// LinksOf implements devices.HistoryStore.
func (s *Store) LinksOf(ctx context.Context, n devices.NodeID, after ident.DeviceID, limit int) ([]devices.Sighting, error) {
	var list []devices.Sighting
	err := s.read(ctx).all(`SELECT device_id, epoch, linked_at FROM device_link
		WHERE state = 'connected' AND node = $1 AND inc = $2 AND device_id > $3 ORDER BY device_id LIMIT $4`, []any{n.Name, n.Inc, after, limit}, func(r rows) error {
		var l devices.Sighting
		err := r.Scan(&l.Device, &l.Epoch, &l.At)
		list = append(list, l)
		return err
	})
	return list, err
}

// LinkedHere implements devices.HistoryStore.
func (s *Store) LinkedHere(ctx context.Context, n devices.NodeID, batch []devices.Sighting) ([]ident.DeviceID, error) {
	list, args := values("ti", 3, len(batch), func(i int) []any { return []any{batch[i].Device, batch[i].Epoch} })
	var ids []ident.DeviceID
	err := s.read(ctx).all(`SELECT device_link.device_id FROM `+list+` AS v JOIN device_link ON device_link.device_id = v.column1 || ''
		WHERE device_link.epoch = v.column2 + 0 AND device_link.node = $1 AND device_link.inc = $2 AND device_link.state = 'connected'`,
		append([]any{n.Name, n.Inc}, args...), func(r rows) error {
			var id ident.DeviceID
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		})
	return ids, err
}

// fade makes devices lost that have been offline for longer than their class may be.
func (t *tx) fade(o devices.SweepOrder) (int, error) {
	faded := 0
	for _, class := range []devices.Class{devices.Public, devices.Home, devices.Work, devices.Mobile} {
		before := micros(o.Now.Add(-devices.LostAfter(class)))
		list, err := t.fences(`SELECT device_id, epoch, inc, cause FROM device_link WHERE chip = 'offline' AND class = $1 AND since_at < $2
			ORDER BY since_at LIMIT $3`, class, before, o.Limit-faded)
		if err != nil {
			return faded, err
		}
		if len(list) == 0 {
			continue
		}
		vals, args := values("ti", 2, len(list), func(i int) []any { return []any{list[i].device, list[i].epoch} })
		ended, err := t.ended(slotOf(o.Node.Name), `UPDATE device_link SET prev_chip = device_link.chip, chip = 'lost'
			FROM `+vals+` AS v
			WHERE device_link.device_id = v.column1 || '' AND device_link.epoch = v.column2 + 0 AND device_link.chip = 'offline' AND device_link.since_at < $1
			`+returnEnded, append([]any{before}, args...))
		if err != nil {
			return faded, err
		}
		if faded += len(ended); faded >= o.Limit {
			break
		}
	}
	return faded, nil
}

// only keeps the fences whose devices are among those that a statement touched.
func only(list []fenced, touched []linkEnd) []fenced {
	return slices.DeleteFunc(slices.Clone(list), func(f fenced) bool {
		return !slices.ContainsFunc(touched, func(e linkEnd) bool { return e.device == f.device })
	})
}
