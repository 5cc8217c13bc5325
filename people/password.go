package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"heyi/internal/fault"
)

// Argon2 holds the cost of a password hash (RFC 9106; OWASP asks for at least 19 MiB and two passes). The zero value
// takes 32 MiB, 2 passes, 1 lane: about 60 ms on the machine of performance.md.
type Argon2 struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

const (
	saltLen = 16
	hashLen = 32
)

// hasher computes password hashes, a bounded number at a time: memory is what sign-ins could exhaust.
type hasher struct {
	cost  Argon2
	slots chan struct{} // one token per hash in work
	line  chan struct{} // one token per caller in work or waiting
}

func newHasher(cost Argon2, parallel int) *hasher {
	if cost == (Argon2{}) {
		cost = Argon2{MemoryKiB: 32 << 10, Passes: 2, Lanes: 1}
	}
	if parallel == 0 {
		parallel = 2
	}
	return &hasher{cost: cost, slots: make(chan struct{}, parallel), line: make(chan struct{}, parallel*16)}
}

// enter takes a slot. fault.Unavailable "auth.busy" when too many wait already.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.line <- struct{}{}:
	default:
		return nil, fault.New(fault.Unavailable, "auth.busy").After(2 * time.Second)
	}
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots; <-h.line }, nil
	case <-ctx.Done():
		<-h.line
		return nil, ctx.Err()
	}
}

// hash returns the PHC text of a new hash: $argon2id$v=19$m=..,t=..,p=..$salt$hash.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails since Go 1.24: the program ends instead
	sum := argon2.IDKey([]byte(password), salt, h.cost.Passes, h.cost.MemoryKiB, h.cost.Lanes, hashLen)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.cost.MemoryKiB, h.cost.Passes, h.cost.Lanes,
		b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

// verify reports whether the password belongs to the hash. An empty or broken hash belongs to none, and takes as
// long as another one to say so.
func (h *hasher) verify(ctx context.Context, password, phc string) (bool, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	cost, salt, want, ok := parsePHC(phc)
	if !ok {
		cost, salt, want = h.cost, make([]byte, saltLen), make([]byte, hashLen)
	}
	got := argon2.IDKey([]byte(password), salt, cost.Passes, cost.MemoryKiB, cost.Lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && ok, nil
}

// maxMemoryKiB bounds what a stored hash may demand.
const maxMemoryKiB = 1 << 20

func parsePHC(s string) (cost Argon2, salt, sum []byte, ok bool) {
	f := strings.Split(s, "$")
	if len(f) != 6 || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return cost, nil, nil, false
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &cost.MemoryKiB, &cost.Passes, &cost.Lanes); err != nil {
		return cost, nil, nil, false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(f[4])
	sum, err2 := base64.RawStdEncoding.DecodeString(f[5])
	ok = err1 == nil && err2 == nil && len(salt) >= 8 && len(sum) >= 16 && cost.Passes > 0 && cost.Lanes > 0 &&
		cost.MemoryKiB >= 8 && cost.MemoryKiB <= maxMemoryKiB
	return cost, salt, sum, ok
}
