// Package session is one meeting over media: its states, who is in which zone with which devices, the room that a
// media node executes, and what is recorded of a consultation.
//
// A Session is a value with pure transitions; Next is the state machine. Executor brings the room of a session to the
// media engine and hands out entries to it. Captures pairs a phone with a terminal as its camera. Records keeps the
// note and the rating.
//
// Concurrency: transitions are pure. Executor, Captures and Records are safe for concurrent use; one Executor per media
// node. Safety does not depend on memory: the store re-checks everything in the transaction of a change.
//
// Errors: fault.Conflict "session.state" with the state in Ref, "session.full_attached"; fault.NotFound
// "session.none" also for sessions of others; fault.Forbidden "session.bad_attach"; fault.Stale "session.stale_note";
// fault.Unauthenticated "capture.over"; fault.NotFound "capture.unknown"; everything else is internal.
package session

import (
	"slices"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation"
)

// Kind is what is done in a session.
type Kind string

// The kinds of this build.
const (
	Consult   Kind = "consult"
	Mediation Kind = "mediation"
)

// KindOf returns the kind of session that a ticket leads to.
func KindOf(k mediation.TicketKind) Kind {
	if k == mediation.Mediate {
		return Mediation
	}
	return Consult
}

// State is the state of a session (domain.md 7.3).
type State string

// The states of this build.
const (
	Lobby     State = "lobby"     // nobody sees or hears anybody
	Checking  State = "checking"  // the mediator with one participant
	Joint     State = "joint"     // everybody
	Suspended State = "suspended" // somebody is lost; the zones stay
	Adjourned State = "adjourned" // may be resumed while its ticket is open
	Ended     State = "ended"
)

// States lists every state.
func States() []State { return []State{Lobby, Checking, Joint, Suspended, Adjourned, Ended} }

// Live reports whether people may be in the room.
func (s State) Live() bool { return s == Lobby || s == Checking || s == Joint || s == Suspended }

// Event is what happens to a session.
type Event string

// The events.
const (
	Answer  Event = "answer"  // the citizen's OK
	Admit   Event = "admit"   // the mediator asks the citizen in
	Convert Event = "convert" // a consult becomes a mediation; its person agreed
	Check   Event = "check"   // the mediator asks one participant into the check zone
	Start   Event = "start"   // everybody talks; the guard of dispute.Blockers holds
	Suspend Event = "suspend" // somebody is lost for longer than the grace
	Back    Event = "back"    // everybody is present again
	Adjourn Event = "adjourn"
	Resume  Event = "resume" // a seat accepted the ticket again
	End     Event = "end"    // by the mediator alone
)

// Events lists every event.
func Events() []Event {
	return []Event{Answer, Admit, Convert, Check, Start, Suspend, Back, Adjourn, Resume, End}
}

// Next is the state machine: the state after an event. prev is where a suspended session came from; answered says
// that the citizen has given his OK. Every pair that is not listed refuses and changes nothing.
//
// Errors: fault.Conflict "session.state" with the state in Ref.
func Next(kind Kind, state, prev State, answered bool, e Event) (State, error) {
	switch e {
	case Answer:
		if state == Lobby && !answered {
			if kind == Consult {
				return Joint, nil
			}
			return Lobby, nil // the mediator admits him
		}
	case Admit:
		if state == Lobby && kind == Mediation && answered {
			return Checking, nil
		}
	case Convert:
		if state == Joint && kind == Consult {
			return Checking, nil
		}
	case Check:
		if kind == Mediation && answered && (state == Lobby || state == Checking) {
			return Checking, nil
		}
	case Start:
		if kind == Mediation && state == Checking {
			return Joint, nil
		}
	case Suspend:
		if state == Checking || state == Joint {
			return Suspended, nil
		}
	case Back:
		if state == Suspended {
			return prev, nil
		}
	case Adjourn:
		if state.Live() {
			return Adjourned, nil
		}
	case Resume:
		if state == Adjourned {
			return Lobby, nil
		}
	case End:
		if state.Live() && answered {
			return Ended, nil
		}
	}
	return state, errState(state)
}

func errState(s State) error { return fault.New(fault.Conflict, "session.state").WithRef(string(s)) }

