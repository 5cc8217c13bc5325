package partylink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"heyi/internal/ident"
)

// Secrets derives what is told to people: tokens and codes of links, the digits that are texted to a phone. Its key is
// the same on every node, 32 bytes.
type Secrets struct{ key []byte }

// NewSecrets returns Secrets with a key.
func NewSecrets(key []byte) Secrets { return Secrets{key: key} }

func (s Secrets) part(what, id string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("heyi party " + what + "\x00" + id))
	return h.Sum(nil)
}

// Of returns the token of a link (43 characters, for /join/<token> and /s/<token>) and its code (8 characters).
func (s Secrets) Of(id ident.LinkID) (token, code string) {
	return base64.RawURLEncoding.EncodeToString(s.part("token", string(id))), crockford().EncodeToString(s.part("code", string(id))[:5])
}

// Spelled is a code as people read it: XXXX-XXXX.
func Spelled(code string) string {
	if len(code) != codeLen {
		return code
	}
	return code[:4] + "-" + code[4:]
}

// PhoneCode returns the six digits texted to a party at an instant (Unix microseconds).
func (s Secrets) PhoneCode(party ident.PartyID, sentAt int64) string {
	sum := s.part("phone", string(party)+"\x00"+strconv.FormatInt(sentAt, 10))
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum)%1_000_000)
}

// Hash is how tokens, codes and cookies are stored: hex SHA-256.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

const codeLen = 8

// crockford spells 40 bits in 8 characters without I, L, O and U.
func crockford() *base32.Encoding {
	return base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
}

// NormalCode undoes what people do to a code: spaces, hyphens, small letters, I L O for 1 1 0. It is empty when the
// text is no code.
func NormalCode(s string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-':
			return -1
		case r == 'i', r == 'I', r == 'l', r == 'L':
			return '1'
		case r == 'o', r == 'O':
			return '0'
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, s)
	if _, err := crockford().DecodeString(out); err != nil || len(out) != codeLen {
		return ""
	}
	return out
}
