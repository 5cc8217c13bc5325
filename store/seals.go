package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/sign"
)

// sealPurpose begins the purpose of a committee's seal key; the id of its unit follows.
const sealPurpose = "seal/"

// SealKey returns the key with which a committee seals and makes it the first time, with the algorithm of the
// configuration; nodes that ask at once get the same one.
//
// Errors: fault.NotFound "org.no_unit".
func (s *Store) SealKey(ctx context.Context, unit ident.UnitID) (sign.Key, error) {
	purpose := sealPurpose + string(unit)
	k, err := s.activeKey(s.read(ctx), purpose)
	if errors.Is(err, sql.ErrNoRows) {
		k, err = s.makeSealKey(ctx, unit)
	}
	if err != nil {
		return sign.Key{}, err
	}
	return sign.FromSecret(sign.Alg(k.Alg), k.KID, k.Secret)
}

func (s *Store) makeSealKey(ctx context.Context, unit ident.UnitID) (Key, error) {
	purpose := sealPurpose + string(unit)
	fresh, err := sign.New(s.sealAlg, ident.New[string]())
	if err != nil {
		return Key{}, err
	}
	wrapped, err := seal(s.wrap, fresh.Private, wrapContext(fresh.KID, purpose))
	if err != nil {
		return Key{}, err
	}
	var k Key
	// good from the hour in which it was made: what was drawn up a moment before it is sealed with it all the same
	at := micros(s.now().Truncate(time.Hour))
	err = s.write(ctx, func(t *tx) error {
		n, err := t.exec(`INSERT INTO key (kid, purpose, alg, wrapped, pub, state, at)
			SELECT $1, $2, $3, $4, $5, 'active', $6 FROM org_unit WHERE id = $7 ON CONFLICT DO NOTHING`,
			fresh.KID, purpose, string(fresh.Alg), wrapped, fresh.Public, at, unit)
		if err != nil {
			return err
		}
		k, err = s.activeKey(t, purpose)
		if n == 0 && errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.NotFound, "org.no_unit")
		}
		return err
	})
	return k, err
}

// SealKeys lists the seal keys of all committees as they are published, oldest first.
func (s *Store) SealKeys(ctx context.Context) (sign.KeyList, error) {
	list := sign.KeyList{Keys: []sign.Published{}}
	codes := map[ident.UnitID]string{}
	q := s.read(ctx)
	err := q.all(`SELECT id, code FROM org_unit`, nil, func(r rows) error {
		var id ident.UnitID
		var code string
		err := r.Scan(&id, &code)
		codes[id] = code
		return err
	})
	if err != nil {
		return list, err
	}
	err = q.all(`SELECT kid, purpose, alg, pub, at FROM key WHERE purpose LIKE 'seal/%' AND state <> 'revoked' ORDER BY at, kid`, nil, func(r rows) error {
		var (
			k       = sign.Published{}
			purpose string
			pub     []byte
		)
		err := r.Scan(&k.KID, &purpose, &k.Alg, &pub, &k.FromAt)
		k.Pub, k.Unit = sign.Text(pub), codes[ident.UnitID(strings.TrimPrefix(purpose, sealPurpose))]
		list.Keys = append(list.Keys, k)
		return err
	})
	return list, err
}
