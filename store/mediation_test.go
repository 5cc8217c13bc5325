package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/audit"
	"heyi/internal/coord"
	"heyi/internal/coord/memcoord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
	"heyi/mediation/session"
	"heyi/people"
	"heyi/store"
	"heyi/store/storetest"
)

// house is a seeded store with the services of queue, session and flow on top of it, all on one clock; media stands in
// for the engine.
type house struct {
	t      testing.TB
	cfg    store.Config
	clock  *storetest.Clock
	nudges *heard
	engine *engine
	tv     []ident.DeviceID
	lawyer ident.StaffID // of the county
	second ident.StaffID // lawyer of the same county
	judge  ident.StaffID // mediator of the city
	visits map[ident.DeviceID]ident.VisitID
	limits queue.Limits

	*services
}

// services is what one process runs; restart makes them anew.
type services struct {
	store    *store.Store
	desk     *queue.Desk
	flow     *flow.Flow
	views    *flow.Views
	matcher  *queue.Matcher
	sweeper  *flow.Sweeper
	rooms    *session.Executor
	captures *session.Captures
	records  *session.Records
}

const testNode = "n1"

// eachHouse runs f on both engines.
func eachHouse(t *testing.T, f func(t *testing.T, h *house)) {
	t.Helper()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		t.Helper()
		f(t, newHouse(t, c))
	})
}

func newHouse(tb testing.TB, c store.Config) *house {
	tb.Helper()
	clock := storetest.NewClock(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC))
	c.Now = clock.Now
	h := &house{t: tb, cfg: c, clock: clock, nudges: &heard{}, engine: newEngine(), visits: map[ident.DeviceID]ident.VisitID{}, limits: queue.Defaults()}
	h.start()
	tb.Cleanup(func() { h.ok(h.store.Close()) })
	h.seed()
	return h
}

// start opens the store and builds the services of one process.
func (h *house) start() {
	h.t.Helper()
	s, err := store.Open(context.WithoutCancel(h.ctx()), h.cfg)
	h.ok(err)
	log := slog.New(slog.DiscardHandler)
	key, err := s.Key(h.ctx(), store.KeyHMAC)
	h.ok(err)
	v := &services{store: s}
	v.rooms = session.NewExecutor(session.ExecutorDeps{Store: s, Engine: h.engine, Nudges: h.nudges, Node: testNode, Now: h.clock.Now, Logger: log})
	v.desk = queue.NewDesk(queue.Deps{Store: s, Nudges: h.nudges, Node: testNode, Now: h.clock.Now, Limits: h.limits, TZ: time.UTC})
	v.flow = flow.New(flow.Deps{Store: s, Rooms: v.rooms, Nudges: h.nudges, Node: testNode, Queue: h.limits, Logger: log})
	v.matcher = queue.NewMatcher(queue.MatcherDeps{Store: s, Nudges: h.nudges, Node: testNode, Limits: h.limits, Now: h.clock.Now, Logger: log})
	v.sweeper = &flow.Sweeper{Flow: v.flow, Now: h.clock.Now}
	v.views = &flow.Views{
		Store: s, Now: h.clock.Now, TZ: time.UTC, Lease: h.limits.OfferLease,
		Service: queue.NewBoard(queue.BoardDeps{Store: s, Now: h.clock.Now}),
	}
	v.captures = session.NewCaptures(session.CapturesDeps{Store: s, Limiter: memcoord.New(h.clock.Now), Nudges: h.nudges, Key: key.Secret, Now: h.clock.Now, Wake: v.rooms.Wake})
	v.records = &session.Records{Store: s, Nudges: h.nudges, Now: h.clock.Now}
	h.services = v
}

// kill ends the process without a word to anybody and starts it again after a while.
func (h *house) kill(down time.Duration) {
	h.t.Helper()
	h.ok(h.store.Close())
	h.clock.Advance(down)
	h.engine.forget()
	h.start()
	h.ok(h.desk.Restarted(h.ctx()))
	h.ok(h.rooms.Restart(h.ctx()))
	h.ok(h.rooms.Step(h.ctx()))
	h.sweep()
}

