// Package partylink is how a party who does not sit at a terminal comes to a dispute: a one-use link or code, by which
// his own phone joins the meeting (join) or reads, keys the code and signs one agreement (sign).
//
// A Link is a right, stored as hashes; Secrets derives its token and code from its id, so that every node can show the
// same link again and none stores it. Links looks links up; making, opening, redeeming and revoking them are commands on the
// dispute (mediation/dispute), because an invite is inert until every required party present consented to the named
// person (人民调解法 art. 20).
//
// Concurrency: Links and Secrets are safe for concurrent use.
//
// Errors: fault.NotFound "link.unknown"; fault.Conflict "link.inert", "token.spent"; fault.Expired "token.expired";
// fault.TooMany "link.too_many"; fault.Unauthenticated "link.over" for a cookie whose right has ended.
package partylink

import "heyi/internal/ident"

// Purpose is what a link lets its holder do.
type Purpose string

// The purposes.
const (
	Join Purpose = "join" // a person of the dispute: meets, answers, reads, signs
	Sign Purpose = "sign" // the phone of somebody who sits at a terminal: reads and signs one digest
)

// State is what a link is good for.
type State string

// The states.
const (
	Inert   State = "inert"   // waits for the consent of those who are there
	Live    State = "live"    // may be redeemed
	Spent   State = "spent"   // redeemed: the phone's cookie acts
	Revoked State = "revoked" // taken back, or its person withdrew
	Over    State = "over"    // the dispute is closed, or nobody came in time
)

// Link is one right of one party.
type Link struct {
	ID         ident.LinkID
	Dispute    ident.DisputeID
	Party      ident.PartyID
	Purpose    Purpose
	Digest     string // sign: the agreement it is bound to, hex; else empty
	State      State
	ExpiresAt  int64 // until when it may be redeemed, Unix microseconds
	RedeemedAt int64
	RevokedAt  int64
}

// Now returns the state at an instant: a link that nobody redeemed in time is over.
func (l *Link) Now(now int64) State {
	if (l.State == Inert || l.State == Live) && l.ExpiresAt <= now {
		return Over
	}
	return l.State
}

// The lives of a phone's cookie after its link was redeemed, Unix microseconds. A person keeps his page until the
// confirmation day is past; the phone that only signs is done the same day.
const (
	JoinLife int64 = 60 * 24 * 60 * 60 * 1_000_000
	SignLife int64 = 12 * 60 * 60 * 1_000_000
)

// Life is how long the phone that redeems the link keeps its cookie, in microseconds.
func (l *Link) Life() int64 {
	if l.Purpose == Sign {
		return SignLife
	}
	return JoinLife
}

// Alive reports whether the phone that redeemed the link may still act by its cookie. What is left to do when the
// dispute is closed, reading and fetching his files, is the rule of each request.
func (l *Link) Alive(now int64) bool {
	return l.RedeemedAt > 0 && l.RevokedAt == 0 && (l.State == Spent || l.State == Over) && now < l.RedeemedAt+l.Life()
}
