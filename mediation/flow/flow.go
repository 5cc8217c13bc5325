// Package flow carries out the commands that cross aggregates: accepting an offer, answering a ring, ending a session,
// and the timers of all of them. It also builds what the screens show: the Situation of a terminal and the Desk of a
// mediator (docs/protocol.md).
//
// Each command is one Store.Change: the store loads a Matter, the command changes it by the pure rules of queue and
// session, and the store saves it in one transaction with its events and the next epoch of the room. Afterwards the
// room is applied at once and everybody is nudged; both only save time, sweeps would do it.
//
// Concurrency: Flow and Views are safe for concurrent use. One Sweeper per process.
//
// Errors: those of queue and session; fault.NotFound for what is not the caller's; everything else is internal.
package flow

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/media/nodes"
	"heyi/mediation"
	"heyi/mediation/dispute"
	"heyi/mediation/queue"
	"heyi/mediation/session"
)

// Matter is everything that one command may change together: a ticket, its open offer, the seat that holds either,
// and its session. A zero ID means there is none.
type Matter struct {
	queue.Line
	Session  session.Session
	Staff    session.Staff // who sits on Seat
	Gone     bool          // its person is gone: the visit at a shared terminal is over, or the terminal was retired
	Answered bool          // the note of the session holds a short written answer
	Dispute  dispute.State // of the session's newest dispute, empty when there is none
	PaperOut bool          // its agreement is frozen to be signed by hand
	Consents []Consent     // given by this change
	// Hosts lists the media nodes for the placement of a room by this change; nil: there is no directory.
	Hosts func() ([]nodes.Node, error)
}

// Consent is what a participant agreed to.
type Consent struct {
	Participant ident.ParticipantID
	Subject     string // online
	Channel     mediation.ActorKind
}

// Change is a matter before and after a command.
type Change struct {
	Before, After Matter
	Phone         ident.GrantID // phone paired with the terminal, empty when none
	Ver           int64         // version of the terminal's situation
}

// VisitClose ends a visit of a terminal.
type VisitClose struct {
	Device ident.DeviceID
	Visit  ident.VisitID
	Why    string // left, idle, reboot
}

// VisitClosed is what closing a visit changed; its zero value is nothing.
type VisitClosed struct {
	Change                 // what its person left at a shared terminal; without a ticket when there was nothing
	Grants []ident.GrantID // phones whose rights ended with it
}

// Store is the truth.
type Store interface {
	// Change loads the matter of ref, lets fn change it and saves it in one transaction: versions, events, epoch of
	// the room. A repeat of the command's key changes nothing and returns the present matter. fn may run more than
	// once. Errors: fault.NotFound "queue.no_ticket", "offer.none", "session.none"; those of fn.
	Change(ctx context.Context, cmd mediation.Command, ref queue.Ref, fn func(*Matter) error) (Change, error)
	// CloseVisit ends an open visit, its rights and its phones in one transaction. When it holds an open ticket itself
	// (at a shared terminal), part ends that and names the command under which it stands in the events. A visit that is
	// closed stays as it is. Errors: fault.NotFound "visit.not_found" also for another device's; those of part.
	CloseVisit(ctx context.Context, cmd mediation.Command, v VisitClose, part func(*Matter) (name string, err error)) (VisitClosed, error)
	// Tick moves timers by the time in which nobody swept them, and starts and stops the grace of those who wait
	// without link.
	Tick(ctx context.Context, now int64, grace time.Duration) error
	// Due lists what is overdue, and the tickets of those who are gone, at most limit.
	Due(ctx context.Context, now int64, limit int) ([]queue.Ref, error)
}

// Rooms brings a session's room to the engine.
type Rooms interface {
	Apply(ctx context.Context, s session.Session) error
}

// Deps are what Flow works with.
type Deps struct {
	Store   Store
	Rooms   Rooms
	Nudges  coord.Nudges
	Node    string                             // this one
	Place   func([]nodes.Node) (string, error) // chooses the node of a new room; nil: this one
	Queue   queue.Limits
	Session session.Limits
	Logger  *slog.Logger
}

// Flow carries out commands across aggregates.
type Flow struct{ d Deps }

// New returns a ready Flow.
func New(d Deps) *Flow {
	if d.Queue.OfferLease == 0 {
		d.Queue = queue.Defaults()
	}
	if d.Session == (session.Limits{}) {
		d.Session = session.Defaults()
	}
	return &Flow{d: d}
}

func noSession() error { return fault.New(fault.NotFound, "session.none") }
func noTicket() error  { return fault.New(fault.NotFound, "queue.no_ticket") }

