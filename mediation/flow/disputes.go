package flow

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/notify"
	"heyi/mediation"
	"heyi/mediation/dispute"
	"heyi/mediation/paper"
	"heyi/mediation/partylink"
	"heyi/mediation/session"
)

// Convert registers a dispute in a session: from a consult, whose person is then asked whether he wants to mediate now,
// or in a mediation.
//
// Errors: fault.NotFound "session.none"; fault.Conflict "session.state", "dispute.exists" with the open one in Ref;
// those of dispute.New.
func (s *Dockets) Convert(ctx context.Context, by By, sessionID string, in ConvertBody) (DisputeView, error) {
	id, err := named[ident.SessionID](sessionID, "session.none")
	if err != nil {
		return DisputeView{}, err
	}
	cmd, err := s.command(by, "dispute.register", in.Key)
	if err != nil {
		return DisputeView{}, err
	}
	d, err := s.change(ctx, cmd, DocketRef{Session: id}, func(d *Docket) error {
		k := &d.Session
		if k.Mediator != by.Staff || by.Staff == "" {
			return noSession()
		}
		if d.Dispute.ID != "" && d.Dispute.State != dispute.NotAccepted && d.Dispute.State != dispute.Closed {
			return fault.New(fault.Conflict, "dispute.exists").WithRef(string(d.Dispute.ID))
		}
		person := k.Party()
		consult := k.Kind == session.Consult
		if person == nil || consult && k.State != session.Joint || !consult && (!k.State.Live() || k.StartedAt == 0) {
			return fault.New(fault.Conflict, "session.state").WithRef(string(k.State))
		}
		n, err := dispute.New(dispute.Registration{
			Kind: dispute.Kind(in.MediationKind), Category: mediation.Category(in.Category), Name: in.Applicant.Name,
			Facts: paper.Clean(in.Facts), Requests: in.Requests, Participant: person.ID, Mediation: !consult,
		}, cmd.At)
		if err != nil {
			return err
		}
		n.Session, n.Ticket, n.Device, n.Mediator = k.ID, k.Ticket, k.Device, k.Mediator
		n.Unit, _ = s.committee(d.Unit)
		if n.Unit == "" {
			return fault.New(fault.Precondition, "dispute.no_committee")
		}
		if consult {
			n.Consult = k.ID
		}
		person.Name = session.ApplicantName
		d.Dispute = n
		return nil
	})
	if err != nil {
		return DisputeView{}, err
	}
	return s.staffView(&d)
}

// Get shows a dispute to staff.
//
// Errors: fault.NotFound "dispute.none".
func (s *Dockets) Get(ctx context.Context, by By, id string) (DisputeView, error) {
	ref, err := ofMediator(id)
	if err != nil {
		return DisputeView{}, err
	}
	d, err := s.d.Store.Docket(ctx, ref)
	if err == nil {
		err = s.mayLook(&d, by)
	}
	if err != nil {
		return DisputeView{}, err
	}
	return s.staffView(&d)
}

// SetPerson writes down who a party is; an empty id number or phone leaves the known one.
//
// Errors: those of dispute.SetPerson.
func (s *Dockets) SetPerson(ctx context.Context, by By, id, party string, in PersonBody) (DisputeView, error) {
	return s.byMediator(ctx, by, id, "party.describe", in.Key, func(d *Docket, _ mediation.Command) error {
		p := dispute.Person{
			Name: in.Name, IDNo: in.IDNo, Phone: in.Phone, Sex: in.Sex, Ethnic: in.Ethnic, BirthYear: in.BirthYear, Address: in.Address, Occupation: in.Occupation,
		}
		if known := d.Dispute.Party(ident.PartyID(party)); known != nil { // the desk sees these two masked only: empty leaves them as they are
			p.IDNo, p.Phone = cmp.Or(p.IDNo, known.Person.IDNo), cmp.Or(p.Phone, known.Person.Phone)
		}
		return d.Dispute.SetPerson(ident.PartyID(party), p)
	})
}

// Invite adds a person by name with a link that is inert until every required party who is here consented to him.
//
// Errors: those of dispute.Invite.
func (s *Dockets) Invite(ctx context.Context, by By, id string, in InviteBody) (DisputeView, error) {
	return s.byMediator(ctx, by, id, "party.invite", in.Key, func(d *Docket, cmd mediation.Command) error {
		link, err := d.Dispute.Invite(dispute.Person{Name: in.Name, Phone: in.Phone}, in.Role, dispute.Side(in.Side), cmd.At)
		if err != nil {
			return err
		}
		link.ExpiresAt = cmd.At + s.inviteLife().Microseconds()
		if link.State == dispute.LinkLive {
			s.sendInvite(d, link)
		}
		return nil
	})
}

