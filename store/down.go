package store

import (
	"context"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/ident"
	"heyi/mediation"
)

// The down streams of terminals. A place is given when a command is issued; what a link is given is written down before it
// is given, under the epoch; a place goes when it is acked.

// downAt is where a device's down stream stands, under the epoch at which it was read.
type downAt struct {
	epoch             int64
	tail, acked, sent int64
}

// lockDown reads where a down stream stands and keeps it from moving until this command has committed.
func (t *tx) lockDown(device ident.DeviceID) (downAt, error) {
	var d downAt
	err := t.one(`SELECT epoch, down_tail, down_acked, down_sent FROM device_link WHERE device_id = $1`+t.forUpdate(), []any{device},
		&d.epoch, &d.tail, &d.acked, &d.sent)
	return d, err
}

// place gives the next place of a down stream to a frame about a command.
func (t *tx) place(device ident.DeviceID, d *downAt, kind string, id ident.CommandID) error {
	d.tail++
	if _, err := t.exec(`UPDATE device_link SET down_tail = $3 WHERE device_id = $1 AND epoch = $2`, device, d.epoch, d.tail); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO device_down (device_id, seq, kind, cmd_id) VALUES ($1, $2, $3, $4)`, device, d.tail, kind, id)
	return err
}

// fencedDown reads where the down streams of live links of a node stand and keeps them from moving; links whose epoch is
// over are not in the answer.
func (t *tx) fencedDown(n devices.NodeID, links []devices.LinkAt) (map[devices.LinkAt]downAt, error) {
	at := make(map[devices.LinkAt]downAt, len(links))
	vals, args := values("ti", 3, len(links), func(i int) []any { return []any{links[i].Device, links[i].Epoch} })
	args = append([]any{n.Name, n.Inc}, args...)
	err := t.all(`SELECT device_link.device_id, device_link.epoch, device_link.down_tail, device_link.down_acked, device_link.down_sent
		FROM `+vals+` AS v JOIN device_link ON device_link.device_id = v.column1
		WHERE device_link.epoch = v.column2 AND device_link.node = $1 AND device_link.inc = $2 AND device_link.admit
		ORDER BY device_link.device_id`+t.dialect.forUpdateOf("device_link"), args, func(r rows) error {
		var (
			l devices.LinkAt
			d downAt
		)
		err := r.Scan(&l.Device, &l.Epoch, &d.tail, &d.acked, &d.sent)
		d.epoch = l.Epoch
		at[l] = d
		return err
	})
	return at, err
}

// moveDown writes positions that moved, each under its epoch.
func (t *tx) moveDown(moved map[devices.LinkAt]downAt) error {
	if len(moved) == 0 {
		return nil
	}
	var links []devices.LinkAt
	for l := range moved {
		links = append(links, l)
	}
	vals, args := values("tiii", 1, len(links), func(i int) []any {
		d := moved[links[i]]
		return []any{links[i].Device, links[i].Epoch, d.acked, d.sent}
	})
	_, err := t.exec(`UPDATE device_link SET down_acked = v.column3, down_sent = v.column4 FROM `+vals+` AS v
		WHERE device_link.device_id = v.column1 AND device_link.epoch = v.column2`, args...)
	return err
}

// HandOver implements devices.CommandStore.
func (s *Store) HandOver(ctx context.Context, n devices.NodeID, at int64, pulls []devices.Pull) ([]devices.Pulled, error) {
	var out []devices.Pulled
	err := s.write(ctx, func(t *tx) error {
		out = make([]devices.Pulled, len(pulls))
		links := make([]devices.LinkAt, len(pulls))
		for i, p := range pulls {
			links[i] = p.LinkAt
		}
		stand, err := t.fencedDown(n, links)
		if err != nil {
			return err
		}
		frames, err := t.placesOf(pulls, stand)
		if err != nil {
			return err
		}
		moved := map[devices.LinkAt]downAt{}
		for i, p := range pulls {
			d, ok := stand[p.LinkAt]
			if !ok {
				out[i].Stale = true
				continue
			}
			for _, f := range frames[p.Device] {
				if len(out[i].Frames) == p.Most || f.seq <= p.After {
					continue
				}
				frame, err := t.frameAt(f, f.seq > d.sent, at)
				if err != nil {
					return err
				}
				out[i].Frames = append(out[i].Frames, frame)
				if f.seq > d.sent {
					d.sent = f.seq
					moved[p.LinkAt] = d
				}
			}
		}
		return t.moveDown(moved)
	})
	return out, err
}

// placed is what stands at one place of a down stream.
type placed struct {
	seq    int64
	kind   string
	id     ident.CommandID
	c      devices.Command
	exists bool
}

// placesOf reads the places that pulls may have, in order.
func (t *tx) placesOf(pulls []devices.Pull, stand map[devices.LinkAt]downAt) (map[ident.DeviceID][]placed, error) {
	var want []devices.Pull
	for _, p := range pulls {
		if d, ok := stand[p.LinkAt]; ok && d.tail > p.After && p.Most > 0 {
			want = append(want, p)
		}
	}
	if len(want) == 0 {
		return nil, nil
	}
	vals, args := values("tii", 1, len(want), func(i int) []any {
		return []any{want[i].Device, want[i].After, want[i].After + int64(want[i].Most)}
	})
	out := map[ident.DeviceID][]placed{}
	err := t.all(`SELECT device_down.device_id, device_down.seq, device_down.kind, device_down.cmd_id, COALESCE(device_command.name, ''),
			COALESCE(device_command.args, ''), COALESCE(device_command.when_busy, ''), COALESCE(device_command.not_after_at, 0), COALESCE(device_command.state, '')
		FROM `+vals+` AS v JOIN device_down ON device_down.device_id = v.column1 AND device_down.seq > v.column2 AND device_down.seq <= v.column3
			LEFT JOIN device_command ON device_command.id = device_down.cmd_id
		ORDER BY device_down.device_id, device_down.seq`, args, func(r rows) error {
		var (
			device ident.DeviceID
			f      placed
			body   string
		)
		err := r.Scan(&device, &f.seq, &f.kind, &f.id, &f.c.Name, &body, &f.c.WhenBusy, &f.c.NotAfterAt, &f.c.State)
		f.c.ID, f.c.Device, f.c.Args, f.exists = f.id, device, []byte(body), f.c.State != ""
		out[device] = append(out[device], f)
		return err
	})
	return out, err
}

// frameAt is the frame of one place. A command that ended before a link was given it is told as its cancel: places have
// no holes. One that is not fresh was given to a link before: whether it ran in its time says the terminal alone.
func (t *tx) frameAt(f placed, fresh bool, at int64) (devices.DownFrame, error) {
	out := devices.DownFrame{Seq: f.seq}
	why := string(devices.CmdCancelled)
	switch {
	case f.kind == "cancel":
	case !f.exists:
		why = string(devices.CmdExpired)
	case f.c.State.Final():
		why = string(f.c.State)
	case fresh && f.c.NotAfterAt <= at:
		why = string(devices.CmdExpired)
		if err := t.expire(f.c, at); err != nil {
			return out, err
		}
	default:
		body := f.c.Body()
		out.Cmd = &body
		return out, nil
	}
	out.Cancel = &wire.CmdCancelBody{CmdID: string(f.id), Why: why}
	return out, nil
}

// expire ends a command that no link was given in its time.
func (t *tx) expire(c devices.Command, at int64) error {
	n, err := t.exec(`UPDATE device_command SET state = 'expired', finished_at = $2 WHERE id = $1 AND state = 'queued'`, c.ID, at)
	if err != nil || n == 0 {
		return err
	}
	return t.commandEvent(c.Device, c.ID, string(devices.CmdExpired), mediation.Actor{Kind: mediation.ActorSystem, ID: devices.SweeperLease}, at, nil)
}

// AckDown implements devices.CommandStore.
func (s *Store) AckDown(ctx context.Context, n devices.NodeID, at int64, acks []devices.DownAck) ([]devices.LinkAt, error) {
	var stale []devices.LinkAt
	err := s.write(ctx, func(t *tx) error {
		stale = nil
		links := make([]devices.LinkAt, len(acks))
		for i, a := range acks {
			links[i] = a.LinkAt
		}
		stand, err := t.fencedDown(n, links)
		if err != nil {
			return err
		}
		moved := map[devices.LinkAt]downAt{}
		var to []forgetful
		for _, a := range acks {
			d, ok := stand[a.LinkAt]
			if !ok {
				stale = append(stale, a.LinkAt)
				continue
			}
			if a.Seq <= d.acked || a.Seq > d.sent {
				continue
			}
			d.acked = a.Seq
			stand[a.LinkAt], moved[a.LinkAt] = d, d
			to = append(to, forgetful{a.Device, a.Seq})
		}
		if err := t.moveDown(moved); err != nil {
			return err
		}
		return t.delivered(to, at)
	})
	return stale, err
}

// delivered notes that devices have everything up to a place.
func (t *tx) delivered(to []forgetful, at int64) error {
	if len(to) == 0 {
		return nil
	}
	vals, args := values("ti", 2, len(to), func(i int) []any { return []any{to[i].device, to[i].to} })
	if _, err := t.exec(`UPDATE device_command SET state = 'delivered', delivered_at = $1 FROM `+vals+` AS v
		WHERE device_command.device_id = v.column1 AND device_command.seq <= v.column2 AND device_command.finished_at = 0 AND device_command.state = 'queued'`,
		append([]any{at}, args...)...); err != nil {
		return err
	}
	vals, args = values("ti", 1, len(to), func(i int) []any { return []any{to[i].device, to[i].to} })
	_, err := t.exec(`DELETE FROM device_down WHERE (device_id, seq) IN (SELECT d.device_id, d.seq
		FROM `+vals+` AS v JOIN device_down AS d ON d.device_id = v.column1 AND d.seq <= v.column2)`, args...)
	return err
}

// WaitingDown implements devices.CommandStore.
func (s *Store) WaitingDown(ctx context.Context, n devices.NodeID) ([]devices.Waiting, error) {
	var list []devices.Waiting
	err := s.read(ctx).all(`SELECT device_id, epoch, down_tail FROM device_link
		WHERE state = 'connected' AND down_tail > down_acked AND node = $1 AND inc = $2`, []any{n.Name, n.Inc}, func(r rows) error {
		var w devices.Waiting
		err := r.Scan(&w.Device, &w.Epoch, &w.Tail)
		list = append(list, w)
		return err
	})
	return list, err
}

// downMove is a device that just connected and whose down stream does not stand where it stood, or has something to come.
type downMove struct {
	device ident.DeviceID
	epoch  int64
	stored devices.StreamsAt
	res    *devices.Resumption
	at     int64
}

// resumeDown writes down what connects said about down streams and moves res on to the first place that is worth
// sending. The caller holds the rows of device_link.
func (t *tx) resumeDown(list []downMove) error {
	if len(list) == 0 {
		return nil
	}
	at := list[0].at
	to := make([]forgetful, len(list))
	for i, m := range list {
		to[i] = forgetful{m.device, m.res.DownAcked}
		if m.res.Forgot {
			by := mediation.Actor{Kind: mediation.ActorDevice, ID: string(m.device), Device: m.device}
			if err := t.forget(forgetful{m.device, m.stored.DownSent}, by, m.at); err != nil {
				return err
			}
		}
		if err := t.tellEnds(m); err != nil {
			return err
		}
	}
	if err := t.skipEmpty(list); err != nil {
		return err
	}
	moved := map[devices.LinkAt]downAt{}
	for _, m := range list {
		moved[devices.LinkAt{Device: m.device, Epoch: m.epoch}] = downAt{acked: m.res.DownAcked, sent: m.res.DownSent}
	}
	if err := t.moveDown(moved); err != nil {
		return err
	}
	if err := t.delivered(to, at); err != nil {
		return err
	}
	for i, m := range list {
		to[i].to = m.res.DownAcked // with the empty places behind
	}
	return t.delivered(to, at)
}

// tellEnds sends the cancel of commands that ended here while their terminal had them after all: it took them just before its line
// broke, and its word about its place came only now.
func (t *tx) tellEnds(m downMove) error {
	if m.res.DownAcked <= m.stored.DownAcked || !m.res.Resumed {
		return nil
	}
	var ids []ident.CommandID
	err := t.all(`SELECT device_down.cmd_id FROM device_down JOIN device_command ON device_command.id = device_down.cmd_id
		WHERE device_down.device_id = $1 AND device_down.seq > $2 AND device_down.seq <= $3 AND device_down.kind = 'cmd' AND device_command.finished_at > 0
			AND device_command.delivered_at = 0 ORDER BY device_down.seq`, []any{m.device, m.stored.DownAcked, m.res.DownAcked}, func(r rows) error {
		var id ident.CommandID
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	d := downAt{epoch: m.epoch, tail: m.res.DownTail}
	for _, id := range ids {
		if err := t.place(m.device, &d, "cancel", id); err != nil {
			return err
		}
	}
	m.res.DownTail = d.tail
	return err
}

// skipEmpty moves the places of devices behind commands that ended before they were sent.
func (t *tx) skipEmpty(list []downMove) error {
	vals, args := values("ti", 1, len(list), func(i int) []any { return []any{list[i].device, list[i].res.DownAcked} })
	next := map[ident.DeviceID]int64{}
	err := t.all(`SELECT device_down.device_id, MIN(device_down.seq)
		FROM `+vals+` AS v JOIN device_down ON device_down.device_id = v.column1 AND device_down.seq > v.column2
			JOIN device_command ON device_command.id = device_down.cmd_id
		WHERE device_down.kind = 'cancel' OR device_command.finished_at = 0 GROUP BY device_down.device_id`, args, func(r rows) error {
		var (
			id  ident.DeviceID
			seq int64
		)
		err := r.Scan(&id, &seq)
		next[id] = seq
		return err
	})
	for _, m := range list {
		first, ok := next[m.device]
		if !ok {
			first = m.res.DownTail + 1
		}
		m.res.DownAcked = max(m.res.DownAcked, first-1)
		m.res.DownSent = max(m.res.DownSent, m.res.DownAcked)
	}
	return err
}
