package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/dispute"
	"heyi/mediation/flow"
)

var _ flow.DocketStore = (*Store)(nil)

func noDispute() error { return fault.New(fault.NotFound, "dispute.none") }

// disputeDoc is what a row of dispute seals.
type disputeDoc struct {
	Facts      string              `json:"facts"`
	Requests   []string            `json:"requests"`
	Disclosure string              `json:"disclosure"`
	Parties    []dispute.Party     `json:"parties"`
	Asks       []dispute.Ask       `json:"asks"`
	Statements []dispute.Statement `json:"statements"`
	Closing    *dispute.Closing    `json:"closing"`
}

// ChangeDocket implements flow.DocketStore. Rows are locked in the order session, dispute, agreement, situation; the
// session's row stands for all that hangs on it.
func (s *Store) ChangeDocket(ctx context.Context, cmd mediation.Command, ref flow.DocketRef, fn func(*flow.Docket) error) (flow.DocketChange, error) {
	var c flow.DocketChange
	err := s.write(ctx, func(t *tx) error {
		c = flow.DocketChange{}
		var err error
		if c.Before, err = t.docket(ref); err != nil {
			return err
		}
		if c.After, err = copyDocket(&c.Before); err != nil {
			return err
		}
		if cmd.Key != "" {
			first, _, err := t.remember(actorKey(cmd.Actor), cmd.Key, cmd.Name, cmd.At)
			if err != nil || !first {
				return err
			}
		}
		c.After.Serial = func(year int) (int64, error) { return t.nextSerial(c.After.Dispute.Unit, year) }
		if err := fn(&c.After); err != nil {
			return err
		}
		c.After.Serial = nil
		return t.saveDocket(cmd, &c)
	})
	return c, err
}

// Docket implements flow.DocketStore.
func (s *Store) Docket(ctx context.Context, ref flow.DocketRef) (flow.Docket, error) {
	q := s.read(ctx)
	id, session, err := findDocket(q, ref)
	if err != nil {
		return flow.Docket{}, err
	}
	return s.readDocket(q, id, session)
}

// docket loads and locks what a ref leads to. Another dispute of the session may have begun before the lock was there.
func (t *tx) docket(ref flow.DocketRef) (flow.Docket, error) {
	id, session, err := findDocket(t, ref)
	if err != nil {
		return flow.Docket{}, err
	}
	if _, err := t.session(session); err != nil {
		return flow.Docket{}, err
	}
	if again, at, err := findDocket(t, ref); err != nil || at != session {
		return flow.Docket{}, errors.Join(err, noDispute())
	} else if again != id {
		id = again
	}
	return t.store.readDocket(t, id, session)
}

// findDocket resolves a ref; the dispute is empty when a session has none yet.
func findDocket(q querier, ref flow.DocketRef) (id ident.DisputeID, session ident.SessionID, err error) {
	switch {
	case ref.Dispute != "":
		err = q.one(`SELECT id, session_id FROM dispute WHERE id = $1`, []any{ref.Dispute}, &id, &session)
	case ref.Link != "":
		err = q.one(`SELECT dispute.id, dispute.session_id FROM party_link JOIN dispute ON dispute.id = party_link.dispute_id WHERE party_link.id = $1`,
			[]any{ref.Link}, &id, &session)
	case ref.Device != "":
		var (
			who string
			v   *flow.DisputeRefView
		)
		if who, err = holderNow(q, ref.Device); err == nil {
			var openedAt int64
			if err = q.one(`SELECT coalesce((SELECT opened_at FROM visit WHERE device_id = $1 AND closed_at = 0), 0)`, []any{ref.Device}, &openedAt); err == nil {
				v, err = disputeAt(q, ref.Device, who, openedAt)
			}
		}
		if err == nil && v == nil {
			err = sql.ErrNoRows
		}
		if err == nil {
			err = q.one(`SELECT id, session_id FROM dispute WHERE id = $1`, []any{v.ID}, &id, &session)
		}
	default:
		err = q.one(`SELECT id FROM session WHERE id = $1`, []any{ref.Session}, &session)
		if errors.Is(err, sql.ErrNoRows) {
			return "", "", noSession()
		}
		if err == nil {
			err = q.one(`SELECT coalesce((SELECT id FROM dispute WHERE session_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1), '')`, []any{ref.Session}, &id)
		}
		return id, session, err
	}
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", noDispute()
	}
	return id, session, err
}

