package org_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
)

// tree builds the shipped fixture with its codes as ids.
func tree(t *testing.T) *org.Tree {
	t.Helper()
	seeds, err := org.Chifeng()
	if err != nil {
		t.Fatalf("Chifeng: %v", err)
	}
	units := make([]org.Unit, 0, len(seeds))
	for _, s := range seeds {
		units = append(units, org.Unit{
			ID: ident.UnitID(s.Code), Code: s.Code, Name: s.Name, Level: s.Level, ParentID: ident.UnitID(s.ParentCode),
			Kind: s.Kind, Abbr: s.Abbr, Sample: s.Sample,
		})
	}
	tr, err := org.NewTree(units)
	if err != nil {
		t.Fatalf("NewTree: %v", err)
	}
	return tr
}

func TestChifengFixture(t *testing.T) {
	t.Parallel()
	seeds, err := org.Chifeng()
	if err != nil {
		t.Fatal(err)
	}
	count := map[org.Level]int{}
	for _, s := range seeds {
		count[s.Level]++
		if s.Sample != strings.HasSuffix(s.Name, "（示例）") {
			t.Errorf("%s %s: sample = %v, but the suffix says otherwise", s.Code, s.Name, s.Sample)
		}
		if s.Sample != (s.Level == org.Village) {
			t.Errorf("%s %s: villages and only villages are samples", s.Code, s.Name)
		}
	}
	want := map[org.Level]int{org.City: 1, org.County: 12, org.Township: 3, org.Village: 8}
	if d := cmp.Diff(want, count); d != "" {
		t.Errorf("units a level (-want +got):\n%s", d)
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	tr := tree(t)
	if d := cmp.Diff([]string{"赤峰市", "翁牛特旗", "海拉苏镇", "第一嘎查（示例）"}, tr.Names("150426106201")); d != "" {
		t.Errorf("Names (-want +got):\n%s", d)
	}
	under := map[string]struct {
		ancestor, node ident.UnitID
		want           bool
	}{
		"itself":                   {"150426000000", "150426000000", true},
		"village under its county": {"150426000000", "150426106201", true},
		"village under the city":   {"150400000000", "150430206203", true},
		"village, other county":    {"150426000000", "150430206203", false},
		"parent under its child":   {"150426106000", "150426000000", false},
		"unknown unit":             {"150400000000", "nowhere", false},
		"unknown ancestor":         {"", "150426106201", false},
	}
	for name, tt := range under {
		if got := tr.Under(tt.ancestor, tt.node); got != tt.want {
			t.Errorf("%s: Under = %v, want %v", name, got, tt.want)
		}
	}
	if n := len(tr.Subtree("150426000000")); n != 1+2+5 {
		t.Errorf("subtree of 翁牛特旗 has %d units, want 8", n)
	}
	if n := len(tr.Subtree("nowhere")); n != 0 {
		t.Errorf("subtree of an unknown unit has %d units", n)
	}
	if u, ok := tr.Above("150426106201", org.County); !ok || u.Name != "翁牛特旗" {
		t.Errorf("county of the village = %q, %v", u.Name, ok)
	}
	if u, ok := tr.ByCode("150430206000"); !ok || u.Name != "萨力巴乡" {
		t.Errorf("ByCode = %q, %v", u.Name, ok)
	}
}

func TestNewTreeRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		units []org.Unit
		code  string
	}{
		"unknown parent": {[]org.Unit{{ID: "a", Code: "1", ParentID: "x"}}, "org.bad_parent"},
		"a circle":       {[]org.Unit{{ID: "a", Code: "1", ParentID: "b"}, {ID: "b", Code: "2", ParentID: "a"}}, "org.bad_parent"},
		"same code":      {[]org.Unit{{ID: "a", Code: "1"}, {ID: "b", Code: "1"}}, "org.duplicate_code"},
	}
	for name, tt := range tests {
		if _, err := org.NewTree(tt.units); fault.CodeOf(err) != tt.code {
			t.Errorf("%s: error %v, want %s", name, err, tt.code)
		}
	}
}

func TestParseSeedsRefuses(t *testing.T) {
	t.Parallel()
	head := "code,name,level,parent_code,kind,abbr,sample\n150400000000,赤峰市,city,,centre,,false\n"
	tests := map[string]struct{ line, code string }{
		"integer code":     {"1504,赤峰市,city,,centre,,false", "org.bad_code"},
		"level of another": {"150426000000,翁牛特旗,village,150400000000,centre,,false", "org.bad_code"},
		"parent missing":   {"150426106000,海拉苏镇,township,150426000000,centre,,false", "org.bad_parent"},
		"twice":            {"150400000000,赤峰市,city,,centre,,false", "org.duplicate_code"},
	}
	for name, tt := range tests {
		if _, err := org.ParseSeeds(head + tt.line + "\n"); fault.CodeOf(err) != tt.code {
			t.Errorf("%s: error %v, want %s", name, err, tt.code)
		}
	}
}
