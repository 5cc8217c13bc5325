package sign

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"slices"

	"github.com/emmansun/gmsm/ecdh"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"

	"heyi/internal/fault"
)

const sm2PointSize = 65 // 04 || X || Y

// SM3 returns the digest (GB/T 32905) as hex.
func SM3(b []byte) string {
	sum := sm3.Sum(b)
	return hex.EncodeToString(sum[:])
}

func newSM2() ([]byte, error) {
	k, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return k.D.FillBytes(make([]byte, 32)), nil
}

// privateSM2 rebuilds the key from its scalar d, which must lie in [1, n-2] (GB/T 32918.1 §6.1).
func privateSM2(secret []byte) (*sm2.PrivateKey, error) {
	curve := sm2.P256()
	d := new(big.Int).SetBytes(secret)
	if d.Sign() == 0 || d.Cmp(new(big.Int).Sub(curve.Params().N, big.NewInt(1))) >= 0 {
		return nil, fault.InField("sign.key", "secret")
	}
	k := new(sm2.PrivateKey)
	k.Curve = curve
	k.D = d
	k.X, k.Y = curve.ScalarBaseMult(secret) //nolint:staticcheck // the library has no constructor from a scalar; nothing is read back from X and Y
	return k, nil
}

func publicSM2(secret []byte) ([]byte, error) {
	if _, err := privateSM2(secret); err != nil {
		return nil, err
	}
	k, err := ecdh.P256().NewPrivateKey(secret)
	if err != nil {
		return nil, fault.InField("sign.key", "secret")
	}
	return k.PublicKey().Bytes(), nil
}

func signSM2(secret, msg []byte) ([]byte, error) {
	k, err := privateSM2(secret)
	if err != nil {
		return nil, err
	}
	return k.SignWithSM2(rand.Reader, nil, msg) // nil is the standard's user id 1234567812345678
}

func verifySM2(pub, msg, sig []byte) bool {
	if len(pub) != sm2PointSize || pub[0] != 4 {
		return false
	}
	parsed, err := smx509.ParsePKIXPublicKey(slices.Concat(sm2DER(), pub)) // checks that the point lies on the curve
	if err != nil {
		return false
	}
	k, ok := parsed.(*ecdsa.PublicKey)
	return ok && sm2.VerifyASN1WithSM2(k, nil, msg, sig)
}

// sm2DER stands before the point in SubjectPublicKeyInfo (GM/T 0010): id-ecPublicKey on sm2p256v1.
func sm2DER() []byte {
	return []byte{
		0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
		0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d, 0x03, 0x42, 0x00,
	}
}
