package rest

import (
	"encoding/json"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

// Commands is the area of operators' orders to terminals and of the files that terminals bring for them. All fields must
// be set.
type Commands struct {
	Commands *devices.Commands
}

// Routes implements Area.
func (a Commands) Routes(r *Router) {
	may := RequireRole(auth.RolesOf(auth.CommandDevice)...)
	r.Get("/devices/{id}/commands", may, a.list)
	r.Post("/devices/{id}/commands", may, a.issue)
	r.Post("/devices/{id}/commands/{cmd}/cancel", may, a.cancel)
	r.Get("/devices/{id}/commands/{cmd}/file", may, a.file)
	r.Post("/commands/{id}/file", Require(auth.Device), a.upload)
	r.Upload(http.MethodPost, "/commands/{id}/file")
}

// commandRow is a command as the console shows it. Instants are 0 while they have not come.
type commandRow struct {
	ID          ident.CommandID      `json:"id"`
	Name        string               `json:"name"`
	Args        json.RawMessage      `json:"args"`
	WhenBusy    devices.Busy         `json:"when_busy"`
	State       devices.CommandState `json:"state"`
	Waiting     string               `json:"waiting"`
	Pct         int                  `json:"pct"`
	Code        string               `json:"code"`
	Detail      string               `json:"detail"`
	Sent        bool                 `json:"sent"` // handed to a link: the terminal may have it
	By          string               `json:"by"`   // name of the member of staff
	QueuedAt    int64                `json:"queued_at"`
	DeliveredAt int64                `json:"delivered_at"`
	AcceptedAt  int64                `json:"accepted_at"`
	FinishedAt  int64                `json:"finished_at"`
	DoneAt      int64                `json:"done_at"`
	NotAfterAt  int64                `json:"not_after_at"`
	CancelAt    int64                `json:"cancel_at"`
	File        *fileRow             `json:"file"` // null: none, or not kept any more
}

type fileRow struct {
	ID        ident.ObjectID `json:"id"`
	Kind      string         `json:"kind"`
	MediaType string         `json:"media_type"`
	Size      int64          `json:"size"`
	SHA256    string         `json:"sha256"`
	At        int64          `json:"at"`
}

func newCommandRow(c devices.Command) commandRow {
	row := commandRow{
		ID: c.ID, Name: c.Name, Args: c.Args, WhenBusy: c.WhenBusy, State: c.State, Waiting: c.Waiting, Pct: c.Pct, Code: c.Code, Detail: c.Detail,
		Sent: c.Sent, By: c.ByName, QueuedAt: c.QueuedAt, DeliveredAt: c.DeliveredAt, AcceptedAt: c.AcceptedAt, FinishedAt: c.FinishedAt,
		DoneAt: c.DoneAt, NotAfterAt: c.NotAfterAt, CancelAt: c.CancelAt,
	}
	if f := c.File; f != nil {
		row.File = &fileRow{ID: f.ID, Kind: f.Kind, MediaType: f.MediaType, Size: f.Size, SHA256: f.SHA256, At: f.At}
	}
	return row
}

func (a Commands) list(c *fiber.Ctx) error {
	id, err := pathID[ident.DeviceID](c, "device.not_found")
	if err != nil {
		return err
	}
	limit := c.QueryInt("limit")
	if s := c.Query("limit"); s != "" && limit < 1 {
		return fault.InField("list.bad_filter", "limit")
	}
	page, err := a.Commands.List(c.UserContext(), scopeOf(c), id, c.Query("cursor"), limit)
	if err != nil {
		return err
	}
	rows := make([]commandRow, 0, len(page.Rows))
	for _, cmd := range page.Rows {
		rows = append(rows, newCommandRow(cmd))
	}
	return c.JSON(fiber.Map{"rows": rows, "next": page.Next})
}

func (a Commands) issue(c *fiber.Ctx) error {
	var in struct {
		Key        string          `json:"key"`
		Name       string          `json:"name"`
		Args       json.RawMessage `json:"args"`
		NotAfterAt int64           `json:"not_after_at"`
		WhenBusy   devices.Busy    `json:"when_busy"`
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
	cmd, err := a.Commands.Issue(c.UserContext(), devices.Order{
		Device: id, Name: in.Name, Args: in.Args, NotAfterAt: in.NotAfterAt, WhenBusy: in.WhenBusy, Key: in.Key, Scope: scopeOf(c),
	})
	return reply(c, http.StatusCreated, newCommandRow(cmd), err)
}

// named reads the device and the command in a path.
func named(c *fiber.Ctx) (ident.DeviceID, ident.CommandID, error) {
	device, err := pathID[ident.DeviceID](c, "device.not_found")
	if err != nil {
		return "", "", err
	}
	cmd := ident.CommandID(c.Params("cmd"))
	if !ident.Valid(cmd) {
		return "", "", fault.New(fault.NotFound, "command.not_found")
	}
	return device, cmd, nil
}

func (a Commands) cancel(c *fiber.Ctx) error {
	var in struct {
		Key string `json:"key"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	if err := checkKey(in.Key); err != nil {
		return err
	}
	device, id, err := named(c)
	if err != nil {
		return err
	}
	cmd, err := a.Commands.Cancel(c.UserContext(), scopeOf(c), device, id, in.Key)
	return reply(c, http.StatusOK, newCommandRow(cmd), err)
}

func (a Commands) file(c *fiber.Ctx) error {
	device, id, err := named(c)
	if err != nil {
		return err
	}
	f, err := a.Commands.File(c.UserContext(), scopeOf(c), device, id)
	if err != nil {
		return err
	}
	ending := map[string]string{"image/png": ".png", "image/jpeg": ".jpg"}[f.MediaType]
	if ending == "" {
		ending = ".txt"
	}
	return attachment(c, f.Kind+"-"+string(id)+ending, f.MediaType, f.Body)
}

func (a Commands) upload(c *fiber.Ctx) error {
	id, err := pathID[ident.CommandID](c, "command.not_found")
	if err != nil {
		return err
	}
	in, err := form(c, []string{"sha256"}, []string{"file"}, false)
	if err != nil {
		return err
	}
	body, err := content("file", in.File["file"])
	if err != nil {
		return err
	}
	f, err := a.Commands.Upload(c.UserContext(), Caller(c).DeviceID, id, body, field(in, "sha256"))
	if err != nil {
		return err
	}
	return c.Status(http.StatusCreated).JSON(fiber.Map{"object_id": f.ID, "kind": f.Kind, "size": f.Size, "sha256": f.SHA256})
}
