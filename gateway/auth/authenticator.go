package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation/partylink"
	"heyi/mediation/session"
	"heyi/people"
)

// Epochs says where a device stands and which epoch its newest link has.
type Epochs interface {
	// DeviceEpoch returns ok false when there is no such device or it is not admitted.
	DeviceEpoch(ctx context.Context, id ident.DeviceID) (unit ident.UnitID, epoch int64, ok bool, err error)
}

// Signins are the sign-ins of staff; people.Service has them.
type Signins interface {
	Authenticate(ctx context.Context, token string) (people.LoginSession, people.Staff, error)
	Alive(ctx context.Context, id ident.LoginID) (people.LoginSession, people.Staff, error)
}

// Grants are the phones paired as camera. Errors: fault.Unauthenticated "capture.over".
type Grants interface {
	CaptureByToken(ctx context.Context, cookieHash string) (session.Capture, error)
	CaptureByID(ctx context.Context, id ident.GrantID) (session.Capture, error)
}

// Links are the phones of parties who came by a link; partylink.Links has it. Errors: fault.Unauthenticated "link.over".
type Links interface {
	ByCookie(ctx context.Context, cookie string) (partylink.Link, error)
	ByID(ctx context.Context, id ident.LinkID) (partylink.Link, error)
}

// Deps are what an Authenticator works with. All must be set.
type Deps struct {
	Keys    *Keyring
	Tokens  *Tokens
	Epochs  Epochs
	Signins Signins
	Grants  Grants
	Links   Links
	CSRFKey []byte // 32 bytes, the same on every node
	Now     func() time.Time
}

// Authenticator says who stands behind a credential. It is safe for concurrent use.
type Authenticator struct{ d Deps }

// NewAuthenticator returns a ready Authenticator.
func NewAuthenticator(d Deps) *Authenticator { return &Authenticator{d: d} }

// Device checks the access token of a live signed link: the signature in memory, the epoch in the store. It is dead as
// soon as the epoch moves.
//
// Errors: fault.Unauthenticated "auth.required".
func (a *Authenticator) Device(ctx context.Context, token string) (Caller, error) {
	required := fault.New(fault.Unauthenticated, "auth.required")
	c, err := a.d.Tokens.CheckAccess(ctx, token, a.d.Now())
	if err != nil {
		return Caller{}, required
	}
	unit, epoch, ok, err := a.d.Epochs.DeviceEpoch(ctx, c.DeviceID)
	if err != nil {
		return Caller{}, err
	}
	if !ok || epoch != c.Epoch {
		return Caller{}, required
	}
	return Caller{Kind: Device, DeviceID: c.DeviceID, DeviceUnit: unit, Epoch: epoch}, nil
}

// Staff checks the value of the staff cookie; csrf is the token that changes must show.
//
// Errors: fault.Unauthenticated "auth.required".
func (a *Authenticator) Staff(ctx context.Context, cookie string) (caller Caller, csrf string, err error) {
	l, staff, err := a.d.Signins.Authenticate(ctx, cookie)
	if err != nil {
		return Caller{}, "", err
	}
	return StaffCaller(staff, l.ID), a.CSRF(cookie), nil
}

// Capture checks the value of the cookie of a phone paired as camera.
//
// Errors: fault.Unauthenticated "capture.over".
func (a *Authenticator) Capture(ctx context.Context, cookie string) (caller Caller, csrf string, err error) {
	g, err := a.d.Grants.CaptureByToken(ctx, session.Hash(cookie))
	if err != nil {
		return Caller{}, "", err
	}
	return captureCaller(g), a.CSRF(cookie), nil
}

// Party checks the value of the cookie of a phone that redeemed a party's link.
//
// Errors: fault.Unauthenticated "link.over".
func (a *Authenticator) Party(ctx context.Context, cookie string) (caller Caller, csrf string, err error) {
	l, err := a.d.Links.ByCookie(ctx, cookie)
	if err != nil {
		return Caller{}, "", err
	}
	return partyCaller(l), a.CSRF(cookie), nil
}

