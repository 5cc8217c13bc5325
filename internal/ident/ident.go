// Package ident holds the typed ids of the product. Every id is UUIDv7 text (RFC 9562 §5.7), so ids sort by the
// time they were made and look the same in both databases.
package ident

import "github.com/google/uuid"

// The ids. Distinct types, so that a ticket's id cannot be passed for a session's.
type (
	// UnitID names an org unit; the others name what they say.
	UnitID        string
	StaffID       string // person who works here; also the id of the seat
	PersonID      string // citizen
	LoginID       string // sign-in session
	DeviceID      string
	ClaimID       string
	VisitID       string
	TicketID      string
	OfferID       string
	SessionID     string // mediation session, never a media session
	RoomID        string // media room
	ParticipantID string // member of a session
	AttachmentID  string // one client of a participant
	GrantID       string // phone paired as camera of a ticket's holder
)

// New returns a fresh UUIDv7 as text of the wanted id type. It panics only when the system has no randomness.
func New[T ~string]() T { return T(uuid.Must(uuid.NewV7()).String()) }

// Valid reports whether s is a UUID in canonical text form.
func Valid[T ~string](s T) bool {
	if len(s) != 36 {
		return false
	}
	_, err := uuid.Parse(string(s))
	return err == nil
}
