package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
)

// Devices is the area of the fleet's registry and of visits. All fields but RTT must be set.
type Devices struct {
	Registry *devices.Registry
	Streams  *devices.Streams
	History  *devices.History
	Tree     *org.Tree
	RTT      func(ident.DeviceID) (ms int, ok bool) // round trip of the live link, when this node holds it
	Now      func() time.Time
}

// Routes implements Area.
func (a Devices) Routes(r *Router) {
	see, manage := RequireRole(auth.RolesOf(auth.SeeDevices)...), RequireRole(auth.RolesOf(auth.ManageDevice)...)
	r.Get("/devices", see, a.list)
	r.Get("/devices/models", see, a.models)
	r.Get("/devices/export", see, a.export)
	r.Get("/devices/{id}", manage, a.get)
	r.Post("/devices/import", RequireRole(auth.RolesOf(auth.EnrolDevice)...), a.importCSV)
	r.Large("/devices/import")
	r.Post("/devices/{id}/disable", manage, a.life(a.Registry.Disable))
	r.Post("/devices/{id}/enable", manage, a.life(a.Registry.Enable))
	r.Post("/devices/{id}/revoke", manage, a.life(a.Registry.Revoke))
}

// DeviceRow is a device as lists and live views show it (docs/protocol.md §3).
type DeviceRow struct {
	ID        ident.DeviceID   `json:"id"`
	Name      string           `json:"name"`
	Serial    string           `json:"serial"`
	Kind      devices.Kind     `json:"kind"`
	Class     devices.Class    `json:"class"`
	Model     string           `json:"model"`
	UnitID    ident.UnitID     `json:"unit_id"`
	Place     []string         `json:"place"` // names from the city down
	Life      devices.Life     `json:"life"`
	Presence  devices.State    `json:"presence"`
	Chip      devices.Chip     `json:"chip"`
	Tier      devices.Tier     `json:"tier"` // of the engine, "" unknown
	Use       string           `json:"use"`
	AppVer    string           `json:"app_ver"`
	Engine    string           `json:"engine"`
	KeyStore  devices.KeyStore `json:"key_store"`
	SinceAt   int64            `json:"since_at"`
	SeenAt    int64            `json:"seen_at"`
	Cause     string           `json:"cause"`
	Simulated bool             `json:"simulated"`
	RTTMS     *int             `json:"rtt_ms"`
	Day       string           `json:"day,omitempty"` // the last 24 hours, a letter an hour: o online, p part of it, x off, - unknown; in lists
}

// NewDeviceRow builds the row of a device. rtt may be nil.
func NewDeviceRow(d devices.Row, tree *org.Tree, rtt func(ident.DeviceID) (int, bool)) DeviceRow {
	row := DeviceRow{
		ID: d.ID, Name: d.Name, Serial: d.Serial, Kind: d.Kind, Class: d.Class, Model: d.Model, UnitID: d.UnitID,
		Place: tree.Names(d.UnitID), Life: d.Life, Presence: d.Presence,
		Chip: d.Chip, Tier: d.Tier, Use: d.Use, AppVer: d.AppVer,
		Engine: d.Engine, KeyStore: d.KeyStore, SinceAt: d.SinceAt, SeenAt: d.SeenAt, Cause: d.Cause, Simulated: d.Simulated,
	}
	if rtt != nil && d.Presence == devices.Connected {
		if ms, ok := rtt(d.ID); ok {
			row.RTTMS = &ms
		}
	}
	return row
}

func (a Devices) row(d devices.Row) DeviceRow { return NewDeviceRow(d, a.Tree, a.RTT) }

// rows builds the rows of a list: each with its last 24 hours.
func (a Devices) rows(ctx context.Context, s devices.Scope, list []devices.Row) ([]DeviceRow, error) {
	days, err := a.History.Days(ctx, s, list)
	if err != nil {
		return nil, err
	}
	rows := make([]DeviceRow, 0, len(list))
	for _, d := range list {
		row := a.row(d)
		row.Day = days[d.ID]
		rows = append(rows, row)
	}
	return rows, nil
}

