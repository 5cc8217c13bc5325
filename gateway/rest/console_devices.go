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
	"heyi/internal/coord"
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
	Met, Missed               int     // today: talks that began, people who met nobody
	WaitP50, WaitP95          int64   // ms, of those who met somebody
}

// Gateway is one node of the installation as the overview shows it.
type Gateway struct {
	Node  string `json:"node"`
	State string `json:"state"` // up, late (has not renewed for a moment), lost, gone (it was stopped)
	Links int    `json:"links"` // devices whose presence names it
	Rooms int    `json:"rooms"` // as it said last; 0 when it says nothing
	At    int64  `json:"at"`    // when its last renewal ends
}

// NodeLoss is a node whose links were taken for lost at once: one line for the operator.
type NodeLoss struct {
	Node      string `json:"node"`
	Why       string `json:"why"` // lost, restarted
	At        int64  `json:"at"`
	Links     int    `json:"links"`
	Back      int    `json:"back"`
	Moving    int    `json:"moving"`
	Off       int    `json:"off"`
	SettledAt int64  `json:"settled_at"` // 0: devices are still on their way
}

// Packages counts the hand-offs of a subtree that are not done.
type Packages struct{ Queued, Dead int }

// Console is the area of the operators' overview. All fields must be set.
type Console struct {
	Registry *devices.Registry
	History  *devices.History
	Figures  func(ctx context.Context, unit ident.UnitID) (Figures, error)
	Packages func(ctx context.Context, unit ident.UnitID) (Packages, error)
	Nodes    coord.Nodes
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
	p, err := a.Packages(c.UserContext(), scope.Unit)
	if err != nil {
		return err
	}
	nodes, losses, err := a.gateways(c.UserContext())
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{
		"devices": fiber.Map{
			"total": sum.Total, "online": sum.Online, "suspect": sum.Suspect, "offline": sum.Offline, "lost": sum.Lost, "fault": sum.Fault, "quarantined": sum.Quarantined,
		},
		"handoffs": fiber.Map{"queued": p.Queued, "dead": p.Dead},
		"gateways": nodes,
		"losses":   losses,
		"tickets":  fiber.Map{"waiting": f.Waiting, "ringing": f.Ringing, "serving": f.Serving},
		"seats":    fiber.Map{"ready": f.Ready, "busy": f.Busy, "away": f.Away},
		"sessions": fiber.Map{"live": f.Live},
		"rated":    fiber.Map{"count": f.Rated, "avg": math.Round(f.RatedAvg*100) / 100},
		"today":    fiber.Map{"met": f.Met, "missed": f.Missed, "wait_p50_ms": f.WaitP50, "wait_p95_ms": f.WaitP95},
		"now_at":   a.Now().UnixMicro(),
	})
}

// Times of the gateways' list.
const (
	nodeLost  = 11 * time.Second // a node is lost so long after its last renewal ended (fleet.md §2)
	nodeShown = 24 * time.Hour   // a node that is gone, and a loss that is over, are shown for so long
)

// gateways lists the nodes by their leases, and the losses of a day.
func (a Console) gateways(ctx context.Context) ([]Gateway, []NodeLoss, error) {
	board, err := a.History.Board(ctx, nodeShown)
	if err != nil {
		return nil, nil, err
	}
	rooms := map[string]int{}
	// The load list is a hint: without it the gateways are shown without their rooms.
	if said, err := a.Nodes.List(ctx); err == nil {
		for _, n := range said {
			rooms[n.Name] = n.Rooms
		}
	}
	now := a.Now()
	nodes, losses := []Gateway{}, []NodeLoss{}
	for _, n := range board.Nodes {
		g := Gateway{Node: n.Node, State: "up", Links: n.Links, Rooms: rooms[n.Node], At: n.LeaseEnd}
		switch late := now.Sub(time.UnixMicro(n.LeaseEnd)); {
		case late > nodeShown && n.Links == 0:
			continue
		case late > nodeLost && (n.Links > 0 || board.Open(n)):
			g.State = "lost"
		case late > nodeLost:
			g.State = "gone"
		case late > 0:
			g.State = "late"
		}
		nodes = append(nodes, g)
	}
	for _, l := range board.Losses {
		losses = append(losses, NodeLoss{
			Node: l.Node, Why: l.Why, At: l.At, Links: l.Links, Back: l.Back(), Moving: l.Moving, Off: l.Off, SettledAt: l.SettledAt,
		})
	}
	return nodes, losses, nil
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
	f := devices.Filter{
		Unit: ident.UnitID(open.Unit), Chip: devices.Chip(open.Chip), Kind: devices.Kind(open.Kind), Class: devices.Class(open.Class),
		Tier: devices.Tier(open.Tier), Model: open.Model, Q: open.Q, Cursor: open.Cursor, Limit: open.Limit,
	}
	var list []devices.Row
	if len(open.IDs) > 0 {
		list, total, err = d.window(ctx, ScopeOf(caller), f, open.IDs)
	} else {
		var page devices.Page
		page, err = d.Registry.Devices(ctx, ScopeOf(caller), f)
		list, total = page.Rows, page.Total
	}
	if err != nil {
		return nil, 0, err
	}
	full, err := d.rows(ctx, ScopeOf(caller), list)
	if err != nil {
		return nil, 0, err
	}
	rows = make([]ViewRow, 0, len(full))
	for _, dev := range full {
		row, err := json.Marshal(dev)
		if err != nil {
			return nil, 0, err
		}
		rows = append(rows, ViewRow{ID: string(dev.ID), Row: row})
	}
	return rows, total, nil
}

// window reads the rows of a live window; what has left the filter is left out.
func (a Devices) window(ctx context.Context, s devices.Scope, f devices.Filter, texts []string) ([]devices.Row, int, error) {
	ids := make([]ident.DeviceID, len(texts))
	for i, t := range texts {
		if ids[i] = ident.DeviceID(t); !ident.Valid(ids[i]) {
			return nil, 0, fault.InField("list.bad_filter", "ids")
		}
	}
	f.Cursor, f.Limit = "", 0
	got, err := a.Registry.Watch(ctx, s, f, ids, a.Tree.Under)
	return got.Rows, got.Total, err
}
