package pdf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/signintech/gopdf"

	"heyi/internal/fault"
	"heyi/mediation/paper"
)

// Config names the font files, TrueType with outlines of the glyf kind. Regular is what texts are set in, in order: a
// character that the first lacks is taken from the next. Bold is for headings; empty: Regular.
type Config struct {
	Regular []string
	Bold    string
}

// Renderer makes PDFs with fonts that were read once.
type Renderer struct {
	container gopdf.FontContainer
	regular   []*face
	bold      []*face
}

// face is one font file: what it measures and which glyphs it has.
type face struct {
	family string
	font   gopdf.SubsetFontObj
}

// New reads the fonts.
func New(cfg Config) (*Renderer, error) {
	if len(cfg.Regular) == 0 {
		return nil, errors.New("pdf: no font is named (pdf.fonts)")
	}
	r := &Renderer{}
	n := 0
	load := func(path string) (*face, error) {
		b, err := os.ReadFile(path) //nolint:gosec // named by the operator
		if err != nil {
			return nil, fmt.Errorf("pdf: font: %w", err)
		}
		n++
		f := &face{family: family(path, n)}
		if err := f.font.SetTTFData(b); err != nil {
			return nil, fmt.Errorf("pdf: font %s: %w", filepath.Base(path), err)
		}
		if err := r.container.AddTTFFontData(f.family, b); err != nil {
			return nil, fmt.Errorf("pdf: font %s: %w", filepath.Base(path), err)
		}
		return f, nil
	}
	for _, path := range cfg.Regular {
		f, err := load(path)
		if err != nil {
			return nil, err
		}
		r.regular = append(r.regular, f)
	}
	r.bold = r.regular
	if cfg.Bold != "" {
		f, err := load(cfg.Bold)
		if err != nil {
			return nil, err
		}
		r.bold = append([]*face{f}, r.regular...)
	}
	return r, nil
}

// family is the name of a font inside the PDF: that of its file, not of its folder.
func family(path string, n int) string {
	name := strings.Map(func(c rune) rune {
		if c < 0x80 && (unicode.IsLetter(c) || unicode.IsDigit(c) || c == '-') {
			return c
		}
		return -1
	}, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	return name + "-" + strconv.Itoa(n)
}

// Check says whether every character of a text can be printed: fault.Invalid "paper.text" or "paper.glyph" with the
// character in Field.
func (r *Renderer) Check(text string) error {
	if err := paper.Text(text); err != nil {
		return err //nolint:wrapcheck // a fault already
	}
	for _, c := range text {
		if pick(r.regular, c) == nil {
			return noGlyph(c)
		}
	}
	return nil
}

func noGlyph(c rune) error { return fault.InField("paper.glyph", fmt.Sprintf("U+%04X", c)) }

// pick returns the first face that has c, nil when none has.
func pick(faces []*face, c rune) *face {
	for _, f := range faces {
		if g, err := f.font.CharCodeToGlyphIndex(c); err == nil && g != 0 {
			return f
		}
	}
	return nil
}

// width of c at one point of size.
func (f *face) width(c rune) float64 {
	g, err := f.font.CharCodeToGlyphIndex(c)
	if err != nil {
		return 1
	}
	return float64(f.font.GlyphIndexToPdfWidth(g)) / 1000
}

// measure returns the width of a text at size points; characters without a glyph count as wide ones.
func measure(faces []*face, text string, size float64) float64 {
	w := 0.0
	for _, c := range text {
		if f := pick(faces, c); f != nil {
			w += f.width(c)
		} else {
			w++
		}
	}
	return w * size
}
