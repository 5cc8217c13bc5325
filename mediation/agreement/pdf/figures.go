package pdf

import (
	"fmt"
	"math"

	"github.com/signintech/gopdf"

	"heyi/internal/qr"
	"heyi/mediation/paper"
)

// marks draws who signed: role and name, the drawn lines or a line to sign on, the time in words.
func (l *layout) marks(list []paper.Signed) {
	const (
		height = 58.0
		label  = inner * 0.34
		field  = inner * 0.36
	)
	for _, s := range list {
		l.room(height)
		mid := l.y + height/2
		l.line(l.r.regular, s.Role, cellSize, left, mid-16, gray)
		l.line(l.r.bold, s.Name, textSize, left, mid, black)
		if s.Mark != nil {
			l.mark(*s.Mark, left+label, l.y+4, field, height-12)
		}
		y := l.y + height - 6
		l.add(func(p *pen) error {
			p.pdf.SetLineWidth(0.6)
			p.pdf.SetStrokeColor(90, 90, 90)
			p.pdf.Line(left+label, y, left+label+field, y)
			return nil
		})
		for i, line := range wrap(l.r.regular, s.When, cellSize, inner-label-field-14, 0) {
			l.line(l.r.regular, line, cellSize, left+label+field+14, mid-2+float64(i)*cellLine, black)
		}
		l.y += height
	}
	if len(list) > 0 {
		l.y += 8
	}
}

// mark draws strokes into a box, as large as they fit, in their own proportions.
func (l *layout) mark(m paper.Mark, x, y, w, h float64) {
	if err := m.Check(); err != nil {
		l.err = err
		return
	}
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, s := range m.Strokes {
		for i := 0; i+2 < len(s); i += 3 {
			x0, x1 = min(x0, float64(s[i])), max(x1, float64(s[i]))
			y0, y1 = min(y0, float64(s[i+1])), max(y1, float64(s[i+1]))
		}
	}
	k := min(w/max(x1-x0, 1), h/max(y1-y0, 1))
	dx, dy := x+(w-k*(x1-x0))/2-k*x0, y+(h-k*(y1-y0))/2-k*y0
	l.add(func(p *pen) error {
		c := ink()
		p.pdf.SetStrokeColor(c[0], c[1], c[2])
		p.pdf.SetFillColor(c[0], c[1], c[2])
		p.pdf.SetLineWidth(1.5)
		for _, s := range m.Strokes {
			px, py := dx+k*float64(s[0]), dy+k*float64(s[1])
			if len(s) == 3 { // a tap is a dot
				p.pdf.RectFromUpperLeftWithStyle(px-0.75, py-0.75, 1.5, 1.5, "F")
			}
			for i := 3; i+2 < len(s); i += 3 {
				qx, qy := dx+k*float64(s[i]), dy+k*float64(s[i+1])
				p.pdf.Line(px, py, qx, qy)
				px, py = qx, qy
			}
		}
		return nil
	})
}

// seal draws the committee's round seal, 42 mm as they are made of rubber: ring, star, the name along the upper arc.
func (l *layout) seal(s paper.Seal) {
	const radius = 59.5
	l.room(2*radius + 20)
	cx, cy := pageW-right-radius-20, l.y+radius+6
	c := red()
	l.add(func(p *pen) error {
		p.pdf.SetStrokeColor(c[0], c[1], c[2])
		p.pdf.SetFillColor(c[0], c[1], c[2])
		p.pdf.SetLineWidth(2.4)
		p.pdf.Oval(cx-radius, cy-radius, cx+radius, cy+radius)
		star := make([]gopdf.Point, 10)
		for i := range star {
			r := 18.0
			if i%2 == 1 {
				r *= 0.382 // the inner corners of a pentagram
			}
			a := math.Pi/2 + float64(i)*math.Pi/5
			star[i] = gopdf.Point{X: cx + r*math.Cos(a), Y: cy - r*math.Sin(a)}
		}
		p.pdf.Polygon(star, "F")
		return nil
	})
	name := []rune(s.Name)
	size := min(15, 250/float64(max(len(name), 1)))
	// The name runs over at most 270 degrees of the arc, letters no further apart than two of their widths.
	span := min(270.0, float64(len(name))*size*2/(radius-16)*180/math.Pi)
	for i, ch := range name {
		a := 90.0
		if len(name) > 1 {
			a = 90 + span/2 - span*float64(i)/float64(len(name)-1)
		}
		r := radius - 7 - size/2
		l.turned(string(ch), size, cx+r*math.Cos(a*math.Pi/180), cy-r*math.Sin(a*math.Pi/180), a-90)
	}
	if s.Label != "" {
		w := measure(l.r.bold, s.Label, 9)
		l.line(l.r.bold, s.Label, 9, cx-w/2, cy+24, red)
	}
	y := l.y
	for _, line := range s.Below {
		for _, part := range wrap(l.r.regular, line, cellSize, inner-2*radius-50, 0) {
			l.line(l.r.regular, part, cellSize, left, y+18, black)
			y += cellLine
		}
	}
	l.y = max(l.y+2*radius+18, y+24)
}

// turned writes one character with its middle at x, y, turned against the clock by deg.
func (l *layout) turned(ch string, size, x, y, deg float64) {
	if l.err != nil {
		return
	}
	list, err := runs(l.r.bold, ch, size, x-measure(l.r.bold, ch, size)/2)
	if err != nil {
		l.err = err
		return
	}
	l.useFaces(list)
	l.add(func(p *pen) error {
		c := red()
		p.pdf.SetTextColor(c[0], c[1], c[2])
		p.pdf.Rotate(deg, x, y)
		err := p.text(list, size, y-size/2)
		p.pdf.RotateReset()
		return err
	})
}

// code draws a QR code with words to its right, 30 mm wide with its quiet zone.
func (l *layout) code(q paper.QR) {
	const side = 86.0
	m, err := qr.Modules(q.Text)
	if err != nil {
		l.err = fmt.Errorf("pdf: %w", err)
		return
	}
	l.room(side + 8)
	unit := side / float64(len(m)+8)
	x0, y0 := left, l.y
	l.add(func(p *pen) error {
		p.pdf.SetFillColor(0, 0, 0)
		for y, row := range m {
			for x := 0; x < len(row); x++ {
				if !row[x] {
					continue
				}
				n := 1
				for x+n < len(row) && row[x+n] {
					n++
				}
				p.pdf.RectFromUpperLeftWithStyle(x0+float64(x+4)*unit, y0+float64(y+4)*unit, float64(n)*unit, unit, "F")
				x += n
			}
		}
		return nil
	})
	y := l.y + 10
	for _, line := range q.Lines {
		for _, s := range wrap(l.r.regular, line, smallSize, inner-side-14, 0) {
			l.line(l.r.regular, s, smallSize, left+side+8, y, black)
			y += smallLine
		}
	}
	l.y = max(l.y+side+8, y+4)
}
