package queue

import (
	"context"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// Ref names what a command is about; exactly one field is set.
type Ref struct {
	Ticket  ident.TicketID
	Offer   ident.OfferID
	Seat    ident.StaffID
	Session ident.SessionID
}

// Change is a line before and after a command.
type Change struct {
	Before, After Line
	Phone         ident.GrantID // phone paired with the ticket's terminal, empty when none
	Ver           int64         // version of the terminal's situation
}

// NewTicket asks for a place in line.
type NewTicket struct {
	ID       ident.TicketID
	Device   ident.DeviceID
	Kind     mediation.TicketKind
	Category mediation.Category
	Lang     mediation.Lang
	Class    Class
	Day      string // local day of the number, 2026-03-02
	AHour    int    // most tickets of the device in an hour
	RankAt   int64
}

// Store is the truth of the line.
type Store interface {
	// Enqueue draws a ticket: number, place and rank are fixed here. A repeat of the command returns the first
	// ticket. Errors: fault.Conflict "queue.already_waiting" with the open ticket in Ref; fault.Forbidden
	// "visit.required"; fault.Precondition "ticket.simulated"; fault.TooMany "ticket.too_many".
	Enqueue(ctx context.Context, cmd mediation.Command, t NewTicket) (Change, error)
	// ChangeLine loads the line of ref, lets fn change it and saves it in one transaction, with an event for each
	// part that changed. A repeat of the command's key changes nothing. fn may run more than once. Errors:
	// fault.NotFound "queue.no_ticket", "offer.none"; those of fn.
	ChangeLine(ctx context.Context, cmd mediation.Command, ref Ref, fn func(*Line) error) (Change, error)
	// LinkedSeats lists the seats whose link a node held.
	LinkedSeats(ctx context.Context, node string) ([]ident.StaffID, error)
	// SeatLinks lists every seat with the node that holds its desk's link.
	SeatLinks(ctx context.Context) ([]SeatLink, error)
}

// SeatLink is where a seat's desk is linked.
type SeatLink struct {
	Staff     ident.StaffID
	Node      string // empty: nowhere
	NodeUntil int64  // end of that node's lease, Unix microseconds; 0 when it has none
}

// lostNode is how long after the end of its lease a node's desks count as gone (fleet.md "Nodes and leases": lost 15 s
// after the last renewal, of which the lease runs 4 s).
const lostNode = 11 * time.Second

// Deps are what a Desk works with.
type Deps struct {
	Store  Store
	Nudges coord.Nudges
	Node   string // node whose links report with SeatLink
	Now    func() time.Time
	Limits Limits
	TZ     *time.Location
	Open   func(time.Time) bool // the service is open; nil means day and night
}

// Desk carries out what citizens and mediators ask for, as far as it concerns the line alone.
type Desk struct{ d Deps }

// NewDesk returns a ready Desk.
func NewDesk(d Deps) *Desk {
	if d.TZ == nil {
		d.TZ = time.UTC
	}
	if d.Limits.OfferLease == 0 {
		d.Limits = Defaults()
	}
	return &Desk{d: d}
}

// Join draws a ticket for the anonymous visit at a terminal.
//
// Errors: fault.Conflict "queue.already_waiting"; fault.Unavailable "queue.closed"; fault.Forbidden "visit.required";
// fault.Precondition "ticket.simulated"; fault.TooMany "ticket.too_many"; fault.Invalid "ticket.bad_kind",
// "ticket.bad_category", "ticket.bad_lang".
func (d *Desk) Join(ctx context.Context, cmd mediation.Command, device ident.DeviceID, kind mediation.TicketKind, c mediation.Category, l mediation.Lang) (Ticket, error) {
	switch {
	case kind != mediation.Consult && kind != mediation.Mediate:
		return Ticket{}, fault.InField("ticket.bad_kind", "kind")
	case !c.Known():
		return Ticket{}, fault.InField("ticket.bad_category", "category")
	case !l.Known():
		return Ticket{}, fault.InField("ticket.bad_lang", "lang")
	}
	now := time.UnixMicro(cmd.At)
	if d.d.Open != nil && !d.d.Open(now) {
		return Ticket{}, fault.New(fault.Unavailable, "queue.closed")
	}
	ch, err := d.d.Store.Enqueue(ctx, cmd, NewTicket{
		ID: ident.New[ident.TicketID](), Device: device, Kind: kind, Category: c, Lang: l, Class: Normal,
		Day: now.In(d.d.TZ).Format(time.DateOnly), AHour: d.d.Limits.TicketsAHour,
		RankAt: Rank(now, Normal, d.d.Limits.Boosts).UnixMicro(),
	})
	if err != nil {
		return Ticket{}, err
	}
	d.tell(ctx, ch)
	return ch.After.Ticket, nil
}

// Return lets a missed or parked ticket of a terminal wait again at its old rank.
//
// Errors: fault.NotFound "queue.no_ticket"; fault.Conflict "ticket.state".
func (d *Desk) Return(ctx context.Context, cmd mediation.Command, device ident.DeviceID, id ident.TicketID) (Ticket, error) {
	ch, err := d.change(ctx, cmd, Ref{Ticket: id}, func(l *Line) error {
		if l.Ticket.Device != device {
			return fault.New(fault.NotFound, "queue.no_ticket")
		}
		return l.Return(cmd.At)
	})
	return ch.After.Ticket, err
}

// Decline gives an offer back.
//
// Errors: fault.NotFound "offer.none"; fault.Expired "offer.expired"; fault.Conflict "offer.taken"; fault.Stale
// "offer.stale"; fault.Invalid "offer.bad_reason".
func (d *Desk) Decline(ctx context.Context, cmd mediation.Command, staff ident.StaffID, id ident.OfferID, ver int64, reason string) error {
	_, err := d.change(ctx, cmd, Ref{Offer: id}, func(l *Line) error {
		if err := l.Offer.For(staff, ver); err != nil {
			return err
		}
		if l.Offer.Outcome == OfferDeclined {
			return nil // the same answer again
		}
		return l.Decline(reason, d.d.Limits, cmd.At)
	})
	return err
}

// For checks that an offer is the seat's and the version it saw.
//
// Errors: fault.NotFound "offer.none"; fault.Stale "offer.stale".
func (o *Offer) For(staff ident.StaffID, ver int64) error {
	if o.ID == "" || o.Seat != staff {
		return fault.New(fault.NotFound, "offer.none")
	}
	if o.Open() && o.Ver != ver {
		return fault.New(fault.Stale, "offer.stale")
	}
	return nil
}

// SetSeat makes a seat ready or away.
//
// Errors: fault.Invalid "seat.bad_state"; fault.Precondition "seat.no_link"; fault.Conflict "seat.wrap_up".
func (d *Desk) SetSeat(ctx context.Context, cmd mediation.Command, staff ident.StaffID, want SeatState, reason string) (Seat, error) {
	ch, err := d.change(ctx, cmd, Ref{Seat: staff}, func(l *Line) error { return l.SetSeat(want, reason, cmd.At) })
	return ch.After.Seat, err
}

// SeatLink notes that the link of a desk is up on this node or gone. A seat without link for 60 s goes offline.
func (d *Desk) SeatLink(ctx context.Context, staff ident.StaffID, up bool) error {
	node := ""
	if up {
		node = d.d.Node
	}
	now := d.d.Now().UnixMicro()
	return d.seatLink(ctx, staff, d.d.Node, node, up, now)
}

func (d *Desk) seatLink(ctx context.Context, staff ident.StaffID, from, to string, up bool, now int64) error {
	_, err := d.change(ctx, mediation.System("seat.link", "link/"+d.d.Node, now), Ref{Seat: staff}, func(l *Line) error {
		if !up && l.Seat.Node != from {
			return nil // its newer link is on another node
		}
		l.SeatLink(to, d.d.Limits, now)
		return nil
	})
	return err
}

// Audit compares the seats with the links that there are and notes what differs: a change that could not be written,
// the second desk of a person whose first, on another node, has closed, and the desks of a node that is lost. live
// lists the people whose desk has a link on this node; it is asked after the seats were read. Any node may run it.
func (d *Desk) Audit(ctx context.Context, live func() []ident.StaffID) error {
	seats, err := d.d.Store.SeatLinks(ctx)
	if err != nil {
		return err
	}
	here := map[ident.StaffID]bool{}
	for _, staff := range live() {
		here[staff] = true
	}
	now := d.d.Now()
	for _, s := range seats {
		switch {
		case s.Node == "" && here[s.Staff]:
			err = d.SeatLink(ctx, s.Staff, true)
		case s.Node == d.d.Node && !here[s.Staff]:
			err = d.SeatLink(ctx, s.Staff, false)
		case s.Node != "" && s.Node != d.d.Node && now.Sub(time.UnixMicro(s.NodeUntil)) > lostNode:
			err = d.seatLink(ctx, s.Staff, s.Node, "", false, now.UnixMicro())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Restarted notes that this node began anew: none of its desks has a link. Call it once, before links are accepted.
func (d *Desk) Restarted(ctx context.Context) error {
	list, err := d.d.Store.LinkedSeats(ctx, d.d.Node)
	if err != nil {
		return err
	}
	for _, staff := range list {
		if err := d.SeatLink(ctx, staff, false); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) change(ctx context.Context, cmd mediation.Command, ref Ref, fn func(*Line) error) (Change, error) {
	ch, err := d.d.Store.ChangeLine(ctx, cmd, ref, fn)
	if err != nil {
		return ch, err
	}
	d.tell(ctx, ch)
	return ch, nil
}

func (d *Desk) tell(ctx context.Context, ch Change) {
	for _, n := range Nudges(ch) {
		d.d.Nudges.Publish(ctx, n)
	}
}

// Nudges tells the people of a line what changed: the terminal and its phone, the seat, the matcher, the console.
func Nudges(c Change) []coord.Nudge {
	var list []coord.Nudge
	a, b := &c.After, &c.Before
	if a.Ticket.Ver != b.Ticket.Ver {
		t := wire.TicketState
		if a.Ticket.State == Ringing {
			t = wire.TicketRing
		}
		n := coord.Nudge{To: "device/" + string(a.Ticket.Device), T: t, ID: string(a.Ticket.ID), Ver: c.Ver, Why: string(a.Ticket.State)}
		list = append(list, n)
		if c.Phone != "" {
			n.To = "capture/" + string(c.Phone)
			list = append(list, n)
		}
		if seat := a.Ticket.Seat; seat != "" && b.Ticket.Seat == seat {
			list = append(list, coord.Nudge{To: "staff/" + string(seat), T: wire.TicketState, ID: string(a.Ticket.ID), Ver: a.Ticket.Ver, Why: string(a.Ticket.State)})
		}
	}
	if a.Offer.Ver != b.Offer.Ver && a.Offer.Seat != "" {
		t := wire.OfferNew
		if !a.Offer.Open() {
			t = wire.OfferClosed
		}
		list = append(list, coord.Nudge{To: "staff/" + string(a.Offer.Seat), T: t, ID: string(a.Offer.ID), Ver: a.Offer.Ver, Why: a.Offer.Outcome})
	}
	if a.Seat.Ver != b.Seat.Ver {
		list = append(list, coord.Nudge{To: "staff/" + string(a.Seat.Staff), T: wire.SeatState, ID: string(a.Seat.Staff), Ver: a.Seat.Ver, Why: string(a.Seat.State)})
	}
	if a.Ticket.State != b.Ticket.State || a.Seat.State != b.Seat.State {
		list = append(list, coord.Nudge{To: coord.ToMatcher}, coord.Nudge{To: coord.ToConsole, ID: "queue"})
	}
	return list
}
