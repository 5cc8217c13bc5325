// Package dispute is the live dispute: who the parties are, what each of them knows, agreed to and refused, what is
// still missing before everybody may talk, and how it ends.
//
// A Dispute is a value with pure transitions; Next is the state machine (domain.md 7.4), Kinds the one table by which
// kinds of mediation differ (5.3), Blockers the guard of the joint talk (7.3), Routes the other lawful ways that
// everybody hears of when no agreement is reached (People's Mediation Law art. 26).
//
// Concurrency: everything is a value or pure. The store saves a Dispute in the transaction of a command.
//
// Errors: fault.Conflict "dispute.state" with the state in Ref, "ask.none", "identity.not_checking"; the codes that
// Blockers lists; fault.Invalid with the field; everything else is internal.
package dispute

import (
	"slices"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// State is the state of a dispute (domain.md 7.4).
type State string

// The states of this build.
const (
	Registered  State = "registered"
	Screening   State = "screening"  // party A wants to mediate; kind and category are set
	Contacting  State = "contacting" // the other side is asked
	Accepted    State = "accepted"   // number drawn, clock runs
	Mediating   State = "mediating"
	Agreed      State = "agreed"       // the agreement is effective
	Terminated  State = "terminated"   // no agreement: codes 2 to 8
	Guided      State = "guided"       // the other lawful ways were told
	HandedOff   State = "handed_off"   // the case store has the dossier
	NotAccepted State = "not_accepted" // ended before acceptance: no number, no dossier
	Closed      State = "closed"       // not accepted, and guided
)

// States lists every state.
func States() []State {
	return []State{Registered, Screening, Contacting, Accepted, Mediating, Agreed, Terminated, Guided, HandedOff, NotAccepted, Closed}
}

// Over reports whether nothing is mediated any more.
func (s State) Over() bool {
	return !slices.Contains([]State{Registered, Screening, Contacting, Accepted, Mediating}, s)
}

// Event is what happens to a dispute.
type Event string

// The events.
const (
	Screen  Event = "screen"  // party A wants to mediate
	Contact Event = "contact" // somebody is invited
	Accept  Event = "accept"  // every required party consented, the mediator took it
	Begin   Event = "begin"   // everybody talks
	Agree   Event = "agree"   // the agreement took effect
	Fail    Event = "fail"    // ended without agreement
	Guide   Event = "guide"   // the routes were told
	Deliver Event = "deliver" // the case store's receipt was verified
)

// Events lists every event.
func Events() []Event { return []Event{Screen, Contact, Accept, Begin, Agree, Fail, Guide, Deliver} }

// Next is the state machine: the state after an event. numbered says that the dispute was accepted and drew a number.
// Every pair that is not listed refuses and changes nothing.
//
// Errors: fault.Conflict "dispute.state" with the state in Ref.
func Next(state State, numbered bool, e Event) (State, error) {
	switch e {
	case Screen:
		if state == Registered {
			return Screening, nil
		}
	case Contact:
		if state == Screening || state == Contacting {
			return Contacting, nil
		}
	case Accept:
		if state == Contacting {
			return Accepted, nil
		}
	case Begin:
		if state == Accepted {
			return Mediating, nil
		}
	case Agree:
		if state == Mediating {
			return Agreed, nil
		}
	case Fail:
		switch state {
		case Registered, Screening, Contacting:
			return NotAccepted, nil
		case Accepted, Mediating:
			return Terminated, nil
		case Agreed, Terminated, Guided, HandedOff, NotAccepted, Closed:
		}
	case Guide:
		switch state {
		case Terminated:
			return Guided, nil
		case NotAccepted:
			return Closed, nil
		case Registered, Screening, Contacting, Accepted, Mediating, Agreed, Guided, HandedOff, Closed:
		}
	case Deliver:
		if state == Agreed || state == Guided && numbered {
			return HandedOff, nil
		}
	}
	return state, fault.New(fault.Conflict, "dispute.state").WithRef(string(state))
}

// Dispute is one live dispute. Instants are Unix microseconds, 0 = none; days are YYYY-MM-DD of the service's own time
// zone, "" = none. Names and texts in it are personal data: sealed in SQL, never in an event or log.
type Dispute struct {
	ID       ident.DisputeID
	Ver      int64
	Session  ident.SessionID
	Ticket   ident.TicketID
	Device   ident.DeviceID // party A's terminal
	Unit     ident.UnitID   // the committee
	Mediator ident.StaffID
	Consult  ident.SessionID // whose record led here; empty when it began as a mediation
	State    State
	Kind     Kind
	Category mediation.Category

	Year          int
	Serial        int64
	Number        string // "(2026)赤红西人调字第000123号", empty before acceptance
	CreatedAt     int64
	AcceptedAt    int64
	DeadlineOn    string
	ClosedAt      int64  // agreed, terminated or not accepted
	EffectiveAt   int64  // of the agreement
	ConfirmLastOn string // last day of the joint application for judicial confirmation

	Facts      string
	Requests   []string
	Disclosure string
	Parties    []Party
	Links      []Link
	Asks       []Ask
	Statements []Statement
	Closing    *Closing
}

// Side is the side of a party.
type Side string

// The sides.
const (
	SideA Side = "A"
	SideB Side = "B"
)

// The roles of a party.
const (
	Applicant  = "applicant"
	Respondent = "respondent"
)

// Party is somebody whose rights are in dispute.
type Party struct {
	ID          ident.PartyID
	Participant ident.ParticipantID // in the session; empty until the link was used
	Side        Side
	Role        string
	Required    bool
	Device      bool // sits at the terminal; else comes by a link
	Person      Person

	Identity     *Identity // verified in this session
	NoticeAt     int64
	Consents     Consents
	DisclosureOK *bool
	WithdrawnAt  int64
	Code         PhoneCode
}

// Person is who a party is. Everything is as his identity document and he say.
type Person struct {
	Name       string `json:"name"`
	IDNo       string `json:"id_no"`
	Phone      string `json:"phone"`
	Sex        string `json:"sex"`
	Ethnic     string `json:"ethnic"`
	BirthYear  int    `json:"birth_year"`
	Address    string `json:"address"`
	Occupation string `json:"occupation"`
}

// Identity is an identity check that was passed.
type Identity struct {
	Methods []string // card, face, phone_code
	At      int64
	By      ident.StaffID
	Session ident.SessionID // a check counts in the session in which it was made
}

// Consents are what a party agreed to, nil while not asked.
type Consents struct {
	Online  *bool
	ESign   *bool
	HandOff *bool
}

// PhoneCode is the six digits that were sent to a party's phone.
type PhoneCode struct {
	Hash     string // hex SHA-256 of party and code; empty when none is out
	State    string // none (also empty), sent, passed, failed
	Phone    string // to which it went
	Tries    int
	ExpireAt int64
}

// Statement is what was put down in the talk. Undisputed facts travel with the dossier.
type Statement struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Text string `json:"text"`
	At   int64  `json:"at"`
}

// The kinds of statements.
const (
	UndisputedFact = "undisputed_fact"
	Said           = "statement"
)

// Closing says how a dispute ended without agreement.
type Closing struct {
	Code         string
	Reason       string
	By           ident.PartyID // the party whose act ended it, empty when the mediator closed it
	Routes       []Route
	RouteVersion string
	GuidedAt     int64
	How          string // read_aloud, shown
	At           int64
}
