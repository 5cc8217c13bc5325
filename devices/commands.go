package devices

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

// LinkAt names a live link: a device under one epoch.
type LinkAt struct {
	Device ident.DeviceID
	Epoch  int64
}

// Pull asks for the frames of one device's down stream that come after After, at most Most.
type Pull struct {
	LinkAt
	After int64
	Most  int
}

// DownFrame is one frame of a down stream: a command, or the cancel of one.
type DownFrame struct {
	Seq    int64
	Cmd    *wire.CmdBody
	Cancel *wire.CmdCancelBody
}

// Pulled answers a Pull. Stale: the epoch is over, the link is another's.
type Pulled struct {
	Frames []DownFrame
	Stale  bool
}

// DownAck says how far a device has processed its down stream.
type DownAck struct {
	LinkAt
	Seq int64
}

// Waiting is a link of this node whose device has not acked all of its down stream.
type Waiting struct {
	LinkAt
	Tail int64 // last place of the stream
}

// SweepCommands is one round over commands whose time is over.
type SweepCommands struct {
	Now     int64
	Silent  int64 // an end that the terminal never told is unknown when the command's end lies before this
	Kept    int64 // commands that ended before this are forgotten
	FilesTo int64 // files from before this are removed
	Limit   int   // rows of each kind in one round
}

// CommandPage is one page of a device's commands, newest first.
type CommandPage struct {
	Rows []Command
	Next string // cursor, "" at the end
}

// CommandStore keeps commands and the down streams they travel in. With a Scope everything answers "device.not_found"
// for what lies outside it.
type CommandStore interface {
	// IssueCommand puts a command into its device's down stream. fault.Precondition "device.not_active"; fault.Serving
	// "device.serving"; fault.TooMany "command.too_many" beyond open unfinished ones.
	IssueCommand(ctx context.Context, c Command, o Order, open int) (Command, error)
	// CancelCommand takes one back: at once when no link ever had it, else by a frame. fault.NotFound "command.not_found".
	CancelCommand(ctx context.Context, s Scope, device ident.DeviceID, id ident.CommandID, key string, at int64) (Command, error)
	Commands(ctx context.Context, s Scope, device ident.DeviceID, after ident.CommandID, limit int) ([]Command, error)
	// HandOver returns what links may send now and notes that they have it, fenced by their epochs; in the order of the pulls.
	HandOver(ctx context.Context, n NodeID, at int64, pulls []Pull) ([]Pulled, error)
	// AckDown stores acks, fenced by the epochs, and returns the links whose epoch is over.
	AckDown(ctx context.Context, n NodeID, at int64, acks []DownAck) (stale []LinkAt, err error)
	// WaitingDown lists links of this node that have frames to come.
	WaitingDown(ctx context.Context, n NodeID) ([]Waiting, error)
	// SweepCommands returns how many rows it touched.
	SweepCommands(ctx context.Context, s SweepCommands) (int, error)
	// PutFile keeps what a device brings for a command that is under way. fault.NotFound "command.not_found";
	// fault.Conflict "command.over", "command.no_file".
	PutFile(ctx context.Context, f File) (File, error)
	// CommandFile returns the complete file of a command and notes who saw it. fault.NotFound "command.not_found", "command.no_file".
	CommandFile(ctx context.Context, s Scope, device ident.DeviceID, id ident.CommandID, at int64) (File, error)
}

// CommandsConfig holds limits and times. Zero values take the defaults.
type CommandsConfig struct {
	Open      int           // unfinished commands of one device; 1000
	Silent    time.Duration // so long after its end a command without an answer is unknown; 7 days
	Kept      time.Duration // a finished command stays in the lists; 180 days
	FilesKept time.Duration // screenshots and logs; 30 days
	FileMax   int           // bytes of one file; 4 MiB
	Sweep     time.Duration // how often all this is judged; 5 s
}

// CommandsDeps are what Commands works with. All must be set.
type CommandsDeps struct {
	Store  CommandStore
	Leases Leases
	Nudges coord.Nudges
	Node   NodeID
	Now    func() time.Time
	Logger *slog.Logger
}

