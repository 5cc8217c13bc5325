package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"heyi/internal/fault"
	"heyi/internal/org"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/dispute"
	"heyi/mediation/paper"
	"heyi/mediation/parcel"
)

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// idSearch is what an identity number is searched by.
const idSearch = "id_no"

const pdfType = "application/pdf"

// when writes an instant as people read it.
func (s *Dockets) when(at int64) string {
	if at == 0 {
		return "—"
	}
	return time.UnixMicro(at).In(s.d.TZ).Format("2006年1月2日15时04分")
}

// blank marks a field that nobody filled in.
func blank(v string) string {
	if strings.TrimSpace(v) == "" {
		return "—"
	}
	return v
}

// one writes several lines as one: the cells of a form have no line breaks.
func one(v string) string { return blank(strings.Join(paper.Lines(v), "；")) }

func (s *Dockets) sheet(d *Docket, title string, at int64, parts ...paper.Part) paper.Paper {
	return paper.Paper{
		Title: title, Number: d.Dispute.Number, Issuer: s.committeeName(d.Dispute.Unit), Foot: "卷号 " + d.Dispute.Number, At: at, Parts: parts,
	}
}

func sideName(p *dispute.Party) string {
	if p.Role == dispute.Applicant {
		return "申请人"
	}
	return "被申请人"
}

// registrationPaper is paper 1, 受理登记表.
func (s *Dockets) registrationPaper(d *Docket, at int64) paper.Paper {
	k := &d.Dispute
	source := "当事人申请"
	if k.Consult != "" {
		source = "当事人申请（由法律咨询转来）"
	}
	rows := []paper.Row{
		{Name: "纠纷编号", Value: k.Number},
		{Name: "纠纷类型", Value: k.Category.Name()},
		{Name: "调解种类", Value: dispute.RuleOf(k.Kind).Name},
		{Name: "来源", Value: source},
		{Name: "登记时间", Value: s.when(k.CreatedAt)},
		{Name: "受理时间", Value: s.when(k.AcceptedAt)},
		{Name: "调解期限至", Value: agreement.Day(k.DeadlineOn)},
		{Name: "调解员", Value: blank(d.Mediator.Name)},
	}
	parts := []paper.Part{{Rows: rows}}
	for _, p := range required(k) {
		parts = append(parts, paper.Part{Heading: sideName(p), Rows: []paper.Row{
			{Name: "姓名", Value: p.Person.Name},
			{Name: "性别", Value: sexName(p.Person.Sex)},
			{Name: "民族", Value: blank(p.Person.Ethnic)},
			{Name: "出生年份", Value: year(p.Person.BirthYear)},
			{Name: "职业", Value: blank(p.Person.Occupation)},
			{Name: "联系方式", Value: blank(p.Person.Phone)},
			{Name: "住址", Value: blank(p.Person.Address)},
		}})
	}
	facts := paper.Part{Heading: "简要情况", Text: paper.Lines(k.Facts), Indent: true}
	asks := paper.Part{Heading: "请求事项"}
	for i, r := range k.Requests {
		asks.Text = append(asks.Text, fmt.Sprintf("%d. %s", i+1, strings.Join(paper.Lines(r), " ")))
	}
	if len(asks.Text) == 0 {
		asks.Text = []string{"—"}
	}
	will := paper.Part{Text: []string{"各方当事人自愿参加调解，在调解员说明以后分别表示同意。"}, Indent: true}
	return s.sheet(d, "人民调解受理登记表", at, append(parts, facts, asks, will)...)
}

func sexName(v string) string {
	switch v {
	case "male":
		return "男"
	case "female":
		return "女"
	}
	return blank(v)
}

func year(y int) string {
	if y == 0 {
		return "—"
	}
	return number(y) + "年"
}

