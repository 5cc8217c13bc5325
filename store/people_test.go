package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/people"
)

const password = "correct horse battery"

// signer adds a mediator with a password and returns him.
func (f *fleet) signer(t *testing.T, login string) people.Staff {
	t.Helper()
	got, err := f.people.SeedStaff(t.Context(), []people.Seed{{
		Staff: people.Staff{
			UnitID: f.wengniu.Unit, Login: login, Name: "调解员丙", Title: "调解员", Roles: []people.Role{people.Mediator},
			Langs: []mediation.Lang{mediation.Chinese, mediation.Mongolian}, Skills: []mediation.Category{mediation.Land, mediation.Family},
		},
		Password: password,
	}}, false)
	must(t, err)
	return got[0].Staff
}

func by() mediation.Actor { return mediation.Actor{Kind: mediation.ActorSystem, ID: "test"} }

func TestSignIn(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		staff := f.signer(t, "bing")
		gone := f.signer(t, "gone")
		gone.Disabled = true
		must(t, f.people.SaveStaff(t.Context(), gone, by()))
		tests := map[string]struct {
			login, password string
			code            string
		}{
			"right":                      {"bing", password, ""},
			"login in capitals":          {" Bing ", password, ""},
			"wrong password":             {"bing", password + "x", "auth.wrong"},
			"no password":                {"bing", "", "auth.wrong"},
			"unknown login":              {"ding", password, "auth.wrong"},
			"no login":                   {"", password, "auth.wrong"},
			"not even a login":           {"a\x00b", password, "auth.wrong"},
			"disabled":                   {"gone", password, "auth.wrong"},
			"account without a password": {"op-150426000000", "", "auth.wrong"},
		}
		for name, tt := range tests {
			got, err := f.people.SignIn(t.Context(), people.SignInRequest{Login: tt.login, Password: tt.password, Addr: "192.0.2.1"})
			wantCode(t, name, err, tt.code)
			if err == nil && (got.Staff.ID != staff.ID || got.Token == "" || got.ExpiresIn != 12*time.Hour) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
}

// A sign-in must never tell an account that exists from one that does not: same answer, and a hash is computed for both.
func TestUnknownLoginCostsAHashToo(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		f.signer(t, "bing")
		costly := people.NewService(people.Config{Cost: people.Argon2{MemoryKiB: 8 << 10, Passes: 3, Lanes: 1}}, people.Deps{Store: f.store, Limiter: f.coord, Now: time.Now})
		cheap := people.NewService(people.Config{Cost: people.Argon2{MemoryKiB: 8, Passes: 1, Lanes: 1}}, people.Deps{Store: f.store, Limiter: f.coord, Now: time.Now})
		unknown := func(s *people.Service) time.Duration {
			best := time.Hour
			for range 2 {
				start := time.Now()
				_, err := s.SignIn(t.Context(), people.SignInRequest{Login: "nobody", Password: password, Addr: "192.0.2.1"})
				wantCode(t, "unknown login", err, "auth.wrong")
				best = min(best, time.Since(start))
			}
			return best
		}
		if c, d := cheap, costly; unknown(d) < 3*unknown(c) {
			t.Error("an unknown login takes no longer with an expensive hash: none was computed")
		}
	})
}

func TestSignInIsThrottled(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		f.signer(t, "bing")
		try := func(login, pw, addr string) error {
			_, err := f.people.SignIn(t.Context(), people.SignInRequest{Login: login, Password: pw, Addr: addr})
			return err
		}
		for _, login := range []string{"bing", "nobody"} { // an account that is none is locked alike
			for range 5 {
				wantCode(t, "wrong", try(login, "wrong password", "192.0.2.1"), "auth.wrong")
			}
			wantCode(t, login+": the right password after five wrong ones", try(login, password, "192.0.2.2"), "auth.locked")
		}
		f.clock.Advance(11 * time.Minute)
		for range 4 {
			wantCode(t, "wrong", try("bing", "wrong password", "192.0.2.1"), "auth.wrong")
		}
		wantCode(t, "after ten minutes", try("bing", password, "192.0.2.1"), "")
		for range 4 {
			wantCode(t, "wrong", try("bing", "wrong password", "192.0.2.1"), "auth.wrong")
		}
		wantCode(t, "a right password clears the failures", try("bing", password, "192.0.2.1"), "")

		for i := range 60 {
			err := try("login"+string(rune('a'+i%26))+string(rune('a'+i/26)), "wrong password", "198.51.100.9")
			if fault.KindOf(err) == fault.TooMany {
				if i != 50 {
					t.Errorf("address locked after %d tries, want 50", i)
				}
				return
			}
		}
		t.Error("60 tries from one address were not stopped")
	})
}

