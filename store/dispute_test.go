package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/audit"
	"heyi/internal/coord/memcoord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/agreement/pdf/pdftest"
	"heyi/mediation/dispute"
	"heyi/mediation/flow"
	"heyi/mediation/paper"
	"heyi/mediation/parcel"
	"heyi/mediation/partylink"
	"heyi/mediation/proof"
	"heyi/mediation/session"
	"heyi/people"
	"heyi/store"
)

// talk is a dispute between a person at a TV and one who came by a link, with everything that speaks for them.
type talk struct {
	*house

	dockets *flow.Dockets
	finish  *flow.Finisher
	drawn   *papers
	tv      ident.DeviceID
	ticket  ident.TicketID
	session ident.SessionID
	id      string // of the dispute
	staff   flow.By
	a, b    flow.By
	mark    paper.Mark
}

// papers draws PDFs and fails when it is told to.
type papers struct {
	mu    sync.Mutex
	draw  func(paper.Paper) ([]byte, error)
	fails bool
	n     int
}

func (p *papers) render(x paper.Paper) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	if p.fails {
		return nil, errors.New("no font")
	}
	return p.draw(x)
}

func (h *house) newDockets(draw func(paper.Paper) ([]byte, error)) *flow.Dockets {
	h.t.Helper()
	units, err := h.store.Units(h.ctx())
	h.ok(err)
	tree, err := org.NewTree(units)
	h.ok(err)
	days, err := org.Holidays()
	h.ok(err)
	return flow.NewDockets(flow.DocketDeps{
		Store: h.store, Rooms: h.rooms, Nudges: h.nudges, Tree: tree, Calendar: days, Secrets: partylink.NewSecrets(make([]byte, 32)),
		Reauth: people.NewService(people.Config{Cost: people.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}}, people.Deps{Store: h.store, Limiter: memcoord.New(h.clock.Now), Now: h.clock.Now}),
		Render: draw, SealKey: h.store.SealKey, PublicURL: "https://heyi.example", TZ: time.FixedZone("CST", 8*3600), Now: h.clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
}

const secretWords = "correct horse battery"

// newTalk brings a consult so far that a dispute can be registered.
func newTalk(t *testing.T, h *house) *talk {
	t.Helper()
	renderer := pdftest.Renderer(t)
	k := &talk{house: h, drawn: &papers{draw: renderer.Render}, tv: h.tv[0]}
	k.dockets = h.newDockets(k.drawn.render)
	k.finish = &flow.Finisher{Dockets: k.dockets}
	k.staff = flow.By{Actor: byStaff(h.lawyer), Staff: h.lawyer, Unit: h.unit("150426000000")}
	k.a = flow.By{Actor: byTV(k.tv), Device: k.tv}
	k.mark = paper.Mark{W: 600, H: 300, Strokes: [][]int{{20, 20, 0, 200, 150, 40, 400, 60, 80, 560, 250, 120}}}
	ticket, id := h.call(k.tv, h.lawyer, mediation.Consult)
	k.ticket, k.session = ticket.ID, id
	h.live(id, media.RoleParty, media.AttachView, media.AttachCapture)
	h.live(id, media.RoleMediator, media.AttachFull)
	s := people.NewService(people.Config{Cost: people.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}}, people.Deps{Store: h.store, Limiter: memcoord.New(h.clock.Now), Now: h.clock.Now})
	h.ok(s.SetPassword(h.ctx(), h.lawyer, secretWords, mediation.Actor{Kind: mediation.ActorSystem, ID: "test"}))
	return k
}

func (k *talk) view() flow.DisputeView {
	k.t.Helper()
	v, err := k.dockets.Get(k.ctx(), k.staff, k.id)
	k.ok(err)
	return v
}

func (k *talk) mine(by flow.By) flow.MyDisputeView {
	k.t.Helper()
	v, err := k.dockets.Mine(k.ctx(), by)
	k.ok(err)
	return v
}

func (k *talk) register(category mediation.Category) {
	k.t.Helper()
	in := flow.ConvertBody{Key: newKey(), MediationKind: "people", Category: string(category), Facts: "草牧场到期没有归还", Requests: []string{"归还草牧场"}}
	in.Applicant.Name = "申请人甲"
	v, err := k.dockets.Convert(k.ctx(), k.staff, string(k.session), in)
	k.ok(err)
	again, err := k.dockets.Convert(k.ctx(), k.staff, string(k.session), in)
	k.ok(err)
	if again.ID != v.ID || again.Ver != v.Ver {
		k.t.Errorf("a repeat made %+v", again)
	}
	k.id = string(v.ID)
}

