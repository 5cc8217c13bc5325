package flow

import (
	"context"
	"time"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/queue"
)

// Visits opens visits; devices.Registry has it.
type Visits interface {
	OpenVisit(ctx context.Context, device ident.DeviceID, how, key string) (devices.Visit, error)
}

// Requests is what people ask for through either door: REST and the link hand in the same bodies and give out the same
// answers. The door has checked who calls and that he may ask for this at all; what is not his own does not exist.
//
// Errors: fault.Invalid "request.bad_key"; those of Desk, Flow, Views and Visits.
type Requests struct {
	Desk    *queue.Desk
	Flow    *Flow
	Dockets *Dockets
	Views   *Views
	Visits  Visits
	Now     func() time.Time
}

// By is who asks, and by which request or frame.
type By struct {
	Actor  mediation.Actor
	Device ident.DeviceID // of a terminal or its phone
	Grant  ident.GrantID  // of the phone
	Link   ident.LinkID   // of a party with his own phone
	Staff  ident.StaffID
	Unit   ident.UnitID // root of the subtree that the staff member's roles reach
	Cause  string
}

// plain is a change whose repeat the state itself tells: it carries a version instead of a key.
func (r *Requests) plain(by By, name string) mediation.Command {
	return mediation.Command{Name: name, Actor: by.Actor, At: r.Now().UnixMicro(), Cause: by.Cause}
}

// keyed is a change with an idempotency key.
func (r *Requests) keyed(by By, name, key string) (mediation.Command, error) {
	if !ident.Valid(key) {
		return mediation.Command{}, fault.InField("request.bad_key", "key")
	}
	cmd := r.plain(by, name)
	cmd.Key = key
	return cmd, nil
}

// named reads an id; what is no id names nothing: fault.NotFound with the given code.
func named[T ~string](id, code string) (T, error) {
	if !ident.Valid(id) {
		return "", fault.New(fault.NotFound, code)
	}
	return T(id), nil
}

// OpenVisit begins a visit at the caller's terminal; one that is open already is returned as it is.
func (r *Requests) OpenVisit(ctx context.Context, by By, in wire.VisitOpenBody) (VisitView, error) {
	if _, err := r.keyed(by, "visit.open", in.Key); err != nil {
		return VisitView{}, err
	}
	v, err := r.Visits.OpenVisit(ctx, by.Device, in.How, in.Key)
	if err != nil {
		return VisitView{}, err
	}
	return VisitView{ID: v.ID, How: v.How, OpenedAt: v.OpenedAt}, nil
}

// CloseVisit ends a visit of the caller's terminal.
func (r *Requests) CloseVisit(ctx context.Context, by By, in wire.VisitCloseBody) error {
	id, err := named[ident.VisitID](in.VisitID, "visit.not_found")
	if err != nil {
		return err
	}
	return r.Flow.CloseVisit(ctx, r.plain(by, "visit.close"), VisitClose{Device: by.Device, Visit: id, Why: in.Why})
}

// CreateTicket draws a ticket.
func (r *Requests) CreateTicket(ctx context.Context, by By, in wire.TicketCreateBody) (TicketView, error) {
	cmd, err := r.keyed(by, "ticket.create", in.Key)
	if err != nil {
		return TicketView{}, err
	}
	k, err := r.Desk.Join(ctx, cmd, by.Device, mediation.TicketKind(in.Kind), mediation.Category(in.Category), mediation.Lang(in.Lang))
	return r.ticket(ctx, by, k, err)
}

// CancelTicket gives a ticket up.
func (r *Requests) CancelTicket(ctx context.Context, by By, in wire.TicketCancelBody) (TicketView, error) {
	return r.onTicket(ctx, by, "ticket.cancel", in, r.Flow.Cancel)
}

// ReturnTicket lets a missed or parked ticket wait again at its old rank.
func (r *Requests) ReturnTicket(ctx context.Context, by By, in wire.TicketCancelBody) (TicketView, error) {
	return r.onTicket(ctx, by, "ticket.return", in, r.Desk.Return)
}

// AnswerTicket answers a ring.
func (r *Requests) AnswerTicket(ctx context.Context, by By, in wire.TicketAnswerBody) (TicketView, error) {
	take := func(ctx context.Context, cmd mediation.Command, d ident.DeviceID, id ident.TicketID) (queue.Ticket, error) {
		return r.Flow.Answer(ctx, cmd, d, id, in.Take)
	}
	return r.onTicket(ctx, by, "ticket.answer", wire.TicketCancelBody{TicketID: in.TicketID, Key: in.Key}, take)
}

