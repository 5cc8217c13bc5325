package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// claimKept is how long a claim that nobody answered stays after its end, in microseconds: its terminal hears
// "expired" rather than "unknown".
const claimKept = 24 * 3600 * 1_000_000

const claimColumns = `claim.id, claim.code, claim.secret_hash, claim.pub, claim.alg, claim.key_store, claim.serial, claim.model, claim.kind,
	claim.state, claim.device_id, claim.at, claim.expires_at`

func claimDest(c *devices.Claim) []any {
	return []any{
		&c.ID, &c.Code, &c.SecretHash, &c.Pub, &c.Alg, &c.KeyStore, &c.Serial, &c.Model, &c.Kind, &c.State, &c.DeviceID, &c.At, &c.ExpiresAt,
	}
}

// InsertClaim implements devices.ClaimStore.
func (s *Store) InsertClaim(ctx context.Context, c devices.Claim) error {
	return s.write(ctx, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM claim WHERE state = 'waiting' AND at < $1`, c.At-claimKept); err != nil {
			return err
		}
		return t.insertClaim(c)
	})
}

func (t *tx) insertClaim(c devices.Claim) error {
	_, err := t.exec(`INSERT INTO claim (id, code, secret_hash, pub, alg, key_store, serial, model, kind, state, device_id, at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		c.ID, c.Code, c.SecretHash, c.Pub, c.Alg, c.KeyStore, c.Serial, c.Model, c.Kind, c.State, c.DeviceID, c.At, c.ExpiresAt)
	if err != nil {
		return err
	}
	return t.event(audit.Event{
		Aggregate: "claim", ID: string(c.ID), Type: "claim.made", At: c.At, Actor: mediation.Actor{Kind: mediation.ActorSystem, ID: "claim"},
		Data: map[string]string{"key_sha256": devices.Fingerprint(c.Pub), "known": string(c.Known), "key_store": string(c.KeyStore)},
	})
}

// Claim implements devices.ClaimStore.
func (s *Store) Claim(ctx context.Context, id ident.ClaimID) (devices.Claim, string, error) {
	var (
		c    devices.Claim
		cred string
	)
	// The credential is the one of the claim's own key, should the device have been re-keyed since.
	err := s.read(ctx).one(`SELECT `+claimColumns+`, COALESCE((SELECT credential.cred FROM credential
			WHERE credential.device_id = claim.device_id AND credential.pub = claim.pub ORDER BY credential.nbf_at DESC LIMIT 1), '')
		FROM claim WHERE claim.id = $1`, []any{id}, append(claimDest(&c), &cred)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoClaim()
	}
	return c, cred, err
}

func errNoClaim() error { return fault.New(fault.NotFound, "claim.not_found") }

// visibleClaim says that a claim is the business of the scope $1: its serial is unknown, or the device stands there.
const visibleClaim = ` FROM claim LEFT JOIN device ON device.serial = claim.serial AND device.life <> 'retired'
	WHERE (device.id IS NULL OR EXISTS (SELECT 1 FROM org_closure WHERE org_closure.ancestor = $1 AND org_closure.node = device.unit_id))`

// OpenClaims implements devices.ClaimStore.
func (s *Store) OpenClaims(ctx context.Context, sc devices.Scope, code string, now int64) ([]devices.Claim, error) {
	where, args := ``, []any{sc.Unit, now}
	if code != "" {
		where, args = ` AND claim.code = $3`, append(args, code)
	}
	var list []devices.Claim
	err := s.read(ctx).all(`SELECT `+claimColumns+`, COALESCE(device.id, '')`+visibleClaim+
		` AND claim.state = 'waiting' AND claim.expires_at > $2`+where+` ORDER BY claim.at DESC, claim.id LIMIT 200`, args, func(r rows) error {
		var c devices.Claim
		err := r.Scan(append(claimDest(&c), &c.Known)...)
		list = append(list, c)
		return err
	})
	return list, err
}

// RefuseClaim implements devices.ClaimStore.
func (s *Store) RefuseClaim(ctx context.Context, sc devices.Scope, id ident.ClaimID, at int64) error {
	return s.write(ctx, func(t *tx) error {
		var state devices.ClaimState
		err := t.one(`SELECT claim.state`+visibleClaim+` AND claim.id = $2`, []any{sc.Unit, id}, &state)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoClaim()
		}
		if err != nil {
			return err
		}
		n, err := t.exec(`UPDATE claim SET state = 'refused' WHERE id = $1 AND state = 'waiting'`, id)
		if err != nil {
			return err
		}
		if n == 0 {
			if state == devices.ClaimRefused {
				return nil
			}
			return fault.New(fault.Conflict, "claim.answered")
		}
		return t.event(audit.Event{Aggregate: "claim", ID: string(id), Type: "claim.refused", At: at, Actor: sc.Actor})
	})
}

// DeviceBySerial implements devices.ClaimStore.
func (s *Store) DeviceBySerial(ctx context.Context, serial string) (devices.Device, error) {
	return deviceBySerial(s.read(ctx), serial, "")
}

func deviceBySerial(q querier, serial, lock string) (devices.Device, error) {
	var d devices.Device
	err := q.one(`SELECT `+deviceColumns+` FROM device WHERE serial = $1 AND life <> 'retired'`+lock, []any{serial}, deviceDest(&d)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoDevice()
	}
	return d, err
}

