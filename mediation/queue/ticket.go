// Package queue decides who is served next.
//
// A Ticket waits with a rank instant that never changes; Match pairs tickets with seats; Desk carries out what
// citizens and mediators ask for; Matcher runs Match while it holds the matcher lease; Board answers how long it takes.
//
// Concurrency: Rank, Match, Estimate and the transitions of a Line are pure. Desk and Board are safe for concurrent
// use. One Matcher per process. Safety does not depend on the lease: Store.Commit re-checks ticket, seat, capacity
// and epoch in its transaction.
//
// Errors: fault.Conflict "queue.already_waiting" with the open ticket in Ref; fault.NotFound "queue.no_ticket",
// "offer.none"; fault.Conflict "offer.taken", "ticket.state"; fault.Expired "offer.expired"; fault.Unavailable
// "queue.closed"; fault.Forbidden "visit.required"; fault.Precondition "ticket.simulated", "seat.no_link";
// fault.TooMany "ticket.too_many"; everything else is internal.
package queue

import (
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// State is the state of a ticket (domain.md 7.1).
type State string

// The ticket states.
const (
	Waiting   State = "waiting"
	Parked    State = "parked" // link lost for longer than the grace, not matched
	Offered   State = "offered"
	Ringing   State = "ringing"
	Missed    State = "missed" // rang in vain; the place is kept
	Serving   State = "serving"
	WrapUp    State = "wrap_up"
	Done      State = "done"
	Abandoned State = "abandoned"
	Cancelled State = "cancelled"
)

// States lists every state of a ticket.
func States() []State {
	return []State{Waiting, Parked, Offered, Ringing, Missed, Serving, WrapUp, Done, Abandoned, Cancelled}
}

// InLine reports whether a ticket in this state stands in the line: it counts for those behind it.
func (s State) InLine() bool {
	return s == Waiting || s == Parked || s == Offered || s == Ringing || s == Missed
}

// Open reports whether the holder of a ticket in this state may not draw another one.
func (s State) Open() bool { return s.InLine() || s == Serving }

// The outcomes of a done ticket in this build.
const (
	OutcomeServed    = "served"
	OutcomeReferred  = "referred"  // another body was named
	OutcomeBooked    = "booked"    // a later time was agreed
	OutcomeConverted = "converted" // the consultation became a mediation
	OutcomeNoShow    = "no_show"
)

// The modes of a ticket.
const (
	Hold     = "hold"     // the citizen stays at the screen
	Callback = "callback" // rings once more after a missed place ran out
)

// Class orders tickets before time does (domain.md, "Rank").
type Class string

// The classes.
const (
	Risk        Class = "risk"
	Returning   Class = "returning"
	Appointment Class = "appointment"
	Access      Class = "access"
	Normal      Class = "normal"
)

// Boosts is by how much each class is moved back in time.
type Boosts map[Class]time.Duration

// DefaultBoosts returns the boosts of domain.md, "Rank".
func DefaultBoosts() Boosts {
	return Boosts{Risk: 1800 * time.Second, Returning: 900 * time.Second, Appointment: 600 * time.Second, Access: 300 * time.Second}
}

// Rank returns the instant by which a ticket is ordered: the time it was drawn, moved back by its class's boost.
// The difference between two tickets never changes with waiting, so their order never does (domain.md, "Rank").
func Rank(enqueued time.Time, c Class, b Boosts) time.Time { return enqueued.Add(-b[c]) }

// Ticket is a place in line. Instants are Unix microseconds.
type Ticket struct {
	ID       ident.TicketID
	Ver      int64
	No       string // "A 037"
	Kind     mediation.TicketKind
	Mode     string
	Device   ident.DeviceID
	Visit    ident.VisitID
	Holder   string // who may see it: "device/<id>" at a household's terminal, "visit/<id>" at a shared one
	Unit     ident.UnitID
	County   ident.UnitID
	Path     []ident.UnitID // from the terminal's unit up to the city
	Place    []string       // names from the city down
	Terminal string
	Category mediation.Category
	Lang     mediation.Lang
	Class    Class

	EnqueuedAt int64
	RankAt     int64
	Level      int   // index into Path up to which seats may take it
	SinceAt    int64 // waits without an offer since

	Shown  int  // shown number of people ahead; never grows
	Passed bool // a more urgent ticket went first
	Lo, Hi int  // shown range in minutes, -1 = none

	State    State
	DueAt    int64 // 0 = no timer
	Rings    int   // rings of the present offer
	Misses   int
	Seat     ident.StaffID
	Session  ident.SessionID
	Outcome  string
	ClosedAt int64
}

// Lane is the unit in which order is promised.
func (t *Ticket) Lane() mediation.Lane {
	return mediation.Lane{Category: t.Category, Lang: t.Lang, County: t.County}
}

// SeatState is the state of a seat (domain.md 7.2).
type SeatState string

// The seat states.
const (
	SeatOffline SeatState = "offline"
	SeatReady   SeatState = "ready"
	SeatBusy    SeatState = "busy"
	SeatWrapUp  SeatState = "wrap_up"
	SeatAway    SeatState = "away"
)

// OnDuty reports whether a seat in this state takes tickets now or soon.
func (s SeatState) OnDuty() bool { return s == SeatReady || s == SeatBusy || s == SeatWrapUp }

// Seat is one staff member who takes tickets.
type Seat struct {
	Staff    ident.StaffID
	Ver      int64
	State    SeatState
	Reason   string // why away
	Capacity int
	Strikes  int    // offers in a row that lapsed or were declined
	Node     string // node of its link, empty without link
	DueAt    int64  // no link: when it goes offline
	IdleAt   int64  // when it last became free
}

// Offer proposes a ticket to a seat under a lease.
type Offer struct {
	ID       ident.OfferID
	Ver      int64
	Ticket   ident.TicketID
	Seat     ident.StaffID
	DueAt    int64 // end of the lease, 0 when closed
	Outcome  string
	Reason   string
	ClosedAt int64
	At       int64
}

// The outcomes of an offer.
const (
	OfferAccepted  = "accepted"
	OfferDeclined  = "declined"
	OfferLapsed    = "lapsed"
	OfferCancelled = "cancelled"
)

// Open reports whether the offer waits for its seat's answer.
func (o *Offer) Open() bool { return o.ID != "" && o.ClosedAt == 0 }

// The reasons for which a seat declines, and by which it is excluded.
const (
	ReasonBusy     = "busy"
	ReasonConflict = "conflict" // conflict of interest: no strike, excluded for ever
	ReasonSkill    = "skill"
	ReasonOther    = "other"

	ExcludedConflict = "conflict"
	ExcludedDeclined = "declined"
)

// Limits are the numbers of the queue; Defaults fills them from domain.md.
type Limits struct {
	OfferLease   time.Duration // how long an offer waits for an answer
	Ring         time.Duration // one ring
	Rings        int           // rings before a ticket is missed
	MissedKeep   time.Duration // how long a missed place is kept
	Misses       int           // misses that end a ticket as no_show
	LinkGrace    time.Duration // waiting without link before it parks
	ParkedKeep   time.Duration // parked before it is abandoned
	WrapUp       time.Duration // form after a session
	SeatLink     time.Duration // seat without link before it is offline
	Strikes      int           // strikes in a row that send a seat away
	TicketsAHour int           // per device
	Boosts       Boosts
}

// Defaults returns the numbers of domain.md 7.1 and 8.
func Defaults() Limits {
	return Limits{
		OfferLease: 15 * time.Second, Ring: 30 * time.Second, Rings: 2, MissedKeep: 10 * time.Minute, Misses: 2,
		LinkGrace: 120 * time.Second, ParkedKeep: 30 * time.Minute, WrapUp: 120 * time.Second, SeatLink: 60 * time.Second,
		Strikes: 2, TicketsAHour: 10, Boosts: DefaultBoosts(),
	}
}

func errState(s State) error { return fault.New(fault.Conflict, "ticket.state").WithRef(string(s)) }