// Session is one meeting. Instants are Unix microseconds, 0 = none.
type Session struct {
	ID        ident.SessionID
	Ver       int64
	Kind      Kind
	State     State
	Prev      State // suspended: the state to come back to
	Ticket    ident.TicketID
	Unit      ident.UnitID
	Device    ident.DeviceID
	Mediator  ident.StaffID
	DueAt     int64 // somebody is lost: suspends; suspended: adjourns
	StartedAt int64 // the citizen's OK
	EndedAt   int64
	CreatedAt int64
	Members   []Member

	// Placement. The room's id differs from the session's: a new media node never ends a session.
	Room  ident.RoomID
	Node  string
	Fence int64
	Epoch int64 // of the spec; the store raises it whenever Spec changes

	ZoneAt       int64 // when somebody last changed zone; the store notes it
	OverlapUntil int64 // the room moved with its picture: the node before this one plays on until then
}

// Member is one person in a session.
type Member struct {
	ID     ident.ParticipantID
	Role   media.Role
	Who    string     // staff/<id>, device/<id> or party/<link>
	Name   string     // as shown to others
	Zone   media.Zone // empty = left for good
	Gated  media.Kinds
	Live   []media.AttachKind // attachments whose line is up
	Attach []Attach
}

// Attach is one client of a member. Its id is stable for the session.
type Attach struct {
	ID      ident.AttachmentID
	Kind    media.AttachKind
	Client  string // staff/<id>, device/<id>, capture/<grant> or party/<link>
	Sound   bool
	JoinGen int64
	Active  bool // stands in the spec
}

// Limits are the numbers of a session.
type Limits struct {
	Grace     time.Duration // somebody lost, in silence
	Suspended time.Duration // then suspended, at most
}

// Defaults returns the numbers of domain.md 7.3.
func Defaults() Limits { return Limits{Grace: 120 * time.Second, Suspended: 10 * time.Minute} }

// Clone returns a deep copy.
func (s *Session) Clone() Session {
	c := *s
	c.Members = slices.Clone(s.Members)
	for i := range c.Members {
		c.Members[i].Live = slices.Clone(c.Members[i].Live)
		c.Members[i].Attach = slices.Clone(c.Members[i].Attach)
	}
	return c
}

// Staff is the mediator as he joins a session.
type Staff struct {
	ID   ident.StaffID
	Name string
}

// CitizenName is how an anonymous citizen is called in the room.
const CitizenName = "来访人"

// New returns the session of a ticket in the lobby: the mediator with a full line, the citizen's terminal as a view.
// Nobody sees or hears anybody.
func New(kind Kind, ticket ident.TicketID, unit ident.UnitID, device ident.DeviceID, m Staff, node string, now int64) Session {
	s := Session{
		ID: ident.New[ident.SessionID](), Kind: kind, State: Lobby, Ticket: ticket, Unit: unit, Device: device, CreatedAt: now,
		Room: ident.New[ident.RoomID](), Node: node, Fence: 1,
	}
	s.Members = []Member{{
		ID: ident.New[ident.ParticipantID](), Role: media.RoleParty, Who: deviceClient(device), Name: CitizenName, Zone: media.ZoneLobby,
		Attach: []Attach{newAttach(media.AttachView, deviceClient(device), true)},
	}}
	s.seat(m)
	return s
}

func staffClient(id ident.StaffID) string   { return "staff/" + string(id) }
func deviceClient(id ident.DeviceID) string { return "device/" + string(id) }
func grantClient(id ident.GrantID) string   { return "capture/" + string(id) }
func partyClient(id ident.LinkID) string    { return "party/" + string(id) }

func newAttach(k media.AttachKind, client string, sound bool) Attach {
	return Attach{ID: ident.New[ident.AttachmentID](), Kind: k, Client: client, Sound: sound, Active: true}
}

// seat makes m the mediator; a former one has left for good.
func (s *Session) seat(m Staff) {
	s.Mediator = m.ID
	found := false
	for i := range s.Members {
		p := &s.Members[i]
		if p.Role != media.RoleMediator {
			continue
		}
		p.Live, p.Zone = nil, ""
		if p.Who == staffClient(m.ID) {
			p.Zone, p.Name, found = media.ZoneLobby, m.Name, true
		}
	}
	if !found {
		s.Members = append(s.Members, Member{
			ID: ident.New[ident.ParticipantID](), Role: media.RoleMediator, Who: staffClient(m.ID), Name: m.Name, Zone: media.ZoneLobby,
			Attach: []Attach{newAttach(media.AttachFull, staffClient(m.ID), true)},
		})
	}
}

