package qr_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/skip2/go-qrcode"

	"heyi/internal/qr"
)

const address = "https://heyi.example:8443/c/3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// picture draws the dark modules of an SVG of ours again, border included.
func picture(t *testing.T, svg string) [][]bool {
	t.Helper()
	var doc struct {
		ViewBox string `xml:"viewBox,attr"`
		Paths   []struct {
			Fill string `xml:"fill,attr"`
			D    string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal([]byte(svg), &doc); err != nil {
		t.Fatal(err)
	}
	var side, h int
	if _, err := fmt.Sscanf(doc.ViewBox, "0 0 %d %d", &side, &h); err != nil || side != h || len(doc.Paths) != 2 {
		t.Fatalf("viewBox %q, %d paths", doc.ViewBox, len(doc.Paths))
	}
	grid := make([][]bool, side)
	for i := range grid {
		grid[i] = make([]bool, side)
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(doc.Paths[1].D, "z"), "z") {
		var x, y, run, back int
		if _, err := fmt.Sscanf(part, "M%d %dh%dv1h-%d", &x, &y, &run, &back); err != nil || run != back {
			t.Fatalf("part %q: %v", part, err)
		}
		for i := range run {
			grid[y][x+i] = true
		}
	}
	return grid
}

func reference(t *testing.T, text string) [][]bool {
	t.Helper()
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		t.Fatal(err)
	}
	return q.Bitmap() // with its own border of four modules
}

func TestSVGDrawsEveryModule(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"A", address, strings.Repeat("和议", 200)} {
		svg, err := qr.SVG(text)
		if err != nil {
			t.Fatal(err)
		}
		got, want := picture(t, svg), reference(t, text)
		if len(got) != len(want) {
			t.Fatalf("side %d, want %d", len(got), len(want))
		}
		for y := range want {
			for x := range want[y] {
				if got[y][x] != want[y][x] {
					t.Fatalf("module %d,%d = %v", x, y, got[y][x])
				}
			}
		}
	}
}

func TestTerminalDrawsEveryModule(t *testing.T) {
	t.Parallel()
	text, err := qr.Terminal(address)
	if err != nil {
		t.Fatal(err)
	}
	want := reference(t, address)
	for row, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		line = strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[30;107m"), "\x1b[0m")
		for x, r := range []rune(line) {
			up := want[2*row][x]
			down := 2*row+1 < len(want) && want[2*row+1][x]
			if exp := map[[2]bool]rune{{true, true}: '█', {true, false}: '▀', {false, true}: '▄', {}: ' '}[[2]bool{up, down}]; r != exp {
				t.Fatalf("row %d column %d: %q, want %q", row, x, r, exp)
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	if _, err := qr.SVG(strings.Repeat("x", 5000)); err == nil {
		t.Error("SVG of 5,000 bytes: no error")
	}
	if _, err := qr.Terminal(strings.Repeat("x", 5000)); err == nil {
		t.Error("Terminal of 5,000 bytes: no error")
	}
}