func (k *talk) yes(by flow.By) {
	k.t.Helper()
	for range 10 {
		asks := k.mine(by).Asks
		if len(asks) == 0 {
			return
		}
		in := flow.AnswerBody{Key: newKey(), AskID: asks[0].ID, Yes: true, Spoken: true}
		if asks[0].Kind == dispute.AskConsents {
			in.Items = map[string]bool{"online": true, "esign": true, "hand_off": true}
		}
		_, err := k.dockets.Answer(k.ctx(), by, in)
		k.ok(err)
	}
	k.t.Fatal("the questions never end")
}

func (k *talk) invite() {
	k.t.Helper()
	v, err := k.dockets.Invite(k.ctx(), k.staff, k.id, flow.InviteBody{Key: newKey(), Name: "被申请人乙", Phone: "13800138000", Role: "respondent", Side: "B"})
	k.ok(err)
	if v.Parties[1].Link.State != dispute.LinkInert || v.Parties[1].Link.URL != "" {
		k.t.Errorf("before the consent: %+v", v.Parties[1].Link)
	}
	k.yes(k.a)
	link := k.view().Parties[1].Link
	if link.State != dispute.LinkLive || !strings.HasPrefix(link.URL, "https://heyi.example/join/") || len(link.Code) != 9 || !strings.HasPrefix(link.QRSVG, "<svg") {
		k.t.Fatalf("after the consent: %+v", link)
	}
	k.b = flow.By{Actor: mediation.Actor{Kind: mediation.ActorParty, ID: string(link.ID)}, Link: link.ID}
	cmd := mediation.Command{Name: "link.redeem", Actor: k.b.Actor, At: k.now()}
	got, err := k.dockets.Redeem(k.ctx(), cmd, link.ID, "cookie of "+string(link.ID))
	k.ok(err)
	if got.State != partylink.Spent || string(got.Dispute) != k.id {
		k.t.Errorf("redeemed: %+v", got)
	}
	_, err = k.dockets.Redeem(k.ctx(), cmd, link.ID, "another")
	k.refused(err, "token.spent")
	k.live(k.session, media.RoleParty, media.AttachFull)
}

// identify writes down and checks a party in the check zone.
func (k *talk) identify(n int, idNo string) {
	k.t.Helper()
	p := k.view().Parties[n]
	v, err := k.dockets.SetPerson(k.ctx(), k.staff, k.id, string(p.ID), flow.PersonBody{
		Key: newKey(), Name: p.Name, IDNo: idNo, Phone: fmt.Sprint("1380013800", n), Sex: "男", Ethnic: "蒙古族", BirthYear: 1949, Address: "赤峰市", Occupation: "牧民",
	})
	k.ok(err)
	if got := v.Parties[n]; strings.Contains(fmt.Sprint(got), idNo) || !strings.Contains(got.IDNoMasked, "****") {
		k.t.Errorf("the number is not masked: %+v", got)
	}
	methods := []string{"card", "face"}
	if n > 0 {
		_, err = k.dockets.SendPhoneCode(k.ctx(), k.staff, k.id, string(p.ID), flow.KeyBody{Key: newKey()})
		k.ok(err)
		code := partylink.NewSecrets(make([]byte, 32)).PhoneCode(p.ID, k.now())
		wrong := flow.PhoneCodeBody{Key: newKey(), Code: "x"}
		for range 2 { // the repeat of a wrong try is the same wrong try
			_, err = k.dockets.PhoneCode(k.ctx(), k.b, wrong)
			k.refused(err, "identity.wrong_code")
		}
		_, err = k.dockets.PhoneCode(k.ctx(), k.b, flow.PhoneCodeBody{Key: newKey(), Code: code})
		k.ok(err)
		methods = append(methods, "phone_code")
	}
	in := flow.IdentityBody{Key: newKey(), Methods: methods, Passed: true}
	if n > 0 {
		_, err = k.dockets.VerifyIdentity(k.ctx(), k.staff, k.id, string(p.ID), in)
		k.refused(err, "identity.not_checking")
	}
	k.ok(k.dockets.Check(k.ctx(), k.cmd("session.check", k.staff.Actor, newKey()), k.lawyer, k.session, p.Participant))
	v, err = k.dockets.VerifyIdentity(k.ctx(), k.staff, k.id, string(p.ID), in)
	k.ok(err)
	if v.Parties[n].Identity == nil {
		k.t.Errorf("party %d is not verified", n)
	}
}

func (k *talk) joint() error {
	return k.dockets.Joint(k.ctx(), k.cmd("session.joint", k.staff.Actor, newKey()), k.lawyer, k.session)
}