type brokenLimiter struct{}

func (brokenLimiter) Allow(context.Context, string, int, time.Duration) (bool, time.Duration, error) {
	return false, 0, fault.New(fault.Unavailable, "coord.unavailable")
}
func (brokenLimiter) Reset(context.Context, string) error { return nil }

func TestSignInFailsClosed(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		f.signer(t, "bing")
		s := people.NewService(people.Config{}, people.Deps{Store: f.store, Limiter: brokenLimiter{}, Now: f.clock.Now})
		_, err := s.SignIn(t.Context(), people.SignInRequest{Login: "bing", Password: password})
		wantCode(t, "right password without a limiter", err, "coord.unavailable")
	})
}

func TestTOTP(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		staff := f.signer(t, "bing")
		strict := people.NewService(people.Config{RequireTOTP: true, Cost: people.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}},
			people.Deps{Store: f.store, Limiter: f.coord, Now: f.clock.Now})
		try := func(code string) error {
			_, err := strict.SignIn(t.Context(), people.SignInRequest{Login: "bing", Password: password, TOTP: code, Addr: "192.0.2.1"})
			return err
		}
		wantCode(t, "required, none enrolled", try(""), "auth.totp_missing")
		secret, _, err := people.NewTOTP("Heyi", "bing")
		must(t, err)
		must(t, strict.SetTOTP(t.Context(), staff.ID, secret, by()))
		code := func(at time.Time) string {
			c, err := totp.GenerateCode(secret, at)
			must(t, err)
			return c
		}
		now := f.clock.Now()
		wantCode(t, "no code", try(""), "auth.totp_required")
		wantCode(t, "wrong password with a right code", func() error {
			_, err := strict.SignIn(t.Context(), people.SignInRequest{Login: "bing", Password: "wrong password", TOTP: code(now), Addr: "192.0.2.1"})
			return err
		}(), "auth.wrong")
		wantCode(t, "code of five minutes ago", try(code(now.Add(-5*time.Minute))), "auth.wrong")
		wantCode(t, "right code", try(code(now)), "")
		wantCode(t, "the same code again", try(code(now)), "auth.wrong")
		wantCode(t, "an older step after a newer one", try(code(now.Add(-30*time.Second))), "auth.wrong")
		f.clock.Advance(30 * time.Second)
		wantCode(t, "the next code", try(code(f.clock.Now())), "")
	})
}

// The same code in two browsers at once: one of them wins.
func TestTOTPStepIsUsedOnce(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		staff := f.signer(t, "bing")
		results := make(chan error, 8)
		for i := range 8 {
			go func() {
				l := people.LoginSession{ID: ident.New[ident.LoginID](), StaffID: staff.ID, TokenHash: string(rune('a' + i)), At: 1, SeenAt: 1, ExpiresAt: 2}
				results <- f.store.OpenLogin(context.WithoutCancel(t.Context()), l, 77, mediation.Command{Name: "staff.signed_in", Actor: by(), At: 1})
			}()
		}
		won := 0
		for range 8 {
			if err := <-results; err == nil {
				won++
			} else {
				wantCode(t, "the others", err, "auth.totp_used")
			}
		}
		if won != 1 {
			t.Errorf("%d sign-ins with one code", won)
		}
	})
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		staff := f.signer(t, "bing")
		signIn := func() people.SignedIn {
			t.Helper()
			got, err := f.people.SignIn(t.Context(), people.SignInRequest{Login: "bing", Password: password, Addr: "192.0.2.1"})
			must(t, err)
			return got
		}
		check := func(what, token, code string) {
			t.Helper()
			_, who, err := f.people.Authenticate(t.Context(), token)
			wantCode(t, what, err, code)
			if err == nil && (who.ID != staff.ID || len(who.Langs) != 2 || len(who.Skills) != 2 || !who.Has(people.Mediator)) {
				t.Errorf("%s: %+v", what, who)
			}
		}
		check("no token", "", "auth.required")
		check("a made-up token", "x", "auth.required")

		s := signIn()
		check("fresh", s.Token, "")
		f.clock.Advance(59 * time.Minute)
		check("used within the hour", s.Token, "")
		f.clock.Advance(59 * time.Minute)
		check("every use counts", s.Token, "")
		f.clock.Advance(time.Hour)
		check("idle for an hour", s.Token, "auth.required")
		_, _, err := f.people.Alive(t.Context(), s.Login.ID)
		wantCode(t, "a link token of it", err, "auth.required")

		s = signIn()
		for range 23 {
			f.clock.Advance(30 * time.Minute)
			check("busy", s.Token, "")
		}
		f.clock.Advance(30 * time.Minute)
		check("twelve hours old", s.Token, "auth.required")

		s, other := signIn(), signIn()
		must(t, f.people.SignOut(t.Context(), s.Login))
		must(t, f.people.SignOut(t.Context(), s.Login))
		check("signed out", s.Token, "auth.required")
		check("the other browser", other.Token, "")
		must(t, f.people.SetPassword(t.Context(), staff.ID, "another password", by()))
		check("the password was changed", other.Token, "auth.required")
		events, err := f.store.Events(t.Context(), "staff", string(staff.ID))
		must(t, err)
		if audit.Verify(events) >= 0 || events[len(events)-1].Type != "staff.password_set" {
			t.Errorf("events %+v", events)
		}
	})
}

