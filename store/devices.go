package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

var (
	_ devices.FleetStore = (*Store)(nil)
	_ devices.ClaimStore = (*Store)(nil)
)

const deviceColumns = `device.id, device.unit_id, device.serial, device.key_sha256, device.alg, device.key_store, device.kind, device.class,
	device.model, device.name, device.place, device.life, device.simulated, device.at`

func deviceDest(d *devices.Device) []any {
	return []any{
		&d.ID, &d.UnitID, &d.Serial, &d.KeySHA256, &d.Alg, &d.KeyStore, &d.Kind, &d.Class, &d.Model, &d.Name, &d.Place, &d.Life,
		&d.Simulated, &d.At,
	}
}

// rowColumns are a device with its presence and what it is used for now.
const rowColumns = deviceColumns + `, device_link.chip, device_link.tier, device_link.epoch, device_link.state, device_link.cause, device_link.since_at, device_link.seen_at,
	device_link.app_ver, device_link.engine,
	CASE WHEN EXISTS (SELECT 1 FROM ticket WHERE ticket.device_id = device.id AND ticket.state = 'serving') THEN 'in_session'
		WHEN EXISTS (SELECT 1 FROM ticket WHERE ticket.device_id = device.id AND ticket.state IN ('waiting', 'parked', 'offered', 'ringing', 'missed')) THEN 'waiting'
		ELSE 'idle' END,
	COALESCE((SELECT MAX(credential.exp_at) FROM credential WHERE credential.device_id = device.id AND credential.revoked_at = 0), 0)`

func scanRow(r rows) (devices.Row, error) {
	var d devices.Row
	err := r.Scan(append(deviceDest(&d.Device), &d.Chip, &d.Tier, &d.Epoch, &d.Presence, &d.Cause, &d.SinceAt, &d.SeenAt, &d.AppVer, &d.Engine, &d.Use, &d.CredExpAt)...)
	return d, err
}

// inScope is the join that every query about devices starts from: $1 is the root of the caller's subtree.
const inScope = ` FROM org_closure JOIN device ON device.unit_id = org_closure.node JOIN device_link ON device_link.device_id = device.id
	WHERE org_closure.ancestor = $1`

// errNoDevice is the answer to every device that is not there or not the caller's to see.
func errNoDevice() error { return fault.New(fault.NotFound, "device.not_found") }

// DeviceRow implements devices.FleetStore.
func (s *Store) DeviceRow(ctx context.Context, sc devices.Scope, id ident.DeviceID) (devices.Row, error) {
	var (
		row   devices.Row
		found bool
	)
	err := s.read(ctx).all(`SELECT `+rowColumns+inScope+` AND device.id = $2`, []any{sc.Unit, id}, func(r rows) (err error) {
		found = true
		row, err = scanRow(r)
		return err
	})
	if err == nil && !found {
		err = errNoDevice()
	}
	return row, err
}

// DeviceEvents implements devices.FleetStore.
func (s *Store) DeviceEvents(ctx context.Context, sc devices.Scope, id ident.DeviceID, limit int) ([]audit.Event, error) {
	if _, err := s.DeviceRow(ctx, sc, id); err != nil {
		return nil, err
	}
	var list []audit.Event
	err := s.read(ctx).all(`SELECT seq, type, data, actor_kind, actor_id, at FROM event WHERE aggregate = 'device' AND agg_id = $1
		ORDER BY seq DESC LIMIT $2`, []any{id, limit}, func(r rows) error {
		e := audit.Event{Aggregate: "device", ID: string(id)}
		var data string
		err := r.Scan(&e.Seq, &e.Type, &data, &e.Actor.Kind, &e.Actor.ID, &e.At)
		e.Data = audit.DecodeData(data)
		list = append(list, e)
		return err
	})
	return list, err
}

// DeviceEpoch returns where a device stands and the epoch of its newest link, for access tokens. ok is false when
// there is no such device or it is not admitted.
func (s *Store) DeviceEpoch(ctx context.Context, id ident.DeviceID) (unit ident.UnitID, epoch int64, ok bool, err error) {
	err = s.read(ctx).one(`SELECT unit_id, epoch FROM device_link WHERE device_id = $1 AND admit`, []any{id}, &unit, &epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, false, nil
	}
	return unit, epoch, err == nil, err
}