// together brings the talk so far that everybody talks.
func (k *talk) together(category mediation.Category) {
	k.t.Helper()
	k.register(category)
	if v := k.view(); v.State != dispute.Registered || v.Blockers[0].Code != "dispute.convert_open" || len(k.mine(k.a).Asks) != 1 {
		k.t.Fatalf("registered: %+v", v)
	}
	k.refused(k.joint(), "dispute.convert_open")
	k.yes(k.a)
	s := k.situation(k.tv)
	if s.Session.Kind != session.Mediation || s.Session.State != session.Checking || s.Dispute == nil || string(s.Dispute.ID) != k.id {
		k.t.Fatalf("converted: %+v %+v", s.Session, s.Dispute)
	}
	k.invite()
	k.yes(k.b)
	_, err := k.dockets.Disclose(k.ctx(), k.staff, k.id, flow.DisclosureBody{Key: newKey(), Text: "我和双方没有亲属或利害关系"})
	k.ok(err)
	k.yes(k.a)
	k.yes(k.b)
	k.refused(k.joint(), "session.identity_missing")
	k.identify(0, "11010519491231002X")
	k.identify(1, "440524188001010014")
	k.ok(k.joint())
	k.ok(k.joint())
}

func (k *talk) draft(revision int64, fen int64) flow.DisputeView {
	k.t.Helper()
	parties := k.view().Parties
	in := flow.DraftBody{Revision: revision}
	in.Facts, in.Form = "双方因草牧场承包费发生争议。", "written"
	in.Clauses = []agreement.Clause{{
		ID: "c1", Kind: agreement.Pay, Who: string(parties[1].ID), To: string(parties[0].ID), What: "草牧场承包费", AmountFen: &fen, By: "2026-09-30",
		How: "银行转账，收款人申请人甲，账号6222000011112222", Late: "逾期每日按未付款的万分之五支付违约金", Tags: []agreement.Tag{}, TagsConfirmed: true,
	}}
	v, err := k.dockets.SaveDraft(k.ctx(), k.staff, k.id, in)
	k.ok(err)
	return v
}

func (k *talk) freeze() flow.DisputeView {
	k.t.Helper()
	v := k.draft(0, 1_200_000)
	if len(v.Agreement.Lint) > 0 {
		k.t.Fatalf("lint: %+v", v.Agreement.Lint)
	}
	_, err := k.dockets.SaveDraft(k.ctx(), k.staff, k.id, flow.DraftBody{Revision: 1})
	k.refused(err, "agreement.stale_revision")
	if k.mine(k.a).Agreement != nil {
		k.t.Error("a draft stands on a party's screen")
	}
	in := flow.FreezeBody{Key: newKey(), Revision: int64(v.Agreement.Revision)}
	v, err = k.dockets.Freeze(k.ctx(), k.staff, k.id, in)
	k.ok(err)
	drawn := k.drawn.n
	again, err := k.dockets.Freeze(k.ctx(), k.staff, k.id, in)
	k.ok(err)
	if again.Agreement.Digest != v.Agreement.Digest || again.Ver != v.Ver || k.drawn.n != drawn {
		k.t.Error("a repeat froze it anew")
	}
	return v
}

func (k *talk) readAll(by flow.By) {
	k.t.Helper()
	a := k.mine(by).Agreement
	_, err := k.dockets.Readback(k.ctx(), by, flow.ReadbackBody{Key: newKey(), Digest: a.Digest, Code: a.Code})
	k.refused(err, "agreement.readback_incomplete")
	for _, b := range a.Blocks {
		_, err := k.dockets.Read(k.ctx(), by, flow.ReadBody{Key: newKey(), Digest: a.Digest, Clause: b.N})
		k.ok(err)
	}
	wrong := flow.ReadbackBody{Key: newKey(), Digest: a.Digest, Code: "000000"}
	if a.Code == wrong.Code {
		wrong.Code = "000001"
	}
	for range 2 {
		_, err = k.dockets.Readback(k.ctx(), by, wrong)
		k.refused(err, "agreement.wrong_code")
	}
	v, err := k.dockets.Readback(k.ctx(), by, flow.ReadbackBody{Key: newKey(), Digest: a.Digest, Code: a.Code})
	k.ok(err)
	if !v.Agreement.ReadbackOK || v.Agreement.Tries != 0 {
		k.t.Errorf("read back: %+v", v.Agreement)
	}
}

func (k *talk) sign(by flow.By) error {
	a := k.mine(by).Agreement
	_, err := k.dockets.Sign(k.ctx(), by, flow.SignBody{Key: newKey(), Digest: a.Digest, Mark: k.mark})
	return err
}

