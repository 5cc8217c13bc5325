package queue

import (
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// Line is what one command of the queue may change: a ticket, its open offer and the seat that holds either. A zero
// ID means there is none. The transitions below check the state, change the values and touch nothing else; whoever
// holds the Line saves it in one transaction.
type Line struct {
	Ticket  Ticket
	Offer   Offer
	Seat    Seat
	Exclude []Exclusion // added by this change
}

// Exclusion bars a seat from a ticket.
type Exclusion struct {
	Ticket ident.TicketID
	Seat   ident.StaffID
	Reason string
}

// due returns the instant d after now.
func due(now int64, d time.Duration) int64 { return now + d.Microseconds() }

// wait puts the ticket back into the line at its old rank, free of offer and seat.
func (l *Line) wait(now int64) {
	t := &l.Ticket
	t.State, t.DueAt, t.Rings, t.Seat, t.SinceAt = Waiting, 0, 0, "", now
}

func (l *Line) closeOffer(outcome, reason string, now int64) {
	l.Offer.Outcome, l.Offer.Reason, l.Offer.ClosedAt, l.Offer.DueAt = outcome, reason, now, 0
}

// strike counts an offer that the seat let pass; the second in a row sends it away. Away keeps what it holds.
func (l *Line) strike(lim Limits) {
	l.Seat.Strikes++
	if l.Seat.Strikes >= lim.Strikes && l.Seat.State == SeatReady {
		l.Seat.State, l.Seat.Reason = SeatAway, "strikes"
	}
}

// Free frees the seat while its ticket goes elsewhere.
func (l *Line) Free(now int64) { l.release(now) }

// release frees the seat of its ticket.
func (l *Line) release(now int64) {
	s := &l.Seat
	if s.State == SeatBusy || s.State == SeatWrapUp {
		s.State, s.IdleAt = SeatReady, now
	}
}

// Accept takes the open offer: the ticket rings.
//
// Errors: fault.Expired "offer.expired", fault.Conflict "offer.taken".
func (l *Line) Accept(lim Limits, now int64) error {
	switch {
	case !l.Offer.Open() && l.Offer.Outcome == OfferLapsed, l.Offer.Open() && l.Offer.DueAt <= now:
		return fault.New(fault.Expired, "offer.expired")
	case !l.Offer.Open(), l.Ticket.State != Offered:
		return fault.New(fault.Conflict, "offer.taken")
	}
	l.closeOffer(OfferAccepted, "", now)
	t := &l.Ticket
	t.State, t.Rings, t.Seat, t.DueAt = Ringing, 1, l.Offer.Seat, due(now, lim.Ring)
	l.Seat.State, l.Seat.Reason, l.Seat.Strikes = SeatBusy, "", 0
	return nil
}

// Decline gives the open offer back: the ticket waits at its old rank and the seat is excluded, by a conflict of
// interest for ever and without a strike.
//
// Errors: fault.Expired "offer.expired", fault.Conflict "offer.taken", fault.Invalid "offer.bad_reason".
func (l *Line) Decline(reason string, lim Limits, now int64) error {
	switch reason {
	case ReasonBusy, ReasonConflict, ReasonSkill, ReasonOther:
	default:
		return fault.InField("offer.bad_reason", "reason")
	}
	if !l.Offer.Open() {
		if l.Offer.Outcome == OfferLapsed {
			return fault.New(fault.Expired, "offer.expired")
		}
		return fault.New(fault.Conflict, "offer.taken")
	}
	l.closeOffer(OfferDeclined, reason, now)
	x := Exclusion{Ticket: l.Ticket.ID, Seat: l.Offer.Seat, Reason: ExcludedDeclined}
	if reason == ReasonConflict {
		x.Reason = ExcludedConflict
	} else {
		l.strike(lim)
	}
	l.Exclude = append(l.Exclude, x)
	l.wait(now)
	return nil
}

// Lapse ends an offer whose lease is over; it excludes nobody. It reports false when there is nothing to do.
func (l *Line) Lapse(lim Limits, now int64) bool {
	if !l.Offer.Open() || l.Offer.DueAt > now {
		return false
	}
	l.closeOffer(OfferLapsed, "", now)
	l.strike(lim)
	l.wait(now)
	return true
}

// Withdraw takes the open offer from its seat without blame; the ticket waits again.
func (l *Line) Withdraw(why string, now int64) {
	if l.Offer.Open() {
		l.closeOffer(OfferCancelled, why, now)
		l.wait(now)
	}
}

// Take is the citizen's OK: the ticket is served.
//
// Errors: fault.Conflict "ticket.state" with the state in Ref.
func (l *Line) Take() error {
	if l.Ticket.State != Ringing {
		return errState(l.Ticket.State)
	}
	l.Ticket.State, l.Ticket.DueAt, l.Ticket.Misses = Serving, 0, 0
	return nil
}

// Later is the citizen's "wait a little": the place is kept as a missed one, which counts no miss.
//
// Errors: fault.Conflict "ticket.state" with the state in Ref.
func (l *Line) Later(lim Limits, now int64) error {
	if l.Ticket.State != Ringing {
		return errState(l.Ticket.State)
	}
	l.missed(lim, now)
	return nil
}

func (l *Line) missed(lim Limits, now int64) {
	t := &l.Ticket
	t.State, t.DueAt, t.Rings, t.Seat = Missed, due(now, lim.MissedKeep), 0, ""
	l.release(now)
}

// RingOver ends one ring: the ticket rings again, or is missed, or the second miss ends it as no_show. The seat is
// released without a strike.
func (l *Line) RingOver(lim Limits, now int64) {
	t := &l.Ticket
	if t.Rings < lim.Rings {
		t.Rings++
		t.DueAt = due(now, lim.Ring)
		return
	}
	t.Misses++
	if t.Misses >= lim.Misses {
		l.Close(Done, OutcomeNoShow, now)
		return
	}
	l.missed(lim, now)
}

// Return puts a missed or parked ticket back at its old rank; a waiting one stays as it is.
//
// Errors: fault.Conflict "ticket.state" with the state in Ref.
func (l *Line) Return(now int64) error {
	switch l.Ticket.State {
	case Missed, Parked:
		l.wait(now)
		l.Ticket.Mode = Hold
	case Waiting:
		l.Ticket.DueAt = 0
	default:
		return errState(l.Ticket.State)
	}
	return nil
}

// MissedOver ends the keeping of a missed place: it waits once more by itself, at its old rank.
func (l *Line) MissedOver(now int64) {
	l.wait(now)
	l.Ticket.Mode = Callback
	l.Ticket.Misses = max(l.Ticket.Misses, 1)
}

// Park takes a ticket whose link is lost out of the matching.
func (l *Line) Park(lim Limits, now int64) {
	l.Ticket.State, l.Ticket.DueAt, l.Ticket.Seat = Parked, due(now, lim.ParkedKeep), ""
}

// Again puts a ticket that was being served, or rang, back at its old rank: its seat was lost.
func (l *Line) Again(now int64) { l.wait(now) }

// WrapUp ends the service: the seat has some time for its form.
func (l *Line) WrapUp(lim Limits, now int64) {
	l.Ticket.State, l.Ticket.DueAt = WrapUp, due(now, lim.WrapUp)
	if l.Seat.State == SeatBusy {
		l.Seat.State = SeatWrapUp
	}
}

// Close ends the ticket for good and frees its seat.
func (l *Line) Close(s State, outcome string, now int64) {
	if l.Offer.Open() {
		l.closeOffer(OfferCancelled, string(s), now)
	}
	t := &l.Ticket
	t.State, t.Outcome, t.ClosedAt, t.DueAt = s, outcome, now, 0
	l.release(now)
}

// SetSeat is the seat's own wish: ready or away. While it holds a ticket it keeps it: away counts after it.
//
// Errors: fault.Invalid "seat.bad_state"; fault.Precondition "seat.no_link".
func (l *Line) SetSeat(want SeatState, reason string, now int64) error {
	s := &l.Seat
	switch want {
	case SeatReady:
		if s.Node == "" {
			return fault.New(fault.Precondition, "seat.no_link")
		}
		s.Reason, s.Strikes = "", 0
		switch s.State {
		case SeatReady, SeatBusy:
		case SeatWrapUp:
			return fault.New(fault.Conflict, "seat.wrap_up")
		case SeatOffline, SeatAway:
			s.State, s.IdleAt = SeatReady, now
			if l.holds() {
				s.State = SeatBusy
				if l.Ticket.State == WrapUp {
					s.State = SeatWrapUp
				}
			}
		}
	case SeatAway:
		if reason == "" {
			reason = "break"
		}
		s.State, s.Reason = SeatAway, reason
		l.Withdraw(string(SeatAway), now)
	default:
		return fault.InField("seat.bad_state", "state")
	}
	return nil
}

// holds reports whether the seat's ticket is in its hands.
func (l *Line) holds() bool {
	return l.Ticket.Seat == l.Seat.Staff && (l.Ticket.State == Ringing || l.Ticket.State == Serving || l.Ticket.State == WrapUp)
}

// SeatLink notes that the desk's link is up on a node, or gone.
func (l *Line) SeatLink(node string, lim Limits, now int64) {
	s := &l.Seat
	s.Node = node
	switch {
	case node != "" || s.State == SeatOffline:
		s.DueAt = 0
	case s.DueAt == 0:
		s.DueAt = due(now, lim.SeatLink)
	}
}

// SeatGone sends a seat offline that had no link for too long. A ticket it was offered waits again; what rang or was
// served is the caller's to put back (Again).
func (l *Line) SeatGone(now int64) {
	l.Withdraw("offline", now)
	l.Seat.State, l.Seat.Reason, l.Seat.DueAt, l.Seat.Strikes = SeatOffline, "", 0, 0
}
