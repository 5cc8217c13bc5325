package devices

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// A command is an operator's wish to one terminal (docs/protocol.md §4, "Commands"). It waits in the terminal's down
// stream, is written down by the terminal before it is done, and is done once. Four facts have four instants: queued
// here, delivered (the terminal has it), accepted (it will do it), finished.

// CommandState is how far a command is.
type CommandState string

// The states. Queued to running go forward only; the rest are ends.
const (
	CmdQueued     CommandState = "queued"
	CmdDelivered  CommandState = "delivered"
	CmdAccepted   CommandState = "accepted"
	CmdRunning    CommandState = "running"
	CmdSucceeded  CommandState = "succeeded"
	CmdFailed     CommandState = "failed"
	CmdRejected   CommandState = "rejected"   // the terminal did not take it: busy, locked, unknown
	CmdExpired    CommandState = "expired"    // its end came before its beginning
	CmdCancelled  CommandState = "cancelled"  // taken back before it began
	CmdSuperseded CommandState = "superseded" // a newer one of its kind came before it began
	CmdUnknown    CommandState = "unknown"    // the terminal cannot tell, or never will
)

// rank orders the states; every end has the highest.
func (s CommandState) rank() int {
	switch s {
	case CmdQueued:
		return 1
	case CmdDelivered:
		return 2
	case CmdAccepted:
		return 3
	case CmdRunning:
		return 4
	case CmdSucceeded, CmdFailed, CmdRejected, CmdExpired, CmdCancelled, CmdSuperseded, CmdUnknown:
		return 5
	}
	return 0
}

// Final reports whether nothing more comes. An unknown end may still become known.
func (s CommandState) Final() bool { return s.rank() == 5 }

// Busy is what a command does while a person waits, visits or talks at the terminal.
type Busy string

// The ways.
const (
	BusyReject Busy = "reject" // it ends with code device.serving
	BusyWait   Busy = "wait"   // it begins when nobody is served any more
	BusyRun    Busy = "run"    // it disturbs nobody
)

// CommandKind is what is fixed for all commands of one name.
type CommandKind struct {
	Name       string
	Lock       string        // one running command each; '' : none
	Idempotent bool          // a terminal that was cut off in the middle may begin again
	Coalesce   bool          // the newest counts
	Busy       Busy          // unless the order says otherwise
	MayWait    bool          // the order may say BusyWait
	Life       time.Duration // default time until its end
	File       string        // kind of the file that it brings, '' : none
}

// The names of this build.
const (
	CmdMessage    = "message.show"
	CmdReboot     = "reboot"
	CmdReload     = "page.reload"
	CmdVolume     = "volume.set"
	CmdScreenshot = "screenshot"
	CmdLog        = "log.fetch"
)

// MaxCommandLife bounds the end of a command: a wish that must last longer is no command.
const MaxCommandLife = 7 * 24 * time.Hour

// CommandKindOf returns what is fixed for a name; false when this build has no such command.
func CommandKindOf(name string) (CommandKind, bool) {
	k := CommandKind{Name: name}
	switch name {
	case CmdMessage: // shown afterwards: nothing lies over a waiting or live visit
		k.Lock, k.Idempotent, k.Busy, k.MayWait, k.Life = "display", true, BusyWait, true, 24*time.Hour
	case CmdReboot:
		k.Lock, k.Busy, k.MayWait, k.Life = "power", BusyReject, true, 10*time.Minute
	case CmdReload:
		k.Lock, k.Idempotent, k.Coalesce, k.Busy, k.MayWait, k.Life = "display", true, true, BusyReject, true, 10*time.Minute
	case CmdVolume:
		k.Idempotent, k.Coalesce, k.Busy, k.Life = true, true, BusyRun, 2*time.Minute
	case CmdScreenshot: // never of a person: it does not wait for a later moment either
		k.Idempotent, k.Coalesce, k.Busy, k.Life, k.File = true, true, BusyReject, 2*time.Minute, "screenshot"
	case CmdLog:
		k.Idempotent, k.Coalesce, k.Busy, k.Life, k.File = true, true, BusyRun, 24*time.Hour, "log"
	default:
		return CommandKind{}, false
	}
	return k, true
}

