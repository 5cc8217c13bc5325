package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/audit"
	"heyi/internal/coord"
	"heyi/internal/coord/memcoord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/people"
	"heyi/store"
	"heyi/store/storetest"
)

// fleet is a seeded store with the services on top of it, all on one clock.
type fleet struct {
	store    *store.Store
	clock    *storetest.Clock
	coord    *memcoord.Coord
	keys     *auth.Keyring
	registry *devices.Registry
	people   *people.Service
	tree     *org.Tree
	city     devices.Scope // operator of 赤峰市
	wengniu  devices.Scope // operator of 翁牛特旗
	aohan    devices.Scope // operator of 敖汉旗
	village  ident.UnitID  // in 翁牛特旗
	staff    map[string]people.Staff
}

// eachFleet runs f on both engines.
func eachFleet(t *testing.T, f func(t *testing.T, fl *fleet)) {
	t.Helper()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		t.Helper()
		clock := storetest.NewClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
		c.Now = clock.Now
		f(t, newFleet(t, storetest.Open(t, c), clock))
	})
}

func newFleet(t *testing.T, s *store.Store, clock *storetest.Clock) *fleet {
	t.Helper()
	ctx := t.Context()
	seeds, err := org.Chifeng()
	must(t, err)
	_, err = s.SeedUnits(ctx, seeds)
	must(t, err)
	units, err := s.Units(ctx)
	must(t, err)
	f := &fleet{store: s, clock: clock}
	f.serve(t, units)
	f.city, f.wengniu, f.aohan = f.operator(t, "150400000000"), f.operator(t, "150426000000"), f.operator(t, "150430000000")
	return f
}