// filterOf reads the filter of a list from a query. fault.Invalid "list.bad_filter".
func filterOf(c *fiber.Ctx) (devices.Filter, error) {
	f := devices.Filter{
		Unit: ident.UnitID(c.Query("unit")), Chip: devices.Chip(c.Query("chip")), Kind: devices.Kind(c.Query("kind")), Class: devices.Class(c.Query("class")),
		Tier: devices.Tier(c.Query("tier")), Model: c.Query("model"), Q: c.Query("q"), Order: devices.SortKey(c.Query("sort")), Cursor: c.Query("cursor"),
	}
	switch c.Query("desc") {
	case "", "0":
	case "1":
		f.Desc = true
	default:
		return f, fault.InField("list.bad_filter", "desc")
	}
	for name, to := range map[string]*int{"limit": &f.Limit, "offset": &f.Offset} {
		if s := c.Query(name); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 || name == "limit" && n == 0 {
				return f, fault.InField("list.bad_filter", name)
			}
			*to = n
		}
	}
	return f, nil
}

func (a Devices) list(c *fiber.Ctx) error {
	f, err := filterOf(c)
	if err != nil {
		return err
	}
	page, err := a.Registry.Devices(c.UserContext(), scopeOf(c), f)
	if err != nil {
		return err
	}
	rows, err := a.rows(c.UserContext(), scopeOf(c), page.Rows)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"rows": rows, "next": page.Next, "total": page.Total, "chips": page.Chips})
}

type modelRow struct {
	Model string `json:"model"`
	N     int    `json:"n"`
}

func (a Devices) models(c *fiber.Ctx) error {
	list, err := a.Registry.Models(c.UserContext(), scopeOf(c))
	if err != nil {
		return err
	}
	rows := make([]modelRow, 0, len(list))
	for _, m := range list {
		rows = append(rows, modelRow(m))
	}
	return c.JSON(fiber.Map{"models": rows})
}

// deviceEvents is how many events, and how many reports of its own, a device's page shows.
const deviceEvents = 50

// deviceLinks is how far back its links are shown.
const deviceLinks = 30 * 24 * time.Hour

type eventRow struct {
	Type  string `json:"type"`
	At    int64  `json:"at"`
	Actor string `json:"actor"` // "<kind>/<id>"
	Cause string `json:"cause"` // of device.offline: why the link was lost
	Since int64  `json:"since"` // of device.offline: when it was lost
}

// reportRow is something that a device reported itself.
type reportRow struct {
	ID       int64           `json:"id"`
	Kind     string          `json:"kind"`
	Data     json.RawMessage `json:"data"`
	DeviceAt int64           `json:"device_at"` // the device's own clock, 0 unknown
	At       int64           `json:"at"`
}

type inventoryRow struct {
	Hash     string          `json:"hash"`
	At       int64           `json:"at"`
	Document json.RawMessage `json:"document"`
}

type deviceDetail struct {
	DeviceRow

	Spot      string        `json:"spot"` // where in the unit it stands
	Alg       devices.Alg   `json:"alg"`
	CredExpAt int64         `json:"cred_exp_at"`
	Epoch     int64         `json:"epoch"`
	Events    []eventRow    `json:"events"`
	Inventory *inventoryRow `json:"inventory"` // null: never sent
	Reports   []reportRow   `json:"reports"`
	Links     []linkSpan    `json:"links"`  // that ended, newest first
	Visits    visitCount    `json:"visits"` // how many, never whose
	Claims    []deviceClaim `json:"claims"` // how its serial came in
}

// linkSpan is one link that ended.
type linkSpan struct {
	Epoch int64  `json:"epoch"`
	Node  string `json:"node"`
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Cause string `json:"cause"`
	Bytes int64  `json:"bytes"`
}

type visitCount struct {
	Today int `json:"today"` // in the last 24 hours
	Month int `json:"month"` // in the last 30 days
}

type deviceClaim struct {
	ID    ident.ClaimID      `json:"id"`
	State devices.ClaimState `json:"state"`
	At    int64              `json:"at"`
}

