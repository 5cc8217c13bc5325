package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation"
)

// Change is a session before and after a command, with what the people at the terminal must be told.
type Change struct {
	Before, After Session
	Phone         ident.GrantID // phone paired with the terminal, empty when none
	Ver           int64         // version of the terminal's situation
}

// Placement is a room that a node runs.
type Placement struct {
	Session ident.SessionID
	Spec    media.RoomSpec
}

// RoomStore is the truth of the rooms.
type RoomStore interface {
	// ChangeSession loads a session, lets fn change it and saves it in one transaction; the spec's epoch rises when
	// the spec changed. fn may run more than once. Errors: fault.NotFound "session.none"; those of fn.
	ChangeSession(ctx context.Context, cmd mediation.Command, id ident.SessionID, fn func(*Session) error) (Change, error)
	// SessionOfRoom returns the session of a room. Errors: fault.NotFound "session.none".
	SessionOfRoom(ctx context.Context, room ident.RoomID) (ident.SessionID, error)
	// OpenRooms lists the sessions whose room stands on a node and is not closed.
	OpenRooms(ctx context.Context, node string) ([]ident.SessionID, error)
	// PendingRooms lists the rooms of a node whose spec is newer than what was applied.
	PendingRooms(ctx context.Context, node string) ([]Placement, error)
	// RoomApplied notes what the engine did, guarded by the fence.
	RoomApplied(ctx context.Context, id ident.SessionID, fence, epoch int64) error
	// CaptureByID returns a live grant. Errors: fault.Unauthenticated "capture.over".
	CaptureByID(ctx context.Context, id ident.GrantID) (Capture, error)
}

// ExecutorDeps are what an Executor works with.
type ExecutorDeps struct {
	Store  RoomStore
	Engine media.Engine
	Nudges coord.Nudges
	Node   string
	Limits Limits
	Now    func() time.Time
	Logger *slog.Logger
	Sweep  time.Duration // 0 means 500 ms
}

// Executor brings the rooms of one media node to its engine.
type Executor struct {
	d    ExecutorDeps
	wake chan struct{}

	mu   sync.Mutex
	news map[presenceKey]media.Presence // not yet written, the latest of each participant
}

type presenceKey struct {
	room ident.RoomID
	who  ident.ParticipantID
}

// NewExecutor returns an Executor; Run does the work.
func NewExecutor(d ExecutorDeps) *Executor {
	if d.Sweep == 0 {
		d.Sweep = 500 * time.Millisecond
	}
	if d.Limits == (Limits{}) {
		d.Limits = Defaults()
	}
	return &Executor{d: d, wake: make(chan struct{}, 1), news: map[presenceKey]media.Presence{}}
}

// Wake makes Run look at once.
func (e *Executor) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Watch hears of presence from the engine; it does not block.
func (e *Executor) Watch(p media.Presence) {
	e.mu.Lock()
	e.news[presenceKey{p.Room, p.Participant}] = p
	e.mu.Unlock()
	e.Wake()
}

