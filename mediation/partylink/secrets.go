package partylink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"heyi/internal/ident"
	"heyi/internal/spoken"
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
	return base64.RawURLEncoding.EncodeToString(s.part("token", string(id))), spoken.Code(s.part("code", string(id)))
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
