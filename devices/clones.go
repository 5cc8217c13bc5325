package devices

import (
	"context"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// One identity in two places (docs/protocol.md §4, "Clones"): two running programs take the link from each other again
// and again. A device that restarts brings a new boot id and never an old one.
const (
	cloneSwaps  = 4                // A-B-A-B-A
	cloneWithin = 10 * time.Minute // from the first of them to the last
)

// Swaps remembers how one device's live link changed hands. The zero Swaps is ready; it is no use to several goroutines
// at once.
type Swaps struct {
	former string      // boot id that had the link before the present one
	now    string      // boot id that has it
	at     []time.Time // alternations, newest last
}

// Took notes that a link with boot id next took the place of a live one with boot id held, and reports whether this
// identity is in two places. Both are random for each start of a program.
func (s *Swaps) Took(held, next string, at time.Time) bool {
	if held == next || held == "" || next == "" {
		return false // one program came back on another line
	}
	if s.now != held || s.former != next {
		s.at = nil // a boot id that was not here before: the first takeover of a pair counts, older pairs do not
	}
	s.former, s.now = held, next
	s.at = append(s.at, at)
	if len(s.at) > cloneSwaps {
		s.at = s.at[1:]
	}
	return len(s.at) == cloneSwaps && at.Sub(s.at[0]) <= cloneWithin
}

// Stale reports whether nothing of it counts any more.
func (s *Swaps) Stale(now time.Time) bool {
	return len(s.at) == 0 || now.Sub(s.at[len(s.at)-1]) > cloneWithin
}

// CloneReason stands in the log of a device that was found in two places.
const CloneReason = "clone"

// Quarantine takes a device out of service because its identity is in two places: its links close 4504, an operator may
// enable it again. unit is where it stands. One that is out of service already stays as it is.
func (r *Registry) Quarantine(ctx context.Context, id ident.DeviceID, unit ident.UnitID) error {
	done, err := r.fleet.SetLife(ctx, LifeChange{
		ID: id, To: Quarantined, Reason: CloneReason, At: r.now().UnixMicro(),
		Scope: Scope{Unit: unit, Actor: mediation.Actor{Kind: mediation.ActorSystem, ID: CloneReason}},
	})
	if fault.CodeOf(err) == "device.life" {
		return nil
	}
	if err != nil {
		return err
	}
	r.kick(ctx, done.ID, done.Epoch, Quarantined)
	r.changed(ctx, done.ID)
	return nil
}
