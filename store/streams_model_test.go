package store_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/ident"
	"heyi/store"
	"heyi/store/storetest"
)

// deviceModel is a device with a journal, told without SQL: what it wrote down, what it knows to be acked, what is on its way.
type deviceModel struct {
	box     *box
	stream  string
	first   int          // number of the thing that entry 1 of the journal tells
	entries int          // entries of the journal
	known   int64        // last entry it knows to be acked
	sent    int64        // last entry sent on this link
	pipe    []modelFrame // on its way to the service, in order
	acks    []int64      // on their way to the device; an ack is cumulative, so its order may change
	epoch   int64        // of its link, 0: none
	down    string       // id of the down stream
	late    []modelFrame // of former links, still in the service's hands
}

type modelFrame struct {
	epoch  int64
	stream string
	seq    int64
	thing  int
}

// streamModel is one device, its line and the service.
type streamModel struct {
	*fleet
	t      *testing.T
	cfg    store.Config
	node   *node
	name   string
	d      *deviceModel
	things int      // that happened in this run
	kept   []string // kinds the service must have, in order
	stream string   // of the device, as the service has it
	acked  int64    // of that stream
	epoch  int64    // of the newest link, 0 after a restart of the service
	seen   map[string]int
}

// Drops, duplicates, reordered acks, broken lines, late frames of former links, restarts on both sides and lost journals in any order: what
// a device wrote down is stored once, in order, and nothing else is; what went with a journal is named.
func TestStreamsLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		t.Helper()
		clock := storetest.NewClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
		c.Now = clock.Now
		m := &streamModel{fleet: newFleet(t, storetest.Open(t, c), clock), t: t, cfg: c, seen: map[string]int{}}
		runs := 0
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			m.begin(runs)
			for range rapid.IntRange(10, 60).Draw(rt, "steps") {
				m.step(rt)
			}
			m.drain(rt)
			m.check(rt)
		})
		for _, what := range []string{"stored", "repeated", "superseded", "reconnect", "service restart", "device restart", "journal lost"} {
			if m.seen[what] == 0 {
				t.Errorf("no run came across %q", what)
			}
		}
		t.Logf("came across %v", m.seen)
	})
}

func (m *streamModel) begin(run int) {
	m.name = fmt.Sprintf("n%d", run)
	m.clock.Advance(time.Minute) // claims are limited
	m.node = m.fleet.node(m.t, m.name)
	b := newBox(m.t, devices.Ed25519, fmt.Sprintf("R-%d", run))
	m.enrol(m.t, b, m.village)
	m.d = &deviceModel{box: b, stream: ident.New[string](), first: 1}
	m.things, m.stream, m.acked, m.epoch, m.kept = 0, "", 0, 0, nil
}

// thing is the number of what an entry of the present journal tells.
func (d *deviceModel) thing(seq int64) int { return d.first + int(seq) - 1 }

func (m *streamModel) step(rt *rapid.T) {
	d := m.d
	switch rapid.IntRange(0, 13).Draw(rt, "step") {
	case 0, 1, 2: // something happens
		m.things++
		d.entries++
	case 3, 4: // the device sends what it has, within its window
		m.send(rapid.IntRange(1, 20).Draw(rt, "frames"))
	case 5, 6: // the service takes what came
		n := rapid.IntRange(1, 20).Draw(rt, "frames")
		m.append(rt, &d.pipe, n)
	case 7: // an ack arrives, perhaps an older one after a newer one
		if len(d.acks) > 0 {
			i := rapid.IntRange(0, len(d.acks)-1).Draw(rt, "ack")
			d.known = max(d.known, d.acks[i])
			d.acks = slices.Delete(d.acks, i, i+1)
		}
	case 8: // the line breaks: what is on its way is lost, or is still in the service's hands
		m.cut(rapid.Bool().Draw(rt, "late"))
	case 9:
		m.reconnect(rt)
	case 10:
		m.append(rt, &d.late, 20)
	case 11: // something travels twice
		m.send(1)
		if n := len(d.pipe); n > 0 {
			i := rapid.IntRange(0, n-1).Draw(rt, "again")
			d.pipe = append(d.pipe, d.pipe[i])
			m.seen["duplicate"]++
		}
	case 12:
		switch rapid.IntRange(0, 2).Draw(rt, "restart") {
		case 0: // its journal stays, also when the last acks are not written down
			m.cut(rapid.Bool().Draw(rt, "late"))
			d.known = rapid.Int64Range(0, d.known).Draw(rt, "ack written down")
			m.seen["device restart"]++
		default:
			m.restart()
		}
	case 13:
		if rapid.IntRange(0, 3).Draw(rt, "disk") == 0 {
			m.loseJournal()
		}
	}
}

// send puts entries on the line; at most MaxInFlight are there that the device does not know to be acked.
func (m *streamModel) send(n int) {
	d := m.d
	for ; n > 0 && d.epoch != 0 && d.sent < int64(d.entries) && d.sent < d.known+wire.MaxInFlight; n-- {
		d.sent++
		d.pipe = append(d.pipe, modelFrame{d.epoch, d.stream, d.sent, d.thing(d.sent)})
	}
}

