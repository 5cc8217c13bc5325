package wire

import "encoding/json"

// Commands to a device (docs/protocol.md §4, "Commands"): cmd and cmd_cancel are frames of the down stream, cmd_status
// and log_meta of the up stream.

// CmdBody is a wish of an operator. The device writes it down before it does it, and does it once.
type CmdBody struct {
	CmdID      string          `json:"cmd_id"`
	Name       string          `json:"name"`
	Args       json.RawMessage `json:"args"`         // an object, shaped by the name
	NotAfterAt int64           `json:"not_after_at"` // server time; it does not start later
	Idempotent bool            `json:"idempotent,omitempty"`
	Lock       string          `json:"lock,omitempty"`     // power, display: one running command each
	Coalesce   bool            `json:"coalesce,omitempty"` // earlier ones of the name that have not begun end superseded
	WhenBusy   string          `json:"when_busy"`          // reject, wait, run: what a ticket, visit or room means to it
}

// CmdStatusBody says what became of a command. Each state is told once; a later one includes the earlier ones.
type CmdStatusBody struct {
	CmdID   string `json:"cmd_id"`
	State   string `json:"state"`             // accepted, running, succeeded, failed, rejected, expired, cancelled, superseded, unknown
	Waiting string `json:"waiting,omitempty"` // accepted: what it waits for: visit, lock
	Pct     int    `json:"pct,omitempty"`     // running: 0..100
	Code    string `json:"code,omitempty"`    // why it did not succeed
	Detail  string `json:"detail,omitempty"`  // a word about the result; no personal data
	DoneAt  int64  `json:"done_at,omitempty"` // server time as the device reckons it
}

// CmdCancelBody takes a command back. Of one that the device never had it says that its place in the stream is empty.
type CmdCancelBody struct {
	CmdID string `json:"cmd_id"`
	Why   string `json:"why,omitempty"` // cancelled, superseded, expired
}

// LogMetaBody says that a file for a command is complete at the service.
type LogMetaBody struct {
	CmdID    string `json:"cmd_id"`
	Kind     string `json:"kind"` // screenshot, log
	ObjectID string `json:"object_id"`
	Size     int64  `json:"size"`   // bytes
	SHA256   string `json:"sha256"` // hex
}