// checkArgs reads the arguments of a command and writes them in one form, defaults filled in.
//
// Errors: fault.Invalid "command.bad_args" with the field.
func checkArgs(name string, args json.RawMessage) (json.RawMessage, error) {
	var (
		v     any
		check func() string // the field that is wrong
	)
	switch name {
	case CmdMessage:
		a := &struct {
			Text    string `json:"text"`
			Seconds int    `json:"seconds"`
			Speak   bool   `json:"speak"`
		}{Seconds: 60}
		v, check = a, func() string {
			switch {
			case !text(a.Text, 1, 200):
				return "text"
			case a.Seconds < 5 || a.Seconds > 3600:
				return "seconds"
			}
			return ""
		}
	case CmdVolume:
		a := &struct {
			Level *int `json:"level"`
		}{}
		v, check = a, func() string {
			if a.Level == nil || *a.Level < 0 || *a.Level > 100 {
				return "level"
			}
			return ""
		}
	case CmdScreenshot:
		a := &struct {
			Reason string `json:"reason"` // stands in the notice on the screen
		}{}
		v, check = a, func() string {
			if !text(a.Reason, 1, 60) {
				return "reason"
			}
			return ""
		}
	case CmdLog:
		a := &struct {
			SinceAt  int64 `json:"since_at"` // 0: all that is kept
			MaxBytes int   `json:"max_bytes"`
		}{MaxBytes: 256 << 10}
		v, check = a, func() string {
			switch {
			case a.SinceAt < 0 || a.SinceAt > wire.MaxInt:
				return "since_at"
			case a.MaxBytes < 1<<10 || a.MaxBytes > 1<<20:
				return "max_bytes"
			}
			return ""
		}
	default:
		v, check = &struct{}{}, func() string { return "" }
	}
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(args))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return nil, fault.InField("command.bad_args", "args")
	}
	if field := check(); field != "" {
		return nil, fault.InField("command.bad_args", "args."+field)
	}
	return json.Marshal(v)
}

// Command is one command with all that is known of it. Instants are Unix microseconds, 0 : not yet.
type Command struct {
	ID         ident.CommandID
	Device     ident.DeviceID
	Seq        int64 // its place in the terminal's down stream
	Name       string
	Args       json.RawMessage
	WhenBusy   Busy
	NotAfterAt int64
	State      CommandState
	Waiting    string // accepted: visit, lock
	Pct        int
	Code       string
	Detail     string
	By         mediation.Actor
	ByName     string // of the member of staff, for lists

	QueuedAt    int64
	DeliveredAt int64
	AcceptedAt  int64
	FinishedAt  int64
	DoneAt      int64 // when the terminal says it was done
	CancelAt    int64 // the terminal was asked to leave it
	Sent        bool  // handed to a link: the terminal may have it already
	File        *File
}

// File is what a command brought; its content is fetched apart.
type File struct {
	ID        ident.ObjectID
	Command   ident.CommandID
	Device    ident.DeviceID
	Kind      string // screenshot, log
	MediaType string
	Size      int64
	SHA256    string // hex
	At        int64
	Body      []byte
}

// Order is what an operator asks for.
type Order struct {
	Device     ident.DeviceID
	Name       string
	Args       json.RawMessage
	NotAfterAt int64 // 0 : the default life of the name
	WhenBusy   Busy  // '' : the default of the name
	Key        string
	Scope      Scope
}

// NewCommand judges an order by itself: the name, its arguments, its end, what it may do when somebody is served.
//
// Errors: fault.Invalid "command.unknown_name", "command.bad_args", "command.bad_end", "command.bad_when_busy".
func NewCommand(o Order, now time.Time) (Command, error) {
	k, ok := CommandKindOf(o.Name)
	if !ok {
		return Command{}, fault.InField("command.unknown_name", "name")
	}
	args, err := checkArgs(o.Name, o.Args)
	if err != nil {
		return Command{}, err
	}
	c := Command{
		ID: ident.New[ident.CommandID](), Device: o.Device, Name: o.Name, Args: args, WhenBusy: k.Busy, State: CmdQueued,
		NotAfterAt: o.NotAfterAt, QueuedAt: now.UnixMicro(), By: o.Scope.Actor,
	}
	if c.NotAfterAt == 0 {
		c.NotAfterAt = now.Add(k.Life).UnixMicro()
	}
	if c.NotAfterAt <= c.QueuedAt || c.NotAfterAt > now.Add(MaxCommandLife).UnixMicro() {
		return Command{}, fault.InField("command.bad_end", "not_after_at")
	}
	if o.WhenBusy != "" {
		if o.WhenBusy != k.Busy && (o.WhenBusy != BusyWait || !k.MayWait) {
			return Command{}, fault.InField("command.bad_when_busy", "when_busy")
		}
		c.WhenBusy = o.WhenBusy
	}
	return c, nil
}

