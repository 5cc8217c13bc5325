// Package page is how long lists are cut into pages that stay true while rows come in: a cursor names the row after
// which the next page begins, newest first.
//
// Errors: fault.Invalid "list.bad_cursor", "list.bad_filter".
package page

import (
	"encoding/base64"
	"encoding/json"
	"math"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// Most is the most rows of one page, Usual how many when nobody says.
const (
	Most  = 200
	Usual = 50
)

// Position is where a page starts: after the row with this instant and id, in the order newest first.
type Position struct {
	At int64  `json:"a"` // Unix microseconds
	ID string `json:"i"`
}

// Start is before every row.
func Start() Position { return Position{At: math.MaxInt64, ID: "~"} }

// Cursor writes a position as opaque text.
func (p Position) Cursor() string {
	b, _ := json.Marshal(p) // a number and a string always marshal
	return base64.RawURLEncoding.EncodeToString(b)
}

// Parse reads a cursor; "" is the start.
func Parse(s string) (Position, error) {
	if s == "" {
		return Start(), nil
	}
	var p Position
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(b, &p) != nil || !ident.Valid(p.ID) {
		return Position{}, fault.InField("list.bad_cursor", "cursor")
	}
	return p, nil
}

// Limit returns how many rows a page has; 0 asks for Usual.
func Limit(n int) (int, error) {
	switch {
	case n == 0:
		return Usual, nil
	case n < 1 || n > Most:
		return 0, fault.InField("list.bad_filter", "limit")
	}
	return n, nil
}
