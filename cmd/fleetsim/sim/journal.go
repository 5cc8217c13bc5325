package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// entry is one thing a device wrote down to tell the service.
type entry struct {
	seq  uint64
	t    wire.Type
	body json.RawMessage
	sent time.Time // on the present link; zero: not yet
}

// journalLine is one line of a journal's file: its head, which is the first one (stream set), an entry (t set), a record
// about commands, or an ack.
type journalLine struct {
	Stream string          `json:"stream,omitempty"`
	Down   string          `json:"down,omitempty"`
	Seq    uint64          `json:"seq,omitempty"`
	T      wire.Type       `json:"t,omitempty"`
	B      json.RawMessage `json:"b,omitempty"`

	Place  uint64      `json:"place,omitempty"` // last frame of the down stream that was processed
	Orders []*order    `json:"orders,omitempty"`
	Said   []entryLine `json:"said,omitempty"` // further entries
}

// record reports whether a line is about commands.
func (l journalLine) record() bool { return l.Place > 0 || l.Orders != nil || l.Said != nil }

// compactAt is the size of a journal's file at which it is written anew, in bytes.
const compactAt = 256 << 10

// Journal is a device's memory of what it has to tell (docs/protocol.md §4, "Streams"): an append file, or only memory.
// What is in it is sent until it is acked, over any number of links and starts. It is safe for concurrent use.
type Journal struct {
	mu     sync.Mutex
	path   string // '' : memory
	file   *os.File
	size   int
	stream string // id of this journal; a lost journal gets another
	down   string // id of the service's stream, as the last welcome named it
	acked  uint64
	open   []entry           // behind acked, in order
	place  uint64            // last frame of the down stream that was processed
	orders map[string]*order // commands, also those that ended a while ago
}

// NewJournal returns an empty journal in memory.
func NewJournal() *Journal {
	return &Journal{stream: ident.New[string](), orders: map[string]*order{}}
}

// OpenJournal reads the journal in a file, or begins one. A last line that was cut off by a power cut is dropped: it
// was never sent. A file that makes no sense begins a new stream.
func OpenJournal(path string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	src, err := os.ReadFile(path) //nolint:gosec // our own file
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{path: path, orders: map[string]*order{}}
	if !j.load(src) {
		j = NewJournal()
		j.path = path
	}
	return j, j.rewrite()
}

// load takes what a file holds; false when it is no journal.
func (j *Journal) load(src []byte) bool {
	for text := range bytes.Lines(src) {
		var l journalLine
		if !bytes.HasSuffix(text, []byte("\n")) || json.Unmarshal(text, &l) != nil {
			break // never synced, so never sent
		}
		switch {
		case l.Stream != "":
			j.stream, j.down, j.acked, j.place = l.Stream, l.Down, l.Seq, 0
			j.take(journalLine{Place: l.Place, Orders: l.Orders})
		case l.record():
			j.take(l)
		case l.T != 0 && l.Seq == j.last()+1:
			j.open = append(j.open, entry{seq: l.Seq, t: l.T, body: l.B})
		case l.T == 0 && l.Seq <= j.last():
			j.drop(l.Seq)
		default:
			return false
		}
	}
	return j.stream != ""
}

// last is the seq of the newest entry.
func (j *Journal) last() uint64 { return j.acked + uint64(len(j.open)) }

// drop forgets the entries up to seq.
func (j *Journal) drop(seq uint64) {
	if seq > j.acked {
		j.open = slices.Clone(j.open[min(seq-j.acked, uint64(len(j.open))):])
		j.acked = seq
	}
}

// rewrite makes the file hold what counts now, and nothing else.
func (j *Journal) rewrite() error {
	if j.path == "" {
		return nil
	}
	j.remember(j.kept(time.Now()))
	list := []journalLine{{Stream: j.stream, Down: j.down, Seq: j.acked, Place: j.place, Orders: j.kept(time.Now())}}
	for _, e := range j.open {
		list = append(list, journalLine{Seq: e.seq, T: e.t, B: e.body})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, l := range list {
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	if j.file != nil {
		if err := j.file.Close(); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	next := j.path + ".new"
	if err := os.WriteFile(next, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := os.Rename(next, j.path); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	var err error
	if j.file, err = os.OpenFile(j.path, os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.size = b.Len()
	return j.sync()
}

func (j *Journal) sync() error {
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// put appends one line to the file.
func (j *Journal) put(l journalLine) error {
	if j.path == "" {
		return nil
	}
	if j.size > compactAt {
		return j.rewrite() // l is in the state already
	}
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	n, err := j.file.Write(append(b, '\n'))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.size += n
	return nil
}

// Write notes something; it is on disk before it may be sent.
func (j *Journal) Write(t wire.Type, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	e := entry{seq: j.last() + 1, t: t, body: b}
	j.open = append(j.open, e)
	if err := j.put(journalLine{Seq: e.seq, T: e.t, B: e.body}); err != nil || j.path == "" {
		return err
	}
	return j.sync()
}

// Ack takes how far the service has it. The line of it may get lost: then some entries travel again.
func (j *Journal) Ack(seq uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq <= j.acked || seq > j.last() {
		return nil
	}
	j.drop(seq)
	return j.put(journalLine{Seq: seq})
}

// Position is what connect says.
func (j *Journal) Position() *wire.ResumeBody {
	j.mu.Lock()
	defer j.mu.Unlock()
	return &wire.ResumeBody{Down: wire.StreamPos{Stream: j.down, Seq: j.place}, Up: wire.StreamPos{Stream: j.stream, Seq: j.acked}}
}

// errOldJournal says that the service has more of a stream than the journal: this is an old copy of it.
var errOldJournal = errors.New("the journal is an old copy: it goes on as a new one")

// welcomed takes the service's side of both streams; from now on entries are sent from there. errOldJournal: connect
// again, under the new id.
func (j *Journal) welcomed(w *wire.WelcomeBody) error {
	if w.Up == nil || w.Down == nil {
		return nil // takes no durable frames
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if w.Up.Acked > j.last() {
		j.stream, j.acked = ident.New[string](), 0
		for i := range j.open {
			j.open[i].seq = uint64(i + 1)
		}
		return errors.Join(errOldJournal, j.rewrite())
	}
	j.drop(w.Up.Acked)
	for i := range j.open {
		j.open[i].sent = time.Time{}
	}
	if next := w.Down.Next - 1; j.down != w.Down.Stream || next > j.place {
		j.down, j.place = w.Down.Stream, next
		return j.rewrite()
	}
	return j.put(journalLine{Seq: j.acked})
}

// unsent returns the entries that may be sent now and marks them sent.
func (j *Journal) unsent(now time.Time) []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []entry
	for i := range min(len(j.open), wire.MaxInFlight) {
		if j.open[i].sent.IsZero() {
			j.open[i].sent = now
			out = append(out, j.open[i])
		}
	}
	return out
}

// overdue reports whether the oldest entry was sent on this link more than within ago.
func (j *Journal) overdue(now time.Time, within time.Duration) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.open) > 0 && !j.open[0].sent.IsZero() && now.Sub(j.open[0].sent) > within
}

// Close gives the file back.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	file := j.file
	j.file, j.path = nil, ""
	if err := file.Close(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}
