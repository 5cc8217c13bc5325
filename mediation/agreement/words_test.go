package agreement_test

import (
	"testing"

	"pgregory.net/rapid"

	"heyi/mediation/agreement"
)

func TestMoney(t *testing.T) {
	t.Parallel()
	for fen, want := range map[int64][2]string{ // figures and capitals, 支付结算办法 appendix 1 and its usual examples
		1:               {"0.01", "壹分"},
		10:              {"0.10", "壹角整"},
		105:             {"1.05", "壹元零伍分"},
		150:             {"1.50", "壹元伍角整"},
		1000:            {"10.00", "壹拾元整"},
		10000:           {"100.00", "壹佰元整"},
		10100:           {"101.00", "壹佰零壹元整"},
		140950:          {"1,409.50", "壹仟肆佰零玖元伍角整"},
		600714:          {"6,007.14", "陆仟零柒元壹角肆分"},
		1860000:         {"18,600.00", "壹万捌仟陆佰元整"},
		10000000:        {"100,000.00", "壹拾万元整"},
		10000100:        {"100,001.00", "壹拾万零壹元整"},
		10050000:        {"100,500.00", "壹拾万零伍佰元整"},
		107000053:       {"1,070,000.53", "壹佰零柒万元伍角叁分"},
		1000000000:      {"10,000,000.00", "壹仟万元整"},
		10000000000:     {"100,000,000.00", "壹亿元整"},
		10000000100:     {"100,000,001.00", "壹亿零壹元整"},
		10000010000:     {"100,000,100.00", "壹亿零壹佰元整"},
		10010000000:     {"100,100,000.00", "壹亿零壹拾万元整"},
		100000000000000: {"1,000,000,000,000.00", "壹万亿元整"},
		0:               {"0.00", "零元整"},
		32560:           {"325.60", "叁佰贰拾伍元陆角整"},
		1640902:         {"16,409.02", "壹万陆仟肆佰零玖元零贰分"},
		4020:            {"40.20", "肆拾元贰角整"},
		200000000:       {"2,000,000.00", "贰佰万元整"},
		200000305:       {"2,000,003.05", "贰佰万零叁元零伍分"},
		10_002_000_300:  {"100,020,003.00", "壹亿零贰万零叁元整"},
	} {
		if got := agreement.Figures(fen); got != want[0] {
			t.Errorf("Figures(%d) = %s, want %s", fen, got, want[0])
		}
		if got := agreement.Capitals(fen); got != want[1] {
			t.Errorf("Capitals(%d) = %s, want %s", fen, got, want[1])
		}
	}
}

// TestCapitalsSayTheAmount reads the capitals back.
func TestCapitalsSayTheAmount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fen := rapid.Int64Range(1, 100_000_000_000_000).Draw(t, "fen")
		if got := readCapitals(agreement.Capitals(fen)); got != fen {
			t.Fatalf("%s says %d, want %d", agreement.Capitals(fen), got, fen)
		}
	})
}

func readCapitals(s string) int64 {
	digits := map[rune]int64{}
	for i, r := range []rune("零壹贰叁肆伍陆柒捌玖") {
		digits[r] = int64(i)
	}
	var total, group, digit int64 // in yuan; digit is pending
	var fen int64
	for _, r := range s {
		switch r {
		case '拾':
			group, digit = group+digit*10, 0
		case '佰':
			group, digit = group+digit*100, 0
		case '仟':
			group, digit = group+digit*1000, 0
		case '万':
			total, group, digit = total+(group+digit)*10_000, 0, 0
		case '亿':
			total, group, digit = (total+group+digit)*100_000_000, 0, 0
		case '元':
			fen, total, group, digit = (total+group+digit)*100, 0, 0, 0
		case '角':
			fen, digit = fen+digit*10, 0
		case '分':
			fen, digit = fen+digit, 0
		case '整':
		default:
			digit = digits[r]
		}
	}
	return fen
}

func TestDaysAndNumbers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"2026-10-08": "2026年10月8日", "2026-02-30": "2026-02-30", "": ""} {
		if got := agreement.Day(in); got != want {
			t.Errorf("Day(%q) = %q", in, got)
		}
	}
	for n, want := range map[int]string{1: "一", 9: "九", 10: "十", 11: "十一", 19: "十九", 20: "二十", 21: "二十一", 40: "四十", 60: "六十"} {
		if got := agreement.Ordinal(n); got != want {
			t.Errorf("Ordinal(%d) = %s, want %s", n, got, want)
		}
	}
}