// disputeAt returns the open dispute of who sits at a terminal, or the last one that ended in the visit that was opened
// then; nil when there is none.
func disputeAt(q querier, device ident.DeviceID, who string, openedAt int64) (*flow.DisputeRefView, error) {
	if who == "" {
		return nil, nil //nolint:nilnil // no dispute is no error
	}
	var v flow.DisputeRefView
	err := q.one(`SELECT dispute.id, dispute.ver FROM dispute JOIN ticket ON ticket.id = dispute.ticket_id
		WHERE dispute.device_id = $1 AND ticket.holder_key = $2 AND (ticket.state = 'serving' OR dispute.closed_at >= $3 AND $3 > 0)
		ORDER BY dispute.created_at DESC, dispute.id DESC LIMIT 1`, []any{device, who, openedAt}, &v.ID, &v.Ver)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // no dispute is no error
	}
	return &v, err
}

// readDocket reads a docket; id may be empty.
func (s *Store) readDocket(q querier, id ident.DisputeID, session ident.SessionID) (flow.Docket, error) {
	var d flow.Docket
	var err error
	if d.Session, err = readSession(q, session); err != nil {
		return d, err
	}
	if d.Mediator, err = mediator(q, d.Session.Mediator); err != nil {
		return d, err
	}
	var holder string
	err = q.one(`SELECT staff.unit_id, device.name, device.life = 'retired', ticket.holder_key,
			coalesce((SELECT id FROM capture_grant WHERE capture_grant.device_id = device.id AND redeemed_at > 0 AND revoked_at = 0 ORDER BY at DESC LIMIT 1), '')
		FROM session JOIN staff ON staff.id = session.mediator_id JOIN device ON device.id = session.device_id JOIN ticket ON ticket.id = session.ticket_id
		WHERE session.id = $1`, []any{session}, &d.Unit, &d.Terminal, &d.Gone, &holder, &d.Phone)
	if err != nil {
		return d, err
	}
	if now, err := holderNow(q, d.Session.Device); err == nil && now != holder {
		d.Gone, d.Phone = true, ""
	} else if err != nil && fault.KindOf(err) != fault.NotFound {
		return d, err
	}
	if id == "" {
		return d, nil
	}
	if d.Dispute, err = s.readDispute(q, id); err != nil {
		return d, err
	}
	if err := s.readAgreement(q, &d); err != nil {
		return d, err
	}
	err = q.all(`SELECT name, paper, digest, media_type, size FROM document WHERE dispute_id = $1 ORDER BY name`, []any{id}, func(r rows) error {
		var f flow.Document
		err := r.Scan(&f.Name, &f.Paper, &f.Digest, &f.MediaType, &f.Size)
		d.Files = append(d.Files, f)
		return err
	})
	if err != nil {
		return d, err
	}
	if h, ok, err := handoffOf(q, string(id)); err != nil {
		return d, err
	} else if ok {
		d.Handoff = &flow.HandoffView{State: string(h.State), ReceiptNo: h.ReceiptNo, Attempts: h.Attempts, DeliveryID: h.DeliveryID}
	}
	return d, nil
}