// From a consult to a sealed agreement in the outbox; then the receipt.
func TestSignedAndDelivered(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k := newTalk(t, h)
		k.together(mediation.Contract)
		v := k.view()
		if v.Number != "(2026)赤翁人调字第000001号" || v.State != dispute.Mediating || *v.DeadlineOn != "2026-04-01" || len(v.Blockers) != 0 {
			t.Fatalf("accepted: %s %s %v", v.Number, v.State, v.Blockers)
		}
		if s := h.situation(k.tv); s.Session.State != session.Joint {
			t.Errorf("the session is %s", s.Session.State)
		}
		k.refused(h.control(h.lawyer, k.session, flow.OpEnd), "session.dispute_open")
		_, err := k.dockets.Say(h.ctx(), k.staff, k.id, flow.StatementBody{Key: newKey(), Kind: dispute.UndisputedFact, Text: "承包期已满\u1234"}) // a letter that no font has
		h.ok(err)
		digest := k.freeze().Agreement.Digest
		h.nudges.got("", 0)
		_, err = k.dockets.Unclear(h.ctx(), k.a, flow.ReadBody{Key: newKey(), Digest: digest, Clause: 4, On: true})
		h.ok(err)
		if !h.nudges.got("staff/"+string(h.lawyer), wire.DisputeState) || !slices.Equal(k.view().Parties[0].Unclear, []int{4}) {
			t.Error("the desk does not show what is unclear")
		}
		k.readAll(k.a)
		k.readAll(k.b)

		// A signs on a phone by a one-use link, B on his own
		k.refused(k.sign(k.a), "agreement.sign_elsewhere")
		over, err := k.dockets.Handover(h.ctx(), k.a, flow.KeyBody{Key: newKey()})
		h.ok(err)
		if !strings.HasPrefix(over.URL, "https://heyi.example/s/") || over.ExpiresAt != h.now()+600e6 {
			t.Errorf("hand-over %+v", over)
		}
		found, err := h.store.FindLink(h.ctx(), partylink.Secret{Hash: partylink.Hash(strings.TrimPrefix(over.URL, "https://heyi.example/s/"))})
		h.ok(err)
		phone := flow.By{Actor: mediation.Actor{Kind: mediation.ActorParty, ID: string(found.ID)}, Link: found.ID}
		_, err = k.dockets.Mine(h.ctx(), phone)
		h.refused(err, "dispute.none")
		_, err = k.dockets.Redeem(h.ctx(), mediation.Command{Name: "link.redeem", Actor: phone.Actor, At: h.now()}, found.ID, "phone")
		h.ok(err)
		if m := k.mine(phone); m.Me.Party != k.mine(k.a).Me.Party || !m.Agreement.MaySign {
			t.Fatalf("the phone acts for %+v", m.Me)
		}
		_, err = k.dockets.MediatorSign(h.ctx(), k.staff, k.id, flow.MediatorSignBody{Key: newKey(), Digest: digest, Password: secretWords, Mark: k.mark})
		h.refused(err, "agreement.readback_incomplete")
		h.ok(k.sign(phone))
		h.refused(k.sign(phone), "agreement.already_signed")
		h.ok(k.sign(k.b))
		_, err = k.dockets.MediatorSign(h.ctx(), k.staff, k.id, flow.MediatorSignBody{Key: newKey(), Digest: digest, Password: "wrong wrong", Mark: k.mark})
		h.refused(err, "agreement.reauth_required")
		v, err = k.dockets.MediatorSign(h.ctx(), k.staff, k.id, flow.MediatorSignBody{Key: newKey(), Digest: digest, Password: secretWords, Mark: k.mark})
		h.ok(err)
		if v.Agreement.State != agreement.MediatorSigned {
			t.Fatalf("%s", v.Agreement.State)
		}
		_, err = k.dockets.Withdraw(h.ctx(), k.b, flow.KeyBody{Key: newKey()})
		h.refused(err, "agreement.state")

		// the seal follows by itself; when it fails nothing is half done
		k.drawn.fails = true
		if err := k.finish.Step(h.ctx()); err == nil {
			t.Error("a paper that cannot be drawn is no error")
		}
		if v = k.view(); v.State != dispute.Mediating || v.Handoff != nil || len(v.Files) != 1 {
			t.Fatalf("after a failure: %s %+v %+v", v.State, v.Handoff, v.Files)
		}
		k.drawn.fails = false
		h.ok(k.finish.Step(h.ctx()))
		h.ok(k.finish.Step(h.ctx()))
		v = k.view()
		if v.State != dispute.Agreed || v.Agreement.State != agreement.Effective || v.Handoff == nil || v.Handoff.State != "queued" || *v.ConfirmLastOn != "2026-04-01" {
			t.Fatalf("finalised: %s %+v %v", v.State, v.Handoff, v.ConfirmLastOn)
		}
		names := []string{}
		for _, f := range v.Files {
			names = append(names, f.Name)
		}
		if want := []string{"01-受理登记表.pdf", "02-权利义务告知书.pdf", "03-身份证明.pdf", "07-调解记录.pdf", "08-人民调解协议书.pdf", "08-签署本.pdf", "08-签署证据页.pdf"}; !slices.Equal(names, want) {
			t.Errorf("files %v", names)
		}
		k.checkPackage(digest)
		my := k.mine(k.b)
		if len(my.Files) != 3 || my.Agreement.State != agreement.Effective {
			t.Errorf("what B may keep: %+v", my.Files)
		}
		for _, f := range my.Files {
			got, err := k.dockets.MyFile(h.ctx(), k.b, f.Digest)
			h.ok(err)
			if !bytes.HasPrefix(got.Content, []byte("%PDF-")) {
				t.Errorf("%s is no PDF", f.Name)
			}
		}
		_, err = k.dockets.MyFile(h.ctx(), k.b, v.Files[2].Digest)
		h.refused(err, "file.none")
		_, err = k.dockets.File(h.ctx(), flow.By{Staff: h.second, Unit: h.unit("150430000000")}, k.id, v.Files[0].Digest)
		h.refused(err, "dispute.none")

		// the receipt
		h.ok(h.store.Write(h.ctx(), func(t *store.Tx) error {
			_, err := t.Exec(`UPDATE handoff SET state = 'verified', receipt_no = 'R-150426000000-20260302-000001' WHERE subject = $1`, k.id)
			return err
		}))
		h.ok(k.finish.Step(h.ctx()))
		if my = k.mine(k.b); my.State != dispute.HandedOff || my.ReceiptNo == "" {
			t.Errorf("after the receipt: %s %q", my.State, my.ReceiptNo)
		}
		k.texts(map[string]int{"invite": 1, "phone_code": 1, "receipt": 2, "confirm": 6})

		h.ok(h.control(h.lawyer, k.session, flow.OpEnd))
		h.ok(h.flow.WrapUp(h.ctx(), h.cmd("session.wrap_up", k.staff.Actor, newKey()), h.lawyer, k.session, "served"))
		if got := h.ticket(k.ticket); got.Outcome != "converted" {
			t.Errorf("the ticket ended as %s", got.Outcome)
		}
		if s := h.situation(k.tv); s.Dispute == nil {
			t.Error("in his visit he still sees the dispute")
		}
		types := h.chain("dispute", k.id)
		for _, want := range []string{"dispute.register", "dispute.accepted", "consent.answered", "identity.check", "agreement.frozen", "agreement.party_signed", "agreement.effective", "dispute.receipt"} {
			if !slices.Contains(types, want) {
				t.Errorf("no event %s", want)
			}
		}
		h.chain("session", string(k.session))
		k.noPersonalData()
	})
}

