package agreement

import (
	"slices"

	"heyi/mediation"
)

// Mode says how an agreement is signed.
type Mode string

// The modes.
const (
	Electronic Mode = "electronic"
	OnPaper    Mode = "paper"
)

// ModeOf is the guard of 电子签名法 art. 3 (domain.md 5.4): electronic only when the matter is no family matter, no
// clause concerns personal status or the stop of a utility, whether the drafter tagged it or its words say so, and
// every party agreed to sign electronically. Nothing overrides it.
func ModeOf(category mediation.Category, clauses []Clause, parties []Party) Mode {
	if category == mediation.Family || len(parties) == 0 {
		return OnPaper
	}
	for _, c := range clauses {
		if len(c.Tags) > 0 || len(tagsOf(c)) > 0 {
			return OnPaper
		}
	}
	if slices.ContainsFunc(parties, func(p Party) bool { return !p.ESign }) {
		return OnPaper
	}
	return Electronic
}