func (a Devices) get(c *fiber.Ctx) error {
	id, err := pathID[ident.DeviceID](c, "device.not_found")
	if err != nil {
		return err
	}
	d, err := a.Registry.Device(c.UserContext(), scopeOf(c), id)
	if err != nil {
		return err
	}
	events, err := a.Registry.Events(c.UserContext(), scopeOf(c), id, deviceEvents)
	if err != nil {
		return err
	}
	inventory, reports, err := a.Streams.Timeline(c.UserContext(), scopeOf(c), id, deviceEvents)
	if err != nil {
		return err
	}
	now := a.Now()
	links, err := a.History.Links(c.UserContext(), scopeOf(c), id, now.Add(-deviceLinks), deviceEvents*2)
	if err != nil {
		return err
	}
	past, err := a.History.Past(c.UserContext(), scopeOf(c), id)
	if err != nil {
		return err
	}
	out := deviceDetail{
		DeviceRow: a.row(d), Spot: d.Place, Alg: d.Alg, CredExpAt: d.CredExpAt, Epoch: d.Epoch,
		Events: make([]eventRow, 0, len(events)), Reports: make([]reportRow, 0, len(reports)),
		Links: make([]linkSpan, 0, len(links)), Visits: visitCount{Today: past.VisitsToday, Month: past.VisitsMonth}, Claims: make([]deviceClaim, 0, len(past.Claims)),
	}
	for _, l := range links {
		out.Links = append(out.Links, linkSpan{Epoch: l.Epoch, Node: l.Node, From: l.From, To: l.To, Cause: l.Cause, Bytes: l.Bytes})
	}
	for _, k := range past.Claims {
		out.Claims = append(out.Claims, deviceClaim{ID: k.ID, State: k.State, At: k.At})
	}
	out.Day = devices.Day(d, links, now)
	if inventory != nil {
		out.Inventory = &inventoryRow{Hash: inventory.Hash, At: inventory.At, Document: inventory.Document}
	}
	for _, r := range reports {
		out.Reports = append(out.Reports, reportRow(r))
	}
	for _, e := range events {
		row := eventRow{Type: e.Type, At: e.At, Actor: string(e.Actor.Kind) + "/" + e.Actor.ID}
		if e.Type == "device.offline" {
			row.Cause = e.Data["cause"]
			row.Since, _ = strconv.ParseInt(e.Data["since"], 10, 64) // events before it was written have none
		}
		out.Events = append(out.Events, row)
	}
	return c.JSON(out)
}

func (a Devices) importCSV(c *fiber.Ctx) error {
	if ct, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType)); err != nil || ct != "text/csv" {
		return fault.New(fault.Invalid, "request.content_type")
	}
	results, err := a.Registry.Import(c.UserContext(), scopeOf(c), bytes.NewReader(c.Body()))
	if err != nil {
		return err
	}
	if results == nil {
		results = []devices.ImportResult{}
	}
	return c.JSON(fiber.Map{"results": results})
}

// life handles the changes of a device's life.
func (a Devices) life(do func(ctx context.Context, c devices.LifeChange) (devices.Row, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		var in struct {
			Key    string `json:"key"`
			Reason string `json:"reason"`
		}
		if err := Body(c, &in); err != nil {
			return err
		}
		if err := checkKey(in.Key); err != nil {
			return err
		}
		id, err := pathID[ident.DeviceID](c, "device.not_found")
		if err != nil {
			return err
		}
		d, err := do(c.UserContext(), devices.LifeChange{ID: id, Reason: in.Reason, Key: in.Key, Scope: scopeOf(c)})
		if err != nil {
			return err
		}
		return c.JSON(a.row(d))
	}
}

// checkKey refuses a command without an idempotency key. fault.Invalid "request.bad_key".
func checkKey(key string) error {
	if !ident.Valid(key) {
		return fault.InField("request.bad_key", "key")
	}
	return nil
}

// pathID reads the id in a path; what is no id names nothing: fault.NotFound with the given code.
func pathID[T ~string](c *fiber.Ctx, code string) (T, error) {
	id := T(c.Params("id"))
	if !ident.Valid(id) {
		return "", fault.New(fault.NotFound, code)
	}
	return id, nil
}
