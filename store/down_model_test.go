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
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/store"
	"heyi/store/storetest"
)

// obeyed is a command as its device has it written down.
type obeyed struct {
	body    wire.CmdBody
	state   devices.CommandState
	runs    int  // how often it took effect
	taken   bool // its cancel was processed before it began
	begunAt int64
}

// obedient is a device that takes commands, told without SQL. Everything but the links outlives its restarts.
type obedient struct {
	box    *box
	down   string // id of the down stream
	pos    int64  // last frame of it that it has processed, written down with the effect
	mirror int64  // what its next connect says of pos: written a moment later
	memory map[ident.CommandID]*obeyed
	up     string
	told   []devices.Status // its journal: entry i has seq i+1
	first  int              // entries of former journals

	epoch int64 // of its link, 0: none
	tail  int64 // frames that waited when it connected: it begins nothing before
	pipe  []devices.DownFrame
	upto  int64 // entries sent on this link
}

// downModel is one device, its line and the service.
type downModel struct {
	*fleet
	t      *testing.T
	cfg    store.Config
	node   *node
	name   string
	cmds   *devices.Commands
	d      *obedient
	epoch  int64 // of the newest link
	after  int64 // of the hub: last frame given to this link
	acked  int64 // of the hub: last ack on this link
	acks   []devices.DownAck
	issued []ident.CommandID
	lost   bool // the device's disk was lost in this run: ends may be unknown
	seen   map[string]int
}

// Drops, duplicates, reordered and late acks, restarts on both sides, cancels, ends, lost disks, a device out of service: no
// command is lost, none takes effect twice, none begins after its end or after its device took the cancel, and what the
// service calls cancelled, expired or superseded never happened.
func TestCommandsAreObeyedOnce(t *testing.T) {
	t.Parallel()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		t.Helper()
		clock := storetest.NewClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
		c.Now = clock.Now
		m := &downModel{fleet: newFleet(t, storetest.Open(t, c), clock), t: t, cfg: c, seen: map[string]int{}}
		runs := 0
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			m.begin(runs)
			for range rapid.IntRange(10, 80).Draw(rt, "steps") {
				m.step(rt)
			}
			m.drain(rt)
			m.check(rt)
		})
		for _, what := range []string{
			"succeeded", "cancelled", "expired", "superseded", "cancelled on the device", "late ack", "service restart", "device restart", "mirror behind", "twice",
		} {
			if m.seen[what] == 0 {
				t.Errorf("no run came across %q", what)
			}
		}
		t.Logf("came across %v", m.seen)
	})
}

func (m *downModel) begin(run int) {
	m.name = fmt.Sprintf("n%d", run)
	m.clock.Advance(time.Minute) // claims are limited
	b := newBox(m.t, devices.Ed25519, fmt.Sprintf("D-%d", run))
	m.enrol(m.t, b, m.village)
	m.d = &obedient{box: b, up: ident.New[string](), memory: map[ident.CommandID]*obeyed{}}
	m.issued, m.lost = nil, false
	m.serve()
}

