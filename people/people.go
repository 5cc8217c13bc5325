// Package people knows the staff who work here: their roles, sign-in sessions and second factor.
package people

// Role is what a staff member may do; every permission is role x org subtree.
type Role string

// The roles.
const (
	Mediator   Role = "mediator"   // takes tickets of kind mediate
	Lawyer     Role = "lawyer"     // duty lawyer, takes tickets of kind consult
	Worker     Role = "worker"     // judicial-office worker at a tablet
	Operator   Role = "operator"   // runs the fleet: devices, claims
	Dispatcher Role = "dispatcher" // sees queue and sessions
	Auditor    Role = "auditor"    // reads the event log
	SysAdmin   Role = "sysadmin"   // staff accounts
)
