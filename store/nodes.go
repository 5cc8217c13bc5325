package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"heyi/devices"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation/partylink"
	"heyi/mediation/queue"
)

// nodeLease is the lease by which a process holds its name.
const nodeLease = "node/"

// StartNode gives a starting process its name: the lease node/<name> under the next epoch, which is the incarnation,
// and everything else that an earlier process of the name held, each for the length it was last held with. holder
// names the data folder, whose lock the caller has.
//
// Errors: fault.Conflict "node.name_taken" while a process on another folder holds the name; RetryAfter says when its
// lease would end.
func (s *Store) StartNode(ctx context.Context, name, holder string, ttl time.Duration, now time.Time) (incarnation int64, others []Lease, err error) {
	own := nodeLease + name
	err = s.write(ctx, func(t *tx) error {
		others = nil
		err := t.one(`INSERT INTO lease (name, owner, epoch, ttl, expires_at, holder) VALUES ($1, $2, 1, $3, $4, $5)
			ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = lease.epoch + 1, ttl = excluded.ttl, expires_at = excluded.expires_at, holder = excluded.holder
			WHERE lease.expires_at < $6 OR lease.holder = excluded.holder OR lease.holder = '' RETURNING epoch`,
			[]any{own, name, ttl.Microseconds(), micros(now.Add(ttl)), holder, micros(now)}, &incarnation)
		if errors.Is(err, sql.ErrNoRows) {
			var until int64
			if err := t.one(`SELECT expires_at FROM lease WHERE name = $1`, []any{own}, &until); err != nil {
				return err
			}
			return fault.New(fault.Conflict, "node.name_taken").After(time.UnixMicro(until).Sub(now))
		}
		if err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM link_kick WHERE node = $1`, name); err != nil { // the links are gone with the process
			return err
		}
		return t.all(`UPDATE lease SET epoch = epoch + 1, expires_at = $1 + ttl WHERE owner = $2 AND name <> $3 RETURNING name, owner, epoch, expires_at`,
			[]any{micros(now), name, own}, func(r rows) error {
				var l Lease
				err := r.Scan(&l.Name, &l.Owner, &l.Epoch, &l.ExpiresAt)
				others = append(others, l)
				return err
			})
	})
	slices.SortFunc(others, func(a, b Lease) int { return cmp.Compare(a.Name, b.Name) })
	return incarnation, others, err
}

// Neighbours counts the other nodes that live.
func (s *Store) Neighbours(ctx context.Context, name string, now time.Time) (n int, err error) {
	err = s.read(ctx).one(`SELECT count(*) FROM lease WHERE name >= 'node/' AND name < 'node0' AND name <> $1 AND expires_at >= $2`,
		[]any{nodeLease + name, micros(now)}, &n)
	return n, err
}

// kick leaves word for the node that held a link which is over.
func (t *tx) kick(node string, d ident.DeviceID, epoch int64, why devices.Life, at int64) error {
	if node == "" {
		return nil
	}
	_, err := t.exec(`INSERT INTO link_kick (node, device_id, epoch, why, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (node, device_id) DO UPDATE SET epoch = excluded.epoch, why = excluded.why, at = excluded.at`, node, d, epoch, why, at)
	return err
}

// moved leaves word for other living nodes whose devices connected here.
func (t *tx) moved(n devices.NodeID, in map[ident.DeviceID]devices.Admission, at int64) error {
	type link struct {
		device ident.DeviceID
		devices.Admission
	}
	var list []link
	for id, a := range in {
		if a.PrevNode != "" && a.PrevNode != n.Name {
			list = append(list, link{id, a})
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b link) int { return cmp.Compare(a.device, b.device) }) // two nodes lock rows in one order
	vals, args := values("tti", 2, len(list), func(i int) []any { return []any{list[i].PrevNode, list[i].device, list[i].Epoch} })
	_, err := t.exec(`INSERT INTO link_kick (node, device_id, epoch, why, at)
		SELECT v.column1, v.column2, v.column3, '', CAST($1 AS BIGINT) FROM `+vals+` AS v JOIN lease ON lease.name = 'node/' || v.column1 WHERE lease.expires_at >= $1
		ON CONFLICT (node, device_id) DO UPDATE SET epoch = excluded.epoch, why = excluded.why, at = excluded.at`, append([]any{at}, args...)...)
	return err
}

// TakeKicks returns, and removes, what ended of a node's links elsewhere. A process that dies with them in hand has
// lost the links too.
func (s *Store) TakeKicks(ctx context.Context, node string) ([]devices.Kick, error) {
	there := false // most looks find nothing: they write nothing
	err := s.read(ctx).one(`SELECT EXISTS (SELECT 1 FROM link_kick WHERE node = $1)`, []any{node}, &there)
	if err != nil || !there {
		return nil, err
	}
	var list []devices.Kick
	err = s.write(ctx, func(t *tx) error {
		list = nil
		return t.all(`DELETE FROM link_kick WHERE node = $1 RETURNING device_id, epoch, why`, []any{node}, func(r rows) error {
			var k devices.Kick
			err := r.Scan(&k.Device, &k.Below, &k.Life)
			list = append(list, k)
			return err
		})
	})
	return list, err
}

// WaitingAt lists the devices of a node for which a visit or ticket is open.
func (s *Store) WaitingAt(ctx context.Context, n devices.NodeID) ([]ident.DeviceID, error) {
	var list []ident.DeviceID
	err := s.read(ctx).all(`SELECT device_link.device_id FROM device_link WHERE device_link.node = $1 AND device_link.inc = $2 AND device_link.device_id IN (
			SELECT ticket.device_id FROM ticket WHERE ticket.state IN `+openStates+` UNION SELECT visit.device_id FROM visit WHERE visit.closed_at = 0)`,
		[]any{n.Name, n.Inc}, func(r rows) error {
			var id ident.DeviceID
			err := r.Scan(&id)
			list = append(list, id)
			return err
		})
	return list, err
}

// Standing are the sign-ins, phones and parties' links among those asked for that are still good.
type Standing struct {
	Logins map[ident.LoginID]bool
	Grants map[ident.GrantID]bool
	Links  map[ident.LinkID]bool
}

// standingBatch bounds one query of Standing.
const standingBatch = 500

// Standing says which of them still stand, by the same rules as LoginByID, CaptureByID and LinkByID.
func (s *Store) Standing(ctx context.Context, logins []ident.LoginID, grants []ident.GrantID, links []ident.LinkID, now int64) (Standing, error) {
	out := Standing{Logins: map[ident.LoginID]bool{}, Grants: map[ident.GrantID]bool{}, Links: map[ident.LinkID]bool{}}
	q := s.read(ctx)
	for chunk := range slices.Chunk(logins, standingBatch) {
		vals, args := values("t", 2, len(chunk), func(i int) []any { return []any{chunk[i]} })
		err := q.all(`SELECT login_session.id FROM login_session JOIN staff ON staff.id = login_session.staff_id JOIN `+vals+` AS v ON v.column1 = login_session.id
			WHERE login_session.revoked_at = 0 AND login_session.expires_at > $1 AND NOT staff.disabled`, append([]any{now}, args...), found(out.Logins))
		if err != nil {
			return out, err
		}
	}
	for chunk := range slices.Chunk(grants, standingBatch) {
		vals, args := values("t", 1, len(chunk), func(i int) []any { return []any{chunk[i]} })
		err := q.all(`SELECT id FROM capture_grant WHERE id IN (SELECT v.column1 FROM `+vals+` AS v)`+liveCapture, args, found(out.Grants))
		if err != nil {
			return out, err
		}
	}
	for chunk := range slices.Chunk(links, standingBatch) {
		vals, args := values("t", 1, len(chunk), func(i int) []any { return []any{chunk[i]} })
		err := q.all(`SELECT `+linkColumns+` FROM party_link WHERE redeemed_at > 0 AND id IN (SELECT v.column1 FROM `+vals+` AS v)`, args, func(r rows) error {
			var l partylink.Link
			err := r.Scan(linkDest(&l)...)
			out.Links[l.ID] = l.Alive(now)
			return err
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// found scans one id into a set.
func found[K ~string](set map[K]bool) func(rows) error {
	return func(r rows) error {
		var id K
		err := r.Scan(&id)
		set[id] = true
		return err
	}
}

// SeatLinks implements queue.Store.
func (s *Store) SeatLinks(ctx context.Context) ([]queue.SeatLink, error) {
	var list []queue.SeatLink
	err := s.read(ctx).all(`SELECT seat.staff_id, seat.link_node, coalesce(lease.expires_at, 0) FROM seat
		LEFT JOIN lease ON seat.link_node <> '' AND lease.name = 'node/' || seat.link_node ORDER BY seat.staff_id`, nil, func(r rows) error {
		var l queue.SeatLink
		err := r.Scan(&l.Staff, &l.Node, &l.NodeUntil)
		list = append(list, l)
		return err
	})
	return list, err
}
