package rtc

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/media/sfu"
)

const (
	inboxSize  = 256
	levelEvery = 300 * time.Millisecond
)

// room is one room of the node. Its fields below inbox belong to the loop goroutine.
type room struct {
	e     *Engine
	id    ident.RoomID
	gates atomic.Pointer[[]media.Edge] // what the live gates let through
	done  chan struct{}                // closed when the loop has ended
	inbox chan func()

	spec     media.RoomSpec
	people   map[ident.ParticipantID]*person
	sessions map[ident.AttachmentID]*session
	levels   *time.Ticker
	ended    bool
	moved    bool                // it stands on another node; nobody comes in here
	frozen   map[media.Edge]bool // while frozen: the edges that may be open; nil otherwise
}

// person is the engine's memory of one member.
type person struct {
	id     ident.ParticipantID
	tracks map[media.Kinds]*sfu.Track
	muted  media.Kinds
	barred time.Time // nothing of theirs goes out before (zone guard)
	told   []media.AttachKind
}

func newRoom(e *Engine, id ident.RoomID) *room {
	r := &room{
		e: e, id: id, done: make(chan struct{}), inbox: make(chan func(), inboxSize),
		people: map[ident.ParticipantID]*person{}, sessions: map[ident.AttachmentID]*session{},
		levels: time.NewTicker(levelEvery),
	}
	r.levels.Stop() // runs while a gate is open
	r.gates.Store(new([]media.Edge))
	return r
}

// run is the loop.
func (r *room) run() {
	defer close(r.done)
	defer r.levels.Stop()
	for !r.ended {
		select {
		case f := <-r.inbox:
			f()
		case <-r.levels.C:
			r.sendLevels()
		}
	}
}

// post hands f to the loop; nothing happens when the room has ended.
func (r *room) post(f func()) {
	select {
	case r.inbox <- f:
	case <-r.done:
	}
}

