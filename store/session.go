package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/parcel"
	"heyi/mediation/session"
)

var (
	_ session.RoomStore   = (*Store)(nil)
	_ session.RecordStore = (*Store)(nil)
)

func noSession() error { return fault.New(fault.NotFound, "session.none") }

// session loads and locks one session with its members, attachments and room.
func (t *tx) session(id ident.SessionID) (session.Session, error) {
	// the row of the session alone is locked: it stands for all that hangs on it
	if t.forUpdate() != "" {
		var one int
		err := t.one(`SELECT 1 FROM session WHERE id = $1`+t.forUpdate(), []any{id}, &one)
		if errors.Is(err, sql.ErrNoRows) {
			return session.Session{}, noSession()
		}
		if err != nil {
			return session.Session{}, err
		}
	}
	return readSession(t, id)
}

func readSession(q querier, id ident.SessionID) (session.Session, error) {
	var k session.Session
	err := q.one(`SELECT session.id, session.ver, session.kind, session.state, session.prev, session.ticket_id, session.unit_id, session.device_id, session.mediator_id,
			session.due_at, session.started_at, session.ended_at, session.created_at,
			room_placement.room, room_placement.node, room_placement.fence, room_placement.spec_epoch, room_placement.zone_at, room_placement.overlap_until
		FROM session JOIN room_placement ON room_placement.session_id = session.id WHERE session.id = $1`, []any{id},
		&k.ID, &k.Ver, &k.Kind, &k.State, &k.Prev, &k.Ticket, &k.Unit, &k.Device, &k.Mediator,
		&k.DueAt, &k.StartedAt, &k.EndedAt, &k.CreatedAt, &k.Room, &k.Node, &k.Fence, &k.Epoch, &k.ZoneAt, &k.OverlapUntil)
	if errors.Is(err, sql.ErrNoRows) {
		return k, noSession()
	}
	if err != nil {
		return k, err
	}
	err = q.all(`SELECT id, role, who, name, zone, gated, live FROM session_member WHERE session_id = $1 ORDER BY pos`, []any{id}, func(r rows) error {
		var m session.Member
		var live string
		err := r.Scan(&m.ID, &m.Role, &m.Who, &m.Name, &m.Zone, &m.Gated, &live)
		m.Live = words[media.AttachKind](live)
		k.Members = append(k.Members, m)
		return err
	})
	if err != nil {
		return k, err
	}
	err = q.all(`SELECT id, member_id, kind, client, sound, join_gen, active FROM attachment WHERE session_id = $1 ORDER BY pos`, []any{id}, func(r rows) error {
		var a session.Attach
		var member ident.ParticipantID
		err := r.Scan(&a.ID, &member, &a.Kind, &a.Client, &a.Sound, &a.JoinGen, &a.Active)
		if i := slices.IndexFunc(k.Members, func(m session.Member) bool { return m.ID == member }); i >= 0 {
			k.Members[i].Attach = append(k.Members[i].Attach, a)
		}
		return err
	})
	return k, err
}