// Accept takes an offer: the ticket rings, its session stands in the lobby, in a new room or the adjourned one again.
// Accepting twice is accepting once.
//
// Errors: fault.NotFound "offer.none"; fault.Expired "offer.expired"; fault.Conflict "offer.taken"; fault.Stale
// "offer.stale"; fault.Unavailable "media.no_node".
func (f *Flow) Accept(ctx context.Context, cmd mediation.Command, staff ident.StaffID, id ident.OfferID, ver int64) error {
	_, err := f.change(ctx, cmd, queue.Ref{Offer: id}, func(m *Matter) error {
		if err := m.Offer.For(staff, ver); err != nil {
			return err
		}
		if m.Offer.Outcome == queue.OfferAccepted {
			return nil
		}
		if err := m.Accept(f.d.Queue, cmd.At); err != nil {
			return err
		}
		node, err := f.place(m)
		if err != nil {
			return err
		}
		if m.Session.State == session.Adjourned {
			return m.Session.Resume(m.Staff, node, cmd.At)
		}
		t := &m.Ticket
		m.Session = session.New(session.KindOf(t.Kind), t.ID, t.Unit, t.Device, m.Staff, node, cmd.At)
		t.Session = m.Session.ID
		return nil
	})
	return err
}

// place chooses the node of a room; it counts there from now on, because the choice and the room are one transaction.
func (f *Flow) place(m *Matter) (string, error) {
	if f.d.Place == nil || m.Hosts == nil {
		return f.d.Node, nil
	}
	list, err := m.Hosts()
	if err != nil {
		return "", err
	}
	return f.d.Place(list)
}

// Answer is the citizen's answer to a ring. With take the ticket is served: a consult becomes joint, which is recorded
// as the consent to talk online; a mediation waits to be admitted. Without take the place is kept as a missed one. The
// first of terminal and phone wins, the second changes nothing.
//
// Errors: fault.NotFound "queue.no_ticket"; fault.Conflict "ticket.state".
func (f *Flow) Answer(ctx context.Context, cmd mediation.Command, device ident.DeviceID, id ident.TicketID, take bool) (queue.Ticket, error) {
	c, err := f.change(ctx, cmd, queue.Ref{Ticket: id}, func(m *Matter) error {
		switch {
		case m.Ticket.Device != device || m.Gone:
			return noTicket()
		case take && m.Ticket.State == queue.Serving, !take && m.Ticket.State == queue.Missed:
			return nil
		case !take:
			if err := m.Later(f.d.Queue, cmd.At); err != nil {
				return err
			}
			return m.Session.Adjourn(cmd.At)
		}
		if err := m.Take(); err != nil {
			return err
		}
		if p := m.Session.Party(); p != nil {
			m.Consents = append(m.Consents, Consent{Participant: p.ID, Subject: "online", Channel: cmd.Actor.Kind})
		}
		return m.Session.Take(f.d.Session, cmd.At)
	})
	return c.After.Ticket, err
}

// Cancel ends an open ticket at the citizen's wish. One that is being served is left, not cancelled: only the mediator
// ends a session.
//
// Errors: fault.NotFound "queue.no_ticket"; fault.Conflict "ticket.state".
func (f *Flow) Cancel(ctx context.Context, cmd mediation.Command, device ident.DeviceID, id ident.TicketID) (queue.Ticket, error) {
	c, err := f.change(ctx, cmd, queue.Ref{Ticket: id}, func(m *Matter) error {
		switch {
		case m.Ticket.Device != device:
			return noTicket()
		case m.Ticket.State == queue.Cancelled:
			return nil
		case !m.Ticket.State.InLine():
			return fault.New(fault.Conflict, "ticket.state").WithRef(string(m.Ticket.State))
		}
		return m.cancel(cmd.At)
	})
	return c.After.Ticket, err
}

func (m *Matter) cancel(now int64) error {
	if m.Session.State.Live() {
		if err := m.Session.Adjourn(now); err != nil {
			return err
		}
	}
	m.Close(queue.Cancelled, "", now)
	return nil
}

// The operations of a mediator in his session.
const (
	OpAdmit   = "admit"
	OpMute    = "mute"
	OpEnd     = "end"
	OpAdjourn = "adjourn"
	OpCheck   = "check" // of a mediation: asks one participant into the check zone
	OpJoint   = "joint" // of a mediation: brings everybody together
)

// Control is one operation of a mediator in his session; MuteArgs counts for OpMute alone.
type Control struct {
	Op   string
	Mute MuteArgs
}

// MuteArgs silences or opens one kind of a participant's media.
type MuteArgs struct {
	Participant ident.ParticipantID
	Kind        media.Kinds
	On          bool
}

