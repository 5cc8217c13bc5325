package pdf

import "strings"

// The characters that may not begin or end a line (GB/T 15834-2011 §5.1.8 and usual practice). One that may not begin
// a line hangs over the right edge, which the margin has room for.
const (
	notFirst = "，。、；：？！）》」』】〕”’…—·％%,.;:?!)]}"
	notLast  = "（《「『【〔“‘([{"
)

// wrap breaks a text into lines of at most width points: between any two Chinese characters, never inside a word or
// figure of the Latin script unless it alone is longer than a line. first is taken from the width of the first line.
func wrap(faces []*face, text string, size, width, first float64) []string {
	var (
		lines []string
		line  strings.Builder
		used  = first
		last  string // the last unit of line
	)
	flush := func() {
		lines = append(lines, strings.TrimRight(line.String(), " "))
		line.Reset()
		used, last = 0, ""
	}
	put := func(u string, w float64) {
		line.WriteString(u)
		used += w
		last = u
	}
	for _, u := range units(text) {
		w := measure(faces, u, size)
		if used+w > width && line.Len() > 0 && !strings.Contains(notFirst, u) {
			carry := ""
			if last != "" && strings.Contains(notLast, last) {
				carry = last
				s := strings.TrimSuffix(line.String(), last)
				line.Reset()
				line.WriteString(s)
			}
			if line.Len() > 0 {
				flush()
			}
			if carry != "" {
				put(carry, measure(faces, carry, size))
			}
			if u == " " {
				continue
			}
		}
		if w > width {
			for _, c := range u {
				cw := measure(faces, string(c), size)
				if used+cw > width && line.Len() > 0 {
					flush()
				}
				put(string(c), cw)
			}
			continue
		}
		put(u, w)
	}
	if line.Len() > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}

// units cuts a text into what must stay together.
func units(text string) []string {
	var out []string
	var word strings.Builder
	for _, c := range text {
		if c < 0x2E80 && c > ' ' && !strings.ContainsRune(notLast, c) && (c < 0x2000 || c > 0x206F) && c != '·' {
			word.WriteRune(c)
			continue
		}
		if word.Len() > 0 {
			out = append(out, word.String())
			word.Reset()
		}
		out = append(out, string(c))
	}
	if word.Len() > 0 {
		out = append(out, word.String())
	}
	return out
}
