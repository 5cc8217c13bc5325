package pdf

import (
	"iter"
	"slices"
	"strings"

	"heyi/mediation/paper"
)

// colour is red, green, blue.
type colour [3]uint8

func black() colour { return colour{20, 20, 20} }
func gray() colour  { return colour{110, 110, 110} }
func ink() colour   { return colour{16, 32, 84} }
func red() colour   { return colour{200, 16, 32} }

// layout puts parts below each other and breaks pages. Nothing is drawn before every page is laid out.
type layout struct {
	r     *Renderer
	pages [][]draw
	page  int
	y     float64
	err   error
	faces []*face // in order of first use
}

func (l *layout) add(d draw) { l.pages[l.page] = append(l.pages[l.page], d) }

func (l *layout) newPage() {
	l.pages = append(l.pages, nil)
	l.page = len(l.pages) - 1
	l.y = top
}

// room begins a new page unless h points are left on this one.
func (l *layout) room(h float64) {
	if l.y+h > pageH-bottom && l.y > top {
		l.newPage()
	}
}

// used yields the fonts of the paper in the order of their first use.
func (l *layout) used() iter.Seq[*face] { return slices.Values(l.faces) }

// line writes a line at x, y; y is its upper edge.
func (l *layout) line(faces []*face, text string, size, x, y float64, c func() colour) {
	if text == "" || l.err != nil {
		return
	}
	if l.err = paper.Text(text); l.err != nil {
		return
	}
	list, err := runs(faces, text, size, x)
	if err != nil {
		l.err = err
		return
	}
	l.useFaces(list)
	l.add(func(p *pen) error {
		rgb := c()
		p.pdf.SetTextColor(rgb[0], rgb[1], rgb[2])
		return p.text(list, size, y)
	})
}

func (l *layout) useFaces(list []run) {
	for _, r := range list {
		if !slices.Contains(l.faces, r.face) {
			l.faces = append(l.faces, r.face)
		}
	}
}

// head writes title and number.
func (l *layout) head(p paper.Paper) {
	for _, s := range wrap(l.r.bold, p.Title, titleSize, inner, 0) {
		l.line(l.r.bold, s, titleSize, left+(inner-measure(l.r.bold, s, titleSize))/2, l.y, black)
		l.y += titleLine
	}
	if p.Number != "" {
		l.line(l.r.regular, p.Number, cellSize, left+(inner-measure(l.r.regular, p.Number, cellSize))/2, l.y, black)
		l.y += cellLine
	}
	l.y += 14
}

func (l *layout) part(p paper.Part) {
	if p.NewPage && l.y > top {
		l.newPage()
	}
	if p.Heading != "" {
		l.room(headingLine + 3*textLine) // never a heading alone at the foot
		l.y += 4
		for _, s := range wrap(l.r.bold, p.Heading, headingSize, inner, 0) {
			l.line(l.r.bold, s, headingSize, left, l.y, black)
			l.y += headingLine
		}
	}
	size, height := textSize, textLine
	if p.Small {
		size, height = smallSize, smallLine
	}
	for _, text := range p.Text {
		l.paragraph(text, size, height, p.Indent)
	}
	if len(p.Text) > 0 {
		l.y += 6
	}
	if len(p.Rows) > 0 {
		rows := make([][]string, len(p.Rows))
		for i, r := range p.Rows {
			rows[i] = []string{r.Name, r.Value}
		}
		l.table(nil, []float64{inner * 0.24, inner * 0.76}, rows)
	}
	if p.Grid != nil {
		l.table(p.Grid.Head, shares(p.Grid), p.Grid.Rows)
	}
	l.marks(p.Marks)
	if p.Seal != nil {
		l.seal(*p.Seal)
	}
	if p.QR != nil {
		l.code(*p.QR)
	}
}

// paragraph writes text, one line at a time over pages.
func (l *layout) paragraph(text string, size, height float64, indent bool) {
	first := 0.0
	if indent {
		first = 2 * size
	}
	for i, s := range wrap(l.r.regular, text, size, inner, first) {
		l.room(height)
		x := left
		if i == 0 {
			x += first
		}
		l.line(l.r.regular, s, size, x, l.y, black)
		l.y += height
	}
}

func shares(g *paper.Grid) []float64 {
	sum := 0
	for i := range g.Head {
		sum += share(g, i)
	}
	out := make([]float64, len(g.Head))
	for i := range out {
		out[i] = inner * float64(share(g, i)) / float64(sum)
	}
	return out
}

func share(g *paper.Grid, i int) int {
	if i < len(g.Shares) && g.Shares[i] > 0 {
		return g.Shares[i]
	}
	return 1
}

// table draws ruled rows. A row that does not fit the rest of a page moves to the next one, unless it is taller than a
// page: then it is cut between lines. The header line stands again on every page.
func (l *layout) table(head []string, widths []float64, rows [][]string) {
	const pad = 5.0
	cells := func(faces []*face, row []string) (out [][]string, lines int) {
		for i, w := range widths {
			text := ""
			if i < len(row) {
				text = row[i]
			}
			var c []string
			for part := range strings.SplitSeq(text, "\n") {
				c = append(c, wrap(faces, part, cellSize, w-2*pad, 0)...)
			}
			out = append(out, c)
			lines = max(lines, len(c))
		}
		return out, lines
	}
	piece := func(faces []*face, row [][]string, from, to int) {
		h := float64(to-from)*cellLine + 2*pad - 2
		x := left
		for i, w := range widths {
			for j, s := range row[i][min(from, len(row[i])):min(to, len(row[i]))] {
				f := faces
				if head == nil && i == 0 {
					f = l.r.bold
				}
				l.line(f, s, cellSize, x+pad, l.y+pad+float64(j)*cellLine, black)
			}
			l.box(x, l.y, w, h)
			x += w
		}
		l.y += h
	}
	header := func() {
		if head != nil {
			row, n := cells(l.r.bold, head)
			piece(l.r.bold, row, 0, n)
		}
	}
	l.room(3 * cellLine)
	header()
	for _, r := range rows {
		row, n := cells(l.r.regular, r)
		if need := float64(n)*cellLine + 2*pad; l.y+need > pageH-bottom && need < pageH-bottom-top-40 {
			l.newPage()
			header()
		}
		for from := 0; from < n; {
			fit := int((pageH - bottom - l.y - 2*pad) / cellLine)
			if fit < 1 {
				l.newPage()
				header()
				continue
			}
			to := min(n, from+fit)
			piece(l.r.regular, row, from, to)
			from = to
		}
	}
	l.y += 12
}

func (l *layout) box(x, y, w, h float64) {
	l.add(func(p *pen) error {
		p.pdf.SetLineWidth(0.6)
		p.pdf.SetStrokeColor(90, 90, 90)
		p.pdf.RectFromUpperLeftWithStyle(x, y, w, h, "D")
		return nil
	})
}
