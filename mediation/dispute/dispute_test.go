package dispute_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/dispute"
)

const at = int64(1_800_000_000_000_000)

// Every (state, numbered, event): the listed ones lead where the table says, all others refuse (domain.md D14).
func TestEveryPairOfStateAndEvent(t *testing.T) {
	t.Parallel()
	type pair struct {
		state    dispute.State
		numbered bool
		event    dispute.Event
	}
	want := map[pair]dispute.State{}
	for _, n := range []bool{false, true} {
		want[pair{dispute.Registered, n, dispute.Screen}] = dispute.Screening
		want[pair{dispute.Screening, n, dispute.Contact}] = dispute.Contacting
		want[pair{dispute.Contacting, n, dispute.Contact}] = dispute.Contacting
		want[pair{dispute.Contacting, n, dispute.Accept}] = dispute.Accepted
		want[pair{dispute.Accepted, n, dispute.Begin}] = dispute.Mediating
		want[pair{dispute.Mediating, n, dispute.Agree}] = dispute.Agreed
		for _, s := range []dispute.State{dispute.Registered, dispute.Screening, dispute.Contacting} {
			want[pair{s, n, dispute.Fail}] = dispute.NotAccepted
		}
		for _, s := range []dispute.State{dispute.Accepted, dispute.Mediating} {
			want[pair{s, n, dispute.Fail}] = dispute.Terminated
		}
		want[pair{dispute.Terminated, n, dispute.Guide}] = dispute.Guided
		want[pair{dispute.NotAccepted, n, dispute.Guide}] = dispute.Closed
		want[pair{dispute.Agreed, n, dispute.Deliver}] = dispute.HandedOff
	}
	want[pair{dispute.Guided, true, dispute.Deliver}] = dispute.HandedOff
	n := 0
	for _, s := range dispute.States() {
		for _, numbered := range []bool{false, true} {
			for _, e := range dispute.Events() {
				n++
				got, err := dispute.Next(s, numbered, e)
				to, listed := want[pair{s, numbered, e}]
				switch {
				case listed && (err != nil || got != to):
					t.Errorf("%s numbered=%v --%s--> %s, %v; want %s", s, numbered, e, got, err, to)
				case !listed && (fault.CodeOf(err) != "dispute.state" || got != s):
					t.Errorf("%s numbered=%v --%s--> %s, %v; want a refusal", s, numbered, e, got, err)
				}
			}
		}
	}
	if n != 11*2*8 {
		t.Errorf("%d pairs were tried", n)
	}
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v, want %s", err, code)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func registration(mediates bool) dispute.Registration {
	return dispute.Registration{
		Kind: dispute.People, Category: mediation.Land, Name: "申请人甲", Facts: "草牧场到期没有归还", Requests: []string{"归还"}, Participant: "pa", Mediation: mediates,
	}
}

// begun is a dispute whose party A came to mediate.
func begun(t *testing.T) dispute.Dispute {
	t.Helper()
	d, err := dispute.New(registration(true), at)
	ok(t, err)
	return d
}

func reply(yes bool) dispute.Reply { return dispute.Reply{Yes: yes, Channel: "device"} }

func answer(t *testing.T, d *dispute.Dispute, p ident.PartyID, k dispute.AskKind, r dispute.Reply) (dispute.Converted, []ident.LinkID) {
	t.Helper()
	for _, a := range d.Pending(p) {
		if a.Kind == k {
			done, links, err := d.Answer(p, a.ID, r, at)
			ok(t, err)
			return done, links
		}
	}
	t.Fatalf("%s is not asked %s", p, k)
	return 0, nil
}

func yesToAll(t *testing.T, d *dispute.Dispute, p ident.PartyID) {
	t.Helper()
	for _, a := range d.Pending(p) {
		r := reply(true)
		if a.Kind == dispute.AskConsents {
			r.Items = map[string]bool{dispute.ItemOnline: true, dispute.ItemESign: true, dispute.ItemHandOff: true}
		}
		_, _, err := d.Answer(p, a.ID, r, at)
		ok(t, err)
	}
}