func (h *house) seed() {
	h.t.Helper()
	seeds, err := org.Chifeng()
	h.ok(err)
	_, err = h.store.SeedUnits(h.ctx(), seeds)
	h.ok(err)
	h.lawyer = h.hire("lawyer1", "150426000000", people.Lawyer)
	h.second = h.hire("lawyer2", "150426000000", people.Lawyer)
	h.judge = h.hire("mediator", "150400000000", people.Mediator)
	for i := range 4 {
		h.tv = append(h.tv, h.install(i, "150426106201", false))
	}
}

func (h *house) unit(code string) ident.UnitID {
	h.t.Helper()
	var id ident.UnitID
	h.ok(h.store.One(h.ctx(), `SELECT id FROM org_unit WHERE code = $1`, []any{code}, &id))
	return id
}

func (h *house) hire(login, code string, role people.Role) ident.StaffID {
	h.t.Helper()
	p := people.Staff{ID: ident.New[ident.StaffID](), UnitID: h.unit(code), Login: login, Name: "调解员" + login, Title: "值班", Roles: []people.Role{role}}
	h.ok(h.store.SaveStaff(h.ctx(), p, mediation.System("staff.saved", "test", h.now())))
	return p.ID
}

// install enrols a terminal with a live link and an open visit.
func (h *house) install(n int, code string, simulated bool) ident.DeviceID {
	h.t.Helper()
	id, unit := ident.New[ident.DeviceID](), h.unit(code)
	h.ok(h.store.Write(h.ctx(), func(t *store.Tx) error {
		_, err := t.Exec(`INSERT INTO device (id, unit_id, serial, kind, class, name, life, simulated, at) VALUES ($1, $2, $3, 'stb', 'public', $4, 'active', $5, $6)`,
			id, unit, fmt.Sprint("serial-", n, simulated), fmt.Sprint("电视", n), simulated, h.now())
		if err != nil {
			return err
		}
		_, err = t.Exec(`INSERT INTO device_link (device_id, epoch, admit, unit_id, state, since_at) VALUES ($1, 1, TRUE, $2, 'connected', $3)`, id, unit, h.now())
		return err
	}))
	h.visit(id)
	return id
}

func (h *house) visit(id ident.DeviceID) {
	h.t.Helper()
	v, err := h.store.OpenVisit(h.ctx(), devices.Visit{ID: ident.New[ident.VisitID](), DeviceID: id, How: devices.Anonymous, OpenedAt: h.now()}, ident.New[string]())
	h.ok(err)
	h.visits[id] = v.ID
}

// link sets what presence says of a terminal.
func (h *house) link(id ident.DeviceID, state devices.State) {
	h.t.Helper()
	h.ok(h.store.Write(h.ctx(), func(t *store.Tx) error {
		_, err := t.Exec(`UPDATE device_link SET state = $2 WHERE device_id = $1`, id, state)
		return err
	}))
}

func (h *house) ctx() context.Context { return h.t.Context() }
func (h *house) now() int64           { return h.clock.Now().UnixMicro() }

func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// refused demands a fault with a code.
func (h *house) refused(err error, code string) {
	h.t.Helper()
	if fault.CodeOf(err) != code {
		h.t.Fatalf("error %v, want %s", err, code)
	}
}

func (h *house) cmd(name string, by mediation.Actor, key string) mediation.Command {
	return mediation.Command{Name: name, Actor: by, Key: key, At: h.now()}
}

func byTV(id ident.DeviceID) mediation.Actor {
	return mediation.Actor{Kind: mediation.ActorDevice, ID: string(id), Device: id}
}

func byStaff(id ident.StaffID) mediation.Actor {
	return mediation.Actor{Kind: mediation.ActorStaff, ID: string(id)}
}

func newKey() string { return ident.New[string]() }

// ready brings a seat on duty.
func (h *house) ready(ids ...ident.StaffID) {
	h.t.Helper()
	for _, id := range ids {
		h.ok(h.desk.SeatLink(h.ctx(), id, true))
		_, err := h.desk.SetSeat(h.ctx(), h.cmd("seat.set", byStaff(id), ""), id, queue.SeatReady, "")
		h.ok(err)
	}
}

