package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"heyi/cases"
	"heyi/gateway/wire"
	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/page"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/agreement/pdf/pdftest"
	"heyi/mediation/flow"
	"heyi/mediation/handoff"
	"heyi/mediation/parcel"
	"heyi/mediation/queue"
	"heyi/mediation/session"
	"heyi/store"
)

// post is the outbox of a house with its embedded case store.
type post struct {
	*house

	intake *cases.Intake
	worker *handoff.Worker
	door   *door // between worker and case store
}

// door stands before a case store: it may fail before or after the package went through.
type door struct {
	to     handoff.CaseStore
	before error                 // answered instead of asking
	after  error                 // answered although the package went through
	twist  func(*parcel.Receipt) // what the answer becomes
	seen   []parcel.Request      // what went through
}

func (d *door) Put(ctx context.Context, r parcel.Request) (parcel.Receipt, error) {
	if d.before != nil {
		return parcel.Receipt{}, d.before
	}
	d.seen = append(d.seen, r)
	receipt, err := d.to.Put(ctx, r)
	if d.after != nil {
		return parcel.Receipt{}, d.after
	}
	if d.twist != nil {
		d.twist(&receipt)
	}
	return receipt, err
}

func newPost(h *house) *post {
	h.t.Helper()
	p := &post{house: h}
	sender := func(ctx context.Context) (sign.Key, error) {
		k, err := h.store.Key(ctx, store.KeyHandoff)
		if err != nil {
			return sign.Key{}, err
		}
		return sign.FromSecret(sign.Ed25519, k.KID, k.Secret)
	}
	p.intake = cases.NewIntake(cases.Deps{
		Store: h.store, TZ: time.UTC, Now: h.clock.Now, SealKeys: h.store.SealKeys,
		Sender: func(ctx context.Context, kid string) (cases.Sender, bool, error) {
			k, err := sender(ctx)
			return cases.Sender{Name: "self", KID: k.KID, Alg: k.Alg, Public: k.Public}, k.KID == kid, err
		},
	})
	p.door = &door{to: p.intake}
	p.worker = handoff.NewWorker(handoff.Deps{
		Outbox: h.store, Embedded: p.door, Sender: sender, Seal: h.store.SealKey, Render: pdftest.Renderer(h.t).Render, Nudges: h.nudges,
		Node: testNode, TZ: time.UTC, Now: h.clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	return p
}

func eachPost(t *testing.T, f func(t *testing.T, p *post)) {
	t.Helper()
	eachHouse(t, func(t *testing.T, h *house) {
		t.Helper()
		f(t, newPost(h))
	})
}

// work carries everything that is due.
func (p *post) work() {
	p.t.Helper()
	for busy := true; busy; {
		var err error
		busy, err = p.worker.Work(p.ctx())
		p.ok(err)
	}
}

// consulted is a consultation from the call to the wrap-up.
func (p *post) consulted(tv ident.DeviceID) (queue.Ticket, ident.SessionID) {
	p.t.Helper()
	k, id := p.call(tv, p.lawyer, mediation.Consult)
	_, err := p.records.SaveNote(p.ctx(), p.cmd("consult.save", byStaff(p.lawyer), ""), id, p.lawyer, 0,
		session.Note{Matter: "工地欠薪三个月", Advice: "先向劳动监察投诉", Answer: "可以申请仲裁，不收钱。", Materials: "工资条", NextStep: "下周一回访"})
	p.ok(err)
	p.ok(p.control(p.lawyer, id, flow.OpEnd))
	p.ok(p.flow.WrapUp(p.ctx(), p.cmd("session.wrap_up", byStaff(p.lawyer), newKey()), p.lawyer, id, queue.OutcomeServed))
	return k, id
}

func (p *post) row(subject string) handoff.Row {
	p.t.Helper()
	r, ok, err := p.store.HandoffOf(p.ctx(), subject)
	p.ok(err)
	if !ok {
		p.t.Fatal("nothing was handed off")
	}
	return r
}

func (p *post) cases(f cases.Filter) []cases.Row {
	p.t.Helper()
	if f.Unit == "" {
		f.Unit = p.unit("150400000000")
	}
	list, err := (&cases.Book{Store: p.store}).List(p.ctx(), f, "")
	p.ok(err)
	if list.Total != len(list.Rows) {
		p.t.Errorf("%d rows of %d", len(list.Rows), list.Total)
	}
	return list.Rows
}

func TestAConsultationBecomesACase(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		tv := p.tv[0]
		_, id := p.consulted(tv)
		r := p.row(string(id))
		if r.State != handoff.Queued || r.DeliveryID != "" || r.Version != 1 || r.Kind != parcel.Consult {
			t.Fatalf("after the wrap-up: %+v", r)
		}
		before := p.situation(tv).Ver
		p.work()
		r = p.row(string(id))
		if r.State != handoff.Verified || r.ReceiptNo != "R-150426106201-20260302-000001" || r.Attempts != 1 || r.Target != handoff.Embedded {
			t.Fatalf("after the delivery: %+v", r)
		}
		if s := p.situation(tv); s.Ver <= before || !p.nudges.got("device/"+string(tv), wire.AgreementReceipt) {
			t.Error("the terminal does not hear of the receipt")
		}
		list := p.cases(cases.Filter{})
		if len(list) != 1 || list[0].Subject != string(id) || list[0].ReceiptNo != r.ReceiptNo || list[0].State != cases.Closed || list[0].Category != mediation.Wages {
			t.Fatalf("the case store shows %+v", list)
		}
		c, err := p.store.Case(p.ctx(), p.unit("150426106201"), list[0].ID)
		p.ok(err)
		if len(c.Versions) != 1 || !c.Versions[0].SealKnown || c.Versions[0].DeliveryID != r.DeliveryID || len(c.Checklist()) != 0 {
			t.Fatalf("the case is %+v", c)
		}
		var text string
		for _, f := range c.Papers() {
			file, err := p.store.CaseFile(p.ctx(), p.unit("150426106201"), c.ID, f.SHA256)
			p.ok(err)
			if file.Name == "consult.json" {
				text = string(file.Body)
			} else if !strings.HasPrefix(string(file.Body), "%PDF-") {
				t.Errorf("%s begins with %q", file.Name, file.Body[:8])
			}
		}
		for _, want := range []string{"工地欠薪三个月", "可以申请仲裁，不收钱。", "工资条", `"outcome": "served"`} {
			if !strings.Contains(text, want) {
				t.Errorf("consult.json lacks %q:\n%s", want, text)
			}
		}
		// the package can be taken out as it came in, and nothing of it lies in the open
		pack, err := p.store.CasePackage(p.ctx(), p.unit("150400000000"), c.ID, 0)
		p.ok(err)
		body, err := parcel.Write(pack.Payload, pack.Signatures, pack.Files)
		p.ok(err)
		if string(body) != string(p.door.seen[0].Body) {
			t.Error("the package is not what was received")
		}
		var open int
		p.ok(p.store.One(p.ctx(), `SELECT (SELECT count(*) FROM event WHERE data LIKE '%欠薪%') + (SELECT count(*) FROM handoff WHERE subject LIKE '%欠%')`, nil, &open))
		if open != 0 {
			t.Error("words of the note stand in an event")
		}
		p.chain("handoff", string(r.ID))
		if types := p.chain("case", string(c.ID)); !slices.Equal(types, []string{"case.received"}) {
			t.Errorf("events of the case: %v", types)
		}
		// nobody outside the subtree sees it
		if _, err := p.store.Case(p.ctx(), p.unit("150402000000"), c.ID); fault.CodeOf(err) != "case.none" {
			t.Errorf("another county: %v", err)
		}
	})
}

