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
	"heyi/media/nodes"
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
	Session      ident.SessionID
	Node         string
	Spec         media.RoomSpec
	OverlapUntil int64 // the node before this one plays on until then; Unix microseconds
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
	// PlacedRooms lists the same by room.
	PlacedRooms(ctx context.Context, node string) ([]ident.RoomID, error)
	// PendingRooms lists the rooms of a node whose spec is newer than what was applied; Node is left out.
	PendingRooms(ctx context.Context, node string) ([]Placement, error)
	// PlacementOf returns where a room stands. Errors: fault.NotFound "session.none".
	PlacementOf(ctx context.Context, room ident.RoomID) (Placement, error)
	// MoveRoom lets fn place a live session's room on one of the nodes, in one transaction. With dead it is moved only
	// while the lease of its node does not hold. fn may run more than once. Errors: fault.Conflict "room.moved" when
	// it does not stand on from any more, "room.node_lives"; those of fn.
	MoveRoom(ctx context.Context, cmd mediation.Command, id ident.SessionID, from string, dead bool, fn func(*Session, []nodes.Node) error) (Change, error)
	// RoomApplied notes what the engine did, guarded by the fence.
	RoomApplied(ctx context.Context, id ident.SessionID, fence, epoch int64) error
	// CaptureByID returns a live grant. Errors: fault.Unauthenticated "capture.over".
	CaptureByID(ctx context.Context, id ident.GrantID) (Capture, error)
}

// Hosts says where media nodes are reached; nodes.Directory has it.
type Hosts interface {
	// Where returns the websocket origin of a node, and whether clients get there.
	Where(node string) (origin string, r nodes.Reach)
	// Place chooses the node for a room.
	Place(list []nodes.Node) (string, error)
}

// ExecutorDeps are what an Executor works with.
type ExecutorDeps struct {
	Store  RoomStore
	Engine media.Engine
	Nudges coord.Nudges
	Node   string
	Hosts  Hosts       // nil: this is the only node
	Held   func() bool // whether this node's lease holds now; nil: always
	// FrozenMax is how long rooms play on while it does not; 0 means 10 min.
	FrozenMax time.Duration
	Limits    Limits
	Now       func() time.Time
	Logger    *slog.Logger
	Sweep     time.Duration // 0 means 500 ms
}

// Executor brings the rooms of one media node to its engine.
type Executor struct {
	d    ExecutorDeps
	wake chan struct{}

	mu   sync.Mutex
	news map[presenceKey]media.Presence // not yet written, the latest of each participant
	mine map[ident.RoomID]int64         // what the engine runs, with its fence
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
	if d.FrozenMax == 0 {
		d.FrozenMax = 10 * time.Minute
	}
	return &Executor{d: d, wake: make(chan struct{}, 1), news: map[presenceKey]media.Presence{}, mine: map[ident.RoomID]int64{}}
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
			if s.Node == e.d.Node { // else another node has taken it over meanwhile
				s.Restarted(e.d.Node, e.d.Limits, now)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Step gives up rooms that were placed elsewhere, writes the presence that was reported and applies every spec that is
// newer than what the engine runs.
func (e *Executor) Step(ctx context.Context) error {
	e.mu.Lock()
	news := e.news
	e.news = map[presenceKey]media.Presence{}
	e.mu.Unlock()
	errs := []error{e.surrender(ctx)}
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
		if s.State.Live() && s.Node == e.d.Node && s.Fence == p.Fence { // else it is another node's to say
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
		if err == nil {
			e.forget(spec.Room)
		}
	} else {
		if _, err = e.d.Engine.Apply(ctx, spec); err == nil {
			e.holds(&spec)
		}
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

// Entry lets a client into a session's room, wherever it stands: it checks membership and puts the client's attachment
// into the spec. A room of this node is applied before the ticket is handed out, so that no sweep stands between OK and
// the first picture; another node applies it when the ticket arrives there (Open).
//
// Errors: those of Session.Enter; fault.Unauthenticated "capture.over"; fault.Unavailable "session.moving" while the
// room's node is not heard of, "session.elsewhere" when clients do not get to that node.
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
		if t, err = s.Enter(who, kind); err != nil {
			return err
		}
		_, err = e.Origin(s.Node)
		return err
	})
	if err != nil {
		return media.Ticket{}, Session{}, err
	}
	return t, c.After, e.Apply(ctx, c.After)
}

// movingRetry is when a client asks again for a room whose node is silent. Its take-over takes a few of them.
const movingRetry = 400 * time.Millisecond

// Origin returns the origin of a node's websockets, empty when clients reach them under the page's own address.
//
// Errors: fault.Unavailable "session.moving", "session.elsewhere".
func (e *Executor) Origin(node string) (string, error) {
	if e.d.Hosts == nil {
		if node == e.d.Node {
			return "", nil
		}
		return "", fault.New(fault.Unavailable, "session.elsewhere").After(time.Second)
	}
	origin, r := e.d.Hosts.Where(node)
	switch r {
	case nodes.Silent:
		return "", fault.New(fault.Unavailable, "session.moving").After(movingRetry)
	case nodes.Nowhere:
		return "", fault.New(fault.Unavailable, "session.elsewhere").After(time.Second)
	case nodes.Here:
	}
	return origin, nil
}

// Open starts the media session of a ticket. The room's row is asked first: a ticket for another node or an older
// placement is refused whatever this node believes, and a spec that no nudge has brought yet is applied now.
//
// Errors: those of media.Engine.Open; fault.Conflict "rtc.stale_fence".
func (e *Executor) Open(ctx context.Context, t media.Ticket, h media.Handler) (media.Session, error) {
	p, err := e.d.Store.PlacementOf(ctx, t.Room)
	if fault.KindOf(err) == fault.NotFound {
		return nil, fault.New(fault.NotFound, "rtc.no_room")
	}
	if err != nil {
		return nil, err
	}
	if t.Node != e.d.Node || p.Node != e.d.Node || t.Fence != p.Spec.Fence {
		return nil, fault.New(fault.Conflict, "rtc.stale_fence")
	}
	if p.Spec.Closed {
		return nil, fault.New(fault.NotFound, "rtc.no_room")
	}
	if err := e.apply(ctx, p.Spec); err != nil {
		return nil, err
	}
	return e.d.Engine.Open(ctx, t, h)
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
	moved := b.ID != "" && a.Room == b.Room && a.State.Live() && a.Node != b.Node
	switch {
	case moved && a.OverlapUntil != 0:
		t, why = wire.RTCMove, "drain"
	case moved:
		t, why = wire.RTCMove, "lost"
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
	if b.ID != "" && a.Node != b.Node {
		list = append(list, coord.Nudge{To: "media/" + b.Node, ID: string(a.ID), Ver: a.Epoch}) // it gives the room up
	}
	if a.State != b.State {
		list = append(list, coord.Nudge{To: coord.ToConsole, ID: "sessions"})
	}
	return list
}
