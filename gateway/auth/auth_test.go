package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/partylink"
	"heyi/mediation/session"
	"heyi/people"
	"heyi/store"
	"heyi/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	got := ""
	if err != nil {
		got = fault.CodeOf(err)
	}
	if got != code {
		t.Errorf("%s: error %v, want code %q", what, err, code)
	}
}

// world holds keys of a real store and the answers of the parts around.
type world struct {
	store  *store.Store
	clock  *storetest.Clock
	keys   *auth.Keyring
	tokens *auth.Tokens
	auth   *auth.Authenticator

	unit  ident.UnitID
	epoch int64
	admit bool
	login people.LoginSession
	grant session.Capture
	link  partylink.Link
	over  bool // sign-in, grant and link are over
}

func source(s *store.Store) auth.KeySource {
	return func(ctx context.Context, purpose string) ([]auth.Key, error) {
		if _, err := s.Key(ctx, purpose); err != nil {
			return nil, err
		}
		keys, err := s.Keys(ctx, purpose)
		var out []auth.Key
		for _, k := range keys {
			out = append(out, auth.Key{KID: k.KID, Seed: k.Secret, Public: k.Public, Active: k.Active})
		}
		return out, err
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		store: storetest.OpenSQLite(t), clock: storetest.NewClock(time.Now().Truncate(time.Second)), unit: "unit", epoch: 3, admit: true,
		login: people.LoginSession{ID: ident.New[ident.LoginID]()}, grant: session.Capture{ID: ident.New[ident.GrantID](), Device: "dev"},
		link: partylink.Link{ID: ident.New[ident.LinkID](), Dispute: "d1", Party: "p1", Purpose: partylink.Join},
	}
	var err error
	w.keys, err = auth.NewKeyring(t.Context(), source(w.store), w.clock.Now)
	must(t, err)
	w.tokens = auth.NewTokens(w.keys, w.store)
	w.auth = auth.NewAuthenticator(auth.Deps{
		Keys: w.keys, Tokens: w.tokens, Epochs: w, Signins: w, Grants: w, Links: w, CSRFKey: []byte("a key of thirty-two bytes length"), Now: w.clock.Now,
	})
	return w
}

func (w *world) DeviceEpoch(context.Context, ident.DeviceID) (ident.UnitID, int64, bool, error) {
	return w.unit, w.epoch, w.admit, nil
}

func (w *world) Authenticate(ctx context.Context, token string) (people.LoginSession, people.Staff, error) {
	if token != "cookie" {
		return people.LoginSession{}, people.Staff{}, fault.New(fault.Unauthenticated, "auth.required")
	}
	return w.Alive(ctx, w.login.ID)
}

func (w *world) Alive(_ context.Context, id ident.LoginID) (people.LoginSession, people.Staff, error) {
	if w.over || id != w.login.ID {
		return people.LoginSession{}, people.Staff{}, fault.New(fault.Unauthenticated, "auth.required")
	}
	return w.login, people.Staff{ID: "s1", UnitID: w.unit, Roles: []people.Role{people.Lawyer}}, nil
}

func (w *world) CaptureByToken(_ context.Context, hash string) (session.Capture, error) {
	if w.over || hash != session.Hash("phone cookie") {
		return session.Capture{}, fault.New(fault.Unauthenticated, "capture.over")
	}
	return w.grant, nil
}

func (w *world) CaptureByID(_ context.Context, id ident.GrantID) (session.Capture, error) {
	if w.over || id != w.grant.ID {
		return session.Capture{}, fault.New(fault.Unauthenticated, "capture.over")
	}
	return w.grant, nil
}

func (w *world) ByCookie(ctx context.Context, cookie string) (partylink.Link, error) {
	if cookie != "party cookie" {
		return partylink.Link{}, fault.New(fault.Unauthenticated, "link.over")
	}
	return w.ByID(ctx, w.link.ID)
}

func (w *world) ByID(_ context.Context, id ident.LinkID) (partylink.Link, error) {
	if w.over || id != w.link.ID {
		return partylink.Link{}, fault.New(fault.Unauthenticated, "link.over")
	}
	return w.link, nil
}