func TestServedNeedsAnAnswer(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		_, id := p.call(p.tv[0], p.lawyer, mediation.Consult)
		p.ok(p.control(p.lawyer, id, flow.OpEnd))
		wrap := func(outcome string) error {
			return p.flow.WrapUp(p.ctx(), p.cmd("session.wrap_up", byStaff(p.lawyer), newKey()), p.lawyer, id, outcome)
		}
		p.refused(wrap(queue.OutcomeServed), "consult.answer_missing")
		p.refused(wrap(queue.OutcomeConverted), "session.bad_outcome")
		note, err := p.records.SaveNote(p.ctx(), p.cmd("consult.save", byStaff(p.lawyer), ""), id, p.lawyer, 0, session.Note{Matter: "x", Answer: "  "})
		p.ok(err)
		p.refused(wrap(queue.OutcomeServed), "consult.answer_missing")
		p.nudges.got("", 0)
		_, err = p.records.SaveNote(p.ctx(), p.cmd("consult.save", byStaff(p.lawyer), ""), id, p.lawyer, note.Version, session.Note{Matter: "x", Answer: "可以"})
		p.ok(err)
		if !p.nudges.got("device/"+string(p.tv[0]), wire.RoomMember) {
			t.Error("the terminal does not hear of the answer")
		}
		p.ok(wrap(queue.OutcomeServed))
		p.work()
		if r := p.row(string(id)); r.State != handoff.Verified {
			t.Errorf("%+v", r)
		}
	})
}

