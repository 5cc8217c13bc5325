package handoff

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/parcel"
)

// Outbox is what a worker needs of the store.
type Outbox interface {
	// ClaimHandoff gives one row that is due to a node until now + lease, the oldest first and the versions of a subject in
	// their order; ok is false when none is due. The attempt is counted.
	ClaimHandoff(ctx context.Context, node string, now int64, lease time.Duration) (r Row, ok bool, err error)
	// ResumeHandoffs gives up the claims of a node whose process ended.
	ResumeHandoffs(ctx context.Context, node string, now int64) error
	// HandoffPackage reads what a row carries; empty Payload: it is not made yet.
	HandoffPackage(ctx context.Context, id ident.HandoffID) (Package, error)
	// ConsultFacts reads what the package of a consultation says. fault.NotFound "session.none".
	ConsultFacts(ctx context.Context, id ident.SessionID) (Facts, error)
	// Rated returns the rating of a session, 0 for none.
	Rated(ctx context.Context, id ident.SessionID) (int, error)
	// HandoffBefore returns the package of the version before. fault.NotFound "handoff.none".
	HandoffBefore(ctx context.Context, r Row) (Package, error)
	// HandoffMade keeps the package that a claimed row was without. fault.Stale "handoff.stale" when note or rating changed
	// since they were read, or the claim is over.
	HandoffMade(ctx context.Context, cmd mediation.Command, r Row, node string, m Made) error
	// SettleHandoff writes what became of an attempt; a claim that is over changes nothing. The nudges tell those who see the
	// receipt.
	SettleHandoff(ctx context.Context, cmd mediation.Command, o Outcome) ([]coord.Nudge, error)
	// CountHandoffs returns how many rows stand in each state that is not the end: queued, sending, failed, dead.
	CountHandoffs(ctx context.Context) (map[State]int, error)
}

// Made is a package just made, and what it says that may change.
type Made struct {
	Package
	DeliveryID  string
	NoteVersion int64
	Rating      int
}

// CaseStore takes packages: the embedded one or another installation's.
//
// Errors: fault.Conflict "handoff.digest_conflict"; fault.Invalid "handoff.bad_package", "handoff.unknown_unit";
// fault.Unauthenticated "handoff.unknown_sender", "handoff.bad_signature"; fault.Unavailable "handoff.unreachable".
type CaseStore interface {
	Put(ctx context.Context, r parcel.Request) (parcel.Receipt, error)
}

// Deps are what a Worker works with.
type Deps struct {
	Outbox   Outbox
	Embedded CaseStore
	Remote   CaseStore // nil: everything goes to the embedded one
	Address  string    // of Remote, as it stands in rows
	// Sender returns the key that signs requests.
	Sender func(ctx context.Context) (sign.Key, error)
	// Seal returns the key of a committee.
	Seal   func(ctx context.Context, unit ident.UnitID) (sign.Key, error)
	Render Render
	Nudges coord.Nudges
	Node   string
	Limits Limits
	TZ     *time.Location
	Now    func() time.Time
	Logger *slog.Logger
	Every  time.Duration            // 0 means 300 ms
	Count  func(State)              // after each attempt; nil: nobody counts
	Gauge  func(open map[State]int) // now and then; nil: nobody looks
}

// Worker carries packages out of the outbox.
type Worker struct {
	d       Deps
	resumed atomic.Bool
}

// NewWorker returns a ready Worker.
func NewWorker(d Deps) *Worker {
	if d.Limits == (Limits{}) {
		d.Limits = Defaults()
	}
	if d.Every == 0 {
		d.Every = 300 * time.Millisecond
	}
	if d.Count == nil {
		d.Count = func(State) {}
	}
	return &Worker{d: d}
}

// gaugeEvery is how often the rows are counted for the metrics.
const gaugeEvery = 15 * time.Second

