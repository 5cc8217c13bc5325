package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/people"
)

var _ people.Store = (*Store)(nil)

const staffColumns = `staff.id, staff.unit_id, staff.login, staff.name, staff.title, staff.room_name, staff.roles, staff.langs, staff.skills, staff.disabled, staff.version`

// staffDest returns where staffColumns go; done fills the lists after the scan.
func staffDest(s *people.Staff) (dest []any, done func()) {
	var roles, langs, skills string
	return []any{&s.ID, &s.UnitID, &s.Login, &s.Name, &s.Title, &s.RoomName, &roles, &langs, &skills, &s.Disabled, &s.Version}, func() {
		s.Roles, s.Langs, s.Skills = words[people.Role](roles), words[mediation.Lang](langs), words[mediation.Category](skills)
	}
}

// words reads a list as joinWords wrote it; an empty text is an empty list.
func words[T ~string](s string) []T {
	if s == "" {
		return nil
	}
	var list []T
	for w := range strings.SplitSeq(s, ",") {
		list = append(list, T(w))
	}
	return list
}

func joinWords[T ~string](list []T) string {
	var b strings.Builder
	for i, w := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// StaffByLogin implements people.Store.
func (s *Store) StaffByLogin(ctx context.Context, login string) (people.Staff, people.Secrets, error) {
	return s.staffWithSecrets(ctx, `login = $1`, login)
}

// StaffByID implements people.Store.
func (s *Store) StaffByID(ctx context.Context, id ident.StaffID) (people.Staff, people.Secrets, error) {
	return s.staffWithSecrets(ctx, `id = $1`, id)
}

func (s *Store) staffWithSecrets(ctx context.Context, where string, arg any) (people.Staff, people.Secrets, error) {
	var (
		staff   people.Staff
		secrets people.Secrets
		sealed  []byte
	)
	dest, done := staffDest(&staff)
	err := s.read(ctx).one(`SELECT `+staffColumns+`, password_hash, totp_enc, totp_step FROM staff WHERE `+where,
		[]any{arg}, append(dest, &secrets.PasswordHash, &sealed, &secrets.TOTPStep)...)
	if errors.Is(err, sql.ErrNoRows) {
		return staff, secrets, fault.New(fault.NotFound, "staff.not_found")
	}
	if err != nil {
		return staff, secrets, err
	}
	done()
	if len(sealed) > 0 {
		plain, err := s.open(sealed)
		if err != nil {
			return staff, secrets, err
		}
		secrets.TOTP = string(plain)
	}
	return staff, secrets, nil
}

// Staff returns a staff member. fault.NotFound "staff.not_found".
func (s *Store) Staff(ctx context.Context, id ident.StaffID) (people.Staff, error) {
	var staff people.Staff
	dest, done := staffDest(&staff)
	err := s.read(ctx).one(`SELECT `+staffColumns+` FROM staff WHERE id = $1`, []any{id}, dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return staff, fault.New(fault.NotFound, "staff.not_found")
	}
	done()
	return staff, err
}

// SaveStaff implements people.Store.
func (s *Store) SaveStaff(ctx context.Context, p people.Staff, by mediation.Command) error {
	return s.write(ctx, func(t *tx) error {
		var unit string
		err := t.one(`SELECT id FROM org_unit WHERE id = $1`, []any{p.UnitID}, &unit)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.NotFound, "org.no_unit")
		}
		if err != nil {
			return err
		}
		var holder ident.StaffID
		err = t.one(`SELECT id FROM staff WHERE login = $1`, []any{p.Login}, &holder)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		taken := fault.InField("staff.login_taken", "login")
		taken.Kind = fault.Conflict
		if err == nil && holder != p.ID {
			return taken
		}
		_, err = t.exec(`INSERT INTO staff (id, unit_id, login, name, title, room_name, roles, langs, skills, disabled, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (id) DO UPDATE SET unit_id = excluded.unit_id, login = excluded.login, name = excluded.name, title = excluded.title,
				room_name = excluded.room_name, roles = excluded.roles, langs = excluded.langs, skills = excluded.skills,
				disabled = excluded.disabled, version = staff.version + 1`,
			p.ID, p.UnitID, p.Login, p.Name, p.Title, p.RoomName, joinWords(p.Roles), joinWords(p.Langs), joinWords(p.Skills), p.Disabled, by.At)
		if isUnique(err) { // two at the same instant
			return taken
		}
		if err != nil {
			return err
		}
		if p.Disabled {
			if err := t.revokeLogins(p.ID, by.At); err != nil {
				return err
			}
		}
		return t.event(audit.Event{
			Aggregate: "staff", ID: string(p.ID), Type: by.Name, Actor: by.Actor, At: by.At, Cause: by.Cause,
			Data: map[string]string{"unit": string(p.UnitID), "roles": joinWords(p.Roles), "disabled": yesNo(p.Disabled)},
		})
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// SetSecrets implements people.Store.
func (s *Store) SetSecrets(ctx context.Context, id ident.StaffID, hash, totp *string, by mediation.Command) error {
	var sealed []byte
	if totp != nil && *totp != "" {
		var err error
		if sealed, err = s.seal([]byte(*totp)); err != nil {
			return err
		}
	}
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE staff SET version = version + 1 WHERE id = $1`, id)
		if err == nil && n == 0 {
			return fault.New(fault.NotFound, "staff.not_found")
		}
		if err == nil && hash != nil {
			_, err = t.exec(`UPDATE staff SET password_hash = $2 WHERE id = $1`, id, *hash)
		}
		if err == nil && totp != nil {
			_, err = t.exec(`UPDATE staff SET totp_enc = $2, totp_step = 0 WHERE id = $1`, id, sealed)
		}
		if err == nil {
			err = t.revokeLogins(id, by.At)
		}
		if err != nil {
			return err
		}
		return t.event(audit.Event{Aggregate: "staff", ID: string(id), Type: by.Name, Actor: by.Actor, At: by.At, Cause: by.Cause})
	})
}

// revokeLogins ends every sign-in of a person.
func (t *tx) revokeLogins(id ident.StaffID, at int64) error {
	_, err := t.exec(`UPDATE login_session SET revoked_at = $2 WHERE staff_id = $1 AND revoked_at = 0`, id, at)
	return err
}

// OpenLogin implements people.Store.
func (s *Store) OpenLogin(ctx context.Context, l people.LoginSession, step int64, by mediation.Command) error {
	return s.write(ctx, func(t *tx) error {
		if step > 0 {
			if err := t.useTOTP(l.StaffID, step); err != nil {
				return err
			}
		}
		if _, err := t.exec(`DELETE FROM login_session WHERE staff_id = $1 AND expires_at < $2`, l.StaffID, l.At); err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO login_session (id, staff_id, token_hash, at, seen_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			l.ID, l.StaffID, l.TokenHash, l.At, l.SeenAt, l.ExpiresAt); err != nil {
			return err
		}
		return t.event(audit.Event{
			Aggregate: "staff", ID: string(l.StaffID), Type: by.Name, Actor: by.Actor, At: by.At, Cause: by.Cause,
			Data: map[string]string{"login": string(l.ID)},
		})
	})
}

func (t *tx) useTOTP(id ident.StaffID, step int64) error {
	n, err := t.exec(`UPDATE staff SET totp_step = $2 WHERE id = $1 AND totp_step < $2`, id, step)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "auth.totp_used")
	}
	return err
}

// UseTOTP implements people.Store.
func (s *Store) UseTOTP(ctx context.Context, id ident.StaffID, step int64, by mediation.Command) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.useTOTP(id, step); err != nil {
			return err
		}
		return t.event(audit.Event{Aggregate: "staff", ID: string(id), Type: by.Name, Actor: by.Actor, At: by.At, Cause: by.Cause})
	})
}

// LoginByToken implements people.Store.
func (s *Store) LoginByToken(ctx context.Context, tokenHash string, now int64) (people.LoginSession, people.Staff, error) {
	return s.login(ctx, `login_session.token_hash = $1`, tokenHash, now)
}

// LoginByID implements people.Store.
func (s *Store) LoginByID(ctx context.Context, id ident.LoginID, now int64) (people.LoginSession, people.Staff, error) {
	return s.login(ctx, `login_session.id = $1`, id, now)
}

func (s *Store) login(ctx context.Context, where string, key any, now int64) (people.LoginSession, people.Staff, error) {
	var (
		l     people.LoginSession
		staff people.Staff
	)
	dest, done := staffDest(&staff)
	err := s.read(ctx).one(`SELECT `+staffColumns+`, login_session.id, login_session.token_hash, login_session.at, login_session.seen_at, login_session.expires_at
		FROM login_session JOIN staff ON staff.id = login_session.staff_id
		WHERE `+where+` AND login_session.revoked_at = 0 AND login_session.expires_at > $2 AND NOT staff.disabled`,
		[]any{key, now}, append(dest, &l.ID, &l.TokenHash, &l.At, &l.SeenAt, &l.ExpiresAt)...)
	if errors.Is(err, sql.ErrNoRows) {
		return l, staff, fault.New(fault.NotFound, "auth.no_session")
	}
	done()
	l.StaffID = staff.ID
	return l, staff, err
}

// TouchLogin implements people.Store.
func (s *Store) TouchLogin(ctx context.Context, id ident.LoginID, at int64) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE login_session SET seen_at = $2 WHERE id = $1 AND seen_at < $2`, id, at)
		return err
	})
}

// RevokeLogin implements people.Store.
func (s *Store) RevokeLogin(ctx context.Context, id ident.LoginID, by mediation.Command) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE login_session SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0`, id, by.At)
		if err != nil || n == 0 {
			return err
		}
		return t.event(audit.Event{
			Aggregate: "staff", ID: by.Actor.ID, Type: by.Name, Actor: by.Actor, At: by.At, Cause: by.Cause, Data: map[string]string{"login": string(id)},
		})
	})
}