func TestReferredNeedsNoAnswer(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		_, id := p.call(p.tv[0], p.lawyer, mediation.Consult)
		p.ok(p.control(p.lawyer, id, flow.OpEnd))
		p.ok(p.flow.WrapUp(p.ctx(), p.cmd("session.wrap_up", byStaff(p.lawyer), newKey()), p.lawyer, id, queue.OutcomeReferred))
		p.work()
		if r := p.row(string(id)); r.State != handoff.Verified {
			t.Errorf("%+v", r)
		}
	})
}

// Who has left hears nothing of a receipt that comes later: somebody else may stand there.
func TestReceiptAfterTheVisit(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		_, id := p.consulted(p.tv[0])
		p.leave(p.tv[0])
		p.nudges.got("", 0)
		p.work()
		if r := p.row(string(id)); r.State != handoff.Verified {
			t.Errorf("%+v", r)
		}
		if p.nudges.got("device/"+string(p.tv[0]), wire.AgreementReceipt) {
			t.Error("the terminal of somebody else was told")
		}
	})
}

// A rating after the hand-off sends the next version to the same case; one before it stands in the first.
func TestRatingJoinsTheCase(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		tv := p.tv[0]
		_, id := p.consulted(tv)
		rate := func(score int) {
			t.Helper()
			_, err := p.records.Rate(p.ctx(), p.cmd("session.rate", byTV(tv), newKey()), id, tv, score)
			p.ok(err)
		}
		rate(3) // before the package is made
		p.work()
		if list := p.cases(cases.Filter{}); len(list) != 1 || list[0].Rating != 3 || list[0].Version != 1 {
			t.Fatalf("%+v", list)
		}
		p.clock.Advance(time.Minute)
		rate(5)
		p.work()
		list := p.cases(cases.Filter{})
		if len(list) != 1 || list[0].Rating != 5 || list[0].Version != 2 || list[0].ReceiptNo != "R-150426106201-20260302-000001" {
			t.Fatalf("%+v", list)
		}
		c, err := p.store.Case(p.ctx(), p.unit("150400000000"), list[0].ID)
		p.ok(err)
		if len(c.Versions) != 2 || c.Versions[0].ReceiptNo != "R-150426106201-20260302-000002" {
			t.Errorf("versions %+v", c.Versions)
		}
	})
}

// Somebody rates while the package is being made: what is sent says the last word.
func TestRatingWhileThePackageIsMade(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		_, id := p.consulted(p.tv[0])
		row, ok, err := p.store.ClaimHandoff(p.ctx(), testNode, p.now(), time.Minute)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		facts, err := p.store.ConsultFacts(p.ctx(), id)
		p.ok(err)
		made := handoff.Made{Package: handoff.Package{Payload: []byte("{}"), Signatures: []byte("{}")}, DeliveryID: "d", NoteVersion: facts.NoteVersion, Rating: facts.Rating}
		_, err = p.records.Rate(p.ctx(), p.cmd("session.rate", byTV(p.tv[0]), newKey()), id, p.tv[0], 4)
		p.ok(err)
		p.refused(p.store.HandoffMade(p.ctx(), mediation.System("handoff.made", "handoff", p.now()), row, testNode, made), "handoff.stale")
		made.Rating = 4
		p.refused(p.store.HandoffMade(p.ctx(), mediation.System("handoff.made", "handoff", p.now()), row, "n2", made), "handoff.stale")
		row.Attempts++
		p.refused(p.store.HandoffMade(p.ctx(), mediation.System("handoff.made", "handoff", p.now()), row, testNode, made), "handoff.stale")
		p.clock.Advance(2 * time.Minute) // the claim is over
		p.work()
		if list := p.cases(cases.Filter{}); len(list) != 1 || list[0].Rating != 4 || list[0].Version != 1 {
			t.Errorf("%+v", list)
		}
	})
}

