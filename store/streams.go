package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"heyi/devices"
	"heyi/internal/ident"
)

var _ devices.StreamStore = (*Store)(nil)

// insertStream makes the streams of a new device.
func (t *tx) insertStream(id ident.DeviceID) error {
	_, err := t.exec(`INSERT INTO device_stream (device_id, down_stream) VALUES ($1, $2) ON CONFLICT (device_id) DO NOTHING`, id, ident.New[string]())
	return err
}

// restartDown gives a device that enrolled again another, empty down stream: its memory of the former one went with its
// key. A retired one's is only emptied by it. The caller has ended what was in it.
func (t *tx) restartDown(id ident.DeviceID, epoch int64) error {
	if err := t.insertStream(id); err != nil { // one that enrolled before streams were
		return err
	}
	if _, err := t.exec(`UPDATE device_stream SET down_stream = $2 WHERE device_id = $1`, id, ident.New[string]()); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM device_down WHERE device_id = $1`, id); err != nil {
		return err
	}
	// positions go on: a number is never used for two commands of a device
	_, err := t.exec(`UPDATE device_link SET down_acked = down_tail, down_sent = down_tail WHERE device_id = $1 AND epoch = $2`, id, epoch)
	return err
}

// resume answers what devices that were just let in say about their streams; down is where their down streams stand. The
// caller has raised their epochs in this transaction and so holds their rows in device_link.
func (t *tx) resume(batch []devices.LinkUp, in map[ident.DeviceID]devices.Admission, down map[ident.DeviceID]devices.StreamsAt) error {
	var asked []devices.LinkUp
	for _, u := range batch {
		if _, ok := in[u.Device]; ok && u.Resume != nil {
			asked = append(asked, u)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	known := make(map[ident.DeviceID]devices.StreamsAt, len(asked))
	vals, args := values("t", 1, len(asked), func(i int) []any { return []any{asked[i].Device} })
	err := t.all(`SELECT device_stream.device_id, device_stream.down_stream, device_stream.up_stream,
			device_stream.up_acked, COALESCE(device_inventory.hash, '')
		FROM `+vals+` AS v JOIN device_stream ON device_stream.device_id = v.column1 || ''
			LEFT JOIN device_inventory ON device_inventory.device_id = v.column1 || ''`, args, func(r rows) error {
		var (
			id ident.DeviceID
			p  devices.StreamsAt
		)
		err := r.Scan(&id, &p.Down, &p.Up, &p.UpAcked, &p.Inventory)
		p.DownTail, p.DownAcked, p.DownSent = down[id].DownTail, down[id].DownAcked, down[id].DownSent
		known[id] = p
		return err
	})
	if err != nil {
		return err
	}
	var (
		moved  []devices.LinkUp
		places []downMove
		lost   []reported
	)
	for _, u := range asked {
		stored, ok := known[u.Device]
		fresh := ""
		if !ok || u.Resume.DownSeq > stored.DownSent {
			fresh = ident.New[string]()
		}
		res, write, report := devices.PlanResume(stored, ok, *u.Resume, fresh)
		a := in[u.Device]
		a.Streams = &res
		in[u.Device] = a
		if write {
			moved = append(moved, u)
		}
		if res.DownAcked != stored.DownAcked || res.DownSent != stored.DownSent || res.DownTail > res.DownAcked || res.Forgot {
			places = append(places, downMove{device: u.Device, epoch: a.Epoch, stored: stored, res: &res, at: u.At})
		}
		if report != "" {
			lost = append(lost, reported{u.Device, devices.Report{Kind: report, Data: []byte("{}"), At: u.At}})
		}
	}
	if err := t.moveStreams(moved, in); err != nil {
		return err
	}
	if err := t.resumeDown(places); err != nil {
		return err
	}
	return t.addReports(lost, 0)
}

// moveStreams writes the positions of devices whose streams begin anew.
func (t *tx) moveStreams(moved []devices.LinkUp, in map[ident.DeviceID]devices.Admission) error {
	if len(moved) == 0 {
		return nil
	}
	vals, args := values("ttti", 1, len(moved), func(i int) []any {
		p := in[moved[i].Device].Streams.StreamsAt
		return []any{moved[i].Device, p.Down, p.Up, p.UpAcked}
	})
	_, err := t.exec(`INSERT INTO device_stream (device_id, down_stream, up_stream, up_acked)
		SELECT v.column1, v.column2, v.column3, v.column4 FROM `+vals+` AS v WHERE v.column1 <> ''
		ON CONFLICT (device_id) DO UPDATE SET down_stream = excluded.down_stream, up_stream = excluded.up_stream, up_acked = excluded.up_acked`, args...)
	return err
}

// upPos is where one device's stream stands in a batch of frames.
type upPos struct {
	stream string
	acked  int64
	moved  bool
}

// AppendUp implements devices.StreamStore.
func (s *Store) AppendUp(ctx context.Context, o devices.UpOrder) ([]devices.UpResult, error) {
	var out []devices.UpResult
	err := s.write(ctx, func(t *tx) error {
		out = make([]devices.UpResult, len(o.Frames))
		at, err := t.upPositions(o)
		if err != nil {
			return err
		}
		var (
			list     []reported
			statuses []devices.UpFrame
			state    = map[ident.DeviceID]*devices.Inventory{}
		)
		for i, f := range o.Frames {
			out[i] = at[linkOf{f.Device, f.Epoch}].take(f)
			switch {
			case out[i] != devices.UpStored:
			case f.Report != nil:
				list = append(list, reported{f.Device, *f.Report})
			case f.Inventory != nil:
				state[f.Device] = f.Inventory // the newest of the batch
			case f.Status != nil:
				statuses = append(statuses, f)
			case f.Upload != nil:
				if err := t.completeFile(f.Device, *f.Upload, f.Upload.At); err != nil {
					return err
				}
			}
		}
		if err := t.ackUp(at); err != nil {
			return err
		}
		if err := t.tellStatuses(statuses); err != nil {
			return err
		}
		if err := t.putInventories(state); err != nil {
			return err
		}
		return t.addReports(list, o.Kept)
	})
	return out, err
}

// linkOf names a link: two links of one device may meet in one batch.
type linkOf struct {
	device ident.DeviceID
	epoch  int64
}

// upPositions reads where the streams of a batch stand and holds the fence: links whose epoch is over have no position,
// and no newer link comes in until this command has committed.
func (t *tx) upPositions(o devices.UpOrder) (map[linkOf]*upPos, error) {
	at := map[linkOf]*upPos{}
	for _, f := range o.Frames {
		at[linkOf{f.Device, f.Epoch}] = nil
	}
	links := slices.Collect(maps.Keys(at))
	vals, args := values("ti", 3, len(links), func(i int) []any { return []any{links[i].device, links[i].epoch} })
	args = append([]any{o.Node.Name, o.Node.Inc}, args...)
	err := t.all(`SELECT device_link.device_id, device_link.epoch, device_stream.up_stream, device_stream.up_acked
		FROM `+vals+` AS v JOIN device_link ON device_link.device_id = v.column1 || '' JOIN device_stream ON device_stream.device_id = v.column1 || ''
		WHERE device_link.epoch = v.column2 + 0 AND device_link.node = $1 AND device_link.inc = $2 AND device_link.admit
		ORDER BY device_link.device_id`+t.dialect.forShareOf("device_link"), args, func(r rows) error {
		var (
			l linkOf
			p upPos
		)
		err := r.Scan(&l.device, &l.epoch, &p.stream, &p.acked)
		at[l] = &p
		return err
	})
	return at, err
}

// take judges one frame and moves the position on.
func (p *upPos) take(f devices.UpFrame) devices.UpResult {
	switch {
	case p == nil:
		return devices.UpSuperseded
	case p.stream == "": // the terminal's first frame
		p.stream = f.Stream
	case p.stream != f.Stream:
		return devices.UpBroken
	}
	switch {
	case f.Seq <= p.acked:
		return devices.UpRepeated
	case f.Seq != p.acked+1:
		return devices.UpBroken
	}
	p.acked, p.moved = f.Seq, true
	return devices.UpStored
}

// ackUp writes the positions that moved.
func (t *tx) ackUp(at map[linkOf]*upPos) error {
	var moved []linkOf
	for l, p := range at {
		if p != nil && p.moved {
			moved = append(moved, l)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	vals, args := values("tti", 1, len(moved), func(i int) []any {
		p := at[moved[i]]
		return []any{moved[i].device, p.stream, p.acked}
	})
	_, err := t.exec(`UPDATE device_stream SET up_stream = v.column2, up_acked = v.column3 FROM `+vals+` AS v WHERE device_stream.device_id = v.column1 || ''`, args...)
	return err
}

// putInventories replaces the inventories of devices.
func (t *tx) putInventories(state map[ident.DeviceID]*devices.Inventory) error {
	if len(state) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(state))
	vals, args := values("ttti", 1, len(ids), func(i int) []any {
		v := state[ids[i]]
		return []any{ids[i], v.Hash, string(v.Document), v.At}
	})
	_, err := t.exec(`INSERT INTO device_inventory (device_id, hash, document, at)
		SELECT v.column1, v.column2, v.column3, v.column4 FROM `+vals+` AS v WHERE v.column1 <> ''
		ON CONFLICT (device_id) DO UPDATE SET hash = excluded.hash, document = excluded.document, at = excluded.at`, args...)
	return err
}

// reported is a report and the device it is of.
type reported struct {
	device ident.DeviceID
	devices.Report
}

// addReports numbers reports, adds them and removes those beyond the newest kept of each device; 0 removes none.
func (t *tx) addReports(list []reported, kept int) error {
	if len(list) == 0 {
		return nil
	}
	count := map[ident.DeviceID]int64{}
	for _, r := range list {
		count[r.device]++
	}
	ids := slices.Sorted(maps.Keys(count))
	vals, args := values("ti", 1, len(ids), func(i int) []any { return []any{ids[i], count[ids[i]]} })
	newest := make(map[ident.DeviceID]int64, len(ids))
	err := t.all(`UPDATE device_stream SET reports = reports + v.column2 FROM `+vals+` AS v WHERE device_stream.device_id = v.column1 || ''
		RETURNING device_stream.device_id, device_stream.reports`, args, func(r rows) error {
		var (
			id ident.DeviceID
			n  int64
		)
		err := r.Scan(&id, &n)
		newest[id] = n
		return err
	})
	if err != nil {
		return err
	}
	next := make(map[ident.DeviceID]int64, len(ids))
	for id, n := range newest {
		next[id] = n - count[id]
	}
	vals, args = values("tittii", 1, len(list), func(i int) []any {
		r := list[i]
		next[r.device]++
		return []any{r.device, next[r.device], r.Kind, string(r.Data), r.DeviceAt, r.At}
	})
	if _, err := t.exec(`INSERT INTO device_event (device_id, id, kind, data, device_at, at)
		SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column6 FROM `+vals+` AS v WHERE v.column1 <> ''`, args...); err != nil {
		return err
	}
	return t.forgetReports(newest, kept)
}

// forgetReports removes the reports beyond the newest kept of each device.
func (t *tx) forgetReports(newest map[ident.DeviceID]int64, kept int) error {
	var full []ident.DeviceID
	for id, n := range newest {
		if kept > 0 && n > int64(kept) {
			full = append(full, id)
		}
	}
	if len(full) == 0 {
		return nil
	}
	vals, args := values("ti", 1, len(full), func(i int) []any { return []any{full[i], newest[full[i]] - int64(kept)} })
	_, err := t.exec(`DELETE FROM device_event WHERE (device_id, id) IN (SELECT e.device_id, e.id
		FROM `+vals+` AS v JOIN device_event AS e ON e.device_id = v.column1 || '' AND e.id <= v.column2)`, args...)
	return err
}

// DeviceTimeline implements devices.StreamStore.
func (s *Store) DeviceTimeline(ctx context.Context, sc devices.Scope, id ident.DeviceID, limit int) (*devices.Inventory, []devices.Report, error) {
	if _, err := s.DeviceRow(ctx, sc, id); err != nil {
		return nil, nil, err
	}
	q := s.read(ctx)
	var (
		inv  devices.Inventory
		doc  string
		list []devices.Report
	)
	what := &inv
	err := q.one(`SELECT hash, document, at FROM device_inventory WHERE device_id = $1`, []any{id}, &inv.Hash, &doc, &inv.At)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		what = nil
	case err != nil:
		return nil, nil, err
	}
	inv.Document = []byte(doc)
	err = q.all(`SELECT id, kind, data, device_at, at FROM device_event WHERE device_id = $1 ORDER BY id DESC LIMIT $2`, []any{id, limit}, func(r rows) error {
		var (
			e    devices.Report
			data string
		)
		err := r.Scan(&e.ID, &e.Kind, &data, &e.DeviceAt, &e.At)
		e.Data = []byte(data)
		list = append(list, e)
		return err
	})
	return what, list, err
}
