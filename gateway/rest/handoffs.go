package rest

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation/handoff"
)

// Handoffs is the area of packages on their way to a case store. All fields must be set.
type Handoffs struct {
	Office *handoff.Office
	Tree   *org.Tree
	Now    func() time.Time
}

// Routes implements Area.
func (a Handoffs) Routes(r *Router) {
	see := RequireRole(auth.RolesOf(auth.SeeHandoffs)...)
	r.Get("/handoffs", see, a.list)
	r.Post("/handoffs/{id}/retry", see, a.retry)
}

type handoffRow struct {
	ID         ident.HandoffID `json:"id"`
	Subject    string          `json:"subject"`
	Kind       string          `json:"kind"`
	Version    int             `json:"version"`
	DeliveryID string          `json:"delivery_id"` // "" = the package is not made yet
	Target     string          `json:"target"`      // of the last attempt, "" before the first
	State      handoff.State   `json:"state"`
	Attempts   int             `json:"attempts"`
	NextAt     *int64          `json:"next_at"`
	ReceiptNo  string          `json:"receipt_no"`
	LastError  string          `json:"last_error"` // a code
	At         int64           `json:"at"`
}

func newHandoffRow(r handoff.Row) handoffRow {
	out := handoffRow{
		ID: r.ID, Subject: r.Subject, Kind: r.Kind, Version: r.Version, DeliveryID: r.DeliveryID, Target: r.Target, State: r.State,
		Attempts: r.Attempts, ReceiptNo: r.ReceiptNo, LastError: r.LastError, At: r.At,
	}
	if r.State == handoff.Queued || r.State == handoff.Failed {
		out.NextAt = some(r.NextAt)
	}
	return out
}

func (a Handoffs) list(c *fiber.Ctx) error {
	unit, err := unitWithin(c, a.Tree)
	if err != nil {
		return err
	}
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	page, err := a.Office.List(c.UserContext(), unit, handoff.State(c.Query("state")), c.Query("cursor"), limit)
	if err != nil {
		return err
	}
	rows := make([]handoffRow, 0, len(page.Rows))
	for _, r := range page.Rows {
		rows = append(rows, newHandoffRow(r))
	}
	return c.JSON(fiber.Map{"rows": rows, "next": page.Next, "total": page.Total})
}

func (a Handoffs) retry(c *fiber.Ctx) error {
	var in struct {
		Key string `json:"key"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	id, err := pathID[ident.HandoffID](c, "handoff.none")
	if err != nil {
		return err
	}
	cmd, err := command(c, "handoff.retried", in.Key, a.Now())
	if err != nil {
		return err
	}
	row, err := a.Office.Retry(c.UserContext(), cmd, Caller(c).StaffUnit, id)
	return reply(c, fiber.StatusOK, newHandoffRow(row), err)
}