// serve builds the services of one process.
func (f *fleet) serve(t *testing.T, units []org.Unit) {
	t.Helper()
	s, clock := f.store, f.clock
	tree, err := org.NewTree(units)
	must(t, err)
	f.coord, f.tree, f.staff = memcoord.New(clock.Now), tree, map[string]people.Staff{}
	f.keys, err = auth.NewKeyring(t.Context(), keySource(s), clock.Now)
	must(t, err)
	f.village = f.unit(t, "150426106201")
	f.registry = devices.NewRegistry(devices.Config{Demo: true, DemoUnit: f.village, DemoName: "演示电视"}, devices.Deps{
		Claims: s, Fleet: s, Lists: s, CA: f.keys, Limiter: f.coord, Nudges: f.coord, Now: clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	f.people = people.NewService(people.Config{Cost: people.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}},
		people.Deps{Store: s, Limiter: f.coord, Now: clock.Now})
}

// keySource adapts the store's keys, as the app does.
func keySource(s *store.Store) auth.KeySource {
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode fails unless err is the fault with the code; "" is no error.
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

func (f *fleet) unit(t *testing.T, code string) ident.UnitID {
	t.Helper()
	u, ok := f.tree.ByCode(code)
	if !ok {
		t.Fatalf("no unit %s", code)
	}
	return u.ID
}

// operator adds an operator of a unit.
func (f *fleet) operator(t *testing.T, code string) devices.Scope {
	t.Helper()
	p := people.Staff{
		ID: ident.New[ident.StaffID](), UnitID: f.unit(t, code), Login: "op-" + code, Name: "操作员", Roles: []people.Role{people.Operator},
	}
	must(t, f.people.SaveStaff(t.Context(), p, mediation.Actor{Kind: mediation.ActorSystem, ID: "test"}))
	f.staff[code] = p
	return devices.Scope{Unit: p.UnitID, Actor: mediation.Actor{Kind: mediation.ActorStaff, ID: string(p.ID)}}
}

// box is a terminal with a real key of its own.
type box struct {
	alg    devices.Alg
	serial string
	pub    []byte
	sign   func(msg []byte) []byte
	id     ident.DeviceID
	cred   string
}

func newBox(t *testing.T, alg devices.Alg, serial string) *box {
	t.Helper()
	b := &box{alg: alg, serial: serial}
	if alg == devices.Ed25519 {
		pub, priv, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		b.pub, b.sign = pub, func(msg []byte) []byte { return ed25519.Sign(priv, msg) }
		return b
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	b.pub, err = key.PublicKey.Bytes()
	must(t, err)
	b.sign = func(msg []byte) []byte {
		digest := sha256.Sum256(msg)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		must(t, err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	return b
}

func (b *box) request() devices.ClaimRequest {
	return devices.ClaimRequest{
		Pub: b.pub, Alg: b.alg, KeyStore: devices.WebCryptoKey, Serial: b.serial, Model: "M1", Kind: devices.STB,
		Proof: b.sign(wire.ClaimProof(b.pub, b.serial)), Addr: "192.0.2.7",
	}
}

// enrol claims and approves a box in a unit, as terminals and operators do.
func (f *fleet) enrol(t *testing.T, b *box, unit ident.UnitID) ident.DeviceID {
	t.Helper()
	a, err := f.registry.Claim(t.Context(), b.request())
	must(t, err)
	if !a.Approved {
		_, err = f.registry.Approve(t.Context(), devices.Approval{
			ClaimID: a.ID, UnitID: unit, Name: "电视 " + b.serial, Class: devices.Public, Key: ident.New[string](), Scope: f.city,
		})
		must(t, err)
	}
	b.fetch(t, f, a)
	return b.id
}

func (b *box) fetch(t *testing.T, f *fleet, a devices.ClaimAnswer) {
	t.Helper()
	state, id, cred, err := f.registry.Fetch(t.Context(), a.ID, a.Secret, time.Millisecond)
	must(t, err)
	if state != devices.ClaimApproved || cred == "" {
		t.Fatalf("claim is %q with credential %q", state, cred)
	}
	b.id, b.cred = id, cred
}

func (b *box) up(f *fleet) devices.LinkUp {
	return devices.LinkUp{Device: b.id, KeySHA256: devices.Fingerprint(b.pub), At: f.clock.Now().UnixMicro()}
}

func TestClaimApprovedByOperator(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		for _, alg := range []devices.Alg{devices.Ed25519, devices.P256} {
			b := newBox(t, alg, "SN-"+string(alg))
			a, err := f.registry.Claim(t.Context(), b.request())
			must(t, err)
			if a.Approved || len(a.Code) != 9 {
				t.Fatalf("answer %+v, want a waiting claim with a code", a)
			}
			state, _, _, err := f.registry.Fetch(t.Context(), a.ID, a.Secret, time.Millisecond)
			must(t, err)
			if state != devices.ClaimWaiting {
				t.Errorf("state %q before the operator, want waiting", state)
			}
			_, _, _, err = f.registry.Fetch(t.Context(), a.ID, "wrong", time.Millisecond)
			wantCode(t, "fetch with a wrong secret", err, "claim.not_found")

			found, err := f.registry.Claims(t.Context(), f.wengniu, strings.ToLower(a.Code))
			must(t, err)
			if len(found) != 1 || found[0].ID != a.ID || found[0].Serial != b.serial {
				t.Fatalf("claims by code: %+v", found)
			}
			approval := devices.Approval{
				ClaimID: a.ID, UnitID: f.village, Name: "海拉苏电视", Class: devices.Public, Key: ident.New[string](), Scope: f.wengniu,
			}
			outside := approval
			outside.UnitID, outside.Key = f.unit(t, "150430206201"), ident.New[string]()
			_, err = f.registry.Approve(t.Context(), outside)
			wantCode(t, "approve into a unit outside the subtree", err, "org.no_unit")

			// a long poll that waits already is woken by the approval
			type fetched struct {
				state devices.ClaimState
				err   error
			}
			polled := make(chan fetched, 1)
			go func() {
				state, _, _, err := f.registry.Fetch(t.Context(), a.ID, a.Secret, 30*time.Second)
				polled <- fetched{state, err}
			}()
			row, err := f.registry.Approve(t.Context(), approval)
			must(t, err)
			if got := <-polled; got.err != nil || got.state != devices.ClaimApproved {
				t.Errorf("long poll: %+v", got)
			}
			if row.Life != devices.Active || row.UnitID != f.village || row.Presence != devices.Offline || row.Use != "idle" || row.CredExpAt == 0 {
				t.Errorf("row %+v", row)
			}
			again, err := f.registry.Approve(t.Context(), approval)
			must(t, err)
			if again.ID != row.ID || again.Epoch != row.Epoch {
				t.Errorf("repeat with the same key made %v epoch %d, want %v epoch %d", again.ID, again.Epoch, row.ID, row.Epoch)
			}
			approval.Key = ident.New[string]()
			_, err = f.registry.Approve(t.Context(), approval)
			wantCode(t, "approve twice", err, "claim.answered")
			_, err = f.registry.Claims(t.Context(), f.wengniu, a.Code)
			wantCode(t, "a code that was used", err, "claim.unknown_code")

			b.fetch(t, f, a)
			cred, err := devices.ParseCredential(b.cred, caKey(f), f.clock.Now())
			must(t, err)
			if cred.DeviceID != row.ID || devices.Fingerprint(cred.Key()) != devices.Fingerprint(b.pub) {
				t.Errorf("credential %+v is not of the key that claimed", cred)
			}
			events, err := f.store.Events(t.Context(), "device", string(row.ID))
			must(t, err)
			if bad := audit.Verify(events); bad >= 0 || len(events) != 1 || events[0].Type != "device.enrolled" {
				t.Errorf("events %+v, chain broken at %d", events, bad)
			}
		}
	})
}

func caKey(f *fleet) func(string) (ed25519.PublicKey, bool) {
	return func(kid string) (ed25519.PublicKey, bool) {
		ca, err := f.keys.DeviceCA(context.Background())
		return ca.Public, err == nil && ca.Kid == kid
	}
}

func TestClaimRefusals(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		thief := newBox(t, devices.Ed25519, "SN-thief")
		tests := map[string]struct {
			change func(*devices.ClaimRequest)
			code   string
		}{
			"proof by another key":     {func(q *devices.ClaimRequest) { q.Proof = thief.sign(wire.ClaimProof(q.Pub, q.Serial)) }, "claim.bad_proof"},
			"proof for another serial": {func(q *devices.ClaimRequest) { q.Serial = "SN-other" }, "claim.bad_proof"},
			"proof cut":                {func(q *devices.ClaimRequest) { q.Proof = q.Proof[:63] }, "claim.bad_proof"},
			"key of another length":    {func(q *devices.ClaimRequest) { q.Pub = q.Pub[:31] }, "device.bad_key"},
			"key of another algorithm": {func(q *devices.ClaimRequest) { q.Alg = devices.P256 }, "device.bad_key"},
			"unknown algorithm":        {func(q *devices.ClaimRequest) { q.Alg = "none" }, "device.bad_alg"},
			"no serial":                {func(q *devices.ClaimRequest) { q.Serial = "" }, "claim.bad_serial"},
			"unknown kind":             {func(q *devices.ClaimRequest) { q.Kind = "fridge" }, "claim.bad_kind"},
			"unknown key store":        {func(q *devices.ClaimRequest) { q.KeyStore = "paper" }, "claim.weak_key_store"},
		}
		for name, tt := range tests {
			q := newBox(t, devices.Ed25519, "SN-1").request()
			tt.change(&q)
			_, err := f.registry.Claim(t.Context(), q)
			wantCode(t, name, err, tt.code)
		}

		strict := devices.NewRegistry(devices.Config{}, devices.Deps{
			Claims: f.store, Fleet: f.store, Lists: f.store, CA: f.keys, Limiter: f.coord, Nudges: f.coord, Now: f.clock.Now, Logger: slog.New(slog.DiscardHandler),
		})
		q := newBox(t, devices.Ed25519, "SN-soft").request()
		q.KeyStore = devices.SoftKey
		_, err := strict.Claim(t.Context(), q)
		wantCode(t, "soft key outside demo", err, "claim.weak_key_store")
		q = newBox(t, devices.Ed25519, "SN-demo").request()
		q.Demo = true
		a, err := strict.Claim(t.Context(), q)
		must(t, err)
		if a.Approved {
			t.Error("a demo claim was approved outside demo mode")
		}
	})
}

// Who steals the code can only approve the terminal that shows it: the credential certifies that terminal's key and
// is fetched with its secret.
func TestStolenCodeIsBoundToTheKey(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		honest, thief := newBox(t, devices.Ed25519, "SN-honest"), newBox(t, devices.Ed25519, "SN-thief")
		shown, err := f.registry.Claim(t.Context(), honest.request())
		must(t, err)
		stolen, err := f.registry.Claim(t.Context(), thief.request())
		must(t, err)
		if stolen.Code == shown.Code {
			t.Fatal("two open claims share a code")
		}
		found, err := f.registry.Claims(t.Context(), f.city, shown.Code)
		must(t, err)
		row, err := f.registry.Approve(t.Context(), devices.Approval{
			ClaimID: found[0].ID, UnitID: f.village, Name: "电视", Class: devices.Public, Key: ident.New[string](), Scope: f.city,
		})
		must(t, err)
		_, _, _, err = f.registry.Fetch(t.Context(), shown.ID, stolen.Secret, time.Millisecond)
		wantCode(t, "fetch with the thief's secret", err, "claim.not_found")
		state, _, _, err := f.registry.Fetch(t.Context(), stolen.ID, stolen.Secret, time.Millisecond)
		must(t, err)
		if state != devices.ClaimWaiting || row.Serial != honest.serial || row.KeySHA256 != devices.Fingerprint(honest.pub) {
			t.Errorf("thief's claim is %q, row %+v", state, row)
		}
	})
}