func (s *Store) readDispute(q querier, id ident.DisputeID) (dispute.Dispute, error) {
	var (
		d      dispute.Dispute
		sealed []byte
	)
	err := q.one(`SELECT id, ver, session_id, ticket_id, device_id, unit_id, mediator_id, consult_id, state, kind, category, year, serial, number,
			created_at, accepted_at, deadline_on, closed_at, effective_at, confirm_last_on, doc_enc FROM dispute WHERE id = $1`, []any{id},
		&d.ID, &d.Ver, &d.Session, &d.Ticket, &d.Device, &d.Unit, &d.Mediator, &d.Consult, &d.State, &d.Kind, &d.Category, &d.Year, &d.Serial, &d.Number,
		&d.CreatedAt, &d.AcceptedAt, &d.DeadlineOn, &d.ClosedAt, &d.EffectiveAt, &d.ConfirmLastOn, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return d, noDispute()
	}
	if err != nil {
		return d, err
	}
	var doc disputeDoc
	if err := s.openJSON(sealed, &doc); err != nil {
		return d, err
	}
	d.Facts, d.Requests, d.Disclosure, d.Parties, d.Asks = doc.Facts, doc.Requests, doc.Disclosure, doc.Parties, doc.Asks
	d.Statements, d.Closing = doc.Statements, doc.Closing
	err = q.all(`SELECT id, party_id, purpose, state, digest, expires_at, redeemed_at, revoked_at, token_hash, code_hash, cookie_hash, at
		FROM party_link WHERE dispute_id = $1 ORDER BY at, id`, []any{id}, func(r rows) error {
		var l dispute.Link
		err := r.Scan(&l.ID, &l.Party, &l.Purpose, &l.State, &l.Digest, &l.ExpiresAt, &l.RedeemedAt, &l.RevokedAt, &l.TokenHash, &l.CodeHash, &l.CookieHash, &l.At)
		d.Links = append(d.Links, l)
		return err
	})
	return d, err
}

// readAgreement reads the newest version.
func (s *Store) readAgreement(q querier, d *flow.Docket) error {
	var sealed []byte
	err := q.one(`SELECT doc_enc FROM agreement WHERE dispute_id = $1 ORDER BY v DESC LIMIT 1`, []any{d.Dispute.ID}, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.openJSON(sealed, &d.Agreement)
}

func (s *Store) openJSON(sealed []byte, v any) error {
	plain, err := s.open(sealed)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, v)
}

func (s *Store) sealJSON(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s.seal(plain)
}

// copyDocket returns a deep copy.
func copyDocket(d *flow.Docket) (flow.Docket, error) {
	c := *d
	c.Session = d.Session.Clone()
	c.Dispute = d.Dispute.Clone()
	c.Files = slices.Clone(d.Files)
	plain, err := json.Marshal(d.Agreement)
	if err != nil {
		return c, err
	}
	c.Agreement = zero(c.Agreement)
	return c, json.Unmarshal(plain, &c.Agreement)
}

func zero[T any](T) T {
	var z T
	return z
}

// nextSerial draws the next number of a committee in a year. Its row is locked until the command ends, so numbers are
// gap-free: a command that fails gives its number back.
func (t *tx) nextSerial(unit ident.UnitID, year int) (int64, error) {
	var n int64
	err := t.one(`INSERT INTO dispute_counter (unit_id, year, last) VALUES ($1, $2, 1)
		ON CONFLICT (unit_id, year) DO UPDATE SET last = dispute_counter.last + 1 RETURNING last`, []any{unit, year}, &n)
	return n, err
}

