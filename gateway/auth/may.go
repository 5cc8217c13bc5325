package auth

import (
	"slices"

	"heyi/internal/ident"
	"heyi/people"
)

// Action is something that staff do to a thing that stands in a unit.
type Action string

// The actions of this build.
const (
	SeeDevices    Action = "devices.see"     // lists, counts, live views
	ManageDevice  Action = "devices.manage"  // details, disable, enable, revoke
	EnrolDevice   Action = "devices.enrol"   // import, claims
	CommandDevice Action = "devices.command" // issue and cancel commands, see what they brought
	SeeUnits      Action = "units.see"
	SeeQueue      Action = "queue.see"
	SeeSessions   Action = "sessions.see"
	TakeTickets   Action = "tickets.take" // a seat: offers, sessions
	SeeCases      Action = "cases.see"
	SeeHandoffs   Action = "handoffs.see" // and try again
)

// roles says who may do what; nil is every role.
func roles(a Action) (list []people.Role, known bool) {
	switch a {
	case SeeDevices:
		return []people.Role{people.Operator, people.Dispatcher}, true
	case ManageDevice, EnrolDevice, CommandDevice:
		return []people.Role{people.Operator}, true
	case SeeUnits:
		return nil, true
	case SeeQueue, SeeSessions:
		return []people.Role{people.Dispatcher}, true
	case TakeTickets:
		return []people.Role{people.Mediator, people.Lawyer}, true
	case SeeCases:
		return []people.Role{people.Mediator, people.Lawyer, people.Worker, people.Operator, people.Dispatcher, people.Auditor}, true
	case SeeHandoffs:
		return []people.Role{people.Operator, people.Dispatcher}, true
	}
	return nil, false
}

// RolesOf returns the roles that may do an action, nil when every role may; routes require them.
func RolesOf(a Action) []people.Role {
	list, _ := roles(a)
	return list
}

// May reports whether a caller may do an action to a thing of a unit. ancestors are the ids of that unit and of all
// units above it: the caller's own unit must be among them. Only staff may anything here; terminals and phones reach
// their own things by other ways.
func May(c Caller, a Action, ancestors []ident.UnitID) bool {
	list, known := roles(a)
	switch {
	case !known || c.Kind != Staff || c.StaffUnit == "":
		return false
	case list != nil && !c.Has(list...):
		return false
	}
	return slices.Contains(ancestors, c.StaffUnit)
}