func TestAConsultIsConvertedOnlyWithItsPersonsWord(t *testing.T) {
	t.Parallel()
	d, err := dispute.New(registration(false), at)
	ok(t, err)
	a := d.Parties[0].ID
	if d.State != dispute.Registered || len(d.Pending(a)) != 1 {
		t.Fatalf("%s with %d asks", d.State, len(d.Pending(a)))
	}
	_, err = d.Invite(dispute.Person{Name: "被申请人乙", Phone: "13800138000"}, dispute.Respondent, dispute.SideB, at)
	refused(t, err, "dispute.state")
	no := d.Clone()
	answer(t, &no, a, dispute.AskConvert, reply(false))
	if no.State != dispute.NotAccepted || no.Number != "" || len(no.Closing.Routes) == 0 || no.Closing.Code != dispute.CodeUnwilling {
		t.Errorf("after a no: %s %+v", no.State, no.Closing)
	}
	if done, _ := answer(t, &d, a, dispute.AskConvert, reply(true)); done != dispute.ToMediation || d.State != dispute.Screening {
		t.Fatalf("after a yes: %d, %s", done, d.State)
	}
	kinds := []dispute.AskKind{}
	for _, x := range d.Pending(a) {
		kinds = append(kinds, x.Kind)
	}
	if !slices.Equal(kinds, []dispute.AskKind{dispute.AskNotice, dispute.AskConsents}) {
		t.Errorf("then he is asked %v", kinds)
	}
}

// An invitation is inert until every required party who is here consented to that named person (art. 20, D5).
func TestAnInvitationWaitsForEverybodysConsent(t *testing.T) {
	t.Parallel()
	d := begun(t)
	a := d.Parties[0].ID
	link, err := d.Invite(dispute.Person{Name: "被申请人乙", Phone: "13800138000"}, dispute.Respondent, dispute.SideB, at)
	ok(t, err)
	id, b := link.ID, link.Party
	refused(t, link.Usable(at), "link.inert")
	refused(t, d.Redeem(id, "cookie", "pb", at), "link.inert")
	done, links := answer(t, &d, a, dispute.AskInvite, reply(true))
	if done != dispute.LinkOpen || len(links) != 1 || links[0] != id {
		t.Fatalf("after the yes: %d %v", done, links)
	}
	ok(t, d.Link(id).Usable(at))
	refused(t, d.Link(id).Usable(at+dispute.JoinLife.Microseconds()), "token.expired")
	ok(t, d.Redeem(id, "cookie", "pb", at))
	refused(t, d.Redeem(id, "again", "pb", at), "token.spent")

	third, err := d.Invite(dispute.Person{Name: "被申请人丁", Phone: "13800138001"}, dispute.Respondent, dispute.SideB, at)
	ok(t, err)
	id, c := third.ID, third.Party
	answer(t, &d, a, dispute.AskInvite, reply(true))
	if d.Link(id).State != dispute.LinkInert {
		t.Error("live although B was not asked")
	}
	answer(t, &d, b, dispute.AskInvite, reply(false))
	if d.Link(id).State != dispute.LinkRevoked || d.Party(c) != nil {
		t.Error("one no takes the invitation back")
	}
	refused(t, d.Redeem(id, "x", "pc", at), "link.unknown")
	if len(d.Parties) != 2 {
		t.Errorf("%d parties", len(d.Parties))
	}
}

// ready is a dispute to which nothing is missing.
func ready(t *testing.T) dispute.Dispute {
	t.Helper()
	d := begun(t)
	a := d.Parties[0].ID
	link, err := d.Invite(dispute.Person{Name: "被申请人乙", Phone: "13800138000"}, dispute.Respondent, dispute.SideB, at)
	ok(t, err)
	b, id := link.Party, link.ID
	yesToAll(t, &d, a)
	ok(t, d.Redeem(id, "cookie", "pb", at))
	ok(t, d.Disclose("我和双方没有亲属或利害关系", at))
	yesToAll(t, &d, a)
	yesToAll(t, &d, b)
	for i := range d.Parties {
		p := d.Parties[i].Person
		p.IDNo = "11010519491231002X"
		ok(t, d.SetPerson(d.Parties[i].ID, p))
	}
	ok(t, d.Verify(a, []string{dispute.MethodCard, dispute.MethodFace}, "m", "s", at))
	refused(t, d.Verify(b, []string{dispute.MethodCard, dispute.MethodFace, dispute.MethodPhone}, "m", "s", at), "identity.code_missing")
	ok(t, d.SendCode(b, "hash", at))
	right, err := d.Party(b).Code.TryCode("hash", at)
	ok(t, err)
	if !right {
		t.Fatal("the right code is wrong")
	}
	refused(t, d.Verify(b, []string{dispute.MethodCard, dispute.MethodFace}, "m", "s", at), "identity.code_missing")
	ok(t, d.Verify(b, []string{dispute.MethodPhone, dispute.MethodCard, dispute.MethodFace}, "m", "s", at))
	return d
}

