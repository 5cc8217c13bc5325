package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"heyi/cases"
	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/parcel"
)

var _ cases.Store = (*Store)(nil)

func noCase() error { return fault.New(fault.NotFound, "case.none") }

// Receive implements cases.Store.
func (s *Store) Receive(ctx context.Context, cmd mediation.Command, a cases.Arrival) (parcel.Receipt, bool, error) {
	var (
		receipt parcel.Receipt
		first   bool
	)
	m := &a.Parcel.Manifest
	err := s.write(ctx, func(t *tx) error {
		first = false
		receipt = parcel.Receipt{Digest: parcel.DeliveryID(a.Parcel.Payload), DeliveryID: a.DeliveryID}
		// whoever brings the same case waits here
		if err := t.dialect.lockChain(t, "intake/"+m.Kind+"/"+m.Subject); err != nil {
			return err
		}
		var (
			row    cases.Row
			sender string
		)
		err := t.one(`SELECT case_file.sender, `+caseColumns+` FROM case_file WHERE subject = $1 AND kind = $2`, []any{m.Subject, m.Kind},
			append([]any{&sender}, caseDest(&row, new([]byte))...)...)
		fresh := errors.Is(err, sql.ErrNoRows)
		switch {
		case fresh:
			row.ID = ident.New[ident.CaseID]()
		case err != nil:
			return err
		case sender != a.Sender:
			return fault.New(fault.Forbidden, "handoff.other_sender")
		}
		var was string
		err = t.one(`SELECT delivery_id, receipt_no FROM case_version WHERE case_id = $1 AND version = $2`, []any{row.ID, m.Version}, &was, &receipt.No)
		switch {
		case err == nil && was == a.DeliveryID:
			return nil
		case err == nil:
			return fault.New(fault.Conflict, "handoff.digest_conflict")
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		first = true
		unit, err := t.unitOfCode(m.Unit)
		if err != nil {
			return err
		}
		if receipt.No, err = t.drawReceipt(unit, m.Unit, a.Day); err != nil {
			return err
		}
		if err := t.saveCase(cmd, a, &row, unit, receipt.No, fresh); err != nil {
			return err
		}
		return t.event(audit.Event{
			Aggregate: "case", ID: string(row.ID), Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause,
			Data: map[string]string{
				"subject": m.Subject, "kind": m.Kind, "version": strconv.Itoa(m.Version), "delivery": a.DeliveryID, "receipt": receipt.No,
				"sender": a.SenderKID, "seal": a.Parcel.Signed.Seal.KID, "seal_known": strconv.FormatBool(a.SealKnown), "state": string(a.State),
			},
		})
	})
	return receipt, first, err
}

func (t *tx) unitOfCode(code string) (ident.UnitID, error) {
	var unit ident.UnitID
	err := t.one(`SELECT id FROM org_unit WHERE code = $1`, []any{code}, &unit)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fault.InField("handoff.unknown_unit", "unit")
	}
	return unit, err
}

// drawReceipt draws the next receipt number of a unit and day. The counter's row is locked until the command ends, so
// that no number is lost or given twice.
func (t *tx) drawReceipt(unit ident.UnitID, code, day string) (string, error) {
	var n int64
	err := t.one(`INSERT INTO receipt_counter (unit_id, day, last) VALUES ($1, $2, 1)
		ON CONFLICT (unit_id, day) DO UPDATE SET last = receipt_counter.last + 1 RETURNING last`, []any{unit, day}, &n)
	return fmt.Sprintf("R-%s-%s-%06d", code, day, n), err
}

