package agreement_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/paper"
)

func hand() paper.Mark {
	return paper.Mark{W: 600, H: 240, Strokes: [][]int{{100, 60, 0, 300, 60, 10, 120, 180, 20}, {400, 50, 70, 480, 60, 80}}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func china() *time.Location { return time.FixedZone("CST", 8*3600) }

func noon(day int) int64 { return time.Date(2026, 9, day, 12, 0, 0, 0, china()).UnixMicro() }

// at brings an agreement into a state by its own commands.
func at(t *testing.T, s agreement.State, m agreement.Meta) agreement.Agreement {
	t.Helper()
	a := agreement.New(ident.New[ident.AgreementID](), 1)
	if s == agreement.Drafting {
		must(t, a.Revise(1, draft(pay()), m))
		return a
	}
	must(t, a.Revise(1, draft(pay()), m))
	blocks, err := a.Prepare(2, m, today)
	must(t, err)
	must(t, a.Freeze(blocks, []byte("%PDF"), m, noon(1)))
	steps := []func(){
		func() { sign(t, &a, "a", m, noon(2)) },
		func() {
			sign(t, &a, "b", m, noon(3))
			must(t, a.SignMediator(byMediator(a, noon(4)), true))
		},
		func() { must(t, a.Seal("kid", agreement.ThreeSignatures, noon(5))) },
	}
	for i, want := range []agreement.State{agreement.Frozen, agreement.Signing, agreement.MediatorSigned, agreement.Effective} {
		if want == s {
			break
		}
		if i < len(steps) && s != agreement.Withdrawn && s != agreement.Replaced {
			steps[i]()
		}
	}
	switch s { //nolint:exhaustive // the others are reached above
	case agreement.Withdrawn:
		must(t, a.Withdraw())
	case agreement.Replaced:
		_, err := a.Next("next")
		must(t, err)
	}
	if a.State != s {
		t.Fatalf("state %s, want %s", a.State, s)
	}
	return a
}

func read(t *testing.T, a *agreement.Agreement, party string, when int64) {
	t.Helper()
	for _, n := range a.MustRead() {
		must(t, a.Read(party, a.Digest.SHA256(), n))
	}
	ok, err := a.ReadBack(party, a.Digest.SHA256(), a.Digest.Code(), when)
	must(t, err)
	if !ok {
		t.Fatal("the right code is wrong")
	}
}

func bySignature(a agreement.Agreement, party string, when int64) agreement.Signature {
	return agreement.Signature{Party: party, Digest: a.Digest.SHA256(), Mark: hand(), Channel: "sign_link", IdentityCheck: "card,face", At: when}
}

func byMediator(a agreement.Agreement, when int64) agreement.Signature {
	return agreement.Signature{Party: "staff", Digest: a.Digest.SHA256(), Mark: hand(), Channel: "desk", At: when}
}

func sign(t *testing.T, a *agreement.Agreement, party string, m agreement.Meta, when int64) {
	t.Helper()
	read(t, a, party, when)
	must(t, a.Sign(bySignature(*a, party, when), m))
}

func TestFromDraftToEffective(t *testing.T) {
	t.Parallel()
	a := at(t, agreement.Effective, meta())
	if a.EffectiveAt != noon(5) || a.SealKID != "kid" || !a.AllSigned() {
		t.Errorf("effective at %d, %+v", a.EffectiveAt, a)
	}
	entries := a.Entries(map[string]string{"a": "王建国", "b": "乙", "staff": "丙"})
	if len(entries) != 3 || entries[2].Role != "mediator" || entries[2].Name != "丙" || entries[0].MarkSHA256 == "" {
		t.Errorf("entries %+v", entries)
	}
	if f := a.Record(nil).Check(); f != "" {
		t.Errorf("record: %s", f)
	}
}

// TestEveryStateAndEvent lists what each state allows; everything else refuses and changes nothing (D14).
func TestEveryStateAndEvent(t *testing.T) {
	t.Parallel()
	type S = agreement.State
	m := meta()
	events := map[string]struct {
		ok []S
		do func(a *agreement.Agreement) error
	}{
		"revise": {[]S{agreement.Drafting}, func(a *agreement.Agreement) error { return a.Revise(a.Revision, draft(pay()), m) }},
		"freeze": {[]S{agreement.Drafting}, func(a *agreement.Agreement) error {
			blocks, err := a.Prepare(a.Revision, m, today)
			if err != nil {
				return err
			}
			return a.Freeze(blocks, []byte("%PDF"), m, noon(1))
		}},
		"read":    {[]S{agreement.Frozen, agreement.Signing}, func(a *agreement.Agreement) error { return a.Read("b", a.Digest.SHA256(), 3) }},
		"unclear": {[]S{agreement.Frozen, agreement.Signing}, func(a *agreement.Agreement) error { return a.Unclear("b", a.Digest.SHA256(), 3, true) }},
		"party signs": {[]S{agreement.Frozen, agreement.Signing}, func(a *agreement.Agreement) error {
			c := *a
			for _, n := range c.MustRead() {
				if err := c.Read("b", c.Digest.SHA256(), n); err != nil {
					return err
				}
			}
			if _, err := c.ReadBack("b", c.Digest.SHA256(), c.Digest.Code(), 1); err != nil {
				return err
			}
			if err := c.Sign(bySignature(c, "b", 1), m); err != nil {
				return err
			}
			*a = c
			return nil
		}},
		"mediator signs": {nil, func(a *agreement.Agreement) error { return a.SignMediator(byMediator(*a, 1), true) }},
		"seal":           {[]S{agreement.MediatorSigned}, func(a *agreement.Agreement) error { return a.Seal("kid", agreement.ThreeSignatures, noon(9)) }},
		"withdraw":       {[]S{agreement.Drafting, agreement.Frozen, agreement.Signing}, func(a *agreement.Agreement) error { return a.Withdraw() }},
		"next version":   {[]S{agreement.Frozen, agreement.Signing}, func(a *agreement.Agreement) error { _, err := a.Next("n"); return err }},
		"attest paper": {nil, func(a *agreement.Agreement) error {
			return a.AttestPaper(agreement.Attestation{SignedOn: today, At: noon(1)}, china())
		}},
	}
	states := []S{agreement.Drafting, agreement.Frozen, agreement.Signing, agreement.MediatorSigned, agreement.Effective, agreement.Withdrawn, agreement.Replaced}
	for name, e := range events {
		for _, s := range states {
			a := at(t, s, m)
			before := a.State
			err := e.do(&a)
			if want := slices.Contains(e.ok, s); (err == nil) != want {
				t.Errorf("%s in %s: %v", name, s, err)
			}
			if err != nil && a.State != before {
				t.Errorf("%s in %s was refused and moved it to %s", name, s, a.State)
			}
		}
	}
}

func TestWhoMaySign(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prepare func(*testing.T, *agreement.Agreement)
		change  func(*agreement.Signature)
		meta    func(*agreement.Meta)
		code    string
	}{
		"a stranger":             {nil, func(s *agreement.Signature) { s.Party = "x" }, nil, "agreement.not_a_party"},
		"the digest of another":  {nil, func(s *agreement.Signature) { s.Digest = s.Digest[1:] + "0" }, nil, "agreement.wrong_digest"},
		"identity not checked":   {nil, func(s *agreement.Signature) { s.IdentityCheck = "" }, nil, "session.identity_missing"},
		"code not keyed":         {func(_ *testing.T, a *agreement.Agreement) { a.Readings = nil }, nil, nil, "agreement.readback_incomplete"},
		"no mark":                {nil, func(s *agreement.Signature) { s.Mark = paper.Mark{} }, nil, "paper.mark"},
		"signed before":          {func(t *testing.T, a *agreement.Agreement) { must(t, a.Sign(bySignature(*a, "a", 1), meta())) }, nil, nil, "agreement.already_signed"},
		"consent taken back now": {nil, nil, func(m *agreement.Meta) { m.Parties[1].ESign = false }, "agreement.paper_required"},
		"family since":           {nil, nil, func(m *agreement.Meta) { m.Category = mediation.Family }, "agreement.paper_required"},
		"all right":              {nil, nil, nil, "internal"},
	} {
		a := at(t, agreement.Frozen, meta())
		read(t, &a, "a", noon(2))
		if tt.prepare != nil {
			tt.prepare(t, &a)
		}
		s, m := bySignature(a, "a", noon(2)), meta()
		if tt.change != nil {
			tt.change(&s)
		}
		if tt.meta != nil {
			tt.meta(&m)
		}
		n := len(a.Signatures)
		err := a.Sign(s, m)
		if tt.code == "internal" {
			must(t, err)
			continue
		}
		if fault.CodeOf(err) != tt.code || len(a.Signatures) != n {
			t.Errorf("%s: %v, %d signatures", name, err, len(a.Signatures))
		}
	}
}

func TestReadBack(t *testing.T) {
	t.Parallel()
	a := at(t, agreement.Frozen, meta())
	d := a.Digest.SHA256()
	if _, err := a.ReadBack("a", d, a.Digest.Code(), 1); fault.CodeOf(err) != "agreement.readback_incomplete" {
		t.Errorf("nothing read: %v", err)
	}
	unread := a.MustRead()
	for _, n := range unread[1:] {
		must(t, a.Read("a", d, n))
	}
	if _, err := a.ReadBack("a", d, a.Digest.Code(), 1); fault.CodeOf(err) != "agreement.readback_incomplete" {
		t.Errorf("one block unread: %v", err)
	}
	must(t, a.Read("a", d, unread[0]))
	must(t, a.Read("a", d, unread[0]))
	if got := a.Reading("a").Read; !slices.Equal(got, unread) {
		t.Errorf("read %v, want %v", got, unread)
	}
	wrong := "000000"
	if a.Digest.Code() == wrong {
		wrong = "000001"
	}
	for i := 1; i <= 4; i++ {
		ok, err := a.ReadBack("a", d, wrong, 1)
		must(t, err)
		if r := a.Reading("a"); ok || r.Tries != i || r.Called != (i >= agreement.MaxTries) || r.OKAt != 0 {
			t.Errorf("try %d: %v %+v", i, ok, r)
		}
	}
	if ok, err := a.ReadBack("a", d, a.Digest.Code(), 7); err != nil || !ok || a.Reading("a").OKAt != 7 || a.Reading("a").Called {
		t.Errorf("right code: %v %v %+v", ok, err, a.Reading("a"))
	}
	if _, err := a.ReadBack("a", a.Digest.BlocksSHA256, a.Digest.Code(), 8); fault.CodeOf(err) != "agreement.wrong_digest" {
		t.Errorf("stale screen: %v", err)
	}
	must(t, a.Unclear("a", d, 3, true))
	must(t, a.Unclear("a", d, 5, true))
	must(t, a.Unclear("a", d, 3, false))
	if got := a.Reading("a").Unclear; !slices.Equal(got, []int{5}) {
		t.Errorf("unclear %v", got)
	}
	for _, n := range []int{0, len(a.Blocks) + 1} {
		if err := a.Read("a", d, n); fault.CodeOf(err) != "agreement.block" {
			t.Errorf("block %d: %v", n, err)
		}
	}
	if len(a.Reading("b").Read) != 0 {
		t.Error("b read what a read")
	}
}

func TestMediatorSignsLast(t *testing.T) {
	t.Parallel()
	m := meta()
	a := at(t, agreement.Signing, m)
	if err := a.SignMediator(byMediator(a, 1), true); fault.CodeOf(err) != "agreement.readback_incomplete" {
		t.Errorf("a party is missing: %v", err)
	}
	sign(t, &a, "b", m, noon(3))
	for name, tt := range map[string]struct {
		s      agreement.Signature
		reauth bool
		code   string
	}{
		"not proved again":      {byMediator(a, 1), false, "agreement.reauth_required"},
		"the digest of another": {func() agreement.Signature { s := byMediator(a, 1); s.Digest = "x"; return s }(), true, "agreement.wrong_digest"},
		"no mark":               {func() agreement.Signature { s := byMediator(a, 1); s.Mark = paper.Mark{}; return s }(), true, "paper.mark"},
	} {
		if err := a.SignMediator(tt.s, tt.reauth); fault.CodeOf(err) != tt.code || a.Mediator != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, a.SignMediator(byMediator(a, 1), true))
	if err := a.SignMediator(byMediator(a, 1), true); fault.CodeOf(err) != "agreement.already_signed" {
		t.Errorf("twice: %v", err)
	}
}

func TestStaleRevision(t *testing.T) {
	t.Parallel()
	a := at(t, agreement.Drafting, meta())
	if err := a.Revise(1, draft(), meta()); fault.CodeOf(err) != "agreement.stale_revision" || fault.KindOf(err) != fault.Stale {
		t.Errorf("revise: %v", err)
	}
	if _, err := a.Prepare(1, meta(), today); fault.CodeOf(err) != "agreement.stale_revision" {
		t.Errorf("freeze: %v", err)
	}
	if a.Revision != 2 || len(a.Draft.Clauses) != 1 {
		t.Errorf("revision %d, %d clauses", a.Revision, len(a.Draft.Clauses))
	}
	must(t, a.Revise(2, draft(), meta()))
	if _, err := a.Prepare(3, meta(), today); fault.CodeOf(err) != "agreement.lint" {
		t.Errorf("freeze of nothing: %v", err)
	}
}

func TestNextVersionVoidsSignatures(t *testing.T) {
	t.Parallel()
	old := at(t, agreement.Signing, meta())
	digest := old.Digest.SHA256()
	n, err := old.Next("n")
	must(t, err)
	if n.V != 2 || n.State != agreement.Drafting || len(n.Signatures) != 0 || len(n.Draft.Clauses) != 1 || old.State != agreement.Replaced || len(old.Signatures) != 1 {
		t.Errorf("new %+v", n)
	}
	blocks, err := n.Prepare(1, meta(), today)
	must(t, err)
	must(t, n.Freeze(blocks, []byte("%PDF"), meta(), noon(1)))
	if n.Digest.SHA256() == digest {
		t.Error("the same words in version 2 have the digest of version 1")
	}
	if err := n.Read("a", digest, 3); fault.CodeOf(err) != "agreement.wrong_digest" {
		t.Errorf("a screen with version 1: %v", err)
	}
}

// TestEffectiveAt holds the vectors of domain.md 7.5 and 5.3 (D10).
func TestEffectiveAt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rule                  agreement.Rule
		parties               []int64
		mediator, seal, wants int64
	}{
		"seal last":                  {agreement.ThreeSignatures, []int64{1, 5}, 7, 9, 9},
		"a party last":               {agreement.ThreeSignatures, []int64{1, 11}, 7, 9, 11},
		"mediator last":              {agreement.ThreeSignatures, []int64{1, 5}, 12, 9, 12},
		"agency: mediator is no sum": {agreement.PartiesAndSeal, []int64{1, 5}, 12, 9, 9},
		"parties alone":              {agreement.PartiesOnly, []int64{6, 5}, 12, 9, 6},
		"an unknown rule is strict":  {"", []int64{6, 5}, 12, 9, 12},
	} {
		if got := agreement.EffectiveAt(tt.rule, tt.parties, tt.mediator, tt.seal); got != tt.wants {
			t.Errorf("%s: %d, want %d", name, got, tt.wants)
		}
	}
}

