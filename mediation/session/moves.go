package session

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/media/nodes"
	"heyi/mediation"
)

// TakeOver places the rooms of a dead node anew: each gets the next fence and another node, in a transaction that
// refuses while the lease of its node holds. Everybody in the session is told; clients close what they had and come.
// Several observers may do so at once: each room moves once.
//
// Errors: fault.Conflict "room.node_lives" when the node is back; fault.Unavailable "media.no_node" while no other
// node has room; both leave rooms for the next call.
func (e *Executor) TakeOver(ctx context.Context, dead string) error {
	ids, err := e.d.Store.OpenRooms(ctx, dead)
	if err != nil {
		return err
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] }) //nolint:gosec // observers share the work, nobody is to be surprised
	for _, id := range ids {
		if _, err := e.move(ctx, id, dead, true, 0); err != nil {
			return err
		}
	}
	return nil
}

// move places a room of a node on another one. With overlap the old node plays on meanwhile.
func (e *Executor) move(ctx context.Context, id ident.SessionID, from string, dead bool, overlap time.Duration) (Change, error) {
	now := e.d.Now().UnixMicro()
	c, err := e.d.Store.MoveRoom(ctx, mediation.System("room.moved", "media/"+e.d.Node, now), id, from, dead, func(s *Session, list []nodes.Node) error {
		others := make([]nodes.Node, 0, len(list))
		for _, n := range list {
			if n.Name != from {
				others = append(others, n)
			}
		}
		if len(others) == 0 {
			return fault.New(fault.Unavailable, "media.no_node").After(time.Second)
		}
		to, err := e.d.Hosts.Place(others)
		if err != nil {
			return err
		}
		s.Restarted(to, e.d.Limits, now)
		if overlap > 0 {
			s.OverlapUntil = now + overlap.Microseconds()
		}
		return nil
	})
	if fault.CodeOf(err) == "room.moved" { // by somebody else, or it is over
		return Change{}, nil
	}
	if err != nil {
		return c, err
	}
	if !dead { // before the others hear: who learns it here first need not close what plays
		why := "lost"
		if overlap > 0 {
			why = "drain"
		}
		if err := e.d.Engine.Leave(ctx, c.After.Room, why); err != nil && fault.CodeOf(err) != "rtc.no_room" {
			e.d.Logger.WarnContext(ctx, "people of a room are not told that it moved", slog.String("session", string(id)), slog.Any("error", err))
		}
	}
	e.d.Logger.WarnContext(ctx, "a room moved", slog.String("session", string(id)), slog.String("from", from), slog.String("to", c.After.Node), slog.Int64("fence", c.After.Fence))
	for _, n := range Nudges(c) {
		e.d.Nudges.Publish(ctx, n)
	}
	return c, e.Apply(ctx, c.After)
}

// surrender ends the rooms that this node runs although they were placed elsewhere, whatever it missed meanwhile. One
// that moved with its picture plays on as long as it was given.
func (e *Executor) surrender(ctx context.Context) error {
	e.mu.Lock()
	mine := maps.Clone(e.mine)
	e.mu.Unlock()
	if len(mine) == 0 {
		return nil
	}
	placed, err := e.d.Store.PlacedRooms(ctx, e.d.Node)
	if err != nil {
		return err
	}
	for _, room := range placed {
		delete(mine, room)
	}
	var errs []error
	for room, fence := range mine {
		p, err := e.d.Store.PlacementOf(ctx, room)
		switch {
		case fault.KindOf(err) == fault.NotFound:
			p.Spec.Fence = fence
		case err != nil:
			errs = append(errs, err)
			continue
		case p.Node == e.d.Node: // closed: PendingRooms ends it
			continue
		case !p.Spec.Closed && p.Spec.Fence == fence+1 && p.OverlapUntil > e.d.Now().UnixMicro():
			continue
		}
		if err := e.d.Engine.Close(ctx, room, p.Spec.Fence, "moved"); err != nil && fault.CodeOf(err) != "rtc.no_room" {
			errs = append(errs, err)
			continue
		}
		e.forget(room)
	}
	return errors.Join(errs...)
}

// holds notes what the engine runs.
func (e *Executor) holds(spec *media.RoomSpec) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mine[spec.Room] = spec.Fence
}

func (e *Executor) forget(room ident.RoomID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.mine, room)
}

