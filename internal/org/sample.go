package org

import "fmt"

// townships is how many every county unit of the fixture really has (domain.md 5.11): 197 together.
//
//nolint:gochecknoglobals // a table
var townships = map[string]int{
	"150402": 15, "150403": 12, "150404": 22, "150421": 19, "150422": 14, "150423": 12, "150424": 12, "150425": 16, "150426": 17, "150428": 14,
	"150429": 25, "150430": 19,
}

var numerals = []rune("一二三四五六七八九十") //nolint:gochecknoglobals // a table

// ChifengWhole returns the fixture with made-up townships and villages for those that it leaves out, so that the tree has
// the size of the real one: 12 county units, 197 townships, two villages in each. For benches and tests of scale.
func ChifengWhole() ([]Seed, error) {
	seeds, err := Chifeng()
	if err != nil {
		return nil, err
	}
	have, known := map[string]int{}, map[string]bool{}
	for _, s := range seeds {
		known[s.Code] = true
		if s.Level == Township {
			have[s.Code[:6]]++
		}
	}
	var counties []Seed
	for _, s := range seeds {
		if s.Level == County {
			counties = append(counties, s)
		}
	}
	for _, county := range counties {
		prefix := county.Code[:6]
		for n := 100; have[prefix] < townships[prefix]; n++ {
			code := fmt.Sprintf("%s%03d000", prefix, n)
			if known[code] {
				continue
			}
			have[prefix]++
			seeds = append(seeds, Seed{
				Code: code, Name: "第" + numeral(have[prefix]) + "镇（示例）", Level: Township, ParentCode: county.Code, Kind: Centre, Sample: true,
			})
			for v := 1; v <= 2; v++ {
				seeds = append(seeds, Seed{
					Code: fmt.Sprintf("%s%03d", code[:9], 200+v), Name: "第" + numeral(v) + "村（示例）", Level: Village, ParentCode: code, Kind: Committee, Sample: true,
				})
			}
		}
	}
	return seeds, nil
}

// numeral writes 1 to 99 as Chinese do.
func numeral(n int) string {
	switch {
	case n <= 10:
		return string(numerals[n-1])
	case n < 20:
		return "十" + string(numerals[n-11])
	case n%10 == 0:
		return string(numerals[n/10-1]) + "十"
	}
	return string(numerals[n/10-1]) + "十" + string(numerals[n%10-1])
}
