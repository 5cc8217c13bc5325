package session

import (
	"slices"
	"strings"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
)

// The names of parties in the room. Their own names are personal data and stay sealed with the dispute.
const (
	ApplicantName  = "申请人"
	RespondentName = "被申请人"
)

// linked reports whether a member came by a link.
func (m *Member) linked() bool { return strings.HasPrefix(m.Who, "party/") }

// Join lets the person of a link into the lobby with a line of his own. Joining twice is joining once.
//
// Errors: fault.Conflict "session.state".
func (s *Session) Join(link ident.LinkID, name string) (ident.ParticipantID, error) {
	if !s.State.Live() {
		return "", errState(s.State)
	}
	if m := s.Member(Who{Link: link}); m != nil {
		return m.ID, nil
	}
	m := Member{
		ID: ident.New[ident.ParticipantID](), Role: media.RoleParty, Who: partyClient(link), Name: name, Zone: media.ZoneLobby,
		Attach: []Attach{newAttach(media.AttachFull, partyClient(link), true)},
	}
	s.Members = append(s.Members, m)
	return m.ID, nil
}

// DepartLink takes the person of a link out of the room for good.
func (s *Session) DepartLink(link ident.LinkID, lim Limits, now int64) {
	m := s.Member(Who{Link: link})
	if m == nil {
		return
	}
	m.Live, m.Zone = nil, ""
	m.retire(func(Attach) bool { return true })
	m.sound()
	s.watch(lim, now)
}

// Convert makes a consult a mediation at its person's wish: the same session goes on in the check zone.
//
// Errors: fault.Conflict "session.state".
func (s *Session) Convert(lim Limits, now int64) error {
	if err := s.fire(Convert, now); err != nil {
		return err
	}
	s.Kind = Mediation
	s.watch(lim, now)
	return nil
}

// Check asks one participant into the check zone, the others into the lobby.
//
// Errors: fault.NotFound "session.no_member"; fault.Conflict "session.state".
func (s *Session) Check(p ident.ParticipantID, lim Limits, now int64) error {
	m := s.Participant(p)
	if m == nil || m.Role != media.RoleParty {
		return fault.New(fault.NotFound, "session.no_member")
	}
	if err := s.fire(Check, now); err != nil {
		return err
	}
	s.check(m)
	s.watch(lim, now)
	return nil
}

// Checked reports whether a participant and the mediator are alone in his check zone now.
func (s *Session) Checked(p ident.ParticipantID) bool {
	m, chair := s.Participant(p), s.Presider()
	zone := media.CheckZone(p)
	return s.State == Checking && m != nil && chair != nil && m.Zone == zone && chair.Zone == zone
}

// StartJoint brings everybody together; the caller has asked dispute.Blockers.
//
// Errors: fault.Conflict "session.state".
func (s *Session) StartJoint(lim Limits, now int64) error {
	if err := s.fire(Start, now); err != nil {
		return err
	}
	s.watch(lim, now)
	return nil
}

// Heard reports whether a member's lines carry his picture and voice too.
func (m *Member) Heard() bool {
	return slices.Contains(m.Live, media.AttachFull) || slices.Contains(m.Live, media.AttachCapture)
}