func TestSeedStaffTwice(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		seeds := []people.Seed{
			{Staff: people.Staff{UnitID: f.city.Unit, Login: "ding", Name: "律师丁", Roles: []people.Role{people.Lawyer}}},
			{Staff: people.Staff{UnitID: f.city.Unit, Login: "ops", Name: "运维", Roles: []people.Role{people.Operator}}},
		}
		first, err := f.people.SeedStaff(t.Context(), seeds, false)
		must(t, err)
		again, err := f.people.SeedStaff(t.Context(), seeds, false)
		must(t, err)
		for i := range seeds {
			if len(first[i].Password) != 14 || again[i].Password != "" || again[i].Staff.ID != first[i].Staff.ID {
				t.Errorf("first %+v, again %+v", first[i], again[i])
			}
			_, err := f.people.SignIn(t.Context(), people.SignInRequest{Login: seeds[i].Staff.Login, Password: first[i].Password})
			wantCode(t, "the first password after a second start", err, "")
		}
		if first[0].Password == first[1].Password {
			t.Error("two accounts share a password")
		}
		reset, err := f.people.SeedStaff(t.Context(), seeds, true)
		must(t, err)
		_, err = f.people.SignIn(t.Context(), people.SignInRequest{Login: "ding", Password: reset[0].Password})
		wantCode(t, "the new password after a reset", err, "")
		_, err = f.people.SignIn(t.Context(), people.SignInRequest{Login: "ding", Password: first[0].Password})
		wantCode(t, "the old password after a reset", err, "auth.wrong")

		bad := map[string]people.Staff{
			"staff.bad_login":   {UnitID: f.city.Unit, Login: "No Spaces", Name: "x", Roles: []people.Role{people.Lawyer}},
			"staff.bad_role":    {UnitID: f.city.Unit, Login: "nn", Name: "x", Roles: []people.Role{"king"}},
			"org.no_unit":       {ID: ident.New[ident.StaffID](), UnitID: "x", Login: "nn", Name: "x", Roles: []people.Role{people.Lawyer}},
			"staff.login_taken": {ID: ident.New[ident.StaffID](), UnitID: f.city.Unit, Login: "ding", Name: "x", Roles: []people.Role{people.Lawyer}},
		}
		for code, s := range bad {
			wantCode(t, code, f.people.SaveStaff(t.Context(), s, by()), code)
		}
	})
}

func TestSeedUnitsTwice(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		before, err := f.store.Units(t.Context())
		must(t, err)
		added, err := f.store.SeedUnits(t.Context(), chifeng(t))
		must(t, err)
		after, err := f.store.Units(t.Context())
		must(t, err)
		if added != 0 || len(before) != 24 || len(after) != 24 || before[0] != after[0] {
			t.Errorf("added %d, %d units, then %d", added, len(before), len(after))
		}
	})
}
