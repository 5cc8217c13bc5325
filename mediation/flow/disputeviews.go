package flow

import (
	"slices"

	"heyi/internal/ident"
	"heyi/internal/qr"
	"heyi/internal/spoken"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/dispute"
)

// DisputeView is a dispute as its mediator sees it; its JSON is docs/protocol.md.
type DisputeView struct {
	ID            ident.DisputeID     `json:"id"`
	Ver           int64               `json:"ver"`
	SessionID     ident.SessionID     `json:"session_id"`
	Number        string              `json:"number"`
	State         dispute.State       `json:"state"`
	MediationKind dispute.Kind        `json:"mediation_kind"`
	Category      mediation.Category  `json:"category"`
	Facts         string              `json:"facts"`
	Requests      []string            `json:"requests"`
	AcceptedAt    *int64              `json:"accepted_at"`
	DeadlineOn    *string             `json:"deadline_on"`
	Parties       []PartyView         `json:"parties"`
	Disclosure    string              `json:"disclosure"`
	Statements    []dispute.Statement `json:"statements"`
	Blockers      []dispute.Blocker   `json:"blockers"`
	Agreement     *AgreementView      `json:"agreement"`
	Closing       *ClosingView        `json:"closing"`
	Handoff       *HandoffView        `json:"handoff"`
	ConfirmLastOn *string             `json:"confirm_last_on"`
	Files         []FileView          `json:"files"`
}

// PartyView is a party as the mediator sees him.
type PartyView struct {
	ID           ident.PartyID       `json:"id"`
	Participant  ident.ParticipantID `json:"participant"`
	Side         dispute.Side        `json:"side"`
	Role         string              `json:"role"`
	Required     bool                `json:"required"`
	Name         string              `json:"name"`
	IDNoMasked   string              `json:"id_no_masked"`
	PhoneMasked  string              `json:"phone_masked"`
	Sex          string              `json:"sex"`
	Ethnic       string              `json:"ethnic"`
	BirthYear    int                 `json:"birth_year"`
	Address      string              `json:"address"`
	Occupation   string              `json:"occupation"`
	Here         bool                `json:"here"`
	Channel      string              `json:"channel"` // device, party
	Link         *LinkView           `json:"link"`
	PhoneCode    string              `json:"phone_code"`
	Identity     *IdentityView       `json:"identity"`
	NoticeAt     *int64              `json:"notice_at"`
	Consents     ConsentsView        `json:"consents"`
	DisclosureOK *bool               `json:"disclosure_ok"`
	WithdrawnAt  *int64              `json:"withdrawn_at"`
	Read         []int               `json:"read"`
	Unclear      []int               `json:"unclear"`
	Readback     ReadbackView        `json:"readback"`
	SignedAt     *int64              `json:"signed_at"`
}

// LinkView is an invitation; address, code and QR stand in it while it may be used.
type LinkView struct {
	ID        ident.LinkID      `json:"id"`
	State     dispute.LinkState `json:"state"`
	URL       string            `json:"url"`
	Code      string            `json:"code"`
	QRSVG     string            `json:"qr_svg"`
	ExpiresAt int64             `json:"expires_at"`
}

// IdentityView is an identity check of this session.
type IdentityView struct {
	Methods []string `json:"methods"`
	At      int64    `json:"at"`
}

// ConsentsView is what a party agreed to, null while not asked.
type ConsentsView struct {
	Online  *bool `json:"online"`
	ESign   *bool `json:"esign"`
	HandOff *bool `json:"hand_off"`
}

// ReadbackView is how a party came with the code.
type ReadbackView struct {
	OK    bool `json:"ok"`
	Tries int  `json:"tries"`
}

// AgreementView is the newest version of the agreement on the desk.
type AgreementView struct {
	ID               ident.AgreementID  `json:"id"`
	V                int                `json:"v"`
	Revision         int                `json:"revision"`
	State            agreement.State    `json:"state"`
	SignMode         agreement.Mode     `json:"sign_mode"`
	Form             string             `json:"form"`
	Facts            string             `json:"facts"`
	Clauses          []agreement.Clause `json:"clauses"`
	Lint             []agreement.Lint   `json:"lint"`
	Blocks           []agreement.Block  `json:"blocks"`
	BlocksSHA256     string             `json:"blocks_sha256"`
	PDFSHA256        string             `json:"pdf_sha256"`
	Digest           string             `json:"digest"`
	DigestSM3        string             `json:"digest_sm3"`
	Code             string             `json:"code"`
	Signed           []SignedView       `json:"signed"`
	MediatorSignedAt *int64             `json:"mediator_signed_at"`
	EffectiveAt      *int64             `json:"effective_at"`
}

