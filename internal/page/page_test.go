package page_test

import (
	"testing"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/page"
)

func TestCursor(t *testing.T) {
	t.Parallel()
	want := page.Position{At: 1763800000000000, ID: ident.New[string]()}
	if got, err := page.Parse(want.Cursor()); err != nil || got != want {
		t.Errorf("came back as %+v, %v", got, err)
	}
	if got, err := page.Parse(""); err != nil || got != page.Start() {
		t.Errorf("the start is %+v, %v", got, err)
	}
	for _, s := range []string{"x", "e30", page.Position{At: 1, ID: "' OR 1=1"}.Cursor()} {
		if _, err := page.Parse(s); fault.CodeOf(err) != "list.bad_cursor" {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: page.Usual, 1: 1, page.Most: page.Most} {
		if got, err := page.Limit(n); got != want || err != nil {
			t.Errorf("Limit(%d) = %d, %v", n, got, err)
		}
	}
	for _, n := range []int{-1, page.Most + 1} {
		if _, err := page.Limit(n); fault.CodeOf(err) != "list.bad_filter" {
			t.Errorf("Limit(%d): %v", n, err)
		}
	}
}