// A lost answer, a repeat, a wrong answer: exactly one case, one receipt a version, the same delivery id for ever.
func TestEveryWayAnAnswerGetsLost(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		_, id := p.consulted(p.tv[0])
		lost := fault.New(fault.Unavailable, "handoff.unreachable")
		for i, d := range []door{
			{before: lost},
			{after: lost},
			{after: errors.New("reset by peer")},
			{twist: func(r *parcel.Receipt) { r.Digest = "0" }},
			{twist: func(r *parcel.Receipt) { *r = parcel.Receipt{} }},
		} {
			*p.door = door{to: p.intake, before: d.before, after: d.after, twist: d.twist}
			p.work()
			r := p.row(string(id))
			if r.State != handoff.Failed || r.Attempts != i+1 || r.ReceiptNo != "" || r.NextAt <= p.now() {
				t.Fatalf("after answer %d: %+v", i+1, r)
			}
			p.clock.Advance(time.Hour)
		}
		*p.door = door{to: p.intake}
		p.work()
		r := p.row(string(id))
		if r.State != handoff.Verified || r.ReceiptNo != "R-150426106201-20260302-000001" {
			t.Fatalf("at the end: %+v", r)
		}
		var files, versions, last int
		p.ok(p.store.One(p.ctx(), `SELECT (SELECT count(*) FROM case_file), (SELECT count(*) FROM case_version), (SELECT max(last) FROM receipt_counter)`, nil, &files, &versions, &last))
		if files != 1 || versions != 1 || last != 1 {
			t.Errorf("%d cases, %d versions, %d numbers drawn", files, versions, last)
		}
	})
}

func TestGivenUpAndTriedAgain(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		_, id := p.consulted(p.tv[0])
		p.door.before = fault.New(fault.Unavailable, "handoff.unreachable")
		for p.row(string(id)).State != handoff.Dead {
			p.work()
			p.clock.Advance(time.Hour)
		}
		r := p.row(string(id))
		if age := time.Duration(r.At-r.CreatedAt) * time.Microsecond; age < 24*time.Hour || age > 26*time.Hour {
			t.Errorf("given up after %v", age)
		}
		if open, err := p.store.CountHandoffs(p.ctx()); err != nil || open[handoff.Dead] != 1 {
			t.Errorf("%v, %v", open, err)
		}
		if types := p.chain("handoff", string(r.ID)); types[len(types)-1] != "handoff.dead" {
			t.Errorf("events %v", types)
		}
		p.door.before = nil
		p.work()
		if p.row(string(id)).State != handoff.Dead {
			t.Fatal("it came back by itself")
		}
		office := &handoff.Office{Store: p.store, Now: p.clock.Now}
		key := newKey()
		for range 2 { // the button pressed twice
			if _, err := office.Retry(p.ctx(), p.cmd("handoff.retried", byStaff(p.lawyer), key), p.unit("150426000000"), r.ID); err != nil {
				t.Fatal(err)
			}
		}
		_, err := office.Retry(p.ctx(), p.cmd("handoff.retried", byStaff(p.lawyer), newKey()), p.unit("150402000000"), r.ID)
		p.refused(err, "handoff.none")
		p.work()
		_, err = office.Retry(p.ctx(), p.cmd("handoff.retried", byStaff(p.lawyer), newKey()), "", r.ID)
		p.refused(err, "handoff.state")
		if r = p.row(string(id)); r.State != handoff.Verified {
			t.Errorf("%+v", r)
		}
	})
}

