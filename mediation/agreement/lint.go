package agreement

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"heyi/internal/fault"
	"heyi/mediation/paper"
)

// Lint is one line in the margin: what stands in the way of the freeze, in words, and what to write instead. Proposal is
// the whole new value of the field as text ("" when only the drafter can know): a day YYYY-MM-DD, an amount in fen,
// a party id, a tag, "true".
type Lint struct {
	Clause   string `json:"clause"` // id, "" for the whole draft
	Field    string `json:"field"`  // JSON name of the field
	Code     string `json:"code"`
	Message  string `json:"message"`
	Proposal string `json:"proposal"`
}

// linter collects the findings of one draft.
type linter struct {
	m     Meta
	today string
	out   []Lint
}

// Check returns everything that blocks the freeze of a draft, in the order of the text (domain.md 5.7: who, to whom,
// what, how much, by which day, how, and what if late). today is the day of the service's time zone.
func Check(d Draft, m Meta, today string) []Lint {
	d = d.Normalise()
	l := &linter{m: m, today: today, out: []Lint{}}
	l.draft(d)
	seen := map[string]bool{}
	for _, c := range d.Clauses {
		if c.ID == "" || seen[c.ID] {
			l.add(c.ID, "id", "clause_id", "这一条没有自己的编号，请删掉重写", "")
		}
		seen[c.ID] = true
		l.clause(c)
	}
	return l.out
}

// Refuse turns findings into the refusal of a freeze, nil when there are none: fault.Invalid "agreement.lint" about the
// first one.
func Refuse(found []Lint) error {
	if len(found) == 0 {
		return nil
	}
	return fault.InField("agreement.lint", found[0].Field).WithRef(found[0].Clause)
}

func (l *linter) add(clause, field, code, message, proposal string) {
	l.out = append(l.out, Lint{Clause: clause, Field: field, Code: code, Message: message, Proposal: proposal})
}

func (l *linter) draft(d Draft) {
	runes := len([]rune(d.Facts))
	for _, c := range d.Clauses {
		runes += len([]rune(c.What + c.How + c.Late + c.Text))
	}
	switch {
	case d.Facts == "":
		l.add("", "facts", "facts_missing", "先写清楚双方争的是什么事", "")
	case runes > MaxRunes:
		l.add("", "facts", "too_long", fmt.Sprintf("太长了，最多 %d 个字", MaxRunes), "")
	}
	l.characters("", "facts", d.Facts)
	switch {
	case len(d.Clauses) == 0:
		l.add("", "clauses", "no_clauses", "一条都还没有写", "")
	case len(d.Clauses) > MaxClauses:
		l.add("", "clauses", "too_many", fmt.Sprintf("最多 %d 条", MaxClauses), "")
	}
	for _, p := range l.m.Parties {
		if !p.Verified || p.Name == "" {
			l.add("", "parties", "party_unverified", name(l.m, p.ID)+"的身份还没有核对，名字不能写进协议", "")
		}
		for _, v := range []string{p.Name, p.Ethnic, p.Occupation, p.Phone, p.Address} {
			l.characters("", "parties", v)
		}
	}
}

func (l *linter) clause(c Clause) {
	switch c.Kind {
	case Pay, Return, Do, Stop, Apologise:
		l.people(c)
		l.duty(c)
	case Free:
		l.free(c)
	default:
		l.add(c.ID, "kind", "kind", "选一下这一条是哪一类：付钱、返还、做事、停止、道歉、其他", "")
	}
	for _, f := range fields(c) {
		l.characters(c.ID, f.name, f.text)
		l.words(c, f.name, f.text)
		l.names(c, f.name, f.text)
	}
	l.tags(c)
}

type field struct{ name, text string }

func fields(c Clause) []field {
	if c.Kind == Free {
		return []field{{"text", c.Text}}
	}
	return []field{{"what", c.What}, {"how", c.How}, {"late", c.Late}}
}

func (l *linter) people(c Clause) {
	other := func(not string) string {
		if len(l.m.Parties) != 2 {
			return ""
		}
		for _, p := range l.m.Parties {
			if p.ID != not {
				return p.ID
			}
		}
		return ""
	}
	if _, ok := l.m.party(c.Who); !ok {
		l.add(c.ID, "who", "who_missing", "谁来做，要从当事人里选", "")
	}
	switch _, ok := l.m.party(c.To); {
	case !ok:
		p := ""
		if _, known := l.m.party(c.Who); known {
			p = other(c.Who)
		}
		l.add(c.ID, "to", "to_missing", "对谁做，要从当事人里选", p)
	case c.To == c.Who:
		l.add(c.ID, "to", "to_self", "不能是同一个人", other(c.Who))
	}
}

