package rest

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/people"
)

// Figures are what the console shows of the queue of a subtree.
type Figures struct {
	Waiting, Ringing, Serving int     // tickets
	Ready, Busy, Away         int     // seats
	Live                      int     // sessions
	Rated                     int     // ratings of today
	RatedAvg                  float64 // 0 when there is none
}

// Console is the area of the operators' overview. All fields must be set.
type Console struct {
	Registry *devices.Registry
	Figures  func(ctx context.Context, unit ident.UnitID) (Figures, error)
	Now      func() time.Time
}

// Routes implements Area.
func (a Console) Routes(r *Router) {
	r.Get("/console/overview", RequireRole(people.Dispatcher, people.Operator), a.overview)
}

func (a Console) overview(c *fiber.Ctx) error {
	scope := scopeOf(c)
	counts, err := a.Registry.Counts(c.UserContext(), scope)
	if err != nil {
		return err
	}
	var sum devices.Count
	for _, n := range counts {
		sum = sum.Add(n)
	}
	f, err := a.Figures(c.UserContext(), scope.Unit)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{
		"devices":  fiber.Map{"total": sum.Total, "online": sum.Online, "suspect": sum.Suspect, "offline": sum.Offline},
		"tickets":  fiber.Map{"waiting": f.Waiting, "ringing": f.Ringing, "serving": f.Serving},
		"seats":    fiber.Map{"ready": f.Ready, "busy": f.Busy, "away": f.Away},
		"sessions": fiber.Map{"live": f.Live},
		"rated":    fiber.Map{"count": f.Rated, "avg": math.Round(f.RatedAvg*100) / 100},
		"now_at":   a.Now().UnixMicro(),
	})
}

// ViewRow is one row of a live view: its id and its JSON.
type ViewRow struct {
	ID  string
	Row json.RawMessage
}

// DeviceView answers the console's live view "devices" with the rows a caller may see.
//
// Errors: fault.Forbidden "auth.role"; fault.Unsupported "view.unknown"; fault.Invalid "list.bad_filter".
func DeviceView(ctx context.Context, d Devices, caller auth.Caller, open wire.ViewOpenBody) (rows []ViewRow, total int, err error) {
	switch {
	case !caller.Has(auth.RolesOf(auth.SeeDevices)...):
		return nil, 0, fault.New(fault.Forbidden, "auth.role")
	case open.View != "devices":
		return nil, 0, fault.New(fault.Unsupported, "view.unknown")
	}
	page, err := d.Registry.Devices(ctx, ScopeOf(caller), devices.Filter{
		Unit: ident.UnitID(open.Unit), Chip: devices.Chip(open.Chip), Kind: devices.Kind(open.Kind), Cursor: open.Cursor, Limit: open.Limit,
	})
	if err != nil {
		return nil, 0, err
	}
	rows = make([]ViewRow, 0, len(page.Rows))
	for _, dev := range page.Rows {
		row, err := json.Marshal(d.row(dev))
		if err != nil {
			return nil, 0, err
		}
		rows = append(rows, ViewRow{ID: string(dev.ID), Row: row})
	}
	return rows, page.Total, nil
}