// Commands carries orders to terminals and keeps what became of them. It is safe for concurrent use.
type Commands struct {
	cfg CommandsConfig
	d   CommandsDeps
}

// NewCommands returns a ready Commands; Run judges what is over.
func NewCommands(cfg CommandsConfig, d CommandsDeps) *Commands {
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&cfg.Silent, 7*24*time.Hour)
	def(&cfg.Kept, 180*24*time.Hour)
	def(&cfg.FilesKept, 30*24*time.Hour)
	def(&cfg.Sweep, 5*time.Second)
	if cfg.Open == 0 {
		cfg.Open = 1000
	}
	if cfg.FileMax == 0 {
		cfg.FileMax = 4 << 20
	}
	return &Commands{cfg: cfg, d: d}
}

// Issue puts a command into the down stream of a device of the caller's subtree. It waits there until the device takes
// it, or its end.
//
// Errors: those of NewCommand; fault.NotFound "device.not_found"; fault.Precondition "device.not_active"; fault.Serving
// "device.serving" when somebody is served there and the command does not wait; fault.TooMany "command.too_many";
// fault.Conflict "idempotency.key_reused".
func (m *Commands) Issue(ctx context.Context, o Order) (Command, error) {
	c, err := NewCommand(o, m.d.Now())
	if err != nil {
		return Command{}, err
	}
	if c, err = m.d.Store.IssueCommand(ctx, c, o, m.cfg.Open); err != nil {
		return Command{}, err
	}
	m.wake(ctx, c)
	return c, nil
}

// Cancel takes a command back. One that no link ever had ends cancelled at once; of any other the terminal is asked,
// and it answers cancelled, or how it ended. A finished one stays as it is.
//
// Errors: fault.NotFound "device.not_found", "command.not_found".
func (m *Commands) Cancel(ctx context.Context, s Scope, device ident.DeviceID, id ident.CommandID, key string) (Command, error) {
	c, err := m.d.Store.CancelCommand(ctx, s, device, id, key, m.d.Now().UnixMicro())
	if err != nil {
		return Command{}, err
	}
	m.wake(ctx, c)
	return c, nil
}

// wake tells the node that holds the device's link to look at its down stream. A lost nudge costs one sweep.
func (m *Commands) wake(ctx context.Context, c Command) {
	m.d.Nudges.Publish(ctx, coord.Nudge{To: "device/" + string(c.Device), T: wire.Cmd, ID: string(c.ID)})
}

// List returns a device's commands, newest first. fault.NotFound "device.not_found"; fault.Invalid "list.bad_cursor",
// "list.bad_filter".
func (m *Commands) List(ctx context.Context, s Scope, device ident.DeviceID, cursor string, limit int) (CommandPage, error) {
	if limit == 0 {
		limit = 50
	}
	switch {
	case limit < 1 || limit > MaxRows:
		return CommandPage{}, fault.InField("list.bad_filter", "limit")
	case cursor != "" && !ident.Valid(cursor):
		return CommandPage{}, fault.InField("list.bad_cursor", "cursor")
	}
	rows, err := m.d.Store.Commands(ctx, s, device, ident.CommandID(cursor), limit+1)
	page := CommandPage{Rows: rows}
	if len(rows) > limit {
		page.Rows = rows[:limit]
		page.Next = string(page.Rows[limit-1].ID)
	}
	return page, err
}

// HandOver returns what links of this node may send now; see CommandStore.HandOver.
func (m *Commands) HandOver(ctx context.Context, pulls []Pull) ([]Pulled, error) {
	return m.d.Store.HandOver(ctx, m.d.Node, m.d.Now().UnixMicro(), pulls)
}

// Acked stores acks of many links; see CommandStore.AckDown.
func (m *Commands) Acked(ctx context.Context, acks []DownAck) ([]LinkAt, error) {
	return m.d.Store.AckDown(ctx, m.d.Node, m.d.Now().UnixMicro(), acks)
}

