// Package agreement is the written agreement: clauses, what is unclear in them, the frozen text with its digest and
// code, who read, keyed and signed it, and from when it binds.
//
// Blocks writes clauses as the text of the Ministry's form 人民调解协议书; Check is the lint that blocks the freeze
// (domain.md 5.7); ModeOf is the guard that keeps personal-status matters on paper (5.4); Agreement is the state machine
// draft, frozen, signing, mediator_signed, effective (7.5). AgreementPaper, EvidencePaper and SignedPaper are its three
// papers as mediation/paper.Paper; mediation/agreement/pdf renders them.
//
// Concurrency: everything is a value or pure; the store saves an Agreement in the transaction of a command. A method
// that returns an error has changed nothing.
//
// Errors: fault.Stale "agreement.stale_revision"; fault.Invalid "agreement.lint" with the clause in Ref and the field in
// Field, "agreement.wrong_code"; fault.Conflict "agreement.state" with the state in Ref, "agreement.wrong_digest",
// "agreement.already_signed", "agreement.readback_incomplete"; fault.Forbidden "agreement.paper_required",
// "agreement.reauth_required", "session.identity_missing".
package agreement

import (
	"heyi/mediation"
	"heyi/mediation/paper"
)

// Block is a piece of the text that is read as one.
type Block = paper.Block

// Kind says what a clause obliges somebody to.
type Kind string

// The clause kinds (domain.md 5.7).
const (
	Pay       Kind = "pay"
	Return    Kind = "return"
	Do        Kind = "do"
	Stop      Kind = "stop"
	Apologise Kind = "apologise"
	Free      Kind = "free"
)

// Tag says that a clause concerns what an electronic signature may not (电子签名法 art. 3).
type Tag string

// The tags.
const (
	PersonalStatus Tag = "personal_status" // marriage, adoption, inheritance and other personal relations
	UtilityStop    Tag = "utility_stop"    // stopping water, heat or gas supply
)

// Clause is one duty. Days are YYYY-MM-DD, amounts are fen.
type Clause struct {
	ID            string       `json:"id"`
	Kind          Kind         `json:"kind"`
	Who           string       `json:"who"` // party id
	To            string       `json:"to"`  // party id
	What          string       `json:"what"`
	AmountFen     *int64       `json:"amount_fen"`
	By            string       `json:"by"` // last day; of Stop the first day
	How           string       `json:"how"`
	Late          string       `json:"late"`
	Text          string       `json:"text"` // of Free, the whole clause
	Instalments   []Instalment `json:"instalments"`
	Tags          []Tag        `json:"tags"`
	TagsConfirmed bool         `json:"tags_confirmed"` // the drafter looked at the tags of this clause
}

// Instalment is one of several payments.
type Instalment struct {
	By        string `json:"by"`
	AmountFen int64  `json:"amount_fen"`
}

// Draft is what the mediator writes.
type Draft struct {
	Facts   string   `json:"facts"`
	Clauses []Clause `json:"clauses"`
	Form    string   `json:"form"` // written
}

// Written is the one form of this build.
const Written = "written"

// The limits of a draft (domain.md 8).
const (
	MaxClauses = 60
	MaxRunes   = 40_000
)

// The roles of a party.
const (
	Applicant  = "applicant"
	Respondent = "respondent"
)

// Party is a party as the text names it. What is empty is not printed.
type Party struct {
	ID         string
	Name       string // as verified
	Role       string // Applicant or Respondent
	Sex        string // male, female, or the word itself
	Ethnic     string
	BirthYear  int
	Occupation string
	Phone      string
	Address    string
	Verified   bool // identity checked in this session
	ESign      bool // agreed to sign electronically
}

// Rule says from when an agreement binds (domain.md 5.3, column effect).
type Rule string

// The rules.
const (
	ThreeSignatures Rule = "three"        // parties, mediator, committee seal (People's Mediation Law art. 29)
	PartiesAndSeal  Rule = "parties_seal" // parties and the agency's seal
	PartiesOnly     Rule = "parties"      // the last party's signature
)

// Meta is what the text says beside the clauses.
type Meta struct {
	Unit     string // the committee's full name
	Number   string // of the dispute
	Category mediation.Category
	Mediator string // name
	Rule     Rule
	Parties  []Party // in the order of the text
}

func (m Meta) party(id string) (Party, bool) {
	for _, p := range m.Parties {
		if p.ID == id && id != "" {
			return p, true
		}
	}
	return Party{}, false
}

// Normalise brings typed text into the form of paper.Clean and makes absent lists empty, so that what is stored is what
// is shown and digested.
func (d Draft) Normalise() Draft {
	d.Facts = paper.Clean(d.Facts)
	d.Form = Written
	clauses := make([]Clause, len(d.Clauses))
	for i, c := range d.Clauses {
		c.What, c.How, c.Late, c.Text = paper.Clean(c.What), paper.Clean(c.How), paper.Clean(c.Late), paper.Clean(c.Text)
		if c.Instalments == nil {
			c.Instalments = []Instalment{}
		}
		if c.Tags == nil {
			c.Tags = []Tag{}
		}
		clauses[i] = c
	}
	d.Clauses = clauses
	return d
}

// AmountFen returns the sum of all payments in fen, the amount of the dispute.
func (d Draft) AmountFen() int64 {
	var sum int64
	for _, c := range d.Clauses {
		if c.Kind == Pay && c.AmountFen != nil {
			sum += *c.AmountFen
		}
	}
	return sum
}

// LastDay returns the last day on which anything is due, "" when no clause has a day. Follow-up counts from it.
func (d Draft) LastDay() string {
	last := ""
	for _, c := range d.Clauses {
		if c.Kind != Stop && c.Kind != Free {
			last = max(last, c.By)
		}
		for _, i := range c.Instalments {
			last = max(last, i.By)
		}
	}
	return last
}
