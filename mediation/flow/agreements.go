package flow

import (
	"bytes"
	"context"
	"reflect"
	"strconv"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/dispute"
)

// agreementSealing is the state between the mediator's signature and the seal: nothing may end the dispute then.
const agreementSealing = agreement.MediatorSigned

func noAgreement() error { return fault.New(fault.NotFound, "agreement.none") }

func number(n int) string { return strconv.Itoa(n) }

// meta is what the text of an agreement says beside its clauses.
func (s *Dockets) meta(d *Docket) agreement.Meta {
	m := agreement.Meta{
		Unit: s.committeeName(d.Dispute.Unit), Number: d.Dispute.Number, Category: d.Dispute.Category, Mediator: d.Mediator.Name,
		Rule: agreement.Rule(dispute.RuleOf(d.Dispute.Kind).Effect),
	}
	for _, p := range required(&d.Dispute) {
		role := agreement.Respondent
		if p.Role == dispute.Applicant {
			role = agreement.Applicant
		}
		m.Parties = append(m.Parties, agreement.Party{
			ID: string(p.ID), Name: p.Person.Name, Role: role, Sex: p.Person.Sex, Ethnic: p.Person.Ethnic, BirthYear: p.Person.BirthYear,
			Occupation: p.Person.Occupation, Phone: p.Person.Phone, Address: p.Person.Address,
			Verified: identity(p, d.Session.ID) != "", ESign: p.Consents.ESign != nil && *p.Consents.ESign,
		})
	}
	return m
}

// today is the day of the service's time zone at an instant.
func (s *Dockets) today(at int64) string { return time.UnixMicro(at).In(s.d.TZ).Format(time.DateOnly) }

// withdrawAgreement ends the version that nobody will sign any more.
func (d *Docket) withdrawAgreement() error {
	switch d.Agreement.State {
	case agreement.Drafting, agreement.Frozen, agreement.Signing:
		if d.Agreement.V > 0 {
			return d.Agreement.Withdraw()
		}
	case agreement.MediatorSigned, agreement.Effective, agreement.Withdrawn, agreement.Replaced:
	}
	return nil
}

func (d *Docket) mediating() error {
	if d.Dispute.State != dispute.Mediating {
		return fault.New(fault.Conflict, "dispute.state").WithRef(string(d.Dispute.State))
	}
	return nil
}

// SaveDraft replaces the draft over the revision that its writer saw; the first one has the revision 0.
//
// Errors: those of agreement.Revise; fault.Conflict "dispute.state" outside the talk.
func (s *Dockets) SaveDraft(ctx context.Context, by By, id string, in DraftBody) (DisputeView, error) {
	ref, err := ofMediator(id)
	if err != nil {
		return DisputeView{}, err
	}
	cmd := mediation.Command{Name: "agreement.draft", Actor: by.Actor, At: s.d.Now().UnixMicro(), Cause: by.Cause}
	d, err := s.change(ctx, cmd, ref, func(d *Docket) error {
		if d.Session.Mediator != by.Staff || by.Staff == "" {
			return noDispute()
		}
		if err := d.mediating(); err != nil {
			return err
		}
		revision := int(in.Revision)
		if d.Agreement.V == 0 {
			d.Agreement = agreement.New(ident.New[ident.AgreementID](), 1)
			if revision == 0 {
				revision = d.Agreement.Revision
			}
		}
		return d.Agreement.Revise(revision, in.Draft, s.meta(d))
	})
	if err != nil {
		return DisputeView{}, err
	}
	return s.staffView(&d)
}

// Freeze fixes the text of one revision: its PDF is rendered once, outside the transaction, and never changes.
//
// Errors: those of agreement.Prepare; fault.Conflict "dispute.state".
func (s *Dockets) Freeze(ctx context.Context, by By, id string, in FreezeBody) (DisputeView, error) {
	ref, err := ofMediator(id)
	if err != nil {
		return DisputeView{}, err
	}
	now := s.d.Now().UnixMicro()
	prepare := func(d *Docket) ([]agreement.Block, error) {
		if d.Agreement.V == 0 {
			return nil, noAgreement()
		}
		if err := d.mediating(); err != nil {
			return nil, err
		}
		return d.Agreement.Prepare(int(in.Revision), s.meta(d), s.today(now))
	}
	var (
		blocks []agreement.Block
		mode   agreement.Mode
		pdf    []byte
	)
	// What is refused here is refused again in the transaction, unless the command was carried out already.
	if d, err := s.d.Store.Docket(ctx, ref); err == nil && d.Session.Mediator == by.Staff {
		if blocks, err = prepare(&d); err == nil {
			m := s.meta(&d)
			mode = agreement.ModeOf(m.Category, d.Agreement.Draft.Clauses, m.Parties)
			if pdf, err = s.d.Render(agreement.AgreementPaper(blocks, m, mode, now)); err != nil {
				return DisputeView{}, err
			}
		}
	}
	return s.byMediator(ctx, by, id, "agreement.freeze", in.Key, func(d *Docket, cmd mediation.Command) error {
		again, err := prepare(d)
		if err != nil {
			return err
		}
		m := s.meta(d)
		if pdf == nil || mode != agreement.ModeOf(m.Category, d.Agreement.Draft.Clauses, m.Parties) || !reflect.DeepEqual(again, blocks) {
			return fault.New(fault.Stale, "agreement.stale_revision")
		}
		if err := d.Agreement.Freeze(blocks, pdf, m, cmd.At); err != nil {
			return err
		}
		d.NewFiles = append(d.NewFiles, Document{Name: agreementFile(d.Agreement.V), MediaType: "application/pdf", Paper: 8, Content: pdf})
		d.note("agreement.frozen", map[string]string{"v": number(d.Agreement.V), "digest": d.Agreement.Digest.SHA256(), "mode": string(d.Agreement.Mode)})
		return nil
	})
}