func (h *house) join(tv ident.DeviceID, kind mediation.TicketKind) queue.Ticket {
	h.t.Helper()
	t, err := h.desk.Join(h.ctx(), h.cmd("ticket.create", byTV(tv), newKey()), tv, kind, mediation.Wages, mediation.Chinese)
	h.ok(err)
	return t
}

func (h *house) match() {
	h.t.Helper()
	h.ok(h.matcher.Step(h.ctx()))
}

func (h *house) sweep() {
	h.t.Helper()
	h.ok(h.sweeper.Step(h.ctx()))
}

// wait lets time pass as it does for a running process: the sweeper works every few seconds.
func (h *house) wait(d time.Duration) {
	h.t.Helper()
	pace := 2 * time.Second
	if d > 3*time.Minute {
		pace = 4 * time.Second
	}
	for d > 0 {
		step := min(d, pace)
		h.clock.Advance(step)
		h.sweep()
		d -= step
	}
}

func (h *house) deskOf(id ident.StaffID) flow.DeskView {
	h.t.Helper()
	d, err := h.views.Desk(h.ctx(), id)
	h.ok(err)
	return d
}

func (h *house) situation(tv ident.DeviceID) flow.Situation {
	h.t.Helper()
	s, err := h.views.Situation(h.ctx(), tv, mediation.ActorDevice)
	h.ok(err)
	open, err := h.store.OpenAt(h.ctx(), tv)
	h.ok(err)
	want := map[string]string{}
	if s.Visit != nil {
		want["visit"] = string(s.Visit.ID)
	}
	if s.Ticket != nil {
		want["ticket"] = string(s.Ticket.ID)
	}
	if s.Session != nil {
		want["session"] = string(s.Session.ID)
	}
	got := map[string]string{}
	for _, o := range open {
		got[o.Type] = o.ID
		if o.Ver != s.Ver {
			h.t.Errorf("%s is open at version %d, the situation says %d", o.Type, o.Ver, s.Ver)
		}
	}
	if !maps.Equal(got, want) {
		h.t.Errorf("open at the terminal: %v, the situation shows %v", got, want)
	}
	return s
}

func (h *house) ticket(id ident.TicketID) queue.Ticket {
	h.t.Helper()
	var t queue.Ticket
	h.ok(h.store.One(h.ctx(), `SELECT state, seat_id, session_id, rank_at, shown_ahead, outcome, due_at, misses, level FROM ticket WHERE id = $1`, []any{id},
		&t.State, &t.Seat, &t.Session, &t.RankAt, &t.Shown, &t.Outcome, &t.DueAt, &t.Misses, &t.Level))
	return t
}

// offered matches and returns the offer on a desk.
func (h *house) offered(id ident.StaffID) flow.OfferView {
	h.t.Helper()
	h.match()
	d := h.deskOf(id)
	if d.Offer == nil {
		h.t.Fatalf("no offer for the seat: %+v", d)
	}
	return *d.Offer
}

func (h *house) accept(id ident.StaffID) {
	h.t.Helper()
	o := h.offered(id)
	h.ok(h.flow.Accept(h.ctx(), h.cmd("offer.accept", byStaff(id), ""), id, o.ID, o.Ver))
}

func (h *house) take(tv ident.DeviceID, id ident.TicketID) {
	h.t.Helper()
	_, err := h.flow.Answer(h.ctx(), h.cmd("ticket.answer", byTV(tv), newKey()), tv, id, true)
	h.ok(err)
}

// call brings a terminal into a call with a seat.
func (h *house) call(tv ident.DeviceID, staff ident.StaffID, kind mediation.TicketKind) (queue.Ticket, ident.SessionID) {
	h.t.Helper()
	h.ready(staff)
	t := h.join(tv, kind)
	h.accept(staff)
	h.take(tv, t.ID)
	return t, h.ticket(t.ID).Session
}

// live reports lines to the executor as the engine would.
func (h *house) live(id ident.SessionID, role media.Role, kinds ...media.AttachKind) {
	h.t.Helper()
	spec := h.engine.spec(id)
	for _, m := range spec.Members {
		if m.Role == role {
			h.rooms.Watch(media.Presence{Room: spec.Room, Fence: spec.Fence, Participant: m.ID, Live: kinds, Lost: len(kinds) == 0})
		}
	}
	h.ok(h.rooms.Step(h.ctx()))
}

