package agreement

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Figures writes fen as 12,345.60.
func Figures(fen int64) string {
	yuan := strconv.FormatInt(fen/100, 10)
	var b strings.Builder
	for i, r := range yuan {
		if i > 0 && (len(yuan)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return fmt.Sprintf("%s.%02d", b.String(), fen%100)
}

// Capitals writes fen in the characters for money that cannot be altered by a stroke (大写; 支付结算办法 appendix 1):
// 12345.60 is 壹万贰仟叁佰肆拾伍元陆角整.
func Capitals(fen int64) string {
	digits := []rune("零壹贰叁肆伍陆柒捌玖")
	if fen <= 0 {
		return "零元整"
	}
	var b strings.Builder
	if yuan := fen / 100; yuan > 0 {
		groups := []string{"", "万", "亿", "万亿"}
		text := strconv.FormatInt(yuan, 10)
		zero := false // a zero is pending
		any4 := false // the group in work has a digit
		for i, r := range text {
			place := len(text) - 1 - i
			d := r - '0'
			if d == 0 {
				zero = true
			} else {
				if zero && b.Len() > 0 {
					b.WriteRune('零')
				}
				zero, any4 = false, true
				b.WriteRune(digits[d])
				b.WriteString([]string{"", "拾", "佰", "仟"}[place%4])
			}
			if place%4 == 0 {
				if any4 {
					b.WriteString(groups[place/4])
				}
				any4 = false
			}
		}
		b.WriteString("元")
	}
	jiao, f := fen/10%10, fen%10
	switch {
	case jiao == 0 && f == 0:
		b.WriteString("整")
	case f == 0:
		fmt.Fprintf(&b, "%c角整", digits[jiao])
	default:
		if jiao > 0 {
			fmt.Fprintf(&b, "%c角", digits[jiao])
		} else if b.Len() > 0 {
			b.WriteString("零")
		}
		fmt.Fprintf(&b, "%c分", digits[f])
	}
	return b.String()
}

// money is an amount as it stands in a clause.
func money(fen int64) string {
	return "人民币" + Figures(fen) + "元（大写：" + Capitals(fen) + "）"
}

// Day writes 2026-10-08 as 2026年10月8日; what is no day stays as it is.
func Day(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return fmt.Sprintf("%d年%d月%d日", t.Year(), int(t.Month()), t.Day())
}

// Ordinal writes 1 to 99 as 一 to 九十九, the numbers of clauses.
func Ordinal(n int) string {
	d := []rune("零一二三四五六七八九")
	switch {
	case n < 10:
		return string(d[n])
	case n < 20:
		return strings.TrimSuffix("十"+string(d[n-10]), "零")
	default:
		return strings.TrimSuffix(string(d[n/10])+"十"+string(d[n%10]), "零")
	}
}

// vague lists words that leave open what the court must be able to enforce. at says that a day takes the word's place.
//
//nolint:gochecknoglobals // word list, never written
var vague = []struct {
	word string
	at   bool
}{
	{"尽快", true},
	{"尽早", true},
	{"早日", true},
	{"及时", true},
	{"近期", true},
	{"择日", true},
	{"适时", true},
	{"日后", true},
	{"过段时间", true},
	{"有钱时", true},
	{"有钱后", true},
	{"条件允许", true},
	{"年底前", true},
	{"月底前", true},
	{"春节前", true},
	{"秋后", true},
	{"卖羊后", true},
	{"卖牛后", true},
	{"另行协商", false},
	{"另行商定", false},
	{"另行约定", false},
	{"再行协商", false},
	{"协商解决", false},
	{"适当", false},
	{"合理的", false},
	{"合理期限", false},
	{"酌情", false},
	{"视情况", false},
	{"相应的", false},
	{"一定的", false},
	{"若干", false},
	{"大约", false},
	{"大概", false},
	{"尽量", false},
	{"尽力", false},
}

// third lists words by which a clause reaches for the rights of somebody who signs nothing.
//
//nolint:gochecknoglobals // word list, never written
var third = []string{"第三人", "第三方", "案外人", "他人名下", "他人所有", "其他村民"}

// tagged lists words that name a matter which may not be signed electronically.
//
//nolint:gochecknoglobals // word list, never written
var tagged = []struct {
	word string
	tag  Tag
}{
	{"离婚", PersonalStatus},
	{"结婚", PersonalStatus},
	{"婚姻", PersonalStatus},
	{"夫妻", PersonalStatus},
	{"彩礼", PersonalStatus},
	{"抚养", PersonalStatus},
	{"赡养", PersonalStatus},
	{"扶养", PersonalStatus},
	{"探望", PersonalStatus},
	{"监护", PersonalStatus},
	{"收养", PersonalStatus},
	{"继承", PersonalStatus},
	{"遗产", PersonalStatus},
	{"遗嘱", PersonalStatus},
	{"亲子", PersonalStatus},
	{"停水", UtilityStop},
	{"停热", UtilityStop},
	{"停暖", UtilityStop},
	{"停气", UtilityStop},
	{"停止供水", UtilityStop},
	{"停止供热", UtilityStop},
	{"停止供暖", UtilityStop},
	{"停止供气", UtilityStop},
	{"断水", UtilityStop},
	{"断气", UtilityStop},
	{"断暖", UtilityStop},
}

// tagsOf returns the tags that the words of a clause call for.
func tagsOf(c Clause) []Tag {
	text := strings.Join([]string{c.What, c.How, c.Late, c.Text}, "\n")
	var out []Tag
	for _, tag := range []Tag{PersonalStatus, UtilityStop} {
		for _, w := range tagged {
			if w.tag == tag && strings.Contains(text, w.word) {
				out = append(out, tag)
				break
			}
		}
	}
	return out
}