func everybody(*dispute.Party) dispute.Presence { return dispute.Presence{Here: true, Heard: true} }

// No talk of all sides with anything missing: every combination of the seven things for two parties (D5).
func TestTheGuardOfTheJointTalk(t *testing.T) {
	t.Parallel()
	whole := ready(t)
	if list := whole.Blockers("s", everybody); len(list) != 0 {
		t.Fatalf("to a whole dispute is missing: %v", list)
	}
	missing := []struct {
		code string
		take func(*dispute.Party)
	}{
		{"dispute.party_absent", func(p *dispute.Party) { p.Participant = "" }},
		{"session.notice_missing", func(p *dispute.Party) { p.NoticeAt = 0 }},
		{"dispute.consent_missing", func(p *dispute.Party) { p.Consents.Online = nil }},
		{"dispute.consent_missing", func(p *dispute.Party) { p.Consents.Online = new(false) }},
		{"dispute.disclosure_open", func(p *dispute.Party) { p.DisclosureOK = nil }},
		{"dispute.disclosure_open", func(p *dispute.Party) { p.DisclosureOK = new(false) }},
		{"session.identity_missing", func(p *dispute.Party) { p.Identity = nil }},
		{"session.identity_missing", func(p *dispute.Party) { p.Identity = &dispute.Identity{Session: "earlier"} }},
		{"dispute.party_refused", func(p *dispute.Party) { p.WithdrawnAt = at }},
	}
	for who := range 2 {
		for set := 1; set < 1<<len(missing); set++ {
			d := whole.Clone()
			for i, m := range missing {
				if set>>i&1 == 1 {
					m.take(&d.Parties[who])
				}
			}
			list := d.Blockers("s", everybody)
			if len(list) == 0 {
				t.Fatalf("party %d, set %b: nothing is missing", who, set)
			}
			for i, m := range missing {
				alone := set == 1<<i
				if alone && (len(list) != 1 || list[0].Code != m.code || list[0].Party != d.Parties[who].ID) {
					t.Errorf("party %d without %s: %v", who, m.code, list)
				}
			}
		}
	}
	for code, presence := range map[string]dispute.Presence{"dispute.party_absent": {}, "dispute.party_unheard": {Here: true}} {
		list := whole.Blockers("s", func(p *dispute.Party) dispute.Presence {
			if p.Side == dispute.SideB {
				return presence
			}
			return everybody(p)
		})
		if len(list) != 1 || list[0].Code != code || list[0].Party != whole.Parties[1].ID {
			t.Errorf("%s: %v", code, list)
		}
	}
	alone := begun(t)
	codes := ""
	for _, b := range alone.Blockers("s", everybody) {
		codes += b.Code + " "
	}
	if !strings.HasPrefix(codes, "dispute.respondent_missing dispute.disclosure_missing ") {
		t.Errorf("the first ones of a fresh dispute: %s", codes)
	}
}

func TestAcceptanceDrawsANumberAndStartsTheClock(t *testing.T) {
	t.Parallel()
	d := ready(t)
	day := time.Date(2026, 11, 22, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))
	ok(t, d.Accepted("赤红西", 123, day))
	if d.Number != "(2026)赤红西人调字第000123号" || d.DeadlineOn != "2026-12-22" || d.State != dispute.Mediating || d.AcceptedAt != day.UnixMicro() {
		t.Errorf("%s until %s, %s", d.Number, d.DeadlineOn, d.State)
	}
	refused(t, d.Accepted("赤红西", 124, day), "dispute.state")
}

