package session_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation/session"
)

const at = int64(1_800_000_000_000_000)

// Every (kind, state, answered, event): the listed ones lead where the table says, all others refuse (domain.md D14).
func TestEveryPairOfStateAndEvent(t *testing.T) {
	t.Parallel()
	type pair struct {
		kind     session.Kind
		state    session.State
		answered bool
		event    session.Event
	}
	const prev = session.Joint
	want := map[pair]session.State{}
	for _, k := range []session.Kind{session.Consult, session.Mediation} {
		for _, a := range []bool{false, true} {
			for _, s := range []session.State{session.Checking, session.Joint} {
				want[pair{k, s, a, session.Suspend}] = session.Suspended
			}
			want[pair{k, session.Suspended, a, session.Back}] = prev
			want[pair{k, session.Adjourned, a, session.Resume}] = session.Lobby
			for _, s := range []session.State{session.Lobby, session.Checking, session.Joint, session.Suspended} {
				want[pair{k, s, a, session.Adjourn}] = session.Adjourned
				if a {
					want[pair{k, s, a, session.End}] = session.Ended
				}
			}
		}
	}
	want[pair{session.Consult, session.Lobby, false, session.Answer}] = session.Joint
	want[pair{session.Mediation, session.Lobby, false, session.Answer}] = session.Lobby
	want[pair{session.Mediation, session.Lobby, true, session.Admit}] = session.Checking
	want[pair{session.Mediation, session.Lobby, true, session.Check}] = session.Checking
	want[pair{session.Mediation, session.Checking, true, session.Check}] = session.Checking
	for _, a := range []bool{false, true} {
		want[pair{session.Consult, session.Joint, a, session.Convert}] = session.Checking
		want[pair{session.Mediation, session.Checking, a, session.Start}] = session.Joint
	}
	n := 0
	for _, k := range []session.Kind{session.Consult, session.Mediation} {
		for _, s := range session.States() {
			for _, a := range []bool{false, true} {
				for _, e := range session.Events() {
					n++
					got, err := session.Next(k, s, prev, a, e)
					to, listed := want[pair{k, s, a, e}]
					switch {
					case listed && (err != nil || got != to):
						t.Errorf("%s %s answered=%v --%s--> %s, %v; want %s", k, s, a, e, got, err, to)
					case !listed && (fault.CodeOf(err) != "session.state" || got != s):
						t.Errorf("%s %s answered=%v --%s--> %s, %v; want a refusal", k, s, a, e, got, err)
					}
				}
			}
		}
	}
	if n != 2*6*2*10 {
		t.Errorf("%d pairs were tried", n)
	}
}

func fresh(k session.Kind) session.Session {
	return session.New(k, "t", "u", "tv", session.Staff{ID: "m", Name: "调解员丙"}, "n", at)
}

func up(s *session.Session, kinds ...media.AttachKind) {
	for _, m := range s.Members {
		live := []media.AttachKind{media.AttachFull}
		if m.Role == media.RoleParty && len(kinds) > 0 {
			live = kinds
		}
		s.Present(m.ID, live, session.Defaults(), at)
	}
}

func zones(s *session.Session) []media.Zone {
	var list []media.Zone
	for _, m := range s.Spec().Members {
		list = append(list, m.Zone)
	}
	return list
}

func TestConsult(t *testing.T) {
	t.Parallel()
	lim := session.Defaults()
	s := fresh(session.Consult)
	if z := zones(&s); !slices.Equal(z, []media.Zone{media.ZoneLobby, media.ZoneLobby}) {
		t.Fatalf("before the OK: %v", z)
	}
	if err := s.End(at); fault.CodeOf(err) != "session.state" {
		t.Fatalf("ended before the OK: %v", err)
	}
	up(&s, media.AttachView)
	if err := s.Take(lim, at); err != nil {
		t.Fatal(err)
	}
	if z := zones(&s); !slices.Equal(z, []media.Zone{media.ZoneJoint, media.ZoneJoint}) || s.DueAt != 0 {
		t.Fatalf("after the OK: %v, due %d", z, s.DueAt)
	}
	if err := s.End(at + 5); err != nil || s.EndedAt != at+5 || !s.Spec().Closed {
		t.Fatalf("end: %v %+v", err, s)
	}
}

func TestMediationIsAdmittedToTheCheckZone(t *testing.T) {
	t.Parallel()
	s := fresh(session.Mediation)
	if err := s.Admit(session.Defaults(), at); fault.CodeOf(err) != "session.state" {
		t.Fatalf("admitted before the OK: %v", err)
	}
	if err := s.Take(session.Defaults(), at); err != nil || s.State != session.Lobby {
		t.Fatalf("OK: %v %s", err, s.State)
	}
	if err := s.Admit(session.Defaults(), at); err != nil {
		t.Fatal(err)
	}
	want := media.CheckZone(s.Party().ID)
	if z := zones(&s); !slices.Equal(z, []media.Zone{want, want}) {
		t.Errorf("zones %v", z)
	}
}

