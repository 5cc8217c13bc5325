package session

import (
	"slices"
	"strings"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
)

// Who asks for something in a session: a member of staff, a terminal, the phone that is a terminal's camera (then
// Device is that terminal), or the phone of a party that came by a link.
type Who struct {
	Staff  ident.StaffID
	Device ident.DeviceID
	Grant  ident.GrantID
	Link   ident.LinkID
}

func (w Who) client() string {
	switch {
	case w.Staff != "":
		return staffClient(w.Staff)
	case w.Link != "":
		return partyClient(w.Link)
	case w.Grant != "":
		return grantClient(w.Grant)
	default:
		return deviceClient(w.Device)
	}
}

// Member returns the participant that who is, nil when he does not belong to the session.
func (s *Session) Member(who Who) *Member {
	key := deviceClient(who.Device)
	switch {
	case who.Staff != "":
		key = staffClient(who.Staff)
	case who.Link != "":
		key = partyClient(who.Link)
	}
	return s.member(func(m *Member) bool { return m.Who == key })
}

// Enter prepares one client's line: it puts its attachment into the spec with a new JoinGen, so that a newer line of
// the same attachment wins. A member's attachments are always one of {full}, {view}, {view, capture}, {view, full}
// (media.md 4.1), and exactly one of them plays the sound.
//
//   - staff, parties with their own phone and terminals with camera: full alone;
//   - a terminal without: view, beside what its phone carries;
//   - its phone: capture; or full, when the terminal fails: then the sound moves to the phone.
//
// Errors: fault.Conflict "session.state"; fault.NotFound "session.none" for strangers; fault.Forbidden
// "session.bad_attach"; fault.Conflict "session.full_attached" for a phone while the terminal itself is the camera.
func (s *Session) Enter(who Who, kind media.AttachKind) (media.Ticket, error) {
	m := s.Member(who)
	if m == nil {
		return media.Ticket{}, fault.New(fault.NotFound, "session.none")
	}
	if !s.State.Live() {
		return media.Ticket{}, errState(s.State)
	}
	self := who.client()
	terminal := deviceClient(who.Device)
	switch {
	case who.Staff != "", who.Link != "":
		if kind != media.AttachFull {
			return media.Ticket{}, fault.New(fault.Forbidden, "session.bad_attach")
		}
	case who.Grant == "":
		if kind != media.AttachFull && kind != media.AttachView {
			return media.Ticket{}, fault.New(fault.Forbidden, "session.bad_attach")
		}
		m.retire(func(a Attach) bool { return a.Client == self && a.Kind != kind })
		if kind == media.AttachFull {
			m.retire(func(a Attach) bool { return a.Client != self })
		}
	default:
		switch kind {
		case media.AttachCapture:
			if m.has(terminal, media.AttachFull) {
				return media.Ticket{}, fault.New(fault.Conflict, "session.full_attached")
			}
		case media.AttachFull:
			m.retire(func(a Attach) bool { return a.Client == terminal && a.Kind == media.AttachFull })
		case media.AttachView:
			return media.Ticket{}, fault.New(fault.Forbidden, "session.bad_attach")
		}
		m.retire(func(a Attach) bool { return a.Client != terminal && (a.Client != self || a.Kind != kind) })
		m.activate(terminal, media.AttachView)
	}
	a := m.activate(self, kind)
	a.JoinGen++
	t := media.Ticket{Room: s.Room, Participant: m.ID, Attachment: a.ID, Kind: kind, JoinGen: a.JoinGen, Node: s.Node, Fence: s.Fence}
	m.sound()
	return t, nil
}

// Drop takes a phone out of the room.
func (s *Session) Drop(g ident.GrantID) {
	for i := range s.Members {
		m := &s.Members[i]
		m.retire(func(a Attach) bool { return a.Client == grantClient(g) })
		m.sound()
	}
}

func (m *Member) retire(f func(Attach) bool) {
	for i := range m.Attach {
		if f(m.Attach[i]) {
			m.Attach[i].Active = false
		}
	}
}

func (m *Member) has(client string, k media.AttachKind) bool {
	return slices.ContainsFunc(m.Attach, func(a Attach) bool { return a.Active && a.Client == client && a.Kind == k })
}

// activate puts a client's attachment of a kind into the spec; its id stays the same for the session.
func (m *Member) activate(client string, k media.AttachKind) *Attach {
	i := slices.IndexFunc(m.Attach, func(a Attach) bool { return a.Client == client && a.Kind == k })
	if i < 0 {
		m.Attach = append(m.Attach, newAttach(k, client, false))
		i = len(m.Attach) - 1
	}
	m.Attach[i].Active = true
	return &m.Attach[i]
}

// sound lets exactly one attachment play: a full one before a view, never a capture.
func (m *Member) sound() {
	best := -1
	for i := range m.Attach {
		m.Attach[i].Sound = false
		switch {
		case !m.Attach[i].Active:
		case m.Attach[i].Kind == media.AttachFull, m.Attach[i].Kind == media.AttachView && best < 0:
			best = i
		}
	}
	if best >= 0 {
		m.Attach[best].Sound = true
	}
}

// PhoneLive reports whether the line of the citizen's phone is up.
func (s *Session) PhoneLive() bool {
	p := s.Party()
	return p != nil && slices.ContainsFunc(p.Attach, func(a Attach) bool {
		return a.Active && strings.HasPrefix(a.Client, "capture/") && slices.Contains(p.Live, a.Kind)
	})
}