// saveDocket writes what a command changed.
func (t *tx) saveDocket(cmd mediation.Command, c *flow.DocketChange) error {
	b, a := &c.Before, &c.After
	if a.Session.ID != "" && !reflect.DeepEqual(a.Session, b.Session) {
		if err := t.saveSession(cmd, &b.Session, &a.Session); err != nil {
			return err
		}
	}
	changed := !reflect.DeepEqual(a.Dispute, b.Dispute) || !reflect.DeepEqual(a.Agreement, b.Agreement) || len(a.NewFiles) > 0 || a.Package != nil
	if a.Dispute.ID != "" && changed {
		if err := t.saveDispute(cmd, &b.Dispute, &a.Dispute); err != nil {
			return err
		}
		if err := t.saveAgreements(cmd, a); err != nil {
			return err
		}
		if err := t.saveFiles(cmd, a); err != nil {
			return err
		}
	}
	for _, x := range a.Texts {
		if err := t.text(x, cmd.At); err != nil {
			return err
		}
	}
	if a.Package != nil {
		if err := t.enqueue(cmd, *a.Package); err != nil {
			return err
		}
	}
	for _, n := range a.Notes {
		err := t.event(audit.Event{
			Aggregate: "dispute", ID: string(a.Dispute.ID), Type: n.Type, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause, Data: nonEmpty(n.Data),
		})
		if err != nil {
			return err
		}
	}
	if !changed && reflect.DeepEqual(a.Session, b.Session) {
		return nil
	}
	var err error
	if c.Ver, _, err = t.situationChanged(a.Session.Device, cmd.At); err != nil {
		return err
	}
	if a.Package != nil {
		h, _, err := handoffOf(t, string(a.Dispute.ID))
		a.Handoff = &flow.HandoffView{State: string(h.State), DeliveryID: h.DeliveryID}
		return err
	}
	return nil
}

