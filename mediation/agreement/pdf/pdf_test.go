package pdf_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/agreement/pdf"
	"heyi/mediation/agreement/pdf/pdftest"
	"heyi/mediation/paper"
)

// tool runs a program of poppler or qpdf on a PDF and returns what it prints.
func tool(t *testing.T, b []byte, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.pdf")
	must(t, os.WriteFile(path, b, 0o600))
	for i, a := range args {
		if a == "PDF" {
			args[i] = path
		}
	}
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput() //nolint:gosec // fixed names
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// squeeze drops all white space: the lines of a page end where the page does, not where the text does.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// words is every text of a paper in the order in which it is drawn.
func words(p paper.Paper) []string {
	out := []string{p.Title, p.Number}
	for _, part := range p.Parts {
		out = append(out, part.Heading)
		out = append(out, part.Text...)
		for _, r := range part.Rows {
			out = append(out, r.Name, r.Value)
		}
		for _, m := range part.Marks {
			out = append(out, m.Role, m.Name, m.When)
		}
	}
	return out
}

func papers(e agreement.Evidence) map[string]paper.Paper {
	return map[string]paper.Paper{
		"agreement":              agreement.AgreementPaper(e.Agreement.Blocks, e.Meta, agreement.Electronic, 1),
		"agreement to be signed": agreement.AgreementPaper(e.Agreement.Blocks, e.Meta, agreement.OnPaper, 1),
		"evidence sheet":         agreement.EvidencePaper(e),
		"signed copy":            agreement.SignedPaper(e),
	}
}

func TestPapersAreSoundAndSayTheirWords(t *testing.T) {
	t.Parallel()
	r := pdftest.Renderer(t)
	for name, p := range papers(sealed(t, r)) {
		b, err := r.Render(p)
		must(t, err)
		if out := tool(t, b, "qpdf", "--check", "PDF"); strings.Contains(strings.ToLower(out), "warning") {
			t.Errorf("%s: qpdf says\n%s", name, out)
		}
		if out := tool(t, b, "pdffonts", "PDF"); strings.Count(out, "Identity-H       yes") < 1 || strings.Contains(out, "Identity-H       no") {
			t.Errorf("%s: a font is not embedded\n%s", name, out)
		}
		text := squeeze(tool(t, b, "pdftotext", "-layout", "PDF", "-") + tool(t, b, "pdftotext", "-raw", "PDF", "-"))
		for _, w := range words(p) {
			if strings.Contains(w, "　") { // the gaps of a line to fill in
				continue
			}
			if !strings.Contains(text, squeeze(w)) && !inCells(text, w) {
				t.Errorf("%s: the text of the PDF lacks %q", name, w)
			}
		}
		if len(b) > 400_000 {
			t.Errorf("%s: %d bytes", name, len(b))
		}
	}
}

// inCells finds a text that a table broke over lines beside another column: all its stretches of eight characters.
func inCells(text, w string) bool {
	r := []rune(squeeze(w))
	for i := 0; i < len(r); i += 8 {
		if !strings.Contains(text, string(r[i:min(i+8, len(r))])) {
			return false
		}
	}
	return true
}

// TestEveryCharacterComesOut sets every character of the fonts' Chinese, Latin and punctuation and reads it back.
func TestEveryCharacterComesOut(t *testing.T) {
	t.Parallel()
	r := pdftest.Renderer(t)
	var all []string
	var line strings.Builder
	n := 0
	for c := rune('!'); c < 0xFFFF; c++ {
		wanted := c < 0x7F || (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3001 && c <= 0x3011) || (c >= 0xFF01 && c <= 0xFF5E) || strings.ContainsRune("“”‘’…—·￥¥℃㎡×÷√°①②③④⑤⑥⑦⑧⑨⑩〇", c)
		if !wanted || c == 0x58FF || r.Check(string(c)) != nil { // U+58FF has the glyph of U+58AB: only one of them on a paper
			continue
		}
		n++
		line.WriteRune(c)
		if n%500 == 0 {
			all = append(all, line.String())
			line.Reset()
		}
	}
	all = append(all, line.String())
	if n < 20_900 {
		t.Fatalf("only %d characters can be printed", n)
	}
	missing := 0
	for batch := range slices.Chunk(all, 6) { // the library takes time by the square of the characters of one PDF
		b, err := r.Render(paper.Paper{Title: "字", Parts: []paper.Part{{Text: batch}}, Issuer: "字"})
		must(t, err)
		text := squeeze(tool(t, b, "pdftotext", "-raw", "PDF", "-"))
		for _, c := range strings.Join(batch, "") {
			if !strings.ContainsRune(text, c) {
				missing++
				if missing < 10 {
					t.Errorf("%c U+%04X does not come out", c, c)
				}
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d characters do not come out", missing, n)
	}
}

// TestSameBytes: the digest of a paper must not depend on when or where it is rendered.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	one, two := pdftest.Renderer(t), pdftest.Renderer(t)
	for name, p := range papers(sealed(t, one)) {
		first, err := one.Render(p)
		must(t, err)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for _, r := range []*pdf.Renderer{one, two} {
					if again, err := r.Render(p); err != nil || !bytes.Equal(again, first) {
						t.Errorf("%s: other bytes, %v", name, err)
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestWhatCannotBePrinted(t *testing.T) {
	t.Parallel()
	r := pdftest.Renderer(t)
	for name, tt := range map[string]struct{ text, code string }{
		"no glyph in any font":      {"ᠮᠣᠩᠭᠣᠯ", "paper.glyph"},
		"above U+FFFF":              {"𠮷", "paper.text"},
		"line break":                {"a\nb", "paper.text"},
		"two characters, one glyph": {"·‧", "paper.glyph"},
	} {
		for place, p := range map[string]paper.Paper{
			"title": {Title: tt.text}, "text": {Parts: []paper.Part{{Text: []string{tt.text}}}}, "name": {Parts: []paper.Part{{Marks: []paper.Signed{{Name: tt.text}}}}},
			"head": {Parts: []paper.Part{{Grid: &paper.Grid{Head: []string{tt.text}}}}}, "issuer": {Issuer: tt.text}, "code": {Parts: []paper.Part{{QR: &paper.QR{Text: "x", Lines: []string{tt.text}}}}},
		} {
			if _, err := r.Render(p); fault.CodeOf(err) != tt.code && (place != "head" || name != "line break") { // cells have lines
				t.Errorf("%s in %s: %v", name, place, err)
			}
		}
	}
	if _, err := r.Render(paper.Paper{Parts: []paper.Part{{Marks: []paper.Signed{{Name: "甲", Mark: &paper.Mark{W: 1, H: 1}}}}}}); fault.CodeOf(err) != "paper.mark" {
		t.Errorf("a mark that is none: %v", err)
	}
	if _, err := r.Render(paper.Paper{Parts: []paper.Part{{QR: &paper.QR{Text: strings.Repeat("x", 5000)}}}}); err == nil {
		t.Error("a QR code of 5,000 bytes: no error")
	}
}

func TestFallbackFont(t *testing.T) {
	t.Parallel()
	cfg := pdftest.Fonts(t)
	r, err := pdf.New(pdf.Config{Regular: []string{cfg.Regular[0], cfg.Bold}})
	must(t, err)
	b, err := r.Render(paper.Paper{Title: "标题", Parts: []paper.Part{{Text: []string{"正文"}}}})
	must(t, err)
	if text := squeeze(tool(t, b, "pdftotext", "PDF", "-")); !strings.HasPrefix(text, "标题正文") {
		t.Errorf("text %q", text)
	}
	for name, c := range map[string]pdf.Config{"none": {}, "missing": {Regular: []string{"/nowhere.ttf"}}, "no font": {Regular: []string{"pdf_test.go"}}} {
		if _, err := pdf.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := pdf.Find(pdf.Config{}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "pdf.fonts") {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestLongTablesBreak: a row taller than a page and a table over many pages lose no line.
func TestLongTablesBreak(t *testing.T) {
	t.Parallel()
	r := pdftest.Renderer(t)
	g := &paper.Grid{Head: []string{"序号", "内容"}, Shares: []int{1, 5}}
	for i := range 60 {
		g.Rows = append(g.Rows, []string{agreement.Ordinal(i + 1), "第" + agreement.Ordinal(i+1) + "行" + strings.Repeat("内容", 30)})
	}
	g.Rows = append(g.Rows, []string{"末", strings.Repeat("很长的一格", 900) + "到此为止"})
	b, err := r.Render(paper.Paper{Title: "长表", Issuer: "单位", Parts: []paper.Part{{Grid: g}}})
	must(t, err)
	text := squeeze(tool(t, b, "pdftotext", "-raw", "PDF", "-"))
	for i := range 60 {
		if w := "第" + agreement.Ordinal(i+1) + "行"; !strings.Contains(text, w) {
			t.Errorf("%s is lost", w)
		}
	}
	if strings.Count(text, "很长的一格") < 850 || !strings.Contains(text, "到此为止") { // a few are cut by the feet of pages
		t.Errorf("%d pieces of the long cell", strings.Count(text, "很长的一格"))
	}
	if heads := strings.Count(text, "序号内容"); heads != 8 || !strings.Contains(squeeze(tool(t, b, "pdfinfo", "PDF")), "Pages:8") {
		t.Errorf("%d headers\n%s", heads, tool(t, b, "pdfinfo", "PDF"))
	}
}

// BenchmarkRender is one agreement of two pages.
func BenchmarkRender(b *testing.B) {
	r := pdftest.Renderer(b)
	p := paper.Paper{Title: "人民调解协议书", Parts: []paper.Part{{Text: []string{strings.Repeat("被申请人乙向申请人甲支付租金人民币一万元。", 60)}, Indent: true}}}
	for b.Loop() {
		if _, err := r.Render(p); err != nil {
			b.Fatal(err)
		}
	}
}

func sealed(t *testing.T, r *pdf.Renderer) agreement.Evidence {
	t.Helper()
	zone := time.FixedZone("CST", 8*3600)
	at := time.Date(2026, 9, 1, 14, 52, 3, 0, zone).UnixMicro()
	m := agreement.Meta{
		Unit: "敖汉旗萨力巴乡人民调解委员会", Number: "(2026)敖萨人调字第000123号", Category: mediation.Land, Mediator: "调解员丙", Rule: agreement.ThreeSignatures,
		Parties: []agreement.Party{
			{ID: "a", Name: "申请人甲", Role: agreement.Applicant, Sex: "male", Ethnic: "蒙古族", BirthYear: 1961, Occupation: "牧民", Phone: "13800000001", Address: "敖汉旗萨力巴乡乌兰召村（示例）2组", Verified: true, ESign: true},
			{ID: "b", Name: "被申请人乙", Role: agreement.Respondent, Sex: "female", Ethnic: "汉族", BirthYear: 1970, Phone: "13800000002", Verified: true, ESign: true},
		},
	}
	d := agreement.Draft{
		Facts: "2024年3月1日，申请人甲把600亩草牧场租给被申请人乙，租期两年，租金每年18,600元。租期已于2026年2月28日届满，被申请人乙没有退还草牧场，并欠2025年度租金18,600元。双方对欠租的数额和草牧场的四至没有争议。\n双方争议的是：退还的时间和欠租怎么付。",
		Clauses: []agreement.Clause{
			{ID: "1", Kind: agreement.Pay, Who: "b", To: "a", What: "2025年度草牧场租金", AmountFen: new(int64(1860000)), Instalments: []agreement.Instalment{{By: "2026-10-20", AmountFen: 860000}, {By: "2026-12-20", AmountFen: 1000000}}, How: "转到申请人甲的内蒙古农村信用社账户6217 0000 0000 1234 567", Late: "剩下的租金全部到期，申请人甲可以向人民法院起诉", TagsConfirmed: true},
			{ID: "2", Kind: agreement.Return, Who: "b", To: "a", What: "位于萨力巴乡乌兰召村东沟的草牧场600亩（四至：东至乡道，南至河沟，西至丙家网围栏，北至防火带）", By: "2026-10-31", How: "双方到现场交接，签交接单", Late: "每晚一天按100元付占用费，申请人甲可以向人民法院起诉", TagsConfirmed: true},
			{ID: "3", Kind: agreement.Stop, Who: "b", To: "a", What: "在上述草牧场放牧、打草", By: "2026-11-01", Late: "赔偿实际损失", TagsConfirmed: true},
			{ID: "4", Kind: agreement.Free, Text: "除上述内容外，双方就2024年草牧场租赁再没有其他争议。", TagsConfirmed: true},
		},
	}
	a := agreement.New(ident.New[ident.AgreementID](), 1)
	must(t, a.Revise(1, d, m))
	blocks, err := a.Prepare(2, m, "2026-09-01")
	must(t, err)
	b, err := r.Render(agreement.AgreementPaper(blocks, m, agreement.Electronic, at))
	must(t, err)
	must(t, a.Freeze(blocks, b, m, at))
	mk := paper.Mark{W: 600, H: 240, Strokes: [][]int{{100, 60, 0, 300, 60, 10, 120, 180, 20}, {120, 180, 30, 320, 170, 40}, {200, 20, 50, 210, 220, 60}, {400, 50, 70, 480, 60, 80, 440, 120, 90, 520, 200, 100}}}
	for i, id := range []string{"a", "b"} {
		for _, n := range a.MustRead() {
			must(t, a.Read(id, a.Digest.SHA256(), n))
		}
		ok, err := a.ReadBack(id, a.Digest.SHA256(), a.Digest.Code(), at+int64(i)*60e6)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		must(t, a.Sign(agreement.Signature{Party: id, Digest: a.Digest.SHA256(), Mark: mk, Channel: "sign_link", IdentityCheck: "card,face", At: at + int64(i)*90e6}, m))
	}
	must(t, a.SignMediator(agreement.Signature{Party: "staff", Digest: a.Digest.SHA256(), Mark: mk, Channel: "desk", At: at + 200e6}, true))
	must(t, a.Seal("0199a1b2-7c3d-7000-8000-000000000001", agreement.ThreeSignatures, at+201e6))
	return agreement.Evidence{Agreement: a, Meta: m, Mediator: "staff", SealAlg: "sm2", SealPrint: "1f0a 22b3 4c5d 6e7f 8091 a2b3 c4d5 e6f7 0819 2a3b 4c5d 6e7f 8091 a2b3 c4d5 e6f7", VerifyURL: "https://heyi.example:8443/verify?d=" + a.Digest.SHA256(), Zone: zone}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