// saveSession writes a new or changed session; the epoch of its spec rises when the spec changed.
func (t *tx) saveSession(cmd mediation.Command, b, a *session.Session) error {
	a.Ver++
	if b.ID == "" {
		_, err := t.exec(`INSERT INTO session (id, ver, kind, state, prev, ticket_id, unit_id, device_id, mediator_id, due_at, started_at, ended_at, created_at, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
			a.ID, a.Ver, a.Kind, a.State, a.Prev, a.Ticket, a.Unit, a.Device, a.Mediator, a.DueAt, a.StartedAt, a.EndedAt, a.CreatedAt, cmd.At)
		if err != nil {
			return err
		}
	} else {
		n, err := t.exec(`UPDATE session SET ver = $2, state = $3, prev = $4, mediator_id = $5, due_at = $6, started_at = $7, ended_at = $8, at = $9, kind = $11
			WHERE id = $1 AND ver = $10`,
			a.ID, a.Ver, a.State, a.Prev, a.Mediator, a.DueAt, a.StartedAt, a.EndedAt, cmd.At, b.Ver, a.Kind)
		if err := oneRow(n, err, "session"); err != nil {
			return err
		}
	}
	if err := t.saveMembers(b, a); err != nil {
		return err
	}
	if err := t.placeRoom(cmd, b, a); err != nil {
		return err
	}
	data := map[string]string{"mediator": string(a.Mediator), "ticket": string(a.Ticket), "epoch": strconv.FormatInt(a.Epoch, 10), "fence": strconv.FormatInt(a.Fence, 10)}
	for _, m := range a.Members {
		if m.Zone != "" {
			data["zone."+string(m.ID)] = string(m.Zone)
			data["live."+string(m.ID)] = joinWords(m.Live)
		}
	}
	return t.changed(cmd, "session", string(a.ID), string(b.State), string(a.State), data)
}

func (t *tx) saveMembers(b, a *session.Session) error {
	pos := 0
	for i := range a.Members {
		m := &a.Members[i]
		if i >= len(b.Members) || !sameMember(m, &b.Members[i]) {
			_, err := t.exec(`INSERT INTO session_member (id, session_id, pos, role, who, name, zone, gated, live) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
				ON CONFLICT (id) DO UPDATE SET name = excluded.name, zone = excluded.zone, gated = excluded.gated, live = excluded.live`,
				m.ID, a.ID, i, m.Role, m.Who, m.Name, m.Zone, m.Gated, joinWords(m.Live))
			if err != nil {
				return err
			}
		}
		for j, x := range m.Attach {
			pos++
			if i < len(b.Members) && j < len(b.Members[i].Attach) && b.Members[i].Attach[j] == x {
				continue
			}
			_, err := t.exec(`INSERT INTO attachment (id, session_id, member_id, pos, kind, client, sound, join_gen, active) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
				ON CONFLICT (id) DO UPDATE SET sound = excluded.sound, join_gen = excluded.join_gen, active = excluded.active`,
				x.ID, a.ID, m.ID, pos, x.Kind, x.Client, x.Sound, x.JoinGen, x.Active)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func sameMember(a, b *session.Member) bool {
	return a.Name == b.Name && a.Zone == b.Zone && a.Gated == b.Gated && slices.Equal(a.Live, b.Live)
}

// SaveNote implements session.RecordStore.
func (s *Store) SaveNote(ctx context.Context, cmd mediation.Command, id ident.SessionID, staff ident.StaffID, expect int64, n session.Note) (session.NoteChange, error) {
	var c session.NoteChange
	plain, err := json.Marshal(n)
	if err != nil {
		return c, err
	}
	sealed, err := s.seal(plain)
	if err != nil {
		return c, err
	}
	err = s.write(ctx, func(t *tx) error {
		c = session.NoteChange{Note: n}
		var mine bool
		err := t.one(`SELECT mediator_id = $2, device_id FROM session WHERE id = $1`+t.forUpdate(), []any{id, staff}, &mine, &c.Device)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !mine {
			return noSession()
		}
		if err != nil {
			return err
		}
		had, err := s.note(t, id)
		if err != nil {
			return err
		}
		if had.Version != expect {
			return fault.New(fault.Stale, "session.stale_note").WithRef(strconv.FormatInt(had.Version, 10))
		}
		c.Note.Version, c.Note.SavedAt = expect+1, &cmd.At
		answered := strings.TrimSpace(n.Answer) != ""
		_, err = t.exec(`INSERT INTO consult (session_id, version, text_enc, saved_at, answered) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (session_id) DO UPDATE SET version = excluded.version, text_enc = excluded.text_enc, saved_at = excluded.saved_at, answered = excluded.answered`,
			id, c.Note.Version, sealed, cmd.At, answered)
		if err != nil {
			return err
		}
		if err := t.enqueueNext(cmd, id, parcel.Consult); err != nil {
			return err
		}
		if c.Shown = n.Answer != had.Answer; c.Shown {
			if c.Ver, c.Phone, err = t.situationChanged(c.Device, cmd.At); err != nil {
				return err
			}
		}
		return t.event(audit.Event{
			Aggregate: "consult", ID: string(id), Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause,
			Data: map[string]string{"version": strconv.FormatInt(c.Note.Version, 10), "answered": strconv.FormatBool(answered)},
		})
	})
	return c, err
}

// note reads the note of a session; version 0 when nothing was saved.
func (s *Store) note(q querier, id ident.SessionID) (session.Note, error) {
	var (
		n       session.Note
		version int64
		saved   int64
		sealed  []byte
	)
	err := q.one(`SELECT version, text_enc, saved_at FROM consult WHERE session_id = $1`, []any{id}, &version, &sealed, &saved)
	if errors.Is(err, sql.ErrNoRows) {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	plain, err := s.open(sealed)
	if err != nil {
		return n, err
	}
	err = json.Unmarshal(plain, &n)
	n.Version, n.SavedAt = version, &saved
	return n, err
}

// Rate implements session.RecordStore.
func (s *Store) Rate(ctx context.Context, cmd mediation.Command, id ident.SessionID, device ident.DeviceID, score int, editable time.Duration) (int64, error) {
	var ver int64
	err := s.write(ctx, func(t *tx) error {
		ver = 0
		first, _, err := t.remember(actorKey(cmd.Actor), cmd.Key, cmd.Name, cmd.At)
		if err != nil || !first {
			return err
		}
		var state session.State
		who, err := holderNow(t, device)
		if err == nil {
			err = t.one(`SELECT state FROM session WHERE id = $1 AND device_id = $2
				AND EXISTS (SELECT 1 FROM ticket WHERE ticket.id = session.ticket_id AND ticket.holder_key = $3)`+t.forUpdate(), []any{id, device, who}, &state)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return noSession()
		}
		if err != nil {
			return err
		}
		if state != session.Ended {
			return fault.New(fault.Conflict, "session.state").WithRef(string(state))
		}
		var firstAt int64
		err = t.one(`SELECT first_at FROM rating WHERE session_id = $1`, []any{id}, &firstAt)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			firstAt = cmd.At
		case err != nil:
			return err
		case cmd.At-firstAt > editable.Microseconds():
			return fault.New(fault.Expired, "rating.closed")
		}
		_, err = t.exec(`INSERT INTO rating (session_id, device_id, score, first_at, at) VALUES ($1, $2, $3, $4, $4)
			ON CONFLICT (session_id) DO UPDATE SET score = excluded.score, at = excluded.at`, id, device, score, cmd.At)
		if err != nil {
			return err
		}
		err = t.event(audit.Event{
			Aggregate: "session", ID: string(id), Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause,
			Data: map[string]string{"score": strconv.Itoa(score)},
		})
		if err == nil {
			err = t.enqueueNext(cmd, id, "")
		}
		if err != nil {
			return err
		}
		ver, _, err = t.situationChanged(device, cmd.At)
		return err
	})
	return ver, err
}

// sameSpec reports whether two rooms are the same but for their epoch.
func sameSpec(a, b media.RoomSpec) bool {
	a.Epoch, b.Epoch = 0, 0
	return reflect.DeepEqual(a, b)
}