// noticePaper is paper 2, 权利义务告知书 with who heard it and when.
func (s *Dockets) noticePaper(d *Docket, at int64) paper.Paper {
	t := dispute.TextOf(dispute.AskNotice, d.Mediator.Name, s.committeeName(d.Dispute.Unit), "", "")
	ack := paper.Grid{Head: []string{"当事人", "告知时间", "方式"}, Shares: []int{3, 4, 3}}
	for _, p := range required(&d.Dispute) {
		how := "在屏幕上阅读"
		for _, a := range d.Dispute.Asks {
			if a.Party == p.ID && a.Kind == dispute.AskNotice && a.AnsweredAt > 0 && a.Spoken {
				how = "由终端朗读"
			}
		}
		if p.NoticeAt == 0 {
			how = "—"
		}
		ack.Rows = append(ack.Rows, []string{p.Person.Name, s.when(p.NoticeAt), how})
	}
	return s.sheet(d, "权利义务告知书", at, paper.Part{Text: t.Lines, Indent: true},
		paper.Part{Heading: "各方已经知道上面的权利和义务", Grid: &ack}, paper.Part{Text: []string{"文本版本：" + dispute.TextVersion}, Small: true})
}

// identityPaper is paper 3, who was checked how; numbers are masked.
func (s *Dockets) identityPaper(d *Docket, at int64) paper.Paper {
	var parts []paper.Part
	for _, p := range required(&d.Dispute) {
		how, checked := "未核验", "—"
		if p.Identity != nil {
			var words []string
			for _, m := range p.Identity.Methods {
				words = append(words, map[string]string{dispute.MethodCard: "出示身份证件", dispute.MethodFace: "调解员比对本人与证件", dispute.MethodPhone: "手机核验码"}[m])
			}
			how, checked = strings.Join(words, "、"), s.when(p.Identity.At)
		}
		parts = append(parts, paper.Part{Heading: sideName(p), Rows: []paper.Row{
			{Name: "姓名", Value: p.Person.Name},
			{Name: "公民身份号码", Value: blank(dispute.MaskID(p.Person.IDNo))},
			{Name: "核验方式", Value: how},
			{Name: "核验时间", Value: checked},
			{Name: "核验人", Value: blank(d.Mediator.Name)},
		}})
	}
	parts = append(parts, paper.Part{Text: []string{"号码只显示前四位和后四位；完整号码由调解组织加密保存。"}, Small: true})
	return s.sheet(d, "当事人身份证明", at, parts...)
}

// recordPaper is paper 7, 调解记录.
func (s *Dockets) recordPaper(d *Docket, at int64) paper.Paper {
	k := &d.Dispute
	head := paper.Part{Rows: []paper.Row{
		{Name: "开始时间", Value: s.when(k.AcceptedAt)},
		{Name: "地点", Value: "视频会议，" + blank(d.Terminal)},
		{Name: "调解员", Value: blank(d.Mediator.Name)},
		{Name: "参加人", Value: names(k)},
	}}
	told := paper.Part{Heading: "告知和披露", Text: []string{"各方已经听取权利义务告知；每一项同意都由本人单独作出。"}, Indent: true}
	if k.Disclosure != "" {
		told.Text = append(told.Text, "调解员说明："+strings.Join(paper.Lines(k.Disclosure), " "))
	}
	parts := []paper.Part{head, told}
	facts, said := paper.Part{Heading: "无争议事实", Indent: true}, paper.Part{Heading: "调解经过", Indent: true}
	for _, x := range k.Statements {
		text := strings.Join(paper.Lines(x.Text), " ")
		if x.Kind == dispute.UndisputedFact {
			facts.Text = append(facts.Text, text)
		} else {
			said.Text = append(said.Text, text)
		}
	}
	for _, p := range []paper.Part{facts, said} {
		if len(p.Text) == 0 {
			p.Text = []string{"没有另外记录的内容。"}
		}
		parts = append(parts, p)
	}
	result := "各方达成调解协议，协议书另附。"
	if c := k.Closing; c != nil {
		result = "调解没有达成协议：" + dispute.CodeName(c.Code) + "。"
	}
	return s.sheet(d, "调解记录", at, append(parts, paper.Part{Heading: "调解结果", Text: []string{result}, Indent: true})...)
}

func names(k *dispute.Dispute) string {
	var list []string
	for _, p := range required(k) {
		list = append(list, p.Person.Name)
	}
	return blank(strings.Join(list, "、"))
}