// Enrol implements devices.ClaimStore.
func (s *Store) Enrol(ctx context.Context, e devices.Enrolment) (devices.Enrolled, error) {
	var out devices.Enrolled
	err := s.write(ctx, func(t *tx) error {
		first, answer, err := t.rememberAs(e.Actor, e.Key, "claim.approve "+string(e.Claim.ID), e.At)
		if err != nil {
			return err
		}
		if !first {
			out.ID = ident.DeviceID(answer)
			return t.one(`SELECT epoch FROM device_link WHERE device_id = $1`, []any{out.ID}, &out.Epoch)
		}
		if err := t.answerClaim(e); err != nil {
			return err
		}
		if out, err = t.enrol(e); err != nil {
			return err
		}
		return t.answerAs(e.Actor, e.Key, string(out.ID))
	})
	return out, err
}

// answerClaim turns the claim to approved: the stored one, or one that is stored now.
func (t *tx) answerClaim(e devices.Enrolment) error {
	c := e.Claim
	if e.NewClaim {
		c.State, c.DeviceID = devices.ClaimApproved, e.Device.ID
		return t.insertClaim(c)
	}
	var state devices.ClaimState
	err := t.one(`SELECT claim.state`+visibleClaim+` AND claim.id = $2`, []any{e.Scope.Unit, c.ID}, &state)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return errNoClaim()
	case err != nil:
		return err
	case state != devices.ClaimWaiting:
		return fault.New(fault.Conflict, "claim.answered")
	case e.At >= c.ExpiresAt:
		return fault.New(fault.Expired, "claim.expired")
	}
	if err := unitUnder(t, e.Scope.Unit, e.Device.UnitID); err != nil {
		return err
	}
	n, err := t.exec(`UPDATE claim SET state = 'approved', device_id = $2 WHERE id = $1 AND state = 'waiting'`, c.ID, e.Device.ID)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "claim.answered")
	}
	return err
}

// enrol writes device, link row, credential and event. What the caller read before must still be so.
func (t *tx) enrol(e devices.Enrolment) (devices.Enrolled, error) {
	d := e.Device
	out := devices.Enrolled{ID: d.ID}
	changed := fault.New(fault.Conflict, "claim.changed")
	known, err := deviceBySerial(t, d.Serial, t.forUpdate())
	switch {
	case err != nil && fault.KindOf(err) != fault.NotFound:
		return out, err
	case (err == nil) != e.Known, e.Known && known.ID != d.ID:
		return out, changed
	case e.Known && known.Life != devices.Pending && known.Life != devices.Active:
		return out, changed
	case e.KeepEpoch && (known.Life != devices.Active || known.KeySHA256 != d.KeySHA256):
		return out, changed
	case e.How == "import" && known.KeySHA256 != d.KeySHA256:
		return out, changed
	}
	switch {
	case e.KeepEpoch:
		err = t.one(`SELECT epoch FROM device_link WHERE device_id = $1`, []any{d.ID}, &out.Epoch)
	case e.Known:
		if _, err = t.exec(`UPDATE device SET unit_id = $2, key_sha256 = $3, alg = $4, key_store = $5, kind = $6, class = $7, model = $8, name = $9,
				life = $10, simulated = $11, version = version + 1 WHERE id = $1`,
			d.ID, d.UnitID, d.KeySHA256, d.Alg, d.KeyStore, d.Kind, d.Class, d.Model, d.Name, d.Life, d.Simulated); err == nil {
			out.Epoch, err = t.fenceLink(d, "enrolled", e.At)
		}
		if err == nil {
			err = t.dropCommands(d.ID, true, e.Actor, e.At) // nothing old runs under another key or in another place
		}
		if err == nil {
			err = t.restartDown(d.ID, out.Epoch)
		}
		if err == nil {
			_, err = t.exec(`UPDATE credential SET revoked_at = $2 WHERE device_id = $1 AND revoked_at = 0`, d.ID, e.At)
		}
		if err == nil && known.Life == devices.Active {
			_, err = t.closeVisit(d.ID, "", "device", e.Actor, e.At) // who sat before the former key is not who sits before this one
		}
	default:
		var added bool
		if added, err = t.insertDevice(d); err == nil && !added {
			err = changed
		}
		if err == nil {
			err = t.insertLink(d, e.At)
		}
	}
	if err != nil {
		return out, err
	}
	if _, err := t.exec(`INSERT INTO credential (kid, device_id, pub, cred, nbf_at, exp_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (device_id, nbf_at) DO UPDATE SET kid = excluded.kid, pub = excluded.pub, cred = excluded.cred, exp_at = excluded.exp_at, revoked_at = 0`,
		e.Cred.Kid, d.ID, e.Claim.Pub, e.CredText, e.Cred.NbfAt, e.Cred.ExpAt); err != nil {
		return out, err
	}
	return out, t.event(audit.Event{
		Aggregate: "device", ID: string(d.ID), Type: "device.enrolled", At: e.At, Actor: e.Actor, Cause: string(e.Claim.ID),
		Data: map[string]string{
			"how": e.How, "unit": string(d.UnitID), "key_sha256": d.KeySHA256, "from_key_sha256": known.KeySHA256, "kid": e.Cred.Kid,
			"epoch": strconv.FormatInt(out.Epoch, 10),
		},
	})
}
