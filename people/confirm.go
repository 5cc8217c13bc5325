package people

import (
	"context"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// Confirm proves anew that somebody who is signed in is himself, before he signs or attests: password and, where one
// is enrolled, second factor. Wrong ones count as at the sign-in.
//
// Errors: fault.Forbidden "agreement.reauth_required" (Field is password, or totp when a code is missing or wrong);
// fault.TooMany "auth.locked"; fault.Unavailable "auth.busy", "coord.unavailable".
func (s *Service) Confirm(ctx context.Context, id ident.StaffID, password, totp string) error {
	required := func(field string) error {
		return &fault.Error{Kind: fault.Forbidden, Code: "agreement.reauth_required", Field: field}
	}
	key := "confirm/" + string(id)
	ok, retry, err := s.limiter.Allow(ctx, key, s.cfg.WrongLogin, s.cfg.Window)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.TooMany, "auth.locked").After(retry)
	}
	staff, secrets, err := s.store.StaffByID(ctx, id)
	if fault.KindOf(err) == fault.NotFound || len(password) > maxPassword {
		return required("password")
	}
	if err != nil {
		return err
	}
	match, err := s.hasher.verify(ctx, password, secrets.PasswordHash)
	if err != nil {
		return err
	}
	if !match || staff.Disabled {
		return required("password")
	}
	now := s.now()
	step, err := s.secondFactor(totp, secrets, now)
	if err != nil {
		return required("totp")
	}
	if step > 0 {
		by := mediation.Command{Name: "staff.confirmed", Actor: mediation.Actor{Kind: mediation.ActorStaff, ID: string(id)}, At: now.UnixMicro()}
		err := s.store.UseTOTP(ctx, id, step, by)
		if fault.CodeOf(err) == "auth.totp_used" {
			return required("totp")
		}
		if err != nil {
			return err
		}
	}
	return s.limiter.Reset(ctx, key)
}
