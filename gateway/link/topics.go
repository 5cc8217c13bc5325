package link

import (
	"context"
	"slices"

	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/mediation/flow"
	"heyi/people"
)

// Topics answers the requests of people on a link (docs/protocol.md §4). Each is the twin of a REST request: the same
// callers may ask, the same service answers, and the answer is the same JSON or the same error code.
type Topics struct {
	Requests *flow.Requests
	Dockets  *flow.Dockets
}

// Register sets the handlers. Call it before Hub.Run.
func (t Topics) Register(h *Hub) {
	r := t.Requests
	terminal, citizen := kinds(auth.Device), kinds(auth.Device, auth.Capture)
	seat := role(auth.RolesOf(auth.TakeTickets)...)
	h.Handle(wire.VisitOpen, request(terminal, r.OpenVisit))
	h.Handle(wire.VisitClose, request(terminal, empty(r.CloseVisit)))
	h.Handle(wire.TicketCreate, request(terminal, r.CreateTicket))
	h.Handle(wire.TicketCancel, request(terminal, r.CancelTicket))
	h.Handle(wire.TicketAnswer, request(citizen, r.AnswerTicket))
	h.Handle(wire.RoomLeave, request(terminal, empty(r.Leave)))
	h.Handle(wire.SeatSet, request(seat, r.SetSeat))
	h.Handle(wire.OfferAccept, request(seat, r.AcceptOffer))
	h.Handle(wire.OfferDecline, request(seat, r.DeclineOffer))
	h.Handle(wire.RoomControl, request(seat, r.Control))
	d, party, phone := t.Dockets, kinds(auth.Device, auth.Capture, auth.Party), kinds(auth.Capture, auth.Party)
	h.Handle(wire.RoomConsent, request(party, d.Answer))
	h.Handle(wire.DisputeWithdraw, request(party, d.Withdraw))
	h.Handle(wire.AgreementReadback, request(party, d.Readback))
	h.Handle(wire.AgreementHandover, request(terminal, d.Handover))
	h.Handle(wire.AgreementSign, request(phone, d.Sign))
	h.Handle(wire.AgreementRefuse, request(party, d.Refuse))
}

// rule says whether a caller may ask at all. Errors: as REST for the same caller.
type rule func(auth.Caller) error

func kinds(list ...auth.CallerKind) rule {
	return func(c auth.Caller) error {
		if !slices.Contains(list, c.Kind) {
			return fault.New(fault.Unauthenticated, "auth.required")
		}
		return nil
	}
}

func role(list ...people.Role) rule {
	staff := kinds(auth.Staff)
	return func(c auth.Caller) error {
		if err := staff(c); err != nil {
			return err
		}
		if !c.Has(list...) {
			return fault.New(fault.Forbidden, "auth.role")
		}
		return nil
	}
}

// request reads the body of a frame and hands it to a service.
func request[In, Out any](may rule, do func(context.Context, flow.By, In) (Out, error)) Handler {
	return func(ctx context.Context, c auth.Caller, addr string, f *wire.Frame) (any, error) {
		if err := may(c); err != nil {
			return nil, err
		}
		var in In
		if err := f.Body(&in); err != nil {
			return nil, err
		}
		by := flow.By{
			Actor: c.Actor(), Device: c.DeviceID, Grant: c.GrantID, Link: c.Link, Staff: c.StaffID, Unit: c.StaffUnit, Cause: "link/" + addr,
		}
		return do(ctx, by, in)
	}
}

// empty answers {} where REST answers 204.
func empty[In any](do func(context.Context, flow.By, In) error) func(context.Context, flow.By, In) (struct{}, error) {
	return func(ctx context.Context, by flow.By, in In) (struct{}, error) { return struct{}{}, do(ctx, by, in) }
}