// SignedView is one signature.
type SignedView struct {
	Party string `json:"party"`
	At    int64  `json:"at"`
}

// ClosingView says how a dispute ended without agreement.
type ClosingView struct {
	Code     string          `json:"code"`
	Reason   string          `json:"reason"`
	Routes   []dispute.Route `json:"routes"`
	GuidedAt *int64          `json:"guided_at"`
}

// HandoffView is how far a dossier came.
type HandoffView struct {
	State      string `json:"state"`
	ReceiptNo  string `json:"receipt_no"`
	Attempts   int    `json:"attempts"`
	DeliveryID string `json:"delivery_id"`
}

// FileView is a file of a dispute.
type FileView struct {
	Digest string `json:"digest"`
	Name   string `json:"name"`
	Paper  int    `json:"paper"`
	Size   int64  `json:"size"`
}

// MyDisputeView is what a party's own screen may show; its JSON is docs/protocol.md.
type MyDisputeView struct {
	ID              ident.DisputeID    `json:"id"`
	Ver             int64              `json:"ver"`
	SessionID       ident.SessionID    `json:"session_id"`
	Number          string             `json:"number"`
	State           dispute.State      `json:"state"`
	Category        mediation.Category `json:"category"`
	Mediator        string             `json:"mediator"`
	Unit            string             `json:"unit"`
	Me              MeView             `json:"me"`
	Others          []OtherView        `json:"others"`
	Asks            []AskView          `json:"asks"`
	PhoneCodeWanted bool               `json:"phone_code_wanted"`
	Agreement       *MyAgreementView   `json:"agreement"`
	Closing         *MyClosingView     `json:"closing"`
	ReceiptNo       string             `json:"receipt_no"`
	ConfirmLastOn   *string            `json:"confirm_last_on"`
	Files           []MyFileView       `json:"files"`

	codePassed bool
}

// MeView is the party himself.
type MeView struct {
	Party       ident.PartyID `json:"party"`
	Name        string        `json:"name"`
	Side        dispute.Side  `json:"side"`
	SignedAt    *int64        `json:"signed_at"`
	WithdrawnAt *int64        `json:"withdrawn_at"`
}

// OtherView is another party, and how far he came with the agreement.
type OtherView struct {
	Name       string       `json:"name"`
	Side       dispute.Side `json:"side"`
	Here       bool         `json:"here"`
	Read       int          `json:"read"` // blocks
	ReadbackOK bool         `json:"readback_ok"`
	SignedAt   *int64       `json:"signed_at"`
}

// AskView is one question, with the words that are shown and spoken.
type AskView struct {
	ID      string          `json:"id"`
	Kind    dispute.AskKind `json:"kind"`
	Version string          `json:"version"`
	Title   string          `json:"title"`
	Lines   []string        `json:"lines"`
	Items   []dispute.Item  `json:"items"`
}

// MyAgreementView is the frozen agreement on a party's screen.
type MyAgreementView struct {
	V              int               `json:"v"`
	State          agreement.State   `json:"state"`
	SignMode       agreement.Mode    `json:"sign_mode"`
	Blocks         []agreement.Block `json:"blocks"`
	BlocksSHA256   string            `json:"blocks_sha256"`
	PDFSHA256      string            `json:"pdf_sha256"`
	Digest         string            `json:"digest"`
	Code           string            `json:"code"`
	Read           []int             `json:"read"`
	Unclear        []int             `json:"unclear"`
	ReadbackOK     bool              `json:"readback_ok"`
	Tries          int               `json:"tries"`
	MediatorCalled bool              `json:"mediator_called"`
	MaySign        bool              `json:"may_sign"`
	EffectiveAt    *int64            `json:"effective_at"`
}

// MyClosingView says to a party how the dispute ended and which other ways are open.
type MyClosingView struct {
	Code   string          `json:"code"`
	Routes []dispute.Route `json:"routes"`
}

// MyFileView is a file for a party's hands.
type MyFileView struct {
	Digest string `json:"digest"`
	Name   string `json:"name"`
}