// endPaper is paper 12 of a dispute that failed: code, reason, the routes that were told.
func (s *Dockets) endPaper(d *Docket, at int64) paper.Paper {
	c := d.Dispute.Closing
	how := "由调解员读给各方听"
	if c.How == "shown" {
		how = "显示在各方的屏幕上"
	}
	routes := paper.Part{Heading: "告知的其他途径"}
	for i, r := range c.Routes {
		routes.Text = append(routes.Text, fmt.Sprintf("%d. %s", i+1, r.Text))
	}
	return s.sheet(d, "卷宗情况说明", at,
		paper.Part{Rows: []paper.Row{
			{Name: "终止时间", Value: s.when(c.At)},
			{Name: "终止原因", Value: "（" + c.Code + "）" + dispute.CodeName(c.Code)},
			{Name: "说明", Value: one(c.Reason)},
			{Name: "告知时间", Value: s.when(c.GuidedAt)},
			{Name: "告知方式", Value: how},
		}}, routes, paper.Part{Text: []string{"文本版本：" + c.RouteVersion}, Small: true})
}

// dossier makes the papers of a dispute that ended and the package with them. extra are papers that are new with the
// end; the frozen PDF and a scan are among the files that are kept already.
func (s *Dockets) dossier(ctx context.Context, d *Docket, key sign.Key, extra []parcel.File, at int64) ([]Document, parcel.Item, error) {
	var (
		files []parcel.File
		err   error
	)
	draw := func(name string, n int, p paper.Paper) {
		if err == nil {
			var b []byte
			if b, err = s.renderAny(p); err == nil {
				files = append(files, parcel.File{Name: name, MediaType: pdfType, Paper: n, Body: b})
			}
		}
	}
	draw("01-受理登记表.pdf", 1, s.registrationPaper(d, at))
	draw("02-权利义务告知书.pdf", 2, s.noticePaper(d, at))
	draw("03-身份证明.pdf", 3, s.identityPaper(d, at))
	draw("07-调解记录.pdf", 7, s.recordPaper(d, at))
	if d.Dispute.Closing != nil {
		draw("12-卷宗情况说明.pdf", 12, s.endPaper(d, at))
	}
	if err != nil {
		return nil, parcel.Item{}, err
	}
	made := slices.Concat(files, extra)
	files = slices.Clone(made)
	if d.Dispute.Closing == nil {
		for _, f := range d.Files {
			if f.Paper != 8 || f.Name != agreementFile(d.Agreement.V) && !strings.HasPrefix(f.Name, "08-协议书扫描件") {
				continue
			}
			kept, err := s.d.Store.File(ctx, d.Dispute.ID, f.Digest)
			if err != nil {
				return nil, parcel.Item{}, err
			}
			name := f.Name
			if name == agreementFile(d.Agreement.V) {
				name = agreement.AgreementFile // in a dossier there is one version alone
			}
			files = append(files, parcel.File{Name: name, MediaType: f.MediaType, Paper: f.Paper, Body: kept.Content})
		}
	}
	if d.Dispute.Closing == nil { // the clauses for machines, from which `heyi verify` works the digest out again
		record, err := d.Agreement.Record(s.signers(d)).Bytes()
		if err != nil {
			return nil, parcel.Item{}, err
		}
		files = append(files, parcel.File{Name: paper.RecordFile, MediaType: "application/json", Paper: 8, Body: record})
	}
	chain, err := s.d.Store.Chain(ctx, d.Dispute.ID)
	if err != nil {
		return nil, parcel.Item{}, err
	}
	files = append(files, parcel.File{Name: "events.json", MediaType: "application/json", Body: chain})
	slices.SortStableFunc(files, func(a, b parcel.File) int { return strings.Compare(a.Name, b.Name) })
	entries := []mediation.SignatureEntry{}
	if d.Dispute.Closing == nil {
		entries = d.Agreement.Entries(s.signers(d))
	}
	payload, sigs, err := parcel.Make(s.manifest(d, at), entries, files, key.Sign)
	if err != nil {
		return nil, parcel.Item{}, err
	}
	item := parcel.Item{
		Subject: string(d.Dispute.ID), Kind: parcel.Dossier, Version: 1, Session: d.Dispute.Session, Unit: d.Dispute.Unit,
		Payload: payload, Signatures: sigs, Files: files,
	}
	docs := make([]Document, len(made))
	for i, f := range made {
		docs[i] = Document{Name: f.Name, MediaType: f.MediaType, Paper: f.Paper, Content: f.Body}
	}
	return docs, item, nil
}

// signers names those who signed: parties by id, the mediator or clerk by staff id.
func (s *Dockets) signers(d *Docket) map[string]string {
	m := map[string]string{string(d.Session.Mediator): d.Mediator.Name}
	for _, p := range d.Dispute.Parties {
		m[string(p.ID)] = p.Person.Name
	}
	return m
}

