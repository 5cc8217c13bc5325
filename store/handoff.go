package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/audit"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/handoff"
	"heyi/mediation/parcel"
)

var _ handoff.Outbox = (*Store)(nil)

const handoffColumns = `handoff.id, handoff.subject, handoff.kind, handoff.version, handoff.session_id, handoff.unit_id, handoff.delivery_id,
	handoff.target, handoff.state, handoff.attempts, handoff.next_at, handoff.since_at, handoff.receipt_no, handoff.last_error,
	handoff.created_at, handoff.at`

func handoffDest(r *handoff.Row) []any {
	return []any{
		&r.ID, &r.Subject, &r.Kind, &r.Version, &r.Session, &r.Unit, &r.DeliveryID,
		&r.Target, &r.State, &r.Attempts, &r.NextAt, &r.SinceAt, &r.ReceiptNo, &r.LastError, &r.CreatedAt, &r.At,
	}
}

func noHandoff() error { return fault.New(fault.NotFound, "handoff.none") }

// enqueue writes a package into the outbox, in the transaction of the command that makes it. An item without payload is
// made by the worker.
func (t *tx) enqueue(cmd mediation.Command, it parcel.Item) error {
	if it.ID == "" {
		it.ID = ident.New[ident.HandoffID]()
	}
	var (
		delivery        string
		payload, signed []byte
		err             error
	)
	if len(it.Payload) > 0 {
		delivery = parcel.DeliveryID(it.Payload)
		if payload, signed, err = t.sealPackage(it.Payload, it.Signatures, it.Files, cmd.At); err != nil {
			return err
		}
	}
	_, err = t.exec(`INSERT INTO handoff (id, subject, kind, version, session_id, unit_id, delivery_id, payload_enc, signatures_enc, state, next_at, since_at, created_at, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', $10, $10, $10, $10)`,
		it.ID, it.Subject, it.Kind, it.Version, it.Session, it.Unit, delivery, payload, signed, cmd.At)
	if err != nil {
		return err
	}
	return t.event(audit.Event{
		Aggregate: "handoff", ID: string(it.ID), Type: "handoff.queued", Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause,
		Data: map[string]string{"subject": it.Subject, "kind": it.Kind, "version": strconv.Itoa(it.Version), "delivery": delivery},
	})
}

// sealPackage keeps the files of a package and returns its two documents as they stand in SQL.
func (t *tx) sealPackage(payload, signatures []byte, files []parcel.File, at int64) (sealedPayload, sealedSignatures []byte, err error) {
	for _, f := range files {
		if _, err := t.putBlob(f.Body, at); err != nil {
			return nil, nil, err
		}
	}
	sealedPayload, err = t.store.seal(payload)
	if err == nil {
		sealedSignatures, err = t.store.seal(signatures)
	}
	return sealedPayload, sealedSignatures, err
}

// enqueueConsult writes the package of a consultation that was closed. Its files are made by the worker.
func (t *tx) enqueueConsult(cmd mediation.Command, session ident.SessionID, unit ident.UnitID) error {
	var one int
	err := t.one(`SELECT 1 FROM handoff WHERE subject = $1 AND kind = 'consult'`, []any{session}, &one)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return t.enqueue(cmd, parcel.Item{Subject: string(session), Kind: parcel.Consult, Version: 1, Session: session, Unit: unit})
}

// enqueueNext writes the next version of every package of a session after its rating, or the note of a consultation,
// changed. One that is not made yet will say the new fact by itself. kind narrows it, "" means every kind.
func (t *tx) enqueueNext(cmd mediation.Command, session ident.SessionID, kind string) error {
	var list []parcel.Item
	err := t.all(`SELECT subject, kind, version, unit_id FROM handoff AS newest WHERE session_id = $1 AND delivery_id <> ''
		AND NOT EXISTS (SELECT 1 FROM handoff WHERE handoff.subject = newest.subject AND handoff.kind = newest.kind AND handoff.version > newest.version)
		ORDER BY kind`, []any{session}, func(r rows) error {
		it := parcel.Item{Session: session}
		err := r.Scan(&it.Subject, &it.Kind, &it.Version, &it.Unit)
		it.Version++
		if kind == "" || kind == it.Kind {
			list = append(list, it)
		}
		return err
	})
	for _, it := range list {
		err = errors.Join(err, t.enqueue(cmd, it))
	}
	return err
}

