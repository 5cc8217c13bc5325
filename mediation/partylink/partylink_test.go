package partylink_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"heyi/internal/coord/memcoord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/spoken"
	"heyi/mediation"
	"heyi/mediation/partylink"
)

const minute = int64(time.Minute / time.Microsecond)

func TestStateOfALink(t *testing.T) {
	t.Parallel()
	const now = 1_000 * minute
	tests := map[string]struct {
		link  partylink.Link
		state partylink.State
		alive bool
	}{
		"waits for consent":         {partylink.Link{State: partylink.Inert, ExpiresAt: now + 1}, partylink.Inert, false},
		"may be redeemed":           {partylink.Link{State: partylink.Live, ExpiresAt: now + 1}, partylink.Live, false},
		"nobody came in time":       {partylink.Link{State: partylink.Live, ExpiresAt: now}, partylink.Over, false},
		"consent came too late":     {partylink.Link{State: partylink.Inert, ExpiresAt: now}, partylink.Over, false},
		"redeemed":                  {partylink.Link{State: partylink.Spent, ExpiresAt: now - 1, RedeemedAt: now - 2}, partylink.Spent, true},
		"the dispute is over":       {partylink.Link{State: partylink.Over, RedeemedAt: now - 2}, partylink.Over, true},
		"revoked":                   {partylink.Link{State: partylink.Revoked, RedeemedAt: now - 2, RevokedAt: now - 1}, partylink.Revoked, false},
		"to sign, the same day":     {partylink.Link{Purpose: partylink.Sign, State: partylink.Spent, RedeemedAt: now - 719*minute}, partylink.Spent, true},
		"to sign, the day after":    {partylink.Link{Purpose: partylink.Sign, State: partylink.Spent, RedeemedAt: now - 720*minute}, partylink.Spent, false},
		"to join, the day after":    {partylink.Link{Purpose: partylink.Join, State: partylink.Spent, RedeemedAt: now - 720*minute}, partylink.Spent, true},
		"to join, two months later": {partylink.Link{Purpose: partylink.Join, State: partylink.Spent, RedeemedAt: now - 60*24*60*minute}, partylink.Spent, false},
	}
	for name, tt := range tests {
		if got := tt.link.Now(now); got != tt.state {
			t.Errorf("%s: %s, want %s", name, got, tt.state)
		}
		if got := tt.link.Alive(now); got != tt.alive {
			t.Errorf("%s: alive %v", name, got)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	a, b := partylink.NewSecrets([]byte("a key of thirty-two bytes length")), partylink.NewSecrets([]byte("another key of thirty-two bytes!"))
	token, code := a.Of("l1")
	if t2, c2 := a.Of("l1"); t2 != token || c2 != code || len(token) != 43 || len(code) != 8 {
		t.Errorf("%s %s, then %s %s", token, code, t2, c2)
	}
	for name, other := range map[string]func() (string, string){
		"another link": func() (string, string) { return a.Of("l2") },
		"another key":  func() (string, string) { return b.Of("l1") },
	} {
		if t2, c2 := other(); t2 == token || c2 == code {
			t.Errorf("%s has the same secrets", name)
		}
	}
	spelled := spoken.Spelled(code)
	for _, s := range []string{spelled, strings.ToLower(spelled), code, " " + code[:4] + " " + code[4:]} {
		if got := spoken.Normal(s); got != code {
			t.Errorf("%q reads as %q, want %s", s, got, code)
		}
	}
	for _, s := range []string{"", "1234", "ABCD-EFGU", "ABCD-EFG!", code + "0"} {
		if got := spoken.Normal(s); got != "" {
			t.Errorf("%q reads as %q", s, got)
		}
	}
	digits := a.PhoneCode("p1", 5)
	if len(digits) != 6 || strings.Trim(digits, "0123456789") != "" || digits == a.PhoneCode("p1", 6) && digits == a.PhoneCode("p2", 5) {
		t.Errorf("%q", digits)
	}
}

// rows is a Store in memory; store/links_test.go holds the real one to the same rules.
type rows map[string]partylink.Link

func (r rows) FindLink(_ context.Context, s partylink.Secret) (partylink.Link, error) {
	if l, ok := r[s.Hash]; ok {
		return l, nil
	}
	return partylink.Link{}, fault.New(fault.NotFound, "link.unknown")
}

func (r rows) LinkByCookie(ctx context.Context, hash string) (partylink.Link, error) {
	return r.FindLink(ctx, partylink.Secret{Hash: hash})
}

func (r rows) LinkByID(ctx context.Context, id ident.LinkID) (partylink.Link, error) {
	return r.FindLink(ctx, partylink.Secret{Hash: string(id)})
}

func TestLooksAndRedemptionsAreCounted(t *testing.T) {
	t.Parallel()
	now := time.Now()
	link := partylink.Link{ID: "l1", State: partylink.Live, ExpiresAt: now.Add(time.Hour).UnixMicro()}
	store := rows{partylink.Hash("token"): link}
	redeemed := 0
	links := partylink.NewLinks(partylink.Deps{
		Store: store, Limiter: memcoord.New(func() time.Time { return now }), Now: func() time.Time { return now }, AnAddr: 2,
		Redeem: func(_ context.Context, cmd mediation.Command, id ident.LinkID, cookie string) (partylink.Link, error) {
			if cmd.Actor.ID != "l1" || id != "l1" || len(cookie) != 64 {
				t.Errorf("%+v %s %s", cmd, id, cookie)
			}
			redeemed++
			return link, nil
		},
		Describe: func(_ context.Context, l partylink.Link) (partylink.Found, error) {
			return partylink.Found{Link: l, From: "申请人甲"}, nil
		},
	})
	want := func(err error, code string) {
		t.Helper()
		if (err == nil) != (code == "") || err != nil && fault.CodeOf(err) != code {
			t.Errorf("%v, want %q", err, code)
		}
	}
	ctx := t.Context()
	f, err := links.Peek(ctx, "a", "token", "")
	if want(err, ""); f.From != "申请人甲" || f.State != partylink.Live {
		t.Errorf("%+v", f)
	}
	for _, bad := range [][2]string{{"", ""}, {"nonsense", ""}, {"", "0000-0000"}} {
		_, err = links.Peek(ctx, "a", bad[0], bad[1])
		want(err, "link.unknown")
	}
	_, err = links.Peek(ctx, "a", "token", "")
	want(err, "link.too_many")
	for _, code := range []string{"", "", "link.too_many"} {
		_, _, err = links.Redeem(ctx, "a", "token", "")
		want(err, code)
	}
	cookie, _, err := links.Redeem(ctx, "b", "token", "")
	if want(err, ""); len(cookie) != 43 || redeemed != 3 {
		t.Errorf("%q, redeemed %d times", cookie, redeemed)
	}
	// a revoked link stays what it looked like to whoever finds it: over
	link.State, link.RevokedAt = partylink.Revoked, 1
	store[partylink.Hash("token")] = link
	_, _, err = links.Redeem(ctx, "c", "token", "")
	want(err, "token.expired")

	store[partylink.Hash("cookie")] = partylink.Link{State: partylink.Spent, RedeemedAt: now.UnixMicro()}
	store[partylink.Hash("old cookie")] = partylink.Link{State: partylink.Revoked, RedeemedAt: 1, RevokedAt: 2}
	_, err = links.ByCookie(ctx, "cookie")
	want(err, "")
	_, err = links.ByCookie(ctx, "old cookie")
	want(err, "link.over")
	store["l2"] = partylink.Link{State: partylink.Spent, RedeemedAt: now.UnixMicro() - partylink.JoinLife}
	_, err = links.ByID(ctx, "l2")
	want(err, "link.over")
}