// A consult becomes a mediation with a second party: one at a time in the check zone, then all together. Who came by a
// link and waits in the lobby is missed by nobody; in the talk he is.
func TestManyParties(t *testing.T) {
	t.Parallel()
	lim := session.Defaults()
	s := fresh(session.Consult)
	up(&s, media.AttachView, media.AttachCapture)
	if err := s.Take(lim, at); err != nil {
		t.Fatal(err)
	}
	if err := s.Convert(lim, at); err != nil || s.Kind != session.Mediation || !s.Checked(s.Party().ID) {
		t.Fatalf("converted: %v %s %s", err, s.Kind, s.State)
	}
	a := s.Party().ID
	b, err := s.Join("link", session.RespondentName)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Join("link", session.RespondentName); err != nil || again != b || len(s.Members) != 3 {
		t.Fatalf("joined twice: %v, %d members", err, len(s.Members))
	}
	if s.DueAt != 0 {
		t.Error("somebody who has not come yet is missed")
	}
	ticket, err := s.Enter(session.Who{Link: "link"}, media.AttachFull)
	if err != nil || ticket.Participant != b {
		t.Fatalf("entry: %v %+v", err, ticket)
	}
	if _, err := s.Enter(session.Who{Link: "link"}, media.AttachView); fault.CodeOf(err) != "session.bad_attach" {
		t.Errorf("a phone as a view: %v", err)
	}
	if _, err := s.Enter(session.Who{Link: "other"}, media.AttachFull); fault.CodeOf(err) != "session.none" {
		t.Errorf("a stranger: %v", err)
	}
	s.Present(b, []media.AttachKind{media.AttachFull}, lim, at)
	if s.Party().ID != a {
		t.Error("the citizen at the terminal is another")
	}
	if err := s.Check(b, lim, at); err != nil || !s.Checked(b) || s.Checked(a) {
		t.Fatalf("check B: %v", err)
	}
	for _, m := range s.Spec().Members {
		if want := media.CheckZone(b); m.ID == a && m.Zone != media.ZoneLobby || m.ID != a && m.Zone != want {
			t.Errorf("%s stands in %s", m.Name, m.Zone)
		}
	}
	if err := s.Check(s.Presider().ID, lim, at); fault.CodeOf(err) != "session.no_member" {
		t.Errorf("the mediator checks himself: %v", err)
	}
	s.Present(a, nil, lim, at)
	if s.DueAt != at+120e6 {
		t.Error("the citizen at the terminal is not missed in the lobby")
	}
	s.Present(a, []media.AttachKind{media.AttachFull}, lim, at)
	if err := s.StartJoint(lim, at); err != nil || s.State != session.Joint {
		t.Fatalf("joint: %v", err)
	}
	if z := zones(&s); !slices.Equal(z, []media.Zone{media.ZoneJoint, media.ZoneJoint, media.ZoneJoint}) {
		t.Errorf("zones %v", z)
	}
	s.Present(b, nil, lim, at)
	if s.DueAt == 0 {
		t.Error("B is not missed in the talk")
	}
	s.DepartLink("link", lim, at)
	if s.DueAt != 0 || s.Member(session.Who{Link: "link"}) != nil || len(s.Spec().Members) != 2 {
		t.Error("B is still there")
	}
}

func TestSomebodyIsLost(t *testing.T) {
	t.Parallel()
	lim := session.Defaults()
	s := fresh(session.Consult)
	up(&s, media.AttachView, media.AttachCapture)
	if err := s.Take(lim, at); err != nil {
		t.Fatal(err)
	}
	tv := s.Party().ID
	s.Present(tv, []media.AttachKind{media.AttachView}, lim, at)
	if s.DueAt != 0 {
		t.Fatal("a lost phone is no loss of the person")
	}
	s.Present(tv, nil, lim, at)
	s.Present(s.Presider().ID, nil, lim, at+50e6)
	if s.DueAt != at+120e6 {
		t.Fatalf("grace of %d s from the first loss", (s.DueAt-at)/1e6)
	}
	if s.Overdue(lim, at+120e6) || s.State != session.Suspended || s.DueAt != at+720e6 {
		t.Fatalf("%s until %d", s.State, s.DueAt)
	}
	if z := zones(&s); !slices.Equal(z, []media.Zone{media.ZoneJoint, media.ZoneJoint}) {
		t.Errorf("the zones changed: %v", z)
	}
	s.Present(tv, []media.AttachKind{media.AttachView}, lim, at+130e6)
	if s.State != session.Suspended {
		t.Fatal("back while the mediator is missing")
	}
	back := s.Clone()
	back.Present(back.Presider().ID, []media.AttachKind{media.AttachFull}, lim, at+140e6)
	if back.State != session.Joint || back.DueAt != 0 {
		t.Fatalf("%s due %d after both came back", back.State, back.DueAt)
	}
	if !s.Overdue(lim, at+720e6) || s.State != session.Adjourned || !s.Spec().Closed {
		t.Fatalf("%s after the suspension", s.State)
	}
	if err := s.Resume(session.Staff{ID: "m2", Name: "律师丁"}, "n2", at); err != nil {
		t.Fatal(err)
	}
	spec := s.Spec()
	if spec.Fence != 2 || len(spec.Members) != 2 || spec.Members[1].Name != "律师丁" || s.Presider().Who != "staff/m2" || s.StartedAt != 0 {
		t.Errorf("resumed with another mediator: %+v", spec)
	}
}

