package rest

import (
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/internal/fault"
	"heyi/mediation/partylink"
)

// Links is the area by which a party comes with a phone of his own. All fields must be set.
type Links struct {
	Links  *partylink.Links
	Tokens *auth.Tokens
	CSRF   func(cookie string) string // Authenticator.CSRF
	Now    func() time.Time
}

// Routes implements Area.
func (a Links) Routes(r *Router) {
	r.Post("/links/peek", Anyone(), a.peek)
	r.Post("/links/redeem", Anyone(), a.redeem)
	r.Get("/links/mine", Require(auth.Party), a.mine)
	r.Post("/links/mine/link-tokens", Require(auth.Party), a.linkToken)
}

// peekBody is what a phone is told before its owner agrees.
type peekBody struct {
	Purpose  partylink.Purpose `json:"purpose"`
	State    string            `json:"state"` // live, inert, spent, over
	Unit     string            `json:"unit"`
	Mediator string            `json:"mediator"`
	From     string            `json:"from"`
	Category string            `json:"category"`
	Place    []string          `json:"place"`
}

func (a Links) peek(c *fiber.Ctx) error {
	var in oneUse
	if err := Body(c, &in); err != nil {
		return err
	}
	f, err := a.Links.Peek(c.UserContext(), Peer(c).Addr.String(), in.Token, in.Code)
	if err != nil {
		return err
	}
	out := peekBody{Purpose: f.Purpose, State: string(f.State), Unit: f.Unit, Mediator: f.Mediator, From: f.From, Category: string(f.Category), Place: f.Place}
	if f.State == partylink.Revoked {
		out.State = string(partylink.Over) // why it is over is not for whoever finds it
	}
	if f.State != partylink.Live && f.State != partylink.Inert {
		out.From = "" // nobody is asked any more
	}
	if out.Place == nil {
		out.Place = []string{}
	}
	return c.JSON(out)
}

// partyBody is what a party's phone knows of its own right.
type partyBody struct {
	LinkID  string            `json:"link_id"`
	Purpose partylink.Purpose `json:"purpose"`
	CSRF    string            `json:"csrf"`
}

func (a Links) redeem(c *fiber.Ctx) error {
	var in oneUse
	if err := Body(c, &in); err != nil {
		return err
	}
	cookie, got, err := a.Links.Redeem(c.UserContext(), Peer(c).Addr.String(), in.Token, in.Code)
	if err != nil {
		return err
	}
	SetCookie(c, PartyCookie, cookie, time.Duration(got.Life())*time.Microsecond)
	return c.Status(http.StatusCreated).JSON(partyBody{LinkID: string(got.ID), Purpose: got.Purpose, CSRF: a.CSRF(cookie)})
}

func (a Links) mine(c *fiber.Ctx) error {
	caller := Caller(c)
	return c.JSON(partyBody{LinkID: string(caller.Link), Purpose: caller.Purpose, CSRF: CSRFOf(c)})
}

func (a Links) linkToken(c *fiber.Ctx) error {
	var in struct {
		Instance string `json:"instance"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	if in.Instance == "" || len(in.Instance) > 64 {
		return fault.InField("link.bad_instance", "instance")
	}
	token, exp, err := a.Tokens.Link(auth.Subject{Kind: auth.Party, Link: Caller(c).Link}, "phone", in.Instance, a.Now())
	if err != nil {
		return err
	}
	return c.JSON(tokenBody{Token: token, ExpAt: exp.UnixMicro()})
}