func TestAPartyLeavesAtAnyTime(t *testing.T) {
	t.Parallel()
	d := ready(t)
	before := d.Clone()
	a := d.Parties[0].ID
	ok(t, before.Withdraw(a, at))
	if before.State != dispute.NotAccepted || before.Closing.By != a {
		t.Errorf("before the acceptance: %s", before.State)
	}
	ok(t, d.Accepted("赤", 1, time.Now()))
	ok(t, d.Withdraw(a, at))
	ok(t, d.Withdraw(a, at))
	if d.State != dispute.Terminated || d.Closing.Code != dispute.CodeUnwilling || len(d.Closing.Routes) < 2 {
		t.Fatalf("%s %+v", d.State, d.Closing)
	}
	refused(t, dispute.MayEnd(d.State, false), "dispute.guidance_missing")
	refused(t, d.Told("whispered", at), "guidance.bad_how")
	ok(t, d.Told("read_aloud", at))
	ok(t, d.Told("shown", at+1))
	if d.State != dispute.Guided || d.Closing.How != "read_aloud" || dispute.MayEnd(d.State, false) != nil {
		t.Errorf("%s %+v", d.State, d.Closing)
	}
	_, _, err := d.Answer(a, "x", reply(true), at)
	refused(t, err, "ask.none")
}

func TestMayEnd(t *testing.T) {
	t.Parallel()
	may := []dispute.State{"", dispute.Agreed, dispute.Guided, dispute.HandedOff, dispute.NotAccepted, dispute.Closed}
	for _, s := range append(dispute.States(), "") {
		if got := dispute.MayEnd(s, false) == nil; got != slices.Contains(may, s) {
			t.Errorf("%s: %v", s, got)
		}
		if paper := dispute.MayEnd(s, true) == nil; paper != (slices.Contains(may, s) || s == dispute.Mediating) {
			t.Errorf("%s with paper: %v", s, paper)
		}
	}
}

// Nothing fails without other ways to go, in words, and none of them costs anything (art. 26, D13).
func TestEveryKindAndCategoryHasRoutes(t *testing.T) {
	t.Parallel()
	for _, k := range dispute.Kinds() {
		for _, c := range mediation.Categories() {
			list := dispute.Routes(k.Kind, c)
			if len(list) < 2 || list[len(list)-1].Code != dispute.RouteAid {
				t.Errorf("%s %s: %v", k.Kind, c, list)
			}
			seen := map[string]bool{}
			for _, r := range list {
				if r.Text == "" || seen[r.Code] {
					t.Errorf("%s %s: route %q twice or without words", k.Kind, c, r.Code)
				}
				seen[r.Code] = true
			}
		}
	}
	if list := dispute.Routes(dispute.People, mediation.Wages); list[0].Code != dispute.RouteLabour {
		t.Errorf("wages: %v", list)
	}
	for n := 2; n <= 8; n++ {
		d := ready(t)
		ok(t, d.Fail(fmt.Sprint(n), "原因", at))
		if dispute.CodeName(d.Closing.Code) == "" || len(d.Closing.Routes) == 0 {
			t.Errorf("code %d", n)
		}
	}
	d := ready(t)
	for _, code := range []string{"1", "9", "", "02", "x"} {
		refused(t, d.Fail(code, "原因", at), "dispute.bad_code")
	}
}

