package devices

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

// The durable streams of a terminal (docs/protocol.md §4, "Streams"). A row of device_stream holds where both stand;
// the id beside each position says which journal or outbox it counts.

// Resume is what a terminal says in connect about its streams.
type Resume struct {
	DownStream string // '' : it knows none yet
	DownSeq    int64  // last frame it has processed
	UpStream   string // id of its journal
	UpSeq      int64  // last frame it knows to be acked: its journal begins behind it
	Inventory  string // hash of its inventory
}

// StreamsAt is the stored side of both streams.
type StreamsAt struct {
	Down      string
	DownTail  int64 // last place of the stream to the terminal
	DownAcked int64 // last frame of it that the terminal has processed, or that nobody needs any more
	DownSent  int64 // last frame of it that any link was ever given; what comes behind it the terminal cannot have
	Up        string
	UpAcked   int64  // last frame of the terminal that is stored
	Inventory string // hash of the stored inventory, '' : none
}

// Resumption answers a Resume.
type Resumption struct {
	StreamsAt
	Resumed       bool // the terminal's place in the down stream is known
	Gap           bool // something between the two was lost: full documents are exchanged anew
	Forgot        bool // what the terminal was given and did not finish it will never tell about
	WantInventory bool
}

// Kinds of reports that the service writes itself.
const (
	JournalLost = "journal_lost" // the terminal came with another journal: what the former one still held is lost
	JournalGap  = "journal_gap"  // the terminal's journal begins behind what is stored: the database is older than it was
)

// PlanResume compares what is stored with what a terminal says. It returns the answer, whether the stored ids and the
// position of the up stream change to the answer's, and the kind of report that belongs on the time line, "" for none.
// fresh is the id of a down stream should a new one be needed; known is false when nothing is stored.
//
// The place up to which frames were given never goes back: a terminal may have taken more than its word says, because what
// it remembers of its place may be older than what it remembers of commands.
func PlanResume(stored StreamsAt, known bool, r Resume, fresh string) (out Resumption, write bool, report string) {
	out.StreamsAt = stored
	if !known {
		out.StreamsAt = StreamsAt{Down: fresh}
		write = true
	}
	switch {
	case r.DownStream == "" || r.DownStream != out.Down: // its memory of this stream, if it ever had one, is gone
		out.Gap = r.DownStream != ""
		out.Forgot = out.DownSent > 0
		out.DownAcked = out.DownSent
	case r.DownSeq > out.DownSent: // it has processed what we never sent: we are an older copy of ourselves
		out.Down = fresh
		out.Gap, write = true, true
	default:
		out.Resumed = true
		out.DownAcked = max(out.DownAcked, r.DownSeq)
	}
	switch {
	case r.UpStream != out.Up && (out.Up != "" || r.UpSeq > 0):
		if out.Up != "" {
			report, out.Forgot = JournalLost, true
		}
		out.Up, out.UpAcked, write = r.UpStream, r.UpSeq, true
	case r.UpStream != out.Up: // its first connect: the first frame writes the id, so that a connect writes nothing here
		out.Up, out.UpAcked = r.UpStream, 0
	case r.UpSeq > out.UpAcked:
		out.UpAcked, out.Gap, write, report = r.UpSeq, true, true, JournalGap
	}
	out.WantInventory = out.Gap || stored.Inventory == "" || r.Inventory != stored.Inventory
	return out, write, report
}

// Report is something that happened at a terminal, as its time line shows it.
type Report struct {
	ID       int64           // 1, 2, ... per device
	Kind     string          // boot, network_changed, page_error ...
	Data     json.RawMessage // an object; holds no personal data
	DeviceAt int64           // the terminal's clock, advisory; 0 unknown
	At       int64           // when the service had it
}

// Inventory is what a terminal consists of.
type Inventory struct {
	Hash     string // wire.DocumentHash of Document
	Document json.RawMessage
	At       int64
}

// maxReport bounds the data of one report, in bytes.
const maxReport = 4 << 10