// checkPackage reads what stands in the outbox as its receiver would.
func (k *talk) checkPackage(digest string) {
	k.t.Helper()
	row, found, err := k.store.HandoffOf(k.ctx(), k.id)
	k.ok(err)
	if !found || row.Kind != parcel.Dossier {
		k.t.Fatalf("no package: %+v", row)
	}
	p, err := k.store.HandoffPackage(k.ctx(), row.ID)
	k.ok(err)
	body, err := parcel.Write(p.Payload, p.Signatures, p.Files)
	k.ok(err)
	got, err := parcel.Read(body)
	k.ok(err)
	k.ok(got.CheckSeal())
	m := got.Manifest
	if m.Number == "" || m.ClosingCode != "1" || m.AmountFen != 1_200_000 || m.FollowupOn != "2026-10-07" || len(m.Parties) != 2 || m.Parties[0].IDHMAC == "" || !m.HandOffConsent {
		k.t.Errorf("manifest %+v", m)
	}
	if len(got.Signed.Signatures) != 3 {
		k.t.Errorf("signatures %+v", got.Signed.Signatures)
	}
	for _, s := range got.Signed.Signatures {
		if s.Digest != digest || s.Name == "" {
			k.t.Errorf("signature %+v", s)
		}
	}
	var events []audit.Event
	for _, f := range got.Files {
		if f.Name == "events.json" {
			events, err = audit.Import(f.Body)
			k.ok(err)
		}
	}
	if len(events) < 20 {
		k.t.Errorf("%d events in the dossier", len(events))
	}
	keys, err := k.store.SealKeys(k.ctx())
	k.ok(err)
	if r := proof.Check([]proof.File{{Name: "package.tar", Body: body}}, &keys, digest); !r.OK {
		k.t.Errorf("the package does not verify: %+v", r.Findings)
	}
}