func (h *house) control(staff ident.StaffID, id ident.SessionID, op string) error {
	return h.flow.Control(h.ctx(), h.cmd("session."+op, byStaff(staff), newKey()), staff, id, flow.Control{Op: op})
}

// chain demands that the events of an aggregate verify and names their types.
func (h *house) chain(aggregate, id string) []string {
	h.t.Helper()
	list, err := h.store.Events(h.ctx(), aggregate, id)
	h.ok(err)
	if bad := audit.Verify(list); bad >= 0 {
		h.t.Errorf("event %d of %s %s breaks the chain", bad, aggregate, id)
	}
	var types []string
	for _, e := range list {
		types = append(types, e.Type)
	}
	return types
}

// heard keeps the nudges.
type heard struct {
	mu   sync.Mutex
	list []coord.Nudge
}

func (h *heard) Publish(_ context.Context, n coord.Nudge) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, n)
}

func (h *heard) Subscribe(func(coord.Nudge)) (stop func()) { return func() {} }

// got tells whether an address heard a type since the last call, and forgets all.
func (h *heard) got(to string, t wire.Type) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := slices.ContainsFunc(h.list, func(n coord.Nudge) bool { return n.To == to && n.T == t })
	h.list = nil
	return found
}

// engine keeps specs as a media engine must: it refuses what is older than what it runs.
type engine struct {
	mu    sync.Mutex
	rooms map[ident.RoomID]media.RoomSpec
	past  map[ident.SessionID]media.RoomSpec // closed
	fails int                                // calls that fail from now on

	left   []string // rooms whose people were told that it moved, and why
	frozen bool
}

func newEngine() *engine {
	return &engine{rooms: map[ident.RoomID]media.RoomSpec{}, past: map[ident.SessionID]media.RoomSpec{}}
}

func (e *engine) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rooms = map[ident.RoomID]media.RoomSpec{}
}

func (e *engine) Apply(_ context.Context, spec media.RoomSpec) (media.Applied, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, ok := e.rooms[spec.Room]
	if e.fails > 0 {
		e.fails--
		return media.Applied{}, errors.New("the engine fails")
	}
	switch {
	case spec.Closed:
		return media.Applied{}, errors.New("a closed room is closed, not applied")
	case ok && spec.Fence < old.Fence:
		return media.Applied{}, fault.New(fault.Conflict, "rtc.stale_fence")
	case ok && spec.Epoch < old.Epoch:
		return media.Applied{}, fault.New(fault.Conflict, "rtc.stale_epoch")
	}
	e.rooms[spec.Room] = spec
	return media.Applied{Epoch: spec.Epoch}, nil
}

func (e *engine) fail(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fails = n
}

func (e *engine) Close(_ context.Context, room ident.RoomID, fence int64, _ media.Reason) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, ok := e.rooms[room]
	switch {
	case !ok:
		return fault.New(fault.NotFound, "rtc.no_room")
	case fence < old.Fence:
		return fault.New(fault.Conflict, "rtc.stale_fence")
	}
	delete(e.rooms, room)
	e.past[old.Session] = old
	return nil
}

func (e *engine) Open(context.Context, media.Ticket, media.Handler) (media.Session, error) {
	return nil, fault.New(fault.Unsupported, "rtc.none")
}

func (e *engine) Gates(ident.RoomID) []media.Edge { return nil }

func (e *engine) Leave(_ context.Context, room ident.RoomID, why string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.left = append(e.left, string(room)+" "+why)
	return nil
}

func (e *engine) Freeze(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.frozen = on
}

func (e *engine) Load() (rooms, sessions int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.rooms), 0
}

// spec is what the engine runs for a session; the zero spec when it runs none.
func (e *engine) spec(id ident.SessionID) media.RoomSpec {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.rooms {
		if s.Session == id {
			return s
		}
	}
	return media.RoomSpec{}
}

func (e *engine) closed(id ident.SessionID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.past[id]
	return ok
}