func TestAccessToken(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	now := w.clock.Now()
	dev := ident.New[ident.DeviceID]()
	good, exp, err := w.tokens.Access(dev, "link", 3, now)
	must(t, err)
	if exp != now.Add(10*time.Minute) {
		t.Errorf("expires at %v", exp)
	}
	old, _, err := w.tokens.Access(dev, "link", 3, now.Add(-11*time.Minute))
	must(t, err)
	early, _, err := w.tokens.Access(dev, "link", 3, now.Add(time.Hour))
	must(t, err)
	foreign, _, err := other.tokens.Access(dev, "link", 3, now)
	must(t, err)
	link, _, err := w.tokens.Link(auth.Subject{Kind: auth.Staff}, "desk", "tab", now)
	must(t, err)
	part := strings.Split(good, ".")
	changed := part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(decode(t, part[1]), `"epoch":3`, `"epoch":4`, 1))) + "." + part[2]

	tests := map[string]struct {
		token string
		epoch int64
		admit bool
		ok    bool
	}{
		"good":                          {good, 3, true, true},
		"the epoch moved":               {good, 4, true, false},
		"no device, or none admitted":   {good, 3, false, false},
		"expired":                       {old, 3, true, false},
		"issued in the future":          {early, 3, true, false},
		"signed by another key":         {foreign, 3, true, false},
		"a link token":                  {link, 3, true, false},
		"changed payload":               {changed, 4, true, false},
		"signature cut off":             {part[0] + "." + part[1] + ".", 3, true, false},
		"no token":                      {"", 3, true, false},
		"alg none":                      {unsigned(t, w, part[1]), 3, true, false},
		"HMAC with the public key":      {hmacWithPublicKey(t, w, dev, now), 3, true, false},
		"something long":                {strings.Repeat("a", 5000), 3, true, false},
		"a padded variant of the right": {good + "=", 3, true, false},
	}
	for name, tt := range tests {
		w.epoch, w.admit = tt.epoch, tt.admit
		c, err := w.auth.Device(t.Context(), tt.token)
		if (err == nil) != tt.ok || err != nil && fault.CodeOf(err) != "auth.required" {
			t.Errorf("%s: %v, want ok %v", name, err, tt.ok)
		}
		if err == nil && (c.Kind != auth.Device || c.DeviceID != dev || c.DeviceUnit != "unit" || c.Epoch != 3) {
			t.Errorf("%s: caller %+v", name, c)
		}
	}
}

func decode(t *testing.T, s string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	must(t, err)
	return string(b)
}

func accessKey(t *testing.T, w *world) auth.Key {
	t.Helper()
	keys, err := source(w.store)(t.Context(), auth.PurposeAccess)
	must(t, err)
	return keys[0]
}

func unsigned(t *testing.T, w *world, payload string) string {
	t.Helper()
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT","kid":"` + accessKey(t, w).KID + `"}`))
	return head + "." + payload + "."
}

func hmacWithPublicKey(t *testing.T, w *world, dev ident.DeviceID, now time.Time) string {
	t.Helper()
	key := accessKey(t, w)
	tok := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "heyi", "aud": "heyi.access_token", "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "device_id": dev, "epoch": 3,
	})
	tok.Header["kid"] = key.KID
	s, err := tok.SignedString(key.Public)
	must(t, err)
	return s
}

func TestLinkToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.clock.Now()
	make1 := func(s auth.Subject) string {
		t.Helper()
		token, _, err := w.tokens.Link(s, "desk", "tab", now)
		must(t, err)
		return token
	}
	staff := auth.Subject{Kind: auth.Staff, Staff: "s1", Login: w.login.ID}
	phone := auth.Subject{Kind: auth.Capture, Grant: w.grant.ID}
	party := auth.Subject{Kind: auth.Party, Link: w.link.ID}
	access, _, err := w.tokens.Access("dev", "link", 3, now)
	must(t, err)
	used := make1(staff)
	_, err = w.auth.Session(t.Context(), used, "desk", "tab", now)
	must(t, err)

	tests := map[string]struct {
		token, screen, instance string
		at                      time.Time
		over                    bool
		code                    string
	}{
		"a sign-in's":                   {make1(staff), "desk", "tab", now, false, ""},
		"a phone's":                     {make1(phone), "desk", "tab", now, false, ""},
		"at the last second":            {make1(staff), "desk", "tab", now.Add(59 * time.Second), false, ""},
		"used before":                   {used, "desk", "tab", now, false, "token.spent"},
		"after 60 s":                    {make1(staff), "desk", "tab", now.Add(63 * time.Second), false, "token.expired"},
		"another screen":                {make1(staff), "console", "tab", now, false, "token.bad"},
		"another tab":                   {make1(staff), "desk", "tab2", now, false, "token.bad"},
		"an access token":               {access, "", "", now, false, "token.bad"},
		"signed out meanwhile":          {make1(staff), "desk", "tab", now, true, "auth.required"},
		"the visit closed meanwhile":    {make1(phone), "desk", "tab", now, true, "capture.over"},
		"a party's":                     {make1(party), "desk", "tab", now, false, ""},
		"the party withdrew meanwhile":  {make1(party), "desk", "tab", now, true, "link.over"},
		"a token that names nobody":     {make1(auth.Subject{}), "desk", "tab", now, false, "token.bad"},
		"a token for a device's caller": {make1(auth.Subject{Kind: auth.Device}), "desk", "tab", now, false, "token.bad"},
	}
	for name, tt := range tests {
		w.over = tt.over
		c, err := w.auth.Session(t.Context(), tt.token, tt.screen, tt.instance, tt.at)
		wantCode(t, name, err, tt.code)
		if err == nil && c.StaffID == "" && c.GrantID == "" && c.Link == "" {
			t.Errorf("%s: nobody: %+v", name, c)
		}
	}
}

func TestMediaTicket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.clock.Now()
	want := media.Ticket{Room: "r", Participant: "p", Attachment: "a", Kind: media.AttachView, JoinGen: 4, Fence: 2}
	token, exp, err := w.tokens.Media(want, now)
	must(t, err)
	if exp != now.Add(time.Minute) {
		t.Errorf("expires at %v", exp)
	}
	got, err := w.tokens.RedeemMedia(t.Context(), token, now)
	must(t, err)
	if got != want {
		t.Errorf("ticket %+v, want %+v", got, want)
	}
	_, err = w.tokens.RedeemMedia(t.Context(), token, now)
	wantCode(t, "used twice", err, "token.spent")
	late, _, err := w.tokens.Media(want, now.Add(-2*time.Minute))
	must(t, err)
	_, err = w.tokens.RedeemMedia(t.Context(), late, now)
	wantCode(t, "two minutes old", err, "token.expired")
	link, _, err := w.tokens.Link(auth.Subject{Kind: auth.Staff}, "desk", "tab", now)
	must(t, err)
	_, err = w.tokens.RedeemMedia(t.Context(), link, now)
	wantCode(t, "a link token", err, "token.bad")
}

func TestCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, csrf, err := w.auth.Staff(t.Context(), "cookie")
	must(t, err)
	if c.Kind != auth.Staff || c.StaffID != "s1" || c.LoginID != w.login.ID || !c.Has(people.Lawyer) || csrf != w.auth.CSRF("cookie") {
		t.Errorf("caller %+v", c)
	}
	p, phone, err := w.auth.Capture(t.Context(), "phone cookie")
	must(t, err)
	if p.Kind != auth.Capture || p.GrantID != w.grant.ID || phone == csrf || len(phone) < 40 {
		t.Errorf("caller %+v", p)
	}
	_, _, err = w.auth.Capture(t.Context(), "cookie")
	wantCode(t, "a sign-in's cookie as a phone's", err, "capture.over")
	b, party, err := w.auth.Party(t.Context(), "party cookie")
	must(t, err)
	if b.Kind != auth.Party || b.Link != w.link.ID || b.Dispute != "d1" || b.Party != "p1" || b.Purpose != partylink.Join || party == phone || len(party) < 40 {
		t.Errorf("caller %+v", b)
	}
	if a := b.Actor(); a.Kind != mediation.ActorParty || a.ID != string(w.link.ID) {
		t.Errorf("actor %+v", a)
	}
	_, _, err = w.auth.Party(t.Context(), "phone cookie")
	wantCode(t, "a camera's cookie as a party's", err, "link.over")
}

