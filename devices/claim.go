package devices

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/spoken"
	"heyi/mediation"
)

// ClaimLife is how long a claim's code may be approved (device-protocol.md §6).
const ClaimLife = 10 * time.Minute

// claimFetch is how long after the end of its code an approved claim may still be fetched: an approval in the last
// second must reach a terminal on a weak line.
const claimFetch = time.Hour

// ClaimState is how far a claim has come.
type ClaimState string

// The states.
const (
	ClaimWaiting  ClaimState = "waiting"
	ClaimApproved ClaimState = "approved"
	ClaimRefused  ClaimState = "refused"
)

// Claim is a terminal's wish to be enrolled with the key it made. The code is bound to that key: whoever steals the
// code can only approve the same terminal.
type Claim struct {
	ID         ident.ClaimID
	Code       string // 8 characters, without the hyphen
	SecretHash string // hex SHA-256
	Pub        []byte
	Alg        Alg
	KeyStore   KeyStore
	Serial     string
	Model      string
	Kind       Kind
	State      ClaimState
	DeviceID   ident.DeviceID // approved: the device
	Known      ident.DeviceID // a device with this serial that is not retired: expected by import, or to be re-keyed
	At         int64
	ExpiresAt  int64
}

// ClaimRequest is what an unknown terminal sends.
type ClaimRequest struct {
	Pub      []byte
	Alg      Alg
	KeyStore KeyStore
	Serial   string
	Model    string
	Kind     Kind
	Proof    []byte // signature by the new key over wire.ClaimProof
	Addr     string // remote address, for the limit
	Demo     bool   // the caller saw a direct loopback peer without any forwarding header
}

// ClaimAnswer is shown on the terminal's screen; Secret lets it fetch the credential.
type ClaimAnswer struct {
	ID        ident.ClaimID
	Secret    string
	Code      string // XXXX-XXXX
	ExpiresAt int64
	Approved  bool // already: demo, an imported fingerprint, or a device's own key again
}

// Approval is an operator's answer to a claim.
type Approval struct {
	ClaimID ident.ClaimID
	UnitID  ident.UnitID
	Name    string
	Class   Class
	Key     string // idempotency
	Scope   Scope
}

// Enrolment is one transaction: the claim becomes approved, the device active with its key and credential.
type Enrolment struct {
	Claim     Claim
	NewClaim  bool // the claim is stored by the same transaction
	Device    Device
	Known     bool // the device exists: it was expected, is re-keyed, or renews its credential
	KeepEpoch bool // same key again: the link stays as it is
	Cred      Credential
	CredText  string
	How       string // operator, import, demo, renew
	Key       string // idempotency, operator only
	Scope     Scope  // operator only: unit and known device must lie in it
	Actor     mediation.Actor
	At        int64
}

// Claim takes the wish of an unknown terminal. Approved at once are: a terminal whose serial and key fingerprint were
// imported, a device that shows its own current key again, and in demo mode a TV that came directly over loopback.
//
// Errors: fault.Invalid "claim.bad_serial", "claim.bad_model", "claim.bad_kind", "claim.weak_key_store",
// "device.bad_alg", "device.bad_key"; fault.Unauthenticated "claim.bad_proof"; fault.TooMany "claim.too_many".
func (r *Registry) Claim(ctx context.Context, q ClaimRequest) (ClaimAnswer, error) {
	if err := r.checkClaim(q); err != nil {
		return ClaimAnswer{}, err
	}
	demo := q.Demo && r.cfg.Demo && q.Kind == STB && r.cfg.DemoUnit != ""
	known, err := r.claims.DeviceBySerial(ctx, q.Serial)
	if fault.KindOf(err) == fault.NotFound {
		known, err = Device{}, nil
	}
	if err != nil {
		return ClaimAnswer{}, err
	}
	now := r.now()
	c := Claim{
		ID: ident.New[ident.ClaimID](), Code: spoken.Code(randomBytes(spoken.Bytes)), Pub: q.Pub, Alg: q.Alg, KeyStore: q.KeyStore, Serial: q.Serial,
		Model: q.Model, Kind: q.Kind, State: ClaimWaiting, Known: known.ID, At: now.UnixMicro(), ExpiresAt: now.Add(ClaimLife).UnixMicro(),
	}
	how := ""
	switch own := known.ID != "" && known.KeySHA256 == Fingerprint(q.Pub) && known.Kind == q.Kind; {
	case own && known.Life == Pending:
		how = "import"
	case own && known.Life == Active:
		how = "renew"
	case demo && (known.ID == "" || known.Life == Active):
		how = "demo"
	}
	// A proven key that we expect, and the demo's own TV, are not held up by what strangers behind the same address do.
	if how == "" {
		if err := r.allow(ctx, "claim/addr/"+q.Addr, r.cfg.ClaimsPerMinute, time.Minute, "claim.too_many"); err != nil {
			return ClaimAnswer{}, err
		}
	}
	secret := newSecret()
	c.SecretHash = hashHex(secret)
	answer := ClaimAnswer{ID: c.ID, Secret: secret, Code: c.Code[:4] + "-" + c.Code[4:], ExpiresAt: c.ExpiresAt}
	if how == "" {
		return answer, r.claims.InsertClaim(ctx, c)
	}
	e := Enrolment{Claim: c, NewClaim: true, Device: known, Known: known.ID != "", KeepEpoch: how == "renew", How: how}
	e.Actor = mediation.Actor{Kind: mediation.ActorSystem, ID: "claim." + how}
	if !e.Known {
		e.Device = Device{UnitID: r.cfg.DemoUnit, Class: Public, Name: r.cfg.DemoName}
	}
	if _, err := r.enrol(ctx, e); err != nil {
		return ClaimAnswer{}, err
	}
	answer.Approved = true
	return answer, nil
}

