package agreement

import (
	"fmt"
	"strconv"
	"strings"

	"heyi/mediation/paper"
)

// Blocks writes the text of the agreement in the order and words of the Ministry's form of 2010: title, number, parties,
// facts, what was agreed, close. Amounts carry their capitals, days are calendar days.
//
// Errors: fault.Invalid "paper.text" when something in the draft cannot stand on a paper (Check says where).
func Blocks(d Draft, m Meta) ([]Block, error) {
	d = d.Normalise()
	var out []Block
	add := func(t paper.BlockType, lines ...string) {
		out = append(out, Block{N: len(out) + 1, T: t, Lines: lines})
	}
	add(paper.TitleBlock, "人民调解协议书")
	add(paper.NumberBlock, "编号："+m.Number)
	for _, p := range m.Parties {
		add(paper.PartyBlock, partyLines(p)...)
	}
	add(paper.FactsBlock, append([]string{"纠纷主要事实、争议事项："}, paper.Lines(d.Facts)...)...)
	for i, c := range d.Clauses {
		add(paper.ClauseBlock, clauseLines(i+1, c, m)...)
	}
	add(paper.CloseBlock, closeLines(d, m)...)
	if _, err := paper.Canonical(out); err != nil {
		return nil, err //nolint:wrapcheck // names the block and line
	}
	return out, nil
}

func roleWord(role string) string {
	if role == Respondent {
		return "被申请人"
	}
	return "申请人"
}

func partyLines(p Party) []string {
	lines := []string{"当事人（" + roleWord(p.Role) + "）：" + p.Name}
	sex := map[string]string{"male": "男", "female": "女"}[p.Sex]
	if sex == "" {
		sex = p.Sex
	}
	var items []string
	for _, item := range [][2]string{{"性别", sex}, {"民族", p.Ethnic}, {"出生年份", year(p.BirthYear)}, {"职业", p.Occupation}, {"联系方式", p.Phone}} {
		if v := paper.Clean(item[1]); v != "" {
			items = append(items, item[0]+"："+v)
		}
	}
	if len(items) > 0 {
		lines = append(lines, strings.Join(items, "，"))
	}
	if v := paper.Clean(p.Address); v != "" {
		lines = append(lines, "单位或住址："+v)
	}
	return lines
}

func year(y int) string {
	if y == 0 {
		return ""
	}
	return strconv.Itoa(y) + "年"
}

// clauseLines writes one clause. The first line carries number and duty, the next ones what belongs to it.
func clauseLines(n int, c Clause, m Meta) []string {
	who, to := name(m, c.Who), name(m, c.To)
	head := Ordinal(n) + "、"
	by := Day(c.By)
	late := sentence(c.Late)
	var lines []string
	switch c.Kind {
	case Pay:
		first := head + who + "向" + to + "支付" + c.What + money(fen(c))
		if len(c.Instalments) == 0 {
			lines = append(lines, first+"，于"+by+"前（含当日）付清。")
		} else {
			lines = append(lines, fmt.Sprintf("%s，分%d期付清：", first, len(c.Instalments)))
			for i, part := range c.Instalments {
				lines = append(lines, fmt.Sprintf("第%d期：%s前（含当日）支付%s。", i+1, Day(part.By), money(part.AmountFen)))
			}
		}
		lines = append(lines, "支付方式："+sentence(c.How), "逾期不付的："+late)
	case Return:
		lines = append(lines, head+who+"于"+by+"前（含当日）向"+to+"返还"+sentence(c.What), "返还方式："+sentence(c.How), "逾期不返还的："+late)
	case Do:
		lines = append(lines, head+who+"于"+by+"前（含当日）为"+to+"完成："+sentence(c.What), "履行方式："+sentence(c.How), "逾期不履行的："+late)
	case Stop:
		lines = append(lines, head+"自"+by+"起，"+who+"不再对"+to+"有下列行为："+sentence(c.What))
		if c.How != "" {
			lines = append(lines, "履行方式："+sentence(c.How))
		}
		lines = append(lines, "再有发生的："+late)
	case Apologise:
		lines = append(lines, head+who+"于"+by+"前（含当日）就下列事项向"+to+"赔礼道歉："+sentence(c.What), "道歉方式："+sentence(c.How), "逾期不道歉的："+late)
	case Free:
		text := paper.Lines(c.Text)
		if len(text) == 0 {
			return []string{head}
		}
		lines = append([]string{head + text[0]}, text[1:]...)
	default:
		lines = []string{head}
	}
	return oneLine(lines)
}

// oneLine takes line breaks out of fields that stand in one line.
func oneLine(lines []string) []string {
	for i, l := range lines {
		lines[i] = strings.Join(paper.Lines(l), " ")
	}
	return lines
}

func closeLines(d Draft, m Meta) []string {
	names := make([]string, len(m.Parties))
	for i, p := range m.Parties {
		names[i] = p.Name
	}
	effect := map[Rule]string{
		ThreeSignatures: "本协议自各方当事人、人民调解员签名并由" + m.Unit + "盖章之日起生效。",
		PartiesAndSeal:  "本协议自各方当事人签名并由" + m.Unit + "盖章之日起生效。",
		PartiesOnly:     "本协议自最后一方当事人签名之日起生效。",
	}[m.Rule]
	if effect == "" {
		effect = "本协议自各方当事人、人民调解员签名并由" + m.Unit + "盖章之日起生效。"
	}
	return []string{
		"以上协议由各方当事人在调解员主持下自愿达成，内容已逐条听读核对。",
		effect,
		fmt.Sprintf("本协议共%s条，一式%d份，各方当事人各执一份，%s留存一份。", Ordinal(len(d.Clauses)), len(m.Parties)+1, m.Unit),
		"当事人：" + strings.Join(names, "、"),
		"人民调解员：" + m.Mediator,
		"人民调解委员会：" + m.Unit,
	}
}

func name(m Meta, id string) string {
	if p, ok := m.party(id); ok {
		return p.Name
	}
	return "（未选当事人）"
}

func fen(c Clause) int64 {
	if c.AmountFen == nil {
		return 0
	}
	return *c.AmountFen
}

// sentence ends a text with a full stop unless it has an end.
func sentence(s string) string {
	s = strings.TrimRight(s, "，、；：,;: ")
	if s == "" || strings.HasSuffix(s, "。") || strings.HasSuffix(s, "！") || strings.HasSuffix(s, "？") {
		return s
	}
	return strings.TrimSuffix(s, ".") + "。"
}