func TestClaimRunsOutOrIsRefused(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		late, err := f.registry.Claim(t.Context(), newBox(t, devices.Ed25519, "SN-late").request())
		must(t, err)
		refused, err := f.registry.Claim(t.Context(), newBox(t, devices.Ed25519, "SN-no").request())
		must(t, err)
		must(t, f.registry.Refuse(t.Context(), f.city, refused.ID))
		_, _, _, err = f.registry.Fetch(t.Context(), refused.ID, refused.Secret, time.Millisecond)
		wantCode(t, "fetch a refused claim", err, "claim.refused")

		f.clock.Advance(devices.ClaimLife)
		_, _, _, err = f.registry.Fetch(t.Context(), late.ID, late.Secret, time.Millisecond)
		wantCode(t, "fetch an expired claim", err, "claim.expired")
		_, err = f.registry.Approve(t.Context(), devices.Approval{
			ClaimID: late.ID, UnitID: f.village, Name: "电视", Class: devices.Public, Key: ident.New[string](), Scope: f.city,
		})
		wantCode(t, "approve an expired claim", err, "claim.expired")
		list, err := f.registry.Claims(t.Context(), f.city, "")
		must(t, err)
		if len(list) != 0 {
			t.Errorf("%d open claims, want none", len(list))
		}
	})
}

