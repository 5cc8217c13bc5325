package rtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/webrtc/v3"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/media/sfu"
)

// closeWithin bounds the closing of one peer connection; a longer one is a defect of the library and is logged.
const closeWithin = 10 * time.Second

var _ media.Engine = (*Engine)(nil)

// Engine runs the rooms of one node. Make it with New and call Run once; Run closes everything.
type Engine struct {
	cfg     Config
	conns   []*udpConn
	mux     ice.UDPMux
	apis    *apis
	dropped atomic.Uint64 // datagrams that met a full socket
	live    atomic.Int64  // open media sessions
	members atomic.Int64  // people of all rooms
	leaks   atomic.Uint64 // gates found open that no edge allows
	totals  sfu.Totals
	wg      sync.WaitGroup

	mu     sync.RWMutex
	rooms  map[ident.RoomID]*room
	closed bool
	frozen bool

	presenceMu sync.Mutex
	presence   map[presenceKey]media.Presence // newest untold state of each member
	presenceUp chan struct{}
}

type presenceKey struct {
	room ident.RoomID
	p    ident.ParticipantID
}

// New opens the sockets. Nothing is served before Apply has made a room.
func New(cfg Config) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, rooms: map[ident.RoomID]*room{},
		presence: map[presenceKey]media.Presence{}, presenceUp: make(chan struct{}, 1),
	}
	muxes := make([]ice.UDPMux, 0, len(cfg.ListenUDP))
	for _, addr := range cfg.ListenUDP {
		conn, err := listenUDP(addr, &e.dropped)
		if err != nil {
			for _, m := range muxes {
				_ = m.Close() // the first error is the one to tell
			}
			return nil, err
		}
		e.conns = append(e.conns, conn)
		muxes = append(muxes, ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: conn, Logger: silence{}}))
	}
	e.mux = ice.NewMultiUDPMuxDefault(muxes...)
	if e.apis, err = newAPIs(cfg, e.mux); err != nil {
		_ = e.mux.Close() // the first error is the one to tell
		return nil, err
	}
	return e, nil
}

// Addrs returns the listening addresses.
func (e *Engine) Addrs() []net.Addr {
	addrs := make([]net.Addr, 0, len(e.conns))
	for _, c := range e.conns {
		addrs = append(addrs, c.LocalAddr())
	}
	return addrs
}

// Dropped returns the number of datagrams dropped because a socket's buffer was full.
func (e *Engine) Dropped() uint64 { return e.dropped.Load() }

// Run tells presence until ctx is done, then ends every room (clients hear rtc.draining), waits for all goroutines
// and closes the sockets.
func (e *Engine) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-e.presenceUp:
			e.tellPresence()
		}
	}
	e.mu.Lock()
	e.closed = true
	rooms := make([]*room, 0, len(e.rooms))
	for _, r := range e.rooms {
		rooms = append(rooms, r)
	}
	e.mu.Unlock()
	for _, r := range rooms {
		r.post(func() { r.end("shutdown") })
	}
	e.wg.Wait()
	if err := e.mux.Close(); err != nil {
		return fmt.Errorf("rtc: close: %w", err)
	}
	return nil
}

// Apply implements media.Engine.
func (e *Engine) Apply(ctx context.Context, spec media.RoomSpec) (media.Applied, error) {
	if spec.Room == "" {
		return media.Applied{}, fault.InField("rtc.bad_spec", "room")
	}
	if err := sfu.Validate(spec); err != nil {
		return media.Applied{}, err
	}
	r, err := e.roomFor(spec)
	if err != nil || r == nil {
		return media.Applied{Epoch: spec.Epoch}, err
	}
	err = r.do(ctx, func() error { return r.apply(spec) })
	if spec.Closed && fault.CodeOf(err) == "rtc.no_room" {
		err = nil // somebody else has ended it in between
	}
	if err != nil {
		return media.Applied{}, err
	}
	return media.Applied{Epoch: spec.Epoch}, nil
}

// roomFor returns the room of a spec, made when it is unknown; nil for one that is closed already.
func (e *Engine) roomFor(spec media.RoomSpec) (*room, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.rooms[spec.Room]; r != nil || spec.Closed {
		return r, nil
	}
	if e.closed {
		return nil, fault.New(fault.Unavailable, "rtc.draining").After(time.Second)
	}
	if e.frozen {
		return nil, errFrozen()
	}
	if len(e.rooms) >= e.cfg.MaxRooms {
		return nil, fault.New(fault.TooMany, "rtc.room_full").After(time.Second)
	}
	r := newRoom(e, spec.Room)
	e.rooms[spec.Room] = r
	e.wg.Go(r.run)
	return r, nil
}