// append hands frames to the store as the Hub does and notes what must have become of them.
func (m *streamModel) append(rt *rapid.T, from *[]modelFrame, n int) {
	n = min(n, len(*from))
	if n == 0 {
		return
	}
	batch := (*from)[:n]
	*from = slices.Clone((*from)[n:])
	frames := make([]devices.UpFrame, n)
	for i, f := range batch {
		frames[i] = m.frame(m.d.box, f.epoch, f.stream, f.seq)
		frames[i].Report.Kind = fmt.Sprintf("e%d", f.thing)
	}
	got, err := m.streams(m.node, 1000).Append(m.t.Context(), frames)
	if err != nil {
		rt.Fatalf("append: %v", err)
	}
	for i, f := range batch {
		want := devices.UpStored
		switch {
		case f.epoch != m.epoch:
			want = devices.UpSuperseded
		case m.stream == "" && f.seq == 1:
			m.stream, m.acked = f.stream, 1
			m.kept = append(m.kept, fmt.Sprintf("e%d", f.thing))
		case f.stream != m.stream && m.stream != "":
			want = devices.UpBroken
		case f.seq <= m.acked:
			want = devices.UpRepeated
		case f.seq != m.acked+1:
			want = devices.UpBroken
		default:
			m.acked = f.seq
			m.kept = append(m.kept, fmt.Sprintf("e%d", f.thing))
		}
		if got[i] != want {
			rt.Fatalf("frame %d of stream %s under epoch %d: %d, want %d (stream %s, acked %d, epoch %d)", f.seq, f.stream, f.epoch, got[i], want, m.stream, m.acked, m.epoch)
		}
		m.seen[[]string{"stored", "repeated", "superseded", "broken"}[want]]++
	}
	if m.d.epoch != 0 && m.d.epoch == m.epoch {
		m.d.acks = append(m.d.acks, m.acked)
	}
}

// cut ends the link.
func (m *streamModel) cut(late bool) {
	d := m.d
	if late {
		d.late = append(d.late, d.pipe...)
	}
	d.pipe, d.acks, d.epoch, d.sent = nil, nil, 0, 0
}

func (m *streamModel) reconnect(rt *rapid.T) {
	d := m.d
	m.cut(rapid.Bool().Draw(rt, "late"))
	up := d.box.up(m.fleet)
	up.Resume = &devices.Resume{DownStream: d.down, UpStream: d.stream, UpSeq: d.known}
	got, err := m.node.Connect(m.t.Context(), []devices.LinkUp{up})
	if err != nil || got[0].Refused != "" || got[0].Streams == nil {
		rt.Fatalf("connect: %+v, %v", got, err)
	}
	if m.stream != "" && m.stream != d.stream {
		m.kept = append(m.kept, devices.JournalLost)
		m.stream, m.acked = d.stream, 0
	}
	r := got[0].Streams
	if r.Up != d.stream || r.UpAcked != m.acked || r.Gap || r.Resumed != (d.down != "") {
		rt.Fatalf("resumption %+v, want acked %d", r, m.acked)
	}
	m.epoch = got[0].Epoch
	d.epoch, d.down, d.known, d.sent = got[0].Epoch, r.Down, r.UpAcked, r.UpAcked
	m.seen["reconnect"]++
}

// restart kills the service: its process, half of the time its database with it.
func (m *streamModel) restart() {
	m.cut(false)
	m.d.late = nil
	if m.seen["service restart"]%2 == 0 {
		must(m.t, m.store.Close())
		m.store = storetest.Open(m.t, m.cfg)
		m.registry = devices.NewRegistry(devices.Config{Demo: true, DemoUnit: m.village}, devices.Deps{
			Claims: m.store, Fleet: m.store, Lists: m.store, CA: m.keys, Limiter: m.coord, Nudges: m.coord, Now: m.clock.Now, Logger: slog.New(slog.DiscardHandler),
		})
	}
	m.epoch = 0 // its links were of the former incarnation
	m.node = m.fleet.node(m.t, m.name)
	must(m.t, m.node.Restart(m.t.Context()))
	m.seen["service restart"]++
}

// loseJournal takes the device its journal: what the service never gets is gone.
func (m *streamModel) loseJournal() {
	d := m.d
	m.cut(true)
	d.first, d.stream, d.entries, d.known = m.things+1, ident.New[string](), 0, 0
	m.seen["journal lost"]++
}

// drain lets the device come back and everything arrive.
func (m *streamModel) drain(rt *rapid.T) {
	d := m.d
	m.append(rt, &d.late, len(d.late))
	m.reconnect(rt)
	m.append(rt, &d.late, len(d.late))
	for d.known < int64(d.entries) {
		m.send(wire.MaxInFlight)
		d.pipe = append(d.pipe, d.pipe...)
		m.append(rt, &d.pipe, len(d.pipe))
		d.known = m.acked
	}
}

// check compares with what is stored: nothing twice, nothing out of order, and all of the journal that is there.
func (m *streamModel) check(rt *rapid.T) {
	got := m.kindsOf(m.t, m.d.box)
	if !slices.Equal(got, m.kept) {
		rt.Fatalf("stored  %v\nwant    %v", got, m.kept)
	}
	last, held := 0, 0
	for _, kind := range got {
		if kind == devices.JournalLost {
			continue
		}
		var thing int
		if _, err := fmt.Sscanf(kind, "e%d", &thing); err != nil || thing <= last {
			rt.Fatalf("%s after e%d: %v", kind, last, got)
		}
		if last = thing; thing >= m.d.first {
			held++
		}
	}
	if held != m.d.entries {
		rt.Fatalf("%d of %d entries of the journal are stored: %v", held, m.d.entries, got)
	}
}