func TestWrongCodesLockAndClaimsAreLimited(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		a, err := f.registry.Claim(t.Context(), newBox(t, devices.Ed25519, "SN-1").request())
		must(t, err)
		for i := range 10 {
			_, err := f.registry.Claims(t.Context(), f.city, "0000-000"+string(rune('0'+i)))
			wantCode(t, "wrong code", err, "claim.unknown_code")
		}
		_, err = f.registry.Claims(t.Context(), f.city, a.Code)
		wantCode(t, "the right code after ten wrong ones", err, "claim.locked")
		if _, err := f.registry.Claims(t.Context(), f.wengniu, a.Code); err != nil {
			t.Errorf("another operator is locked too: %v", err)
		}
		f.clock.Advance(11 * time.Minute)
		a, err = f.registry.Claim(t.Context(), newBox(t, devices.Ed25519, "SN-2").request())
		must(t, err)
		if _, err := f.registry.Claims(t.Context(), f.city, a.Code); err != nil {
			t.Errorf("after ten minutes: %v", err)
		}

		f.clock.Advance(2 * time.Minute)
		for i := range 30 {
			_, err := f.registry.Claim(t.Context(), newBox(t, devices.Ed25519, fmt.Sprintf("SN-many-%d", i)).request())
			wantCode(t, "claim within the limit", err, "")
		}
		_, err = f.registry.Claim(t.Context(), newBox(t, devices.Ed25519, "SN-many").request())
		wantCode(t, "31st claim in a minute", err, "claim.too_many")
		q := newBox(t, devices.Ed25519, "SN-neighbour").request()
		q.Addr = "192.0.2.8"
		_, err = f.registry.Claim(t.Context(), q)
		wantCode(t, "another address", err, "")
	})
}