func (l *linter) duty(c Clause) {
	if c.What == "" {
		l.add(c.ID, "what", "what_missing", map[Kind]string{
			Pay: "付的是什么钱，比如“草场租金”", Return: "还什么东西，写清楚名称、数量、位置", Do: "要做什么，写到别人能照着检查", Stop: "不再做什么，写具体", Apologise: "为什么事道歉",
		}[c.Kind], "")
	}
	if c.Kind == Pay {
		l.amount(c)
	} else {
		l.day(c, "by", c.By)
	}
	switch {
	case c.How == "" && c.Kind != Stop: // to leave something alone needs no way of doing it
		proposal := map[Kind]string{Pay: "现金，当面付清，收款人当场写收条", Return: "当面交接，双方签交接单", Apologise: "当面口头道歉"}[c.Kind]
		l.add(c.ID, "how", "how_missing", "怎么做没有写", proposal)
	case c.Kind == Pay && !strings.Contains(c.How, "现金") && !account.MatchString(strings.ReplaceAll(c.How, " ", "")):
		l.add(c.ID, "how", "account_missing", "写收款的银行账号，或者写“现金”", "现金，当面付清，收款人当场写收条")
	}
	if c.Late == "" {
		to := name(l.m, c.To)
		l.add(c.ID, "late", "late_missing", "到期没有做，怎么办", to+"可以就没有履行的部分向人民法院起诉")
	}
}

var (
	account = regexp.MustCompile(`[0-9]{10,30}`)
	dated   = regexp.MustCompile(`[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日`)
	duty    = regexp.MustCompile(`支付|付清|偿还|返还|归还|赔偿|交付|搬离|腾退|拆除|修复`)
	past    = regexp.MustCompile(`已经?(?:支付|付清|偿还|返还|归还|赔偿|交付|搬离|腾退|拆除|修复)|不再[^，。；]*(?:支付|付清|偿还|返还|归还|赔偿|交付|搬离|腾退|拆除|修复)|无需[^，。；]*(?:支付|付清|偿还|返还|归还|赔偿|交付|搬离|腾退|拆除|修复)`)
	written = regexp.MustCompile(`([0-9][0-9,]*(?:\.[0-9]{1,2})?)元[（(]大写[：:]?([^）)]*)[）)]`)
)

func (l *linter) amount(c Clause) {
	total := fen(c)
	if total <= 0 || total > maxFen {
		var proposal string
		if sum, ok := sumOf(c.Instalments); ok {
			proposal = strconv.FormatInt(sum, 10)
		}
		l.add(c.ID, "amount_fen", "amount_missing", "一共付多少钱", proposal)
	}
	if len(c.Instalments) == 0 {
		l.day(c, "by", c.By)
		return
	}
	sum, ok := sumOf(c.Instalments)
	switch {
	case !ok:
		l.add(c.ID, "instalments", "instalment_amount", "每一期都要写多少钱", "")
	case total > 0 && sum != total:
		l.add(c.ID, "amount_fen", "instalments_sum", fmt.Sprintf("各期加起来是 %s 元，和总数 %s 元对不上", Figures(sum), Figures(total)), strconv.FormatInt(sum, 10))
	}
	last := ""
	for i, part := range c.Instalments {
		l.day(c, "instalments", part.By)
		if i > 0 && part.By <= last {
			l.add(c.ID, "instalments", "instalment_order", fmt.Sprintf("第 %d 期要晚于第 %d 期", i+1, i), "")
		}
		last = part.By
	}
	if c.By != "" && c.By != last {
		l.add(c.ID, "by", "by_last", "最后一天要和最后一期一样", last)
	}
}

// maxFen keeps an amount below what Capitals can write and JavaScript can count.
const maxFen = 1_000_000_000_000_00

func sumOf(parts []Instalment) (sum int64, ok bool) {
	for _, p := range parts {
		if p.AmountFen <= 0 || p.AmountFen > maxFen {
			return 0, false
		}
		sum += p.AmountFen
	}
	return sum, len(parts) > 0
}

// day wants a day of the calendar that is neither over nor out of reach.
func (l *linter) day(c Clause, field, day string) {
	t, err := time.Parse(time.DateOnly, day)
	now, nowErr := time.Parse(time.DateOnly, l.today)
	switch {
	case day == "":
		l.add(c.ID, field, "day_missing", "写明是哪一天，某年某月某日", "")
	case err != nil:
		l.add(c.ID, field, "day_unreal", "日历上没有这一天："+day, "")
	case nowErr == nil && t.Before(now):
		l.add(c.ID, field, "day_past", Day(day)+"已经过了", "")
	case nowErr == nil && t.After(now.AddDate(50, 0, 0)):
		l.add(c.ID, field, "day_far", Day(day)+"太远了，看看年份写对没有", "")
	}
}