// ImportDevices implements devices.FleetStore.
func (s *Store) ImportDevices(ctx context.Context, sc devices.Scope, lines []devices.ImportLine, at int64) ([]devices.ImportResult, error) {
	var results []devices.ImportResult
	err := s.write(ctx, func(t *tx) error {
		results = make([]devices.ImportResult, 0, len(lines))
		for _, l := range lines {
			code, err := t.importDevice(sc, l, at)
			if err != nil {
				return err
			}
			res := devices.ImportResult{Line: l.Line, OK: code == "", Code: code}
			if res.OK {
				res.DeviceID = l.Device.ID
			}
			results = append(results, res)
		}
		return nil
	})
	return results, err
}

// importDevice adds one expected device and returns the code of what is wrong with it, "" when it was added.
func (t *tx) importDevice(sc devices.Scope, l devices.ImportLine, at int64) (string, error) {
	d := l.Device
	err := t.one(`SELECT org_unit.id FROM org_unit JOIN org_closure ON org_closure.node = org_unit.id AND org_closure.ancestor = $1
		WHERE org_unit.code = $2`, []any{sc.Unit, l.OrgCode}, &d.UnitID)
	if errors.Is(err, sql.ErrNoRows) {
		return "import.no_unit", nil
	}
	if err != nil {
		return "", err
	}
	added, err := t.insertDevice(d)
	if err != nil {
		return "", err
	}
	if !added {
		return "import.serial_taken", nil
	}
	if err := t.insertLink(d, at); err != nil {
		return "", err
	}
	return "", t.event(audit.Event{
		Aggregate: "device", ID: string(d.ID), Type: "device.imported", At: at, Actor: sc.Actor,
		Data: map[string]string{"unit": string(d.UnitID), "key_sha256": d.KeySHA256, "simulated": yesNo(d.Simulated)},
	})
}

// insertDevice adds a device; false when a device that is not retired has its serial.
func (t *tx) insertDevice(d devices.Device) (bool, error) {
	n, err := t.exec(`INSERT INTO device (id, unit_id, serial, key_sha256, alg, key_store, kind, class, model, name, place, life, simulated, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (serial) WHERE life <> 'retired' DO NOTHING`,
		d.ID, d.UnitID, d.Serial, d.KeySHA256, d.Alg, d.KeyStore, d.Kind, d.Class, d.Model, d.Name, d.Place, d.Life, d.Simulated, d.At)
	return n == 1, err
}

// insertLink makes the presence row and the streams of a new device.
func (t *tx) insertLink(d devices.Device, at int64) error {
	key := ""
	if d.Life == devices.Active {
		key = d.KeySHA256
	}
	at0 := cell{unit: d.UnitID, kind: d.Kind, class: d.Class, chip: chipAt(d, at, at)}
	_, err := t.exec(`INSERT INTO device_link (device_id, admit, key_sha256, unit_id, state, since_at, chip, prev_chip, kind, class, model, name_key, serial_key)
		VALUES ($1, $2, $3, $4, 'offline', $5, $6, $6, $7, $8, $9, $10, $11)`,
		d.ID, d.Life == devices.Active, key, d.UnitID, at, at0.chip, d.Kind, d.Class, d.Model, devices.Key(d.Name), devices.Key(d.Serial))
	if err != nil {
		return err
	}
	if err := t.count(0, tally{at0: 1}); err != nil {
		return err
	}
	return t.insertStream(d.ID)
}

// chipAt is the chip of a device without a link that is off since an instant.
func chipAt(d devices.Device, since, now int64) devices.Chip {
	return devices.ChipOf(d.Life, devices.Offline, d.Class, time.UnixMicro(since), time.UnixMicro(now))
}

// fenceLink raises the epoch of a device after its life, key, unit or name changed: the former link and its access token
// end, and no late write of it counts.
func (t *tx) fenceLink(d devices.Device, cause string, at int64) (epoch int64, err error) {
	var (
		was      int64
		from     cell
		state    devices.State
		node     string
		linkedAt int64
		since    int64
	)
	if err := t.one(`SELECT epoch, unit_id, kind, class, chip, state, node, linked_at, since_at FROM device_link WHERE device_id = $1`+t.forUpdate(),
		[]any{d.ID}, &was, &from.unit, &from.kind, &from.class, &from.chip, &state, &node, &linkedAt, &since); err != nil {
		return 0, err
	}
	if state != devices.Offline {
		since = at
	}
	to := cell{unit: d.UnitID, kind: d.Kind, class: d.Class, chip: chipAt(d, since, at)}
	n, err := t.exec(`UPDATE device_link SET epoch = epoch + 1, admit = $3, key_sha256 = $4, unit_id = $5, cause = $6, node = '',
			since_at = $7, state = 'offline', suspect_until_at = 0, prev_chip = chip, chip = $8, kind = $9, class = $10, model = $11, name_key = $12, serial_key = $13
		WHERE device_id = $1 AND epoch = $2`,
		d.ID, was, d.Life == devices.Active, d.KeySHA256, d.UnitID, cause, since, to.chip, d.Kind, d.Class, d.Model, devices.Key(d.Name), devices.Key(d.Serial))
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "device.changed")
	}
	if err != nil {
		return 0, err
	}
	if state == devices.Connected {
		if err := t.linksEnded([]linkEnd{{device: d.ID, epoch: was, node: node, from: linkedAt, to: at, cause: cause}}); err != nil {
			return 0, err
		}
	}
	moved := tally{}
	moved[from]--
	moved[to]++
	if err := t.count(0, moved); err != nil {
		return 0, err
	}
	why := d.Life
	if why == devices.Active { // another key took its place: whoever still holds the former one wipes it
		why = devices.Retired
	}
	return was + 1, t.kick(node, d.ID, was+1, why, at)
}