func TestDemoClaim(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		b := newBox(t, devices.P256, "TV-DEMO")
		q := b.request()
		q.Demo = true
		a, err := f.registry.Claim(t.Context(), q)
		must(t, err)
		if !a.Approved {
			t.Fatal("the demo's TV was not approved")
		}
		b.fetch(t, f, a)
		row, err := f.registry.Device(t.Context(), f.wengniu, b.id)
		must(t, err)
		if row.UnitID != f.village || row.Life != devices.Active || row.Simulated {
			t.Errorf("row %+v", row)
		}
		// the same key again renews the credential and leaves the link alone
		renewed, err := f.registry.Claim(t.Context(), b.request())
		must(t, err)
		if !renewed.Approved {
			t.Error("a device's own key again was not approved")
		}
		same, err := f.registry.Device(t.Context(), f.city, b.id)
		must(t, err)
		if same.Epoch != row.Epoch {
			t.Errorf("renewing raised the epoch from %d to %d", row.Epoch, same.Epoch)
		}
		// a kiosk, or a TV from elsewhere, waits for an operator
		q = newBox(t, devices.P256, "KIOSK").request()
		q.Demo, q.Kind = true, devices.Kiosk
		a, err = f.registry.Claim(t.Context(), q)
		must(t, err)
		if a.Approved {
			t.Error("a kiosk was approved as the demo's TV")
		}
		// the TV that lost its key takes its place again; the former key is out
		second := newBox(t, devices.P256, "TV-DEMO")
		q = second.request()
		q.Demo = true
		a, err = f.registry.Claim(t.Context(), q)
		must(t, err)
		second.fetch(t, f, a)
		if second.id != b.id {
			t.Errorf("re-keyed TV is %v, want %v", second.id, b.id)
		}
		got, err := f.store.ConnectLinks(t.Context(), devices.NodeID{Name: "n1", Inc: 1}, []devices.LinkUp{b.up(f)})
		must(t, err)
		if got[0].Refused != devices.RefusedRetired {
			t.Errorf("former key: %+v, want refused", got[0])
		}
		got, err = f.store.ConnectLinks(t.Context(), devices.NodeID{Name: "n1", Inc: 1}, []devices.LinkUp{second.up(f)})
		must(t, err)
		if got[0].Refused != "" || got[0].Epoch != row.Epoch+2 || got[0].Unit != f.village {
			t.Errorf("new key: %+v, want epoch %d", got[0], row.Epoch+2)
		}
	})
}

