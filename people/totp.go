package people

import (
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// totpPeriod is the length of a step in seconds (RFC 6238 §5.2).
const totpPeriod = 30

// NewTOTP makes a secret for an authenticator app: base 32, and the otpauth address for its QR code.
func NewTOTP(issuer, login string) (secret, address string, err error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: login, Period: totpPeriod, SecretSize: 20})
	if err != nil {
		return "", "", fmt.Errorf("people: totp: %w", err)
	}
	return key.Secret(), key.URL(), nil
}

// totpStep returns the step whose code was given: the present one or a neighbour (clocks differ), later than last.
// ok is false when no such step has this code.
func totpStep(secret, code string, last int64, now time.Time) (step int64, ok bool) {
	for _, d := range []int64{0, -1, 1} {
		at := now.Unix()/totpPeriod + d
		want, err := totp.GenerateCodeCustom(secret, time.Unix(at*totpPeriod, 0), totp.ValidateOpts{
			Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
		})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && at > last {
			step, ok = at, true
		}
	}
	return step, ok
}
