package store_test

import (
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"heyi/internal/ident"
	"heyi/people"
)

// Whoever signs proves himself anew, with a code that was not used for anything else.
func TestConfirm(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		staff := f.signer(t, "bing")
		confirm := func(s *people.Service, password, code string) error {
			return s.Confirm(t.Context(), staff.ID, password, code)
		}
		wantCode(t, "right", confirm(f.people, password, ""), "")
		wantCode(t, "wrong", confirm(f.people, "wrong", ""), "agreement.reauth_required")
		wantCode(t, "nobody", f.people.Confirm(t.Context(), ident.New[ident.StaffID](), password, ""), "agreement.reauth_required")
		for range 3 {
			wantCode(t, "wrong", confirm(f.people, "wrong", ""), "agreement.reauth_required")
		}
		wantCode(t, "the last try", confirm(f.people, password, ""), "") // and forgets the wrong ones
		for range 5 {
			wantCode(t, "wrong", confirm(f.people, "wrong", ""), "agreement.reauth_required")
		}
		wantCode(t, "too often", confirm(f.people, password, ""), "auth.locked")
		f.clock.Advance(10*time.Minute + time.Second)

		strict := people.NewService(people.Config{RequireTOTP: true, Cost: people.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}},
			people.Deps{Store: f.store, Limiter: f.coord, Now: f.clock.Now})
		wantCode(t, "none enrolled", confirm(strict, password, ""), "agreement.reauth_required")
		secret, _, err := people.NewTOTP("Heyi", "bing")
		must(t, err)
		must(t, strict.SetTOTP(t.Context(), staff.ID, secret, by()))
		code, err := totp.GenerateCode(secret, f.clock.Now())
		must(t, err)
		wantCode(t, "no code", confirm(strict, password, ""), "agreement.reauth_required")
		wantCode(t, "right code", confirm(strict, password, code), "")
		wantCode(t, "the same code again", confirm(strict, password, code), "agreement.reauth_required")
		_, err = strict.SignIn(t.Context(), people.SignInRequest{Login: "bing", Password: password, TOTP: code, Addr: "192.0.2.1"})
		wantCode(t, "the same code for a sign-in", err, "auth.wrong")

		gone := staff
		gone.Disabled = true
		must(t, f.people.SaveStaff(t.Context(), gone, by()))
		f.clock.Advance(time.Minute)
		code, err = totp.GenerateCode(secret, f.clock.Now())
		must(t, err)
		wantCode(t, "disabled", confirm(strict, password, code), "agreement.reauth_required")
	})
}