// Run works until ctx is done. Several Runs of one Worker share the rows, so that one slow receiver does not hold up the
// others.
func (w *Worker) Run(ctx context.Context) error {
	tick := time.NewTicker(w.d.Every)
	defer tick.Stop()
	var counted time.Time
	for {
		busy, err := w.Work(ctx)
		if err != nil && ctx.Err() == nil {
			w.d.Logger.ErrorContext(ctx, "carry packages", slog.Any("error", err))
		}
		if now := w.d.Now(); w.d.Gauge != nil && now.Sub(counted) >= gaugeEvery {
			counted = now
			w.gauge(ctx)
		}
		if busy && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (w *Worker) gauge(ctx context.Context) {
	open, err := w.d.Outbox.CountHandoffs(ctx)
	if err != nil {
		w.d.Logger.WarnContext(ctx, "count packages", slog.Any("error", err))
		return
	}
	w.d.Gauge(open)
}

// Work carries one package that is due; busy says that there was one. The first Work of a process gives up what an
// earlier one of the same name had claimed.
func (w *Worker) Work(ctx context.Context) (busy bool, err error) {
	if !w.resumed.Load() {
		if err := w.d.Outbox.ResumeHandoffs(ctx, w.d.Node, w.now()); err != nil {
			return false, err
		}
		w.resumed.Store(true)
	}
	r, ok, err := w.d.Outbox.ClaimHandoff(ctx, w.d.Node, w.now(), w.d.Limits.Lease)
	if err != nil || !ok {
		return false, err
	}
	try, cancel := context.WithTimeout(ctx, w.d.Limits.Try)
	receipt, err := w.carry(try, &r)
	cancel()
	if ctx.Err() != nil {
		return false, ctx.Err() // stopped half way: the next process goes on
	}
	if err != nil {
		w.d.Logger.WarnContext(ctx, "a package did not arrive", slog.String("handoff", string(r.ID)), slog.Int("attempt", r.Attempts), slog.Any("error", err))
	}
	now := w.now()
	o := Next(w.d.Limits, r, w.d.Node, receipt, err, now, jitter())
	nudges, err := w.d.Outbox.SettleHandoff(ctx, mediation.System("handoff."+string(o.State), "handoff", now), o)
	if err != nil {
		return true, err
	}
	w.d.Count(o.State)
	if o.State == Dead {
		w.d.Logger.ErrorContext(ctx, "a package is given up: find the cause, then heyi admin handoff retry",
			slog.String("handoff", string(r.ID)), slog.String("code", o.Error))
	}
	for _, n := range nudges {
		w.d.Nudges.Publish(ctx, n)
	}
	return true, nil
}

func (w *Worker) now() int64 { return w.d.Now().UnixMicro() }

// carry makes the package when it is not made yet, and puts it.
func (w *Worker) carry(ctx context.Context, r *Row) (parcel.Receipt, error) {
	pack, err := w.d.Outbox.HandoffPackage(ctx, r.ID)
	if err == nil && len(pack.Payload) == 0 {
		pack, err = w.make(ctx, r)
	}
	if err != nil {
		return parcel.Receipt{}, err
	}
	store, err := w.target(pack, r)
	if err != nil {
		return parcel.Receipt{}, err
	}
	body, err := parcel.Write(pack.Payload, pack.Signatures, pack.Files)
	if err != nil {
		return parcel.Receipt{}, err
	}
	key, err := w.d.Sender(ctx)
	if err != nil {
		return parcel.Receipt{}, err
	}
	q, err := parcel.NewRequest(key, r.DeliveryID, w.now(), body)
	if err != nil {
		return parcel.Receipt{}, err
	}
	return store.Put(ctx, q)
}

// target chooses the receiver: another handler gets a package only when every party agreed to that (domain.md 7.6).
func (w *Worker) target(pack Package, r *Row) (CaseStore, error) {
	m, err := mediation.ParseManifest(pack.Payload)
	if err != nil {
		return nil, err
	}
	if w.d.Remote != nil && m.HandOffConsent {
		r.Target = w.d.Address
		return w.d.Remote, nil
	}
	r.Target = Embedded
	return w.d.Embedded, nil
}

// makeTries bounds how often a package is made anew because somebody rated or wrote meanwhile.
const makeTries = 5

// make makes the package of a row that was written without one, and mints its delivery id.
func (w *Worker) make(ctx context.Context, r *Row) (Package, error) {
	for range makeTries {
		m, err := w.build(ctx, r)
		if err != nil {
			return Package{}, err
		}
		err = w.d.Outbox.HandoffMade(ctx, mediation.System("handoff.made", "handoff", w.now()), *r, w.d.Node, m)
		if fault.CodeOf(err) == "handoff.stale" {
			continue
		}
		r.DeliveryID = m.DeliveryID
		return m.Package, err
	}
	return Package{}, errors.New("handoff: the record does not stand still")
}

func (w *Worker) build(ctx context.Context, r *Row) (Made, error) {
	key, err := w.d.Seal(ctx, r.Unit)
	if err != nil {
		return Made{}, err
	}
	var (
		out      Made
		manifest mediation.Manifest
		signed   []mediation.SignatureEntry
	)
	if r.Kind == parcel.Consult {
		facts, err := w.d.Outbox.ConsultFacts(ctx, r.Session)
		if err != nil {
			return out, err
		}
		manifest, out.Files, err = consultPackage(facts, r.Version, w.now(), w.d.TZ, w.d.Render)
		if err != nil {
			return out, err
		}
		out.NoteVersion, out.Rating = facts.NoteVersion, facts.Rating
	} else {
		if manifest, signed, err = w.again(ctx, r, &out); err != nil {
			return out, err
		}
	}
	out.Payload, out.Signatures, err = parcel.Make(manifest, signed, out.Files, key.Sign)
	out.DeliveryID = parcel.DeliveryID(out.Payload)
	return out, err
}

// again is a dossier as its version before, with the rating that came since.
func (w *Worker) again(ctx context.Context, r *Row, out *Made) (mediation.Manifest, []mediation.SignatureEntry, error) {
	before, err := w.d.Outbox.HandoffBefore(ctx, *r)
	if err != nil {
		return mediation.Manifest{}, nil, err
	}
	m, err := mediation.ParseManifest(before.Payload)
	if err != nil {
		return m, nil, err
	}
	signed, err := parcel.ParseSignatures(before.Signatures)
	if err != nil {
		return m, nil, err
	}
	if out.Rating, err = w.d.Outbox.Rated(ctx, r.Session); err != nil {
		return m, nil, err
	}
	out.Files = before.Files
	m.Version, m.Rating, m.MadeAt = r.Version, out.Rating, w.now()
	return m, signed.Signatures, nil
}
