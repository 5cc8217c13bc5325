// Package parcel is the form in which a dossier or a consult record travels: the manifest's payload, signatures and
// seal, the files, all in one deterministic tar, and the signed request that carries it (docs/protocol.md, "Hand-off").
// Sender, receiver and `heyi verify` read and write it with the same functions; nothing in it decides anything.
//
// Concurrency: everything is a value or pure.
//
// Errors: fault.Invalid "handoff.bad_package" with the part at fault in Field; fault.Unauthenticated
// "handoff.bad_signature".
package parcel

import "heyi/internal/ident"

// The kinds of packages.
const (
	Dossier = "dossier" // a dispute that ended: agreement or termination record
	Consult = "consult" // a consultation
)

// Item is a package on its way into the outbox. The store writes it in the transaction of the command that makes it.
type Item struct {
	ID      ident.HandoffID
	Subject string // dispute id, of a consult the session id
	Kind    string // Dossier or Consult
	Version int
	Session ident.SessionID // whose rating belongs to it
	Unit    ident.UnitID
	// Payload is the manifest as it was sealed. Empty: the outbox worker makes the package from the record itself
	// (a consult, or the next version after a rating), so that no command waits for a PDF.
	Payload    []byte
	Signatures []byte // signatures.json
	Files      []File // in the order of the manifest
}

// File is one file of a package.
type File struct {
	Name      string
	MediaType string
	Paper     int // number in the list of 13 papers, 0 = none
	Body      []byte
}
