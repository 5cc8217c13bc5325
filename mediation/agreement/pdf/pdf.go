// Package pdf renders papers (mediation/paper) as PDF: A4, real Chinese fonts that are embedded as far as they are used,
// text that can be searched and copied exactly, lines drawn as vectors.
//
// The same paper and fonts give the same bytes: nothing in a PDF comes from a clock or a map.
//
// Concurrency: a Renderer is safe for concurrent use.
//
// Errors: fault.Invalid "paper.text" and "paper.glyph" (a character that cannot be printed, in Field); a missing glyph
// never becomes a blank.
package pdf

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/signintech/gopdf"

	"heyi/internal/fault"
	"heyi/mediation/paper"
)

// The page, in points (1/72 inch): A4 with the margins of official papers, left 28 mm, right 26 mm (GB/T 9704 §5.2).
const (
	pageW, pageH = 595.28, 841.89
	left, right  = 79.4, 73.7
	top, bottom  = 76.0, 84.0
	inner        = pageW - left - right
)

// The sizes of type and the heights of their lines, in points.
const (
	titleSize, titleLine     = 20.0, 32.0
	headingSize, headingLine = 13.0, 24.0
	textSize, textLine       = 12.0, 21.0
	smallSize, smallLine     = 9.5, 15.0
	cellSize, cellLine       = 10.5, 17.0
	footSize                 = 8.5
)

// Render returns the PDF of a paper.
func (r *Renderer) Render(p paper.Paper) ([]byte, error) {
	l := &layout{r: r, pages: [][]draw{nil}, y: top}
	l.head(p)
	for _, part := range p.Parts {
		l.part(part)
	}
	l.feet(p)
	if l.err != nil {
		return nil, l.err
	}
	pdf := &gopdf.GoPdf{}
	pdf.Start(gopdf.Config{PageSize: gopdf.Rect{W: pageW, H: pageH}, Unit: gopdf.UnitPT})
	// The date is written without a zone and read as UTC by its Z-less form; the instant is what matters.
	pdf.SetInfo(gopdf.PdfInfo{
		Title: p.Title, Author: p.Issuer, Subject: p.Number, Creator: "Heyi", Producer: "Heyi",
		CreationDate: time.UnixMicro(p.At).UTC(),
	})
	pen := &pen{pdf: pdf, glyphs: map[string]map[uint]rune{}}
	for f := range l.used() {
		if err := pdf.AddTTFFontFromFontContainer(f.family, &r.container); err != nil {
			return nil, fmt.Errorf("pdf: %w", err)
		}
	}
	for _, page := range l.pages {
		pdf.AddPage()
		for _, d := range page {
			if err := d(pen); err != nil {
				return nil, err
			}
		}
	}
	var b bytes.Buffer
	if _, err := pdf.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("pdf: %w", err)
	}
	return b.Bytes(), nil
}

// draw puts one thing on the current page.
type draw func(*pen) error

// pen is where things are drawn. glyphs remembers, per font, which character a glyph stood for: two characters with the
// same glyph would make the text of the PDF ambiguous.
type pen struct {
	pdf    *gopdf.GoPdf
	glyphs map[string]map[uint]rune
}

// run is a stretch of text in one font.
type run struct {
	face *face
	text string
	x, w float64
}

// runs cuts a line by font.
func runs(faces []*face, text string, size, x float64) ([]run, error) {
	var out []run
	for _, c := range text {
		f := pick(faces, c)
		if f == nil {
			return nil, noGlyph(c)
		}
		w := f.width(c) * size
		if n := len(out); n > 0 && out[n-1].face == f {
			out[n-1].text += string(c)
			out[n-1].w += w
		} else {
			out = append(out, run{face: f, text: string(c), x: x, w: w})
		}
		x += w
	}
	return out, nil
}

// text writes one line whose upper edge is y.
func (p *pen) text(list []run, size, y float64) error {
	for _, r := range list {
		seen := p.glyphs[r.face.family]
		if seen == nil {
			seen = map[uint]rune{}
			p.glyphs[r.face.family] = seen
		}
		for _, c := range r.text {
			g, err := r.face.font.CharCodeToGlyphIndex(c)
			if err != nil {
				return noGlyph(c)
			}
			if other, ok := seen[g]; ok && other != c {
				return fault.InField("paper.glyph", fmt.Sprintf("U+%04X", c))
			}
			seen[g] = c
		}
		if err := p.pdf.SetFont(r.face.family, "", size); err != nil {
			return fmt.Errorf("pdf: %w", err)
		}
		p.pdf.SetXY(r.x, y)
		if err := p.pdf.Cell(nil, r.text); err != nil {
			return fmt.Errorf("pdf: %w", err)
		}
	}
	return nil
}

// feet writes number, page and issuer at the foot of every page, when the number of pages is known.
func (l *layout) feet(p paper.Paper) {
	for i := range l.pages {
		l.page = i
		page := "第 " + strconv.Itoa(i+1) + " 页，共 " + strconv.Itoa(len(l.pages)) + " 页"
		y := pageH - 52
		l.add(func(p *pen) error {
			p.pdf.SetLineWidth(0.5)
			p.pdf.SetStrokeColor(170, 170, 170)
			p.pdf.Line(left, y-6, pageW-right, y-6)
			return nil
		})
		w := measure(l.r.regular, page, footSize)
		l.line(l.r.regular, page, footSize, pageW-right-w, y, gray)
		foot := p.Foot
		if foot == "" {
			foot = p.Issuer
		}
		for j, s := range wrap(l.r.regular, foot, footSize, inner-w-24, 0) {
			l.line(l.r.regular, s, footSize, left, y+float64(j)*12, gray)
		}
	}
}
