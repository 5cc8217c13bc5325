package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"heyi/internal/audit"
)

// event appends an event to the chain of its aggregate when the command is done: the store fills Seq, PrevHash and
// Hash, and At when it is 0. A command that fails leaves no event. An event without aggregate, id or type is refused.
func (t *tx) event(e audit.Event) error {
	if e.Aggregate == "" || e.ID == "" || e.Type == "" {
		return fmt.Errorf("store: event %q of %q %q is not whole", e.Type, e.Aggregate, e.ID)
	}
	if e.At == 0 {
		e.At = micros(t.store.now())
	}
	t.events = append(t.events, e)
	return nil
}

// appendEvents writes the command's events as its last act: the chains are then locked for the shortest time and, by
// the order of their names, in the same order by everybody, so that no two commands wait for each other's chain.
func (t *tx) appendEvents() error {
	events := t.events
	slices.SortStableFunc(events, func(a, b audit.Event) int {
		return cmp.Or(cmp.Compare(a.Aggregate, b.Aggregate), cmp.Compare(a.ID, b.ID))
	})
	for i := range events {
		e := &events[i]
		if i > 0 && events[i-1].Aggregate == e.Aggregate && events[i-1].ID == e.ID {
			e.Seq, e.PrevHash = events[i-1].Seq, events[i-1].Hash
		} else if err := t.chainEnd(e); err != nil {
			return err
		}
		e.Seq++
		e.Hash = audit.Sum(*e)
		_, err := t.exec(`INSERT INTO event (aggregate, agg_id, seq, type, data, actor_kind, actor_id, actor_device, at, cause, prev_hash, hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			e.Aggregate, e.ID, e.Seq, e.Type, audit.EncodeData(e.Data), e.Actor.Kind, e.Actor.ID, e.Actor.Device, e.At, e.Cause, e.PrevHash, e.Hash)
		if err != nil {
			return err
		}
	}
	return nil
}

// chainEnd locks the chain that e belongs to until the command ends and puts its last Seq and Hash into e.
func (t *tx) chainEnd(e *audit.Event) error {
	if err := t.dialect.lockChain(t, e.Aggregate+"/"+e.ID); err != nil {
		return err
	}
	e.Seq, e.PrevHash = 0, ""
	err := t.one(`SELECT seq, hash FROM event WHERE aggregate = $1 AND agg_id = $2 ORDER BY seq DESC LIMIT 1`,
		[]any{e.Aggregate, e.ID}, &e.Seq, &e.PrevHash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// Events returns the chain of one aggregate from its first event on; audit.Verify checks it.
func (s *Store) Events(ctx context.Context, aggregate, id string) ([]audit.Event, error) {
	var list []audit.Event
	err := s.read(ctx).all(`SELECT seq, type, data, actor_kind, actor_id, actor_device, at, cause, prev_hash, hash
		FROM event WHERE aggregate = $1 AND agg_id = $2 ORDER BY seq`, []any{aggregate, id}, func(r rows) error {
		e := audit.Event{Aggregate: aggregate, ID: id}
		var data string
		err := r.Scan(&e.Seq, &e.Type, &data, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Device, &e.At, &e.Cause, &e.PrevHash, &e.Hash)
		e.Data = audit.DecodeData(data)
		list = append(list, e)
		return err
	})
	return list, err
}
