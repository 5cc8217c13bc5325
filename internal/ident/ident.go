// Package ident holds the typed ids of the product. Every id is UUIDv7 text (RFC 9562 §5.7), so ids sort by the
// time they were made and look the same in both databases.
package ident

import "github.com/google/uuid"

// The ids. Distinct types, so that a ticket's id cannot be passed for a session's.
type (
	// UnitID names an org unit.
	UnitID string
	// StaffID names somebody who works here, and the seat.
	StaffID string
	// PersonID names a citizen.
	PersonID string
	// LoginID names a sign-in session.
	LoginID string
	// DeviceID names a terminal.
	DeviceID string
	// ClaimID names a terminal's wish to be enrolled.
	ClaimID string
	// VisitID names one person's stay at a terminal.
	VisitID string
	// TicketID names a place in line.
	TicketID string
	// OfferID names a ticket proposed to a seat.
	OfferID string
	// SessionID names a mediation session, never a media session.
	SessionID string
	// RoomID names a media room.
	RoomID string
	// ParticipantID names a member of a session.
	ParticipantID string
	// AttachmentID names one client of a participant.
	AttachmentID string
	// GrantID names a phone paired as camera.
	GrantID string
	// HandoffID names a package on its way to a case store.
	HandoffID string
	// CaseID names a dossier in a case store.
	CaseID string
	// DisputeID names a live dispute.
	DisputeID string
	// PartyID names a party of a dispute.
	PartyID string
	// LinkID names a one-use link of a party: an invitation, or the hand-over of a signature to a phone.
	LinkID string
	// AgreementID names one version of an agreement.
	AgreementID string
	// CommandID names a command to a terminal.
	CommandID string
	// ObjectID names a file that a terminal uploaded.
	ObjectID string
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