func TestImport(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		known, sim := newBox(t, devices.Ed25519, "IMP-1"), newBox(t, devices.Ed25519, "IMP-3")
		csv := "serial,key_sha256,kind,class,model,org_code,name,place\n" +
			"IMP-1," + devices.Fingerprint(known.pub) + ",stb,public,M1,150426106201,一号电视,村委会一楼\n" +
			"IMP-2,,kiosk,public,K1,150426106202,二号,\n" +
			"IMP-3," + devices.Fingerprint(sim.pub) + ",stb,home,fleetsim/1,150426106202,三号,\n" +
			"IMP-1,,stb,public,M1,150426106201,重复,\n" +
			"IMP-4,,stb,public,M1,150430206201,别的旗,\n" +
			"IMP-5,,toaster,public,M1,150426106201,烤箱,\n" +
			"IMP-6,xyz,stb,public,M1,150426106201,坏指纹,\n" +
			"IMP-7,,stb,public,M1,1504,短码,\n" +
			"IMP-8,stb\n"
		got, err := f.registry.Import(t.Context(), f.wengniu, strings.NewReader(csv))
		must(t, err)
		want := []string{"", "", "", "import.serial_taken", "import.no_unit", "import.bad_kind", "import.bad_key", "import.no_unit", "import.bad_line"}
		if len(got) != len(want) {
			t.Fatalf("%d results, want %d", len(got), len(want))
		}
		for i, r := range got {
			if r.Line != i+2 || r.Code != want[i] || r.OK != (want[i] == "") || r.OK != (r.DeviceID != "") {
				t.Errorf("result %d = %+v, want line %d code %q", i, r, i+2, want[i])
			}
		}
		_, err = f.registry.Import(t.Context(), f.wengniu, strings.NewReader("a,b\n1,2\n"))
		wantCode(t, "another header", err, "import.bad_header")

		a, err := f.registry.Claim(t.Context(), known.request())
		must(t, err)
		if !a.Approved {
			t.Fatal("an imported fingerprint was not approved at once")
		}
		known.fetch(t, f, a)
		row, err := f.registry.Device(t.Context(), f.wengniu, known.id)
		must(t, err)
		if row.ID != got[0].DeviceID || row.Life != devices.Active || row.Name != "一号电视" || row.Simulated {
			t.Errorf("row %+v", row)
		}
		a, err = f.registry.Claim(t.Context(), sim.request())
		must(t, err)
		sim.fetch(t, f, a)
		if row, err = f.registry.Device(t.Context(), f.city, sim.id); err != nil || !row.Simulated {
			t.Errorf("simulated = %v, %v", row.Simulated, err)
		}

		// only the serial was imported: it waits for an operator of its unit, and keeps that unit and id
		b := newBox(t, devices.Ed25519, "IMP-2")
		a, err = f.registry.Claim(t.Context(), b.request())
		must(t, err)
		if a.Approved {
			t.Error("approved without a fingerprint")
		}
		_, err = f.registry.Claims(t.Context(), f.aohan, a.Code)
		wantCode(t, "an operator elsewhere asks for the code", err, "claim.unknown_code")
		wantCode(t, "an operator elsewhere refuses", f.registry.Refuse(t.Context(), f.aohan, a.ID), "claim.not_found")
		row, err = f.registry.Approve(t.Context(), devices.Approval{
			ClaimID: a.ID, UnitID: f.village, Name: "二号", Class: devices.Public, Key: ident.New[string](), Scope: f.wengniu,
		})
		must(t, err)
		if row.ID != got[1].DeviceID || row.Life != devices.Active {
			t.Errorf("row %+v, want the imported device", row)
		}
		// a fingerprint stands for one key only
		liar := newBox(t, devices.Ed25519, "IMP-1")
		a, err = f.registry.Claim(t.Context(), liar.request())
		must(t, err)
		if a.Approved {
			t.Error("another key was approved for an imported serial")
		}
	})
}

