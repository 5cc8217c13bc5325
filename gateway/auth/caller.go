// Package auth answers who is calling and whether they may: verified tokens, callers, and one pure permission
// function over role and org subtree.
package auth

import (
	"slices"

	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/partylink"
	"heyi/people"
)

// CallerKind is how a caller proved who they are.
type CallerKind string

// The caller kinds.
const (
	Device  CallerKind = "device"  // signed link, or its 10-minute access token
	Staff   CallerKind = "staff"   // staff session cookie, or a one-time link token made from it
	Capture CallerKind = "capture" // phone paired as camera: its cookie, or a one-time link token made from it
	Party   CallerKind = "party"   // phone of a party who came by a link: its cookie, or a one-time link token made from it
)

// Caller is who a request or link belongs to. Only the fields of its kind are set.
type Caller struct {
	Kind CallerKind

	DeviceID   ident.DeviceID
	DeviceUnit ident.UnitID
	Epoch      int64

	StaffID   ident.StaffID
	StaffUnit ident.UnitID // root of the subtree that the roles reach
	Roles     []people.Role
	LoginID   ident.LoginID

	GrantID ident.GrantID

	Link    ident.LinkID
	Dispute ident.DisputeID
	Party   ident.PartyID
	Purpose partylink.Purpose

	Addr string // remote address, for limits only
}

// Has reports whether a staff caller holds one of the roles.
func (c Caller) Has(roles ...people.Role) bool {
	return c.Kind == Staff && slices.ContainsFunc(roles, func(r people.Role) bool { return slices.Contains(c.Roles, r) })
}

// Actor is the caller as it stands in events.
func (c Caller) Actor() mediation.Actor {
	switch c.Kind {
	case Staff:
		return mediation.Actor{Kind: mediation.ActorStaff, ID: string(c.StaffID)}
	case Capture:
		return mediation.Actor{Kind: mediation.ActorCapture, ID: string(c.GrantID)}
	case Party:
		return mediation.Actor{Kind: mediation.ActorParty, ID: string(c.Link)}
	case Device:
		return mediation.Actor{Kind: mediation.ActorDevice, ID: string(c.DeviceID), Device: c.DeviceID}
	}
	return mediation.Actor{Kind: mediation.ActorSystem}
}