func TestPerson(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		p    dispute.Person
		code string
	}{
		"a name alone":                  {dispute.Person{Name: " 申请人甲 "}, ""},
		"the example of GB 11643":       {dispute.Person{Name: "甲", IDNo: "11010519491231002x"}, ""},
		"a wrong check character":       {dispute.Person{Name: "甲", IDNo: "110105194912310021"}, "party.bad_id_no"},
		"no such birthday":              {dispute.Person{Name: "甲", IDNo: "11010519491331002X"}, "party.bad_id_no"},
		"an old number of 15 digits":    {dispute.Person{Name: "甲", IDNo: "110105491231002"}, "party.bad_id_no"},
		"a phone that is none":          {dispute.Person{Name: "甲", Phone: "2380013800"}, "party.bad_phone"},
		"nobody":                        {dispute.Person{Name: "  "}, "party.bad_name"},
		"a name with a line break":      {dispute.Person{Name: "甲\n乙"}, "party.bad_name"},
		"a name that turns the writing": {dispute.Person{Name: "甲\u202e乙"}, "party.bad_name"},
		"born before living memory":     {dispute.Person{Name: "甲", BirthYear: 1800}, "party.bad_birth_year"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.p.Check()
			if tt.code == "" && err != nil || tt.code != "" && fault.CodeOf(err) != tt.code {
				t.Errorf("%v, want %q", err, tt.code)
			}
		})
	}
	if got := dispute.MaskID("11010519491231002X"); got != "1101**********002X" {
		t.Errorf("masked %s", got)
	}
	if got := dispute.MaskPhone("13800138000"); got != "138****8000" {
		t.Errorf("masked %s", got)
	}
}

func TestPhoneCode(t *testing.T) {
	t.Parallel()
	d := begun(t)
	a := d.Parties[0].ID
	refused(t, d.SendCode(a, "h", at), "party.bad_phone")
	ok(t, d.SetPerson(a, dispute.Person{Name: "申请人甲", Phone: "13800138000"}))
	ok(t, d.SendCode(a, "h", at))
	c := &d.Party(a).Code
	for i := range dispute.CodeTries {
		if right, err := c.TryCode("wrong", at); right || err != nil {
			t.Fatalf("try %d: %v %v", i, right, err)
		}
	}
	if c.Status(at) != dispute.CodeFailed {
		t.Errorf("after three wrong: %s", c.Status(at))
	}
	_, err := c.TryCode("h", at)
	refused(t, err, "identity.no_code")
	ok(t, d.SendCode(a, "h2", at))
	_, err = d.Party(a).Code.TryCode("h2", at+dispute.CodeLife.Microseconds())
	refused(t, err, "identity.no_code")
	ok(t, d.SendCode(a, "h3", at))
	if right, err := d.Party(a).Code.TryCode("h3", at); !right || err != nil {
		t.Errorf("the right one: %v %v", right, err)
	}
	ok(t, d.SetPerson(a, dispute.Person{Name: "申请人甲", Phone: "13900139000"}))
	if d.Party(a).Code.Status(at) != dispute.CodeNone {
		t.Error("a code proves another phone")
	}
}

func TestConsentsMayBeGivenAgain(t *testing.T) {
	t.Parallel()
	d := begun(t)
	a := d.Parties[0].ID
	refusal := dispute.Reply{Items: map[string]bool{dispute.ItemOnline: false, dispute.ItemESign: true, dispute.ItemHandOff: false}}
	answer(t, &d, a, dispute.AskConsents, refusal)
	if len(d.Pending(a)) != 1 {
		t.Fatalf("%v", d.Pending(a))
	}
	d.AskAgain(d.Party(a), at)
	d.AskAgain(d.Party(a), at)
	if n := len(d.Pending(a)); n != 2 {
		t.Errorf("%d asks after the mediator asked him in again", n)
	}
	ask := d.Pending(a)[1]
	_, _, err := d.Answer(a, ask.ID, dispute.Reply{Yes: true}, at)
	refused(t, err, "ask.bad_items")
	yesToAll(t, &d, a)
	if !d.ESign() || !d.HandOff() {
		t.Error("consents are not noted")
	}
}

func TestTextsOfEveryAsk(t *testing.T) {
	t.Parallel()
	for _, k := range []dispute.AskKind{dispute.AskConvert, dispute.AskInvite, dispute.AskNotice, dispute.AskConsents, dispute.AskDisclosure} {
		x := dispute.TextOf(k, "调解员丙", "红山区人民调解委员会", "被申请人乙", "没有利害关系")
		if x.Title == "" || len(x.Lines) == 0 || (k == dispute.AskConsents) != (len(x.Items) == 3) {
			t.Errorf("%s: %+v", k, x)
		}
	}
}
