package agreement

import (
	"fmt"
	"strings"
	"time"

	"heyi/mediation/paper"
)

// The names of the files of an agreement in a dossier, all of paper 8.
const (
	AgreementFile = "08-人民调解协议书.pdf"
	EvidenceFile  = "08-签署证据页.pdf"
	SignedFile    = "08-签署本.pdf"
)

// AgreementPaper is the agreement as it is frozen: the blocks and nothing else. On paper it ends with lines to sign by
// hand; signed electronically, it says where the signatures stand.
//
//nolint:revive // Paper alone would not say which of the three
func AgreementPaper(blocks []Block, m Meta, mode Mode, at int64) paper.Paper {
	p := fromBlocks(blocks, m, at)
	if mode == OnPaper {
		last := paper.Part{Heading: "签名", Text: []string{"看清楚再签。签名、盖章或者按指印都可以，请写上日期。"}}
		for _, party := range m.Parties {
			last.Marks = append(last.Marks, paper.Signed{Role: roleWord(party.Role) + "（签名、盖章或按指印）", Name: party.Name, When: "　　　年　　月　　日"})
		}
		last.Marks = append(last.Marks, paper.Signed{Role: "人民调解员（签名）", Name: m.Mediator, When: "　　　年　　月　　日"})
		p.Parts = append(p.Parts, last, paper.Part{Text: []string{m.Unit + "（印章）　　　　　　年　　月　　日"}})
		return p
	}
	p.Parts = append(p.Parts, paper.Part{Small: true, Text: []string{"各方的签名、人民调解员的签名和人民调解委员会的印章，见同一卷里的签署证据页和签署本。"}})
	return p
}

func fromBlocks(blocks []Block, m Meta, at int64) paper.Paper {
	p := paper.Paper{Issuer: m.Unit, At: at, Foot: m.Unit}
	agreed := false
	for _, b := range blocks {
		switch b.T {
		case paper.TitleBlock:
			p.Title = strings.Join(b.Lines, "")
		case paper.NumberBlock:
			p.Number = strings.Join(b.Lines, "")
		case paper.FactsBlock:
			p.Parts = append(p.Parts, paper.Part{Heading: b.Lines[0], Text: b.Lines[1:], Indent: true})
		case paper.ClauseBlock:
			part := paper.Part{Text: b.Lines, Indent: true}
			if !agreed {
				part.Heading, agreed = "经调解，各方自愿达成如下协议：", true
			}
			p.Parts = append(p.Parts, part)
		case paper.CloseBlock:
			p.Parts = append(p.Parts, paper.Part{Text: b.Lines, Indent: true})
		case paper.PartyBlock:
			p.Parts = append(p.Parts, paper.Part{Text: b.Lines})
		}
	}
	return p
}

// Evidence is what the sheet and the signed copy say beside the agreement itself.
type Evidence struct {
	Agreement Agreement // sealed
	Meta      Meta
	Mediator  string // staff id that signed
	SealAlg   string
	SealPrint string // fingerprint of the seal's public key
	VerifyURL string // "https://host/verify?d=<digest>"
	Zone      *time.Location
}

