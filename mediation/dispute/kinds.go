package dispute

import "slices"

// Kind is one row of the table of kinds of mediation (domain.md 5.3).
type Kind string

// The kinds.
const (
	People    Kind = "people"     // 人民调解
	Trade     Kind = "trade"      // 行业性专业性
	Admin     Kind = "admin"      // 行政调解
	CourtPre  Kind = "court_pre"  // 委派
	CourtPost Kind = "court_post" // 委托
	Labour    Kind = "labour"     // 劳动争议
	Land      Kind = "land"       // 农村土地承包
)

// Effect is the rule by which an agreement takes effect.
type Effect string

// The rules of effect.
const (
	ThreeSignatures Effect = "three"        // all parties, the mediator, the seal: the latest of the three (art. 29)
	PartiesAndSeal  Effect = "parties_seal" // all parties and the agency's seal
	ToCourt         Effect = "parties"      // goes to the court, which issues its own paper
)

// Rule is how one kind of mediation differs from the others; nothing in the code branches on a kind outside this table.
type Rule struct {
	Kind    Kind
	Name    string // 人民调解
	Days    int    // clock in calendar days, from acceptance (labour: from the application, which is the same command here)
	Oral    bool   // an oral agreement is possible
	Effect  Effect
	Confirm bool     // judicial confirmation is open (5.5)
	Routes  []string // if it fails, see routes.go
}

// Kinds is the table, in the order of domain.md 5.3.
func Kinds() []Rule {
	return []Rule{
		{Kind: People, Name: "人民调解", Days: 30, Oral: true, Effect: ThreeSignatures, Confirm: true, Routes: []string{RouteSuit}},
		{Kind: Trade, Name: "行业性、专业性人民调解", Days: 30, Oral: true, Effect: ThreeSignatures, Confirm: true, Routes: []string{RouteSuit}},
		{Kind: Admin, Name: "行政调解", Days: 30, Effect: PartiesAndSeal, Routes: []string{RouteReview, RouteSuit}},
		{Kind: CourtPre, Name: "法院委派调解", Days: 30, Oral: true, Effect: ThreeSignatures, Confirm: true, Routes: []string{RouteFiling}},
		{Kind: CourtPost, Name: "法院委托调解", Days: 15, Effect: ToCourt, Routes: []string{RouteTrial}},
		{Kind: Labour, Name: "劳动争议调解", Days: 15, Effect: ThreeSignatures, Routes: []string{RouteLabour}},
		{Kind: Land, Name: "农村土地承包纠纷调解", Days: 30, Effect: ThreeSignatures, Confirm: true, Routes: []string{RouteLandArbitration, RouteSuit}},
	}
}

func kindOf(k Kind) (Rule, bool) {
	list := Kinds()
	i := slices.IndexFunc(list, func(r Rule) bool { return r.Kind == k })
	if i < 0 {
		return Rule{}, false
	}
	return list[i], true
}

// RuleOf returns the row of a kind; the zero value for one that is unknown.
func RuleOf(k Kind) Rule {
	r, _ := kindOf(k)
	return r
}
