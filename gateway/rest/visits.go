package rest

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/mediation/flow"
)

// Visits is the area of the visits at a terminal. All fields must be set.
type Visits struct {
	Requests *flow.Requests
}

// Routes implements Area.
func (a Visits) Routes(r *Router) {
	r.Post("/visits", Require(auth.Device), a.open)
	r.Post("/visits/{id}/close", Require(auth.Device), a.close)
}

// by is the caller of a request as the services know him.
func by(c *fiber.Ctx) flow.By {
	caller := Caller(c)
	return flow.By{
		Actor: caller.Actor(), Device: caller.DeviceID, Grant: caller.GrantID, Link: caller.Link, Staff: caller.StaffID, Unit: caller.StaffUnit,
		Cause: "request/" + requestID(c),
	}
}

// reply answers with what a request gave.
func reply[T any](c *fiber.Ctx, status int, body T, err error) error {
	if err != nil {
		return err
	}
	return c.Status(status).JSON(body)
}

func (a Visits) open(c *fiber.Ctx) error {
	var in wire.VisitOpenBody
	if err := Body(c, &in); err != nil {
		return err
	}
	v, err := a.Requests.OpenVisit(c.UserContext(), by(c), in)
	return reply(c, http.StatusOK, v, err)
}

func (a Visits) close(c *fiber.Ctx) error {
	var in struct {
		Why string `json:"why"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	if err := a.Requests.CloseVisit(c.UserContext(), by(c), wire.VisitCloseBody{VisitID: c.Params("id"), Why: in.Why}); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}