func (t *tx) saveDispute(cmd mediation.Command, b, a *dispute.Dispute) error {
	a.Ver = b.Ver + 1
	sealed, err := t.store.sealJSON(disputeDoc{
		Facts: a.Facts, Requests: a.Requests, Disclosure: a.Disclosure, Parties: a.Parties, Asks: a.Asks, Statements: a.Statements, Closing: a.Closing,
	})
	if err != nil {
		return err
	}
	code := ""
	if a.Closing != nil {
		code = a.Closing.Code
	}
	if b.ID != a.ID {
		a.Ver = 1
		_, err = t.exec(`INSERT INTO dispute (id, ver, session_id, ticket_id, device_id, unit_id, mediator_id, consult_id, state, kind, category, created_at, doc_enc, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
			a.ID, a.Ver, a.Session, a.Ticket, a.Device, a.Unit, a.Mediator, a.Consult, a.State, a.Kind, a.Category, a.CreatedAt, sealed, cmd.At)
	} else {
		var n int64
		n, err = t.exec(`UPDATE dispute SET ver = $2, state = $3, year = $4, serial = $5, number = $6, accepted_at = $7, deadline_on = $8, closed_at = $9,
				closing_code = $10, effective_at = $11, confirm_last_on = $12, doc_enc = $13, at = $14 WHERE id = $1 AND ver = $15`,
			a.ID, a.Ver, a.State, a.Year, a.Serial, a.Number, a.AcceptedAt, a.DeadlineOn, a.ClosedAt, code, a.EffectiveAt, a.ConfirmLastOn, sealed, cmd.At, b.Ver)
		err = oneRow(n, err, "dispute")
	}
	if err != nil {
		return err
	}
	for i, l := range a.Links {
		if b.ID == a.ID && i < len(b.Links) && b.Links[i] == l {
			continue
		}
		_, err := t.exec(`INSERT INTO party_link (id, dispute_id, party_id, purpose, token_hash, code_hash, cookie_hash, digest, state, expires_at, redeemed_at, revoked_at, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (id) DO UPDATE SET cookie_hash = excluded.cookie_hash, state = excluded.state, redeemed_at = excluded.redeemed_at, revoked_at = excluded.revoked_at`,
			l.ID, a.ID, l.Party, l.Purpose, l.TokenHash, l.CodeHash, l.CookieHash, l.Digest, l.State, l.ExpiresAt, l.RedeemedAt, l.RevokedAt, l.At)
		if err != nil {
			return err
		}
	}
	from := ""
	if b.ID == a.ID {
		from = string(b.State)
	}
	return t.changed(cmd, "dispute", string(a.ID), from, string(a.State), map[string]string{
		"ver": strconv.FormatInt(a.Ver, 10), "session": string(a.Session), "code": code,
	})
}

func (t *tx) saveAgreements(cmd mediation.Command, d *flow.Docket) error {
	if f := d.Former; f != nil {
		sealed, err := t.store.sealJSON(f)
		if err == nil {
			_, err = t.exec(`UPDATE agreement SET state = $2, doc_enc = $3, at = $4 WHERE id = $1`, f.ID, f.State, sealed, cmd.At)
		}
		if err != nil {
			return err
		}
	}
	a := &d.Agreement
	if a.V == 0 {
		return nil
	}
	sealed, err := t.store.sealJSON(a)
	if err != nil {
		return err
	}
	digest := ""
	if a.Digest.BlocksSHA256 != "" {
		digest = a.Digest.SHA256()
	}
	_, err = t.exec(`INSERT INTO agreement (id, dispute_id, v, state, sign_mode, digest, pdf_sha256, effective_at, doc_enc, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, sign_mode = excluded.sign_mode, digest = excluded.digest, pdf_sha256 = excluded.pdf_sha256,
			effective_at = excluded.effective_at, doc_enc = excluded.doc_enc, at = excluded.at`,
		a.ID, d.Dispute.ID, a.V, a.State, a.Mode, digest, a.Digest.PDFSHA256, a.EffectiveAt, sealed, cmd.At)
	return err
}

// saveFiles keeps new files. A file that has a name already stays what it was: papers are made once.
func (t *tx) saveFiles(cmd mediation.Command, d *flow.Docket) error {
	for _, f := range d.NewFiles {
		digest, err := t.putBlob(f.Content, cmd.At)
		if err != nil {
			return err
		}
		f.Digest, f.Size, f.Content = digest, int64(len(f.Content)), nil
		_, err = t.exec(`INSERT INTO document (dispute_id, name, paper, digest, media_type, size, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			d.Dispute.ID, f.Name, f.Paper, f.Digest, f.MediaType, f.Size, cmd.At)
		if err != nil {
			return err
		}
		d.Files = append(d.Files, f)
	}
	slices.SortFunc(d.Files, func(a, b flow.Document) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return nil
}

// File implements flow.DocketStore.
func (s *Store) File(ctx context.Context, id ident.DisputeID, digest string) (flow.Document, error) {
	q := s.read(ctx)
	var f flow.Document
	err := q.one(`SELECT name, paper, digest, media_type, size FROM document WHERE dispute_id = $1 AND digest = $2 ORDER BY name LIMIT 1`,
		[]any{id, digest}, &f.Name, &f.Paper, &f.Digest, &f.MediaType, &f.Size)
	if errors.Is(err, sql.ErrNoRows) {
		return f, errNoFile()
	}
	if err == nil {
		f.Content, err = s.blob(q, digest)
	}
	return f, err
}

// Unfinished implements flow.DocketStore.
func (s *Store) Unfinished(ctx context.Context, limit int) ([]ident.DisputeID, error) {
	var list []ident.DisputeID
	err := s.read(ctx).all(`SELECT dispute.id FROM dispute WHERE dispute.state = 'mediating'
			AND EXISTS (SELECT 1 FROM agreement WHERE agreement.dispute_id = dispute.id AND agreement.state IN ('mediator_signed', 'effective'))
		UNION ALL SELECT dispute.id FROM dispute WHERE dispute.state IN ('agreed', 'guided')
			AND EXISTS (SELECT 1 FROM handoff WHERE handoff.subject = dispute.id AND handoff.version = 1 AND handoff.state = 'verified')
		LIMIT $1`, []any{limit}, func(r rows) error {
		var id ident.DisputeID
		err := r.Scan(&id)
		list = append(list, id)
		return err
	})
	return list, err
}

// Chain implements flow.DocketStore.
func (s *Store) Chain(ctx context.Context, id ident.DisputeID) ([]byte, error) {
	events, err := s.Events(ctx, "dispute", string(id))
	if err != nil {
		return nil, err
	}
	return audit.Export(events)
}