// texts counts what was queued for people's phones.
func (k *talk) texts(want map[string]int) {
	k.t.Helper()
	for template, n := range want {
		var got int
		k.ok(k.store.One(k.ctx(), `SELECT count(*) FROM notice_out WHERE subject_id = $1 AND template = $2`, []any{k.id, template}, &got))
		if got != n {
			k.t.Errorf("%d texts %s, want %d", got, template, n)
		}
	}
}

// noPersonalData looks for the canaries of this talk in everything that is not sealed (D6).
func (k *talk) noPersonalData() {
	k.t.Helper()
	for _, canary := range []string{"申请人甲", "被申请人乙", "11010519491231002X", "13800138001", "草牧场", "承包期已满", "6222000011112222"} {
		for _, q := range []string{
			`SELECT count(*) FROM event WHERE data LIKE $1`,
			`SELECT count(*) FROM session_member WHERE name LIKE $1`,
			`SELECT count(*) FROM room_placement WHERE spec LIKE $1`,
			`SELECT count(*) FROM dispute WHERE number LIKE $1 OR closing_code LIKE $1`,
		} {
			var n int
			k.ok(k.store.One(k.ctx(), q, []any{"%" + canary + "%"}, &n))
			if n > 0 {
				k.t.Errorf("%s stands open: %s", canary, q)
			}
		}
	}
}

// A family matter goes by paper: nobody signs electronically, the attested day is the effective day.
func TestAFamilyMatterIsSignedOnPaper(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k := newTalk(t, h)
		k.together(mediation.Family)
		v := k.freeze()
		if v.Agreement.SignMode != agreement.OnPaper {
			t.Fatalf("mode %s", v.Agreement.SignMode)
		}
		k.readAll(k.b)
		h.refused(k.sign(k.b), "agreement.paper_required")
		_, err := k.dockets.MediatorSign(h.ctx(), k.staff, k.id, flow.MediatorSignBody{Key: newKey(), Digest: v.Agreement.Digest, Password: secretWords, Mark: k.mark})
		h.refused(err, "agreement.paper_required")
		in := flow.PaperBody{Key: newKey(), Password: secretWords, SignedOn: "2026-03-02", Scan: []byte("GIF89a")}
		_, err = k.dockets.Paper(h.ctx(), k.staff, k.id, in)
		h.refused(err, "agreement.bad_scan")
		in.Scan = []byte("%PDF-1.7\nscan")
		wrong := in
		wrong.SignedOn = "2026-03-03"
		_, err = k.dockets.Paper(h.ctx(), k.staff, k.id, wrong)
		h.refused(err, "agreement.signed_on")
		in.Key = newKey()
		_, err = k.dockets.Paper(h.ctx(), k.staff, k.id, in)
		h.ok(err)
		h.ok(k.finish.Step(h.ctx()))
		v = k.view()
		if v.State != dispute.Agreed || v.ConfirmLastOn != nil || v.Handoff == nil || len(v.Files) != 6 {
			t.Fatalf("finalised: %s %v %+v", v.State, v.ConfirmLastOn, v.Files)
		}
		h.ok(h.control(h.lawyer, k.session, flow.OpEnd))
		h.chain("dispute", k.id)
	})
}