func (s *Dockets) inviteLife() time.Duration { return cmp.Or(s.d.InviteLife, dispute.JoinLife) }

// lifeWords says how long a link may be used: "24小时", of less than whole hours the begun minutes.
func lifeWords(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d小时", d/time.Hour)
	}
	return fmt.Sprintf("%d分钟", (d+time.Minute-1)/time.Minute)
}

// sendInvite tells an invited person by text, in the transaction that made his link live.
func (s *Dockets) sendInvite(d *Docket, link *dispute.Link) {
	p := d.Dispute.Party(link.Party)
	if p == nil {
		return
	}
	from := ""
	if a := d.Dispute.AtTerminal(); a != nil {
		from = a.Person.Name
	}
	token, _ := s.d.Secrets.Of(link.ID)
	d.Texts = append(d.Texts, notify.Text{
		Template: notify.Invite, To: p.Person.Phone, UntilAt: link.ExpiresAt, Subject: string(d.Dispute.ID), Args: map[string]string{
			"url": s.d.PublicURL + "/join/" + token, "from": from, "unit": s.committeeName(d.Dispute.Unit), "mediator": d.Mediator.Name,
			"life": lifeWords(s.inviteLife()),
		},
	})
}

// Revoke takes an invitation back; who used it already is out of the room.
//
// Errors: those of dispute.Revoke.
func (s *Dockets) Revoke(ctx context.Context, by By, id, link string, in KeyBody) (DisputeView, error) {
	return s.byMediator(ctx, by, id, "party.revoke", in.Key, func(d *Docket, cmd mediation.Command) error {
		if err := d.Dispute.Revoke(ident.LinkID(link), cmd.At); err != nil {
			return err
		}
		d.Session.DepartLink(ident.LinkID(link), s.d.Session, cmd.At)
		return nil
	})
}

// codeHash is how the code of a phone is kept.
func codeHash(party ident.PartyID, code string) string {
	return partylink.Hash(string(party) + "\x00" + code)
}

// SendPhoneCode texts six digits to a party's phone: 10 minutes, three tries.
//
// Errors: those of dispute.SendCode; fault.TooMany "identity.too_many_codes" within half a minute of the last.
func (s *Dockets) SendPhoneCode(ctx context.Context, by By, id, party string, in KeyBody) (DisputeView, error) {
	return s.byMediator(ctx, by, id, "identity.code_sent", in.Key, func(d *Docket, cmd mediation.Command) error {
		p := ident.PartyID(party)
		code := s.d.Secrets.PhoneCode(p, cmd.At)
		if err := d.Dispute.SendCode(p, codeHash(p, code), cmd.At); err != nil {
			return err
		}
		sent := d.Dispute.Party(p)
		d.Texts = append(d.Texts, notify.Text{
			Template: notify.PhoneCode, To: sent.Person.Phone, UntilAt: sent.Code.ExpireAt, Subject: string(d.Dispute.ID), Args: map[string]string{"code": code},
		})
		d.note("identity.code", map[string]string{"party": party})
		return nil
	})
}

func (d *Docket) note(name string, data map[string]string) {
	d.Notes = append(d.Notes, Note{Type: name, Data: data})
}

// VerifyIdentity notes that the mediator compared a person with his document, alone with him in the check zone.
//
// Errors: those of dispute.Verify; fault.Conflict "identity.not_checking" outside his check zone; fault.Invalid
// "identity.not_passed".
func (s *Dockets) VerifyIdentity(ctx context.Context, by By, id, party string, in IdentityBody) (DisputeView, error) {
	return s.byMediator(ctx, by, id, "identity.verified", in.Key, func(d *Docket, cmd mediation.Command) error {
		p := d.Dispute.Party(ident.PartyID(party))
		if p == nil {
			return fault.New(fault.NotFound, "party.none")
		}
		if !in.Passed {
			return fault.InField("identity.not_passed", "passed")
		}
		if !d.Session.Checked(p.Participant) {
			return fault.New(fault.Conflict, "identity.not_checking").WithRef(party)
		}
		if err := d.Dispute.Verify(p.ID, in.Methods, by.Staff, d.Session.ID, cmd.At); err != nil {
			return err
		}
		d.note("identity.check", map[string]string{"party": party, "methods": strings.Join(p.Identity.Methods, "+")})
		return nil
	})
}

// Disclose notes what binds the mediator to a party and asks everybody.
//
// Errors: those of dispute.Disclose.
func (s *Dockets) Disclose(ctx context.Context, by By, id string, in DisclosureBody) (DisputeView, error) {
	return s.byMediator(ctx, by, id, "dispute.disclose", in.Key, func(d *Docket, cmd mediation.Command) error {
		return d.Dispute.Disclose(paper.Clean(in.Text), cmd.At)
	})
}

