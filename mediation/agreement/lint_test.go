package agreement_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"heyi/internal/fault"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/paper"
)

const today = "2026-09-01"

func meta() agreement.Meta {
	return agreement.Meta{
		Unit: "敖汉旗萨力巴乡人民调解委员会", Number: "(2026)敖萨人调字第000123号", Category: mediation.Land, Mediator: "调解员丙", Rule: agreement.ThreeSignatures,
		Parties: []agreement.Party{
			{ID: "a", Name: "王建国", Role: agreement.Applicant, Sex: "male", Ethnic: "蒙古族", BirthYear: 1961, Occupation: "牧民", Phone: "13800000001", Address: "敖汉旗萨力巴乡（示例）2组", Verified: true, ESign: true},
			{ID: "b", Name: "被申请人乙", Role: agreement.Respondent, Sex: "女", Verified: true, ESign: true},
		},
	}
}

func pay() agreement.Clause {
	return agreement.Clause{
		ID: "1", Kind: agreement.Pay, Who: "b", To: "a", What: "2025年度草牧场租金", AmountFen: new(int64(1860000)), By: "2026-12-20",
		How: "转到账户6217 0000 0000 1234 567", Late: "王建国可以向人民法院起诉", TagsConfirmed: true,
	}
}

func parts() agreement.Clause {
	c := pay()
	c.By = ""
	c.Instalments = []agreement.Instalment{{By: "2026-10-20", AmountFen: 860000}, {By: "2026-12-20", AmountFen: 1000000}}
	return c
}

func clause(kind agreement.Kind) agreement.Clause {
	return agreement.Clause{
		ID: "1", Kind: kind, Who: "b", To: "a", What: "东沟的草牧场600亩", By: "2026-10-31", How: "双方到现场交接，签交接单", Late: "每晚一天付100元", TagsConfirmed: true,
	}
}

func free(text string) agreement.Clause {
	return agreement.Clause{ID: "1", Kind: agreement.Free, Text: text, TagsConfirmed: true}
}

func draft(c ...agreement.Clause) agreement.Draft {
	return agreement.Draft{Facts: "租期已满，租金没有付。", Clauses: c, Form: agreement.Written}
}