// Control carries out an operation of the session's mediator. Ending gives the seat its time to wrap up; adjourning
// parks the ticket, which the citizen may bring back to its old rank. A session whose dispute is open does not end.
//
// Errors: fault.NotFound "session.none" for anybody else; fault.Conflict "session.state"; fault.Invalid
// "session.bad_op"; those of Session.Mute and dispute.MayEnd.
func (f *Flow) Control(ctx context.Context, cmd mediation.Command, staff ident.StaffID, id ident.SessionID, op Control) error {
	_, err := f.change(ctx, cmd, queue.Ref{Session: id}, func(m *Matter) error {
		if m.Session.Mediator != staff {
			return noSession()
		}
		switch op.Op {
		case OpAdmit:
			return m.Session.Admit(f.d.Session, cmd.At)
		case OpMute:
			return m.Session.Mute(op.Mute.Participant, op.Mute.Kind, op.Mute.On)
		case OpEnd:
			if m.Session.State == session.Ended {
				return nil
			}
			if err := dispute.MayEnd(m.Dispute, m.PaperOut); err != nil {
				return err
			}
			if err := m.Session.End(cmd.At); err != nil {
				return err
			}
			m.WrapUp(f.d.Queue, cmd.At)
			return nil
		case OpAdjourn:
			if m.Session.State == session.Adjourned {
				return nil
			}
			if m.Ticket.State != queue.Serving {
				return fault.New(fault.Conflict, "session.state").WithRef(string(m.Session.State))
			}
			if err := m.Session.Adjourn(cmd.At); err != nil {
				return err
			}
			m.Free(cmd.At)
			f.keep(m, false, cmd.At)
			return nil
		}
		return fault.InField("session.bad_op", "op")
	})
	return err
}

// WrapUp ends the time after a session: the ticket is done, the seat is ready for the next one, the record of a
// consultation goes to the case store (the store writes it into the outbox in the same transaction). A consultation
// counts as served only with a short written answer (domain.md 7.11); one that became a mediation ends as converted.
//
// Errors: fault.NotFound "session.none"; fault.Conflict "session.state"; fault.Invalid "session.bad_outcome",
// "consult.answer_missing".
func (f *Flow) WrapUp(ctx context.Context, cmd mediation.Command, staff ident.StaffID, id ident.SessionID, outcome string) error {
	switch outcome {
	case queue.OutcomeServed, queue.OutcomeReferred, queue.OutcomeBooked:
	default:
		return fault.InField("session.bad_outcome", "outcome")
	}
	_, err := f.change(ctx, cmd, queue.Ref{Session: id}, func(m *Matter) error {
		switch {
		case m.Session.Mediator != staff:
			return noSession()
		case m.Ticket.State == queue.Done:
			return nil
		case m.Ticket.State != queue.WrapUp:
			return fault.New(fault.Conflict, "session.state").WithRef(string(m.Session.State))
		case m.consulted() && outcome == queue.OutcomeServed && !m.Answered:
			return fault.InField("consult.answer_missing", "answer")
		}
		m.done(outcome, cmd.At)
		return nil
	})
	return err
}

// consulted reports whether the matter was a consultation to its end.
func (m *Matter) consulted() bool {
	return m.Ticket.Kind == mediation.Consult && m.Session.Kind == session.Consult
}

// done closes the ticket of a session that ended.
func (m *Matter) done(outcome string, now int64) {
	if m.Ticket.Kind == mediation.Consult && m.Session.Kind == session.Mediation {
		outcome = queue.OutcomeConverted
	}
	m.Close(queue.Done, outcome, now)
}

// Leave takes the citizen's clients out of the room. It ends nothing: the session waits, only the mediator ends it.
//
// Errors: fault.NotFound "session.none".
func (f *Flow) Leave(ctx context.Context, cmd mediation.Command, device ident.DeviceID, id ident.SessionID) error {
	_, err := f.change(ctx, cmd, queue.Ref{Session: id}, func(m *Matter) error {
		if m.Session.Device != device || m.Gone {
			return noSession()
		}
		m.Session.Leave(f.d.Session, cmd.At)
		return nil
	})
	return err
}

// change saves a matter, then applies its room and tells everybody. What fails after the commit is only logged: the
// sweeps repeat it.
func (f *Flow) change(ctx context.Context, cmd mediation.Command, ref queue.Ref, fn func(*Matter) error) (Change, error) {
	c, err := f.d.Store.Change(ctx, cmd, ref, fn)
	if err == nil {
		f.tell(ctx, c)
	}
	return c, err
}

func (f *Flow) tell(ctx context.Context, c Change) {
	if c.After.Session.ID != "" && c.After.Session.Epoch != c.Before.Session.Epoch {
		if err := f.d.Rooms.Apply(ctx, c.After.Session); err != nil {
			f.d.Logger.WarnContext(ctx, "apply a room", slog.String("session", string(c.After.Session.ID)), slog.Any("error", err))
		}
	}
	for _, n := range Nudges(c) {
		f.d.Nudges.Publish(ctx, n)
	}
}

// Nudges tells everybody whom a change concerns. Of a ticket whose person is gone the terminal hears nothing: somebody
// else may stand there.
func Nudges(c Change) []coord.Nudge {
	list := queue.Nudges(queue.Change{Before: c.Before.Line, After: c.After.Line, Phone: c.Phone, Ver: c.Ver})
	if c.After.Session.ID != "" {
		list = append(list, session.Nudges(session.Change{Before: c.Before.Session, After: c.After.Session, Phone: c.Phone, Ver: c.Ver})...)
	}
	if c.After.Gone {
		list = slices.DeleteFunc(list, func(n coord.Nudge) bool {
			return strings.HasPrefix(n.To, "device/") || strings.HasPrefix(n.To, "capture/")
		})
	}
	return list
}