// Pending lists links of this node that have frames to come: what a lost nudge left behind.
func (m *Commands) Pending(ctx context.Context) ([]Waiting, error) {
	return m.d.Store.WaitingDown(ctx, m.d.Node)
}

// Upload keeps a file that a device brings for one of its commands; a repeat before the command ended replaces it. It
// counts once the device's log_meta names it.
//
// Errors: fault.NotFound "command.not_found"; fault.Conflict "command.over", "command.no_file"; fault.Invalid
// "command.file_too_large", "command.file_type", "command.file_digest".
func (m *Commands) Upload(ctx context.Context, device ident.DeviceID, id ident.CommandID, body []byte, digest string) (File, error) {
	if len(body) > m.cfg.FileMax {
		return File{}, fault.InField("command.file_too_large", "file")
	}
	sum := sha256.Sum256(body)
	f := File{
		ID: ident.New[ident.ObjectID](), Command: id, Device: device, MediaType: mediaType(body), Size: int64(len(body)),
		SHA256: hex.EncodeToString(sum[:]), At: m.d.Now().UnixMicro(), Body: body,
	}
	switch {
	case f.MediaType == "":
		return File{}, fault.InField("command.file_type", "file")
	case digest != f.SHA256:
		return File{}, fault.InField("command.file_digest", "sha256")
	}
	return m.d.Store.PutFile(ctx, f)
}

// mediaType judges content by its bytes, never by what its sender says: a picture, or text; "" is anything else.
func mediaType(body []byte) string {
	t, _, _ := strings.Cut(http.DetectContentType(body), ";")
	switch t {
	case "image/png", "image/jpeg":
		return t
	case "text/plain":
		if !bytes.ContainsRune(body, 0) {
			return "text/plain; charset=utf-8"
		}
	}
	return ""
}

// fits reports whether content of a type may be a file of a kind.
func (f File) fits(kind string) bool {
	return kind == "screenshot" && strings.HasPrefix(f.MediaType, "image/") || kind == "log" && strings.HasPrefix(f.MediaType, "text/")
}

// For judges whether a file may be kept for a command. fault.Conflict "command.over", "command.no_file".
func (f File) For(c Command) (File, error) {
	k, _ := CommandKindOf(c.Name)
	switch {
	case c.State.Final() && c.State != CmdUnknown:
		return f, fault.New(fault.Conflict, "command.over")
	case !f.fits(k.File):
		return f, fault.New(fault.Conflict, "command.no_file")
	}
	f.Kind = k.File
	return f, nil
}

// File returns what a command brought. That it was looked at stands in the device's log.
//
// Errors: fault.NotFound "device.not_found", "command.not_found", "command.no_file".
func (m *Commands) File(ctx context.Context, s Scope, device ident.DeviceID, id ident.CommandID) (File, error) {
	return m.d.Store.CommandFile(ctx, s, device, id, m.d.Now().UnixMicro())
}

// sweepCommands is how many rows of each kind one transaction touches.
const sweepCommands = 250

// Run judges commands whose time is over while this node holds the sweeper's lease, until ctx ends.
func (m *Commands) Run(ctx context.Context) error {
	tick := time.NewTicker(m.cfg.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if _, ok := m.d.Leases.Held(ctx, SweeperLease); !ok {
			continue
		}
		if err := m.sweep(ctx); err != nil && ctx.Err() == nil {
			m.d.Logger.ErrorContext(ctx, "commands not judged", slog.Any("error", err))
		}
	}
}

func (m *Commands) sweep(ctx context.Context) error {
	for {
		now := m.d.Now()
		n, err := m.d.Store.SweepCommands(ctx, SweepCommands{
			Now: now.UnixMicro(), Silent: now.Add(-m.cfg.Silent).UnixMicro(), Kept: now.Add(-m.cfg.Kept).UnixMicro(),
			FilesTo: now.Add(-m.cfg.FilesKept).UnixMicro(), Limit: sweepCommands,
		})
		if err != nil || n < sweepCommands {
			return err
		}
	}
}