// A key that another node made after this one started is found; a key that never was is not asked for again and again.
func TestKeyringReloads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loads := 0
	var extra []auth.Key
	ring, err := auth.NewKeyring(t.Context(), func(ctx context.Context, purpose string) ([]auth.Key, error) {
		loads++
		keys, err := source(w.store)(ctx, purpose)
		if purpose == auth.PurposeAccess {
			keys = append(keys, extra...)
		}
		return keys, err
	}, w.clock.Now)
	must(t, err)
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	now := w.clock.Now()
	tok := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "heyi", "aud": "heyi.access_token", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "device_id": "d", "epoch": 3,
	})
	tok.Header["kid"] = "another node's"
	token, err := tok.SignedString(priv)
	must(t, err)
	tokens := auth.NewTokens(ring, w.store)
	start := loads
	for range 50 {
		_, err = tokens.CheckAccess(t.Context(), token, now)
		wantCode(t, "unknown kid", err, "token.bad")
	}
	if loads != start {
		t.Errorf("unknown kids loaded keys %d times within seconds", loads-start)
	}
	extra = []auth.Key{{KID: "another node's", Public: pub}}
	w.clock.Advance(6 * time.Second)
	_, err = tokens.CheckAccess(t.Context(), token, now)
	wantCode(t, "after a reload", err, "")
}

func TestConnectProof(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	now := w.clock.Now()
	for _, alg := range []devices.Alg{devices.Ed25519, devices.P256} {
		pub, sign := deviceKey(t, alg)
		_, signOther := deviceKey(t, alg)
		id := ident.New[ident.DeviceID]()
		credOf := func(w *world, change func(*devices.Credential)) string {
			t.Helper()
			ca, err := w.keys.DeviceCA(t.Context())
			must(t, err)
			c := devices.Credential{
				DeviceID: id, Kind: devices.STB, Alg: alg, Pub: base64.RawURLEncoding.EncodeToString(pub), Serial: "SN",
				NbfAt: now.Add(-time.Minute).UnixMicro(), ExpAt: now.Add(time.Hour).UnixMicro(),
			}
			if change != nil {
				change(&c)
			}
			text, err := c.Sign(ca)
			must(t, err)
			return text
		}
		good := credOf(w, nil)
		nonce, cnonce := make([]byte, 32), make([]byte, 16)
		_, _ = rand.Read(nonce)
		proof := func() auth.Proof {
			return auth.Proof{
				Auth: wire.AuthBody{Kind: "device", DeviceID: string(id), Cred: good, Alg: string(alg), CNonce: cnonce}, Server: "heyi.test", Nonce: nonce, Now: now,
			}
		}
		signed := func(p auth.Proof, by func([]byte) []byte) auth.Proof {
			p.Auth.Sig = by(wire.ConnectProof(p.Server, p.Nonce, p.Auth.CNonce, p.Auth.DeviceID, p.Auth.Cred, nil))
			return p
		}
		other32 := make([]byte, 32)
		tests := map[string]struct {
			proof auth.Proof
			code  string
		}{
			"right":                    {signed(proof(), sign), ""},
			"replayed on a new nonce":  {with(signed(proof(), sign), func(p *auth.Proof) { p.Nonce = other32 }), "link.bad_signature"},
			"relayed to another host":  {with(signed(proof(), sign), func(p *auth.Proof) { p.Server = "evil.test" }), "link.bad_signature"},
			"signed by another key":    {signed(proof(), signOther), "link.bad_signature"},
			"no signature":             {proof(), "link.bad_signature"},
			"another device's id":      {signed(with(proof(), func(p *auth.Proof) { p.Auth.DeviceID = string(ident.New[ident.DeviceID]()) }), sign), "link.bad_signature"},
			"another algorithm":        {with(signed(proof(), sign), func(p *auth.Proof) { p.Auth.Alg = "sm2" }), "link.bad_signature"},
			"short nonce of its own":   {signed(with(proof(), func(p *auth.Proof) { p.Auth.CNonce = cnonce[:8] }), sign), "link.bad_signature"},
			"credential of another CA": {signed(with(proof(), func(p *auth.Proof) { p.Auth.Cred = credOf(other, nil) }), sign), "link.bad_signature"},
			"credential changed":       {signed(with(proof(), func(p *auth.Proof) { p.Auth.Cred = "x" + good }), sign), "link.bad_signature"},
			"no credential":            {signed(with(proof(), func(p *auth.Proof) { p.Auth.Cred = "" }), sign), "link.bad_signature"},
			"credential expired": {signed(with(proof(), func(p *auth.Proof) {
				p.Auth.Cred = credOf(w, func(c *devices.Credential) { c.ExpAt = now.UnixMicro() })
			}), sign), "link.cred_expired"},
			"expired and signed by another": {signed(with(proof(), func(p *auth.Proof) {
				p.Auth.Cred = credOf(w, func(c *devices.Credential) { c.ExpAt = now.UnixMicro() })
			}), signOther), "link.bad_signature"},
			"credential not valid yet": {signed(with(proof(), func(p *auth.Proof) {
				p.Auth.Cred = credOf(w, func(c *devices.Credential) { c.NbfAt = now.Add(time.Second).UnixMicro() })
			}), sign), "link.bad_signature"},
		}
		for name, tt := range tests {
			c, err := w.auth.Connect(t.Context(), tt.proof)
			wantCode(t, string(alg)+": "+name, err, tt.code)
			if err == nil && (c.DeviceID != id || devices.Fingerprint(c.Key()) != devices.Fingerprint(pub)) {
				t.Errorf("%s: credential %+v", name, c)
			}
		}
	}
}