// Another package under the same subject, kind and version is refused and ends at once, with an alarm.
func TestDigestConflict(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		_, id := p.consulted(p.tv[0])
		p.work()
		// the outbox forgets, as after a restore of an old backup
		p.set(`UPDATE handoff SET state = 'queued', delivery_id = '', payload_enc = NULL, signatures_enc = NULL, next_at = 0 WHERE subject = $1`, id)
		p.clock.Advance(time.Minute)
		p.work()
		r := p.row(string(id))
		if r.State != handoff.Dead || r.LastError != "handoff.digest_conflict" {
			t.Errorf("%+v", r)
		}
		n, err := p.store.RetryDeadHandoffs(p.ctx(), p.cmd("handoff.retried", byStaff(p.lawyer), ""))
		if err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// Two processes share the rows; one that died gives its claim back when it starts again, or after the lease.
func TestClaims(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		p.consulted(p.tv[0])
		claim := func(node string) bool {
			t.Helper()
			_, ok, err := p.store.ClaimHandoff(p.ctx(), node, p.now(), time.Minute)
			p.ok(err)
			return ok
		}
		if !claim("n1") || claim("n2") {
			t.Error("a claim must be one's own")
		}
		p.ok(p.store.ResumeHandoffs(p.ctx(), "n2", p.now()))
		if claim("n2") {
			t.Error("another node's start frees nothing")
		}
		p.ok(p.store.ResumeHandoffs(p.ctx(), "n1", p.now()))
		if !claim("n2") {
			t.Error("n1 died and started again: its row is free")
		}
		p.clock.Advance(time.Minute)
		if !claim("n1") {
			t.Error("the lease of n2 is over")
		}
		// the late answer of an older attempt changes nothing
		var r handoff.Row
		p.ok(p.store.One(p.ctx(), `SELECT id FROM handoff`, nil, &r.ID))
		_, err := p.store.SettleHandoff(p.ctx(), mediation.System("handoff.verified", "handoff", p.now()),
			handoff.Outcome{Row: r.ID, Node: "n2", Attempt: 2, State: handoff.Verified, Receipt: parcel.Receipt{No: "R-x"}})
		p.ok(err)
		var state handoff.State
		p.ok(p.store.One(p.ctx(), `SELECT state FROM handoff`, nil, &state))
		if state != handoff.Sending {
			t.Errorf("a late answer made it %s", state)
		}
	})
}

// A newer version waits for the older one.
func TestVersionsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		tv := p.tv[0]
		_, id := p.consulted(tv)
		p.door.before = fault.New(fault.Unavailable, "handoff.unreachable")
		p.work()
		_, err := p.records.Rate(p.ctx(), p.cmd("session.rate", byTV(tv), newKey()), id, tv, 5)
		p.ok(err)
		p.door.before = nil
		p.work() // the first one waits for its next attempt, so must the second
		if len(p.door.seen) != 0 {
			t.Fatal("the second version went first")
		}
		p.clock.Advance(time.Hour)
		p.work()
		if len(p.door.seen) != 2 {
			t.Fatalf("%d packages arrived", len(p.door.seen))
		}
	})
}

