package cases_test

import (
	"testing"

	"heyi/cases"
	"heyi/mediation"
	"heyi/mediation/parcel"
)

func TestSerialOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"(2026)赤红西人调字第000123号": 123, "第123号": 123, "000123": 123, "123": 123, "123号": 123,
		"": 0, "0": 0, "王二": 0, "12a": 0, "R-150426106201-20260302-000001": 0, "150430198001010001": 0, "第号": 0,
	} {
		if got, ok := cases.SerialOf(text); got != want && ok || ok != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
}

func TestMaskName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"王二": "王*", "申请人甲": "申**", "敖": "敖", " 王二 ": "王*", "": "", "\xff": "\uFFFD"} {
		if got := cases.MaskName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestStateOf(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind, closing string
		known         bool
		want          cases.State
	}{
		"an agreement with a known seal":       {parcel.Dossier, "1", true, cases.Verified},
		"an agreement with a seal of nobody":   {parcel.Dossier, "1", false, cases.Received},
		"a dispute that ended without one":     {parcel.Dossier, "4", true, cases.Closed},
		"a consultation":                       {parcel.Consult, "", true, cases.Closed},
		"a consultation with a seal of nobody": {parcel.Consult, "", false, cases.Received},
	} {
		if got := cases.StateOf(mediation.Manifest{Kind: tt.kind, ClosingCode: tt.closing}, tt.known); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestPapersAndChecklist(t *testing.T) {
	t.Parallel()
	f := func(name, digest string, paper int) mediation.ManifestFile {
		return mediation.ManifestFile{Name: name, SHA256: digest, Paper: paper}
	}
	c := cases.Case{Row: cases.Row{Kind: parcel.Dossier, ClosingCode: "1"}, Versions: []cases.Version{
		{Version: 3, Files: []mediation.ManifestFile{f("01", "a", 1), f("08", "b", 8), f("events.json", "e", 0), f("09", "n", 9)}},
		{Version: 2, Files: []mediation.ManifestFile{f("01", "a", 1), f("08", "b", 8)}},
		{Version: 1, Files: []mediation.ManifestFile{f("01", "a", 1), f("08", "old", 8)}},
	}}
	first := map[string]int{}
	for _, p := range c.Papers() {
		first[p.SHA256] = p.Version
	}
	if len(first) != 4 || first["a"] != 1 || first["b"] != 2 || first["n"] != 3 {
		t.Errorf("papers came with %v", first)
	}
	list := c.Checklist()
	for _, x := range list {
		if want := x.Paper == 1 || x.Paper == 8 || x.Paper == 9; x.Present != want {
			t.Errorf("paper %d present: %v", x.Paper, x.Present)
		}
		if want := map[int]bool{1: true, 2: true, 3: true, 7: true, 8: true, 13: true}[x.Paper]; x.Must != want {
			t.Errorf("paper %d must be there: %v", x.Paper, x.Must)
		}
	}
	c.Kind = parcel.Consult
	if len(c.Checklist()) != 0 {
		t.Error("a consultation has no list of papers")
	}
}
