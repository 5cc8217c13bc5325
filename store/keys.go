package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// The purposes of keys.
const (
	KeyDeviceCA    = "device_ca"
	KeyAccessToken = "access_token"
	KeyLinkToken   = "link_token"
	KeyMediaTicket = "media_ticket"
	KeyField       = "field"   // field encryption
	KeyHMAC        = "hmac"    // CSRF tokens and the like
	KeyHandoff     = "handoff" // requests to a case store
)

// The algorithms of keys.
const (
	AlgEdDSA = "EdDSA"   // Ed25519, RFC 8037
	AlgGCM   = "A256GCM" // AES-256-GCM, RFC 7518 §5.3
	AlgHMAC  = "HS256"   // HMAC-SHA-256, RFC 7518 §3.2
)

// Key is one key of a purpose. Every node has the same ones.
type Key struct {
	KID     string // UUIDv7 text
	Purpose string
	Alg     string
	Secret  []byte // AlgEdDSA: 32-byte seed for ed25519.NewKeyFromSeed; else 32 random bytes
	Public  []byte // AlgEdDSA: 32-byte public key; else empty
	Active  bool   // signs; the others only verify
	At      int64  // when it was made, Unix microseconds
}

// keyLead is how long a new key stands here before it signs; nodes read their keys more often than that.
const keyLead = 10 * time.Minute

// Key returns the active key of a purpose and makes it the first time; nodes that ask at once get the same one. A next
// key whose time has come is made the active one. fault.Invalid "key.purpose" for a purpose that is not ours.
func (s *Store) Key(ctx context.Context, purpose string) (Key, error) {
	if err := s.promote(ctx, purpose); err != nil {
		return Key{}, err
	}
	k, err := s.activeKey(s.read(ctx), purpose)
	if !errors.Is(err, sql.ErrNoRows) {
		return k, err
	}
	fresh, err := s.newKey(purpose)
	if err != nil {
		return Key{}, err
	}
	wrapped, err := seal(s.wrap, fresh.Secret, wrapContext(fresh.KID, purpose))
	if err != nil {
		return Key{}, err
	}
	err = s.write(ctx, func(t *tx) error {
		// The unique index on the active key of a purpose lets the first of two nodes win.
		_, err := t.exec(`INSERT INTO key (kid, purpose, alg, wrapped, pub, state, at) VALUES ($1, $2, $3, $4, $5, 'active', $6) ON CONFLICT DO NOTHING`,
			fresh.KID, purpose, fresh.Alg, wrapped, fresh.Public, fresh.At)
		if err != nil {
			return err
		}
		k, err = s.activeKey(t, purpose)
		return err
	})
	return k, err
}