// fire moves the session by an event and its people into the zones of the new state.
func (s *Session) fire(e Event, now int64) error {
	next, err := Next(s.Kind, s.State, s.Prev, s.StartedAt > 0, e)
	if err != nil {
		return err
	}
	if opens(e) && s.OverlapUntil > now {
		// two nodes play: a door closed on one of them would stand open on the other
		return fault.New(fault.Unavailable, "session.moving").After(time.Duration(s.OverlapUntil-now) * time.Microsecond)
	}
	from := s.State
	s.State, s.DueAt, s.Prev = next, 0, ""
	switch next {
	case Suspended:
		s.Prev = from // the zones stay
	case Lobby, Joint:
		if from != Suspended {
			s.place(next)
		}
	case Checking:
		if p := s.Party(); from != Suspended && p != nil {
			s.check(p)
		}
	case Adjourned:
		s.place(Lobby)
		s.clear()
	case Ended:
		s.place(Lobby)
		s.clear()
		s.EndedAt = now
	}
	return nil
}

// opens reports whether an event lets people of different zones meet or part while the session goes on.
func opens(e Event) bool { return e == Admit || e == Convert || e == Check || e == Start }

// place moves everybody who has not left into the zone of a state.
func (s *Session) place(state State) {
	zone := media.ZoneLobby
	if state == Joint {
		zone = media.ZoneJoint
	}
	for i := range s.Members {
		if s.Members[i].Zone != "" {
			s.Members[i].Zone = zone
		}
	}
}

// check moves the mediator and one participant into the check zone; the others wait in the lobby.
func (s *Session) check(who *Member) {
	zone := media.CheckZone(who.ID)
	for i := range s.Members {
		switch m := &s.Members[i]; {
		case m.Zone == "":
		case m.ID == who.ID, m.Role == media.RoleMediator:
			m.Zone = zone
		default:
			m.Zone = media.ZoneLobby
		}
	}
}

// clear notes that nobody's line is up.
func (s *Session) clear() {
	for i := range s.Members {
		s.Members[i].Live = nil
	}
}

// Party returns the citizen at the terminal, nil when he has left for good.
func (s *Session) Party() *Member { return s.Member(Who{Device: s.Device}) }

// Presider returns the mediator who is here now.
func (s *Session) Presider() *Member {
	return s.member(func(m *Member) bool { return m.Role == media.RoleMediator })
}

// Participant returns a member who has not left, nil when there is none of this id.
func (s *Session) Participant(id ident.ParticipantID) *Member {
	return s.member(func(m *Member) bool { return m.ID == id })
}

func (s *Session) member(f func(*Member) bool) *Member {
	for i := range s.Members {
		if m := &s.Members[i]; m.Zone != "" && f(m) {
			return m
		}
	}
	return nil
}

// Take is the citizen's OK: a consult becomes joint, a mediation waits in the lobby to be admitted.
//
// Errors: fault.Conflict "session.state".
func (s *Session) Take(lim Limits, now int64) error {
	if err := s.fire(Answer, now); err != nil {
		return err
	}
	s.StartedAt = now
	s.watch(lim, now)
	return nil
}

// Admit asks the citizen of a mediation into the check zone.
//
// Errors: fault.Conflict "session.state".
func (s *Session) Admit(lim Limits, now int64) error {
	if err := s.fire(Admit, now); err != nil {
		return err
	}
	s.watch(lim, now)
	return nil
}

// Adjourn breaks the session off without a date; it may be resumed.
//
// Errors: fault.Conflict "session.state".
func (s *Session) Adjourn(now int64) error { return s.fire(Adjourn, now) }

// End ends the session; the caller made sure that the mediator asks for it.
//
// Errors: fault.Conflict "session.state".
func (s *Session) End(now int64) error { return s.fire(End, now) }

// Resume opens an adjourned session again with a mediator, in the lobby and under a new fence.
//
// Errors: fault.Conflict "session.state".
func (s *Session) Resume(m Staff, node string, now int64) error {
	if err := s.fire(Resume, now); err != nil {
		return err
	}
	s.seat(m)
	s.Node = node
	s.Fence++
	s.OverlapUntil = 0
	s.StartedAt = 0 // his OK is asked again
	return nil
}

