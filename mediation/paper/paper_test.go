package paper_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"heyi/internal/fault"
	"heyi/mediation"
	"heyi/mediation/paper"
)

type vector struct {
	Blocks       []paper.Block `json:"blocks"`
	V            int           `json:"v"`
	PDFSHA256    string        `json:"pdf_sha256"`
	BlocksSHA256 string        `json:"blocks_sha256"`
	Digest       string        `json:"digest"`
	DigestSM3    string        `json:"digest_sm3"`
	Code         string        `json:"code"`
}

// TestVectors pins the digests for Go, for the screens (kiosk-ui/src/agreement) and for everybody who checks a package in
// ten years: the file must never change, only grow.
func TestVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../agreement/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < 4 {
		t.Fatalf("only %d vectors", len(list))
	}
	for i, v := range list {
		canonical, err := paper.Canonical(v.Blocks)
		if err != nil {
			t.Errorf("vector %d: %v", i, err)
			continue
		}
		d, err := paper.DigestOf(v.Blocks, nil, v.V)
		if err != nil || d.BlocksSHA256 != v.BlocksSHA256 {
			t.Errorf("vector %d: blocks %s of %s, %v", i, d.BlocksSHA256, canonical, err)
		}
		d.PDFSHA256 = v.PDFSHA256
		if d.SHA256() != v.Digest || d.SM3() != v.DigestSM3 || d.Code() != v.Code {
			t.Errorf("vector %d: %s %s %s", i, d.SHA256(), d.SM3(), d.Code())
		}
	}
}