// do runs f on the loop and returns its error. When ctx ends first, f may still run.
func (r *room) do(ctx context.Context, f func() error) error {
	out := make(chan error, 1)
	select {
	case r.inbox <- func() { out <- f() }:
	case <-r.done:
		return fault.New(fault.NotFound, "rtc.no_room")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-out:
		return err
	case <-r.done:
		select {
		case err := <-out: // f itself has ended the room
			return err
		default:
			return fault.New(fault.NotFound, "rtc.no_room")
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// after runs f on the loop in d.
func (r *room) after(d time.Duration, f func()) {
	time.AfterFunc(d, func() { r.post(f) })
}

func (r *room) now() time.Time { return r.e.cfg.Now() }

// apply converges to spec (media.md §4.4): close, wait for what is in flight, barrier, open.
func (r *room) apply(spec media.RoomSpec) error {
	switch {
	case spec.Fence < r.spec.Fence:
		return fault.New(fault.Conflict, "rtc.stale_fence")
	case spec.Fence == r.spec.Fence && spec.Epoch < r.spec.Epoch:
		return fault.New(fault.Conflict, "rtc.stale_epoch")
	case spec.Closed:
		r.end("ended")
		return nil
	}
	old := r.spec
	r.spec = spec
	now := r.now()
	moved := r.syncPeople(old, now)
	r.syncSessions(old.Fence != spec.Fence)
	for _, s := range r.sessions {
		s.syncDowntracks()
	}
	r.reconcile(now, moved)
	if len(moved) > 0 {
		r.after(r.e.cfg.ZoneGuard, func() { r.reconcile(r.now(), nil) })
	}
	return nil
}

// syncPeople makes and forgets members, and returns those who left a zone with media in it.
func (r *room) syncPeople(old media.RoomSpec, now time.Time) (moved []*person) {
	for _, m := range r.spec.Members {
		p := r.people[m.ID]
		if p == nil {
			p = &person{id: m.ID, tracks: map[media.Kinds]*sfu.Track{
				media.Mic: sfu.NewTrack(sfu.CacheAudio), media.Cam: sfu.NewTrack(sfu.CacheVideo),
			}}
			for _, t := range p.tracks {
				t.AddTo(&r.e.totals)
			}
			r.people[m.ID] = p
			r.e.members.Add(1)
		}
		before, ok := memberOf(old, m.ID)
		if !ok || before.Zone == m.Zone || before.Zone == media.ZoneLobby {
			continue
		}
		p.barred = now.Add(r.e.cfg.ZoneGuard)
		if isCaucus(before.Zone) {
			p.muted |= media.Mic // opens only by the person's own act (media.md §10.2)
		}
		moved = append(moved, p)
	}
	for id := range r.people {
		if _, ok := memberOf(r.spec, id); !ok {
			delete(r.people, id)
			r.e.members.Add(-1)
		}
	}
	return moved
}

// syncSessions closes those that the spec no longer names.
func (r *room) syncSessions(newFence bool) {
	for id, s := range r.sessions {
		m, member := memberOf(r.spec, s.participant)
		i := slices.IndexFunc(m.Attach, func(a media.Attachment) bool { return a.ID == id && a.Kind == s.kind })
		switch {
		case !member:
			s.end("removed", "rtc.removed")
		case newFence:
			s.end("moved", "rtc.stale_fence")
		case i < 0:
			s.end("replaced", "rtc.replaced")
		}
	}
}

// reconcile makes the gates follow the spec and what is live, then tells everybody what changed.
func (r *room) reconcile(now time.Time, barrier []*person) {
	if r.ended {
		return
	}
	edges := map[media.Edge]bool{}
	for _, e := range sfu.Edges(r.spec, r.state(now)) {
		edges[e] = true
	}
	wanted := func(s *session, d *down) bool {
		e := media.Edge{From: d.from, To: s.participant, Kind: d.kind}
		return edges[e] && s.wants(d) && (r.frozen == nil || r.frozen[e])
	}
	for s, d := range r.downs() {
		if !wanted(s, d) {
			d.gate.Close()
		}
	}
	for _, p := range barrier {
		for _, t := range p.tracks {
			t.Barrier()
		}
	}
	for s, d := range r.downs() {
		if wanted(s, d) {
			d.gate.Open(now)
		}
	}
	r.snapshot(edges)
	r.tell()
}

func (r *room) state(now time.Time) sfu.State {
	st := sfu.State{
		Live:   map[ident.AttachmentID]sfu.Live{},
		Muted:  map[ident.ParticipantID]media.Kinds{},
		Barred: map[ident.ParticipantID]bool{},
	}
	for id, s := range r.sessions {
		st.Live[id] = s.live()
	}
	for id, p := range r.people {
		st.Muted[id] = p.muted
		st.Barred[id] = now.Before(p.barred)
	}
	return st
}

// downs walks every downtrack of the room.
func (r *room) downs() func(yield func(*session, *down) bool) {
	return func(yield func(*session, *down) bool) {
		for _, s := range r.sessions {
			if s.sub == nil {
				continue
			}
			for _, d := range s.sub.downs {
				if !yield(s, d) {
					return
				}
			}
		}
	}
}

// snapshot reads the live gates and looks at each again: one that no edge allows is closed and told.
func (r *room) snapshot(allowed map[media.Edge]bool) {
	open := map[media.Edge]bool{}
	for s, d := range r.downs() {
		e := media.Edge{From: d.from, To: s.participant, Kind: d.kind}
		switch {
		case !d.gate.IsOpen():
		case allowed[e]:
			open[e] = true
		default:
			d.gate.Close()
			r.e.leaks.Add(1)
			r.e.cfg.Logger.Error("a gate was open that no rule allows", slog.String("room", string(r.id)))
		}
	}
	edges := make([]media.Edge, 0, len(open))
	for _, from := range r.spec.Members {
		for _, to := range r.spec.Members {
			for _, kind := range []media.Kinds{media.Mic, media.Cam} {
				if e := (media.Edge{From: from.ID, To: to.ID, Kind: kind}); open[e] {
					edges = append(edges, e)
				}
			}
		}
	}
	if len(edges) > 0 && len(*r.gates.Load()) == 0 {
		r.levels.Reset(levelEvery)
	} else if len(edges) == 0 {
		r.levels.Stop()
	}
	r.gates.Store(&edges)
}

// open starts the session of one attachment.
func (r *room) open(t media.Ticket, h media.Handler) (*session, error) {
	if t.Fence != r.spec.Fence || r.moved {
		return nil, fault.New(fault.Conflict, "rtc.stale_fence")
	}
	if r.frozen != nil {
		return nil, errFrozen()
	}
	m, ok := memberOf(r.spec, t.Participant)
	i := slices.IndexFunc(m.Attach, func(a media.Attachment) bool { return a.ID == t.Attachment && a.Kind == t.Kind })
	if !ok || i < 0 {
		return nil, fault.New(fault.Forbidden, "rtc.not_admitted")
	}
	if t.JoinGen < m.Attach[i].JoinGen {
		return nil, fault.New(fault.Conflict, "rtc.replaced")
	}
	if old := r.sessions[t.Attachment]; old != nil {
		if t.JoinGen < old.joinGen {
			return nil, fault.New(fault.Conflict, "rtc.replaced")
		}
		old.end("replaced", "rtc.replaced")
	}
	s := newSession(r, t, h)
	r.sessions[s.id] = s
	r.e.live.Add(1)
	if sfu.Subscribes(s.kind) {
		if err := s.newSub(); err != nil {
			r.e.cfg.Logger.Error("media connection not made", slog.String("room", string(r.id)), slog.Any("err", err))
			s.end("lost", "rtc.internal")
			return nil, err
		}
	}
	r.reconcile(r.now(), nil)
	return s, nil
}

// leave tells everybody that the room stands elsewhere now.
func (r *room) leave(why string) {
	r.moved = true
	for _, s := range r.sessions {
		s.send(wire.RTCMove, wire.RTCMoveBody{Why: why})
	}
}

// freeze lets nothing open that is not open now, until it thaws.
func (r *room) freeze(on bool) {
	switch {
	case !on && r.frozen != nil:
		r.frozen = nil
		r.reconcile(r.now(), nil)
	case on && r.frozen == nil:
		r.frozen = map[media.Edge]bool{}
		for _, e := range *r.gates.Load() {
			r.frozen[e] = true
		}
	}
}

func errFrozen() error { return fault.New(fault.Unavailable, "rtc.frozen").After(time.Second) }

// end closes every session and stops the loop.
func (r *room) end(reason media.Reason) {
	if r.ended {
		return
	}
	code := ""
	switch reason {
	case "shutdown":
		code = "rtc.draining"
	case "moved":
		code = "rtc.stale_fence"
	case "frozen":
		code = "rtc.frozen"
	}
	for _, s := range r.sessions {
		s.end(reason, code)
	}
	r.ended = true
	r.e.members.Add(-int64(len(r.people)))
	r.gates.Store(new([]media.Edge))
	r.e.forget(r)
}

// tell sends every session what changed for it, and the watcher who is here.
func (r *room) tell() {
	members := r.members()
	for _, s := range r.sessions {
		if phase := r.phase(s); !reflect.DeepEqual(phase, s.toldPhase) {
			s.toldPhase = phase
			s.send(wire.RoomPhase, phase)
		}
		body := wire.RoomMemberBody{Members: maskMutes(members, r.spec, s.participant)}
		if !reflect.DeepEqual(body, s.toldMembers) {
			s.toldMembers = body
			s.send(wire.RoomMember, body)
		}
		s.tellTracks()
	}
	for _, p := range r.people {
		live := r.liveKinds(p.id)
		if !slices.Equal(live, p.told) {
			p.told = live
			r.e.report(media.Presence{Room: r.id, Fence: r.spec.Fence, Participant: p.id, Live: live, Lost: len(live) == 0})
		}
	}
}

// phase says by name who hears and sees s now, from the live gates (media.md §10.3).
func (r *room) phase(s *session) wire.RoomPhaseBody {
	m, _ := memberOf(r.spec, s.participant)
	body := wire.RoomPhaseBody{
		Epoch: r.spec.Epoch, Phase: r.spec.Phase, Zone: string(m.Zone), CanHear: []string{}, CanSee: []string{},
	}
	for _, e := range *r.gates.Load() {
		if e.From != s.participant {
			continue
		}
		to, _ := memberOf(r.spec, e.To)
		switch e.Kind {
		case media.Mic:
			body.CanHear = append(body.CanHear, to.Name)
		case media.Cam:
			body.CanSee = append(body.CanSee, to.Name)
		}
	}
	return body
}

func (r *room) members() []wire.RoomPerson {
	list := make([]wire.RoomPerson, 0, len(r.spec.Members))
	for _, m := range r.spec.Members {
		attach := []string{}
		for _, k := range r.liveKinds(m.ID) {
			attach = append(attach, string(k))
		}
		list = append(list, wire.RoomPerson{
			Participant: string(m.ID), Name: m.Name, Role: string(m.Role), Attach: attach,
			Present: len(attach) > 0, MicMuted: r.muted(m)&media.Mic != 0,
		})
	}
	return list
}

func (r *room) muted(m media.Member) media.Kinds {
	if p := r.people[m.ID]; p != nil {
		return p.muted | m.Gated
	}
	return m.Gated
}

func (r *room) liveKinds(id ident.ParticipantID) []media.AttachKind {
	var kinds []media.AttachKind
	m, _ := memberOf(r.spec, id)
	for _, a := range m.Attach {
		if s := r.sessions[a.ID]; s != nil && s.connected() {
			kinds = append(kinds, a.Kind)
		}
	}
	return kinds
}

// sendLevels tells each session how loud those are whom it hears.
func (r *room) sendLevels() {
	now := map[ident.ParticipantID]int{}
	for id, p := range r.people {
		now[id] = p.tracks[media.Mic].TakeLevel()
	}
	for _, s := range r.sessions {
		levels := map[string]int{}
		loud := false
		for _, e := range *r.gates.Load() {
			if e.To == s.participant && e.Kind == media.Mic {
				levels[string(e.From)] = now[e.From]
				loud = loud || now[e.From] > 0
			}
		}
		if loud || s.loud { // one silent frame ends a loud time
			s.send(wire.RTCLevels, wire.RTCLevelsBody{Levels: levels})
		}
		s.loud = loud
	}
}

// maskMutes leaves another zone's mutes out: they reveal activity there (media.md §10.1).
func maskMutes(list []wire.RoomPerson, spec media.RoomSpec, viewer ident.ParticipantID) []wire.RoomPerson {
	me, _ := memberOf(spec, viewer)
	out := slices.Clone(list)
	for i, m := range spec.Members {
		if m.Zone != me.Zone {
			out[i].MicMuted = false
		}
	}
	return out
}

func memberOf(spec media.RoomSpec, id ident.ParticipantID) (media.Member, bool) {
	for _, m := range spec.Members {
		if m.ID == id {
			return m, true
		}
	}
	return media.Member{}, false
}

func isCaucus(z media.Zone) bool { return len(z) > 7 && z[:7] == "caucus:" }