func TestPaperPath(t *testing.T) {
	t.Parallel()
	m := meta()
	m.Category = mediation.Family
	frozen := func() agreement.Agreement { return at(t, agreement.Frozen, m) }
	a := frozen()
	if a.Mode != agreement.OnPaper {
		t.Fatalf("mode %s", a.Mode)
	}
	read(t, &a, "a", 1)
	if err := a.Sign(bySignature(a, "a", 1), m); fault.CodeOf(err) != "agreement.paper_required" {
		t.Errorf("electronic signature: %v", err)
	}
	if err := a.SignMediator(byMediator(a, 1), true); fault.CodeOf(err) != "agreement.paper_required" {
		t.Errorf("mediator's electronic signature: %v", err)
	}
	for name, day := range map[string]string{"before it was frozen": "2026-08-31", "tomorrow": "2026-09-04", "no day": "gestern", "none": ""} {
		a := frozen()
		if err := a.AttestPaper(agreement.Attestation{SignedOn: day, At: noon(3)}, china()); fault.CodeOf(err) != "agreement.signed_on" || a.State != agreement.Frozen {
			t.Errorf("signed %s: %v", name, err)
		}
	}
	must(t, a.AttestPaper(agreement.Attestation{Scan: "sum", SignedOn: "2026-09-02", Clerk: "clerk", At: noon(3)}, china()))
	if a.State != agreement.Effective || a.EffectiveAt != time.Date(2026, 9, 2, 0, 0, 0, 0, china()).UnixMicro() {
		t.Errorf("state %s, effective %d", a.State, a.EffectiveAt)
	}
	if f := a.Record(nil).Check(); f != "" {
		t.Errorf("record: %s", f)
	}
	e := at(t, agreement.Frozen, meta())
	if err := e.AttestPaper(agreement.Attestation{SignedOn: today, At: noon(1)}, china()); fault.CodeOf(err) != "agreement.not_on_paper" {
		t.Errorf("paper for an electronic agreement: %v", err)
	}
}

