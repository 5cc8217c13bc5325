// Package handoff brings finished packages to a case store: at least once from here, exactly once there, because a
// delivery id is minted once and the receiver answers a repeat with the same receipt (domain.md 7.6).
//
// A row of the outbox is written in the transaction that ends a dispute or closes a consultation. Worker claims rows,
// makes the package where the row has none yet, puts it and keeps the receipt. Next is what becomes of a row.
//
// Concurrency: Worker is safe on every node at once; a claim gives a row to one of them for a while. Everything else is
// a value or pure.
//
// Errors: fault.NotFound "handoff.none"; fault.Conflict "handoff.state" with the state in Ref,
// "handoff.digest_conflict", "handoff.receipt_mismatch"; those of the receiver by their code.
package handoff

import (
	"math/rand/v2"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation/parcel"
)

// State is the state of a row.
type State string

// The states.
const (
	Queued   State = "queued"
	Sending  State = "sending"
	Verified State = "verified" // a receipt that echoes our digest is stored with it
	Failed   State = "failed"   // tried again at next_at
	Dead     State = "dead"     // given up until somebody says retry
)

// States lists every state.
func States() []State { return []State{Queued, Sending, Verified, Failed, Dead} }

// Row is one package in the outbox. Instants are Unix microseconds, 0 = none.
type Row struct {
	ID         ident.HandoffID
	Subject    string
	Kind       string
	Version    int
	Session    ident.SessionID
	Unit       ident.UnitID
	DeliveryID string // "" = the package is not made yet
	Target     string // of the last attempt: Embedded or an address
	State      State
	Attempts   int
	NextAt     int64
	SinceAt    int64 // since when it is tried
	ReceiptNo  string
	LastError  string // a code
	CreatedAt  int64
	At         int64
}

// Package is what a row carries.
type Package struct {
	Payload    []byte
	Signatures []byte
	Files      []parcel.File
}

// Embedded is the target of this installation's own case store.
const Embedded = "embedded"

// Limits are the numbers of the outbox.
type Limits struct {
	First time.Duration // wait after the first failure; doubled after each
	Most  time.Duration // longest wait
	Dead  time.Duration // then a row is given up
	Lease time.Duration // how long a worker has a row
	Try   time.Duration // how long one attempt may take
}

// Defaults returns the numbers of domain.md 7.6.
func Defaults() Limits {
	return Limits{First: time.Second, Most: time.Hour, Dead: 24 * time.Hour, Lease: 2 * time.Minute, Try: time.Minute}
}

// Wait returns how long to wait after the n-th failed attempt (1, 2 ...): doubled each time, at most Most, of which
// jitter (0..1) takes up to half away, so that rows that failed together do not come back together.
func (l Limits) Wait(n int, jitter float64) time.Duration {
	d := l.First
	for range n - 1 {
		if d *= 2; d >= l.Most {
			d = l.Most
			break
		}
	}
	return d - time.Duration(jitter*float64(d/2))
}

// Outcome is what became of one attempt.
type Outcome struct {
	Row     ident.HandoffID
	Node    string // whose claim it was
	Attempt int    // of the claim: a late answer to an older one changes nothing
	State   State
	Receipt parcel.Receipt
	Target  string
	Error   string // a code
	NextAt  int64
}

// Next says what becomes of a claimed row after one attempt: a receipt that echoes our digest verifies it, a conflict of
// digests ends it at once, anything else is tried again until it has been tried for Limits.Dead.
func Next(l Limits, r Row, node string, receipt parcel.Receipt, err error, now int64, jitter float64) Outcome {
	o := Outcome{Row: r.ID, Node: node, Attempt: r.Attempts, Target: r.Target, Receipt: receipt}
	switch {
	case err == nil && receipt.No != "" && receipt.Digest == r.DeliveryID && receipt.DeliveryID == r.DeliveryID:
		o.State = Verified
		return o
	case err == nil:
		o.Error = "handoff.receipt_mismatch"
	default:
		o.Error = fault.CodeOf(err)
	}
	o.Receipt = parcel.Receipt{}
	switch {
	case o.Error == "handoff.digest_conflict", now-r.SinceAt >= l.Dead.Microseconds():
		o.State = Dead
	default:
		o.State, o.NextAt = Failed, now+l.Wait(r.Attempts, jitter).Microseconds()
	}
	return o
}

// jitter is a random number for Wait.
func jitter() float64 { return rand.Float64() } //nolint:gosec // spreads load, guards nothing
