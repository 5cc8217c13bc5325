package flow

import (
	"context"

	"heyi/internal/fault"
	"heyi/mediation/partylink"
)

// Describe tells whoever holds a party's link what he is asked to before he agrees: by whom, about what, where.
//
// Errors: fault.NotFound "link.unknown".
func (s *Dockets) Describe(ctx context.Context, l partylink.Link) (partylink.Found, error) {
	d, err := s.d.Store.Docket(ctx, DocketRef{Dispute: l.Dispute})
	if fault.KindOf(err) == fault.NotFound {
		err = fault.New(fault.NotFound, "link.unknown")
	}
	if err != nil {
		return partylink.Found{}, err
	}
	f := partylink.Found{
		Link: l, Unit: s.committeeName(d.Dispute.Unit), Mediator: d.Mediator.Name, Category: d.Dispute.Category,
		Place: s.d.Tree.Names(d.Dispute.Unit),
	}
	if p := d.Dispute.AtTerminal(); p != nil {
		f.From = p.Person.Name
	}
	return f, nil
}
