package dispute

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/paper"
)

// The lengths of texts in characters.
const (
	maxName     = 40
	maxText     = 4000
	maxRequests = 10
)

func errState(s State) error { return fault.New(fault.Conflict, "dispute.state").WithRef(string(s)) }

// fire moves the dispute by an event.
func (d *Dispute) fire(e Event) error {
	next, err := Next(d.State, d.Number != "", e)
	if err == nil {
		d.State = next
	}
	return err
}

// Registration is what is written down when a dispute begins.
type Registration struct {
	Kind        Kind
	Category    mediation.Category
	Name        string // of the person at the terminal
	Facts       string
	Requests    []string
	Participant ident.ParticipantID // of the person at the terminal
	Mediation   bool                // the session is a mediation already: its person came to mediate, he is not asked
}

// New registers a dispute. The person at the terminal is party A, asked whether he wants to mediate now unless he came
// for that.
//
// Errors: fault.Invalid "dispute.bad_kind", "dispute.bad_category", "dispute.bad_text", "party.bad_name".
func New(r Registration, now int64) (Dispute, error) {
	kind, ok := kindOf(r.Kind)
	switch {
	case !ok:
		return Dispute{}, fault.InField("dispute.bad_kind", "mediation_kind")
	case !r.Category.Known() || r.Category == mediation.Unsure:
		return Dispute{}, fault.InField("dispute.bad_category", "category")
	case len(r.Requests) > maxRequests:
		return Dispute{}, fault.InField("dispute.bad_text", "requests")
	}
	if err := checkText(r.Facts, "facts", 1, maxText); err != nil {
		return Dispute{}, err
	}
	for _, q := range r.Requests {
		if err := checkText(q, "requests", 1, maxText); err != nil {
			return Dispute{}, err
		}
	}
	a := Party{
		ID: ident.New[ident.PartyID](), Participant: r.Participant, Side: SideA, Role: Applicant, Required: true, Device: true,
		Person: Person{Name: strings.TrimSpace(r.Name)},
	}
	if err := a.Person.Check(); err != nil {
		return Dispute{}, err
	}
	d := Dispute{
		ID: ident.New[ident.DisputeID](), State: Registered, Kind: kind.Kind, Category: r.Category, CreatedAt: now,
		Facts: r.Facts, Requests: slices.Clone(r.Requests), Parties: []Party{a},
	}
	if !r.Mediation {
		d.ask(a.ID, AskConvert, "", now)
		return d, nil
	}
	if err := d.fire(Screen); err != nil {
		return Dispute{}, err
	}
	d.welcome(&d.Parties[0], now)
	return d, nil
}

// Clone returns a deep copy.
func (d *Dispute) Clone() Dispute {
	c := *d
	c.Requests = slices.Clone(d.Requests)
	c.Parties = slices.Clone(d.Parties)
	c.Links = slices.Clone(d.Links)
	c.Asks = slices.Clone(d.Asks)
	c.Statements = slices.Clone(d.Statements)
	if d.Closing != nil {
		closing := *d.Closing
		closing.Routes = slices.Clone(closing.Routes)
		c.Closing = &closing
	}
	return c
}

// SetPerson writes down who a party is. What was verified against the document may not change afterwards.
//
// Errors: those of Person.Check; fault.Conflict "dispute.state"; "identity.verified" after the check.
func (d *Dispute) SetPerson(id ident.PartyID, p Person) error {
	party := d.Party(id)
	if party == nil {
		return noParty()
	}
	if d.State.Over() {
		return errState(d.State)
	}
	if err := p.Check(); err != nil {
		return err
	}
	if party.Identity != nil && (p.Name != party.Person.Name || p.IDNo != party.Person.IDNo) {
		return fault.New(fault.Conflict, "identity.verified")
	}
	if party.Person.Phone != p.Phone {
		party.Code = PhoneCode{} // a code proves the phone that it went to
	}
	party.Person = p
	return nil
}

func noParty() error { return fault.New(fault.NotFound, "party.none") }

// Check refuses what cannot be a person.
//
// Errors: fault.Invalid "party.bad_name", "party.bad_id_no", "party.bad_phone", "party.bad_birth_year", "party.bad_text".
func (p *Person) Check() error {
	p.Name, p.IDNo, p.Phone = paper.Clean(p.Name), strings.ToUpper(strings.TrimSpace(p.IDNo)), strings.TrimSpace(p.Phone)
	p.Sex, p.Ethnic, p.Address, p.Occupation = paper.Clean(p.Sex), paper.Clean(p.Ethnic), paper.Clean(p.Address), paper.Clean(p.Occupation)
	switch {
	case !plain(p.Name) || p.Name == "" || utf8.RuneCountInString(p.Name) > maxName:
		return fault.InField("party.bad_name", "name")
	case p.IDNo != "" && !goodIDNo(p.IDNo):
		return fault.InField("party.bad_id_no", "id_no")
	case p.Phone != "" && !goodPhone(p.Phone):
		return fault.InField("party.bad_phone", "phone")
	case p.BirthYear != 0 && (p.BirthYear < 1900 || p.BirthYear > 2100):
		return fault.InField("party.bad_birth_year", "birth_year")
	}
	for _, f := range []struct{ name, text string }{{"sex", p.Sex}, {"ethnic", p.Ethnic}, {"address", p.Address}, {"occupation", p.Occupation}} {
		if !plain(f.text) || utf8.RuneCountInString(f.text) > 120 {
			return fault.InField("party.bad_text", f.name)
		}
	}
	return nil
}