func with(p auth.Proof, change func(*auth.Proof)) auth.Proof {
	change(&p)
	return p
}

func deviceKey(t *testing.T, alg devices.Alg) (pub []byte, sign func([]byte) []byte) {
	t.Helper()
	if alg == devices.Ed25519 {
		pub, priv, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		return pub, func(msg []byte) []byte { return ed25519.Sign(priv, msg) }
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	pub, err = key.PublicKey.Bytes()
	must(t, err)
	return pub, func(msg []byte) []byte {
		digest := sha256.Sum256(msg)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		must(t, err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func TestMay(t *testing.T) {
	t.Parallel()
	village := []ident.UnitID{"city", "county", "township", "village"}
	caller := func(unit ident.UnitID, roles ...people.Role) auth.Caller {
		return auth.Caller{Kind: auth.Staff, StaffID: "s", StaffUnit: unit, Roles: roles}
	}
	tests := map[string]struct {
		caller auth.Caller
		action auth.Action
		want   bool
	}{
		"operator of the city manages":          {caller("city", people.Operator), auth.ManageDevice, true},
		"operator of the village itself enrols": {caller("village", people.Operator), auth.EnrolDevice, true},
		"operator of another county":            {caller("county2", people.Operator), auth.ManageDevice, false},
		"operator without a unit":               {caller("", people.Operator), auth.ManageDevice, false},
		"dispatcher sees devices":               {caller("county", people.Dispatcher), auth.SeeDevices, true},
		"dispatcher does not manage them":       {caller("county", people.Dispatcher), auth.ManageDevice, false},
		"operator does not see the queue":       {caller("county", people.Operator), auth.SeeQueue, false},
		"one of several roles suffices":         {caller("county", people.Operator, people.Dispatcher), auth.SeeQueue, true},
		"every role sees units":                 {caller("county", people.Auditor), auth.SeeUnits, true},
		"a lawyer takes tickets":                {caller("county", people.Lawyer), auth.TakeTickets, true},
		"a sysadmin does not":                   {caller("county", people.SysAdmin), auth.TakeTickets, false},
		"an action nobody knows":                {caller("city", people.Operator), "devices.explode", false},
		"a device is no staff":                  {auth.Caller{Kind: auth.Device, DeviceID: "d", StaffUnit: "city", Roles: []people.Role{people.Operator}}, auth.ManageDevice, false},
		"a phone is no staff":                   {auth.Caller{Kind: auth.Capture, GrantID: "g", StaffUnit: "city"}, auth.SeeUnits, false},
		"nobody":                                {auth.Caller{}, auth.SeeUnits, false},
	}
	for name, tt := range tests {
		if got := auth.May(tt.caller, tt.action, village); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if auth.May(caller("city", people.Operator), auth.SeeDevices, nil) {
		t.Error("a unit that does not exist may be seen")
	}
}
