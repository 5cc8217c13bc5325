package paper

import (
	"fmt"

	"heyi/internal/fault"
	"heyi/internal/sign"
)

// Mark is a signature as it was drawn: strokes of x, y and t (milliseconds since the first point), in a field of W by
// H. It shows who meant to sign; what a signature proves stands in the evidence sheet.
type Mark struct {
	W       int     `json:"w"`
	H       int     `json:"h"`
	Strokes [][]int `json:"strokes"` // x,y,t, x,y,t, ...
}

// The limits of a mark.
const (
	markSide    = 8192
	markStrokes = 20
	markPoints  = 4000
	markInk     = 20 // least share of the field's width or height that the lines must span, in per mille times 10
)

// Check refuses a mark that is none: outside its field, too long, or no more than a dot. fault.Invalid "paper.mark"
// with the part in Field.
func (m Mark) Check() error {
	if m.W < 1 || m.H < 1 || m.W > markSide || m.H > markSide {
		return fault.InField("paper.mark", "size")
	}
	if len(m.Strokes) == 0 || len(m.Strokes) > markStrokes {
		return fault.InField("paper.mark", "strokes")
	}
	points := 0
	left, right, top, bottom := m.W, 0, m.H, 0
	for i, s := range m.Strokes {
		if len(s) == 0 || len(s)%3 != 0 {
			return fault.InField("paper.mark", fmt.Sprintf("strokes/%d", i))
		}
		points += len(s) / 3
		last := 0
		for j := 0; j < len(s); j += 3 {
			x, y, t := s[j], s[j+1], s[j+2]
			if x < 0 || y < 0 || x > m.W || y > m.H || t < last {
				return fault.InField("paper.mark", fmt.Sprintf("strokes/%d", i))
			}
			left, right, top, bottom, last = min(left, x), max(right, x), min(top, y), max(bottom, y), t
		}
	}
	if points > markPoints {
		return fault.InField("paper.mark", "points")
	}
	if points < 4 || ((right-left)*1000 < m.W*markInk && (bottom-top)*1000 < m.H*markInk) {
		return fault.InField("paper.mark", "empty")
	}
	return nil
}

// SHA256 returns the digest of the mark's canonical JSON, hex.
func (m Mark) SHA256() (string, error) {
	b, err := canonical(m)
	if err != nil {
		return "", err
	}
	return sign.SHA256(b), nil
}
