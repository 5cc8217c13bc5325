package devices

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// MaxRows is the most rows of one page, and of one set of ids.
const MaxRows = 200

// maxOffset bounds what a window may skip; the fleet of one installation is smaller.
const maxOffset = 10_000_000

// SortKey is what a list is sorted by; the id decides among equals.
type SortKey string

// The orders. Never a value that changes by itself all the time (fleet.md §10).
const (
	ByName   SortKey = "name"
	BySerial SortKey = "serial"
	ByModel  SortKey = "model"
	ByChip   SortKey = "chip" // what needs a hand first
	BySince  SortKey = "since"
	ByAppVer SortKey = "app_ver"
)

// Known reports whether o is an order of this build.
func (o SortKey) Known() bool {
	switch o {
	case ByName, BySerial, ByModel, ByChip, BySince, ByAppVer:
		return true
	}
	return false
}

// Filter narrows a list. The zero Filter is the first page by name of everything in the scope that is not retired.
type Filter struct {
	Unit  ident.UnitID // subtree inside the scope
	Chip  Chip
	Kind  Kind
	Class Class
	Tier  Tier
	Model string // exactly
	Q     string // how a name or serial begins, whatever the case of Latin letters

	Order  SortKey // "" means ByName
	Desc   bool
	Cursor string // after a row; wins over Offset
	Offset int    // how many rows are skipped
	Limit  int    // 1..MaxRows; 0 means 50
}

// Page is one page of a list.
type Page struct {
	Rows  []Row
	Next  string // cursor of the next page, "" at the end
	Total int    // of the whole filter
	Chips Tally  // of the filter without its chip
}

// Tally counts devices by chip.
type Tally map[Chip]int

// Of returns how many devices a list with this chip has; "" is all but the retired ones.
func (t Tally) Of(c Chip) int {
	if c != "" {
		return t[c]
	}
	sum := 0
	for chip, n := range t {
		if chip != ChipRetired {
			sum += n
		}
	}
	return sum
}

// Models lists what a filter can ask for: the models of a scope, the most frequent first.
type Models []struct {
	Model string
	N     int
}

// ListStore answers questions about many devices. Everything starts at the scope's unit.
type ListStore interface {
	// DeviceRows returns one page; Total and Chips are left to Tally.
	DeviceRows(ctx context.Context, s Scope, f Filter) (Page, error)
	// DevicesByID returns those of at most MaxRows devices that lie in the scope, in the order of the ids.
	DevicesByID(ctx context.Context, s Scope, ids []ident.DeviceID) ([]Row, error)
	// Tally counts by chip what a filter without its chip matches.
	Tally(ctx context.Context, s Scope, f Filter) (Tally, error)
	CountUnits(ctx context.Context, s Scope) (map[ident.UnitID]Count, error)
	DeviceModels(ctx context.Context, s Scope) (Models, error)
	// NoteExport writes the event of a list that left the house.
	NoteExport(ctx context.Context, s Scope, f Filter, rows int, at int64) error
}

// Match reports whether a row belongs to the filter; under tells whether the row's unit lies in the filter's subtree. The
// store compiles the same question to SQL.
func (f Filter) Match(r Row, under func(root, unit ident.UnitID) bool) bool {
	q := Key(f.Q)
	switch {
	case f.Chip == "" && r.Chip == ChipRetired, f.Chip != "" && r.Chip != f.Chip:
		return false
	case f.Kind != "" && r.Kind != f.Kind, f.Class != "" && r.Class != f.Class, f.Tier != "" && r.Tier != f.Tier, f.Model != "" && r.Model != f.Model:
		return false
	case q != "" && !strings.HasPrefix(Key(r.Name), q) && !strings.HasPrefix(Key(r.Serial), q):
		return false
	}
	return f.Unit == "" || under(f.Unit, r.UnitID)
}

// Compare orders two rows as the filter's list does.
func (f Filter) Compare(a, b Row) int {
	n := cmp.Or(f.compare(a, b), cmp.Compare(a.ID, b.ID))
	if f.Desc {
		return -n
	}
	return n
}

func (f Filter) compare(a, b Row) int {
	switch f.Order {
	case BySerial:
		return cmp.Compare(Key(a.Serial), Key(b.Serial))
	case ByModel:
		return cmp.Compare(a.Model, b.Model)
	case ByChip:
		return cmp.Or(cmp.Compare(a.Chip.Rank(), b.Chip.Rank()), cmp.Compare(Key(a.Name), Key(b.Name)))
	case BySince:
		return cmp.Compare(a.SinceAt, b.SinceAt)
	case ByAppVer:
		return cmp.Compare(a.AppVer, b.AppVer)
	case ByName:
	}
	return cmp.Compare(Key(a.Name), Key(b.Name))
}

// Position is where a page starts: after the row with these keys of the order and this id.
type Position struct {
	Text string         `json:"t,omitempty"`
	N    int64          `json:"n,omitempty"` // rank of the chip, or an instant
	ID   ident.DeviceID `json:"i"`
}

// After returns the position behind a row.
func (f Filter) After(r Row) Position {
	p := Position{ID: r.ID}
	switch f.Order {
	case BySerial:
		p.Text = Key(r.Serial)
	case ByModel:
		p.Text = r.Model
	case ByChip:
		p.Text, p.N = Key(r.Name), int64(r.Chip.Rank())
	case BySince:
		p.N = r.SinceAt
	case ByAppVer:
		p.Text = r.AppVer
	case ByName, "":
		p.Text = Key(r.Name)
	}
	return p
}

// Cursor writes a position as opaque text.
func (p Position) Cursor() string {
	b, _ := json.Marshal(p) // texts and a number always marshal
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads a cursor; "" is the start. fault.Invalid "list.bad_cursor".
func ParseCursor(s string) (Position, error) {
	var p Position
	if s == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(b, &p) != nil || !ident.Valid(p.ID) || !text(p.Text, 0, 120) {
		return Position{}, fault.InField("list.bad_cursor", "cursor")
	}
	return p, nil
}

func (f *Filter) check() error {
	f.Limit, f.Order = cmp.Or(f.Limit, 50), cmp.Or(f.Order, ByName)
	switch {
	case f.Limit < 1 || f.Limit > MaxRows:
		return fault.InField("list.bad_filter", "limit")
	case f.Offset < 0 || f.Offset > maxOffset:
		return fault.InField("list.bad_filter", "offset")
	case !f.Order.Known():
		return fault.InField("list.bad_filter", "sort")
	case f.Unit != "" && !ident.Valid(f.Unit):
		return fault.InField("list.bad_filter", "unit")
	case f.Chip != "" && !f.Chip.Known():
		return fault.InField("list.bad_filter", "chip")
	case f.Kind != "" && !f.Kind.Known():
		return fault.InField("list.bad_filter", "kind")
	case f.Class != "" && !f.Class.Known():
		return fault.InField("list.bad_filter", "class")
	case f.Tier != "" && !f.Tier.Known():
		return fault.InField("list.bad_filter", "tier")
	case !text(f.Model, 0, 64):
		return fault.InField("list.bad_filter", "model")
	case !text(strings.TrimSpace(f.Q), 0, 100):
		return fault.InField("list.bad_filter", "q")
	}
	f.Q = strings.TrimSpace(f.Q)
	_, err := ParseCursor(f.Cursor)
	return err
}

// Key is how names and serials are compared: Latin letters without their case, everything else as it is. SQL's LOWER
// in the C locale does the same.
func Key(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
