package rest

import (
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"heyi/cases"
	"heyi/internal/fault"
	"heyi/mediation/parcel"
)

// Intake is the door through which other installations deliver packages; who calls, the signature of the request says.
type Intake struct{ Intake *cases.Intake }

// Routes implements Area.
func (a Intake) Routes(r *Router) {
	r.Put("/intake/packages/{id}", Anyone(), a.put)
	r.Upload(fiber.MethodPut, "/intake/packages/{id}")
}

func (a Intake) put(c *fiber.Ctx) error {
	at, err := strconv.ParseInt(c.Get(parcel.HeaderAt), 10, 64)
	if err != nil {
		return fault.New(fault.Unauthenticated, "handoff.bad_signature")
	}
	receipt, first, err := a.Intake.Take(c.UserContext(), parcel.Request{
		DeliveryID: c.Params("id"), Method: c.Method(), Path: c.Path(), Sender: c.Get(parcel.HeaderSender), At: at,
		Signature: c.Get(parcel.HeaderSignature), Body: c.Body(),
	})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if first {
		status = http.StatusCreated
	}
	return c.Status(status).JSON(receipt)
}