// goodIDNo checks a citizen's identity number: 17 digits with a real birthday and the check character of GB 11643-1999.
func goodIDNo(s string) bool {
	if len(s) != 18 {
		return false
	}
	if _, err := time.Parse("20060102", s[6:14]); err != nil {
		return false
	}
	sum, weight := 0, 1 // weight 2^(17-i) mod 11 from the right
	for i := 16; i >= 0; i-- {
		weight = weight * 2 % 11
		c := s[i]
		if c < '0' || c > '9' {
			return false
		}
		sum += int(c-'0') * weight
	}
	return s[17] == "10X98765432"[sum%11]
}

// goodPhone accepts mobile numbers of the country.
func goodPhone(s string) bool {
	return len(s) == 11 && s[0] == '1' && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// plain reports whether a line can stand on a paper.
func plain(s string) bool { return paper.Text(s) == nil }

// checkText refuses texts that are too short, too long or hold what no paper carries.
func checkText(s, field string, least, most int) error {
	n := utf8.RuneCountInString(strings.TrimSpace(s))
	if n < least || n > most || slices.ContainsFunc(paper.Lines(s), func(line string) bool { return !plain(line) }) {
		return fault.InField("dispute.bad_text", field)
	}
	return nil
}

// MaskID shows of an identity number what tells people apart who know it: 1504**********0011.
func MaskID(s string) string {
	if len(s) < 8 {
		return strings.Repeat("*", len(s))
	}
	return s[:4] + strings.Repeat("*", len(s)-8) + s[len(s)-4:]
}

// MaskPhone shows the first three and the last four digits.
func MaskPhone(s string) string {
	if len(s) < 8 {
		return strings.Repeat("*", len(s))
	}
	return s[:3] + strings.Repeat("*", len(s)-7) + s[len(s)-4:]
}

// The ways to check an identity.
const (
	MethodCard  = "card"
	MethodFace  = "face"
	MethodPhone = "phone_code"
)

// Verify notes that the mediator compared the person with his document in the check zone. Who comes by his own phone
// has also keyed the code that was sent to it.
//
// Errors: fault.Invalid "identity.bad_methods", "identity.id_missing"; fault.Conflict "identity.code_missing",
// "dispute.state"; fault.NotFound "party.none".
func (d *Dispute) Verify(id ident.PartyID, methods []string, by ident.StaffID, session ident.SessionID, now int64) error {
	p := d.Party(id)
	if p == nil {
		return noParty()
	}
	if d.State.Over() || d.State == Registered {
		return errState(d.State)
	}
	for _, m := range methods {
		if m != MethodCard && m != MethodFace && m != MethodPhone {
			return fault.InField("identity.bad_methods", "methods")
		}
	}
	phone := slices.Contains(methods, MethodPhone)
	switch {
	case !slices.Contains(methods, MethodCard), !slices.Contains(methods, MethodFace):
		return fault.InField("identity.bad_methods", "methods")
	case p.Person.IDNo == "":
		return fault.InField("identity.id_missing", "id_no")
	case (phone || !p.Device) && (!phone || p.Code.State != CodePassed || p.Code.Phone != p.Person.Phone):
		return fault.New(fault.Conflict, "identity.code_missing").WithRef(string(p.ID))
	}
	methods = slices.Sorted(slices.Values(methods))
	p.Identity = &Identity{Methods: slices.Compact(methods), At: now, By: by, Session: session}
	return nil
}

// The states of a phone code.
const (
	CodeNone   = "none"
	CodeSent   = "sent"
	CodePassed = "passed"
	CodeFailed = "failed"
)

// The numbers of a phone code (domain.md 5.10).
const (
	CodeLife  = 10 * time.Minute
	CodeTries = 3
)

// SendCode notes that a code goes to the party's phone; hash is what CheckCode compares.
//
// Errors: fault.NotFound "party.none"; fault.Invalid "party.bad_phone" without a phone; fault.Conflict "dispute.state".
func (d *Dispute) SendCode(id ident.PartyID, hash string, now int64) error {
	p := d.Party(id)
	switch {
	case p == nil:
		return noParty()
	case d.State.Over():
		return errState(d.State)
	case p.Person.Phone == "":
		return fault.InField("party.bad_phone", "phone")
	}
	p.Code = PhoneCode{Hash: hash, State: CodeSent, Phone: p.Person.Phone, ExpireAt: now + CodeLife.Microseconds()}
	return nil
}

// Status is the state as it is shown: a code that nobody keyed in time failed.
func (p *PhoneCode) Status(now int64) string {
	switch {
	case p.State == "":
		return CodeNone
	case p.State == CodeSent && p.ExpireAt <= now:
		return CodeFailed
	}
	return p.State
}

// TryCode compares what a party keyed. A wrong try counts and is no error of the command: it must be kept. right tells.
//
// Errors: fault.Conflict "identity.no_code" when none is out.
func (p *PhoneCode) TryCode(hash string, now int64) (right bool, err error) {
	switch {
	case p.State == CodePassed:
		return true, nil
	case p.State != CodeSent || p.ExpireAt <= now:
		return false, fault.New(fault.Conflict, "identity.no_code")
	case p.Hash == hash:
		p.State, p.Hash = CodePassed, ""
		return true, nil
	}
	if p.Tries++; p.Tries >= CodeTries {
		p.State, p.Hash = CodeFailed, ""
	}
	return false, nil
}

// Say puts a statement into the record.
//
// Errors: fault.Invalid "statement.bad_kind", "dispute.bad_text"; fault.Conflict "dispute.state".
func (d *Dispute) Say(kind, text string, now int64) error {
	if kind != UndisputedFact && kind != Said {
		return fault.InField("statement.bad_kind", "kind")
	}
	if d.State.Over() {
		return errState(d.State)
	}
	if err := checkText(text, "text", 1, maxText); err != nil {
		return err
	}
	if len(d.Statements) >= 200 {
		return fault.New(fault.TooMany, "statement.too_many")
	}
	d.Statements = append(d.Statements, Statement{ID: ident.New[string](), Kind: kind, Text: text, At: now})
	return nil
}

// Blocker is something that start_joint still misses; Party is whose, empty when nobody's alone.
type Blocker struct {
	Code  string        `json:"code"`
	Party ident.PartyID `json:"party,omitempty"`
}

// Presence tells how a party is there now.
type Presence struct {
	Here  bool // a line is up
	Heard bool // he is seen and heard too, not only a viewer
}

// Blockers is the guard of the joint talk (domain.md 7.3): every required party present, identity verified in this
// session, rights notice acknowledged, consent to talk online, disclosure accepted; nobody's invitation open. The order
// is that in which a mediator works: first who is missing, then each party from A on.
func (d *Dispute) Blockers(session ident.SessionID, here func(*Party) Presence) []Blocker {
	list := []Blocker{}
	add := func(code string, p ident.PartyID) { list = append(list, Blocker{Code: code, Party: p}) }
	if d.State == Registered {
		add("dispute.convert_open", "")
	}
	if !slices.ContainsFunc(d.Parties, func(p Party) bool { return p.Required && p.Side != SideA }) {
		add("dispute.respondent_missing", "")
	}
	if d.Disclosure == "" {
		add("dispute.disclosure_missing", "")
	}
	for i := range d.Parties {
		p := &d.Parties[i]
		if !p.Required {
			continue
		}
		if p.WithdrawnAt > 0 {
			add("dispute.party_refused", p.ID)
			continue
		}
		if p.Participant == "" {
			if l := d.LinkOf(p.ID, Join); l != nil && l.State == LinkInert {
				add("invite.consents_pending", p.ID)
			} else {
				add("dispute.party_absent", p.ID)
			}
			continue
		}
		switch at := here(p); {
		case !at.Here:
			add("dispute.party_absent", p.ID)
		case !at.Heard:
			add("dispute.party_unheard", p.ID)
		}
		if p.NoticeAt == 0 {
			add("session.notice_missing", p.ID)
		}
		if p.Consents.Online == nil || !*p.Consents.Online {
			add("dispute.consent_missing", p.ID)
		}
		if d.Disclosure != "" && (p.DisclosureOK == nil || !*p.DisclosureOK) {
			add("dispute.disclosure_open", p.ID)
		}
		if p.Identity == nil || p.Identity.Session != session {
			add("session.identity_missing", p.ID)
		}
	}
	return list
}

// Accepted takes the dispute: its number is drawn and its clock runs from today (domain.md 5.3, 7.4). day is the local
// day.
//
// Errors: fault.Conflict "dispute.state".
func (d *Dispute) Accepted(unitAbbr string, serial int64, day time.Time) error {
	if err := d.fire(Accept); err != nil {
		return err
	}
	kind, _ := kindOf(d.Kind)
	d.Year, d.Serial, d.AcceptedAt = day.Year(), serial, day.UnixMicro()
	d.Number = Number(d.Year, unitAbbr, serial)
	d.DeadlineOn = day.AddDate(0, 0, kind.Days).Format(time.DateOnly)
	return d.fire(Begin)
}

// Number writes a dispute's number (domain.md 5.6).
func Number(year int, abbr string, serial int64) string {
	return fmt.Sprintf("(%d)%s人调字第%06d号", year, abbr, serial)
}

// Withdraw is a party's leaving the mediation, which he may at any time (art. 23(2)): it ends at once, code 4.
// Withdrawing twice is withdrawing once.
//
// Errors: fault.NotFound "party.none"; fault.Conflict "dispute.state".
func (d *Dispute) Withdraw(id ident.PartyID, now int64) error {
	p := d.Party(id)
	if p == nil {
		return noParty()
	}
	if p.WithdrawnAt > 0 {
		return nil
	}
	if err := d.fail(CodeUnwilling, "", id, now); err != nil {
		return err
	}
	p.WithdrawnAt = now
	return nil
}

// Refuse is a party's refusal to sign: it ends the dispute, code 7.
//
// Errors: fault.Conflict "dispute.state"; fault.Invalid "dispute.bad_text".
func (d *Dispute) Refuse(id ident.PartyID, reason string, now int64) error {
	if err := checkText(reason, "reason", 0, 400); err != nil {
		return err
	}
	return d.fail(CodeRefusedToSign, reason, id, now)
}

// Fail ends the dispute without agreement by the mediator's word.
//
// Errors: fault.Invalid "dispute.bad_code", "dispute.bad_text"; fault.Conflict "dispute.state".
func (d *Dispute) Fail(code, reason string, now int64) error {
	if n, err := strconv.Atoi(code); err != nil || n < 2 || n > 8 || len(code) != 1 {
		return fault.InField("dispute.bad_code", "code")
	}
	if err := checkText(reason, "reason", 1, 400); err != nil {
		return err
	}
	return d.fail(code, reason, "", now)
}

func (d *Dispute) fail(code, reason string, by ident.PartyID, now int64) error {
	if err := d.fire(Fail); err != nil {
		return err
	}
	d.ClosedAt = now
	d.Closing = &Closing{Code: code, Reason: reason, By: by, Routes: Routes(d.Kind, d.Category), RouteVersion: RouteVersion, At: now}
	return nil
}

// Told notes that the routes were told. Telling twice is telling once.
//
// Errors: fault.Invalid "guidance.bad_how"; fault.Conflict "dispute.state".
func (d *Dispute) Told(how string, now int64) error {
	if how != "read_aloud" && how != "shown" {
		return fault.InField("guidance.bad_how", "how")
	}
	if d.Closing != nil && d.Closing.GuidedAt > 0 {
		return nil
	}
	if err := d.fire(Guide); err != nil {
		return err
	}
	d.Closing.GuidedAt, d.Closing.How = now, how
	return nil
}

// Settled notes that the agreement took effect.
//
// Errors: fault.Conflict "dispute.state".
func (d *Dispute) Settled(effectiveAt int64, confirmLastOn string, now int64) error {
	if err := d.fire(Agree); err != nil {
		return err
	}
	d.EffectiveAt, d.ConfirmLastOn, d.ClosedAt = effectiveAt, confirmLastOn, now
	return nil
}

// Delivered notes that the case store has the dossier. Noting it twice does nothing.
//
// Errors: fault.Conflict "dispute.state".
func (d *Dispute) Delivered() error {
	if d.State == HandedOff {
		return nil
	}
	return d.fire(Deliver)
}

// MayEnd tells whether the mediator may end the session: the dispute came to an end by agreement or by failure that
// was followed by guidance, or was never accepted (7.3, art. 26). paper says that the agreement was handed out to be
// signed by hand.
//
// Errors: fault.Conflict "session.dispute_open", "dispute.guidance_missing".
func MayEnd(s State, paper bool) error {
	switch s {
	case "", Agreed, Guided, HandedOff, NotAccepted, Closed:
		return nil
	case Terminated:
		return fault.New(fault.Conflict, "dispute.guidance_missing")
	case Mediating:
		if paper {
			return nil
		}
	case Registered, Screening, Contacting, Accepted:
	}
	return fault.New(fault.Conflict, "session.dispute_open")
}

// ESign reports whether every party agreed to sign electronically.
func (d *Dispute) ESign() bool {
	return !slices.ContainsFunc(d.Parties, func(p Party) bool { return p.Required && (p.Consents.ESign == nil || !*p.Consents.ESign) })
}

// HandOff reports whether every party agreed that the papers go to another body.
func (d *Dispute) HandOff() bool {
	return !slices.ContainsFunc(d.Parties, func(p Party) bool { return p.Required && (p.Consents.HandOff == nil || !*p.Consents.HandOff) })
}
