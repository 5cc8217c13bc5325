package devices

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// MaxRows is the most rows of one page.
const MaxRows = 200

// Filter narrows a list. The zero Filter is the first page of everything in the scope.
type Filter struct {
	Unit   ident.UnitID // subtree inside the scope
	Chip   Chip
	Kind   Kind
	Q      string // part of a name or serial
	Cursor string
	Limit  int       // 1..MaxRows; 0 means 50
	Now    time.Time // set by the Registry; ChipLost depends on it
}

// Page is one page of a list in the order of name and id.
type Page struct {
	Rows  []Row
	Next  string // cursor of the next page, "" at the end
	Total int    // of the whole filter
}

// Position is where a page starts: after the row with this name and id.
type Position struct {
	Name string         `json:"n"`
	ID   ident.DeviceID `json:"i"`
}

// Cursor writes a position as opaque text.
func (p Position) Cursor() string {
	b, _ := json.Marshal(p) // two strings always marshal
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads a cursor; "" is the start. fault.Invalid "list.bad_cursor".
func ParseCursor(s string) (Position, error) {
	var p Position
	if s == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(b, &p) != nil || !ident.Valid(p.ID) || !text(p.Name, 0, 120) {
		return Position{}, fault.InField("list.bad_cursor", "cursor")
	}
	return p, nil
}

func (f *Filter) check() error {
	if f.Limit == 0 {
		f.Limit = 50
	}
	switch {
	case f.Limit < 1 || f.Limit > MaxRows:
		return fault.InField("list.bad_filter", "limit")
	case f.Unit != "" && !ident.Valid(f.Unit):
		return fault.InField("list.bad_filter", "unit")
	case f.Chip != "" && !f.Chip.Known():
		return fault.InField("list.bad_filter", "chip")
	case f.Kind != "" && !f.Kind.Known():
		return fault.InField("list.bad_filter", "kind")
	case !text(strings.TrimSpace(f.Q), 0, 100):
		return fault.InField("list.bad_filter", "q")
	}
	_, err := ParseCursor(f.Cursor)
	return err
}
