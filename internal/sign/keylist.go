package sign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"slices"

	"heyi/internal/fault"
)

// Published is a public key that an installation vouches for. Times are Unix microseconds; ToAt is nil while the key
// is in use.
type Published struct {
	KID    string `json:"kid"`
	Alg    Alg    `json:"alg"`
	Pub    string `json:"pub"` // base64url
	Unit   string `json:"unit"`
	Name   string `json:"name,omitempty"` // of the unit, for people; nothing is judged by it
	FromAt int64  `json:"from_at"`
	ToAt   *int64 `json:"to_at"`
}

// KeyList is the list of seal keys as it is published, GET /api/v1/verify/keys.
type KeyList struct {
	Keys []Published `json:"keys"`
}

// ParseKeyList reads a published list; fault.Invalid "sign.key" when it is none.
func ParseKeyList(b []byte) (KeyList, error) {
	var l KeyList
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&l); err != nil {
		return KeyList{}, fault.InField("sign.key", "json")
	}
	for _, k := range l.Keys {
		if _, err := k.public(); err != nil {
			return KeyList{}, err
		}
	}
	return l, nil
}

// skew is how far the clock of the node that made a key may be ahead of the one that sealed, in microseconds.
const skew = 10 * 60 * 1_000_000

// Find returns the published key that made a signature at the time at: name, algorithm and key must all agree, and the
// key must have been in use then, give or take ten minutes between clocks.
func (l KeyList) Find(s Signature, at int64) (Published, bool) {
	i := slices.IndexFunc(l.Keys, func(k Published) bool {
		return k.KID == s.KID && k.Alg == s.Alg && k.Pub == s.Pub && k.FromAt-skew <= at && (k.ToAt == nil || at <= *k.ToAt+skew)
	})
	if i < 0 {
		return Published{}, false
	}
	return l.Keys[i], true
}

// Publish returns the public half of a key as it stands in a list.
func (k Key) Publish(unit string, fromAt int64) Published {
	return Published{KID: k.KID, Alg: k.Alg, Pub: Text(k.Public), Unit: unit, FromAt: fromAt}
}

// Fingerprint is the fingerprint of the published key, "" when it is none.
func (k Published) Fingerprint() string {
	pub, err := k.public()
	if err != nil {
		return ""
	}
	return Fingerprint(pub)
}

func (k Published) public() ([]byte, error) {
	pub, err := Bytes(k.Pub)
	if err != nil {
		return nil, err
	}
	if (k.Alg == Ed25519 && len(pub) == ed25519.PublicKeySize) || (k.Alg == SM2 && len(pub) == sm2PointSize) {
		return pub, nil
	}
	return nil, fault.InField("sign.key", "pub")
}

// PEM returns the key as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7; SM2: GM/T 0010), as OpenSSL reads it. The two
// prefixes are the constant DER in front of the key bytes.
func (k Published) PEM() ([]byte, error) {
	pub, err := k.public()
	if err != nil {
		return nil, err
	}
	prefix := []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00} // id-Ed25519
	if k.Alg == SM2 {
		prefix = sm2DER()
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append(prefix, pub...)}), nil
}
