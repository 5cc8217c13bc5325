package store

import (
	"context"
	"database/sql"
	"time"

	"heyi/devices"
	"heyi/mediation/queue"
)

// Figures are what operators watch of the whole installation. Every figure comes from a partial index or a small
// table, so that asking costs the same with a million terminals.
type Figures struct {
	Tickets    map[string]int    // open ones, by state
	Sessions   map[string]int    // live ones, by state
	Seats      map[string]int    // by state
	Offers     int               // open ones
	OldestWait time.Duration     // of the ticket that waits longest
	Suspect    int               // terminals in their grace
	Handoff    time.Duration     // since when the oldest package that is still tried is on its way
	TextsDue   int               // texts whose time has come
	TextsLate  time.Duration     // since when the oldest of them is due
	Nodes      int               // whose lease holds
	Holders    map[string]string // lease -> node, of the matcher and the sweeper
	Bytes      int64             // size of the database
}

// The queries of Figures; TestFiguresScanNoBigTable looks at their plans.
const (
	ticketFigures  = `SELECT state, count(*) FROM ticket WHERE state IN ('waiting', 'parked', 'offered', 'ringing', 'missed') GROUP BY state`
	sessionFigures = `SELECT state, count(*) FROM session WHERE state IN ('lobby', 'checking', 'joint', 'suspended') GROUP BY state`
	seatFigures    = `SELECT state, count(*) FROM seat GROUP BY state`
	otherFigures   = `SELECT (SELECT count(*) FROM offer WHERE closed_at = 0),
			(SELECT min(enqueued_at) FROM ticket WHERE state = 'waiting'),
			(SELECT count(*) FROM device_link WHERE state = 'suspect'),
			(SELECT min(since_at) FROM handoff WHERE state IN ('queued', 'sending', 'failed')),
			(SELECT count(*) FROM notice_out WHERE state = 'queued' AND next_at <= $1),
			(SELECT min(next_at) FROM notice_out WHERE state = 'queued' AND next_at <= $1),
			(SELECT count(*) FROM lease WHERE name >= 'node/' AND name < 'node0' AND expires_at >= $1)`
)

// Figures reads them.
func (s *Store) Figures(ctx context.Context, now time.Time) (Figures, error) {
	f := Figures{Tickets: map[string]int{}, Sessions: map[string]int{}, Seats: map[string]int{}, Holders: map[string]string{}}
	q := s.read(ctx)
	var wait, handoff, text sql.NullInt64
	at := micros(now)
	err := q.all(ticketFigures, nil, counted(f.Tickets))
	if err == nil {
		err = q.all(sessionFigures, nil, counted(f.Sessions))
	}
	if err == nil {
		err = q.all(seatFigures, nil, counted(f.Seats))
	}
	if err == nil {
		err = q.one(otherFigures+`, `+s.dialect.size(), []any{at}, &f.Offers, &wait, &f.Suspect, &handoff, &f.TextsDue, &text, &f.Nodes, &f.Bytes)
	}
	if err == nil {
		err = q.all(`SELECT name, owner FROM lease WHERE name IN ($1, $2) AND expires_at >= $3`, []any{queue.LeaseName, devices.SweeperLease, at}, func(r rows) error {
			var name, owner string
			err := r.Scan(&name, &owner)
			f.Holders[name] = owner
			return err
		})
	}
	f.OldestWait, f.Handoff, f.TextsLate = since(wait, now), since(handoff, now), since(text, now)
	return f, err
}

func counted(m map[string]int) func(rows) error {
	return func(r rows) error {
		var (
			state string
			n     int
		)
		err := r.Scan(&state, &n)
		m[state] = n
		return err
	}
}

func since(at sql.NullInt64, now time.Time) time.Duration {
	if !at.Valid {
		return 0
	}
	return max(now.Sub(time.UnixMicro(at.Int64)), 0)
}
