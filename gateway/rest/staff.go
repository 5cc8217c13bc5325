package rest

import (
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation"
	"heyi/people"
)

// Staff is the area of sign-in, link tokens and units. All fields must be set.
type Staff struct {
	People   *people.Service
	Tokens   *auth.Tokens
	CSRF     func(cookie string) string // Authenticator.CSRF
	Registry *devices.Registry
	Tree     *org.Tree
	Nudges   coord.Nudges
	Demo     bool
	Now      func() time.Time
}

// Routes implements Area.
func (a Staff) Routes(r *Router) {
	r.Post("/staff/login", Anyone(), a.login)
	r.Post("/staff/logout", Require(auth.Staff), a.logout)
	r.Get("/staff/me", Require(auth.Staff), a.me)
	r.Post("/staff/link-tokens", Require(auth.Staff), a.linkToken)
	r.Get("/units", RequireRole(auth.RolesOf(auth.SeeUnits)...), a.units)
}

type unitBody struct {
	ID   ident.UnitID `json:"id"`
	Name string       `json:"name"`
	Path []string     `json:"path"`
}

type staffBody struct {
	ID    ident.StaffID    `json:"id"`
	Name  string           `json:"name"`
	Title string           `json:"title"`
	Roles []people.Role    `json:"roles"`
	Langs []mediation.Lang `json:"langs"`
	Unit  unitBody         `json:"unit"`
}

type meBody struct {
	Staff staffBody `json:"staff"`
	CSRF  string    `json:"csrf"`
	Demo  bool      `json:"demo"`
}

func (a Staff) meOf(s people.Staff, csrf string) meBody {
	langs := s.Langs
	if len(langs) == 0 { // every language
		langs = []mediation.Lang{mediation.Chinese, mediation.Mongolian}
	}
	unit, _ := a.Tree.Get(s.UnitID)
	return meBody{CSRF: csrf, Demo: a.Demo, Staff: staffBody{
		ID: s.ID, Name: s.Name, Title: s.Title, Roles: s.Roles, Langs: langs,
		Unit: unitBody{ID: s.UnitID, Name: unit.Name, Path: a.Tree.Names(s.UnitID)},
	}}
}

func (a Staff) login(c *fiber.Ctx) error {
	var in struct {
		Login    string `json:"login"`
		Password string `json:"password"`
		TOTP     string `json:"totp"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	got, err := a.People.SignIn(c.UserContext(), people.SignInRequest{
		Login: in.Login, Password: in.Password, TOTP: in.TOTP, Addr: Peer(c).Addr.String(),
	})
	if err != nil {
		return err
	}
	SetCookie(c, StaffCookie, got.Token, got.ExpiresIn)
	return c.JSON(a.meOf(got.Staff, a.CSRF(got.Token)))
}

func (a Staff) logout(c *fiber.Ctx) error {
	caller := Caller(c)
	if err := a.People.SignOut(c.UserContext(), people.LoginSession{ID: caller.LoginID, StaffID: caller.StaffID}); err != nil {
		return err
	}
	// Links that were opened with this sign-in end too.
	a.Nudges.Publish(c.UserContext(), coord.Nudge{To: "staff/" + string(caller.StaffID), ID: string(caller.LoginID), Why: "kick.signed_out"})
	ClearCookie(c, StaffCookie)
	return c.SendStatus(http.StatusNoContent)
}

func (a Staff) me(c *fiber.Ctx) error {
	_, staff, err := a.People.Alive(c.UserContext(), Caller(c).LoginID)
	if err != nil {
		return err
	}
	return c.JSON(a.meOf(staff, CSRFOf(c)))
}

// tokenBody answers every request for a link token.
type tokenBody struct {
	Token string `json:"token"`
	ExpAt int64  `json:"exp_at"`
}

func (a Staff) linkToken(c *fiber.Ctx) error {
	var in struct {
		Screen   string `json:"screen"`
		Instance string `json:"instance"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	switch in.Screen {
	case "desk", "console", "phone", "tablet":
	default:
		return fault.InField("link.bad_screen", "screen")
	}
	if in.Instance == "" || len(in.Instance) > 64 {
		return fault.InField("link.bad_instance", "instance")
	}
	caller := Caller(c)
	token, exp, err := a.Tokens.Link(auth.Subject{Kind: auth.Staff, Staff: caller.StaffID, Login: caller.LoginID}, in.Screen, in.Instance, a.Now())
	if err != nil {
		return err
	}
	return c.JSON(tokenBody{Token: token, ExpAt: exp.UnixMicro()})
}

type unitRow struct {
	ID       ident.UnitID `json:"id"`
	Code     string       `json:"code"`
	Name     string       `json:"name"`
	Level    org.Level    `json:"level"`
	ParentID ident.UnitID `json:"parent_id"`
	Sample   bool         `json:"sample"`
	Devices  int          `json:"devices"` // of the unit and everything below
	Online   int          `json:"online"`
}

func (a Staff) units(c *fiber.Ctx) error {
	scope := scopeOf(c)
	own, err := a.Registry.Counts(c.UserContext(), scope)
	if err != nil {
		return err
	}
	list := a.Tree.Subtree(scope.Unit)
	sums := map[ident.UnitID]devices.Count{}
	for _, u := range list {
		for _, up := range a.Tree.Ancestors(u.ID) {
			sums[up] = sums[up].Add(own[u.ID])
		}
	}
	rows := make([]unitRow, 0, len(list))
	for _, u := range list {
		row := unitRow{ID: u.ID, Code: u.Code, Name: u.Name, Level: u.Level, ParentID: u.ParentID, Sample: u.Sample}
		if u.ID == scope.Unit {
			row.ParentID = "" // what lies above the caller's unit is not his
		}
		row.Devices, row.Online = sums[u.ID].Total, sums[u.ID].Online
		rows = append(rows, row)
	}
	return c.JSON(fiber.Map{"units": rows})
}

// scopeOf is the subtree of a staff caller.
func scopeOf(c *fiber.Ctx) devices.Scope { return ScopeOf(Caller(c)) }

// ScopeOf is the subtree through which a staff caller sees the fleet; nothing for anybody else.
func ScopeOf(caller auth.Caller) devices.Scope {
	return devices.Scope{Unit: caller.StaffUnit, Actor: caller.Actor()}
}
