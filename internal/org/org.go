// Package org is the administrative tree: city > county (区旗县) > township (街道, 镇, 苏木) > village (社区, 嘎查, 村).
//
// A Unit has a 12-digit text code (2 province, 2 city, 2 county, 3 township, 3 village; never an integer). A Tree is
// an immutable picture of all units in memory for names and paths; rights are decided in SQL by org_closure.
//
// Concurrency: a Tree never changes after NewTree and is safe for concurrent use.
//
// Errors: fault.Invalid "org.bad_code", "org.bad_parent", "org.duplicate_code".
package org

import (
	"cmp"
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// Level is the rank of a unit in the tree.
type Level string

// The levels, from the root down.
const (
	City     Level = "city"
	County   Level = "county"
	Township Level = "township"
	Village  Level = "village"
)

// Kind says what a unit is.
type Kind string

// The kinds of this build.
const (
	Centre    Kind = "centre"    // 公共法律服务中心, 工作站
	Committee Kind = "committee" // 村民委员会, 居民委员会 and its mediation committee
)

// Unit is one node of the tree.
type Unit struct {
	ID       ident.UnitID
	Code     string // 12 digits
	Name     string
	Level    Level
	ParentID ident.UnitID // empty at the root
	Kind     Kind
	Abbr     string // short form in numbers
	Sample   bool   // made up for demonstration; its name ends in （示例）
}

// Seed is a unit as it stands in a fixture, before it has an id.
type Seed struct {
	Code, Name string
	Level      Level
	ParentCode string // empty at the root
	Kind       Kind
	Abbr       string
	Sample     bool
}

//go:embed chifeng.csv
var chifeng string

// Chifeng returns the shipped fixture, parents before children: 1504 赤峰市, its 12 county units, three townships and
// sample villages (domain.md 5.11).
func Chifeng() ([]Seed, error) { return ParseSeeds(chifeng) }

// ParseSeeds reads a fixture: CSV with the header code,name,level,parent_code,kind,abbr,sample, parents first.
//
// Errors: fault.Invalid "org.bad_code", "org.bad_parent", "org.duplicate_code" with the line in Field.
func ParseSeeds(text string) ([]Seed, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = 7
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("org: read fixture: %w", err)
	}
	seen := map[string]bool{}
	seeds := make([]Seed, 0, len(rows))
	for i, f := range rows {
		if i == 0 {
			continue
		}
		line := fmt.Sprintf("line %d", i+1)
		s := Seed{
			Code: f[0], Name: f[1], Level: Level(f[2]), ParentCode: f[3], Kind: Kind(f[4]), Abbr: f[5], Sample: f[6] == "true",
		}
		switch {
		case LevelOf(s.Code) != s.Level || s.Level == "":
			return nil, fault.InField("org.bad_code", line)
		case seen[s.Code]:
			return nil, fault.InField("org.duplicate_code", line)
		case s.ParentCode != "" && (!seen[s.ParentCode] || ParentCode(s.Code) != s.ParentCode):
			return nil, fault.InField("org.bad_parent", line)
		}
		seen[s.Code] = true
		seeds = append(seeds, s)
	}
	return seeds, nil
}

// LevelOf returns the level that a 12-digit code stands for, "" when it is no such code.
func LevelOf(code string) Level {
	if len(code) != 12 || strings.ContainsFunc(code, func(r rune) bool { return r < '0' || r > '9' }) {
		return ""
	}
	switch {
	case code[9:] != "000":
		return Village
	case code[6:9] != "000":
		return Township
	case code[4:6] != "00":
		return County
	case code[2:4] != "00":
		return City
	}
	return ""
}

// ParentCode returns the code one level up, "" for a city or a code that is none.
func ParentCode(code string) string {
	switch LevelOf(code) {
	case Village:
		return code[:9] + "000"
	case Township:
		return code[:6] + "000000"
	case County:
		return code[:4] + "00000000"
	case City:
	}
	return ""
}

// Tree is every unit in memory.
type Tree struct {
	byID     map[ident.UnitID]Unit
	byCode   map[string]ident.UnitID
	children map[ident.UnitID][]ident.UnitID // by code
}

// NewTree builds a tree.
//
// Errors: fault.Invalid "org.duplicate_code", "org.bad_parent" (an unknown parent, or a circle).
func NewTree(units []Unit) (*Tree, error) {
	t := &Tree{
		byID: make(map[ident.UnitID]Unit, len(units)), byCode: make(map[string]ident.UnitID, len(units)),
		children: map[ident.UnitID][]ident.UnitID{},
	}
	sorted := slices.SortedFunc(slices.Values(units), func(a, b Unit) int { return cmp.Compare(a.Code, b.Code) })
	for _, u := range sorted {
		if _, dup := t.byCode[u.Code]; dup {
			return nil, fault.InField("org.duplicate_code", u.Code)
		}
		t.byID[u.ID], t.byCode[u.Code] = u, u.ID
		t.children[u.ParentID] = append(t.children[u.ParentID], u.ID)
	}
	for _, u := range sorted {
		steps, at := 0, u
		for at.ParentID != "" {
			parent, ok := t.byID[at.ParentID]
			if steps++; !ok || steps > len(units) {
				return nil, fault.InField("org.bad_parent", u.Code)
			}
			at = parent
		}
	}
	return t, nil
}

// Get returns a unit by id.
func (t *Tree) Get(id ident.UnitID) (Unit, bool) {
	u, ok := t.byID[id]
	return u, ok
}

// ByCode returns a unit by its 12-digit code.
func (t *Tree) ByCode(code string) (Unit, bool) { return t.Get(t.byCode[code]) }

// Roots returns the units without a parent, in the order of codes.
func (t *Tree) Roots() []Unit {
	list := make([]Unit, 0, 1)
	for _, id := range t.children[""] {
		list = append(list, t.byID[id])
	}
	return list
}

// Path returns the units from the root down to id, nil when id is unknown.
func (t *Tree) Path(id ident.UnitID) []Unit {
	var path []Unit
	for u, ok := t.byID[id]; ok; u, ok = t.byID[u.ParentID] {
		path = append(path, u)
	}
	slices.Reverse(path)
	return path
}

// Names returns the names along Path, for screens. It is never nil.
func (t *Tree) Names(id ident.UnitID) []string {
	names := make([]string, 0, 4)
	for _, u := range t.Path(id) {
		names = append(names, u.Name)
	}
	return names
}

// Ancestors returns the ids along Path, the unit itself included.
func (t *Tree) Ancestors(id ident.UnitID) []ident.UnitID {
	ids := make([]ident.UnitID, 0, 4)
	for _, u := range t.Path(id) {
		ids = append(ids, u.ID)
	}
	return ids
}

// Above returns the unit of a level on the path of id: the county of a village.
func (t *Tree) Above(id ident.UnitID, level Level) (Unit, bool) {
	for _, u := range t.Path(id) {
		if u.Level == level {
			return u, true
		}
	}
	return Unit{}, false
}

// Under reports whether node is ancestor or lies below it. A unit that is not in the tree is under nothing.
func (t *Tree) Under(ancestor, node ident.UnitID) bool {
	return slices.Contains(t.Ancestors(node), ancestor)
}

// Subtree returns a unit and everything below it in the order of codes, nil when it is unknown.
func (t *Tree) Subtree(id ident.UnitID) []Unit {
	u, ok := t.byID[id]
	if !ok {
		return nil
	}
	all := []Unit{u}
	for _, child := range t.children[id] {
		all = append(all, t.Subtree(child)...)
	}
	return all
}