// agreementFile names the frozen PDF of a version.
func agreementFile(v int) string {
	if v == 1 {
		return "08-人民调解协议书.pdf"
	}
	return "08-人民调解协议书-第" + number(v) + "版.pdf"
}

// Revise replaces a frozen version by the draft of the next one; signatures on the old one are void.
//
// Errors: fault.Conflict "agreement.state"; fault.NotFound "agreement.none".
func (s *Dockets) Revise(ctx context.Context, by By, id string, in KeyBody) (DisputeView, error) {
	return s.byMediator(ctx, by, id, "agreement.revise", in.Key, func(d *Docket, _ mediation.Command) error {
		if d.Agreement.V == 0 {
			return noAgreement()
		}
		if err := d.mediating(); err != nil {
			return err
		}
		former := d.Agreement
		next, err := former.Next(ident.New[ident.AgreementID]())
		if err != nil {
			return err
		}
		d.note("agreement.replaced", map[string]string{"v": number(former.V), "signatures": number(len(former.Signatures))})
		d.Former, d.Agreement = &former, next
		for i := range d.Dispute.Links { // links to sign are bound to the digest that is void now
			if l := &d.Dispute.Links[i]; l.Purpose == dispute.Sign && l.State == dispute.LinkLive {
				l.State, l.RevokedAt = dispute.LinkRevoked, s.d.Now().UnixMicro()
			}
		}
		return nil
	})
}

// MediatorSign takes the mediator's signature after he proved himself anew; then the seal follows by itself.
//
// Errors: those of Reauth.Confirm and agreement.SignMediator.
func (s *Dockets) MediatorSign(ctx context.Context, by By, id string, in MediatorSignBody) (DisputeView, error) {
	if err := s.d.Reauth.Confirm(ctx, by.Staff, in.Password, in.TOTP); err != nil {
		return DisputeView{}, err
	}
	v, err := s.byMediator(ctx, by, id, "agreement.mediator_sign", in.Key, func(d *Docket, cmd mediation.Command) error {
		if d.Agreement.V == 0 {
			return noAgreement()
		}
		if err := d.mediating(); err != nil {
			return err
		}
		err := d.Agreement.SignMediator(agreement.Signature{
			Party: string(by.Staff), Digest: in.Digest, Mark: in.Mark, Channel: "desk", At: cmd.At,
		}, true)
		if err != nil {
			return err
		}
		d.note("agreement.mediator_signed", map[string]string{"digest": in.Digest, "mark": d.Agreement.Mediator.MarkSHA256})
		return nil
	})
	if err == nil {
		s.Wake()
	}
	return v, err
}

// scanMax bounds the scan of a signed agreement.
const scanMax = 20 << 20

// scanType tells what a scan is by its first bytes.
func scanType(b []byte) (mediaType, ext string) {
	switch {
	case bytes.HasPrefix(b, []byte("%PDF-")):
		return "application/pdf", ".pdf"
	case bytes.HasPrefix(b, []byte{0xFF, 0xD8, 0xFF}):
		return "image/jpeg", ".jpg"
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png", ".png"
	}
	return "", ""
}

// Paper takes the scan of the agreement that everybody signed by hand; a clerk of the subtree attests it after proving
// himself anew.
//
// Errors: those of Reauth.Confirm and agreement.AttestPaper; fault.Invalid "agreement.bad_scan".
func (s *Dockets) Paper(ctx context.Context, by By, id string, in PaperBody) (DisputeView, error) {
	mediaType, ext := scanType(in.Scan)
	if mediaType == "" || len(in.Scan) > scanMax {
		return DisputeView{}, fault.InField("agreement.bad_scan", "scan")
	}
	ref, err := ofMediator(id)
	if err != nil {
		return DisputeView{}, err
	}
	cmd, err := s.command(by, "agreement.paper", in.Key)
	if err != nil {
		return DisputeView{}, err
	}
	if err := s.d.Reauth.Confirm(ctx, by.Staff, in.Password, in.TOTP); err != nil {
		return DisputeView{}, err
	}
	digest := sha256Hex(in.Scan)
	d, err := s.change(ctx, cmd, ref, func(d *Docket) error {
		if err := s.mayLook(d, by); err != nil {
			return err
		}
		if d.Agreement.V == 0 {
			return noAgreement()
		}
		if err := d.mediating(); err != nil {
			return err
		}
		err := d.Agreement.AttestPaper(agreement.Attestation{Scan: digest, SignedOn: in.SignedOn, Clerk: by.Staff, At: cmd.At}, s.d.TZ)
		if err != nil {
			return err
		}
		d.NewFiles = append(d.NewFiles, Document{Name: "08-协议书扫描件" + ext, MediaType: mediaType, Paper: 8, Content: in.Scan})
		d.note("agreement.attested", map[string]string{"scan": digest, "signed_on": in.SignedOn, "digest": d.Agreement.Digest.SHA256()})
		return nil
	})
	if err != nil {
		return DisputeView{}, err
	}
	s.Wake()
	return s.staffView(&d)
}
