package rest

import (
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/internal/fault"
	"heyi/internal/qr"
	"heyi/mediation/session"
)

// captureAge bounds how long a phone keeps its cookie; the visit ends its rights much earlier.
const captureAge = 12 * time.Hour

// Captures is the area by which a phone becomes a terminal's camera. All fields must be set.
type Captures struct {
	Captures  *session.Captures
	Tokens    *auth.Tokens
	CSRF      func(cookie string) string // Authenticator.CSRF
	PublicURL string                     // base address of the pages, without a slash at the end
	Now       func() time.Time
}

// Routes implements Area.
func (a Captures) Routes(r *Router) {
	r.Post("/captures", Require(auth.Device), a.create)
	r.Post("/captures/peek", Anyone(), a.peek)
	r.Post("/captures/redeem", Anyone(), a.redeem)
	r.Get("/captures/mine", Require(auth.Capture), a.mine)
	r.Post("/captures/mine/link-tokens", Require(auth.Capture), a.linkToken)
	r.Post("/captures/mine/drop", Require(auth.Capture), a.drop)
}

func (a Captures) create(c *fiber.Ctx) error {
	var in struct {
		Key string `json:"key"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	cmd, err := command(c, "capture.create", in.Key, a.Now())
	if err != nil {
		return err
	}
	got, err := a.Captures.Offer(c.UserContext(), Caller(c).DeviceID, cmd)
	if err != nil {
		return err
	}
	url := a.PublicURL + "/c/" + got.Token
	svg, err := qr.SVG(url)
	if err != nil {
		return err
	}
	return c.Status(http.StatusCreated).JSON(fiber.Map{"url": url, "code": got.Code, "qr_svg": svg, "expires_at": got.ExpiresAt})
}

// oneUse is a link's token or the code beside it.
type oneUse struct {
	Token string `json:"token"`
	Code  string `json:"code"`
}

func (a Captures) peek(c *fiber.Ctx) error {
	var in oneUse
	if err := Body(c, &in); err != nil {
		return err
	}
	got, err := a.Captures.Peek(c.UserContext(), Peer(c).Addr.String(), in.Token, in.Code)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"device_name": got.DeviceName, "place": got.Place})
}

func (a Captures) redeem(c *fiber.Ctx) error {
	var in oneUse
	if err := Body(c, &in); err != nil {
		return err
	}
	cookie, got, err := a.Captures.Redeem(c.UserContext(), Peer(c).Addr.String(), in.Token, in.Code)
	if err != nil {
		return err
	}
	SetCookie(c, CaptureCookie, cookie, captureAge)
	return c.Status(http.StatusCreated).JSON(fiber.Map{"grant_id": got.ID, "csrf": a.CSRF(cookie)})
}

func (a Captures) mine(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{"grant_id": Caller(c).GrantID, "csrf": CSRFOf(c)})
}

func (a Captures) linkToken(c *fiber.Ctx) error {
	var in struct {
		Instance string `json:"instance"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	if in.Instance == "" || len(in.Instance) > 64 {
		return fault.InField("link.bad_instance", "instance")
	}
	token, exp, err := a.Tokens.Link(auth.Subject{Kind: auth.Capture, Grant: Caller(c).GrantID}, "phone", in.Instance, a.Now())
	if err != nil {
		return err
	}
	return c.JSON(tokenBody{Token: token, ExpAt: exp.UnixMicro()})
}

func (a Captures) drop(c *fiber.Ctx) error {
	if err := Body(c, &struct{}{}); err != nil {
		return err
	}
	if err := a.Captures.Drop(c.UserContext(), Caller(c).GrantID); err != nil {
		return err
	}
	ClearCookie(c, CaptureCookie)
	return c.SendStatus(http.StatusNoContent)
}