func TestIntakeRefuses(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		p.consulted(p.tv[0])
		p.work()
		good := p.door.seen[0]
		k, err := p.store.Key(p.ctx(), store.KeyHandoff)
		p.ok(err)
		own, err := sign.FromSecret(sign.Ed25519, k.KID, k.Secret)
		p.ok(err)
		stranger, err := sign.New(sign.Ed25519, "stranger")
		p.ok(err)
		pack, err := parcel.Read(good.Body)
		p.ok(err)
		// repacked changes the manifest and seals it anew
		repacked := func(by sign.Key, change func(*mediation.Manifest)) parcel.Request {
			m := pack.Manifest
			change(&m)
			payload, signed, err := parcel.Make(m, nil, pack.Files, by.Sign)
			p.ok(err)
			body, err := parcel.Write(payload, signed, pack.Files)
			p.ok(err)
			r, err := parcel.NewRequest(own, parcel.DeliveryID(payload), p.now(), body)
			p.ok(err)
			return r
		}
		seal, err := p.store.SealKey(p.ctx(), p.unit("150426106201"))
		p.ok(err)
		resigned := func(r parcel.Request, by sign.Key, at int64) parcel.Request {
			out, err := parcel.NewRequest(by, r.DeliveryID, at, r.Body)
			p.ok(err)
			return out
		}
		changed := good
		changed.Body = append([]byte(nil), good.Body...)
		changed.Body[2000]++
		for name, tt := range map[string]struct {
			r    parcel.Request
			code string
		}{
			"a sender nobody knows":       {resigned(good, stranger, p.now()), "handoff.unknown_sender"},
			"somebody in another's name":  {func() parcel.Request { r := resigned(good, stranger, p.now()); r.Sender = own.KID; return r }(), "handoff.bad_signature"},
			"a byte changed on the way":   {changed, "handoff.bad_signature"},
			"a byte changed, signed anew": {resigned(changed, own, p.now()), "handoff.bad_package"},
			"a recorded request":          {resigned(good, own, p.now()-11*time.Minute.Microseconds()), "handoff.clock"},
			"a clock that runs ahead":     {resigned(good, own, p.now()+11*time.Minute.Microseconds()), "handoff.clock"},
			"under another id": {func() parcel.Request {
				r := resigned(good, own, p.now())
				r.DeliveryID = parcel.DeliveryID(nil)
				return r
			}(), "handoff.bad_package"},
			"the same version, other words": {repacked(seal, func(m *mediation.Manifest) { m.Rating = 2 }), "handoff.digest_conflict"},
			"a unit that is not here":       {repacked(seal, func(m *mediation.Manifest) { m.Subject, m.Unit = "x", "110101000000" }), "handoff.unknown_unit"},
			"no kind":                       {repacked(seal, func(m *mediation.Manifest) { m.Kind = "diary" }), "handoff.bad_package"},
			"a rating of six":               {repacked(seal, func(m *mediation.Manifest) { m.Version, m.Rating = 2, 6 }), "handoff.bad_package"},
			"a dossier without number":      {repacked(seal, func(m *mediation.Manifest) { m.Kind = parcel.Dossier }), "handoff.bad_package"},
		} {
			if _, _, err := p.intake.Take(p.ctx(), tt.r); fault.CodeOf(err) != tt.code {
				t.Errorf("%s: %v, want %s", name, err, tt.code)
			}
		}
		// a seal by a key that nobody published is received, and said to be unknown
		receipt, first, err := p.intake.Take(p.ctx(), repacked(stranger, func(m *mediation.Manifest) { m.Subject = "forged" }))
		if err != nil || !first || receipt.No != "R-150426106201-20260302-000002" {
			t.Fatalf("%+v, %v, %v", receipt, first, err)
		}
		for _, c := range p.cases(cases.Filter{}) {
			if c.Subject == "forged" && c.State != cases.Received {
				t.Errorf("the forged one is %s", c.State)
			}
		}
		// another installation may not write into this one's case
		other := cases.NewIntake(cases.Deps{
			Store: p.store, TZ: time.UTC, Now: p.clock.Now, SealKeys: p.store.SealKeys,
			Sender: func(context.Context, string) (cases.Sender, bool, error) {
				return cases.Sender{Name: "elsewhere", KID: own.KID, Alg: own.Alg, Public: own.Public}, true, nil
			},
		})
		_, _, err = other.Take(p.ctx(), repacked(seal, func(m *mediation.Manifest) { m.Version = 2 }))
		p.refused(err, "handoff.other_sender")
		receipt, first, err = p.intake.Take(p.ctx(), resigned(good, own, p.now()))
		if err != nil || first || receipt.No != "R-150426106201-20260302-000001" {
			t.Errorf("a repeat: %+v, %v, %v", receipt, first, err)
		}
	})
}

