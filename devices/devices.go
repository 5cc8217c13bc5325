// Package devices knows the fleet: which terminals exist, how they enrol, who may use them now and which are connected.
//
// A Device is enrolled by a claim (a code on its screen that an operator approves, a fingerprint imported before, or
// the demo's own approval) and then proves itself with a Credential of the device CA and a signature. Registry
// carries out what terminals and operators ask for; Presence writes who is connected, under an epoch that fences every
// late write; Streams takes what terminals report through their journals; Chip, Judge, PlanResume and the proofs are
// pure. A Visit is one anonymous person's time at a terminal.
//
// Concurrency: Registry, Presence and Streams are safe for concurrent use. Pure functions are pure.
// Safety does not depend on memory: the store re-checks life, key, code and subtree in the transaction.
//
// Errors: fault.NotFound "device.not_found" for what is outside the caller's subtree; the rest stands at each method.
package devices

import (
	"heyi/internal/ident"
	"heyi/mediation"
)

// Kind is what a terminal is.
type Kind string

// The kinds (fleet.md §1).
const (
	STB    Kind = "stb"    // TV box; the legal service is a tile in its portal
	Kiosk  Kind = "kiosk"  // touch terminal in a village
	Tablet Kind = "tablet" // worker's tablet
	App    Kind = "app"    // phone page with its own key
)

// Known reports whether k is a kind of this build.
func (k Kind) Known() bool { return k == STB || k == Kiosk || k == Tablet || k == App }

// Shared reports whether one person after the other stands before terminals of this kind: what somebody left behind is
// then not the next one's to see. A household's terminal stays with its household.
func (k Kind) Shared() bool { return k == Kiosk || k == Tablet }

// Class says who holds a terminal, and so what "offline" means.
type Class string

// The classes (fleet.md §1).
const (
	Public Class = "public" // fixed in a village room, hall or office
	Home   Class = "home"   // of a family
	Work   Class = "worker" // carried by a worker
	Mobile Class = "mobile" // phones and mobile points
)

// Known reports whether c is a class of this build.
func (c Class) Known() bool { return c == Public || c == Home || c == Work || c == Mobile }

// Life is whether a terminal belongs to the service.
type Life string

// The lives. Edges: pending -> active; active <-> disabled; active <-> quarantined; any -> retired, which is final.
const (
	Pending     Life = "pending"
	Active      Life = "active"
	Quarantined Life = "quarantined"
	Disabled    Life = "disabled"
	Retired     Life = "retired"
)

// May reports whether the edge from l to next exists.
func (l Life) May(next Life) bool {
	switch next {
	case Active:
		return l == Pending || l == Disabled || l == Quarantined
	case Disabled, Quarantined:
		return l == Active
	case Retired:
		return l != Retired
	case Pending:
	}
	return false
}

// State is the presence of a terminal's link.
type State string

// The states.
const (
	Connected State = "connected"
	Suspect   State = "suspect" // the socket is gone, its grace is not over
	Offline   State = "offline"
)

// Device is one enrolled or expected terminal.
type Device struct {
	ID        ident.DeviceID
	UnitID    ident.UnitID
	Serial    string
	KeySHA256 string // hex, of the public key; of a pending device the expected one, may be empty
	Alg       Alg
	KeyStore  KeyStore
	Kind      Kind
	Class     Class
	Model     string
	Name      string
	Place     string // where in the unit it stands
	Life      Life
	Simulated bool // driven by a load generator: draws no tickets
	At        int64
}

// Row is a device with its presence, as lists show it. Use comes from the queue's tables.
type Row struct {
	Device
	Chip      Chip
	Tier      Tier
	Epoch     int64
	Presence  State
	Cause     string
	SinceAt   int64
	SeenAt    int64
	AppVer    string
	Engine    string
	Use       string // idle, waiting, in_session
	CredExpAt int64  // 0 when it has no credential
}

// Scope is whose eyes a query looks through: everything starts at the caller's unit, in the query itself.
type Scope struct {
	Unit  ident.UnitID // root of the caller's subtree
	Actor mediation.Actor
}
