package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// Commands to terminals (down.go has the streams that carry them). Rows are locked in the order device, device_link,
// device_command. A command behind down_sent no terminal can have, so it may end here; of any other only the terminal's
// word is an end.

var _ devices.CommandStore = (*Store)(nil)

func errNoCommand() error { return fault.New(fault.NotFound, "command.not_found") }

const commandColumns = `device_command.id, device_command.device_id, device_command.seq, device_command.name, device_command.args, device_command.when_busy,
	device_command.not_after_at, device_command.state, device_command.waiting, device_command.pct, device_command.code, device_command.detail,
	device_command.by_kind, device_command.by_id, device_command.queued_at, device_command.delivered_at, device_command.accepted_at,
	device_command.finished_at, device_command.done_at, device_command.cancel_at`

func commandDest(c *devices.Command, args *string) []any {
	return []any{
		&c.ID, &c.Device, &c.Seq, &c.Name, args, &c.WhenBusy, &c.NotAfterAt, &c.State, &c.Waiting, &c.Pct, &c.Code, &c.Detail,
		&c.By.Kind, &c.By.ID, &c.QueuedAt, &c.DeliveredAt, &c.AcceptedAt, &c.FinishedAt, &c.DoneAt, &c.CancelAt,
	}
}

// shownCommand is a command as people see it: with who gave it, whether its terminal may have it, and its file.
const shownCommand = `SELECT ` + commandColumns + `, CASE WHEN device_command.seq <= device_link.down_sent THEN 1 ELSE 0 END, COALESCE(staff.name, ''),
		COALESCE(device_file.id, ''), COALESCE(device_file.kind, ''), COALESCE(device_file.media_type, ''), COALESCE(device_file.size, 0),
		COALESCE(device_file.sha256, ''), COALESCE(device_file.at, 0)
	FROM device_command JOIN device_link ON device_link.device_id = device_command.device_id
		LEFT JOIN staff ON device_command.by_kind = 'staff' AND staff.id = device_command.by_id
		LEFT JOIN device_file ON device_file.cmd_id = device_command.id AND device_file.complete_at > 0`

func scanShown(r rows) (devices.Command, error) {
	var (
		c    devices.Command
		f    devices.File
		args string
		sent int
	)
	err := r.Scan(append(commandDest(&c, &args), &sent, &c.ByName, &f.ID, &f.Kind, &f.MediaType, &f.Size, &f.SHA256, &f.At)...)
	c.Args, c.Sent = []byte(args), sent == 1
	if f.ID != "" {
		f.Command, f.Device = c.ID, c.Device
		c.File = &f
	}
	return c, err
}

// shown reads one command of a device.
func shown(q querier, device ident.DeviceID, id ident.CommandID) (devices.Command, error) {
	var (
		c     devices.Command
		found bool
	)
	err := q.all(shownCommand+` WHERE device_command.id = $1 AND device_command.device_id = $2`, []any{id, device}, func(r rows) (err error) {
		found = true
		c, err = scanShown(r)
		return err
	})
	if err == nil && !found {
		err = errNoCommand()
	}
	return c, err
}

// commandEvent writes what happened to a command into the log of its device: ids, names and codes, no argument.
func (t *tx) commandEvent(device ident.DeviceID, id ident.CommandID, what string, by mediation.Actor, at int64, data map[string]string) error {
	if data == nil {
		data = map[string]string{}
	}
	data["command"] = string(id)
	return t.event(audit.Event{Aggregate: "device", ID: string(device), Type: "command." + what, At: at, Actor: by, Data: data})
}

