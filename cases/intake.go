package cases

import (
	"context"
	"time"

	"heyi/internal/fault"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/parcel"
)

// Skew is how far a sender's clock may be from ours; it bounds how long a recorded request can be played again, which
// would only be answered with the same receipt.
const Skew = 10 * time.Minute

// Sender is an installation that may deliver.
type Sender struct {
	Name   string
	KID    string
	Alg    sign.Alg
	Public []byte
}

// Deps are what an Intake works with. All must be set.
type Deps struct {
	Store Store
	// Sender returns the installation of a key id, ok is false when it is unknown.
	Sender func(ctx context.Context, kid string) (s Sender, ok bool, err error)
	// SealKeys returns the published keys of the committees whose seals are known here.
	SealKeys func(ctx context.Context) (sign.KeyList, error)
	TZ       *time.Location
	Now      func() time.Time
}

// Intake takes packages in.
type Intake struct{ d Deps }

// NewIntake returns a ready Intake.
func NewIntake(d Deps) *Intake { return &Intake{d: d} }

// Put implements handoff.CaseStore: the embedded case store is asked like any other.
func (i *Intake) Put(ctx context.Context, r parcel.Request) (parcel.Receipt, error) {
	receipt, _, err := i.Take(ctx, r)
	return receipt, err
}

// Take checks a package and files it; first is false when it was here already.
//
// Errors: those of the package but for case.none, file.none and the list's.
func (i *Intake) Take(ctx context.Context, r parcel.Request) (receipt parcel.Receipt, first bool, err error) {
	now := i.d.Now()
	sender, known, err := i.d.Sender(ctx, r.Sender)
	switch {
	case err != nil:
		return receipt, false, err
	case !known:
		return receipt, false, fault.New(fault.Unauthenticated, "handoff.unknown_sender")
	case time.UnixMicro(r.At).Sub(now).Abs() > Skew:
		return receipt, false, fault.New(fault.Unauthenticated, "handoff.clock")
	}
	if err := r.Verify(sender.Alg, sender.Public); err != nil {
		return receipt, false, err
	}
	p, err := parcel.Read(r.Body)
	if err != nil {
		return receipt, false, err
	}
	if err := check(p, r.DeliveryID); err != nil {
		return receipt, false, err
	}
	keys, err := i.d.SealKeys(ctx)
	if err != nil {
		return receipt, false, err
	}
	seal, sealKnown := keys.Find(p.Signed.Seal, p.Manifest.MadeAt)
	a := Arrival{
		Parcel: p, DeliveryID: r.DeliveryID, Sender: sender.Name, SenderKID: sender.KID, SealKnown: sealKnown && seal.Unit == p.Manifest.Unit,
		Day: now.In(i.d.TZ).Format("20060102"),
	}
	a.State = StateOf(p.Manifest, a.SealKnown)
	cmd := mediation.System("case.received", "intake", now.UnixMicro())
	return i.d.Store.Receive(ctx, cmd, a)
}

// check refuses a package that is not what its request says, or not whole in itself.
func check(p parcel.Parcel, deliveryID string) error {
	m := &p.Manifest
	bad := func(field string) error { return fault.InField("handoff.bad_package", field) }
	switch {
	case parcel.DeliveryID(p.Payload) != deliveryID:
		return bad("delivery_id")
	case m.Kind != parcel.Dossier && m.Kind != parcel.Consult:
		return bad("kind")
	case m.Subject == "" || len(m.Subject) > 64:
		return bad("subject")
	case m.Version < 1:
		return bad("version")
	case m.Rating < 0 || m.Rating > 5:
		return bad("rating")
	case m.Kind == parcel.Dossier && (m.Number == "" || m.ClosingCode == ""):
		return bad("number")
	}
	return p.CheckSeal()
}
