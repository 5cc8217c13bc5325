// Package qr makes QR codes, the only place that does: as SVG for screens, as text for a terminal, as modules for papers.
//
// Codes have error correction M (15 %) and a quiet zone of four modules (ISO/IEC 18004 §5.3.8). Everything is pure.
package qr

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/skip2/go-qrcode"
)

// quiet is the width of the light border in modules.
const quiet = 4

// SVG returns the code of text as one <svg> element with one path, one unit a module, dark on white; it scales with
// its box. It fails when text does not fit a QR code (about 2,300 bytes).
func SVG(text string) (string, error) {
	m, err := Modules(text)
	if err != nil {
		return "", err
	}
	side := len(m) + 2*quiet
	var path strings.Builder
	for y, row := range m {
		for x := 0; x < len(row); {
			if !row[x] {
				x++
				continue
			}
			run := 1
			for x+run < len(row) && row[x+run] {
				run++
			}
			fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
			x += run
		}
	}
	n := strconv.Itoa(side)
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + n + ` ` + n + `" shape-rendering="crispEdges">` +
		`<path fill="#fff" d="M0 0h` + n + `v` + n + `H0z"/><path fill="#000" d="` + path.String() + `"/></svg>`, nil
}

// Terminal returns the code of text as lines of half blocks, two modules a character, for a dark or light terminal:
// colours are set explicitly, so that the code is dark on white on both.
func Terminal(text string) (string, error) {
	m, err := Modules(text)
	if err != nil {
		return "", err
	}
	dark := func(x, y int) bool {
		x, y = x-quiet, y-quiet
		return y >= 0 && y < len(m) && x >= 0 && x < len(m) && m[y][x]
	}
	side := len(m) + 2*quiet
	var b strings.Builder
	for y := 0; y < side; y += 2 {
		b.WriteString("\x1b[30;107m") // black on bright white
		for x := range side {
			switch up, down := dark(x, y), dark(x, y+1); {
			case up && down:
				b.WriteRune('█')
			case up:
				b.WriteRune('▀')
			case down:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String(), nil
}

// Modules returns the code of text as rows of dark modules, without the quiet zone of four; whoever draws it leaves
// that free. It fails when text does not fit a QR code.
func Modules(text string) ([][]bool, error) {
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return nil, fmt.Errorf("qr: %w", err)
	}
	q.DisableBorder = true
	return q.Bitmap(), nil
}
