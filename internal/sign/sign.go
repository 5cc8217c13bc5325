// Package sign is the crypto of everything that must be provable later: seals of committees, signed requests between
// installations, digests. It knows keys and bytes, no mediation words.
//
// Two algorithms: Ed25519 (RFC 8032) and SM2 with SM3 (GB/T 32918.2, user id 1234567812345678). Secrets and public
// keys are plain bytes: Ed25519 a 32-byte seed and a 32-byte point, SM2 a 32-byte scalar and the 65 bytes of the
// uncompressed point. SM2 signatures are ASN.1 DER, as OpenSSL reads them. In JSON all bytes are base64url without padding.
//
// Concurrency: everything is a value or pure.
//
// Errors: fault.Invalid "sign.alg", "sign.key" for keys that are none; fault.Unauthenticated "sign.bad_signature".
package sign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"

	"heyi/internal/fault"
)

// Alg names a signature algorithm.
type Alg string

// The algorithms.
const (
	Ed25519 Alg = "ed25519"
	SM2     Alg = "sm2"
)

// ErrBadSignature says that bytes and signature do not belong together, or that the signature is not in the one form
// that we make.
var ErrBadSignature = fault.New(fault.Unauthenticated, "sign.bad_signature")

// Key signs. KID is the name under which its public half is published.
type Key struct {
	KID     string
	Alg     Alg
	Private []byte
	Public  []byte
}

// New makes a random key.
func New(alg Alg, kid string) (Key, error) {
	if alg == SM2 {
		secret, err := newSM2()
		if err != nil {
			return Key{}, err
		}
		return FromSecret(alg, kid, secret)
	}
	secret := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(secret); err != nil {
		return Key{}, err
	}
	return FromSecret(alg, kid, secret)
}

// FromSecret returns the key of a stored secret.
func FromSecret(alg Alg, kid string, secret []byte) (Key, error) {
	if len(secret) != 32 {
		return Key{}, fault.InField("sign.key", "secret")
	}
	k := Key{KID: kid, Alg: alg, Private: slices.Clone(secret)}
	switch alg {
	case Ed25519:
		k.Public = ed25519.NewKeyFromSeed(secret).Public().(ed25519.PublicKey)
	case SM2:
		var err error
		if k.Public, err = publicSM2(secret); err != nil {
			return Key{}, err
		}
	default:
		return Key{}, fault.InField("sign.alg", "alg")
	}
	return k, nil
}

// Sign returns the signature over msg. Ed25519 gives the same bytes every time, SM2 does not.
func (k Key) Sign(msg []byte) (Signature, error) {
	var (
		sig []byte
		err error
	)
	switch k.Alg {
	case Ed25519:
		if len(k.Private) != ed25519.SeedSize {
			return Signature{}, fault.InField("sign.key", "secret")
		}
		sig = ed25519.Sign(ed25519.NewKeyFromSeed(k.Private), msg)
	case SM2:
		if sig, err = signSM2(k.Private, msg); err != nil {
			return Signature{}, err
		}
	default:
		return Signature{}, fault.InField("sign.alg", "alg")
	}
	return Signature{KID: k.KID, Alg: k.Alg, Pub: Text(k.Public), Sig: Text(sig)}, nil
}

// Signature is a signature as it stands in JSON. Pub only says which key was used; who that is, a KeyList says.
type Signature struct {
	KID string `json:"kid"`
	Alg Alg    `json:"alg"`
	Pub string `json:"pub"` // base64url
	Sig string `json:"sig"` // base64url
}

// Verify reports whether the signature was made over msg by the key that it names, ErrBadSignature otherwise.
func (s Signature) Verify(msg []byte) error {
	pub, err := Bytes(s.Pub)
	if err != nil {
		return ErrBadSignature
	}
	sig, err := Bytes(s.Sig)
	if err != nil {
		return ErrBadSignature
	}
	return Verify(s.Alg, pub, msg, sig)
}

// Verify reports whether sig was made over msg by the holder of pub, ErrBadSignature otherwise.
func Verify(alg Alg, pub, msg, sig []byte) error {
	switch {
	case alg == Ed25519 && len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, msg, sig):
		return nil
	case alg == SM2 && verifySM2(pub, msg, sig):
		return nil
	}
	return ErrBadSignature
}

// Fingerprint is how people compare a public key: SHA-256 of it as 16 groups of four hex digits.
func Fingerprint(pub []byte) string {
	sum := sha256.Sum256(pub)
	var b bytes.Buffer
	for i := 0; i < len(sum); i += 2 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(hex.EncodeToString(sum[i : i+2]))
	}
	return b.String()
}

// SHA256 returns the digest as hex.
func SHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Text and Bytes are the form of keys and signatures in JSON: base64url without padding. Bytes refuses a text that
// Text would not have written, so that no changed character goes unseen.
func Text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Bytes is the inverse of Text.
func Bytes(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || Text(b) != s { // the decoder skips line breaks
		return nil, fault.InField("sign.key", "base64")
	}
	return b, nil
}
