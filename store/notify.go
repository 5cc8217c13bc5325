package store

import (
	"context"
	"encoding/json"
	"time"

	"heyi/internal/ident"
	"heyi/internal/notify"
)

var _ notify.Store = (*Store)(nil)

// textWords is what a row of notice_out seals.
type textWords struct {
	To   string            `json:"to"`
	Args map[string]string `json:"args"`
}

// text queues a text in the transaction of its command. One that cannot be sent is refused: notify.Text.Check.
func (t *tx) text(x notify.Text, at int64) error {
	if err := x.Check(); err != nil {
		return err
	}
	if x.ID == "" {
		x.ID = ident.New[string]()
	}
	if x.DueAt == 0 {
		x.DueAt = at
	}
	if x.UntilAt == 0 {
		x.UntilAt = x.DueAt + (24 * time.Hour).Microseconds()
	}
	plain, err := json.Marshal(textWords{To: x.To, Args: x.Args})
	if err != nil {
		return err
	}
	sealed, err := t.store.seal(plain)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO notice_out (id, subject_id, template, text_enc, state, next_at, until_at, at) VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7)`,
		x.ID, x.Subject, x.Template, sealed, x.DueAt, x.UntilAt, at)
	return err
}

// dropTexts takes back what is still queued about a subject, of one template.
func (t *tx) dropTexts(subject string, template notify.Template, at int64) error {
	_, err := t.exec(`UPDATE notice_out SET state = 'dropped', closed_at = $3 WHERE subject_id = $1 AND template = $2 AND state = 'queued'`,
		subject, template, at)
	return err
}

// openText reads the sealed part of a row.
func (s *Store) openText(sealed []byte, x *notify.Text) error {
	plain, err := s.open(sealed)
	if err != nil {
		return err
	}
	var w textWords
	err = json.Unmarshal(plain, &w)
	x.To, x.Args = w.To, w.Args
	return err
}

// ClaimTexts implements notify.Store.
func (s *Store) ClaimTexts(ctx context.Context, now, lease int64, limit int) ([]notify.Claimed, error) {
	var list []notify.Claimed
	due := false // most looks find nothing: they write nothing
	err := s.read(ctx).one(`SELECT EXISTS (SELECT 1 FROM notice_out WHERE state = 'queued' AND next_at <= $1)`, []any{now}, &due)
	if err != nil || !due {
		return nil, err
	}
	err = s.write(ctx, func(t *tx) error {
		list = nil
		if _, err := t.exec(`UPDATE notice_out SET state = 'dead', closed_at = $1 WHERE state = 'queued' AND next_at <= $1 AND until_at <= $1`, now); err != nil {
			return err
		}
		var sealed [][]byte
		err := t.all(`SELECT id, subject_id, template, text_enc, attempts, next_at, until_at FROM notice_out WHERE state = 'queued' AND next_at <= $1
			ORDER BY next_at, id LIMIT $2`+t.skipLocked(), []any{now, limit}, func(r rows) error {
			var c notify.Claimed
			var enc []byte
			err := r.Scan(&c.ID, &c.Subject, &c.Template, &enc, &c.Attempts, &c.DueAt, &c.UntilAt)
			list, sealed = append(list, c), append(sealed, enc)
			return err
		})
		if err != nil {
			return err
		}
		found := list
		list = nil
		for i, c := range found {
			if s.openText(sealed[i], &c.Text) != nil { // its key is gone: it must not hold up the others
				_, err = t.exec(`UPDATE notice_out SET state = 'dead', last_error = 'notify.sealed', closed_at = $2 WHERE id = $1`, c.ID, now)
			} else {
				list = append(list, c)
				_, err = t.exec(`UPDATE notice_out SET next_at = $2 WHERE id = $1`, c.ID, lease)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// TextSent implements notify.Store.
func (s *Store) TextSent(ctx context.Context, id string, at int64) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE notice_out SET state = 'sent', closed_at = $2, last_error = '' WHERE id = $1 AND state <> 'sent'`, id, at)
		return err
	})
}

// TextFailed implements notify.Store.
func (s *Store) TextFailed(ctx context.Context, id, code string, next int64) error {
	state, closed := "queued", int64(0)
	if next == 0 {
		state, closed = "dead", micros(s.now())
	}
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE notice_out SET attempts = attempts + 1, last_error = $2, next_at = $3, state = $4, closed_at = $5 WHERE id = $1 AND state = 'queued'`,
			id, code, next, state, closed)
		return err
	})
}

// ForgetTexts implements notify.Store.
func (s *Store) ForgetTexts(ctx context.Context, before int64) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM notice_out WHERE closed_at > 0 AND closed_at < $1`, before)
		return err
	})
}

// SentText is a text that went out.
type SentText struct {
	notify.Text

	SentAt int64
}

// SentTexts returns what went out last, newest first. It opens sealed words: only the demo's phone asks.
func (s *Store) SentTexts(ctx context.Context, limit int) ([]SentText, error) {
	var list []SentText
	var sealed [][]byte
	err := s.read(ctx).all(`SELECT id, subject_id, template, text_enc, closed_at FROM notice_out WHERE state = 'sent' ORDER BY closed_at DESC, id DESC LIMIT $1`,
		[]any{limit}, func(r rows) error {
			var x SentText
			var enc []byte
			err := r.Scan(&x.ID, &x.Subject, &x.Template, &enc, &x.SentAt)
			list, sealed = append(list, x), append(sealed, enc)
			return err
		})
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := s.openText(sealed[i], &list[i].Text); err != nil {
			return nil, err
		}
	}
	return list, nil
}
