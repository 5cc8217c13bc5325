package flow

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/notify"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/dispute"
	"heyi/mediation/parcel"
)

// Finisher carries what was agreed to its end: after the mediator's signature it puts the seal on, makes evidence sheet
// and signed copy, and finalises agreement, dispute and package in one transaction; when the case store's receipt is
// there, it closes the dispute as handed off. Every node may run one: each step re-checks in its transaction that
// nothing changed since it was prepared, so that a kill anywhere leaves the work to be done again from the start.
type Finisher struct {
	Dockets *Dockets
	Every   time.Duration // 0 means 1 s
}

// finishBatch is how many disputes one round handles.
const finishBatch = 50

// Run works until ctx is done. A failed round is logged and repeated.
func (f *Finisher) Run(ctx context.Context) error {
	every := f.Every
	if every == 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := f.Step(ctx); err != nil && ctx.Err() == nil {
			f.Dockets.d.Logger.ErrorContext(ctx, "finish disputes", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-f.Dockets.wake:
		}
	}
}

// Step finishes what waits now. One that fails does not hold up the others.
func (f *Finisher) Step(ctx context.Context) error {
	ids, err := f.Dockets.d.Store.Unfinished(ctx, finishBatch)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if err := f.Dockets.finish(ctx, id); err != nil && fault.CodeOf(err) != changed {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// changed says that a docket is not any more what was prepared; the work is done again.
const changed = "docket.changed"

// prepared is a change that was worked out on a docket outside a transaction.
func prepared(from *Docket, apply func(*Docket)) func(*Docket) error {
	return func(d *Docket) error {
		if d.Dispute.Ver != from.Dispute.Ver {
			return fault.New(fault.Stale, changed)
		}
		apply(d)
		return nil
	}
}

func (s *Dockets) finish(ctx context.Context, id ident.DisputeID) error {
	ref := DocketRef{Dispute: id}
	d, err := s.d.Store.Docket(ctx, ref)
	if err != nil {
		return err
	}
	now := s.d.Now().UnixMicro()
	switch {
	case d.Dispute.State == dispute.Mediating && (d.Agreement.State == agreement.MediatorSigned || d.Agreement.State == agreement.Effective):
		return s.finalise(ctx, ref, d, now)
	case d.Dispute.State == dispute.Agreed || d.Dispute.State == dispute.Guided:
		if d.Handoff == nil || d.Handoff.ReceiptNo == "" {
			return nil
		}
		return s.delivered(ctx, ref, d.Handoff.ReceiptNo, now)
	}
	return nil
}

// finalise puts the seal on and finalises in one transaction: agreement, dispute, events, papers, reminders, outbox row.
func (s *Dockets) finalise(ctx context.Context, ref DocketRef, from Docket, now int64) error {
	key, err := s.d.SealKey(ctx, from.Dispute.Unit)
	if err != nil {
		return err
	}
	done := from
	done.Dispute = from.Dispute.Clone()
	a := &done.Agreement
	if a.State == agreement.MediatorSigned {
		if err := a.Seal(key.KID, s.meta(&done).Rule, now); err != nil {
			return err
		}
	}
	confirm := ""
	if dispute.RuleOf(from.Dispute.Kind).Confirm && from.Dispute.Category != mediation.Family {
		confirm = s.d.Calendar.ConfirmationLastDay(time.UnixMicro(a.EffectiveAt).In(s.d.TZ)).Format(time.DateOnly)
	}
	if err := done.Dispute.Settled(a.EffectiveAt, confirm, now); err != nil {
		return err
	}
	var extra []parcel.File
	if a.Attest == nil {
		if extra, err = s.sealedPapers(&done, key); err != nil {
			return err
		}
	}
	docs, item, err := s.dossier(ctx, &done, key, extra, now)
	if err != nil {
		return err
	}
	cmd := mediation.System("dispute.finalise", "finisher", now)
	_, err = s.change(ctx, cmd, ref, prepared(&from, func(d *Docket) {
		d.Dispute, d.Agreement = done.Dispute.Clone(), done.Agreement
		d.NewFiles = append(d.NewFiles, docs...)
		d.Package = &item
		d.Texts = append(d.Texts, s.reminders(&done, now)...)
		d.note("agreement.effective", map[string]string{
			"v": number(a.V), "digest": a.Digest.SHA256(), "seal": a.SealKID, "delivery": parcel.DeliveryID(item.Payload), "confirm_last_on": confirm,
		})
	}))
	return err
}

// reminders are the texts about the last day of the joint application for confirmation: 10, 3 and 1 day before it, at
// nine in the morning.
func (s *Dockets) reminders(d *Docket, now int64) []notify.Text {
	last, err := time.ParseInLocation(time.DateOnly, d.Dispute.ConfirmLastOn, s.d.TZ)
	if err != nil {
		return nil
	}
	var list []notify.Text
	for _, before := range []int{10, 3, 1} {
		due := last.AddDate(0, 0, -before).Add(9 * time.Hour).UnixMicro()
		if due <= now {
			continue
		}
		for _, p := range required(&d.Dispute) {
			if p.Person.Phone == "" {
				continue
			}
			list = append(list, notify.Text{
				Template: notify.Confirm, To: p.Person.Phone, DueAt: due, UntilAt: last.AddDate(0, 0, 1).UnixMicro(), Subject: string(d.Dispute.ID),
				Args: map[string]string{"number": d.Dispute.Number, "last_on": agreement.Day(d.Dispute.ConfirmLastOn), "days": number(before)},
			})
		}
	}
	return list
}

// delivered closes a dispute whose dossier the case store has, and tells the parties the receipt number.
func (s *Dockets) delivered(ctx context.Context, ref DocketRef, receipt string, now int64) error {
	cmd := mediation.System("dispute.handed_off", "finisher", now)
	_, err := s.change(ctx, cmd, ref, func(d *Docket) error {
		if d.Dispute.State == dispute.HandedOff {
			return nil
		}
		agreed := d.Dispute.State == dispute.Agreed
		if err := d.Dispute.Delivered(); err != nil {
			return err
		}
		d.note("dispute.receipt", map[string]string{"receipt": receipt})
		for _, p := range required(&d.Dispute) {
			if agreed && p.Person.Phone != "" {
				d.Texts = append(d.Texts, notify.Text{
					Template: notify.Receipt, To: p.Person.Phone, Subject: string(d.Dispute.ID),
					Args: map[string]string{"number": d.Dispute.Number, "receipt_no": receipt},
				})
			}
		}
		return nil
	})
	return err
}

// Guide notes that the other lawful ways were told. A dispute that drew a number goes into the outbox in the same
// transaction, with its record of how it ended.
//
// Errors: those of dispute.Told; fault.NotFound "dispute.none".
func (s *Dockets) Guide(ctx context.Context, by By, id string, in GuidanceBody) (DisputeView, error) {
	ref, err := ofMediator(id)
	if err != nil {
		return DisputeView{}, err
	}
	cmd, err := s.command(by, "dispute.guide", in.Key)
	if err != nil {
		return DisputeView{}, err
	}
	var d Docket
	for range 5 { // the papers are drawn outside the transaction; somebody may change the docket meanwhile
		var apply func(*Docket) error
		if apply, err = s.guidance(ctx, by, ref, in.How, cmd.At); err == nil {
			d, err = s.change(ctx, cmd, ref, apply)
		}
		if fault.CodeOf(err) != changed {
			break
		}
	}
	if fault.CodeOf(err) == changed {
		err = fault.New(fault.Unavailable, "store.unavailable").After(time.Second)
	}
	if err != nil {
		return DisputeView{}, err
	}
	return s.staffView(&d)
}

// guidance works out what the guidance changes.
func (s *Dockets) guidance(ctx context.Context, by By, ref DocketRef, how string, now int64) (func(*Docket) error, error) {
	from, err := s.d.Store.Docket(ctx, ref)
	if err != nil {
		return nil, err
	}
	if from.Session.Mediator != by.Staff || by.Staff == "" {
		return nil, noDispute()
	}
	done := from
	done.Dispute = from.Dispute.Clone()
	if err := done.Dispute.Told(how, now); err != nil {
		return nil, err
	}
	if done.Dispute.State == from.Dispute.State { // told before
		return func(*Docket) error { return nil }, nil
	}
	var (
		docs []Document
		item *parcel.Item
	)
	if done.Dispute.Number != "" {
		key, err := s.d.SealKey(ctx, from.Dispute.Unit)
		if err != nil {
			return nil, err
		}
		files, made, err := s.dossier(ctx, &done, key, nil, now)
		if err != nil {
			return nil, err
		}
		docs, item = files, &made
	}
	return prepared(&from, func(d *Docket) {
		d.Dispute = done.Dispute.Clone()
		d.NewFiles, d.Package = append(d.NewFiles, docs...), item
		d.note("dispute.guidance", map[string]string{"how": how, "routes": d.Dispute.Closing.RouteVersion, "code": d.Dispute.Closing.Code})
	}), nil
}