// IssueCommand implements devices.CommandStore.
func (s *Store) IssueCommand(ctx context.Context, c devices.Command, o devices.Order, open int) (devices.Command, error) {
	var out devices.Command
	err := s.write(ctx, func(t *tx) error {
		d, err := t.deviceInScope(o.Scope, c.Device)
		if err != nil {
			return err
		}
		first, answer, err := t.rememberAs(c.By, o.Key, "command.issue "+c.Name+" "+string(c.Device), c.QueuedAt)
		if err != nil {
			return err
		}
		if !first {
			out, err = shown(t, c.Device, ident.CommandID(answer))
			return err
		}
		if d.Life != devices.Active {
			return fault.New(fault.Precondition, "device.not_active")
		}
		if c.WhenBusy == devices.BusyReject {
			if err := t.notServing(c.Device); err != nil {
				return err
			}
		}
		at, err := t.lockDown(c.Device)
		if err != nil {
			return err
		}
		var n int
		if err := t.one(`SELECT COUNT(*) FROM device_command WHERE device_id = $1 AND finished_at = 0`, []any{c.Device}, &n); err != nil {
			return err
		}
		if n >= open {
			return fault.New(fault.TooMany, "command.too_many")
		}
		if err := t.supersede(c, at); err != nil {
			return err
		}
		if err := t.place(c.Device, &at, "cmd", c.ID); err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO device_command (id, device_id, seq, name, args, when_busy, not_after_at, state, by_kind, by_id, queued_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			c.ID, c.Device, at.tail, c.Name, string(c.Args), c.WhenBusy, c.NotAfterAt, c.State, c.By.Kind, c.By.ID, c.QueuedAt); err != nil {
			return err
		}
		args := sha256.Sum256(c.Args)
		if err := t.commandEvent(c.Device, c.ID, "issued", c.By, c.QueuedAt, map[string]string{
			"name": c.Name, "args_sha256": hex.EncodeToString(args[:]), "not_after_at": strconv.FormatInt(c.NotAfterAt, 10), "when_busy": string(c.WhenBusy),
		}); err != nil {
			return err
		}
		if out, err = shown(t, c.Device, c.ID); err != nil {
			return err
		}
		return t.answerAs(c.By, o.Key, string(c.ID))
	})
	return out, err
}

// notServing refuses while somebody waits, visits or talks at a device. The device judges it again when it begins.
func (t *tx) notServing(device ident.DeviceID) error {
	var one int
	err := t.one(`SELECT 1 FROM device WHERE id = $1 AND (
			EXISTS (SELECT 1 FROM visit WHERE visit.device_id = device.id AND visit.closed_at = 0)
			OR EXISTS (SELECT 1 FROM ticket WHERE ticket.device_id = device.id AND ticket.state IN `+openStates+`)
			OR EXISTS (SELECT 1 FROM session WHERE session.device_id = device.id AND session.state IN ('lobby', 'checking', 'joint', 'suspended')))`,
		[]any{device}, &one)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fault.New(fault.Serving, "device.serving")
}

// supersede ends the waiting commands of a name of which the newest counts; what a link was given the device supersedes.
func (t *tx) supersede(c devices.Command, at downAt) error {
	if k, _ := devices.CommandKindOf(c.Name); !k.Coalesce {
		return nil
	}
	return t.endUnsent(c.Device, at.sent, c.Name, devices.CmdSuperseded, c.By, c.QueuedAt)
}