func TestLifeFencesTheLink(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		node := devices.NodeID{Name: "n1", Inc: 1}
		connect := func() devices.Admission {
			t.Helper()
			got, err := f.store.ConnectLinks(t.Context(), node, []devices.LinkUp{b.up(f)})
			must(t, err)
			return got[0]
		}
		var kicks []coord.Nudge
		seen := make(chan coord.Nudge, 16)
		defer f.coord.Subscribe(func(n coord.Nudge) { seen <- n })()
		change := func(do func(context.Context, devices.LifeChange) (devices.Row, error)) (devices.Row, error) {
			return do(t.Context(), devices.LifeChange{ID: b.id, Reason: "试", Key: ident.New[string](), Scope: f.wengniu})
		}
		before := connect()
		visit, err := f.registry.OpenVisit(t.Context(), b.id, devices.Anonymous, ident.New[string]())
		must(t, err)
		row, err := change(f.registry.Disable)
		must(t, err)
		if row.Life != devices.Disabled || row.Epoch <= before.Epoch || row.Presence != devices.Offline {
			t.Errorf("disabled: %+v", row)
		}
		if got := connect(); got.Refused != devices.RefusedDisabled {
			t.Errorf("connect while disabled: %+v", got)
		}
		if _, _, ok, err := f.store.DeviceEpoch(t.Context(), b.id); ok || err != nil {
			t.Errorf("access token of a disabled device would hold: %v, %v", ok, err)
		}
		if _, open, err := f.registry.Situated(t.Context(), b.id); err != nil || open != nil {
			t.Errorf("visit %v is still open: %v, %v", visit.ID, open, err)
		}
		_, err = f.registry.OpenVisit(t.Context(), b.id, devices.Anonymous, ident.New[string]())
		wantCode(t, "visit at a disabled device", err, "device.not_active")
		_, err = change(f.registry.Disable)
		wantCode(t, "disable twice", err, "device.life")
		// the old socket's end comes late and changes nothing
		dropped, err := f.store.DropLinks(t.Context(), node, []devices.Fallen{{LinkDown: devices.LinkDown{Device: b.id, Epoch: before.Epoch, Cause: "network"}}})
		must(t, err)
		if dropped != 0 {
			t.Error("a late end of the former link was written")
		}
		row, err = change(f.registry.Enable)
		must(t, err)
		if got := connect(); got.Refused != "" || got.Epoch <= row.Epoch {
			t.Errorf("connect after enabling: %+v", got)
		}
		row, err = change(f.registry.Revoke)
		must(t, err)
		if got := connect(); got.Refused != devices.RefusedRetired || row.CredExpAt != 0 {
			t.Errorf("connect after revoking: %+v, credential until %d", got, row.CredExpAt)
		}
		_, err = change(f.registry.Enable)
		wantCode(t, "enable a retired device", err, "device.life")

		for len(kicks) < 2 {
			if n := <-seen; strings.HasPrefix(n.Why, "kick.") {
				kicks = append(kicks, n)
			}
		}
		if kicks[0].Why != "kick.disabled" || kicks[1].Why != "kick.retired" || kicks[1].Ver != row.Epoch || kicks[1].To != "device/"+string(b.id) {
			t.Errorf("kicks %+v", kicks)
		}
		// the serial may enrol again, as a new device
		again := newBox(t, devices.Ed25519, "SN-1")
		if f.enrol(t, again, f.village) == b.id {
			t.Error("the retired device came back")
		}
		events, err := f.store.Events(t.Context(), "device", string(b.id))
		must(t, err)
		var types []string
		for _, e := range events {
			types = append(types, e.Type)
		}
		if got := strings.Join(types, " "); got != "device.enrolled device.disabled device.active device.retired" || audit.Verify(events) >= 0 {
			t.Errorf("events %s", got)
		}
	})
}

func TestSameKeyRepeatsTheAnswer(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		c := devices.LifeChange{ID: b.id, Key: ident.New[string](), Scope: f.city}
		first, err := f.registry.Disable(t.Context(), c)
		must(t, err)
		second, err := f.registry.Disable(t.Context(), c)
		must(t, err)
		if first.Epoch != second.Epoch {
			t.Errorf("the repeat raised the epoch from %d to %d", first.Epoch, second.Epoch)
		}
		_, err = f.registry.Enable(t.Context(), c)
		wantCode(t, "same key, another command", err, "idempotency.key_reused")

		key := ident.New[string]()
		v := newBox(t, devices.Ed25519, "SN-2")
		f.enrol(t, v, f.village)
		one, err := f.registry.OpenVisit(t.Context(), v.id, devices.Anonymous, key)
		must(t, err)
		two, err := f.registry.OpenVisit(t.Context(), v.id, devices.Anonymous, ident.New[string]())
		must(t, err)
		if one != two {
			t.Errorf("a second visit %+v beside %+v", two, one)
		}
		door := flow.New(flow.Deps{Store: f.store, Nudges: f.coord, Logger: slog.New(slog.DiscardHandler)})
		end := func(id ident.DeviceID, visit ident.VisitID) error {
			by := mediation.Actor{Kind: mediation.ActorDevice, ID: string(id), Device: id}
			cmd := mediation.Command{Name: "visit.close", Actor: by, At: f.clock.Now().UnixMicro()}
			return door.CloseVisit(t.Context(), cmd, flow.VisitClose{Device: id, Visit: visit, Why: "left"})
		}
		must(t, end(v.id, one.ID))
		must(t, end(v.id, one.ID))
		three, err := f.registry.OpenVisit(t.Context(), v.id, devices.Anonymous, ident.New[string]())
		must(t, err)
		if three.ID == one.ID {
			t.Error("a visit was reopened")
		}
		wantCode(t, "another device's visit", end(b.id, three.ID), "visit.not_found")
	})
}

func chifeng(t *testing.T) []org.Seed {
	t.Helper()
	seeds, err := org.Chifeng()
	must(t, err)
	return seeds
}