func (s *Dockets) manifest(d *Docket, at int64) mediation.Manifest {
	k := &d.Dispute
	unit, _ := s.d.Tree.Get(k.Unit)
	m := mediation.Manifest{
		Subject: string(k.ID), Kind: parcel.Dossier, Version: 1, Unit: unit.Code, UnitName: s.committeeName(k.Unit), Number: k.Number,
		Category: string(k.Category), MediationKind: string(k.Kind), ClosingCode: dispute.CodeAgreed, MadeAt: at, EffectiveAt: k.EffectiveAt,
		ConfirmLastOn: k.ConfirmLastOn, HandOffConsent: k.HandOff(),
	}
	if k.Closing != nil {
		m.ClosingCode = k.Closing.Code
	} else {
		m.AmountFen = d.Agreement.Draft.AmountFen()
		last, _ := time.ParseInLocation(time.DateOnly, d.Agreement.Draft.LastDay(), s.d.TZ)
		m.FollowupOn = org.FollowUpDay(time.UnixMicro(k.EffectiveAt).In(s.d.TZ), last).Format(time.DateOnly)
	}
	for _, p := range required(k) {
		m.Parties = append(m.Parties, mediation.ManifestParty{
			Name: p.Person.Name, IDHMAC: s.d.Store.SearchHash(idSearch, p.Person.IDNo), IDNoMasked: dispute.MaskID(p.Person.IDNo), Side: string(p.Side), Role: p.Role,
		})
	}
	return m
}

// sealedPapers are the evidence sheet and the signed copy, made at sealing.
func (s *Dockets) sealedPapers(d *Docket, key sign.Key) ([]parcel.File, error) {
	e := agreement.Evidence{
		Agreement: d.Agreement, Meta: s.meta(d), Mediator: string(d.Session.Mediator), SealAlg: string(key.Alg), SealPrint: sign.Fingerprint(key.Public),
		VerifyURL: s.d.PublicURL + "/verify?d=" + d.Agreement.Digest.SHA256(), Zone: s.d.TZ,
	}
	var files []parcel.File
	for _, x := range []struct {
		name string
		p    paper.Paper
	}{{"08-签署证据页.pdf", agreement.EvidencePaper(e)}, {"08-签署本.pdf", agreement.SignedPaper(e)}} {
		b, err := s.d.Render(x.p)
		if err != nil {
			return nil, err
		}
		files = append(files, parcel.File{Name: x.name, MediaType: pdfType, Paper: 8, Body: b})
	}
	return files, nil
}

// missing stands on a paper for a character that no font has: a dossier must not wait for a rare one. The agreement
// itself is never touched: there a missing glyph stops the freeze.
const missing = "〓"

// renderAny draws a paper of the dossier; characters without a glyph are replaced.
func (s *Dockets) renderAny(p paper.Paper) ([]byte, error) {
	for range 100 {
		b, err := s.d.Render(p)
		f, ok := errors.AsType[*fault.Error](err)
		if err == nil || !ok || f.Code != "paper.glyph" && f.Code != "paper.text" {
			return b, err
		}
		code, bad := strconv.ParseInt(strings.TrimPrefix(f.Field, "U+"), 16, 32) // how the renderer names a character
		if bad != nil {
			return b, err
		}
		p = replaced(p, string(rune(code)))
	}
	return nil, fault.InField("paper.glyph", p.Title)
}

// replaced returns a copy of a paper's words without one character.
func replaced(p paper.Paper, what string) paper.Paper {
	out := func(v string) string { return strings.ReplaceAll(v, what, missing) }
	all := func(l []string) []string {
		c := make([]string, len(l))
		for i, v := range l {
			c[i] = out(v)
		}
		return c
	}
	parts := slices.Clone(p.Parts)
	for i := range parts {
		x := &parts[i]
		x.Heading, x.Text = out(x.Heading), all(x.Text)
		rows := slices.Clone(x.Rows)
		for j := range rows {
			rows[j].Value = out(rows[j].Value)
		}
		x.Rows = rows
		if x.Grid != nil {
			g := *x.Grid
			g.Rows = slices.Clone(g.Rows)
			for j := range g.Rows {
				g.Rows[j] = all(g.Rows[j])
			}
			x.Grid = &g
		}
	}
	p.Parts = parts
	return p
}