// Run places this node's rooms again, then applies specs and writes presence until ctx is done. A failed round is
// logged and repeated: the rows are the truth.
func (e *Executor) Run(ctx context.Context) error {
	stop := e.d.Nudges.Subscribe(func(n coord.Nudge) {
		if n.To == "media/"+e.d.Node || n.To == coord.ToGap {
			e.Wake()
		}
	})
	defer stop()
	tick := time.NewTicker(e.d.Sweep)
	defer tick.Stop()
	placed := false
	for {
		if !placed {
			if err := e.Restart(ctx); err != nil && ctx.Err() == nil {
				e.d.Logger.ErrorContext(ctx, "place rooms again", slog.Any("error", err))
			} else {
				placed = true
			}
		}
		if placed {
			if err := e.Step(ctx); err != nil && ctx.Err() == nil {
				e.d.Logger.ErrorContext(ctx, "apply rooms", slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-e.wake:
		}
	}
}

// Restart places the rooms of this node again after the process began anew: nobody's line is up, the fence rises.
func (e *Executor) Restart(ctx context.Context) error {
	ids, err := e.d.Store.OpenRooms(ctx, e.d.Node)
	if err != nil {
		return err
	}
	now := e.d.Now().UnixMicro()
	for _, id := range ids {
		_, err := e.change(ctx, mediation.System("room.placed", "media/"+e.d.Node, now), id, func(s *Session) error {
			s.Restarted(e.d.Node, e.d.Limits, now)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Step writes the presence that was reported and applies every spec that is newer than what the engine runs.
func (e *Executor) Step(ctx context.Context) error {
	e.mu.Lock()
	news := e.news
	e.news = map[presenceKey]media.Presence{}
	e.mu.Unlock()
	var errs []error
	for key, p := range news {
		if err := e.present(ctx, p); err != nil {
			errs = append(errs, err)
			e.mu.Lock()
			if _, newer := e.news[key]; !newer {
				e.news[key] = p
			}
			e.mu.Unlock()
		}
	}
	list, err := e.d.Store.PendingRooms(ctx, e.d.Node)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, p := range list {
		if err := e.apply(ctx, p.Spec); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (e *Executor) present(ctx context.Context, p media.Presence) error {
	id, err := e.d.Store.SessionOfRoom(ctx, p.Room)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	now := e.d.Now().UnixMicro()
	_, err = e.change(ctx, mediation.System("room.presence", "media/"+e.d.Node, now), id, func(s *Session) error {
		if s.State.Live() {
			s.Present(p.Participant, p.Live, e.d.Limits, now)
		}
		return nil
	})
	return err
}

// change saves a session and tells everybody in it.
func (e *Executor) change(ctx context.Context, cmd mediation.Command, id ident.SessionID, fn func(*Session) error) (Change, error) {
	c, err := e.d.Store.ChangeSession(ctx, cmd, id, fn)
	if err != nil {
		return c, err
	}
	for _, n := range Nudges(c) {
		e.d.Nudges.Publish(ctx, n)
	}
	return c, nil
}

// Apply brings one session's room to the engine at once, when it stands on this node; the sweep does it otherwise.
func (e *Executor) Apply(ctx context.Context, s Session) error {
	if s.Node != e.d.Node {
		return nil
	}
	return e.apply(ctx, s.Spec())
}

func (e *Executor) apply(ctx context.Context, spec media.RoomSpec) error {
	var err error
	if spec.Closed {
		err = e.d.Engine.Close(ctx, spec.Room, spec.Fence, "ended")
		if fault.CodeOf(err) == "rtc.no_room" {
			err = nil
		}
	} else {
		_, err = e.d.Engine.Apply(ctx, spec)
	}
	switch fault.CodeOf(err) {
	case "rtc.stale_epoch", "rtc.stale_fence":
		return nil // a newer spec was applied meanwhile; its own row says so
	}
	if err != nil {
		return err
	}
	return e.d.Store.RoomApplied(ctx, spec.Session, spec.Fence, spec.Epoch)
}

// Entry lets a client into a session's room: it checks membership, puts the client's attachment into the spec and has
// the engine apply it before the ticket is handed out, so that no sweep stands between OK and the first picture.
//
// Errors: those of Session.Enter; fault.Unauthenticated "capture.over"; fault.Unavailable "session.elsewhere" while
// the room stands on another node.
func (e *Executor) Entry(ctx context.Context, who Who, cmd mediation.Command, id ident.SessionID, kind media.AttachKind) (media.Ticket, Session, error) {
	if who.Grant != "" {
		g, err := e.d.Store.CaptureByID(ctx, who.Grant)
		if err != nil {
			return media.Ticket{}, Session{}, err
		}
		who.Device = g.Device
	}
	var t media.Ticket
	c, err := e.change(ctx, cmd, id, func(s *Session) error {
		var err error
		t, err = s.Enter(who, kind)
		return err
	})
	if err != nil {
		return media.Ticket{}, Session{}, err
	}
	if c.After.Node != e.d.Node {
		return media.Ticket{}, Session{}, fault.New(fault.Unavailable, "session.elsewhere").After(time.Second)
	}
	if err := e.apply(ctx, c.After.Spec()); err != nil {
		return media.Ticket{}, Session{}, err
	}
	return t, c.After, nil
}

// Nudges tells the people of a session what changed: its mediator, the terminal and its phone, and the node that runs
// the room.
func Nudges(c Change) []coord.Nudge {
	a, b := &c.After, &c.Before
	if a.Ver == b.Ver && a.ID == b.ID {
		return nil
	}
	t := wire.RoomMember
	why := string(a.State)
	switch {
	case !a.State.Live() && (b.ID == "" || b.State.Live()):
		t = wire.RoomEnded
	case a.State != b.State:
		t = wire.RoomReady
	}
	list := []coord.Nudge{
		{To: staffClient(a.Mediator), T: t, ID: string(a.ID), Ver: a.Ver, Why: why},
	}
	if a.Party() != nil { // else another person sits there now
		list = append(list, coord.Nudge{To: deviceClient(a.Device), T: t, ID: string(a.ID), Ver: c.Ver, Why: why})
		if c.Phone != "" {
			list = append(list, coord.Nudge{To: grantClient(c.Phone), T: t, ID: string(a.ID), Ver: c.Ver, Why: why})
		}
	}
	for i := range a.Members {
		if m := &a.Members[i]; m.linked() && (m.Zone != "" || i < len(b.Members) && b.Members[i].Zone != "") {
			list = append(list, coord.Nudge{To: m.Who, T: t, ID: string(a.ID), Ver: a.Ver, Why: why})
		}
	}
	if b.Mediator != "" && b.Mediator != a.Mediator {
		list = append(list, coord.Nudge{To: staffClient(b.Mediator), T: wire.RoomEnded, ID: string(a.ID), Ver: a.Ver, Why: "replaced"})
	}
	if a.Epoch != b.Epoch {
		list = append(list, coord.Nudge{To: "media/" + a.Node, ID: string(a.ID), Ver: a.Epoch})
	}
	if a.State != b.State {
		list = append(list, coord.Nudge{To: coord.ToConsole, ID: "sessions"})
	}
	return list
}
