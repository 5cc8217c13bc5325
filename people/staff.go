package people

import (
	"regexp"
	"slices"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// Staff is somebody who works here; its id is also the id of the seat.
type Staff struct {
	ID       ident.StaffID
	UnitID   ident.UnitID // root of the subtree that the roles reach
	Login    string       // lower case
	Name     string
	Title    string // shown to citizens: 调解员, 律师
	RoomName string // shown in rooms; empty: the name
	Roles    []Role
	Langs    []mediation.Lang     // empty: every language
	Skills   []mediation.Category // empty: every category
	Disabled bool
	Version  int64
}

// Has reports whether the roles name r.
func (s Staff) Has(r Role) bool { return slices.Contains(s.Roles, r) }

// Roles lists every role.
func Roles() []Role {
	return []Role{Mediator, Lawyer, Worker, Operator, Dispatcher, Auditor, SysAdmin}
}

// loginForm is what a login looks like, in lower case.
var loginForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,39}$`)

// Check reports what is wrong with a staff member before it is saved.
//
// Errors: fault.Invalid "staff.bad_login", "staff.bad_name", "staff.bad_role", "staff.bad_lang", "staff.bad_skill".
func (s Staff) Check() error {
	switch {
	case !loginForm.MatchString(s.Login):
		return fault.InField("staff.bad_login", "login")
	case s.Name == "" || len(s.Name) > 120:
		return fault.InField("staff.bad_name", "name")
	case len(s.Roles) == 0 || slices.ContainsFunc(s.Roles, func(r Role) bool { return !slices.Contains(Roles(), r) }):
		return fault.InField("staff.bad_role", "roles")
	case slices.ContainsFunc(s.Langs, func(l mediation.Lang) bool { return !l.Known() }):
		return fault.InField("staff.bad_lang", "langs")
	case slices.ContainsFunc(s.Skills, func(c mediation.Category) bool { return !c.Known() }):
		return fault.InField("staff.bad_skill", "skills")
	}
	return nil
}

// Secrets are what a staff member proves to be himself with. They never leave store and people.
type Secrets struct {
	PasswordHash string // argon2id in PHC form; empty: cannot sign in
	TOTP         string // base 32; empty: no second factor enrolled
	TOTPStep     int64  // last 30 s step whose code was used
}

// LoginSession is one sign-in.
type LoginSession struct {
	ID        ident.LoginID
	StaffID   ident.StaffID
	TokenHash string // hex SHA-256 of the cookie's token
	At        int64
	SeenAt    int64
	ExpiresAt int64
}