// serve starts the service's process.
func (m *downModel) serve() {
	m.node = m.fleet.node(m.t, m.name)
	m.cmds = devices.NewCommands(devices.CommandsConfig{}, devices.CommandsDeps{
		Store: m.store, Leases: m.node.held, Nudges: m.coord, Node: m.node.id, Now: m.clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	m.epoch = 0
}

func (m *downModel) now() int64 { return m.clock.Now().UnixMicro() }

func (m *downModel) step(rt *rapid.T) {
	d := m.d
	switch rapid.IntRange(0, 15).Draw(rt, "step") {
	case 0, 1:
		m.issue(rt)
	case 2:
		m.cancel(rt)
	case 3: // time goes by, the service judges
		m.clock.Advance(time.Duration(rapid.IntRange(1, 200).Draw(rt, "seconds")) * time.Second)
		_, err := m.store.SweepCommands(m.t.Context(), devices.SweepCommands{Now: m.now(), Limit: 100})
		must(m.t, err)
	case 4, 5:
		m.pull(rt)
	case 6, 7:
		m.arrive(rt, rapid.IntRange(1, 20).Draw(rt, "frames"))
	case 8: // an ack arrives, perhaps an older one after a newer one, perhaps of a former link
		if len(m.acks) > 0 {
			i := rapid.IntRange(0, len(m.acks)-1).Draw(rt, "ack")
			m.ack(rt, m.acks[i])
			m.acks = slices.Delete(m.acks, i, i+1)
		}
	case 9, 10:
		m.begins(rt, 1)
	case 11:
		m.tell(rt, rapid.IntRange(1, 20).Draw(rt, "statuses"))
	case 12:
		m.connect(rt)
	case 13:
		m.cut()
	case 14:
		switch rapid.IntRange(0, 3).Draw(rt, "restart") {
		case 0:
			m.restart()
		default:
			m.reboot()
		}
	case 15:
		switch rapid.IntRange(0, 7).Draw(rt, "rare") {
		case 0: // its disk is lost
			m.cut()
			d.down, d.pos, d.mirror, d.up, d.first = "", 0, 0, ident.New[string](), 0
			d.memory, d.told, m.lost = map[ident.CommandID]*obeyed{}, nil, true
		case 1:
			m.outOfService(rt)
		default:
		}
	}
}

func (m *downModel) issue(rt *rapid.T) {
	name := rapid.SampledFrom([]string{devices.CmdVolume, devices.CmdReboot, devices.CmdMessage}).Draw(rt, "name")
	args := map[string]string{devices.CmdVolume: `{"level":35}`, devices.CmdMessage: `{"text":"停水通知"}`}[name]
	c, err := m.cmds.Issue(m.t.Context(), devices.Order{
		Device: m.d.box.id, Name: name, Args: []byte(args), Scope: m.city, Key: ident.New[string](),
		NotAfterAt: m.now() + int64(rapid.IntRange(10, 600).Draw(rt, "life"))*1e6,
	})
	if err != nil {
		rt.Fatalf("issue: %v", err)
	}
	m.issued = append(m.issued, c.ID)
}

func (m *downModel) cancel(rt *rapid.T) {
	if len(m.issued) == 0 {
		return
	}
	id := rapid.SampledFrom(m.issued).Draw(rt, "command")
	if _, err := m.cmds.Cancel(m.t.Context(), m.city, m.d.box.id, id, ident.New[string]()); err != nil {
		rt.Fatalf("cancel: %v", err)
	}
}

// pull is what the hub does for the newest link.
func (m *downModel) pull(rt *rapid.T) {
	if m.epoch == 0 {
		return
	}
	most := int(m.acked + wire.MaxInFlight - m.after)
	got, err := m.cmds.HandOver(m.t.Context(), []devices.Pull{{LinkAt: devices.LinkAt{Device: m.d.box.id, Epoch: m.epoch}, After: m.after, Most: most}})
	if err != nil || got[0].Stale {
		rt.Fatalf("hand over: %+v, %v", got, err)
	}
	for _, f := range got[0].Frames {
		if f.Seq != m.after+1 {
			rt.Fatalf("frame %d follows %d", f.Seq, m.after)
		}
		m.after = f.Seq
	}
	if m.d.epoch == m.epoch {
		m.d.pipe = append(m.d.pipe, got[0].Frames...)
		if n := len(m.d.pipe); n > 0 && rapid.IntRange(0, 3).Draw(rt, "twice") == 0 { // something travels twice
			m.d.pipe = append(m.d.pipe, m.d.pipe[n-1])
		}
	}
}

// arrive lets the device process what is on the line: one transaction a frame.
func (m *downModel) arrive(rt *rapid.T, n int) {
	d := m.d
	for ; n > 0 && len(d.pipe) > 0; n-- {
		f := d.pipe[0]
		d.pipe = d.pipe[1:]
		if f.Seq <= d.pos {
			m.seen["twice"]++
			continue
		}
		if f.Seq != d.pos+1 {
			rt.Fatalf("frame %d after %d", f.Seq, d.pos)
		}
		d.pos = f.Seq
		d.take(f, m)
		if rapid.IntRange(0, 3).Draw(rt, "mirror") > 0 {
			d.mirror = d.pos
		}
		if d.epoch != 0 {
			m.acks = append(m.acks, devices.DownAck{LinkAt: devices.LinkAt{Device: d.box.id, Epoch: d.epoch}, Seq: d.pos})
		}
	}
}

func (d *obedient) take(f devices.DownFrame, m *downModel) {
	if f.Cmd != nil {
		id := ident.CommandID(f.Cmd.CmdID)
		if d.memory[id] != nil {
			return // the effect is remembered longer than the place
		}
		for other, c := range d.memory {
			if f.Cmd.Coalesce && c.body.Name == f.Cmd.Name && c.state == devices.CmdAccepted {
				d.says(other, devices.CmdSuperseded, m)
			}
		}
		d.memory[id] = &obeyed{body: *f.Cmd}
		d.says(id, devices.CmdAccepted, m)
		return
	}
	id := ident.CommandID(f.Cancel.CmdID)
	c := d.memory[id]
	if c == nil {
		d.memory[id] = &obeyed{state: devices.CmdCancelled, taken: true}
		return
	}
	if c.state == devices.CmdAccepted {
		c.taken = true
		m.seen["cancelled on the device"]++
		d.says(id, devices.CmdCancelled, m)
	}
}

// says writes a state down, and that it shall be told.
func (d *obedient) says(id ident.CommandID, s devices.CommandState, m *downModel) {
	d.memory[id].state = s
	d.told = append(d.told, devices.Status{Command: id, State: s, At: m.now(), DoneAt: m.now()})
}

// begins lets the device start what it may, and go on with what it started.
func (m *downModel) begins(rt *rapid.T, most int) {
	d := m.d
	var ids []ident.CommandID
	for id := range d.memory {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		c := d.memory[id]
		switch {
		case most == 0:
			return
		case c.state == devices.CmdRunning:
			d.says(id, devices.CmdSucceeded, m)
		case c.state != devices.CmdAccepted || d.epoch == 0 || d.pos < d.tail:
			continue
		case m.now() > c.body.NotAfterAt:
			d.says(id, devices.CmdExpired, m)
		default:
			if got := m.state(rt, id); got.State.Final() && got.State != devices.CmdUnknown {
				rt.Fatalf("%s begins, which the service calls %s", id, got.State)
			}
			c.runs++
			c.begunAt = m.now()
			if c.runs > 1 || c.taken {
				rt.Fatalf("%s begins: %d times, taken back %v", id, c.runs, c.taken)
			}
			d.says(id, devices.CmdRunning, m)
		}
		most--
	}
}

// tell sends entries of the device's journal; what is on the line when it breaks was not stored.
func (m *downModel) tell(rt *rapid.T, n int) {
	d := m.d
	if d.epoch == 0 || d.epoch != m.epoch {
		return
	}
	var frames []devices.UpFrame
	for ; n > 0 && d.upto < int64(len(d.told)); n-- {
		s := d.told[d.upto]
		s.At = m.now()
		d.upto++
		frames = append(frames, devices.UpFrame{Device: d.box.id, Epoch: d.epoch, Stream: d.up, Seq: d.upto, Status: &s})
	}
	if len(frames) == 0 {
		return
	}
	got, err := m.streams(m.node, 0).Append(m.t.Context(), frames)
	if err != nil || slices.ContainsFunc(got, func(r devices.UpResult) bool { return r != devices.UpStored && r != devices.UpRepeated }) {
		rt.Fatalf("append: %v, %v", got, err)
	}
}

func (m *downModel) ack(rt *rapid.T, a devices.DownAck) {
	stale, err := m.cmds.Acked(m.t.Context(), []devices.DownAck{a})
	if err != nil || (len(stale) == 1) != (a.Epoch != m.epoch) {
		rt.Fatalf("ack %+v under epoch %d: stale %v, %v", a, m.epoch, stale, err)
	}
	if a.Epoch != m.epoch {
		m.seen["late ack"]++
		return
	}
	m.acked = max(m.acked, a.Seq)
}

func (m *downModel) connect(rt *rapid.T) {
	d := m.d
	m.cut()
	for range 2 {
		up := d.box.up(m.fleet)
		up.Resume = &devices.Resume{DownStream: d.down, DownSeq: d.mirror, UpStream: d.up}
		got, err := m.node.Connect(m.t.Context(), []devices.LinkUp{up})
		if err != nil || got[0].Refused != "" || got[0].Streams == nil {
			rt.Fatalf("connect: %+v, %v", got, err)
		}
		r := got[0].Streams
		if d.down == r.Down && d.mirror < d.pos { // it knows better than what it said, and says it again
			d.mirror = d.pos
			m.seen["mirror behind"]++
			continue
		}
		d.down, d.pos, d.mirror, d.upto = r.Down, r.DownAcked, r.DownAcked, r.UpAcked
		d.tail, d.epoch = r.DownTail, got[0].Epoch
		m.epoch, m.after, m.acked = got[0].Epoch, r.DownAcked, r.DownAcked
		return
	}
	rt.Fatal("it never says where it stands")
}

// cut ends the device's link; the service may learn it only with the next one.
func (m *downModel) cut() {
	m.d.epoch, m.d.pipe, m.d.upto = 0, nil, 0
}

// restart kills the service: its process, half of the time its database with it.
func (m *downModel) restart() {
	m.cut()
	m.acks = nil
	if m.seen["service restart"]%2 == 0 {
		must(m.t, m.store.Close())
		m.store = storetest.Open(m.t, m.cfg)
		m.registry = devices.NewRegistry(devices.Config{Demo: true, DemoUnit: m.village}, devices.Deps{
			Claims: m.store, Fleet: m.store, CA: m.keys, Limiter: m.coord, Nudges: m.coord, Now: m.clock.Now, Logger: slog.New(slog.DiscardHandler),
		})
	}
	m.serve()
	must(m.t, m.node.Restart(m.t.Context()))
	m.seen["service restart"]++
}

// reboot kills the device: of what ran and may not run again it cannot tell.
func (m *downModel) reboot() {
	m.cut()
	for id, c := range m.d.memory {
		if c.state == devices.CmdRunning && !c.body.Idempotent {
			m.d.says(id, devices.CmdUnknown, m)
		}
	}
	m.seen["device restart"]++
}

// outOfService disables the device and enables it again.
func (m *downModel) outOfService(rt *rapid.T) {
	m.cut()
	m.epoch = 0
	for _, do := range []func(devices.LifeChange) (devices.Row, error){
		func(c devices.LifeChange) (devices.Row, error) { return m.registry.Disable(m.t.Context(), c) },
		func(c devices.LifeChange) (devices.Row, error) { return m.registry.Enable(m.t.Context(), c) },
	} {
		if _, err := do(devices.LifeChange{ID: m.d.box.id, Scope: m.city, Key: ident.New[string]()}); err != nil {
			rt.Fatalf("life: %v", err)
		}
	}
	m.acks = nil
	m.seen["out of service"]++
}

func (m *downModel) state(rt *rapid.T, id ident.CommandID) devices.Command {
	page, err := m.cmds.List(m.t.Context(), m.city, m.d.box.id, "", 200)
	if err != nil {
		rt.Fatalf("list: %v", err)
	}
	i := slices.IndexFunc(page.Rows, func(c devices.Command) bool { return c.ID == id })
	if i < 0 {
		rt.Fatalf("command %s is gone", id)
	}
	return page.Rows[i]
}

// drain lets the device come back and everything arrive and be done.
func (m *downModel) drain(rt *rapid.T) {
	m.connect(rt)
	for range 100 {
		m.pull(rt)
		m.arrive(rt, 100)
		for _, a := range m.acks {
			m.ack(rt, a)
		}
		m.acks = nil
		m.begins(rt, 100)
		m.begins(rt, 100)
		m.tell(rt, 1000)
		w, err := m.cmds.Pending(m.t.Context())
		must(m.t, err)
		if !slices.ContainsFunc(w, func(w devices.Waiting) bool { return w.Device == m.d.box.id }) {
			return
		}
	}
	rt.Fatal("the stream never runs dry")
}

func (m *downModel) check(rt *rapid.T) {
	for _, id := range m.issued {
		got := m.state(rt, id)
		mine := m.d.memory[id]
		runs := 0
		if mine != nil {
			runs = mine.runs
			if mine.runs > 0 && mine.begunAt > mine.body.NotAfterAt {
				rt.Fatalf("%s began %d µs after its end", id, mine.begunAt-mine.body.NotAfterAt)
			}
		}
		switch got.State {
		case devices.CmdSucceeded:
			if runs != 1 && !m.lost {
				rt.Fatalf("%s succeeded and ran %d times", id, runs)
			}
		case devices.CmdUnknown:
			if !m.lost && (mine == nil || mine.body.Idempotent) {
				rt.Fatalf("%s is unknown: %+v", id, mine)
			}
		case devices.CmdCancelled, devices.CmdExpired, devices.CmdSuperseded:
			if runs != 0 {
				rt.Fatalf("%s is %s and ran", id, got.State)
			}
		default:
			rt.Fatalf("%s is lost: %s, on the device %+v", id, got.State, mine)
		}
		if got.State.Final() == (got.FinishedAt == 0) || got.DeliveredAt != 0 && got.DeliveredAt < got.QueuedAt || got.AcceptedAt != 0 && got.AcceptedAt < got.DeliveredAt {
			rt.Fatalf("instants of %s: %+v", id, got)
		}
		m.seen[string(got.State)]++
	}
	if _, err := m.cmds.Cancel(m.t.Context(), m.city, m.d.box.id, ident.New[ident.CommandID](), ""); fault.CodeOf(err) != "command.not_found" {
		rt.Fatalf("cancel of nothing: %v", err)
	}
}
