package devices

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"math/big"

	"heyi/internal/fault"
)

// Alg is a signature scheme of device keys (device-protocol.md §5).
type Alg string

// The schemes.
const (
	Ed25519 Alg = "ed25519" // key 32 bytes, signature 64
	P256    Alg = "p256"    // key 65 bytes uncompressed, signature r‖s 64 bytes over SHA-256
)

// Algs lists the schemes that a challenge offers.
func Algs() []string { return []string{string(Ed25519), string(P256)} }

// KeyStore says where a device keeps its key.
type KeyStore string

// The key stores, strongest first.
const (
	HardwareKey  KeyStore = "hardware"
	OSKey        KeyStore = "os"
	WebCryptoKey KeyStore = "webcrypto"
	SoftKey      KeyStore = "soft"
)

// Strength orders key stores: 0 is unknown, more is stronger.
func (k KeyStore) Strength() int {
	switch k {
	case HardwareKey:
		return 4
	case OSKey:
		return 3
	case WebCryptoKey:
		return 2
	case SoftKey:
		return 1
	}
	return 0
}

// Fingerprint is the hex SHA-256 of a public key.
func Fingerprint(pub []byte) string {
	sum := sha256.Sum256(pub)
	return hex.EncodeToString(sum[:])
}

// Verify checks a signature by a device key over msg.
//
// Errors: fault.Invalid "device.bad_alg", "device.bad_key"; fault.Unauthenticated "device.bad_signature".
func Verify(alg Alg, pub, msg, sig []byte) error {
	if err := CheckKey(alg, pub); err != nil {
		return err
	}
	ok := false
	switch alg {
	case Ed25519:
		ok = len(sig) == ed25519.SignatureSize && ed25519.Verify(pub, msg, sig)
	case P256:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), pub)
		if err != nil {
			return fault.Wrap(fault.Invalid, "device.bad_key", err)
		}
		digest := sha256.Sum256(msg)
		if len(sig) == 64 {
			ok = ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
		}
	}
	if !ok {
		return fault.New(fault.Unauthenticated, "device.bad_signature")
	}
	return nil
}

// CheckKey reports whether pub can be a key of alg: its length, for p256 a point on the curve.
//
// Errors: fault.Invalid "device.bad_alg", "device.bad_key".
func CheckKey(alg Alg, pub []byte) error {
	switch alg {
	case Ed25519:
		if len(pub) == ed25519.PublicKeySize {
			return nil
		}
	case P256:
		if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), pub); err == nil {
			return nil
		}
	default:
		return fault.InField("device.bad_alg", "alg")
	}
	return fault.InField("device.bad_key", "pub")
}
