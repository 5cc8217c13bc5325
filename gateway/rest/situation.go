package rest

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/mediation"
	"heyi/mediation/flow"
)

// Situation is the area of what a terminal and its phone show. All fields must be set.
type Situation struct {
	Views *flow.Views
}

// Routes implements Area.
func (a Situation) Routes(r *Router) {
	r.Get("/situation", Require(auth.Device, auth.Capture), a.get)
}

func (a Situation) get(c *fiber.Ctx) error {
	caller := Caller(c)
	s, err := a.Views.Situation(c.UserContext(), caller.DeviceID, caller.Actor().Kind)
	if err != nil {
		return err
	}
	return c.JSON(s)
}

// command is the change that a request asks for; key is its idempotency key.
//
// Errors: fault.Invalid "request.bad_key".
func command(c *fiber.Ctx, name, key string, now time.Time) (mediation.Command, error) {
	if err := checkKey(key); err != nil {
		return mediation.Command{}, err
	}
	cmd := plainCommand(c, name, now)
	cmd.Key = key
	return cmd, nil
}

// plainCommand is a change whose repeat the state itself tells: it carries a version instead of a key.
func plainCommand(c *fiber.Ctx, name string, now time.Time) mediation.Command {
	return mediation.Command{Name: name, Actor: Caller(c).Actor(), At: now.UnixMicro(), Cause: "request/" + requestID(c)}
}