func TestCleanDraftsHaveNoLint(t *testing.T) {
	t.Parallel()
	stop := clause(agreement.Stop)
	stop.How = ""
	cash := pay()
	cash.How = "现金，收款人当场写收条"
	for name, d := range map[string]agreement.Draft{
		"pay": draft(pay()), "pay cash": draft(cash), "instalments": draft(parts()), "return": draft(clause(agreement.Return)), "do": draft(clause(agreement.Do)),
		"stop needs no how": draft(stop), "apologise": draft(clause(agreement.Apologise)),
		"free":                 draft(free("双方再没有其他争议。")),
		"free, done already":   draft(free("王建国确认押金已经返还，双方不再要求支付其他款项。")),
		"free with a day":      draft(free("被申请人乙于2026年10月8日前搬离，钥匙交给王建国。")),
		"free with capitals":   draft(free("已付的定金500元（大写：伍佰元整）不退。")),
		"first day is today":   draft(func() agreement.Clause { c := stop; c.By = today; return c }()),
		"name of a party":      draft(free("王建国和被申请人乙各自承担自己的误工损失。")),
		"facts may say 及时":     {Facts: "乙没有及时付租金。", Clauses: []agreement.Clause{pay()}},
		"pasted with odd dots": draft(free("甲・乙双方再没有其他争议⋯⋯")),
	} {
		if found := agreement.Check(d, meta(), today); len(found) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
		if err := agreement.Refuse(agreement.Check(d, meta(), today)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	with := func(c agreement.Clause, change func(*agreement.Clause)) agreement.Draft {
		change(&c)
		return draft(c)
	}
	type want struct{ field, code, proposal string }
	for name, tt := range map[string]struct {
		d    agreement.Draft
		want want
	}{
		"no clauses":             {draft(), want{"clauses", "no_clauses", ""}},
		"no facts":               {agreement.Draft{Clauses: []agreement.Clause{pay()}}, want{"facts", "facts_missing", ""}},
		"61 clauses":             {draft(many(61)...), want{"clauses", "too_many", ""}},
		"40,001 characters":      {agreement.Draft{Facts: strings.Repeat("长", 40_001), Clauses: []agreement.Clause{free("完。")}}, want{"facts", "too_long", ""}},
		"kind not chosen":        {with(pay(), func(c *agreement.Clause) { c.Kind = "" }), want{"kind", "kind", ""}},
		"no id":                  {with(pay(), func(c *agreement.Clause) { c.ID = "" }), want{"id", "clause_id", ""}},
		"the same id twice":      {draft(pay(), pay()), want{"id", "clause_id", ""}},
		"who":                    {with(pay(), func(c *agreement.Clause) { c.Who = "" }), want{"who", "who_missing", ""}},
		"who is a stranger":      {with(pay(), func(c *agreement.Clause) { c.Who = "x" }), want{"who", "who_missing", ""}},
		"to whom":                {with(pay(), func(c *agreement.Clause) { c.To = "" }), want{"to", "to_missing", "a"}},
		"to himself":             {with(pay(), func(c *agreement.Clause) { c.To = "b" }), want{"to", "to_self", "a"}},
		"what":                   {with(clause(agreement.Do), func(c *agreement.Clause) { c.What = " " }), want{"what", "what_missing", ""}},
		"how much":               {with(pay(), func(c *agreement.Clause) { c.AmountFen = nil }), want{"amount_fen", "amount_missing", ""}},
		"nothing":                {with(pay(), func(c *agreement.Clause) { c.AmountFen = new(int64(0)) }), want{"amount_fen", "amount_missing", ""}},
		"less than nothing":      {with(pay(), func(c *agreement.Clause) { c.AmountFen = new(int64(-1)) }), want{"amount_fen", "amount_missing", ""}},
		"a sum from instalments": {with(parts(), func(c *agreement.Clause) { c.AmountFen = nil }), want{"amount_fen", "amount_missing", "1860000"}},
		"instalments do not sum": {with(parts(), func(c *agreement.Clause) { c.AmountFen = new(int64(1900000)) }), want{"amount_fen", "instalments_sum", "1860000"}},
		"an empty instalment":    {with(parts(), func(c *agreement.Clause) { c.Instalments[0].AmountFen = 0 }), want{"instalments", "instalment_amount", ""}},
		"instalments disordered": {with(parts(), func(c *agreement.Clause) { c.Instalments[1].By = "2026-10-20" }), want{"instalments", "instalment_order", ""}},
		"last day differs":       {with(parts(), func(c *agreement.Clause) { c.By = "2026-12-31" }), want{"by", "by_last", "2026-12-20"}},
		"which day":              {with(pay(), func(c *agreement.Clause) { c.By = "" }), want{"by", "day_missing", ""}},
		"no such day":            {with(pay(), func(c *agreement.Clause) { c.By = "2026-02-30" }), want{"by", "day_unreal", ""}},
		"over":                   {with(pay(), func(c *agreement.Clause) { c.By = "2026-08-31" }), want{"by", "day_past", ""}},
		"a slip in the year":     {with(pay(), func(c *agreement.Clause) { c.By = "2206-10-01" }), want{"by", "day_far", ""}},
		"how":                    {with(clause(agreement.Return), func(c *agreement.Clause) { c.How = "" }), want{"how", "how_missing", "当面交接，双方签交接单"}},
		"no account":             {with(pay(), func(c *agreement.Clause) { c.How = "微信" }), want{"how", "account_missing", "现金，当面付清，收款人当场写收条"}},
		"what if late":           {with(pay(), func(c *agreement.Clause) { c.Late = "" }), want{"late", "late_missing", "王建国可以就没有履行的部分向人民法院起诉"}},
		"soon":                   {with(pay(), func(c *agreement.Clause) { c.Late = "尽快补付" }), want{"late", "vague", "于2026年12月20日前补付"}},
		"in time":                {with(clause(agreement.Do), func(c *agreement.Clause) { c.What = "及时修好围栏" }), want{"what", "vague", "于2026年10月31日前修好围栏"}},
		"appropriate":            {with(clause(agreement.Do), func(c *agreement.Clause) { c.Late = "适当赔偿" }), want{"late", "vague", ""}},
		"to be agreed later":     {draft(free("放牧的事另行协商。")), want{"text", "vague", ""}},
		"a duty without a day":   {draft(free("被申请人乙搬离草场。")), want{"text", "free_day", ""}},
		"an empty clause":        {draft(free("")), want{"text", "text_missing", ""}},
		"wrong capitals":         {draft(free("定金500元（大写：伍拾元整）不退。")), want{"text", "capitals", "定金500元（大写：伍佰元整）不退。"}},
		"third person":           {draft(free("案外人丁不再放牧。")), want{"text", "third_person", ""}},
		"a name misspelt":        {draft(free("王建军不再提出要求。")), want{"text", "name", "王建国不再提出要求。"}},
		"a rare character":       {draft(free("𠮷祥。")), want{"text", "character", "祥。"}},
		"tags not looked at":     {with(pay(), func(c *agreement.Clause) { c.TagsConfirmed = false }), want{"tags_confirmed", "tags_unconfirmed", "true"}},
		"an untagged divorce":    {draft(free("双方自愿离婚。")), want{"tags", "tag_missing", "personal_status"}},
		"an untagged stop":       {with(clause(agreement.Stop), func(c *agreement.Clause) { c.What = "断水断电" }), want{"tags", "tag_missing", "utility_stop"}},
		"an unknown tag":         {with(pay(), func(c *agreement.Clause) { c.Tags = []agreement.Tag{"x"} }), want{"tags", "tag_unknown", ""}},
	} {
		found := agreement.Check(tt.d, meta(), today)
		i := slices.IndexFunc(found, func(l agreement.Lint) bool { return l.Code == tt.want.code })
		if i < 0 {
			t.Errorf("%s: found %+v", name, found)
			continue
		}
		got := found[i]
		if d := cmp.Diff(tt.want, want{got.Field, got.Code, got.Proposal}, cmp.AllowUnexported(want{})); d != "" || got.Message == "" {
			t.Errorf("%s (-want +got):\n%s %+v", name, d, got)
		}
		if err := agreement.Refuse(found); fault.CodeOf(err) != "agreement.lint" {
			t.Errorf("%s: refuse says %v", name, err)
		}
	}
}

func many(n int) []agreement.Clause {
	out := make([]agreement.Clause, n)
	for i := range out {
		out[i] = free("第" + strconv.Itoa(i) + "条")
		out[i].ID = strconv.Itoa(i)
	}
	return out
}

func TestUnverifiedNamesBlock(t *testing.T) {
	t.Parallel()
	m := meta()
	m.Parties[1].Verified = false
	found := agreement.Check(draft(pay()), m, today)
	if len(found) != 1 || found[0].Code != "party_unverified" {
		t.Errorf("found %+v", found)
	}
}

// TestProposalsHeal applies every proposal once and expects the line to be gone.
func TestProposalsHeal(t *testing.T) {
	t.Parallel()
	broken := pay()
	broken.To, broken.How, broken.Late, broken.TagsConfirmed = "", "微信", "尽快付", false
	broken.What = "草牧场租金（不影响双方离婚时的约定）"
	d := draft(broken)
	for range 8 {
		found := agreement.Check(d, meta(), today)
		if len(found) == 0 {
			return
		}
		l, c := found[0], &d.Clauses[0]
		switch l.Field {
		case "to":
			c.To = l.Proposal
		case "how":
			c.How = l.Proposal
		case "late":
			c.Late = l.Proposal
		case "tags":
			c.Tags = append(c.Tags, agreement.Tag(l.Proposal))
		case "tags_confirmed":
			c.TagsConfirmed = l.Proposal == "true"
		}
	}
	t.Errorf("still there: %+v", agreement.Check(d, meta(), today))
}

func TestBlocksSayEveryThing(t *testing.T) {
	t.Parallel()
	stop, do := clause(agreement.Stop), clause(agreement.Do)
	stop.ID, do.ID = "2", "3"
	blocks, err := agreement.Blocks(draft(parts(), stop, do, free("双方再没有其他争议")), meta())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(blocks)
	if err != nil {
		t.Fatal(err)
	}
	want := []paper.BlockType{"title", "number", "party", "party", "facts", "clause", "clause", "clause", "clause", "close"}
	for i, x := range blocks {
		if x.N != i+1 || x.T != want[i] {
			t.Errorf("block %d is %d %s", i, x.N, x.T)
		}
	}
	for _, words := range []string{
		"人民调解协议书", "编号：(2026)敖萨人调字第000123号", "当事人（申请人）：王建国", "性别：男，民族：蒙古族，出生年份：1961年，职业：牧民，联系方式：13800000001", "单位或住址：敖汉旗萨力巴乡（示例）2组",
		"当事人（被申请人）：被申请人乙", "性别：女", "纠纷主要事实、争议事项：",
		"一、被申请人乙向王建国支付2025年度草牧场租金人民币18,600.00元（大写：壹万捌仟陆佰元整），分2期付清：",
		"第1期：2026年10月20日前（含当日）支付人民币8,600.00元（大写：捌仟陆佰元整）。", "第2期：2026年12月20日前（含当日）支付人民币10,000.00元（大写：壹万元整）。",
		"支付方式：转到账户6217 0000 0000 1234 567。", "逾期不付的：王建国可以向人民法院起诉。",
		"二、自2026年10月31日起，被申请人乙不再对王建国有下列行为：", "三、被申请人乙于2026年10月31日前（含当日）为王建国完成：", "四、双方再没有其他争议",
		"本协议自各方当事人、人民调解员签名并由敖汉旗萨力巴乡人民调解委员会盖章之日起生效。", "本协议共四条，一式3份", "人民调解员：调解员丙",
	} {
		if !strings.Contains(string(b), words) {
			t.Errorf("the text does not say %q", words)
		}
	}
}

// TestBlocksAreCanonical: whatever passes the lint can be frozen, and digesting the stored draft gives the same bytes.
func TestBlocksAreCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := genDraft().Draw(t, "draft")
		if len(agreement.Check(d, meta(), today)) > 0 {
			return
		}
		one, err := agreement.Blocks(d, meta())
		if err != nil {
			t.Fatal(err)
		}
		two, err := agreement.Blocks(d.Normalise(), meta())
		if err != nil {
			t.Fatal(err)
		}
		a, errA := paper.Canonical(one)
		b, errB := paper.Canonical(two)
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Fatalf("%v %v\n%s\n%s", errA, errB, a, b)
		}
	})
}