// A party who will not sign ends the dispute; the others' signatures are worth nothing, the routes are told, the
// dossier goes out with its record of how it ended.
func TestAPartyRefusesToSign(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k := newTalk(t, h)
		k.together(mediation.Contract)
		k.freeze()
		k.readAll(k.b)
		h.ok(k.sign(k.b))
		v, err := k.dockets.Revise(h.ctx(), k.staff, k.id, flow.KeyBody{Key: newKey()})
		h.ok(err)
		if v.Agreement.V != 2 || v.Agreement.State != agreement.Drafting || len(v.Agreement.Signed) != 0 {
			t.Fatalf("revised: %+v", v.Agreement)
		}
		v = k.draft(int64(v.Agreement.Revision), 900_000)
		v, err = k.dockets.Freeze(h.ctx(), k.staff, k.id, flow.FreezeBody{Key: newKey(), Revision: int64(v.Agreement.Revision)})
		h.ok(err)
		if len(v.Files) != 2 || v.Files[0].Digest == v.Files[1].Digest {
			t.Errorf("files of two versions: %+v", v.Files)
		}
		my, err := k.dockets.Refuse(h.ctx(), k.a, flow.RefuseBody{Key: newKey(), Reason: "数额不对"})
		h.ok(err)
		if my.Closing == nil || my.Closing.Code != "7" || len(my.Closing.Routes) == 0 || my.State != dispute.Terminated {
			t.Fatalf("refused: %+v", my)
		}
		h.refused(h.control(h.lawyer, k.session, flow.OpEnd), "dispute.guidance_missing")
		in := flow.GuidanceBody{Key: newKey(), How: "read_aloud"}
		v, err = k.dockets.Guide(h.ctx(), k.staff, k.id, in)
		h.ok(err)
		again, err := k.dockets.Guide(h.ctx(), k.staff, k.id, in)
		h.ok(err)
		if v.State != dispute.Guided || v.Handoff == nil || again.Handoff.DeliveryID != v.Handoff.DeliveryID || again.Ver != v.Ver {
			t.Fatalf("guided: %s %+v", v.State, v.Handoff)
		}
		if !slices.ContainsFunc(v.Files, func(f flow.FileView) bool { return f.Paper == 12 }) {
			t.Errorf("no record of the end: %+v", v.Files)
		}
		var n int
		h.ok(h.store.One(h.ctx(), `SELECT count(*) FROM handoff WHERE subject = $1`, []any{k.id}, &n))
		if n != 1 {
			t.Errorf("%d packages", n)
		}
		h.ok(h.control(h.lawyer, k.session, flow.OpEnd))
		h.chain("dispute", k.id)
	})
}

// Before the acceptance a no ends it without number and dossier, and the consult goes on.
func TestAConsultStaysAConsult(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k := newTalk(t, h)
		k.register(mediation.Contract)
		_, err := k.dockets.Answer(h.ctx(), k.a, flow.AnswerBody{Key: newKey(), AskID: k.mine(k.a).Asks[0].ID})
		h.ok(err)
		v := k.view()
		if v.State != dispute.NotAccepted || v.Number != "" || h.situation(k.tv).Session.Kind != session.Consult {
			t.Fatalf("%s %q", v.State, v.Number)
		}
		in := flow.ConvertBody{Key: newKey(), MediationKind: "people", Category: "contract", Facts: "再试一次"}
		in.Applicant.Name = "申请人甲"
		again, err := k.dockets.Convert(h.ctx(), k.staff, string(k.session), in)
		h.ok(err)
		if string(again.ID) == k.id {
			t.Error("the same dispute")
		}
		in.Key = newKey()
		_, err = k.dockets.Convert(h.ctx(), k.staff, string(k.session), in)
		h.refused(err, "dispute.exists")
		k.id = string(again.ID)
		my, err := k.dockets.Withdraw(h.ctx(), k.a, flow.KeyBody{Key: newKey()})
		h.ok(err)
		if my.State != dispute.NotAccepted {
			t.Errorf("%s", my.State)
		}
		v, err = k.dockets.Guide(h.ctx(), k.staff, k.id, flow.GuidanceBody{Key: newKey(), How: "shown"})
		h.ok(err)
		if v.State != dispute.Closed || v.Handoff != nil {
			t.Errorf("%s %+v", v.State, v.Handoff)
		}
		h.ok(h.control(h.lawyer, k.session, flow.OpEnd))
	})
}

// Strangers find nothing: another terminal, another mediator of the same unit for commands, another county for looks.
func TestADisputeIsNobodyElses(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k := newTalk(t, h)
		k.register(mediation.Contract)
		_, err := k.dockets.Mine(h.ctx(), flow.By{Actor: byTV(h.tv[1]), Device: h.tv[1]})
		h.refused(err, "dispute.none")
		other := flow.By{Actor: byStaff(h.second), Staff: h.second, Unit: h.unit("150426000000")}
		_, err = k.dockets.Get(h.ctx(), other, k.id)
		h.ok(err)
		_, err = k.dockets.Disclose(h.ctx(), other, k.id, flow.DisclosureBody{Key: newKey(), Text: "x"})
		h.refused(err, "dispute.none")
		_, err = k.dockets.Get(h.ctx(), flow.By{Staff: h.second, Unit: h.unit("150430000000")}, k.id)
		h.refused(err, "dispute.none")
		_, err = k.dockets.Get(h.ctx(), k.staff, "nothing")
		h.refused(err, "dispute.none")
		_, err = k.dockets.Get(h.ctx(), k.staff, newKey())
		h.refused(err, "dispute.none")
		_, err = k.dockets.Mine(h.ctx(), flow.By{Link: ident.LinkID(newKey())})
		h.refused(err, "dispute.none")
		h.refused(k.dockets.Joint(h.ctx(), h.cmd("session.joint", other.Actor, newKey()), h.second, k.session), "session.none")
	})
}