func (r *Registry) checkClaim(q ClaimRequest) error {
	switch {
	case !plain(q.Serial, 1, 64):
		return fault.InField("claim.bad_serial", "serial")
	case !plain(q.Model, 0, 64):
		return fault.InField("claim.bad_model", "model")
	case !q.Kind.Known():
		return fault.InField("claim.bad_kind", "kind")
	case q.KeyStore.Strength() == 0, q.KeyStore.Strength() < r.cfg.WeakestKeyStore.Strength():
		return fault.InField("claim.weak_key_store", "key_store")
	}
	err := Verify(q.Alg, q.Pub, wire.ClaimProof(q.Pub, q.Serial), q.Proof)
	if fault.KindOf(err) == fault.Unauthenticated {
		return fault.New(fault.Unauthenticated, "claim.bad_proof")
	}
	return err
}

// Fetch answers a terminal's long poll: it waits up to wait for the operator.
//
// The state is ClaimWaiting (ask again) or ClaimApproved (with the credential).
// Errors: fault.NotFound "claim.not_found" also for a wrong secret; fault.Forbidden "claim.refused";
// fault.Expired "claim.expired".
func (r *Registry) Fetch(ctx context.Context, id ident.ClaimID, secret string, wait time.Duration) (ClaimState, ident.DeviceID, string, error) {
	changed := make(chan struct{}, 1)
	stop := r.listen(claimAddr(id), changed)
	defer stop()
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		c, cred, err := r.claims.Claim(ctx, id)
		if err != nil {
			return "", "", "", err
		}
		if subtle.ConstantTimeCompare([]byte(c.SecretHash), []byte(hashHex(secret))) != 1 {
			return "", "", "", fault.New(fault.NotFound, "claim.not_found")
		}
		now := r.now()
		switch {
		case c.State == ClaimRefused:
			return "", "", "", fault.New(fault.Forbidden, "claim.refused")
		case c.State == ClaimWaiting && now.UnixMicro() >= c.ExpiresAt,
			now.UnixMicro() >= c.ExpiresAt+claimFetch.Microseconds():
			return "", "", "", fault.New(fault.Expired, "claim.expired")
		case c.State == ClaimApproved:
			return ClaimApproved, c.DeviceID, cred, nil
		}
		again := time.NewTimer(r.cfg.ClaimSweep) // heals a lost nudge
		select {
		case <-changed:
		case <-again.C:
		case <-end.C:
			again.Stop()
			return ClaimWaiting, "", "", nil
		case <-ctx.Done():
			again.Stop()
			return "", "", "", ctx.Err()
		}
		again.Stop()
	}
}

// Claims lists the open claims an operator may answer: all strangers, and expected terminals of the own subtree. With
// a code it returns that one claim.
//
// Errors: fault.NotFound "claim.unknown_code"; fault.TooMany "claim.locked" after ten wrong codes in ten minutes.
func (r *Registry) Claims(ctx context.Context, s Scope, code string) ([]Claim, error) {
	now := r.now().UnixMicro()
	if code == "" {
		return r.claims.OpenClaims(ctx, s, "", now)
	}
	key := "claim/code/" + s.Actor.ID
	if err := r.allow(ctx, key, r.cfg.WrongCodes, 10*time.Minute, "claim.locked"); err != nil {
		return nil, err
	}
	var found []Claim
	if norm := spoken.Normal(code); norm != "" {
		var err error
		if found, err = r.claims.OpenClaims(ctx, s, norm, now); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, &fault.Error{Kind: fault.NotFound, Code: "claim.unknown_code", Field: "code"}
	}
	return found, r.limiter.Reset(ctx, key)
}