// Close implements media.Engine.
func (e *Engine) Close(ctx context.Context, id ident.RoomID, fence int64, reason media.Reason) error {
	r, err := e.room(id)
	if err != nil {
		return err
	}
	return r.do(ctx, func() error {
		if fence < r.spec.Fence {
			return fault.New(fault.Conflict, "rtc.stale_fence")
		}
		r.end(reason)
		return nil
	})
}

// Open implements media.Engine. h may be called before Open returns.
func (e *Engine) Open(ctx context.Context, t media.Ticket, h media.Handler) (media.Session, error) {
	r, err := e.room(t.Room)
	if err != nil {
		return nil, err
	}
	var s *session
	err = r.do(ctx, func() error {
		s, err = r.open(t, h)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Leave implements media.Engine.
func (e *Engine) Leave(ctx context.Context, id ident.RoomID, why string) error {
	r, err := e.room(id)
	if err != nil {
		return err
	}
	return r.do(ctx, func() error {
		r.leave(why)
		return nil
	})
}

// Freeze implements media.Engine.
func (e *Engine) Freeze(on bool) {
	e.mu.Lock()
	e.frozen = on
	rooms := make([]*room, 0, len(e.rooms))
	for _, r := range e.rooms {
		rooms = append(rooms, r)
	}
	e.mu.Unlock()
	for _, r := range rooms {
		r.post(func() { r.freeze(on) })
	}
}

// Gates implements media.Engine.
func (e *Engine) Gates(id ident.RoomID) []media.Edge {
	r, err := e.room(id)
	if err != nil {
		return nil
	}
	return *r.gates.Load()
}

// Load implements media.Engine.
func (e *Engine) Load() (rooms, sessions int) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return len(e.rooms), int(e.live.Load())
}

// Figures are what a node's media says of itself. The totals only grow.
type Figures struct {
	Rooms, Members, Sessions int
	SocketDrops              uint64 // datagrams that met a full socket
	// GateViolations counts gates that stood open although no rule allowed it; each was closed when it was found. Must
	// be 0: one is a defect.
	GateViolations uint64
	Totals         *sfu.Totals
}

// Figures returns them.
func (e *Engine) Figures() Figures {
	rooms, sessions := e.Load()
	return Figures{
		Rooms: rooms, Sessions: sessions, Members: int(e.members.Load()), SocketDrops: e.dropped.Load(), GateViolations: e.leaks.Load(), Totals: &e.totals,
	}
}

func (e *Engine) room(id ident.RoomID) (*room, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if r := e.rooms[id]; r != nil {
		return r, nil
	}
	return nil, fault.New(fault.NotFound, "rtc.no_room")
}

func (e *Engine) forget(r *room) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.rooms[r.id] == r {
		delete(e.rooms, r.id)
	}
}

// report queues a presence change; only the newest of each member is kept.
func (e *Engine) report(p media.Presence) {
	e.presenceMu.Lock()
	e.presence[presenceKey{p.Room, p.Participant}] = p
	e.presenceMu.Unlock()
	select {
	case e.presenceUp <- struct{}{}:
	default:
	}
}

func (e *Engine) tellPresence() {
	e.presenceMu.Lock()
	changes := e.presence
	e.presence = map[presenceKey]media.Presence{}
	e.presenceMu.Unlock()
	for _, p := range changes {
		e.cfg.Watcher(p)
	}
}

// reap closes a peer connection off the room's loop.
func (e *Engine) reap(pc *webrtc.PeerConnection, room ident.RoomID) {
	e.wg.Go(func() {
		done := make(chan error, 1)
		// waited for below; only a hung library outlives the watchdog
		go func() { done <- pc.GracefulClose() }()
		watchdog := time.NewTimer(closeWithin)
		defer watchdog.Stop()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, net.ErrClosed) {
				e.cfg.Logger.Debug("media connection closed with an error", slog.String("room", string(room)))
			}
		case <-watchdog.C:
			e.cfg.Logger.Error("media connection does not close", slog.String("room", string(room)))
		}
	})
}