// endUnsent ends the commands of a device that no link was ever given; name "" is every name.
func (t *tx) endUnsent(device ident.DeviceID, sent int64, name string, end devices.CommandState, by mediation.Actor, at int64) error {
	var ended []ident.CommandID
	err := t.all(`UPDATE device_command SET state = $4, finished_at = $5 WHERE device_id = $1 AND seq > $2 AND finished_at = 0 AND ($3 = '' OR name = $3)
		RETURNING id`, []any{device, sent, name, end, at}, func(r rows) error {
		var id ident.CommandID
		err := r.Scan(&id)
		ended = append(ended, id)
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(ended)
	for _, id := range ended {
		if err := t.commandEvent(device, id, string(end), by, at, nil); err != nil {
			return err
		}
	}
	return nil
}

// CancelCommand implements devices.CommandStore.
func (s *Store) CancelCommand(ctx context.Context, sc devices.Scope, device ident.DeviceID, id ident.CommandID, key string, at int64) (devices.Command, error) {
	var out devices.Command
	err := s.write(ctx, func(t *tx) error {
		if _, err := t.deviceInScope(sc, device); err != nil {
			return err
		}
		if _, _, err := t.rememberAs(sc.Actor, key, "command.cancel "+string(id), at); err != nil {
			return err
		}
		d, err := t.lockDown(device)
		if err != nil {
			return err
		}
		if out, err = shown(t, device, id); err != nil || out.State.Final() || out.CancelAt > 0 {
			return err // over, or asked already
		}
		if err := t.takeBack(out, &d, sc.Actor, at); err != nil {
			return err
		}
		out, err = shown(t, device, id)
		return err
	})
	return out, err
}

// takeBack cancels a command that is not finished: at once, or by a frame when its terminal may have it.
func (t *tx) takeBack(c devices.Command, d *downAt, by mediation.Actor, at int64) error {
	if c.Seq > d.sent {
		if _, err := t.exec(`UPDATE device_command SET state = 'cancelled', finished_at = $2, cancel_at = $2 WHERE id = $1 AND finished_at = 0`, c.ID, at); err != nil {
			return err
		}
		return t.commandEvent(c.Device, c.ID, "cancelled", by, at, nil)
	}
	if err := t.place(c.Device, d, "cancel", c.ID); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE device_command SET cancel_at = $2 WHERE id = $1 AND finished_at = 0`, c.ID, at); err != nil {
		return err
	}
	return t.commandEvent(c.Device, c.ID, "cancel_asked", by, at, nil)
}

// dropCommands takes back everything that a device has not finished, because it leaves service, changes its key or moves.
// lost: it will never answer, so what it may have done nobody knows.
func (t *tx) dropCommands(device ident.DeviceID, lost bool, by mediation.Actor, at int64) error {
	d, err := t.lockDown(device)
	if err != nil {
		return err
	}
	var open []devices.Command
	err = t.all(`SELECT `+commandColumns+` FROM device_command WHERE device_id = $1 AND finished_at = 0 AND cancel_at = 0 ORDER BY seq`, []any{device}, func(r rows) error {
		var (
			c    devices.Command
			args string
		)
		err := r.Scan(commandDest(&c, &args)...)
		open = append(open, c)
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range open {
		if c.Seq > d.sent || !lost {
			if err := t.takeBack(c, &d, by, at); err != nil {
				return err
			}
		}
	}
	if !lost {
		return nil
	}
	return t.forget(forgetful{device, d.sent}, by, at)
}

// forgetful is a device that will not tell about what it was given up to a place.
type forgetful struct {
	device ident.DeviceID
	to     int64
}

// forget ends what a device will never tell about.
func (t *tx) forget(f forgetful, by mediation.Actor, at int64) error {
	var ended []ident.CommandID
	err := t.all(`UPDATE device_command SET state = 'unknown', waiting = '', code = 'device.forgot', finished_at = $3
		WHERE device_id = $1 AND seq <= $2 AND finished_at = 0 RETURNING id`, []any{f.device, f.to, at}, func(r rows) error {
		var id ident.CommandID
		err := r.Scan(&id)
		ended = append(ended, id)
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(ended)
	for _, id := range ended {
		if err := t.commandEvent(f.device, id, string(devices.CmdUnknown), by, at, nil); err != nil {
			return err
		}
	}
	return nil
}

// Commands implements devices.CommandStore.
func (s *Store) Commands(ctx context.Context, sc devices.Scope, device ident.DeviceID, after ident.CommandID, limit int) ([]devices.Command, error) {
	if _, err := s.DeviceRow(ctx, sc, device); err != nil {
		return nil, err
	}
	var list []devices.Command
	err := s.read(ctx).all(shownCommand+` WHERE device_command.device_id = $1 AND ($2 = '' OR device_command.id < $2) ORDER BY device_command.id DESC LIMIT $3`,
		[]any{device, after, limit}, func(r rows) error {
			c, err := scanShown(r)
			list = append(list, c)
			return err
		})
	return list, err
}

// tellStatuses takes what devices say about their commands, in order.
func (t *tx) tellStatuses(list []devices.UpFrame) error {
	if len(list) == 0 {
		return nil
	}
	known, err := t.commandsOf(list)
	if err != nil {
		return err
	}
	var changed []ident.CommandID
	for _, f := range list {
		c, ok := known[f.Status.Command]
		if !ok || c.Device != f.Device {
			continue // forgotten meanwhile, or never its own
		}
		next, did := c.Told(*f.Status)
		if !did {
			continue
		}
		known[c.ID] = next
		if !slices.Contains(changed, c.ID) {
			changed = append(changed, c.ID)
		}
		if next.State.Final() {
			by := mediation.Actor{Kind: mediation.ActorDevice, ID: string(c.Device), Device: c.Device}
			if err := t.commandEvent(c.Device, c.ID, string(next.State), by, f.Status.At, map[string]string{"code": next.Code}); err != nil {
				return err
			}
		}
	}
	for _, id := range changed {
		c := known[id]
		if _, err := t.exec(`UPDATE device_command SET state = $2, waiting = $3, pct = $4, code = $5, detail = $6, delivered_at = $7, accepted_at = $8,
				finished_at = $9, done_at = $10 WHERE id = $1`,
			c.ID, c.State, c.Waiting, c.Pct, c.Code, c.Detail, c.DeliveredAt, c.AcceptedAt, c.FinishedAt, c.DoneAt); err != nil {
			return err
		}
	}
	return nil
}

// commandsOf reads the commands that statuses name and keeps them from changing.
func (t *tx) commandsOf(list []devices.UpFrame) (map[ident.CommandID]devices.Command, error) {
	vals, args := values("t", 1, len(list), func(i int) []any { return []any{list[i].Status.Command} })
	known := map[ident.CommandID]devices.Command{}
	err := t.all(`SELECT `+commandColumns+` FROM device_command WHERE device_command.id IN (SELECT v.column1 FROM `+vals+` AS v)
		ORDER BY device_command.id`+t.forUpdate(), args, func(r rows) error {
		var (
			c    devices.Command
			body string
		)
		err := r.Scan(commandDest(&c, &body)...)
		known[c.ID] = c
		return err
	})
	return known, err
}

// completeFile takes a device's word that a file for one of its commands is complete.
func (t *tx) completeFile(device ident.DeviceID, f devices.File, at int64) error {
	_, err := t.exec(`UPDATE device_file SET complete_at = $6 WHERE cmd_id = $1 AND id = $2 AND device_id = $3 AND sha256 = $4 AND size = $5 AND complete_at = 0`,
		f.Command, f.ID, device, f.SHA256, f.Size, at)
	return err
}

// PutFile implements devices.CommandStore.
func (s *Store) PutFile(ctx context.Context, f devices.File) (devices.File, error) {
	body, err := s.seal(f.Body)
	if err != nil {
		return f, err
	}
	err = s.write(ctx, func(t *tx) error {
		var (
			c    devices.Command
			args string
		)
		err := t.one(`SELECT `+commandColumns+` FROM device_command WHERE device_command.id = $1 AND device_command.device_id = $2`+t.forUpdate(),
			[]any{f.Command, f.Device}, commandDest(&c, &args)...)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoCommand()
		}
		if err != nil {
			return err
		}
		if f, err = f.For(c); err != nil {
			return err
		}
		n, err := t.exec(`INSERT INTO device_file (cmd_id, id, device_id, kind, media_type, size, sha256, body_enc, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (cmd_id) DO UPDATE SET id = excluded.id, media_type = excluded.media_type, size = excluded.size, sha256 = excluded.sha256,
				body_enc = excluded.body_enc, at = excluded.at WHERE device_file.complete_at = 0`,
			f.Command, f.ID, f.Device, f.Kind, f.MediaType, f.Size, f.SHA256, body, f.At)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "command.over")
		}
		return err
	})
	return f, err
}

// CommandFile implements devices.CommandStore.
func (s *Store) CommandFile(ctx context.Context, sc devices.Scope, device ident.DeviceID, id ident.CommandID, at int64) (devices.File, error) {
	var (
		f      devices.File
		sealed []byte
	)
	err := s.write(ctx, func(t *tx) error {
		if _, err := t.deviceInScope(sc, device); err != nil {
			return err
		}
		c, err := shown(t, device, id)
		if err != nil {
			return err
		}
		if c.File == nil {
			return fault.New(fault.NotFound, "command.no_file")
		}
		f = *c.File
		if err := t.one(`SELECT body_enc FROM device_file WHERE cmd_id = $1`, []any{id}, &sealed); err != nil {
			return err
		}
		return t.commandEvent(device, id, "file_seen", sc.Actor, at, map[string]string{"file": string(f.ID), "sha256": f.SHA256})
	})
	if err != nil {
		return f, err
	}
	f.Body, err = s.open(sealed)
	return f, err
}

// SweepCommands implements devices.CommandStore.
func (s *Store) SweepCommands(ctx context.Context, o devices.SweepCommands) (int, error) {
	var touched int
	err := s.write(ctx, func(t *tx) error {
		touched = 0
		var late []devices.Command
		err := t.all(`SELECT device_command.id, device_command.device_id FROM device_command JOIN device_link ON device_link.device_id = device_command.device_id
			WHERE device_command.finished_at = 0 AND device_command.not_after_at <= $1 AND device_command.state = 'queued' AND device_command.seq > device_link.down_sent
			ORDER BY device_command.device_id LIMIT $2`+t.dialect.forShareOf("device_link"), []any{o.Now, o.Limit}, func(r rows) error {
			var c devices.Command
			err := r.Scan(&c.ID, &c.Device)
			late = append(late, c)
			return err
		})
		if err != nil {
			return err
		}
		for _, c := range late {
			if err := t.expire(c, o.Now); err != nil {
				return err
			}
		}
		silent, err := t.silent(o)
		if err != nil {
			return err
		}
		files, err := t.exec(`DELETE FROM device_file WHERE cmd_id IN (SELECT cmd_id FROM device_file WHERE at < $1 LIMIT $2)`, o.FilesTo, o.Limit)
		if err != nil {
			return err
		}
		old, err := t.exec(`DELETE FROM device_command WHERE id IN (SELECT id FROM device_command WHERE finished_at > 0 AND finished_at < $1
			AND NOT EXISTS (SELECT 1 FROM device_file WHERE device_file.cmd_id = device_command.id) LIMIT $2)`, o.Kept, o.Limit)
		touched = max(len(late), silent, int(files), int(old))
		return err
	})
	return touched, err
}

// silent ends what a terminal never told about.
func (t *tx) silent(o devices.SweepCommands) (int, error) {
	var list []devices.Command
	err := t.all(`UPDATE device_command SET state = 'unknown', waiting = '', code = 'device.silent', finished_at = $2
		WHERE finished_at = 0 AND id IN (SELECT id FROM device_command WHERE finished_at = 0 AND not_after_at <= $1 LIMIT $3) RETURNING id, device_id`,
		[]any{o.Silent, o.Now, o.Limit}, func(r rows) error {
			var c devices.Command
			err := r.Scan(&c.ID, &c.Device)
			list = append(list, c)
			return err
		})
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		by := mediation.Actor{Kind: mediation.ActorSystem, ID: devices.SweeperLease}
		if err := t.commandEvent(c.Device, c.ID, string(devices.CmdUnknown), by, o.Now, nil); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}