// Receipt numbers are gap-free per unit and day, whatever is delivered at once and however often.
func TestReceiptsAreGapFree(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		k, err := p.store.Key(p.ctx(), store.KeyHandoff)
		p.ok(err)
		own, err := sign.FromSecret(sign.Ed25519, k.KID, k.Secret)
		p.ok(err)
		units := []string{"150426106201", "150426106000"}
		var all []parcel.Request
		for i := range 40 {
			seal, err := p.store.SealKey(p.ctx(), p.unit(units[i%2]))
			p.ok(err)
			files := []parcel.File{{Name: "consult.json", MediaType: "application/json", Body: fmt.Append(nil, i)}}
			payload, signed, err := parcel.Make(mediation.Manifest{Subject: fmt.Sprint("s", i/4), Kind: parcel.Consult, Version: i%4/2 + 1, Unit: units[i%2], MadeAt: p.now()}, nil, files, seal.Sign)
			p.ok(err)
			body, err := parcel.Write(payload, signed, files)
			p.ok(err)
			r, err := parcel.NewRequest(own, parcel.DeliveryID(payload), p.now(), body)
			p.ok(err)
			all = append(all, r, r, r)
		}
		var (
			wg       sync.WaitGroup
			mu       sync.Mutex
			given    = map[string]string{} // delivery -> receipt
			conflict int
		)
		for _, r := range all {
			wg.Go(func() {
				receipt, _, err := p.intake.Take(p.ctx(), r)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case fault.CodeOf(err) == "handoff.digest_conflict":
					conflict++
				case err != nil:
					t.Error(err)
				case given[r.DeliveryID] != "" && given[r.DeliveryID] != receipt.No:
					t.Errorf("two receipts: %s and %s", given[r.DeliveryID], receipt.No)
				default:
					given[r.DeliveryID] = receipt.No
				}
			})
		}
		wg.Wait()
		// of each two packages of a subject and version one was first; the other conflicts each of its three times
		if len(given) != 20 || conflict != 60 {
			t.Errorf("%d receipts, %d conflicts", len(given), conflict)
		}
		for _, unit := range units {
			var n, last int
			p.ok(p.store.One(p.ctx(), `SELECT count(*), coalesce(max(receipt_counter.last), 0) FROM case_version JOIN receipt_counter ON receipt_counter.unit_id = $1
				WHERE case_version.receipt_no LIKE $2`, []any{p.unit(unit), "R-" + unit + "-%"}, &n, &last))
			if n != last {
				t.Errorf("%s: %d receipts, the last is %d", unit, n, last)
			}
			for i := range n {
				var one int
				p.ok(p.store.One(p.ctx(), `SELECT count(*) FROM case_version WHERE receipt_no = $1`, []any{fmt.Sprintf("R-%s-20260302-%06d", unit, i+1)}, &one))
				if one != 1 {
					t.Errorf("%s: number %d was given %d times", unit, i+1, one)
				}
			}
		}
	})
}