// guardEvery is how often Guard looks at the lease; it asks nobody, so it may look often.
const guardEvery = 250 * time.Millisecond

// Guard freezes the rooms while this node does not hold its lease: it cannot know any more what they should be. What
// plays plays on and nobody new comes in. After FrozenMax the rooms close; their sessions stay. Once the lease holds
// again the rooms that went elsewhere are given up, then the others thaw.
func (e *Executor) Guard(ctx context.Context) error {
	if e.d.Held == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	var frozen time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		frozen = e.Look(ctx, frozen)
	}
}

// Look is one look of Guard; frozen is since when, zero when the rooms are not. It returns the same for the next look.
func (e *Executor) Look(ctx context.Context, frozen time.Time) time.Time {
	held, now := e.d.Held(), e.d.Now()
	switch {
	case !held && frozen.IsZero():
		e.d.Engine.Freeze(true)
		e.d.Logger.ErrorContext(ctx, "rooms are frozen: the lease of this node is not renewed")
		return now
	case !held && now.Sub(frozen) >= e.d.FrozenMax:
		e.mu.Lock()
		mine := e.mine
		e.mine = map[ident.RoomID]int64{}
		e.mu.Unlock()
		for room, fence := range mine {
			if err := e.d.Engine.Close(ctx, room, fence, "frozen"); err != nil && fault.CodeOf(err) != "rtc.no_room" {
				e.d.Logger.ErrorContext(ctx, "a frozen room does not close", slog.String("room", string(room)), slog.Any("error", err))
			}
		}
	case held && !frozen.IsZero():
		soon, cancel := context.WithTimeout(ctx, surrenderTime)
		defer cancel()
		if err := e.surrender(soon); err != nil {
			e.d.Logger.WarnContext(ctx, "rooms stay frozen", slog.Any("error", err))
			return frozen
		}
		e.d.Engine.Freeze(false)
		e.d.Logger.InfoContext(ctx, "rooms thaw", slog.Duration("frozen", now.Sub(frozen)))
		return time.Time{}
	}
	return frozen
}

// surrenderTime bounds the question which rooms are still ours.
const surrenderTime = 2 * time.Second

// Drain moves this node's rooms to other nodes, one by one, until none is left, no other node takes any, or ctx ends;
// after force has passed also those whose people have just changed zone, and without an overlap. A room plays on at
// this node while its clients connect to the new one.
func (e *Executor) Drain(ctx context.Context, d DrainRule) error {
	end := e.d.Now().Add(d.Deadline)
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		ids, err := e.d.Store.OpenRooms(ctx, e.d.Node)
		if err != nil {
			return err
		}
		force := !e.d.Now().Before(end)
		for _, id := range ids {
			if err := e.drain(ctx, id, d, force); err != nil {
				return err
			}
		}
		left := 0
		if ids, err = e.d.Store.OpenRooms(ctx, e.d.Node); err == nil {
			left = len(ids)
		}
		e.mu.Lock()
		playing := len(e.mine)
		e.mu.Unlock()
		if err != nil || left == 0 && playing == 0 {
			return err
		}
		if force && left > 0 {
			return fault.New(fault.Unavailable, "room.drain_left").WithRef(string(ids[0]))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := e.surrender(ctx); err != nil {
			return err
		}
	}
}

// DrainRule says how rooms leave.
type DrainRule struct {
	Deadline time.Duration // then the rest moves by force
	Overlap  time.Duration // a room plays on here for so long after it moved
	Settle   time.Duration // a room is left alone for so long after a change of zone
}

// drainEvery is how often a drain looks whether rooms have come to rest or have been left.
const drainEvery = 200 * time.Millisecond

func (e *Executor) drain(ctx context.Context, id ident.SessionID, d DrainRule, force bool) error {
	overlap := d.Overlap
	if force {
		overlap = 0
	}
	now := e.d.Now().UnixMicro()
	settled := true
	// looked at first: a transaction that refuses would take the lock of the directory for nothing
	c, err := e.d.Store.ChangeSession(ctx, mediation.System("room.drain", "media/"+e.d.Node, now), id, func(s *Session) error {
		settled = s.ZoneAt+d.Settle.Microseconds() <= now
		return nil
	})
	if err != nil || c.After.Node != e.d.Node || !c.After.State.Live() || !settled && !force {
		return err
	}
	_, err = e.move(ctx, id, e.d.Node, false, overlap)
	return err
}