// saveCase writes a version of a case; the newest version says what the case shows.
func (t *tx) saveCase(cmd mediation.Command, a cases.Arrival, row *cases.Row, unit ident.UnitID, receipt string, fresh bool) error {
	m := &a.Parcel.Manifest
	payload, signed, err := t.sealPackage(a.Parcel.Payload, a.Parcel.Signatures, a.Parcel.Files, cmd.At)
	if err != nil {
		return err
	}
	masked := make([]string, len(m.Parties))
	for i, p := range m.Parties {
		masked[i] = cases.MaskName(p.Name)
	}
	plain, err := json.Marshal(masked)
	if err != nil {
		return err
	}
	parties, err := t.store.seal(plain)
	if err != nil {
		return err
	}
	serial, _ := cases.SerialOf(m.Number)
	if fresh {
		_, err = t.exec(`INSERT INTO case_file (id, subject, kind, sender, version, unit_id, number, serial, receipt_no, category, mediation_kind, closing_code,
				state, parties_enc, rating, effective_at, confirm_last_on, followup_on, amount_fen, received_at, ver, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, 1, $20)`,
			row.ID, m.Subject, m.Kind, a.Sender, m.Version, unit, m.Number, serial, receipt, m.Category, m.MediationKind, m.ClosingCode,
			a.State, parties, m.Rating, m.EffectiveAt, m.ConfirmLastOn, m.FollowupOn, m.AmountFen, cmd.At)
	} else if m.Version > row.Version {
		var n int64
		n, err = t.exec(`UPDATE case_file SET version = $2, unit_id = $3, number = $4, serial = $16, category = $5, mediation_kind = $6, closing_code = $7, state = $8,
				parties_enc = $9, rating = $10, effective_at = $11, confirm_last_on = $12, followup_on = $13, amount_fen = $14, ver = ver + 1, at = $15 WHERE id = $1`,
			row.ID, m.Version, unit, m.Number, m.Category, m.MediationKind, m.ClosingCode, a.State,
			parties, m.Rating, m.EffectiveAt, m.ConfirmLastOn, m.FollowupOn, m.AmountFen, cmd.At, serial)
		err = oneRow(n, err, "case")
	}
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO case_version (case_id, version, delivery_id, receipt_no, sender_kid, seal_kid, seal_alg, seal_ok, payload_enc, signatures_enc, received_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		row.ID, m.Version, a.DeliveryID, receipt, a.SenderKID, a.Parcel.Signed.Seal.KID, string(a.Parcel.Signed.Seal.Alg), a.SealKnown, payload, signed, cmd.At)
	if err != nil {
		return err
	}
	for _, p := range m.Parties {
		for _, term := range []string{t.store.SearchHash(SearchName, p.Name), p.IDHMAC} {
			if term == "" {
				continue
			}
			if _, err := t.exec(`INSERT INTO case_term (term, case_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, term, row.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

const caseColumns = `case_file.id, case_file.subject, case_file.kind, case_file.version, case_file.number, case_file.receipt_no, case_file.category,
	case_file.mediation_kind, case_file.closing_code, case_file.unit_id, case_file.state, case_file.parties_enc, case_file.received_at,
	case_file.effective_at, case_file.confirm_last_on, case_file.followup_on, case_file.rating`

// caseDest returns where caseColumns go; the names come sealed.
func caseDest(r *cases.Row, parties *[]byte) []any {
	return []any{
		&r.ID, &r.Subject, &r.Kind, &r.Version, &r.Number, &r.ReceiptNo, &r.Category,
		&r.MediationKind, &r.ClosingCode, &r.Unit, &r.State, parties, &r.ReceivedAt,
		&r.EffectiveAt, &r.ConfirmLastOn, &r.FollowupOn, &r.Rating,
	}
}

func (s *Store) scanCase(scan func(dest ...any) error) (cases.Row, error) {
	var (
		r      cases.Row
		sealed []byte
	)
	if err := scan(caseDest(&r, &sealed)...); err != nil {
		return r, err
	}
	plain, err := s.open(sealed)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(plain, &r.Parties)
}

// Cases implements cases.Store.
func (s *Store) Cases(ctx context.Context, f cases.Filter) (list []cases.Row, total int, err error) {
	q := s.read(ctx)
	where, args := `FROM case_file WHERE case_file.unit_id IN (SELECT node FROM org_closure WHERE ancestor = $1)`, []any{f.Unit}
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	if f.Kind != "" {
		where += ` AND case_file.kind = ` + arg(f.Kind)
	}
	if f.State != "" {
		where += ` AND case_file.state = ` + arg(f.State)
	}
	if f.Q != "" {
		upper := strings.ToUpper(f.Q)
		where += ` AND case_file.id IN (SELECT case_id FROM case_term WHERE term IN (` + arg(s.SearchHash(SearchName, f.Q)) + `, ` + arg(s.SearchHash(SearchIDNo, upper)) + `)
			UNION SELECT case_id FROM case_version WHERE receipt_no = ` + arg(upper) + `
			UNION SELECT id FROM case_file WHERE number = ` + arg(f.Q)
		if serial, ok := cases.SerialOf(f.Q); ok && !strings.HasPrefix(f.Q, "(") {
			where += ` UNION SELECT id FROM case_file WHERE serial = ` + arg(serial)
		}
		where += `)`
	}
	if err := q.one(`SELECT count(*) `+where, args, &total); err != nil {
		return nil, 0, err
	}
	where += ` AND (case_file.received_at, case_file.id) < (` + arg(f.After.At) + `, ` + arg(f.After.ID) + `)
		ORDER BY case_file.received_at DESC, case_file.id DESC LIMIT ` + arg(f.Limit+1)
	err = q.all(`SELECT `+caseColumns+` `+where, args, func(r rows) error {
		x, err := s.scanCase(r.Scan)
		list = append(list, x)
		return err
	})
	return list, total, err
}

// caseBy reads a case of the subtree of unit.
func (s *Store) caseBy(q querier, unit ident.UnitID, id ident.CaseID) (cases.Row, error) {
	r, err := s.scanCase(func(dest ...any) error {
		return q.one(`SELECT `+caseColumns+` FROM case_file JOIN org_closure ON org_closure.node = case_file.unit_id
			WHERE case_file.id = $1 AND org_closure.ancestor = $2`, []any{id, unit}, dest...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return r, noCase()
	}
	return r, err
}

// Case implements cases.Store.
func (s *Store) Case(ctx context.Context, unit ident.UnitID, id ident.CaseID) (cases.Case, error) {
	q := s.read(ctx)
	row, err := s.caseBy(q, unit, id)
	if err != nil {
		return cases.Case{}, err
	}
	c := cases.Case{Row: row}
	err = q.all(`SELECT version, delivery_id, receipt_no, received_at, seal_kid, seal_alg, seal_ok, payload_enc FROM case_version
		WHERE case_id = $1 ORDER BY version DESC`, []any{id}, func(r rows) error {
		var (
			v      cases.Version
			sealed []byte
		)
		if err := r.Scan(&v.Version, &v.DeliveryID, &v.ReceiptNo, &v.ReceivedAt, &v.SealKID, &v.SealAlg, &v.SealKnown, &sealed); err != nil {
			return err
		}
		payload, err := s.open(sealed)
		if err != nil {
			return err
		}
		m, err := mediation.ParseManifest(payload)
		v.Files = m.Files
		c.Versions = append(c.Versions, v)
		return err
	})
	return c, err
}

// CaseFile implements cases.Store.
func (s *Store) CaseFile(ctx context.Context, unit ident.UnitID, id ident.CaseID, digest string) (parcel.File, error) {
	c, err := s.Case(ctx, unit, id)
	if err != nil {
		return parcel.File{}, err
	}
	for _, v := range c.Versions {
		for _, f := range v.Files {
			if f.SHA256 != digest {
				continue
			}
			body, err := s.blob(s.read(ctx), digest)
			return parcel.File{Name: f.Name, MediaType: f.MediaType, Paper: f.Paper, Body: body}, err
		}
	}
	return parcel.File{}, errNoFile()
}

// CasePackage implements cases.Store.
func (s *Store) CasePackage(ctx context.Context, unit ident.UnitID, id ident.CaseID, version int) (parcel.Parcel, error) {
	q := s.read(ctx)
	row, err := s.caseBy(q, unit, id)
	if err != nil {
		return parcel.Parcel{}, err
	}
	if version == 0 {
		version = row.Version
	}
	var payload, signed []byte
	err = q.one(`SELECT payload_enc, signatures_enc FROM case_version WHERE case_id = $1 AND version = $2`, []any{id, version}, &payload, &signed)
	if errors.Is(err, sql.ErrNoRows) {
		return parcel.Parcel{}, noCase()
	}
	if err != nil {
		return parcel.Parcel{}, err
	}
	return s.unpack(q, payload, signed)
}

// Looked implements cases.Store.
func (s *Store) Looked(ctx context.Context, cmd mediation.Command, id ident.CaseID, what string) error {
	return s.write(ctx, func(t *tx) error {
		return t.event(audit.Event{
			Aggregate: "case", ID: string(id), Type: cmd.Name, Actor: cmd.Actor, At: cmd.At, Cause: cmd.Cause, Data: nonEmpty(map[string]string{"digest": what}),
		})
	})
}