func (l *linter) free(c Clause) {
	if c.Text == "" {
		l.add(c.ID, "text", "text_missing", "这一条还没有写", "")
		return
	}
	if rest := past.ReplaceAllString(c.Text, ""); duty.MatchString(rest) && !dated.MatchString(c.Text) {
		l.add(c.ID, "text", "free_day", "“"+duty.FindString(rest)+"”要写明到哪一天，或者用“付钱”“返还”“做事”的条款写", "")
	}
	for _, w := range written.FindAllStringSubmatch(c.Text, -1) {
		yuan, err := strconv.ParseFloat(strings.ReplaceAll(w[1], ",", ""), 64)
		if want := Capitals(int64(yuan*100 + 0.5)); err == nil && strings.TrimSpace(w[2]) != want {
			l.add(c.ID, "text", "capitals", w[1]+"元的大写是"+want, strings.Replace(c.Text, w[0], w[1]+"元（大写："+want+"）", 1))
		}
	}
}

func (l *linter) characters(clause, field, text string) {
	for _, line := range paper.Lines(text) {
		if err := paper.Text(line); err != nil {
			l.add(clause, field, "character", "有一个字印不出来，请换一个字写", strings.Map(func(r rune) rune {
				if r != '\n' && paper.Text(string(r)) != nil {
					return -1
				}
				return r
			}, text))
			return
		}
	}
}

// words finds what a court could not enforce and what reaches for somebody who signs nothing.
func (l *linter) words(c Clause, field, text string) {
	for _, v := range vague {
		if !strings.Contains(text, v.word) {
			continue
		}
		proposal, message := "", "“"+v.word+"”不清楚，写明具体的数、办法或日期"
		if v.at {
			message = "“" + v.word + "”不清楚，写明是哪一天"
			if _, err := time.Parse(time.DateOnly, c.By); err == nil {
				proposal = strings.ReplaceAll(text, v.word, "于"+Day(c.By)+"前")
			}
		}
		l.add(c.ID, field, "vague", message, proposal)
	}
	for _, w := range third {
		if strings.Contains(text, w) {
			l.add(c.ID, field, "third_person", "“"+w+"”没有来签字，协议不能替他做主", "")
		}
	}
}

// names finds a party's name written with one wrong character, 王建军 for 王建国. Only names of three and more
// characters are looked for; shorter ones meet ordinary words.
func (l *linter) names(c Clause, field, text string) {
	rest := text
	for _, p := range l.m.Parties {
		if p.Name != "" {
			rest = strings.ReplaceAll(rest, p.Name, "\n")
		}
	}
	r := []rune(rest)
	for _, p := range l.m.Parties {
		n := []rune(p.Name)
		if len(n) < 3 || strings.Contains(p.Name, "申请人") {
			continue
		}
		for i := 0; i+len(n) <= len(r); i++ {
			wrong := 0
			for j := range n {
				if r[i+j] != n[j] {
					wrong++
				}
			}
			if got := string(r[i : i+len(n)]); wrong == 1 && r[i] == n[0] && !strings.ContainsAny(got, "\n，。、；：（）") {
				l.add(c.ID, field, "name", "“"+got+"”和核对过的名字“"+p.Name+"”不一样", strings.ReplaceAll(text, got, p.Name))
				break
			}
		}
	}
}

func (l *linter) tags(c Clause) {
	for _, tag := range c.Tags {
		if tag != PersonalStatus && tag != UtilityStop {
			l.add(c.ID, "tags", "tag_unknown", "没有这个标记", "")
		}
	}
	for _, tag := range tagsOf(c) {
		if !slices.Contains(c.Tags, tag) {
			l.add(c.ID, "tags", "tag_missing", map[Tag]string{
				PersonalStatus: "这一条像是婚姻、收养、继承这类身份的事，法律不许电子签名，要标出来改用纸签",
				UtilityStop:    "这一条像是停水、停热、停气的事，法律不许电子签名，要标出来改用纸签",
			}[tag], string(tag))
		}
	}
	if !c.TagsConfirmed {
		l.add(c.ID, "tags_confirmed", "tags_unconfirmed", "请确认：这一条是不是婚姻、收养、继承，或者停水停热停气的事", "true")
	}
}