// Say puts something into the record.
//
// Errors: those of dispute.Say.
func (s *Dockets) Say(ctx context.Context, by By, id string, in StatementBody) (DisputeView, error) {
	return s.byMediator(ctx, by, id, "statement.add", in.Key, func(d *Docket, cmd mediation.Command) error {
		if err := d.Dispute.Say(in.Kind, paper.Clean(in.Text), cmd.At); err != nil {
			return err
		}
		d.note("statement.kept", map[string]string{"statement": d.Dispute.Statements[len(d.Dispute.Statements)-1].ID, "kind": in.Kind})
		return nil
	})
}

// Close ends a dispute without agreement.
//
// Errors: those of dispute.Fail.
func (s *Dockets) Close(ctx context.Context, by By, id string, in CloseBody) (DisputeView, error) {
	return s.byMediator(ctx, by, id, "dispute.close", in.Key, func(d *Docket, cmd mediation.Command) error {
		if d.Agreement.State == agreementSealing {
			return fault.New(fault.Conflict, "agreement.state").WithRef(string(d.Agreement.State))
		}
		if err := d.Dispute.Fail(in.Code, paper.Clean(in.Reason), cmd.At); err != nil {
			return err
		}
		return d.withdrawAgreement()
	})
}

// Check asks one participant into the check zone, and puts again what he did not agree to before.
//
// Errors: fault.NotFound "session.none", "session.no_member"; fault.Conflict "session.state".
func (s *Dockets) Check(ctx context.Context, cmd mediation.Command, staff ident.StaffID, id ident.SessionID, who ident.ParticipantID) error {
	_, err := s.change(ctx, cmd, DocketRef{Session: id}, func(d *Docket) error {
		if d.Session.Mediator != staff {
			return noSession()
		}
		if err := d.Session.Check(who, s.d.Session, cmd.At); err != nil {
			return err
		}
		if p := d.Dispute.ByParticipant(who); p != nil {
			d.Dispute.AskAgain(p, cmd.At)
		}
		return nil
	})
	return err
}

// Joint brings everybody together when nothing is missing. The first time it accepts the dispute in the same
// transaction: its number is drawn and its clock runs.
//
// Errors: fault.NotFound "session.none", "dispute.none"; fault.Conflict "session.state", "dispute.state", or the first
// of dispute.Blockers with its party in Ref.
func (s *Dockets) Joint(ctx context.Context, cmd mediation.Command, staff ident.StaffID, id ident.SessionID) error {
	_, err := s.change(ctx, cmd, DocketRef{Session: id}, func(d *Docket) error {
		if d.Session.Mediator != staff {
			return noSession()
		}
		if d.Dispute.ID == "" {
			return noDispute()
		}
		if d.Session.Kind == session.Mediation && d.Session.State == session.Joint {
			return nil
		}
		if missing := d.Dispute.Blockers(d.Session.ID, d.presence); len(missing) > 0 {
			return fault.New(fault.Conflict, missing[0].Code).WithRef(string(missing[0].Party))
		}
		switch d.Dispute.State {
		case dispute.Contacting:
			now := s.d.Now().In(s.d.TZ)
			serial, err := d.Serial(now.Year())
			if err != nil {
				return err
			}
			_, abbr := s.committee(d.Dispute.Unit)
			if err := d.Dispute.Accepted(abbr, serial, now); err != nil {
				return err
			}
			d.note("dispute.accepted", map[string]string{"number": d.Dispute.Number, "deadline_on": d.Dispute.DeadlineOn})
		case dispute.Mediating:
		default:
			return fault.New(fault.Conflict, "dispute.state").WithRef(string(d.Dispute.State))
		}
		return d.Session.StartJoint(s.d.Session, cmd.At)
	})
	return err
}

// File hands a file of a dispute to staff.
//
// Errors: fault.NotFound "dispute.none", "file.none".
func (s *Dockets) File(ctx context.Context, by By, id, digest string) (Document, error) {
	ref, err := ofMediator(id)
	if err != nil {
		return Document{}, err
	}
	d, err := s.d.Store.Docket(ctx, ref)
	if err == nil {
		err = s.mayLook(&d, by)
	}
	if err != nil {
		return Document{}, err
	}
	return s.d.Store.File(ctx, d.Dispute.ID, digest)
}

// required are the parties without whom nothing starts, side A first.
func required(d *dispute.Dispute) []*dispute.Party {
	var list []*dispute.Party
	for i := range d.Parties {
		if d.Parties[i].Required {
			list = append(list, &d.Parties[i])
		}
	}
	slices.SortStableFunc(list, func(a, b *dispute.Party) int { return strings.Compare(string(a.Side), string(b.Side)) })
	return list
}
