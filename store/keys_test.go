package store_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"sync"
	"testing"
	"time"

	"heyi/gateway/auth"
	"heyi/internal/fault"
	"heyi/store"
	"heyi/store/storetest"
)

func TestNodesThatStartAtOnceMakeOneKey(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		var mu sync.Mutex
		kids := map[string]bool{}
		var wg sync.WaitGroup
		for range 3 {
			node := storetest.Open(t, c)
			for range 8 {
				wg.Go(func() {
					k, err := node.Key(t.Context(), store.KeyMediaTicket)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					kids[k.KID] = true
				})
			}
		}
		wg.Wait()
		if len(kids) != 1 {
			t.Errorf("%d keys were handed out, want 1", len(kids))
		}
	})
}

func TestEveryPurposeHasItsOwnLastingKey(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		s := storetest.Open(t, c)
		seen := map[string]bool{}
		for _, purpose := range []string{
			store.KeyDeviceCA, store.KeyAccessToken, store.KeyLinkToken, store.KeyMediaTicket, store.KeyField, store.KeyHMAC,
		} {
			k, err := s.Key(t.Context(), purpose)
			if err != nil {
				t.Fatal(err)
			}
			if k.Purpose != purpose || !k.Active || len(k.Secret) != 32 || bytes.Equal(k.Secret, make([]byte, 32)) || seen[string(k.Secret)] {
				t.Errorf("%s: purpose %s, active %v, %d secret bytes, seen %v", purpose, k.Purpose, k.Active, len(k.Secret), seen[string(k.Secret)])
			}
			seen[string(k.Secret)] = true
			if k.Alg == store.AlgEdDSA {
				sig := ed25519.Sign(ed25519.NewKeyFromSeed(k.Secret), []byte("words"))
				if !ed25519.Verify(k.Public, []byte("words"), sig) {
					t.Errorf("%s: the public key does not fit", purpose)
				}
			}
			again, err := storetest.Open(t, c).Key(t.Context(), purpose)
			if err != nil || again.KID != k.KID || !bytes.Equal(again.Secret, k.Secret) {
				t.Errorf("%s: another node gets %s, want %s (err = %v)", purpose, again.KID, k.KID, err)
			}
			var wrapped []byte
			if err := s.One(t.Context(), `SELECT wrapped FROM key WHERE kid = $1`, []any{k.KID}, &wrapped); err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(wrapped, k.Secret) {
				t.Errorf("%s: the secret stands in the database", purpose)
			}
		}
		if _, err := s.Key(t.Context(), "typo"); fault.CodeOf(err) != "key.purpose" {
			t.Errorf("unknown purpose: %v", err)
		}
	})
}

func TestRetiredKeysVerifyAndRevokedOnesAreGone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var kids []string
		for _, fate := range []string{"revoked", "verify", ""} {
			k, err := s.Key(t.Context(), store.KeyAccessToken)
			if err != nil {
				t.Fatal(err)
			}
			kids = append(kids, k.KID)
			if fate == "" {
				continue
			}
			err = s.Write(t.Context(), func(t *store.Tx) error {
				_, err := t.Exec(`UPDATE key SET state = $1 WHERE kid = $2`, fate, k.KID)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		keys, err := s.Keys(t.Context(), store.KeyAccessToken)
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) != 2 || keys[0].KID != kids[2] || !keys[0].Active || keys[1].KID != kids[1] || keys[1].Active {
			t.Errorf("keys = %v, want the active one and then the retired one of %v", keys, kids)
		}
	})
}

func TestKeyMovedToAnotherRowDoesNotOpen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k, err := s.Key(t.Context(), store.KeyHMAC)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Write(t.Context(), func(t *store.Tx) error {
			_, err := t.Exec(`UPDATE key SET purpose = 'device_ca' WHERE kid = $1`, k.KID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Key(t.Context(), store.KeyDeviceCA); err == nil {
			t.Error("an HMAC key passes for the device CA's")
		}
	})
}

func TestWrongMasterKeyIsRefusedAtOpen(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		storetest.Open(t, c)
		c.MasterKey = []byte("another master key, also 32 byte")
		if s, err := store.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "master key") {
			t.Errorf("s = %v, err = %v; want it to name the master key", s, err)
		}
		c.MasterKey = c.MasterKey[:16]
		if s, err := store.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "32 bytes") {
			t.Errorf("s = %v, err = %v; want it to ask for 32 bytes", s, err)
		}
	})
}