// RotateKey makes the next key of a purpose and returns it with the instant from which it signs; while one waits for its
// turn, that one. The former key goes on verifying. fault.Invalid "key.purpose" for a purpose whose keys do not rotate:
// what they sealed could not be opened.
func (s *Store) RotateKey(ctx context.Context, purpose string) (k Key, signsAt time.Time, err error) {
	switch purpose {
	case KeyDeviceCA, KeyAccessToken, KeyLinkToken, KeyMediaTicket:
	default:
		return Key{}, time.Time{}, fault.InField("key.purpose", "purpose")
	}
	if _, err := s.Key(ctx, purpose); err != nil { // there is one to follow
		return Key{}, time.Time{}, err
	}
	fresh, err := s.newKey(purpose)
	if err != nil {
		return Key{}, time.Time{}, err
	}
	wrapped, err := seal(s.wrap, fresh.Secret, wrapContext(fresh.KID, purpose))
	if err != nil {
		return Key{}, time.Time{}, err
	}
	err = s.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO key (kid, purpose, alg, wrapped, pub, state, at) VALUES ($1, $2, $3, $4, $5, 'next', $6) ON CONFLICT DO NOTHING`,
			fresh.KID, purpose, fresh.Alg, wrapped, fresh.Public, fresh.At)
		if err != nil {
			return err
		}
		k, err = s.scanKey(func(dest ...any) error {
			return t.one(`SELECT `+keyColumns+` FROM key WHERE purpose = $1 AND state = 'next'`, []any{purpose}, dest...)
		})
		return err
	})
	return k, time.UnixMicro(k.At).Add(keyLead), err
}

// promote lets a next key sign that every node knows by now. Of two nodes that do it at once one finds nothing left.
func (s *Store) promote(ctx context.Context, purpose string) error {
	ripe := micros(s.now().Add(-keyLead))
	due := false // most looks find nothing: they write nothing
	err := s.read(ctx).one(`SELECT EXISTS (SELECT 1 FROM key WHERE purpose = $1 AND state = 'next' AND at <= $2)`, []any{purpose, ripe}, &due)
	if err != nil || !due {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		var kid string
		err := t.one(`SELECT kid FROM key WHERE purpose = $1 AND state = 'next' AND at <= $2`+t.forUpdate(), []any{purpose, ripe}, &kid)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE key SET state = 'verify' WHERE purpose = $1 AND state = 'active'`, purpose); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE key SET state = 'active' WHERE kid = $1`, kid)
		return err
	})
}

// Keys returns all keys of a purpose that verify, newest first: also one that does not sign yet.
func (s *Store) Keys(ctx context.Context, purpose string) ([]Key, error) {
	var list []Key
	err := s.read(ctx).all(`SELECT `+keyColumns+` FROM key WHERE purpose = $1 AND state IN ('active', 'verify', 'next') ORDER BY at DESC, kid DESC`,
		[]any{purpose}, func(r rows) error {
			k, err := s.scanKey(r.Scan)
			list = append(list, k)
			return err
		})
	if err != nil {
		return nil, err
	}
	return list, nil
}

const keyColumns = `kid, purpose, alg, wrapped, pub, state, at`

func (s *Store) activeKey(q querier, purpose string) (Key, error) {
	return s.scanKey(func(dest ...any) error {
		return q.one(`SELECT `+keyColumns+` FROM key WHERE purpose = $1 AND state = 'active'`, []any{purpose}, dest...)
	})
}

func (s *Store) scanKey(scan func(dest ...any) error) (Key, error) {
	var (
		k       Key
		wrapped []byte
		state   string
	)
	if err := scan(&k.KID, &k.Purpose, &k.Alg, &wrapped, &k.Public, &state, &k.At); err != nil {
		return Key{}, err
	}
	k.Active = state == "active"
	var err error
	if k.Secret, err = unseal(s.wrap, wrapped, wrapContext(k.KID, k.Purpose)); err != nil {
		return Key{}, fmt.Errorf("store: the master key does not fit key %s: %w", k.KID, err)
	}
	return k, nil
}

func (s *Store) newKey(purpose string) (Key, error) {
	k := Key{KID: ident.New[string](), Purpose: purpose, Secret: make([]byte, 32), Public: []byte{}, Active: true, At: micros(s.now())}
	if _, err := rand.Read(k.Secret); err != nil {
		return Key{}, err
	}
	switch purpose {
	case KeyDeviceCA, KeyAccessToken, KeyLinkToken, KeyMediaTicket, KeyHandoff:
		k.Alg = AlgEdDSA
		k.Public = ed25519.NewKeyFromSeed(k.Secret).Public().(ed25519.PublicKey)
	case KeyField:
		k.Alg = AlgGCM
	case KeyHMAC:
		k.Alg = AlgHMAC
	default:
		return Key{}, fault.InField("key.purpose", "purpose")
	}
	return k, nil
}

// wrapContext binds a wrapped key to its row: moved to another row it does not open.
func wrapContext(kid, purpose string) []byte {
	return []byte("heyi key v1\x00" + purpose + "\x00" + kid)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("want 32 bytes, have %d", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal returns a random 12-byte nonce and the ciphertext. 2^32 seals under one key are safe (NIST SP 800-38D §8.3).
func seal(aead cipher.AEAD, plain, context []byte) ([]byte, error) {
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return aead.Seal(nonce, nonce, plain, context), nil
}

func unseal(aead cipher.AEAD, sealed, context []byte) ([]byte, error) {
	n := aead.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("sealed text is too short")
	}
	return aead.Open(nil, sealed[:n], sealed[n:], context)
}

// fieldKeys encrypts what stands in _enc columns. It is fixed at Open.
type fieldKeys struct {
	current uuid.UUID
	byKID   map[uuid.UUID]cipher.AEAD
}

// fieldVersion is the first byte of a sealed field: version, 16-byte kid, nonce, ciphertext.
const fieldVersion = 1

func (s *Store) loadFieldKeys(ctx context.Context) error {
	active, err := s.Key(ctx, KeyField)
	if err != nil {
		return err
	}
	keys, err := s.Keys(ctx, KeyField)
	if err != nil {
		return err
	}
	s.field.byKID = make(map[uuid.UUID]cipher.AEAD, len(keys))
	for _, k := range keys {
		id, err := uuid.Parse(k.KID)
		if err != nil {
			return fmt.Errorf("store: key %q: %w", k.KID, err)
		}
		if s.field.byKID[id], err = newAEAD(k.Secret); err != nil {
			return fmt.Errorf("store: key %s: %w", k.KID, err)
		}
	}
	if s.field.current, err = uuid.Parse(active.KID); err != nil {
		return err
	}
	return s.loadSearchKey(ctx)
}

// seal encrypts a value for an _enc column.
func (s *Store) seal(plain []byte) ([]byte, error) {
	head := append([]byte{fieldVersion}, s.field.current[:]...)
	body, err := seal(s.field.byKID[s.field.current], plain, head)
	return append(head, body...), err
}

// open decrypts what seal made; an error means a changed value or a key that is gone.
func (s *Store) open(sealed []byte) ([]byte, error) {
	const headLen = 1 + 16
	if len(sealed) < headLen || sealed[0] != fieldVersion {
		return nil, errors.New("store: not a sealed field")
	}
	aead := s.field.byKID[uuid.UUID(sealed[1:headLen])]
	if aead == nil {
		return nil, errors.New("store: the key of a sealed field is unknown")
	}
	plain, err := unseal(aead, sealed[headLen:], sealed[:headLen])
	if err != nil {
		return nil, fmt.Errorf("store: sealed field: %w", err)
	}
	return plain, nil
}