// NewReport reads an event of a terminal. fault.Invalid "device.bad_event".
func NewReport(b wire.EventBody, at int64) (Report, error) {
	if !word(b.Kind) || len(b.Data) > maxReport || !object(b.Data) {
		return Report{}, fault.New(fault.Invalid, "device.bad_event")
	}
	if len(b.Data) == 0 {
		b.Data = json.RawMessage("{}")
	}
	return Report{Kind: b.Kind, Data: b.Data, DeviceAt: max(0, b.HappenedAt), At: at}, nil
}

// NewInventory reads an inventory of a terminal. fault.Invalid "device.bad_inventory", also when the hash is not the
// document's: it would be asked for at every connect.
func NewInventory(b wire.InventoryBody, at int64) (Inventory, error) {
	if len(b.Document) == 0 || !object(b.Document) || b.Hash != wire.DocumentHash(b.Document) {
		return Inventory{}, fault.New(fault.Invalid, "device.bad_inventory")
	}
	return Inventory{Hash: b.Hash, Document: b.Document, At: at}, nil
}

// word reports whether s is a kind: a lower case letter, then letters, digits and "_", at most 32.
func word(s string) bool {
	return s != "" && len(s) <= 32 && s[0] >= 'a' && s[0] <= 'z' &&
		!strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' })
}

// object reports whether b is a JSON object or empty; b is valid JSON.
func object(b json.RawMessage) bool { return len(b) == 0 || b[0] == '{' }

// UpFrame is one frame of a terminal's stream: a report, an inventory, a word about a command or about a file for one.
type UpFrame struct {
	Device    ident.DeviceID
	Epoch     int64  // of the link that brought it
	Stream    string // as the connect of that link named it
	Seq       int64
	Report    *Report
	Inventory *Inventory
	Status    *Status
	Upload    *File
}

// UpResult is what became of an UpFrame.
type UpResult int

// The results. Only the first two are stored and may be acked.
const (
	UpStored     UpResult = iota
	UpRepeated            // was stored before; nothing changed
	UpSuperseded          // the epoch is over: a newer link, or the device is not admitted any more
	UpBroken              // another stream, or not the next seq
)

// UpOrder is one batch of frames of many links.
type UpOrder struct {
	Node   NodeID
	Frames []UpFrame // those of one device in the order of their seq
	Kept   int       // reports kept of each device
}

// StreamStore keeps the streams.
type StreamStore interface {
	// AppendUp stores a batch in one transaction: the frames that are next in their stream, and the new positions,
	// fenced by the epoch. It answers in the order of the batch.
	AppendUp(ctx context.Context, o UpOrder) ([]UpResult, error)
	// DeviceTimeline returns a device's inventory, nil when there is none, and its newest reports, newest first.
	// fault.NotFound "device.not_found".
	DeviceTimeline(ctx context.Context, s Scope, id ident.DeviceID, limit int) (*Inventory, []Report, error)
}

// StreamsDeps are what Streams works with. All but Kept must be set.
type StreamsDeps struct {
	Store  StreamStore
	Node   NodeID
	Kept   int // reports kept of each device; 200
	Logger *slog.Logger
}

// Streams takes what terminals report. It is safe for concurrent use.
type Streams struct{ d StreamsDeps }

// NewStreams returns a ready Streams.
func NewStreams(d StreamsDeps) *Streams {
	if d.Kept == 0 {
		d.Kept = 200
	}
	return &Streams{d: d}
}

// Append stores frames of many links; see StreamStore.AppendUp.
func (s *Streams) Append(ctx context.Context, frames []UpFrame) ([]UpResult, error) {
	out, err := s.d.Store.AppendUp(ctx, UpOrder{Node: s.d.Node, Frames: frames, Kept: s.d.Kept})
	if err == nil && slices.Contains(out, UpBroken) {
		s.d.Logger.WarnContext(ctx, "frames out of their stream's order", slog.Int("frames", len(frames)))
	}
	return out, err
}

// Timeline returns what a device consists of and what it reported last.
//
// Errors: fault.NotFound "device.not_found".
func (s *Streams) Timeline(ctx context.Context, sc Scope, id ident.DeviceID, limit int) (*Inventory, []Report, error) {
	return s.d.Store.DeviceTimeline(ctx, sc, id, limit)
}