func TestEnter(t *testing.T) {
	t.Parallel()
	tv, phone, other := session.Who{Device: "tv"}, session.Who{Device: "tv", Grant: "g"}, session.Who{Device: "tv", Grant: "g2"}
	type step struct {
		who  session.Who
		kind media.AttachKind
		code string
	}
	tests := map[string]struct {
		steps []step
		want  []string // active attachments of the citizen, "*" plays the sound
	}{
		"a TV without camera":                   {[]step{{tv, media.AttachView, ""}}, []string{"view*"}},
		"and the person's phone":                {[]step{{tv, media.AttachView, ""}, {phone, media.AttachCapture, ""}}, []string{"view*", "capture"}},
		"the phone first":                       {[]step{{phone, media.AttachCapture, ""}}, []string{"view*", "capture"}},
		"a second phone replaces the first":     {[]step{{phone, media.AttachCapture, ""}, {other, media.AttachCapture, ""}}, []string{"view*", "capture"}},
		"a TV with a camera is alone":           {[]step{{phone, media.AttachCapture, ""}, {tv, media.AttachFull, ""}}, []string{"full*"}},
		"its phone waits":                       {[]step{{tv, media.AttachFull, ""}, {phone, media.AttachCapture, "session.full_attached"}}, []string{"full*"}},
		"the camera breaks":                     {[]step{{tv, media.AttachFull, ""}, {tv, media.AttachView, ""}, {phone, media.AttachCapture, ""}}, []string{"view*", "capture"}},
		"the TV breaks":                         {[]step{{tv, media.AttachView, ""}, {phone, media.AttachCapture, ""}, {phone, media.AttachFull, ""}}, []string{"view", "full*"}},
		"a TV is no capture":                    {[]step{{tv, media.AttachCapture, "session.bad_attach"}}, []string{"view*"}},
		"a phone is no view":                    {[]step{{phone, media.AttachView, "session.bad_attach"}}, []string{"view*"}},
		"another terminal is nobody here":       {[]step{{session.Who{Device: "elsewhere"}, media.AttachView, "session.none"}}, []string{"view*"}},
		"another mediator is nobody here":       {[]step{{session.Who{Staff: "x"}, media.AttachFull, "session.none"}}, []string{"view*"}},
		"the mediator does not change the rest": {[]step{{session.Who{Staff: "m"}, media.AttachFull, ""}}, []string{"view*"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fresh(session.Consult)
			for _, x := range tt.steps {
				_, err := s.Enter(x.who, x.kind)
				if x.code == "" && err != nil || x.code != "" && fault.CodeOf(err) != x.code {
					t.Fatalf("%v %s: %v, want %q", x.who, x.kind, err, x.code)
				}
			}
			if got := attachments(&s); !slices.Equal(got, tt.want) {
				t.Errorf("attachments %v, want %v", got, tt.want)
			}
		})
	}
}

func attachments(s *session.Session) []string {
	var list []string
	for _, m := range s.Spec().Members {
		if m.Role != media.RoleParty {
			continue
		}
		for _, a := range m.Attach {
			mark := ""
			if a.Sound {
				mark = "*"
			}
			list = append(list, string(a.Kind)+mark)
		}
	}
	return list
}

// Whatever clients ask for, the attachments stay one of the allowed sets, exactly one plays, ids are stable and each
// entry has a newer JoinGen.
func TestAttachmentsStayAllowed(t *testing.T) {
	t.Parallel()
	allowed := [][]string{{"full*"}, {"view*"}, {"view*", "capture"}, {"view", "full*"}, {}}
	rapid.Check(t, func(t *rapid.T) {
		s := fresh(session.Consult)
		type key struct {
			who  session.Who
			kind media.AttachKind
		}
		ids := map[key]media.Ticket{}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			who := session.Who{Device: "tv", Grant: rapid.SampledFrom([]ident.GrantID{"", "g1", "g2"}).Draw(t, "who")}
			kind := rapid.SampledFrom([]media.AttachKind{media.AttachFull, media.AttachView, media.AttachCapture}).Draw(t, "kind")
			if rapid.IntRange(0, 6).Draw(t, "drop") == 0 {
				s.Drop("g1")
			}
			before := fmt.Sprint(s)
			ticket, err := s.Enter(who, kind)
			if err != nil {
				if fmt.Sprint(s) != before {
					t.Fatal("a refused entry changed the session")
				}
				continue
			}
			if old, ok := ids[key{who, kind}]; ok && (old.Attachment != ticket.Attachment || old.JoinGen >= ticket.JoinGen) {
				t.Fatalf("entry %+v after %+v", ticket, old)
			}
			ids[key{who, kind}] = ticket
			got := attachments(&s)
			if !slices.ContainsFunc(allowed, func(set []string) bool { return slices.Equal(sorted(set), sorted(got)) }) {
				t.Fatalf("attachments %v", got)
			}
		}
	})
}

func sorted(l []string) []string { return slices.Sorted(slices.Values(l)) }