func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	got, err := paper.Canonical([]paper.Block{{N: 1, T: paper.FactsBlock, Lines: []string{`a<b>&"\/é蒙`}}})
	if want := `[{"n":1,"t":"facts","lines":["a<b>&\"\\/é蒙"]}]`; err != nil || string(got) != want {
		t.Errorf("canonical %s, %v", got, err)
	}
	line := func(s string) []paper.Block {
		return []paper.Block{{N: 1, T: paper.TitleBlock, Lines: []string{s}}}
	}
	for name, tt := range map[string]struct {
		blocks []paper.Block
		code   string
	}{
		"none":                  {nil, "paper.blocks"},
		"wrong number":          {[]paper.Block{{N: 2, T: paper.TitleBlock, Lines: []string{"a"}}}, "paper.blocks"},
		"unknown type":          {[]paper.Block{{N: 1, T: "x", Lines: []string{"a"}}}, "paper.blocks"},
		"no lines":              {[]paper.Block{{N: 1, T: paper.TitleBlock}}, "paper.blocks"},
		"empty line":            {line(""), "paper.text"},
		"line break":            {line("a\nb"), "paper.text"},
		"tab":                   {line("a\tb"), "paper.text"},
		"delete":                {line("\u007f"), "paper.text"},
		"line separator":        {line("a\u2028b"), "paper.text"},
		"paragraph separator":   {line("\u2029"), "paper.text"},
		"two ways to write é":   {line("e\u0301"), "paper.text"},
		"zero width":            {line("a\u200bb"), "paper.text"},
		"right to left":         {line("a\u202eb"), "paper.text"},
		"radical for character": {line("\u2f49"), "paper.text"},
		"above U+FFFF":          {line("𠮷"), "paper.text"},
		"not UTF-8":             {line("\xff"), "paper.text"},
	} {
		if _, err := paper.Canonical(tt.blocks); fault.CodeOf(err) != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCleanGivesWhatTextAccepts(t *testing.T) {
	t.Parallel()
	in := "\u00a0⽉租\t1\u202f000 元\u200b•é・x⋯\r\n\r\n 第二行\u3000完 \ufeff"
	got := paper.Lines(in)
	if want := []string{"月租 1 000 元·é·x…", "第二行\u3000完"}; !slices.Equal(got, want) {
		t.Errorf("lines %q", got)
	}
	for _, l := range got {
		if err := paper.Text(l); err != nil {
			t.Errorf("%q: %v", l, err)
		}
	}
}

func name() paper.Mark {
	return paper.Mark{W: 600, H: 240, Strokes: [][]int{{100, 60, 0, 300, 60, 10, 120, 180, 20}, {400, 50, 70, 480, 60, 80, 440, 120, 90, 520, 200, 100}}}
}

func TestMark(t *testing.T) {
	t.Parallel()
	if err := name().Check(); err != nil {
		t.Fatal(err)
	}
	long := make([]int, 0, 3*4001)
	for i := range 4001 {
		long = append(long, i%600, i%240, i)
	}
	for what, change := range map[string]func(*paper.Mark){
		"no field":            func(m *paper.Mark) { m.W = 0 },
		"huge field":          func(m *paper.Mark) { m.H = 100_000 },
		"no strokes":          func(m *paper.Mark) { m.Strokes = nil },
		"21 strokes":          func(m *paper.Mark) { m.Strokes = slices.Repeat(m.Strokes[:1], 21) },
		"half a point":        func(m *paper.Mark) { m.Strokes[0] = m.Strokes[0][:4] },
		"empty stroke":        func(m *paper.Mark) { m.Strokes[0] = nil },
		"outside":             func(m *paper.Mark) { m.Strokes[0][0] = 601 },
		"before the field":    func(m *paper.Mark) { m.Strokes[0][1] = -1 },
		"time runs backwards": func(m *paper.Mark) { m.Strokes[0][8] = 5 },
		"4,001 points":        func(m *paper.Mark) { m.Strokes = [][]int{long} },
		"a dot":               func(m *paper.Mark) { m.Strokes = [][]int{{5, 5, 0, 6, 6, 1, 5, 6, 2, 6, 5, 3}} },
	} {
		m := name()
		change(&m)
		if err := m.Check(); fault.CodeOf(err) != "paper.mark" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func record(t *testing.T) paper.Record {
	t.Helper()
	blocks := []paper.Block{{N: 1, T: paper.TitleBlock, Lines: []string{"人民调解协议书"}}, {N: 2, T: paper.ClauseBlock, Lines: []string{"一、付清。"}}}
	d, err := paper.DigestOf(blocks, []byte("%PDF"), 1)
	if err != nil {
		t.Fatal(err)
	}
	r := paper.NewRecord(blocks, d)
	r.Mode = "electronic"
	sum, err := name().SHA256()
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"party", "party", "mediator"} {
		r.Signatures = append(r.Signatures, mediation.SignatureEntry{Role: role, Digest: r.Digest, Method: "mark", MarkSHA256: sum})
		r.Marks = append(r.Marks, name())
	}
	return r
}

func TestRecordNoticesEveryChange(t *testing.T) {
	t.Parallel()
	good := record(t)
	b, err := good.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := paper.ParseRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	if f := again.Check(); f != "" {
		t.Fatalf("untouched record: %s", f)
	}
	for what, tt := range map[string]struct {
		change func(*paper.Record)
		want   paper.Fault
	}{
		"clause":               {func(r *paper.Record) { r.Blocks[1].Lines[0] = "一、不付。" }, paper.BlocksFault},
		"clause and its sum":   {func(r *paper.Record) { r.Blocks = r.Blocks[:1]; r.BlocksSHA256 = redo(t, r.Blocks) }, paper.DigestFault},
		"pdf":                  {func(r *paper.Record) { r.PDFSHA256 = strings.Repeat("0", 64) }, paper.DigestFault},
		"version":              {func(r *paper.Record) { r.V = 2 }, paper.DigestFault},
		"sm3":                  {func(r *paper.Record) { r.DigestSM3 = r.Digest }, paper.DigestFault},
		"code":                 {func(r *paper.Record) { r.Code = "000000" }, paper.DigestFault},
		"signature of another": {func(r *paper.Record) { r.Signatures[0].Digest = r.BlocksSHA256 }, paper.SignaturesFault},
		"no mediator":          {func(r *paper.Record) { r.Signatures, r.Marks = r.Signatures[:2], r.Marks[:2] }, paper.SignaturesFault},
		"nobody":               {func(r *paper.Record) { r.Signatures, r.Marks = nil, nil }, paper.SignaturesFault},
		"paper without clerk":  {func(r *paper.Record) { r.Mode = "paper" }, paper.SignaturesFault},
		"another hand":         {func(r *paper.Record) { r.Marks[1].Strokes[0][0]++ }, paper.MarkFault},
		"a mark is missing":    {func(r *paper.Record) { r.Marks = r.Marks[:2] }, paper.MarkFault},
		"a mark too many":      {func(r *paper.Record) { r.Marks = append(r.Marks, name()) }, paper.MarkFault},
	} {
		r := record(t)
		tt.change(&r)
		if f := r.Check(); f != tt.want {
			t.Errorf("%s: %q, want %q", what, f, tt.want)
		}
	}
	if _, err := paper.ParseRecord([]byte(strings.Replace(string(b), `"v":1`, `"V":1`, 1))); err == nil {
		t.Error("a key in capitals: accepted")
	}
	if _, err := paper.ParseRecord(append(b, ' ')); err == nil {
		t.Error("a space at the end: accepted")
	}
}

func redo(t *testing.T, blocks []paper.Block) string {
	t.Helper()
	d, err := paper.DigestOf(blocks, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	return d.BlocksSHA256
}