// TestPersonalStatusIsNeverSignedElectronically is invariant D8: over clause sets, categories, consents and every order
// of commands no electronic signature comes to stand on a matter that must be on paper.
func TestPersonalStatusIsNeverSignedElectronically(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := meta()
		m.Category = rapid.SampledFrom(mediation.Categories()).Draw(t, "category")
		m.Parties[0].ESign, m.Parties[1].ESign = rapid.Bool().Draw(t, "consent a"), rapid.Bool().Draw(t, "consent b")
		d := genDraft().Draw(t, "draft")
		a := agreement.New("id", 1)
		_ = a.Revise(1, d, m)
		guarded := m.Category == mediation.Family || !m.Parties[0].ESign || !m.Parties[1].ESign ||
			slices.ContainsFunc(d.Clauses, func(c agreement.Clause) bool {
				return len(c.Tags) > 0 || slices.Contains([]string{c.What, c.How, c.Late, c.Text}, "离婚后孩子由甲抚养。") || slices.Contains([]string{c.What, c.How, c.Late, c.Text}, "停止供水。")
			})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			party := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "party")
			switch rapid.IntRange(0, 7).Draw(t, "command") {
			case 0: // freeze, past the lint: the guard must hold even if the lint had a hole
				if blocks, err := agreement.Blocks(a.Draft, m); err == nil {
					_ = a.Freeze(blocks, []byte("%PDF"), m, noon(1))
				}
			case 1, 2:
				for _, n := range a.MustRead() {
					_ = a.Read(party, a.Digest.SHA256(), n)
				}
				_, _ = a.ReadBack(party, a.Digest.SHA256(), a.Digest.Code(), 1)
			case 3, 4:
				_ = a.Sign(bySignature(a, party, 1), m)
			case 5:
				_ = a.SignMediator(byMediator(a, 1), true)
			case 6:
				_ = a.Seal("kid", m.Rule, 2)
			case 7:
				if n, err := a.Next("n"); err == nil && rapid.Bool().Draw(t, "next") {
					a = n
				}
			}
			if guarded && (len(a.Signatures) > 0 || a.Mediator != nil || a.State == agreement.Effective) {
				t.Fatalf("signed electronically: %s %+v", m.Category, a.Draft.Clauses)
			}
		}
	})
}