// Body is the command as it travels.
func (c Command) Body() wire.CmdBody {
	k, _ := CommandKindOf(c.Name)
	return wire.CmdBody{
		CmdID: string(c.ID), Name: c.Name, Args: c.Args, NotAfterAt: c.NotAfterAt, Idempotent: k.Idempotent, Lock: k.Lock,
		Coalesce: k.Coalesce, WhenBusy: string(c.WhenBusy),
	}
}

// Status is what a terminal says about a command.
type Status struct {
	Command ident.CommandID
	State   CommandState
	Waiting string
	Pct     int
	Code    string
	Detail  string
	DoneAt  int64
	At      int64 // when the service had it
}

// NewStatus reads a cmd_status. fault.Invalid "device.bad_status".
func NewStatus(b wire.CmdStatusBody, at int64) (Status, error) {
	s := Status{
		Command: ident.CommandID(b.CmdID), State: CommandState(b.State), Waiting: b.Waiting, Pct: b.Pct, Code: b.Code, Detail: b.Detail,
		DoneAt: max(0, b.DoneAt), At: at,
	}
	if !ident.Valid(s.Command) || s.State.rank() < CmdAccepted.rank() || s.Pct < 0 || s.Pct > 100 ||
		s.Waiting != "" && !word(s.Waiting) || len(s.Code) > 64 || !plain(s.Code, 0, 64) || !text(s.Detail, 0, 200) {
		return Status{}, fault.New(fault.Invalid, "device.bad_status")
	}
	return s, nil
}

// NewUpload reads a log_meta. fault.Invalid "device.bad_upload".
func NewUpload(b wire.LogMetaBody, at int64) (File, error) {
	f := File{ID: ident.ObjectID(b.ObjectID), Command: ident.CommandID(b.CmdID), Kind: b.Kind, Size: b.Size, SHA256: b.SHA256, At: at}
	if !ident.Valid(f.ID) || !ident.Valid(f.Command) || !word(f.Kind) || f.Size < 0 || len(f.SHA256) != 64 || strings.Trim(f.SHA256, "0123456789abcdef") != "" {
		return File{}, fault.New(fault.Invalid, "device.bad_upload")
	}
	return f, nil
}

// Told returns the command after a status of its terminal, and whether anything changed. What comes late or twice
// changes nothing; an end stays, except that an unknown one becomes what the terminal says at last.
func (c Command) Told(s Status) (Command, bool) {
	if s.State.rank() < c.State.rank() || c.State.Final() && (c.State != CmdUnknown || !s.State.Final() || s.State == CmdUnknown) {
		return c, false
	}
	if s.State == c.State && s.Waiting == c.Waiting && s.Pct <= c.Pct {
		return c, false
	}
	s.At = max(s.At, c.QueuedAt, c.DeliveredAt, c.AcceptedAt) // the ack before it may have been written down later
	if c.DeliveredAt == 0 {
		c.DeliveredAt = s.At // it answers, so it has it
	}
	c.State, c.Waiting, c.Pct = s.State, s.Waiting, s.Pct
	if (s.State == CmdAccepted || s.State == CmdRunning || s.State == CmdSucceeded || s.State == CmdFailed) && c.AcceptedAt == 0 {
		c.AcceptedAt = s.At
	}
	if s.State.Final() {
		c.FinishedAt, c.Code, c.Detail, c.Waiting = s.At, s.Code, s.Detail, ""
		if s.DoneAt > 0 {
			c.DoneAt = min(max(s.DoneAt, c.QueuedAt), s.At)
		}
	}
	return c, true
}