func (r *Requests) onTicket(ctx context.Context, by By, name string, in wire.TicketCancelBody,
	do func(context.Context, mediation.Command, ident.DeviceID, ident.TicketID) (queue.Ticket, error),
) (TicketView, error) {
	id, err := named[ident.TicketID](in.TicketID, "queue.no_ticket")
	if err != nil {
		return TicketView{}, err
	}
	cmd, err := r.keyed(by, name, in.Key)
	if err != nil {
		return TicketView{}, err
	}
	k, err := do(ctx, cmd, by.Device, id)
	return r.ticket(ctx, by, k, err)
}

// ticket is the answer to a command on a ticket.
func (r *Requests) ticket(ctx context.Context, by By, k queue.Ticket, err error) (TicketView, error) {
	if err != nil {
		return TicketView{}, err
	}
	return r.Views.Own(ctx, by.Device, k)
}

// SetSeat makes the caller's seat ready or away.
func (r *Requests) SetSeat(ctx context.Context, by By, in wire.SeatSetBody) (SeatView, error) {
	if _, err := r.Desk.SetSeat(ctx, r.plain(by, "seat.set"), by.Staff, queue.SeatState(in.State), in.Reason); err != nil {
		return SeatView{}, err
	}
	d, err := r.Views.Desk(ctx, by.Staff)
	return d.Seat, err
}

// AcceptOffer takes an offer.
func (r *Requests) AcceptOffer(ctx context.Context, by By, in wire.OfferAcceptBody) (DeskView, error) {
	id, err := named[ident.OfferID](in.OfferID, "offer.none")
	if err == nil {
		err = r.Flow.Accept(ctx, r.plain(by, "offer.accept"), by.Staff, id, in.Ver)
	}
	return r.desk(ctx, by, err)
}

// DeclineOffer gives an offer back.
func (r *Requests) DeclineOffer(ctx context.Context, by By, in wire.OfferDeclineBody) (DeskView, error) {
	id, err := named[ident.OfferID](in.OfferID, "offer.none")
	if err == nil {
		err = r.Desk.Decline(ctx, r.plain(by, "offer.decline"), by.Staff, id, in.Ver, in.Reason)
	}
	return r.desk(ctx, by, err)
}

// Leave takes the caller's clients out of a session.
func (r *Requests) Leave(ctx context.Context, by By, in wire.RoomLeaveBody) error {
	id, err := named[ident.SessionID](in.SessionID, "session.none")
	if err != nil {
		return err
	}
	cmd, err := r.keyed(by, "session.leave", in.Key)
	if err != nil {
		return err
	}
	return r.Flow.Leave(ctx, cmd, by.Device, id)
}

// Control carries out an operation of the caller in his session.
func (r *Requests) Control(ctx context.Context, by By, in wire.RoomControlBody) (DeskView, error) {
	id, err := named[ident.SessionID](in.SessionID, "session.none")
	if err != nil {
		return DeskView{}, err
	}
	op := Control{Op: in.Op, Mute: MuteArgs{Participant: ident.ParticipantID(in.Args.Participant), On: in.Args.On}}
	name := "session." + in.Op
	switch in.Op {
	case OpMute:
		switch in.Args.Kind {
		case "mic":
			op.Mute.Kind = media.Mic
		case "cam":
			op.Mute.Kind = media.Cam
		default:
			return DeskView{}, fault.InField("session.bad_kind", "args.kind")
		}
	case OpAdmit, OpEnd, OpAdjourn, OpCheck, OpJoint:
	default:
		name = "session.control" // what a client made up stays out of the event log; Control refuses it
	}
	cmd, err := r.keyed(by, name, in.Key)
	switch {
	case err != nil:
	case in.Op == OpCheck:
		err = r.Dockets.Check(ctx, cmd, by.Staff, id, op.Mute.Participant)
	case in.Op == OpJoint:
		err = r.Dockets.Joint(ctx, cmd, by.Staff, id)
	default:
		err = r.Flow.Control(ctx, cmd, by.Staff, id, op)
	}
	return r.desk(ctx, by, err)
}

// desk is the answer to a command of a mediator.
func (r *Requests) desk(ctx context.Context, by By, err error) (DeskView, error) {
	if err != nil {
		return DeskView{}, err
	}
	return r.Views.Desk(ctx, by.Staff)
}