func genDraft() *rapid.Generator[agreement.Draft] {
	text := rapid.OneOf(rapid.Just("双方再没有其他争议。"), rapid.Just("离婚后孩子由甲抚养。"), rapid.Just("停止供水。"), rapid.StringN(0, 12, 40), rapid.Just("现金"), rapid.Just("6217000000001234567"))
	tag := rapid.SampledFrom([]agreement.Tag{agreement.PersonalStatus, agreement.UtilityStop})
	one := rapid.Custom(func(t *rapid.T) agreement.Clause {
		return agreement.Clause{
			ID: rapid.StringMatching(`[a-z]{8}`).Draw(t, "id"), Kind: rapid.SampledFrom([]agreement.Kind{agreement.Pay, agreement.Return, agreement.Do, agreement.Stop, agreement.Apologise, agreement.Free}).Draw(t, "kind"),
			Who: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "who"), To: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "to"),
			What: text.Draw(t, "what"), How: text.Draw(t, "how"), Late: text.Draw(t, "late"), Text: text.Draw(t, "text"),
			AmountFen: rapid.Ptr(rapid.Int64Range(0, 1e12), true).Draw(t, "amount"), By: rapid.SampledFrom([]string{"", "2026-12-20", "2027-01-01"}).Draw(t, "by"),
			Tags: rapid.SliceOfN(tag, 0, 2).Draw(t, "tags"), TagsConfirmed: rapid.Bool().Draw(t, "confirmed"),
		}
	})
	return rapid.Custom(func(t *rapid.T) agreement.Draft {
		return agreement.Draft{Facts: rapid.StringN(0, 20, 80).Draw(t, "facts"), Clauses: rapid.SliceOfN(one, 0, 5).Draw(t, "clauses")}
	})
}

// FuzzCheck: no draft makes the lint panic, and what it lets through can be written.
func FuzzCheck(f *testing.F) {
	f.Add("事实", "what", "how", "late", "尽快付500元（大写：x）", int64(1))
	f.Fuzz(func(t *testing.T, facts, what, how, late, text string, fen int64) {
		p := pay()
		p.What, p.How, p.Late, p.AmountFen = what, how, late, &fen
		o := free(text)
		o.ID = "2"
		d := agreement.Draft{Facts: facts, Clauses: []agreement.Clause{p, o}}
		if len(agreement.Check(d, meta(), today)) == 0 {
			if _, err := agreement.Blocks(d, meta()); err != nil {
				t.Fatalf("passed the lint, cannot be written: %v", err)
			}
		}
	})
}
