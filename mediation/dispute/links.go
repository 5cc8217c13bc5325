package dispute

import (
	"slices"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// Purpose is what a link is for.
type Purpose string

// The purposes.
const (
	Join Purpose = "join" // one person joins the talk with his own phone, and acts for his party
	Sign Purpose = "sign" // the person at a terminal reads, keys the code and signs on a phone
)

// LinkState is the state of a link as it is stored; StateAt adds what time does to it.
type LinkState string

// The states of a link.
const (
	LinkInert   LinkState = "inert" // waits for the consent of the required parties (art. 20)
	LinkLive    LinkState = "live"  // may be used once
	LinkSpent   LinkState = "spent" // its phone acts for the party
	LinkRevoked LinkState = "revoked"
	LinkOver    LinkState = "over" // not used in time, or the dispute is over
)

// The lives of links until their first use (domain.md 8).
const (
	JoinLife = 24 * time.Hour
	SignLife = 10 * time.Minute
)

// MaxLinks is how many invitations one dispute may have.
const MaxLinks = 20

// MaxRequired is how many required parties one dispute may have.
const MaxRequired = 20

// Link is a one-use link to one person. Its secrets are derived from its id by a key and never stored.
type Link struct {
	ID         ident.LinkID
	Party      ident.PartyID
	Purpose    Purpose
	State      LinkState
	Digest     string // Sign: the agreement that it is bound to
	ExpiresAt  int64  // of the first use
	RedeemedAt int64
	RevokedAt  int64
	TokenHash  string
	CodeHash   string
	CookieHash string // of the phone that used it
	At         int64
}

// StateAt is the state of a link now.
func (l *Link) StateAt(now int64) LinkState {
	if (l.State == LinkInert || l.State == LinkLive) && l.ExpiresAt <= now {
		return LinkOver
	}
	return l.State
}

// Usable tells whether a link may be used now.
//
// Errors: fault.NotFound "link.unknown" for a revoked one; fault.Conflict "link.inert", "token.spent"; fault.Expired
// "token.expired".
func (l *Link) Usable(now int64) error {
	switch l.StateAt(now) {
	case LinkLive:
		return nil
	case LinkInert:
		return fault.New(fault.Conflict, "link.inert")
	case LinkSpent:
		return fault.New(fault.Conflict, "token.spent")
	case LinkRevoked:
		return fault.New(fault.NotFound, "link.unknown")
	case LinkOver:
	}
	return fault.New(fault.Expired, "token.expired")
}

// Party returns a party, nil when there is none of this id.
func (d *Dispute) Party(id ident.PartyID) *Party {
	i := slices.IndexFunc(d.Parties, func(p Party) bool { return p.ID == id })
	if i < 0 || id == "" {
		return nil
	}
	return &d.Parties[i]
}

// AtTerminal returns the party that sits at the terminal.
func (d *Dispute) AtTerminal() *Party {
	i := slices.IndexFunc(d.Parties, func(p Party) bool { return p.Device })
	if i < 0 {
		return nil
	}
	return &d.Parties[i]
}

// ByParticipant returns the party that a participant of the session is.
func (d *Dispute) ByParticipant(id ident.ParticipantID) *Party {
	i := slices.IndexFunc(d.Parties, func(p Party) bool { return p.Participant == id && id != "" })
	if i < 0 {
		return nil
	}
	return &d.Parties[i]
}

// Link returns a link, nil when there is none of this id.
func (d *Dispute) Link(id ident.LinkID) *Link {
	i := slices.IndexFunc(d.Links, func(l Link) bool { return l.ID == id })
	if i < 0 {
		return nil
	}
	return &d.Links[i]
}

// LinkOf returns the newest link of a party and purpose, nil when there is none.
func (d *Dispute) LinkOf(p ident.PartyID, purpose Purpose) *Link {
	for i := len(d.Links) - 1; i >= 0; i-- {
		if d.Links[i].Party == p && d.Links[i].Purpose == purpose {
			return &d.Links[i]
		}
	}
	return nil
}

// Invite adds a person as a required party with an inert link, and asks every required party who is here already
// whether this named person may join (art. 20). With nobody to ask the link is live at once.
//
// Errors: fault.Conflict "dispute.state"; fault.Invalid "party.bad_name", "party.bad_phone"; fault.TooMany
// "invite.too_many".
func (d *Dispute) Invite(p Person, role string, side Side, now int64) (*Link, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if p.Phone == "" {
		return nil, fault.InField("party.bad_phone", "phone")
	}
	if role != Respondent && role != Applicant {
		return nil, fault.InField("party.bad_role", "role")
	}
	if side != SideA && side != SideB {
		return nil, fault.InField("party.bad_side", "side")
	}
	invited := 0
	for i := range d.Links {
		if d.Links[i].Purpose == Join {
			invited++
		}
	}
	if invited >= MaxLinks || len(d.Parties) >= MaxRequired {
		return nil, fault.New(fault.TooMany, "invite.too_many")
	}
	if err := d.fire(Contact); err != nil {
		return nil, err
	}
	party := Party{ID: ident.New[ident.PartyID](), Side: side, Role: role, Required: true, Person: p}
	d.Parties = append(d.Parties, party)
	d.Links = append(d.Links, Link{
		ID: ident.New[ident.LinkID](), Party: party.ID, Purpose: Join, State: LinkInert, ExpiresAt: now + JoinLife.Microseconds(), At: now,
	})
	link := &d.Links[len(d.Links)-1]
	asked := false
	for i := range d.Parties {
		other := &d.Parties[i]
		if other.ID != party.ID && other.Required && other.Participant != "" {
			d.ask(other.ID, AskInvite, party.ID, now)
			asked = true
		}
	}
	if !asked {
		link.State = LinkLive
	}
	return link, nil
}

// Revoke takes an invitation back. Its party leaves the dispute when nobody used the link yet; one who is here already
// is out of the room.
//
// Errors: fault.NotFound "link.unknown"; fault.Conflict "dispute.state" once the dispute is accepted.
func (d *Dispute) Revoke(id ident.LinkID, now int64) error {
	l := d.Link(id)
	if l == nil || l.Purpose != Join {
		return fault.New(fault.NotFound, "link.unknown")
	}
	if l.State == LinkRevoked {
		return nil
	}
	if d.Number != "" || d.State.Over() {
		return errState(d.State)
	}
	l.State, l.RevokedAt = LinkRevoked, now
	d.drop(l.Party)
	return nil
}

// drop removes a party that is not invited any more, with everything that was asked of or about it.
func (d *Dispute) drop(id ident.PartyID) {
	d.Parties = slices.DeleteFunc(d.Parties, func(p Party) bool { return p.ID == id })
	d.Asks = slices.DeleteFunc(d.Asks, func(a Ask) bool { return a.AnsweredAt == 0 && (a.Party == id || a.About == id) })
}

// HandOver makes the link by which the person at the terminal reads and signs on a phone; a former one is revoked.
//
// Errors: fault.Conflict "dispute.state" for a party that is not at a terminal.
func (d *Dispute) HandOver(p *Party, digest string, now int64) (*Link, error) {
	if !p.Device {
		return nil, errState(d.State)
	}
	for i := range d.Links {
		if l := &d.Links[i]; l.Party == p.ID && l.Purpose == Sign && l.State == LinkLive {
			l.State, l.RevokedAt = LinkRevoked, now
		}
	}
	d.Links = append(d.Links, Link{
		ID: ident.New[ident.LinkID](), Party: p.ID, Purpose: Sign, State: LinkLive, Digest: digest, ExpiresAt: now + SignLife.Microseconds(), At: now,
	})
	return &d.Links[len(d.Links)-1], nil
}

// Redeem spends a link: the phone that holds the cookie acts for its party from now on. participant is who he is in
// the session; a link to sign needs none.
//
// Errors: those of Link.Usable; fault.Conflict "dispute.state" when the dispute is over.
func (d *Dispute) Redeem(id ident.LinkID, cookieHash string, participant ident.ParticipantID, now int64) error {
	l := d.Link(id)
	if l == nil {
		return fault.New(fault.NotFound, "link.unknown")
	}
	if err := l.Usable(now); err != nil {
		return err
	}
	p := d.Party(l.Party)
	if d.State.Over() || p == nil {
		return errState(d.State)
	}
	l.State, l.RedeemedAt, l.CookieHash = LinkSpent, now, cookieHash
	if l.Purpose == Sign {
		for i := range d.Links { // a newer phone takes the place of a former one
			if o := &d.Links[i]; o.ID != l.ID && o.Party == l.Party && o.Purpose == Sign && o.State == LinkSpent {
				o.State, o.RevokedAt = LinkRevoked, now
			}
		}
		return nil
	}
	p.Participant = participant
	d.welcome(p, now)
	return nil
}
