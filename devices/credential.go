package devices

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// CredentialLife is how long a credential is good (device-protocol.md §5).
const CredentialLife = 180 * 24 * time.Hour

// maxCredential bounds the text of a credential before anything is decoded.
const maxCredential = 2048

// Credential is what the device CA says about a key. It names no unit: a device may move.
type Credential struct {
	Ver      int            `json:"ver"`
	Kid      string         `json:"kid"` // key of the device CA that signed
	DeviceID ident.DeviceID `json:"device_id"`
	Kind     Kind           `json:"kind"`
	Alg      Alg            `json:"alg"`
	Pub      string         `json:"pub"` // base64url without padding
	Serial   string         `json:"serial"`
	NbfAt    int64          `json:"nbf_at"`
	ExpAt    int64          `json:"exp_at"`
}

// CAKey is one key of the device CA: Private is nil for keys that only verify.
type CAKey struct {
	Kid     string
	Public  ed25519.PublicKey
	Private ed25519.PrivateKey
}

// Key returns the public key bytes that the credential certifies.
func (c Credential) Key() []byte {
	pub, err := base64.RawURLEncoding.DecodeString(c.Pub)
	if err != nil {
		return nil
	}
	return pub
}

// Sign writes the credential as text: base64url(payload) "." base64url(Ed25519 signature).
func (c Credential) Sign(ca CAKey) (string, error) {
	c.Ver, c.Kid = 1, ca.Kid
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	head := enc.EncodeToString(payload)
	return head + "." + enc.EncodeToString(ed25519.Sign(ca.Private, []byte(head))), nil
}

// ParseCredential reads and checks the text of a credential. key returns the CA key of a kid, false when there is
// none.
//
// The signature covers the base64url text of the payload.
// Errors: fault.Unauthenticated "cred.bad", "cred.unknown_key", "cred.bad_signature", "cred.not_yet";
// fault.Expired "cred.expired". With the last two the credential is returned as well.
func ParseCredential(text string, key func(kid string) (ed25519.PublicKey, bool), now time.Time) (Credential, error) {
	bad := fault.New(fault.Unauthenticated, "cred.bad")
	head, tail, ok := strings.Cut(text, ".")
	if !ok || len(text) > maxCredential {
		return Credential{}, bad
	}
	enc := base64.RawURLEncoding.Strict()
	payload, err := enc.DecodeString(head)
	if err != nil {
		return Credential{}, bad
	}
	sig, err := enc.DecodeString(tail)
	if err != nil {
		return Credential{}, bad
	}
	var c Credential
	if err := json.Unmarshal(payload, &c); err != nil || c.Ver != 1 || !ident.Valid(c.DeviceID) {
		return Credential{}, bad
	}
	ca, ok := key(c.Kid)
	if !ok {
		return Credential{}, fault.New(fault.Unauthenticated, "cred.unknown_key")
	}
	if !ed25519.Verify(ca, []byte(head), sig) {
		return Credential{}, fault.New(fault.Unauthenticated, "cred.bad_signature")
	}
	if CheckKey(c.Alg, c.Key()) != nil {
		return Credential{}, bad
	}
	switch at := now.UnixMicro(); {
	case at < c.NbfAt:
		return c, fault.New(fault.Unauthenticated, "cred.not_yet")
	case at >= c.ExpAt:
		return c, fault.New(fault.Expired, "cred.expired")
	}
	return c, nil
}
