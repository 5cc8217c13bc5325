package auth

import (
	"context"
	"crypto/ed25519"
	"sync"
	"time"

	"heyi/devices"
	"heyi/internal/fault"
)

// The purposes of keys, as in the store.
const (
	PurposeDeviceCA = "device_ca"
	PurposeAccess   = "access_token"
	PurposeLink     = "link_token"
	PurposeMedia    = "media_ticket"
)

// Key is one Ed25519 key of a purpose.
type Key struct {
	KID    string
	Seed   []byte // 32 bytes
	Public []byte // 32 bytes
	Active bool   // signs; the others only verify

	private ed25519.PrivateKey // of the active one: made once, it costs as much as a signature
}

// KeySource loads every key of a purpose that still verifies, among them the active one, which it makes the first time.
type KeySource func(ctx context.Context, purpose string) ([]Key, error)

// reloadGap is how often an unknown kid may send us to the store: strangers choose kids.
const reloadGap = 5 * time.Second

// Keyring holds the keys that sign and verify, in memory. It is safe for concurrent use.
type Keyring struct {
	source KeySource
	now    func() time.Time

	mu     sync.RWMutex
	active map[string]Key
	public map[string]map[string]ed25519.PublicKey // purpose, kid
	loaded time.Time
}

// NewKeyring loads the keys of every purpose.
func NewKeyring(ctx context.Context, source KeySource, now func() time.Time) (*Keyring, error) {
	k := &Keyring{source: source, now: now}
	return k, k.Reload(ctx)
}

// Reload reads all keys again: new ones verify, retired ones do not any more.
func (k *Keyring) Reload(ctx context.Context) error {
	active, public := map[string]Key{}, map[string]map[string]ed25519.PublicKey{}
	for _, purpose := range []string{PurposeDeviceCA, PurposeAccess, PurposeLink, PurposeMedia} {
		keys, err := k.source(ctx, purpose)
		if err != nil {
			return err
		}
		public[purpose] = map[string]ed25519.PublicKey{}
		for _, key := range keys {
			public[purpose][key.KID] = key.Public
			if key.Active {
				key.private = ed25519.NewKeyFromSeed(key.Seed)
				active[purpose] = key
			}
		}
		if active[purpose].KID == "" {
			return fault.New(fault.Internal, "auth.no_key")
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active, k.public, k.loaded = active, public, k.now()
	return nil
}

// Run reloads the keys once a minute, so that a retired key ends and a new one is known before it signs.
func (k *Keyring) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			_ = k.Reload(ctx) // the former keys stay while the store is away
		}
	}
}

// signer returns the active key of a purpose.
func (k *Keyring) signer(purpose string) Key {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.active[purpose]
}

// verifier returns a public key; an unknown kid is looked for in the store, now and then.
func (k *Keyring) verifier(ctx context.Context, purpose, kid string) (ed25519.PublicKey, bool) {
	k.mu.RLock()
	pub, ok := k.public[purpose][kid]
	stale := k.now().Sub(k.loaded) >= reloadGap
	k.mu.RUnlock()
	if ok || !stale || k.Reload(ctx) != nil {
		return pub, ok
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	pub, ok = k.public[purpose][kid]
	return pub, ok
}

var _ devices.CA = (*Keyring)(nil)

// DeviceCA implements devices.CA.
func (k *Keyring) DeviceCA(context.Context) (devices.CAKey, error) {
	key := k.signer(PurposeDeviceCA)
	return devices.CAKey{Kid: key.KID, Public: key.Public, Private: key.private}, nil
}