// SetLife implements devices.FleetStore.
func (s *Store) SetLife(ctx context.Context, c devices.LifeChange) (devices.Enrolled, error) {
	out := devices.Enrolled{ID: c.ID}
	err := s.write(ctx, func(t *tx) error {
		d, err := t.deviceInScope(c.Scope, c.ID)
		if err != nil {
			return err
		}
		first, answer, err := t.rememberAs(c.Scope.Actor, c.Key, "device."+string(c.To)+" "+string(c.ID), c.At)
		if err != nil {
			return err
		}
		if !first {
			out.Epoch, err = strconv.ParseInt(answer, 10, 64)
			return err
		}
		from := d.Life
		if !from.May(c.To) {
			return fault.New(fault.Conflict, "device.life")
		}
		d.Life = c.To
		if _, err := t.exec(`UPDATE device SET life = $2, life_reason = $3, version = version + 1 WHERE id = $1`, c.ID, c.To, c.Reason); err != nil {
			return err
		}
		if out.Epoch, err = t.fenceLink(d, string(c.To), c.At); err != nil {
			return err
		}
		if c.To == devices.Retired {
			if _, err := t.exec(`UPDATE credential SET revoked_at = $2 WHERE device_id = $1 AND revoked_at = 0`, c.ID, c.At); err != nil {
				return err
			}
		}
		if c.To != devices.Active {
			if err := t.dropCommands(c.ID, c.To == devices.Retired, c.Scope.Actor, c.At); err != nil {
				return err
			}
			if c.To == devices.Retired {
				if err := t.restartDown(c.ID, out.Epoch); err != nil {
					return err
				}
			}
			if _, err := t.closeVisit(c.ID, "", "device", c.Scope.Actor, c.At); err != nil {
				return err
			}
		}
		reason := sha256.Sum256([]byte(c.Reason))
		err = t.event(audit.Event{
			Aggregate: "device", ID: string(c.ID), Type: "device." + string(c.To), At: c.At, Actor: c.Scope.Actor,
			Data: map[string]string{
				"from": string(from), "to": string(c.To), "epoch": strconv.FormatInt(out.Epoch, 10), "reason_sha256": hex.EncodeToString(reason[:]),
			},
		})
		if err != nil {
			return err
		}
		return t.answerAs(c.Scope.Actor, c.Key, strconv.FormatInt(out.Epoch, 10))
	})
	return out, err
}

// deviceInScope reads a device of the subtree and keeps it from changing until this command has committed.
func (t *tx) deviceInScope(sc devices.Scope, id ident.DeviceID) (devices.Device, error) {
	var d devices.Device
	err := t.one(`SELECT `+deviceColumns+` FROM device WHERE device.id = $1
		AND EXISTS (SELECT 1 FROM org_closure WHERE org_closure.ancestor = $2 AND org_closure.node = device.unit_id)`+t.forUpdate(),
		[]any{id, sc.Unit}, deviceDest(&d)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoDevice()
	}
	return d, err
}

// rememberAs is remember for a command whose key may be missing: then the command is always done.
func (t *tx) rememberAs(a mediation.Actor, key, command string, at int64) (first bool, answer string, err error) {
	if key == "" {
		return true, "", nil
	}
	return t.remember(string(a.Kind)+"/"+a.ID, key, command, at)
}

func (t *tx) answerAs(a mediation.Actor, key, answer string) error {
	if key == "" {
		return nil
	}
	return t.answer(string(a.Kind)+"/"+a.ID, key, answer)
}