// Fifty acceptances at once, a third of which fail after they drew: numbers are gap-free per committee and year (D11).
func TestDisputeNumbersAreGapFree(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		const n = 50
		unit := h.unit("150426000000")
		for i := range n {
			h.standing(i, unit)
		}
		var group sync.WaitGroup
		fails := errors.New("the process dies here")
		for i := range n {
			for _, year := range []int{2026, 2027} {
				group.Go(func() {
					ref := flow.DocketRef{Dispute: ident.DisputeID(standingID("d", i, year))}
					accept := func(dies bool) error {
						cmd := mediation.System("session.joint", "test", h.now())
						_, err := h.store.ChangeDocket(h.ctx(), cmd, ref, func(d *flow.Docket) error {
							serial, err := d.Serial(year)
							if err != nil {
								return err
							}
							if dies {
								return fails
							}
							return d.Dispute.Accepted("赤翁", serial, time.Date(year, 3, 2, 0, 0, 0, 0, time.UTC))
						})
						return err
					}
					if i%3 == 0 {
						if err := accept(true); !errors.Is(err, fails) {
							t.Errorf("%v", err)
						}
					}
					for { // a busy database asks to come again
						err := accept(false)
						if fault.KindOf(err) == fault.Unavailable {
							continue
						}
						if err != nil {
							t.Error(err)
						}
						return
					}
				})
			}
		}
		group.Wait()
		for _, year := range []int{2026, 2027} {
			var count, least, most int
			h.ok(h.store.One(h.ctx(), `SELECT count(*), min(serial), max(serial) FROM dispute WHERE year = $1 AND unit_id = $2`, []any{year, unit}, &count, &least, &most))
			if count != n || least != 1 || most != n {
				t.Errorf("%d: %d numbers from %d to %d", year, count, least, most)
			}
		}
	})
}

func standingID(what string, n, year int) string {
	return fmt.Sprintf("00000000-0000-7000-8000-%s%03d%08d", map[string]string{"d": "d", "s": "e", "t": "f"}[what], n, year)
}

// standing makes two disputes that wait to be accepted, in sessions of their own.
func (h *house) standing(n int, unit ident.UnitID) {
	h.t.Helper()
	tv := h.install(100+n, "150426106201", true)
	for _, year := range []int{2026, 2027} {
		ticket := ident.TicketID(standingID("t", n, year))
		h.ok(h.store.Write(h.ctx(), func(t *store.Tx) error {
			_, err := t.Exec(`INSERT INTO ticket (id, ver, no, kind, mode, device_id, visit_id, holder_key, unit_id, county_id, path, place, terminal, category, lang, class,
				enqueued_at, rank_at, since_at, shown_ahead, state, at) VALUES ($1, 1, 'A', 'mediate', 'hold', $2, '', $3, $4, $4, '', '[]', '', 'contract', 'zh', 'normal', 1, 1, 1, 0, 'done', 1)`,
				ticket, tv, fmt.Sprint("x/", n, year), unit)
			return err
		}))
		k := session.New(session.Mediation, ticket, unit, tv, session.Staff{ID: h.lawyer, Name: "m"}, testNode, h.now())
		k.ID = ident.SessionID(standingID("s", n, year))
		h.ok(h.store.Write(h.ctx(), func(t *store.Tx) error { return t.InsertSession(mediation.System("test", "test", h.now()), k) }))
		_, err := h.store.ChangeDocket(h.ctx(), mediation.System("dispute.register", "test", h.now()), flow.DocketRef{Session: k.ID}, func(d *flow.Docket) error {
			made, err := dispute.New(dispute.Registration{Kind: dispute.People, Category: mediation.Contract, Name: "甲", Facts: "事", Participant: k.Members[0].ID, Mediation: true}, h.now())
			if err != nil {
				return err
			}
			made.ID, made.Session, made.Ticket, made.Device, made.Unit, made.Mediator = ident.DisputeID(standingID("d", n, year)), k.ID, ticket, tv, unit, h.lawyer
			if _, err := made.Invite(dispute.Person{Name: "乙", Phone: "13800138000"}, dispute.Respondent, dispute.SideB, h.now()); err != nil {
				return err
			}
			made.Links[0].TokenHash, made.Links[0].CodeHash = newKey(), newKey()
			d.Dispute = made
			return nil
		})
		h.ok(err)
	}
}
