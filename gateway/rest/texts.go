package rest

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"heyi/internal/fault"
)

// SentText is a text as the demo's phone shows it.
type SentText struct {
	At   int64  `json:"at"`
	To   string `json:"to"`
	Text string `json:"text"`
	Link string `json:"link"` // the address in it, empty when it has none
}

// Texts is the demo's phone: the texts that went out last, which in earnest only their receivers see. All fields must
// be set.
type Texts struct {
	Demo bool // false: the route does not exist
	Auth Authenticator
	Sent func(ctx context.Context, limit int) ([]SentText, error) // newest first
}

// Routes implements Area.
func (a Texts) Routes(r *Router) {
	r.Get("/demo/texts", Anyone(), a.list)
}

// shownTexts is how many texts the demo's phone shows.
const shownTexts = 50

func (a Texts) list(c *fiber.Ctx) error {
	if !a.Demo {
		return fault.New(fault.NotFound, "request.no_route")
	}
	if !Peer(c).Loopback() {
		if _, _, err := a.Auth.Staff(c.UserContext(), c.Cookies(StaffCookie)); err != nil {
			return err
		}
	}
	list, err := a.Sent(c.UserContext(), shownTexts)
	if list == nil {
		list = []SentText{}
	}
	return reply(c, fiber.StatusOK, fiber.Map{"rows": list}, err)
}