// Cases are found by number, receipt, the whole name of a party or an id number; the text is never SQL or a pattern.
func TestFindingCases(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		ctx := p.ctx()
		seal, err := p.store.SealKey(ctx, p.unit("150426106201"))
		p.ok(err)
		file := []parcel.File{{Name: "a.json", MediaType: "application/json", Body: []byte("{}")}}
		add := func(i int, closing, name, idNo string) {
			t.Helper()
			p.clock.Advance(time.Second)
			m := mediation.Manifest{
				Subject: fmt.Sprint("d", i), Kind: parcel.Dossier, Version: 1, Unit: "150426106201", Number: fmt.Sprintf("(2026)翁海人调字第%06d号", i), ClosingCode: closing,
				MadeAt: p.now(), Category: "land", EffectiveAt: p.now(), ConfirmLastOn: "2026-04-01", FollowupOn: "2026-04-02",
				Parties: []mediation.ManifestParty{{Name: name, IDHMAC: p.store.SearchHash(store.SearchIDNo, idNo), Side: "A"}, {Name: "敖登格日勒", Side: "B"}},
			}
			payload, signed, err := parcel.Make(m, nil, file, seal.Sign)
			p.ok(err)
			parsed, err := mediation.ParseManifest(payload)
			p.ok(err)
			_, _, err = p.store.Receive(ctx, mediation.System("case.received", "intake", p.now()), cases.Arrival{
				Parcel:     parcel.Parcel{Payload: payload, Signatures: signed, Manifest: parsed, Files: file, Signed: parcel.Signatures{Seal: sign.Signature{KID: seal.KID, Alg: seal.Alg}}},
				DeliveryID: parcel.DeliveryID(payload), Sender: "self", SealKnown: true, State: cases.StateOf(parsed, true), Day: "20260302",
			})
			p.ok(err)
		}
		for i := range 5 {
			add(i+1, map[bool]string{true: "1", false: "4"}[i < 3], fmt.Sprintf("甲%d", i+1), fmt.Sprintf("15043019800101000%d", i+1))
		}
		for q, want := range map[string][]int{
			"":                               {5, 4, 3, 2, 1},
			"000003":                         {3},
			"(2026)翁海人调字第000002号":            {2},
			"R-150426106201-20260302-000004": {4},
			"r-150426106201-20260302-000004": {4},
			"甲5":                             {5},
			"150430198001010001":             {1},
			"敖登格日勒":                          {5, 4, 3, 2, 1},
			"甲":                              {},
			"%":                              {},
			"_":                              {},
			"' OR '1'='1":                    {},
		} {
			var got []int
			for _, c := range p.cases(cases.Filter{Q: q}) {
				var i int
				_, err := fmt.Sscanf(c.Subject, "d%d", &i)
				p.ok(err)
				got = append(got, i)
			}
			if !slices.Equal(got, want) && len(got)+len(want) > 0 {
				t.Errorf("%q finds %v, want %v", q, got, want)
			}
		}
		if list := p.cases(cases.Filter{State: cases.Closed}); len(list) != 2 || list[0].ClosingCode != "4" || !slices.Equal(list[0].Parties, []string{"甲*", "敖**"}) {
			t.Errorf("closed: %+v", list)
		}
		if list := p.cases(cases.Filter{Kind: parcel.Consult}); len(list) != 0 {
			t.Errorf("consults: %+v", list)
		}
		// page by page
		var seen []ident.CaseID
		book, cursor := &cases.Book{Store: p.store}, ""
		for range 3 {
			got, err := book.List(ctx, cases.Filter{Unit: p.unit("150400000000"), Limit: 2}, cursor)
			p.ok(err)
			if got.Total != 5 {
				t.Errorf("total %d", got.Total)
			}
			for _, c := range got.Rows {
				seen = append(seen, c.ID)
			}
			cursor = got.Next
		}
		if len(seen) != 5 || cursor != "" {
			t.Errorf("%d rows in three pages, next %q", len(seen), cursor)
		}
		// who looks is noted under his name
		c, err := book.Open(ctx, p.cmd("case.opened", byStaff(p.lawyer), ""), p.unit("150426000000"), seen[0])
		p.ok(err)
		if checks := c.Checklist(); len(checks) != 13 || checks[0].Present || !checks[11].Must || checks[7].Must {
			t.Errorf("checklist of a failed dispute: %+v", checks)
		}
		list, err := p.store.Events(ctx, "case", string(seen[0]))
		p.ok(err)
		if audit.Verify(list) >= 0 || list[len(list)-1].Type != "case.opened" || list[len(list)-1].Actor.ID != string(p.lawyer) {
			t.Errorf("events %+v", list)
		}
		if _, err := book.List(ctx, cases.Filter{Unit: p.unit("150400000000"), State: "open"}, ""); fault.CodeOf(err) != "list.bad_filter" {
			t.Errorf("a state that is none: %v", err)
		}
		if _, err := (&handoff.Office{Store: p.store}).List(ctx, p.unit("150400000000"), "", page.Start().Cursor(), 0); fault.CodeOf(err) != "list.bad_cursor" {
			t.Errorf("a cursor that is none: %v", err)
		}
	})
}

func TestSealKeys(t *testing.T) {
	t.Parallel()
	eachPost(t, func(t *testing.T, p *post) {
		unit := p.unit("150426106201")
		keys := make([]sign.Key, 8)
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() {
				var err error
				if keys[i], err = p.store.SealKey(p.ctx(), unit); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, k := range keys {
			if k.KID != keys[0].KID || k.Alg != sign.Ed25519 {
				t.Fatalf("two keys of one committee: %s and %s", k.KID, keys[0].KID)
			}
		}
		list, err := p.store.SealKeys(p.ctx())
		p.ok(err)
		if len(list.Keys) != 1 || list.Keys[0].KID != keys[0].KID || list.Keys[0].Unit != "150426106201" {
			t.Errorf("published: %+v", list)
		}
		s, err := keys[0].Sign([]byte("x"))
		p.ok(err)
		if _, ok := list.Find(s, p.now()); !ok {
			t.Error("the signature of a published key is not found")
		}
		_, err = p.store.SealKey(p.ctx(), "nowhere")
		p.refused(err, "org.no_unit")
	})
}