func TestSealedFields(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		s, other := storetest.Open(t, c), storetest.Open(t, c)
		for _, plain := range []string{"", "150426198001011234", strings.Repeat("长", 4096)} {
			sealed, err := s.Seal([]byte(plain))
			if err != nil {
				t.Fatal(err)
			}
			if plain != "" && bytes.Contains(sealed, []byte(plain)) {
				t.Error("the words stand in the sealed field")
			}
			again, err := s.Seal([]byte(plain))
			if err != nil || bytes.Equal(sealed, again) {
				t.Errorf("two seals of the same words are alike (err = %v)", err)
			}
			if got, err := other.Unseal(sealed); err != nil || string(got) != plain {
				t.Errorf("another node reads %d bytes, want %d (err = %v)", len(got), len(plain), err)
			}
			for i := range min(len(sealed), 64) {
				forged := bytes.Clone(sealed)
				forged[i] ^= 1
				if _, err := s.Unseal(forged); err == nil {
					t.Errorf("byte %d of a sealed field was changed and it still opens", i)
				}
				if _, err := s.Unseal(sealed[:i]); err == nil {
					t.Errorf("a sealed field cut to %d bytes opens", i)
				}
			}
		}
	})
}

// A new key is known everywhere before it signs; the former one goes on verifying.
func TestKeyIsKnownBeforeItSigns(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		clock := storetest.NewClock(nine)
		c.Now = clock.Now
		a, b := storetest.Open(t, c), storetest.Open(t, c)
		ring := func(s *store.Store) (*auth.Tokens, *auth.Keyring) {
			k, err := auth.NewKeyring(t.Context(), keySource(s), clock.Now)
			must(t, err)
			return auth.NewTokens(k, s), k
		}
		atA, ringA := ring(a)
		atB, ringB := ring(b)
		token := func() string {
			text, _, err := atA.Access("d1", "l1", 1, clock.Now())
			must(t, err)
			return text
		}
		check := func(what, text string) {
			t.Helper()
			if _, err := atB.CheckAccess(t.Context(), text, clock.Now()); err != nil {
				t.Errorf("%s: the other node says %v", what, err)
			}
		}
		former, err := a.Key(t.Context(), store.KeyAccessToken)
		must(t, err)
		next, at, err := a.RotateKey(t.Context(), store.KeyAccessToken)
		must(t, err)
		if next.KID == former.KID || next.Active || !at.Equal(nine.Add(10*time.Minute)) {
			t.Fatalf("next key %s (active %v) signs at %v", next.KID, next.Active, at)
		}
		if again, _, err := b.RotateKey(t.Context(), store.KeyAccessToken); err != nil || again.KID != next.KID {
			t.Errorf("rotated twice: %s, %v", again.KID, err)
		}
		clock.Advance(time.Minute)
		must(t, ringB.Reload(t.Context()))
		must(t, ringA.Reload(t.Context()))
		before := token()
		check("before its time", before)
		clock.Advance(9*time.Minute - time.Microsecond)
		if k, err := a.Key(t.Context(), store.KeyAccessToken); err != nil || k.KID != former.KID {
			t.Errorf("it signs before its time: %v", err)
		}
		clock.Advance(time.Microsecond)
		var wg sync.WaitGroup
		for _, s := range []*store.Store{a, b} {
			wg.Go(func() {
				if k, err := s.Key(t.Context(), store.KeyAccessToken); err != nil || k.KID != next.KID {
					t.Errorf("active is %s, %v; want %s", k.KID, err, next.KID)
				}
			})
		}
		wg.Wait()
		must(t, ringA.Reload(t.Context()))
		after := token()
		if strings.Split(before, ".")[0] == strings.Split(after, ".")[0] {
			t.Error("the node signs with the former key")
		}
		check("signed by the new key, without reading keys again", after)
		check("signed by the former key", before)
		if _, _, err := a.RotateKey(t.Context(), store.KeyField); fault.CodeOf(err) != "key.purpose" {
			t.Errorf("the key of sealed fields rotates: %v", err)
		}
	})
}