// Approve enrols the terminal of a claim in a unit of the operator's subtree. A terminal whose serial is known is
// re-keyed in place: its former key and credential are out from then on.
//
// Errors: fault.NotFound "claim.not_found", "org.no_unit"; fault.Expired "claim.expired"; fault.Conflict
// "claim.answered", "claim.changed", "device.not_active" (known, but out of service); fault.Invalid "device.bad_name",
// "device.bad_class".
func (r *Registry) Approve(ctx context.Context, a Approval) (Row, error) {
	switch {
	case !text(a.Name, 1, 60):
		return Row{}, fault.InField("device.bad_name", "name")
	case !a.Class.Known():
		return Row{}, fault.InField("device.bad_class", "class")
	case !ident.Valid(a.UnitID):
		return Row{}, &fault.Error{Kind: fault.NotFound, Code: "org.no_unit", Field: "unit_id"}
	}
	c, _, err := r.claims.Claim(ctx, a.ClaimID)
	if err != nil {
		return Row{}, err
	}
	e := Enrolment{Claim: c, How: "operator", Key: a.Key, Scope: a.Scope, Actor: a.Scope.Actor}
	known, err := r.claims.DeviceBySerial(ctx, c.Serial)
	switch {
	case err == nil:
		if known.Life != Pending && known.Life != Active && c.State == ClaimWaiting {
			return Row{}, fault.New(fault.Conflict, "device.not_active").WithRef(string(known.ID))
		}
		e.Device, e.Known = known, true
	case fault.KindOf(err) != fault.NotFound:
		return Row{}, err
	}
	e.Device.UnitID, e.Device.Name, e.Device.Class = a.UnitID, a.Name, a.Class
	id, err := r.enrol(ctx, e)
	if err != nil {
		return Row{}, err
	}
	return r.fleet.DeviceRow(ctx, a.Scope, id)
}

// Refuse turns a claim down. Errors: fault.NotFound "claim.not_found"; fault.Conflict "claim.answered".
func (r *Registry) Refuse(ctx context.Context, s Scope, id ident.ClaimID) error {
	if err := r.claims.RefuseClaim(ctx, s, id, r.now().UnixMicro()); err != nil {
		return err
	}
	r.nudge(ctx, claimAddr(id), string(id), "refused")
	return nil
}

// enrol signs the credential, commits the enrolment and wakes whoever waits for it.
func (r *Registry) enrol(ctx context.Context, e Enrolment) (ident.DeviceID, error) {
	now := r.now()
	ca, err := r.ca.DeviceCA(ctx)
	if err != nil {
		return "", err
	}
	c := e.Claim
	if !e.Known {
		e.Device.ID = ident.New[ident.DeviceID]()
		e.Device.At = now.UnixMicro()
	}
	d := &e.Device
	d.Serial, d.Alg, d.KeyStore, d.Kind, d.KeySHA256, d.Life = c.Serial, c.Alg, c.KeyStore, c.Kind, Fingerprint(c.Pub), Active
	if c.Model != "" {
		d.Model = c.Model
	}
	d.Simulated = d.Simulated || strings.HasPrefix(d.Model, simulatedModel)
	e.At = now.UnixMicro()
	e.Cred = Credential{
		Ver: 1, Kid: ca.Kid, DeviceID: d.ID, Kind: d.Kind, Alg: d.Alg, Pub: base64.RawURLEncoding.EncodeToString(c.Pub),
		Serial: d.Serial, NbfAt: now.Add(-time.Minute).UnixMicro(), ExpAt: now.Add(CredentialLife).UnixMicro(),
	}
	if e.CredText, err = e.Cred.Sign(ca); err != nil {
		return "", err
	}
	done, err := r.claims.Enrol(ctx, e)
	if err != nil {
		return "", err
	}
	if e.Known && !e.KeepEpoch {
		r.kick(ctx, done.ID, done.Epoch, Retired) // whoever still holds the former key wipes it
	}
	r.nudge(ctx, claimAddr(c.ID), string(c.ID), "approved")
	r.changed(ctx, done.ID)
	return done.ID, nil
}

func newSecret() string { return base64.RawURLEncoding.EncodeToString(randomBytes(32)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24: the program ends instead
	return b
}

func hashHex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func claimAddr(id ident.ClaimID) string { return "claim/" + string(id) }
