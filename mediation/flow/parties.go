package flow

import (
	"context"
	"slices"
	"strings"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/qr"
	"heyi/internal/spoken"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/dispute"
	"heyi/mediation/paper"
	"heyi/mediation/partylink"
	"heyi/mediation/session"
)

// Mine shows a party his dispute.
//
// Errors: fault.NotFound "dispute.none".
func (s *Dockets) Mine(ctx context.Context, by By) (MyDisputeView, error) {
	d, err := s.d.Store.Docket(ctx, mine(by))
	if err != nil {
		return MyDisputeView{}, err
	}
	return s.partyView(&d, by)
}

func channelOf(by By) string {
	switch {
	case by.Link != "":
		return "party"
	case by.Grant != "":
		return "capture"
	default:
		return "device"
	}
}

// Answer takes a party's answer to an ask.
//
// Errors: those of dispute.Answer; fault.Conflict "session.state" when the session is not there to go on.
func (s *Dockets) Answer(ctx context.Context, by By, in AnswerBody) (MyDisputeView, error) {
	return s.byParty(ctx, by, "ask.answer", in.Key, func(d *Docket, p *dispute.Party, cmd mediation.Command) error {
		i := slices.IndexFunc(d.Dispute.Asks, func(a dispute.Ask) bool { return a.ID == in.AskID && a.Party == p.ID })
		open := i >= 0 && d.Dispute.Asks[i].AnsweredAt == 0
		reply := dispute.Reply{Yes: in.Yes, Items: in.Items, Spoken: in.Spoken, Channel: channelOf(by)}
		party := p.ID
		done, links, err := d.Dispute.Answer(party, in.AskID, reply, cmd.At)
		if err != nil {
			return err
		}
		if open {
			i = slices.IndexFunc(d.Dispute.Asks, func(a dispute.Ask) bool { return a.ID == in.AskID })
		}
		if a := d.Dispute.Asks[i]; open && a.AnsweredAt > 0 {
			data := map[string]string{"party": string(party), "ask": string(a.Kind), "version": a.Version, "channel": a.Channel, "about": string(a.About)}
			if a.Kind == dispute.AskConsents {
				for item, yes := range a.Items {
					data["item."+item] = yesNo(yes)
				}
			} else {
				data["yes"] = yesNo(a.Yes)
			}
			d.note("consent.answered", data)
		}
		for _, id := range links {
			s.sendInvite(d, d.Dispute.Link(id))
		}
		if done == dispute.ToMediation {
			return d.Session.Convert(s.d.Session, cmd.At)
		}
		return nil
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// PhoneCode takes the code that went to a party's phone.
//
// Errors: fault.Invalid "identity.wrong_code"; fault.Conflict "identity.no_code" when none is out.
func (s *Dockets) PhoneCode(ctx context.Context, by By, in PhoneCodeBody) (MyDisputeView, error) {
	v, err := s.byParty(ctx, by, "identity.code", in.Key, func(d *Docket, p *dispute.Party, cmd mediation.Command) error {
		right, err := p.Code.TryCode(codeHash(p.ID, strings.TrimSpace(in.Code)), cmd.At)
		d.note("identity.code_tried", map[string]string{"party": string(p.ID), "right": yesNo(right)})
		return err
	})
	if err == nil && !v.codePassed { // also for the repeat of a wrong try
		return v, fault.InField("identity.wrong_code", "code")
	}
	return v, err
}

// Withdraw lets a party leave the mediation, which ends it.
//
// Errors: those of dispute.Withdraw.
func (s *Dockets) Withdraw(ctx context.Context, by By, in KeyBody) (MyDisputeView, error) {
	return s.byParty(ctx, by, "dispute.withdraw", in.Key, func(d *Docket, p *dispute.Party, cmd mediation.Command) error {
		if d.Agreement.State == agreementSealing {
			return fault.New(fault.Conflict, "agreement.state").WithRef(string(d.Agreement.State))
		}
		if err := d.Dispute.Withdraw(p.ID, cmd.At); err != nil {
			return err
		}
		d.note("party.withdrew", map[string]string{"party": string(p.ID)})
		return d.withdrawAgreement()
	})
}

// Read notes that a party heard or scrolled a block to its end.
//
// Errors: those of agreement.Read; fault.NotFound "agreement.none".
func (s *Dockets) Read(ctx context.Context, by By, in ReadBody) (MyDisputeView, error) {
	return s.byParty(ctx, by, "agreement.read", in.Key, func(d *Docket, p *dispute.Party, _ mediation.Command) error {
		if d.Agreement.V == 0 {
			return noAgreement()
		}
		if err := d.Agreement.Read(string(p.ID), in.Digest, in.Clause); err != nil {
			return err
		}
		d.note("agreement.block_read", map[string]string{"party": string(p.ID), "block": number(in.Clause), "digest": in.Digest})
		return nil
	})
}

// Unclear marks a block as not understood, or takes the mark back.
//
// Errors: as Read.
func (s *Dockets) Unclear(ctx context.Context, by By, in ReadBody) (MyDisputeView, error) {
	return s.byParty(ctx, by, "agreement.unclear", in.Key, func(d *Docket, p *dispute.Party, _ mediation.Command) error {
		if d.Agreement.V == 0 {
			return noAgreement()
		}
		if err := d.Agreement.Unclear(string(p.ID), in.Digest, in.Clause, in.On); err != nil {
			return err
		}
		d.note("agreement.block_unclear", map[string]string{"party": string(p.ID), "block": number(in.Clause), "on": yesNo(in.On)})
		return nil
	})
}

// Readback takes the six digits that a party keyed after reading.
//
// Errors: fault.Invalid "agreement.wrong_code"; those of agreement.ReadBack; fault.NotFound "agreement.none".
func (s *Dockets) Readback(ctx context.Context, by By, in ReadbackBody) (MyDisputeView, error) {
	v, err := s.byParty(ctx, by, "agreement.readback", in.Key, func(d *Docket, p *dispute.Party, cmd mediation.Command) error {
		if d.Agreement.V == 0 {
			return noAgreement()
		}
		ok, err := d.Agreement.ReadBack(string(p.ID), in.Digest, strings.TrimSpace(in.Code), cmd.At)
		if err != nil {
			return err
		}
		d.note("agreement.code_keyed", map[string]string{"party": string(p.ID), "right": yesNo(ok), "digest": in.Digest, "channel": channelOf(by)})
		return nil
	})
	if err == nil && v.Agreement != nil && !v.Agreement.ReadbackOK {
		return v, fault.InField("agreement.wrong_code", "code")
	}
	return v, err
}

// Handover makes the link by which the person at a terminal reads and signs on a phone: ten minutes, one use, bound to
// him and to the digest.
//
// Errors: fault.NotFound "dispute.none", "agreement.none"; fault.Conflict "agreement.state".
func (s *Dockets) Handover(ctx context.Context, by By, in KeyBody) (HandoverView, error) {
	cmd, err := s.command(by, "agreement.handover", in.Key)
	if err != nil {
		return HandoverView{}, err
	}
	var link dispute.Link
	d, err := s.change(ctx, cmd, mine(by), func(d *Docket) error {
		p, err := d.me(by)
		if err != nil {
			return err
		}
		if d.Agreement.V == 0 {
			return noAgreement()
		}
		if d.Agreement.State != agreement.Frozen && d.Agreement.State != agreement.Signing {
			return fault.New(fault.Conflict, "agreement.state").WithRef(string(d.Agreement.State))
		}
		l, err := d.Dispute.HandOver(p, d.Agreement.Digest.SHA256(), cmd.At)
		if err != nil {
			return err
		}
		link = *l
		d.note("agreement.handed_over", map[string]string{"party": string(p.ID), "link": string(l.ID), "digest": l.Digest})
		return nil
	})
	if err != nil {
		return HandoverView{}, err
	}
	if link.ID == "" { // a repeat: the link that the first one made
		p, err := d.me(by)
		if err != nil {
			return HandoverView{}, err
		}
		l := d.Dispute.LinkOf(p.ID, dispute.Sign)
		if l == nil {
			return HandoverView{}, fault.New(fault.NotFound, "link.unknown")
		}
		link = *l
	}
	token, code := s.d.Secrets.Of(link.ID)
	v := HandoverView{URL: s.d.PublicURL + "/s/" + token, Code: spoken.Spelled(code), ExpiresAt: link.ExpiresAt}
	v.QRSVG, err = qr.SVG(v.URL)
	return v, err
}

// Sign takes a party's signature, drawn on his own phone.
//
// Errors: those of agreement.Sign; fault.Forbidden "agreement.sign_elsewhere" from a terminal.
func (s *Dockets) Sign(ctx context.Context, by By, in SignBody) (MyDisputeView, error) {
	return s.byParty(ctx, by, "agreement.sign", in.Key, func(d *Docket, p *dispute.Party, cmd mediation.Command) error {
		channel := channelOf(by)
		switch {
		case channel == "device":
			return fault.New(fault.Forbidden, "agreement.sign_elsewhere")
		case d.Agreement.V == 0:
			return noAgreement()
		case d.Dispute.State != dispute.Mediating:
			return fault.New(fault.Conflict, "dispute.state").WithRef(string(d.Dispute.State))
		}
		if by.Link != "" {
			channel = "party_link"
			if l := d.Dispute.Link(by.Link); l.Purpose == dispute.Sign {
				channel = "sign_link"
				if l.Digest != in.Digest {
					return fault.New(fault.Conflict, "agreement.wrong_digest")
				}
			}
		}
		err := d.Agreement.Sign(agreement.Signature{
			Party: string(p.ID), Digest: in.Digest, Mark: in.Mark, Channel: channel, IdentityCheck: identity(p, d.Session.ID), At: cmd.At,
		}, s.meta(d))
		if err != nil {
			return err
		}
		mark := d.Agreement.Signatures[len(d.Agreement.Signatures)-1].MarkSHA256
		d.note("agreement.party_signed", map[string]string{"party": string(p.ID), "digest": in.Digest, "mark": mark, "channel": channel})
		return nil
	})
}

// identity says how a party's identity was checked in a session, "" when it was not.
func identity(p *dispute.Party, id ident.SessionID) string {
	if p.Identity == nil || p.Identity.Session != id {
		return ""
	}
	return strings.Join(p.Identity.Methods, ",")
}

// Refuse is a party's refusal to sign, which ends the dispute (code 7).
//
// Errors: those of dispute.Refuse; fault.Conflict "agreement.state" before the freeze or after the mediator signed.
func (s *Dockets) Refuse(ctx context.Context, by By, in RefuseBody) (MyDisputeView, error) {
	return s.byParty(ctx, by, "agreement.refuse", in.Key, func(d *Docket, p *dispute.Party, cmd mediation.Command) error {
		if d.Agreement.State != agreement.Frozen && d.Agreement.State != agreement.Signing {
			return fault.New(fault.Conflict, "agreement.state").WithRef(string(d.Agreement.State))
		}
		if err := d.Dispute.Refuse(p.ID, paper.Clean(in.Reason), cmd.At); err != nil {
			return err
		}
		d.note("agreement.party_refused", map[string]string{"party": string(p.ID)})
		return d.withdrawAgreement()
	})
}

// MyFile hands a file of his own dispute to a party: the agreement's papers and the record of its end.
//
// Errors: fault.NotFound "dispute.none", "file.none".
func (s *Dockets) MyFile(ctx context.Context, by By, digest string) (Document, error) {
	d, err := s.d.Store.Docket(ctx, mine(by))
	if err != nil {
		return Document{}, err
	}
	if _, err := d.me(by); err != nil {
		return Document{}, err
	}
	if !slices.ContainsFunc(d.Files, func(f Document) bool { return f.Digest == digest && forParties(f) }) {
		return Document{}, fault.New(fault.NotFound, "file.none")
	}
	return s.d.Store.File(ctx, d.Dispute.ID, digest)
}

// forParties reports whether a file is for the parties' hands: papers 8 and 12. Identity papers of others are not.
func forParties(f Document) bool { return f.Paper == 8 || f.Paper == 12 }

// Redeem spends a link: its phone acts for the party from now on. The person of a link to join stands in the lobby then.
//
// Errors: those of dispute.Redeem; fault.Conflict "session.state" while the session is broken off.
func (s *Dockets) Redeem(ctx context.Context, cmd mediation.Command, id ident.LinkID, cookieHash string) (partylink.Link, error) {
	d, err := s.change(ctx, cmd, DocketRef{Link: id}, func(d *Docket) error {
		l := d.Dispute.Link(id)
		if l == nil {
			return fault.New(fault.NotFound, "link.unknown")
		}
		if err := l.Usable(cmd.At); err != nil {
			return err
		}
		var participant ident.ParticipantID
		if p := d.Dispute.Party(l.Party); l.Purpose == dispute.Join && p != nil {
			name := session.RespondentName
			if p.Role == dispute.Applicant {
				name = session.ApplicantName
			}
			var err error
			if participant, err = d.Session.Join(id, name); err != nil {
				return err
			}
		}
		d.note("link.redeemed", map[string]string{"link": string(id), "party": string(l.Party), "purpose": string(l.Purpose)})
		return d.Dispute.Redeem(id, cookieHash, participant, cmd.At)
	})
	if err != nil {
		return partylink.Link{}, err
	}
	l := d.Dispute.Link(id)
	return partylink.Link{
		ID: l.ID, Dispute: d.Dispute.ID, Party: l.Party, Purpose: partylink.Purpose(l.Purpose), Digest: l.Digest, State: partylink.State(l.State),
		ExpiresAt: l.ExpiresAt, RedeemedAt: l.RedeemedAt, RevokedAt: l.RevokedAt,
	}, nil
}