// StaffCaller is the caller of a sign-in.
func StaffCaller(s people.Staff, login ident.LoginID) Caller {
	return Caller{Kind: Staff, StaffID: s.ID, StaffUnit: s.UnitID, Roles: s.Roles, LoginID: login}
}

func captureCaller(g session.Capture) Caller {
	return Caller{Kind: Capture, GrantID: g.ID, DeviceID: g.Device}
}

func partyCaller(l partylink.Link) Caller {
	return Caller{Kind: Party, Link: l.ID, Dispute: l.Dispute, Party: l.Party, Purpose: l.Purpose}
}

// CSRF returns the token that a change made with a cookie must show. It follows from the cookie, so nothing is stored.
func (a *Authenticator) CSRF(cookie string) string {
	h := hmac.New(sha256.New, a.d.CSRFKey)
	h.Write([]byte("heyi csrf v1\x00" + cookie))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Session redeems a link token and says who opens the link: the sign-in, grant or party's link behind the token must
// still be good.
//
// Errors: as Tokens; fault.Unauthenticated "auth.required", "capture.over", "link.over".
func (a *Authenticator) Session(ctx context.Context, token, screen, instance string, now time.Time) (Caller, error) {
	s, err := a.d.Tokens.RedeemLink(ctx, token, screen, instance, now)
	if err != nil {
		return Caller{}, err
	}
	switch s.Kind {
	case Staff:
		l, staff, err := a.d.Signins.Alive(ctx, s.Login)
		if err != nil {
			return Caller{}, err
		}
		return StaffCaller(staff, l.ID), nil
	case Capture:
		g, err := a.d.Grants.CaptureByID(ctx, s.Grant)
		if err != nil {
			return Caller{}, err
		}
		return captureCaller(g), nil
	case Party:
		l, err := a.d.Links.ByID(ctx, s.Link)
		if err != nil {
			return Caller{}, err
		}
		return partyCaller(l), nil
	case Device:
	}
	return Caller{}, errBadToken()
}

// Proof is what a device sent to prove itself, with what the server had said.
type Proof struct {
	Auth   wire.AuthBody // kind device
	Server string        // server name of the challenge
	Nonce  []byte        // nonce of the challenge
	Now    time.Time
}

// nonceLen is the length of a client's nonce.
const nonceLen = 16

// Connect checks the proof of a device: credential signature and dates, the algorithm, and the signature over the
// challenge. It uses memory only.
//
// Errors: fault.Unauthenticated "link.bad_signature"; fault.Expired "link.cred_expired". The credential of an expired
// one is returned too.
func (a *Authenticator) Connect(ctx context.Context, p Proof) (devices.Credential, error) {
	bad := func(err error) error { return fault.Wrap(fault.Unauthenticated, "link.bad_signature", err) }
	cred, err := devices.ParseCredential(p.Auth.Cred, func(kid string) (ed25519.PublicKey, bool) {
		return a.d.Keys.verifier(ctx, PurposeDeviceCA, kid)
	}, p.Now)
	if err != nil && fault.KindOf(err) != fault.Expired {
		return devices.Credential{}, bad(err)
	}
	if string(cred.DeviceID) != p.Auth.DeviceID || string(cred.Alg) != p.Auth.Alg || len(p.Auth.CNonce) != nonceLen {
		return devices.Credential{}, bad(nil)
	}
	msg := wire.ConnectProof(p.Server, p.Nonce, p.Auth.CNonce, p.Auth.DeviceID, p.Auth.Cred, nil)
	if err := devices.Verify(cred.Alg, cred.Key(), msg, p.Auth.Sig); err != nil {
		return devices.Credential{}, bad(err)
	}
	if err != nil {
		return cred, fault.New(fault.Expired, "link.cred_expired")
	}
	return cred, nil
}
