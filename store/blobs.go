package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"heyi/internal/fault"
	"heyi/internal/sign"
)

// errNoFile is a file that is not there, or not the caller's.
func errNoFile() error { return fault.New(fault.NotFound, "file.none") }

// putBlob keeps a file under its digest and returns that. A file that is there already stays as it is.
func (t *tx) putBlob(body []byte, at int64) (digest string, err error) {
	digest = sign.SHA256(body)
	var one int
	err = t.one(`SELECT 1 FROM blob WHERE digest = $1`, []any{digest}, &one)
	if !errors.Is(err, sql.ErrNoRows) {
		return digest, err
	}
	sealed, err := t.store.seal(body)
	if err != nil {
		return digest, err
	}
	_, err = t.exec(`INSERT INTO blob (digest, size, body_enc, at) VALUES ($1, $2, $3, $4) ON CONFLICT (digest) DO NOTHING`, digest, len(body), sealed, at)
	return digest, err
}

// blob reads a file. fault.NotFound "file.none".
func (s *Store) blob(q querier, digest string) ([]byte, error) {
	var sealed []byte
	err := q.one(`SELECT body_enc FROM blob WHERE digest = $1`, []any{digest}, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoFile()
	}
	if err != nil {
		return nil, err
	}
	body, err := s.open(sealed)
	if err != nil {
		return nil, err
	}
	if sign.SHA256(body) != digest {
		return nil, fmt.Errorf("store: the file %s is not what it was", digest)
	}
	return body, nil
}

// loadSearchKey derives the key by which personal data is searched; a database dump alone answers no guess.
func (s *Store) loadSearchKey(ctx context.Context) error {
	k, err := s.Key(ctx, KeyHMAC)
	if err != nil {
		return err
	}
	h := hmac.New(sha256.New, k.Secret)
	h.Write([]byte("heyi search"))
	s.search = h.Sum(nil)
	return nil
}

// SearchHash returns the keyed hash by which a name or an id number is found; what says which of them it is, so that a
// name never meets a number. Hex, "" for an empty text.
func (s *Store) SearchHash(what, text string) string {
	if text == "" {
		return ""
	}
	h := hmac.New(sha256.New, s.search)
	h.Write([]byte(what + "\x00" + text))
	return hex.EncodeToString(h.Sum(nil))
}

// What SearchHash is asked for.
const (
	SearchName = "name"
	SearchIDNo = "id_no"
)