func day(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// list makes a nil list an empty one, which JSON tells apart.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// staffView builds what the mediator sees.
func (s *Dockets) staffView(d *Docket) (DisputeView, error) {
	k := &d.Dispute
	v := DisputeView{
		ID: k.ID, Ver: k.Ver, SessionID: k.Session, Number: k.Number, State: k.State, MediationKind: k.Kind, Category: k.Category, Facts: k.Facts,
		Requests: list(k.Requests), AcceptedAt: instant(k.AcceptedAt), DeadlineOn: day(k.DeadlineOn), Parties: []PartyView{}, Disclosure: k.Disclosure,
		Statements: list(k.Statements), Blockers: []dispute.Blocker{}, Handoff: d.Handoff, ConfirmLastOn: day(k.ConfirmLastOn), Files: []FileView{},
	}
	if slices.Contains([]dispute.State{dispute.Registered, dispute.Screening, dispute.Contacting}, k.State) {
		v.Blockers = k.Blockers(d.Session.ID, d.presence)
	}
	now := s.d.Now().UnixMicro()
	for i := range k.Parties {
		p, err := s.partyCard(d, &k.Parties[i], now)
		if err != nil {
			return v, err
		}
		v.Parties = append(v.Parties, p)
	}
	if d.Agreement.V > 0 {
		v.Agreement = s.agreementView(d, now)
	}
	if c := k.Closing; c != nil {
		v.Closing = &ClosingView{Code: c.Code, Reason: c.Reason, Routes: list(c.Routes), GuidedAt: instant(c.GuidedAt)}
	}
	for _, f := range d.Files {
		v.Files = append(v.Files, FileView{Digest: f.Digest, Name: f.Name, Paper: f.Paper, Size: f.Size})
	}
	return v, nil
}

func (s *Dockets) partyCard(d *Docket, p *dispute.Party, now int64) (PartyView, error) {
	at := d.presence(p)
	v := PartyView{
		ID: p.ID, Participant: p.Participant, Side: p.Side, Role: p.Role, Required: p.Required, Name: p.Person.Name,
		IDNoMasked: dispute.MaskID(p.Person.IDNo), PhoneMasked: dispute.MaskPhone(p.Person.Phone), Sex: p.Person.Sex, Ethnic: p.Person.Ethnic,
		BirthYear: p.Person.BirthYear, Address: p.Person.Address, Occupation: p.Person.Occupation, Here: at.Here, Channel: "party",
		PhoneCode: p.Code.Status(now), NoticeAt: instant(p.NoticeAt), Consents: ConsentsView(p.Consents), DisclosureOK: p.DisclosureOK,
		WithdrawnAt: instant(p.WithdrawnAt), Read: []int{}, Unclear: []int{},
	}
	if p.Device {
		v.Channel = "device"
	}
	if p.Identity != nil && p.Identity.Session == d.Session.ID {
		v.Identity = &IdentityView{Methods: list(p.Identity.Methods), At: p.Identity.At}
	}
	if d.Agreement.V > 0 {
		r := d.Agreement.Reading(string(p.ID))
		v.Read, v.Unclear, v.Readback = list(r.Read), list(r.Unclear), ReadbackView{OK: r.OKAt > 0, Tries: r.Tries}
		v.SignedAt = signedAt(&d.Agreement, p.ID)
	}
	if l := d.Dispute.LinkOf(p.ID, dispute.Join); l != nil {
		v.Link = &LinkView{ID: l.ID, State: l.StateAt(now), ExpiresAt: l.ExpiresAt}
		if v.Link.State == dispute.LinkLive {
			token, code := s.d.Secrets.Of(l.ID)
			v.Link.URL, v.Link.Code = s.d.PublicURL+"/join/"+token, spoken.Spelled(code)
			var err error
			if v.Link.QRSVG, err = qr.SVG(v.Link.URL); err != nil {
				return v, err
			}
		}
	}
	return v, nil
}

func signedAt(a *agreement.Agreement, p ident.PartyID) *int64 {
	for _, x := range a.Signatures {
		if x.Party == string(p) {
			return instant(x.At)
		}
	}
	return nil
}

func (s *Dockets) agreementView(d *Docket, now int64) *AgreementView {
	a := &d.Agreement
	v := &AgreementView{
		ID: a.ID, V: a.V, Revision: a.Revision, State: a.State, SignMode: a.Mode, Form: a.Draft.Form, Facts: a.Draft.Facts, Clauses: list(a.Draft.Clauses),
		Lint: []agreement.Lint{}, Blocks: list(a.Blocks), Signed: []SignedView{}, EffectiveAt: instant(a.EffectiveAt),
	}
	if a.State == agreement.Drafting {
		m := s.meta(d)
		v.Lint = list(agreement.Check(a.Draft, m, s.today(now)))
		if blocks, err := agreement.Blocks(a.Draft, m); err == nil { // a preview; what the lint refuses has none
			v.Blocks = blocks
		}
		if v.SignMode == "" {
			v.SignMode = agreement.ModeOf(m.Category, a.Draft.Clauses, m.Parties)
		}
	} else if a.Digest.BlocksSHA256 != "" {
		v.BlocksSHA256, v.PDFSHA256 = a.Digest.BlocksSHA256, a.Digest.PDFSHA256
		v.Digest, v.DigestSM3, v.Code = a.Digest.SHA256(), a.Digest.SM3(), a.Digest.Code()
	}
	for _, x := range a.Signatures {
		v.Signed = append(v.Signed, SignedView{Party: x.Party, At: x.At})
	}
	if a.Mediator != nil {
		v.MediatorSignedAt = instant(a.Mediator.At)
	}
	return v
}

// partyView builds what a party's own screen may show.
func (s *Dockets) partyView(d *Docket, by By) (MyDisputeView, error) {
	p, err := d.me(by)
	if err != nil {
		return MyDisputeView{}, err
	}
	k := &d.Dispute
	now := s.d.Now().UnixMicro()
	v := MyDisputeView{
		ID: k.ID, Ver: k.Ver, SessionID: k.Session, Number: k.Number, State: k.State, Category: k.Category, Mediator: d.Mediator.Name,
		Unit: s.committeeName(k.Unit), Me: MeView{Party: p.ID, Name: p.Person.Name, Side: p.Side, WithdrawnAt: instant(p.WithdrawnAt)},
		Others: []OtherView{}, Asks: []AskView{}, ConfirmLastOn: day(k.ConfirmLastOn), Files: []MyFileView{},
		PhoneCodeWanted: p.Code.Status(now) == dispute.CodeSent, codePassed: p.Code.State == dispute.CodePassed,
	}
	for i := range k.Parties {
		o := &k.Parties[i]
		if o.ID != p.ID {
			other := OtherView{Name: o.Person.Name, Side: o.Side, Here: d.presence(o).Here}
			if d.Agreement.V > 0 && d.Agreement.State != agreement.Drafting {
				r := d.Agreement.Reading(string(o.ID))
				other.Read, other.ReadbackOK, other.SignedAt = len(r.Read), r.OKAt > 0, signedAt(&d.Agreement, o.ID)
			}
			v.Others = append(v.Others, other)
		}
	}
	if !k.State.Over() {
		for _, a := range k.Pending(p.ID) {
			about := ""
			if o := k.Party(a.About); o != nil {
				about = o.Person.Name
			}
			t := dispute.TextOf(a.Kind, v.Mediator, v.Unit, about, k.Disclosure)
			v.Asks = append(v.Asks, AskView{ID: a.ID, Kind: a.Kind, Version: a.Version, Title: t.Title, Lines: list(t.Lines), Items: list(t.Items)})
		}
	}
	if a := &d.Agreement; a.V > 0 && a.State != agreement.Drafting && a.Digest.BlocksSHA256 != "" {
		r := a.Reading(string(p.ID))
		digest := a.Digest.SHA256()
		v.Me.SignedAt = signedAt(a, p.ID)
		v.Agreement = &MyAgreementView{
			V: a.V, State: a.State, SignMode: a.Mode, Blocks: list(a.Blocks), BlocksSHA256: a.Digest.BlocksSHA256, PDFSHA256: a.Digest.PDFSHA256,
			Digest: digest, Code: a.Digest.Code(), Read: list(r.Read), Unclear: list(r.Unclear), ReadbackOK: r.OKAt > 0, Tries: r.Tries,
			MediatorCalled: r.Called, MaySign: a.MaySign(string(p.ID), digest, identity(p, d.Session.ID)) == nil, EffectiveAt: instant(a.EffectiveAt),
		}
	}
	if c := k.Closing; c != nil {
		v.Closing = &MyClosingView{Code: c.Code, Routes: list(c.Routes)}
	}
	if d.Handoff != nil {
		v.ReceiptNo = d.Handoff.ReceiptNo
	}
	for _, f := range d.Files {
		if forParties(f) {
			v.Files = append(v.Files, MyFileView{Digest: f.Digest, Name: f.Name})
		}
	}
	return v, nil
}