// ClaimHandoff implements handoff.Outbox. A newer version waits until the one before it has arrived or was given up.
func (s *Store) ClaimHandoff(ctx context.Context, node string, now int64, lease time.Duration) (handoff.Row, bool, error) {
	var row handoff.Row
	var none bool
	// most of the time nothing is due: looking costs no transaction
	err := s.read(ctx).one(`SELECT NOT EXISTS (SELECT 1 FROM handoff WHERE state IN ('queued', 'sending', 'failed') AND next_at <= $1)`, []any{now}, &none)
	if err != nil || none {
		return row, false, err
	}
	found := false
	err = s.write(ctx, func(t *tx) error {
		row, found = handoff.Row{}, false
		err := t.one(`SELECT `+handoffColumns+` FROM handoff WHERE state IN ('queued', 'sending', 'failed') AND next_at <= $1
			AND NOT EXISTS (SELECT 1 FROM handoff AS older WHERE older.subject = handoff.subject AND older.kind = handoff.kind
				AND older.version < handoff.version AND older.state NOT IN ('verified', 'dead'))
			ORDER BY next_at, id LIMIT 1`+t.skipLocked(), []any{now}, handoffDest(&row)...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		row.State, row.NextAt, row.At = handoff.Sending, now+lease.Microseconds(), now
		row.Attempts++
		found = true
		n, err := t.exec(`UPDATE handoff SET state = $2, attempts = $3, next_at = $4, node = $5, at = $6 WHERE id = $1`,
			row.ID, row.State, row.Attempts, row.NextAt, node, now)
		return oneRow(n, err, "handoff")
	})
	return row, found && err == nil, err
}

// ResumeHandoffs implements handoff.Outbox.
func (s *Store) ResumeHandoffs(ctx context.Context, node string, now int64) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE handoff SET next_at = $2 WHERE state = 'sending' AND node = $1 AND next_at > $2`, node, now)
		return err
	})
}

// HandoffPackage implements handoff.Outbox.
func (s *Store) HandoffPackage(ctx context.Context, id ident.HandoffID) (handoff.Package, error) {
	return s.readPackage(s.read(ctx), `id = $1`, id)
}

// HandoffBefore implements handoff.Outbox.
func (s *Store) HandoffBefore(ctx context.Context, r handoff.Row) (handoff.Package, error) {
	return s.readPackage(s.read(ctx), `subject = $1 AND kind = $2 AND version = $3`, r.Subject, r.Kind, r.Version-1)
}

func (s *Store) readPackage(q querier, where string, args ...any) (handoff.Package, error) {
	var payload, signed []byte
	err := q.one(`SELECT payload_enc, signatures_enc FROM handoff WHERE `+where, args, &payload, &signed)
	if errors.Is(err, sql.ErrNoRows) {
		return handoff.Package{}, noHandoff()
	}
	if err != nil || payload == nil {
		return handoff.Package{}, err
	}
	p, err := s.unpack(q, payload, signed)
	return handoff.Package{Payload: p.Payload, Signatures: p.Signatures, Files: p.Files}, err
}

// unpack opens the two sealed documents of a package and reads its files.
func (s *Store) unpack(q querier, payload, signed []byte) (p parcel.Parcel, err error) {
	if p.Payload, err = s.open(payload); err != nil {
		return p, err
	}
	if p.Signatures, err = s.open(signed); err != nil {
		return p, err
	}
	if p.Manifest, err = mediation.ParseManifest(p.Payload); err != nil {
		return p, err
	}
	for _, m := range p.Manifest.Files {
		body, err := s.blob(q, m.SHA256)
		if err != nil {
			return p, err
		}
		p.Files = append(p.Files, parcel.File{Name: m.Name, MediaType: m.MediaType, Paper: m.Paper, Body: body})
	}
	return p, nil
}

// HandoffMade implements handoff.Outbox.
func (s *Store) HandoffMade(ctx context.Context, cmd mediation.Command, r handoff.Row, node string, m handoff.Made) error {
	stale := fault.New(fault.Stale, "handoff.stale")
	return s.write(ctx, func(t *tx) error {
		var (
			attempts     int
			state        handoff.State
			claimed, has string
		)
		err := t.one(`SELECT state, node, attempts, delivery_id FROM handoff WHERE id = $1`+t.forUpdate(), []any{r.ID}, &state, &claimed, &attempts, &has)
		if errors.Is(err, sql.ErrNoRows) {
			return noHandoff()
		}
		if err != nil {
			return err
		}
		if state != handoff.Sending || claimed != node || attempts != r.Attempts || has != "" {
			return stale
		}
		// the session's row stands for note and rating: whoever changes one locks it
		var one int
		if err := t.one(`SELECT 1 FROM session WHERE id = $1`+t.forUpdate(), []any{r.Session}, &one); err != nil {
			return err
		}
		version, score, err := noteAndRating(t, r.Session)
		if err != nil {
			return err
		}
		if score != m.Rating || r.Kind == parcel.Consult && version != m.NoteVersion {
			return stale
		}
		payload, signed, err := t.sealPackage(m.Payload, m.Signatures, m.Files, cmd.At)
		if err != nil {
			return err
		}
		n, err := t.exec(`UPDATE handoff SET delivery_id = $2, payload_enc = $3, signatures_enc = $4, at = $5 WHERE id = $1`, r.ID, m.DeliveryID, payload, signed, cmd.At)
		if err := oneRow(n, err, "handoff"); err != nil {
			return err
		}
		return t.event(audit.Event{
			Aggregate: "handoff", ID: string(r.ID), Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause,
			Data: map[string]string{"delivery": m.DeliveryID},
		})
	})
}

// noteAndRating returns the version of a session's note, 0 for none, and its rating, 0 for none or skipped.
func noteAndRating(q querier, id ident.SessionID) (version int64, score int, err error) {
	err = q.one(`SELECT coalesce((SELECT version FROM consult WHERE session_id = $1), 0), coalesce((SELECT score FROM rating WHERE session_id = $1), 0)`,
		[]any{id}, &version, &score)
	return version, score, err
}

// Rated implements handoff.Outbox.
func (s *Store) Rated(ctx context.Context, id ident.SessionID) (int, error) {
	_, score, err := noteAndRating(s.read(ctx), id)
	return score, err
}

// SettleHandoff implements handoff.Outbox.
func (s *Store) SettleHandoff(ctx context.Context, cmd mediation.Command, o handoff.Outcome) ([]coord.Nudge, error) {
	var nudges []coord.Nudge
	err := s.write(ctx, func(t *tx) error {
		nudges = nil
		n, err := t.exec(`UPDATE handoff SET state = $4, target = $5, receipt_no = $6, last_error = $7, next_at = $8, node = '', at = $9
			WHERE id = $1 AND state = 'sending' AND node = $2 AND attempts = $3`,
			o.Row, o.Node, o.Attempt, o.State, o.Target, o.Receipt.No, o.Error, o.NextAt, cmd.At)
		if err != nil || n == 0 {
			return err
		}
		err = t.event(audit.Event{
			Aggregate: "handoff", ID: string(o.Row), Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause,
			Data: nonEmpty(map[string]string{
				"receipt": o.Receipt.No, "digest": o.Receipt.Digest, "error": o.Error, "target": o.Target, "attempt": strconv.Itoa(o.Attempt),
			}),
		})
		if err != nil || o.State != handoff.Verified {
			return err
		}
		nudges, err = t.receiptShown(o.Row, cmd.At)
		return err
	})
	return nudges, err
}

// receiptShown tells those who see a receipt: the mediator, and the terminal with its phone while the visit lasts in which
// its person came; its situation gets a new version, so that it fetches.
func (t *tx) receiptShown(id ident.HandoffID, at int64) ([]coord.Nudge, error) {
	var (
		device   ident.DeviceID
		mediator ident.StaffID
		subject  string
		here     bool
	)
	err := t.one(`SELECT session.device_id, session.mediator_id, handoff.subject, EXISTS (SELECT 1 FROM ticket JOIN visit ON visit.id = ticket.visit_id
			WHERE ticket.id = session.ticket_id AND visit.closed_at = 0)
		FROM handoff JOIN session ON session.id = handoff.session_id WHERE handoff.id = $1`, []any{id}, &device, &mediator, &subject, &here)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := coord.Nudge{To: "staff/" + string(mediator), T: wire.AgreementReceipt, ID: subject, Ver: at}
	list := []coord.Nudge{n}
	if !here {
		return list, nil
	}
	ver, phone, err := t.situationChanged(device, at)
	n.To, n.Ver = "device/"+string(device), ver
	list = append(list, n)
	if phone != "" {
		n.To = "capture/" + string(phone)
		list = append(list, n)
	}
	return list, err
}

func nonEmpty(data map[string]string) map[string]string {
	for k, v := range data {
		if v == "" {
			delete(data, k)
		}
	}
	return data
}

// CountHandoffs implements handoff.Outbox.
func (s *Store) CountHandoffs(ctx context.Context) (map[handoff.State]int, error) {
	list := map[handoff.State]int{}
	err := s.read(ctx).all(`SELECT state, count(*) FROM handoff WHERE state IN ('queued', 'sending', 'failed', 'dead') GROUP BY state`, nil, func(r rows) error {
		var (
			state handoff.State
			n     int
		)
		err := r.Scan(&state, &n)
		list[state] = n
		return err
	})
	return list, err
}

// ConsultFacts implements handoff.Outbox.
func (s *Store) ConsultFacts(ctx context.Context, id ident.SessionID) (handoff.Facts, error) {
	f := handoff.Facts{Session: id}
	var place []byte
	q := s.read(ctx)
	err := q.one(`SELECT session.unit_id, org_unit.code, org_unit.name, ticket.place, ticket.terminal, ticket.no, ticket.category, ticket.lang, ticket.outcome,
			staff.name, staff.title, session.started_at, session.ended_at
		FROM session JOIN ticket ON ticket.id = session.ticket_id JOIN staff ON staff.id = session.mediator_id JOIN org_unit ON org_unit.id = session.unit_id
		WHERE session.id = $1`, []any{id},
		&f.Unit, &f.UnitCode, &f.UnitName, &place, &f.Terminal, &f.TicketNo, &f.Category, &f.Lang, &f.Outcome, &f.Staff, &f.Title, &f.StartedAt, &f.EndedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return f, noSession()
	}
	if err == nil {
		err = json.Unmarshal(place, &f.Place)
	}
	if err != nil {
		return f, err
	}
	note, err := s.note(q, id)
	if err != nil {
		return f, err
	}
	f.NoteVersion, f.Matter, f.Advice, f.Answer, f.Materials, f.NextStep = note.Version, note.Matter, note.Advice, note.Answer, note.Materials, note.NextStep
	_, f.Rating, err = noteAndRating(q, id)
	return f, err
}