// Mute gates or opens one kind of a participant's media for the room.
//
// Errors: fault.NotFound "session.no_member"; fault.Conflict "session.state".
func (s *Session) Mute(p ident.ParticipantID, k media.Kinds, on bool) error {
	if !s.State.Live() {
		return errState(s.State)
	}
	i := slices.IndexFunc(s.Members, func(m Member) bool { return m.ID == p && m.Zone != "" })
	if i < 0 {
		return fault.New(fault.NotFound, "session.no_member")
	}
	if on {
		s.Members[i].Gated |= k
	} else {
		s.Members[i].Gated &^= k
	}
	return nil
}

// Present notes which lines of a participant are up. Somebody who is lost starts the grace, the last one who returns
// ends it or brings a suspended session back into the same zones.
func (s *Session) Present(p ident.ParticipantID, live []media.AttachKind, lim Limits, now int64) {
	for i := range s.Members {
		if s.Members[i].ID == p {
			s.Members[i].Live = slices.Clone(live)
		}
	}
	s.watch(lim, now)
}

// Leave takes the citizen's clients out of the room; the session is suspended at once and waits for him.
func (s *Session) Leave(lim Limits, now int64) {
	p := s.Party()
	if p == nil || !s.State.Live() {
		return
	}
	p.Live = nil
	p.retire(func(Attach) bool { return true })
	p.sound()
	if s.State == Checking || s.State == Joint {
		s.Overdue(lim, now)
	}
}

// Depart is leaving for good: the citizen's visit at a shared terminal is over, so nobody there may enter any more. The
// session waits for the mediator to end it.
func (s *Session) Depart(lim Limits, now int64) {
	s.Leave(lim, now)
	if p := s.Party(); p != nil {
		p.Zone = ""
	}
}

// Restarted notes that the media node began anew: nobody's line is up, the room is placed under a new fence. Everybody
// has at least the grace to come back, whatever the timer said before: the downtime was the server's own.
func (s *Session) Restarted(node string, lim Limits, now int64) {
	s.Node = node
	s.Fence++
	s.OverlapUntil = 0
	s.clear()
	switch s.State {
	case Checking, Joint:
		s.DueAt = 0
	case Suspended:
		s.DueAt = max(s.DueAt, now+lim.Grace.Microseconds())
	case Lobby, Adjourned, Ended:
	}
	s.watch(lim, now)
}

// watch starts and ends the grace of those who are lost. Who came by a link and waits in the lobby is awaited by nobody.
func (s *Session) watch(lim Limits, now int64) {
	lost := s.Party() == nil || slices.ContainsFunc(s.Members, func(m Member) bool {
		return m.Zone != "" && len(m.Live) == 0 && (m.Zone != media.ZoneLobby || !m.linked())
	})
	switch s.State {
	case Checking, Joint:
		switch {
		case !lost:
			s.DueAt = 0
		case s.DueAt == 0:
			s.DueAt = now + lim.Grace.Microseconds()
		}
	case Suspended:
		if !lost {
			if s.fire(Back, now) == nil {
				s.DueAt = 0
			}
		}
	case Lobby, Adjourned, Ended:
	}
}

// Overdue is the session's timer: after the grace it is suspended, after the suspension adjourned. It reports whether
// the session was adjourned.
func (s *Session) Overdue(lim Limits, now int64) (adjourned bool) {
	switch s.State {
	case Checking, Joint:
		if s.fire(Suspend, now) == nil {
			s.DueAt = now + lim.Suspended.Microseconds()
		}
	case Suspended:
		return s.fire(Adjourn, now) == nil
	case Lobby, Adjourned, Ended:
		s.DueAt = 0
	}
	return false
}

// Spec is the room as a media node executes it.
func (s *Session) Spec() media.RoomSpec {
	spec := media.RoomSpec{
		Room: s.Room, Session: s.ID, Fence: s.Fence, Epoch: s.Epoch, Phase: string(s.State), Closed: !s.State.Live(),
		Members: make([]media.Member, 0, len(s.Members)),
	}
	for i := range s.Members {
		m := &s.Members[i]
		if m.Zone == "" {
			continue
		}
		out := media.Member{ID: m.ID, Name: m.Name, Role: m.Role, Zone: m.Zone, Allow: media.Mic | media.Cam, Gated: m.Gated, Attach: []media.Attachment{}}
		for _, a := range m.Attach {
			if a.Active {
				out.Attach = append(out.Attach, media.Attachment{ID: a.ID, Kind: a.Kind, Sound: a.Sound, JoinGen: a.JoinGen})
			}
		}
		spec.Members = append(spec.Members, out)
	}
	return spec
}