// EvidencePaper is the sheet that says who signed what, when and how, and what that proves (电子签名法 arts 13 and 14;
// domain.md 5.4).
func EvidencePaper(e Evidence) paper.Paper {
	a := e.Agreement
	when := func(at int64) string { return Moment(at, e.Zone) }
	p := paper.Paper{Title: "签署证据页", Number: e.Meta.Number, Issuer: e.Meta.Unit, Foot: e.Meta.Unit, At: a.SealedAt}
	p.Parts = append(p.Parts, paper.Part{Heading: "签的是哪一份", Rows: []paper.Row{
		{Name: "文件", Value: AgreementFile + "，第 " + fmt.Sprint(a.V) + " 版，" + when(a.FrozenAt) + "定稿，以后没有改动"},
		{Name: "核对码", Value: a.Digest.Code()[:3] + " " + a.Digest.Code()[3:]},
		{Name: "协议摘要 SHA-256", Value: a.Digest.SHA256()},
		{Name: "协议摘要 SM3", Value: a.Digest.SM3()},
		{Name: "条款摘要 SHA-256", Value: a.Digest.BlocksSHA256},
		{Name: "PDF 摘要 SHA-256", Value: a.Digest.PDFSHA256},
		{Name: "生效时间", Value: when(a.EffectiveAt)},
	}})
	grid := &paper.Grid{Head: []string{"谁", "这次怎样核对身份", "听读后核对码输对", "签名", "在哪里签"}, Shares: []int{18, 25, 21, 21, 19}}
	marks := e.marks(when)
	for _, s := range a.Signatures {
		party, _ := e.Meta.party(s.Party)
		grid.Rows = append(grid.Rows, []string{party.Name, methodWords(s.IdentityCheck), when(a.Reading(s.Party).OKAt), when(s.At), channelWord(s.Channel)})
	}
	if s := a.Mediator; s != nil {
		grid.Rows = append(grid.Rows, []string{e.Meta.Mediator + "（人民调解员）", "重新输入密码", "—", when(s.At), channelWord(s.Channel)})
	}
	p.Parts = append(p.Parts,
		paper.Part{Heading: "谁在什么时候怎样签的", Grid: grid},
		paper.Part{Heading: "手写的签名", Marks: marks},
		paper.Part{Heading: "人民调解委员会的印章", Rows: []paper.Row{
			{Name: "盖章时间", Value: when(a.SealedAt)},
			{Name: "印章密钥", Value: a.SealKID + "（" + algWord(e.SealAlg) + "）"},
			{Name: "公钥指纹", Value: e.SealPrint},
		}, Seal: &paper.Seal{Name: e.Meta.Unit, Below: []string{"盖章单位：" + e.Meta.Unit, "印章由委员会的密钥对整份移交包签出，图形只是样子。"}}},
		paper.Part{Heading: "这一页证明什么", Small: true, Text: []string{
			"每一个签名绑定四样东西：上面的协议摘要；这次会话里由调解员当面（视频）看证件核对的身份；调解员在场；签名的时间。协议、签名或者本页改动一个字节，核对就通不过。",
			"画下来的线条表明签名的人愿意签，本页不把它说成等于亲笔签名。身份核对、时间由本系统完成，没有经过持牌的第三方机构。",
		}},
		verifyPart(e),
	)
	return p
}

// SignedPaper is the copy that people keep: the text as frozen, the drawn signatures, the seal.
func SignedPaper(e Evidence) paper.Paper {
	when := func(at int64) string { return Moment(at, e.Zone) }
	p := fromBlocks(e.Agreement.Blocks, e.Meta, e.Agreement.SealedAt)
	p.Foot = e.Meta.Unit + "　签署本　核对码 " + e.Agreement.Digest.Code()[:3] + " " + e.Agreement.Digest.Code()[3:]
	p.Parts = append(p.Parts,
		paper.Part{Heading: "签名", Marks: e.marks(when)},
		paper.Part{Seal: &paper.Seal{Name: e.Meta.Unit, Below: []string{
			e.Meta.Unit, when(e.Agreement.SealedAt), "", "本协议自 " + Moment(e.Agreement.EffectiveAt, e.Zone) + " 起生效。",
		}}},
		verifyPart(e),
	)
	return p
}

func (e Evidence) marks(when func(int64) string) []paper.Signed {
	var out []paper.Signed
	for _, s := range e.Agreement.Signatures {
		party, _ := e.Meta.party(s.Party)
		out = append(out, paper.Signed{Role: roleWord(party.Role), Name: party.Name, When: when(s.At), Mark: &s.Mark})
	}
	if s := e.Agreement.Mediator; s != nil {
		out = append(out, paper.Signed{Role: "人民调解员", Name: e.Meta.Mediator, When: when(s.At), Mark: &s.Mark})
	}
	return out
}

func verifyPart(e Evidence) paper.Part {
	if e.VerifyURL == "" {
		return paper.Part{}
	}
	return paper.Part{QR: &paper.QR{Text: e.VerifyURL, Lines: []string{
		"扫码核对真假：把移交包或者里面的文件交给核对页面，不用登录。",
		"不信任本网站，也可以离线核对：heyi verify，或者只用 OpenSSL（docs/verify.md）。",
		e.VerifyURL,
	}}}
}

// Moment writes an instant as 2026年10月8日 14:52:03, "—" for none.
func Moment(at int64, zone *time.Location) string {
	if at == 0 {
		return "—"
	}
	t := time.UnixMicro(at).In(zone)
	return Day(t.Format(time.DateOnly)) + t.Format(" 15:04:05")
}

func methodWords(methods string) string {
	var out []string
	for m := range strings.SplitSeq(methods, ",") {
		if w := map[string]string{"card": "看身份证", "face": "看本人", "phone_code": "手机验证码"}[strings.TrimSpace(m)]; w != "" {
			out = append(out, w)
		} else if m != "" {
			out = append(out, m)
		}
	}
	return strings.Join(out, "、")
}

func channelWord(c string) string {
	if w := map[string]string{"sign_link": "扫码后在手机上", "party_link": "本人手机", "capture": "配对的手机", "desk": "调解员工作台"}[c]; w != "" {
		return w
	}
	return c
}

func algWord(alg string) string {
	if w := map[string]string{"ed25519": "Ed25519", "sm2": "SM2"}[alg]; w != "" {
		return w
	}
	return alg
}
