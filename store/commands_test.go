package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

func (f *fleet) commands(n *node) *devices.Commands {
	return devices.NewCommands(devices.CommandsConfig{Open: 5}, devices.CommandsDeps{
		Store: f.store, Leases: n.held, Nudges: f.coord, Node: n.id, Now: f.clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
}

// order is a wish of the city's operator.
func (f *fleet) order(b *box, name, args string) devices.Order {
	return devices.Order{Device: b.id, Name: name, Args: json.RawMessage(args), Scope: f.city, Key: ident.New[string]()}
}

func (f *fleet) issue(t *testing.T, m *devices.Commands, o devices.Order) devices.Command {
	t.Helper()
	c, err := m.Issue(t.Context(), o)
	must(t, err)
	return c
}

// command is how a command stands now.
func (f *fleet) command(t *testing.T, m *devices.Commands, c devices.Command) devices.Command {
	t.Helper()
	page, err := m.List(t.Context(), f.city, c.Device, "", 200)
	must(t, err)
	i := slices.IndexFunc(page.Rows, func(r devices.Command) bool { return r.ID == c.ID })
	if i < 0 {
		t.Fatalf("command %s is gone", c.ID)
	}
	return page.Rows[i]
}

// says appends statuses to a box's up stream from seq on.
func (f *fleet) says(t *testing.T, n *node, b *box, epoch, seq int64, list ...devices.Status) {
	t.Helper()
	var frames []devices.UpFrame
	for i, s := range list {
		s.At = f.clock.Now().UnixMicro()
		frames = append(frames, devices.UpFrame{Device: b.id, Epoch: epoch, Stream: "u", Seq: seq + int64(i), Status: &s})
	}
	got, err := f.streams(n, 0).Append(t.Context(), frames)
	must(t, err)
	if slices.ContainsFunc(got, func(r devices.UpResult) bool { return r != devices.UpStored }) {
		t.Fatalf("statuses %v", got)
	}
}

// pull hands over what one link may have.
func (f *fleet) pull(t *testing.T, m *devices.Commands, b *box, epoch, after int64) devices.Pulled {
	t.Helper()
	got, err := m.HandOver(t.Context(), []devices.Pull{{LinkAt: devices.LinkAt{Device: b.id, Epoch: epoch}, After: after, Most: 16}})
	must(t, err)
	return got[0]
}

func (f *fleet) acked(t *testing.T, m *devices.Commands, b *box, epoch, seq int64) []devices.LinkAt {
	t.Helper()
	stale, err := m.Acked(t.Context(), []devices.DownAck{{LinkAt: devices.LinkAt{Device: b.id, Epoch: epoch}, Seq: seq}})
	must(t, err)
	return stale
}

func (f *fleet) sweepCommands(t *testing.T, silent, files, kept time.Duration) {
	t.Helper()
	now := f.clock.Now()
	_, err := f.store.SweepCommands(t.Context(), devices.SweepCommands{
		Now: now.UnixMicro(), Silent: now.Add(-silent).UnixMicro(), Kept: now.Add(-kept).UnixMicro(), FilesTo: now.Add(-files).UnixMicro(), Limit: 10,
	})
	must(t, err)
}

const ages = 1000 * time.Hour

func TestFourInstantsOfACommand(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		m := f.commands(n)
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		start := f.clock.Now().UnixMicro()
		o := f.order(b, devices.CmdScreenshot, `{"reason":"检查画面"}`)
		c := f.issue(t, m, o)
		again := f.issue(t, m, o)
		if again.ID != c.ID || c.State != devices.CmdQueued || c.QueuedAt != start || c.NotAfterAt != start+120e6 || c.Sent || c.ByName != "操作员" {
			t.Errorf("issued %+v, again %s", c, again.ID)
		}
		up := f.resume(t, n, b, devices.Resume{UpStream: "u"})
		if r := up.Streams; r.DownAcked != 0 || r.DownTail != 1 {
			t.Errorf("resumption %+v", r)
		}
		w, err := m.Pending(t.Context())
		must(t, err)
		if d := cmp.Diff([]devices.Waiting{{LinkAt: devices.LinkAt{Device: b.id, Epoch: up.Epoch}, Tail: 1}}, w); d != "" {
			t.Errorf("waiting (-want +got):\n%s", d)
		}
		got := f.pull(t, m, b, up.Epoch, 0)
		if len(got.Frames) != 1 || got.Frames[0].Cmd == nil || got.Frames[0].Cmd.CmdID != string(c.ID) || string(got.Frames[0].Cmd.Args) != `{"reason":"检查画面"}` {
			t.Fatalf("frames %+v", got)
		}
		if more := f.pull(t, m, b, up.Epoch, 1); len(more.Frames) != 0 || more.Stale {
			t.Errorf("behind the tail: %+v", more)
		}
		if s := f.command(t, m, c); s.State != devices.CmdQueued || !s.Sent {
			t.Errorf("written to a socket is no state: %+v", s)
		}
		if stale := f.acked(t, m, b, up.Epoch-1, 1); len(stale) != 1 {
			t.Error("an ack of a former link counts")
		}
		f.clock.Advance(time.Second)
		f.acked(t, m, b, up.Epoch, 1)
		f.acked(t, m, b, up.Epoch, 1)
		f.clock.Advance(time.Second)
		f.says(t, n, b, up.Epoch, 1, devices.Status{Command: c.ID, State: devices.CmdAccepted, Waiting: "lock"})
		if s := f.command(t, m, c); s.State != devices.CmdAccepted || s.Waiting != "lock" {
			t.Errorf("accepted: %+v", s)
		}

		body := []byte("\x89PNG\r\n\x1a\n and the picture")
		sum := "0000000000000000000000000000000000000000000000000000000000000000"
		_, err = m.Upload(t.Context(), b.id, c.ID, body, sum)
		wantCode(t, "a wrong digest", err, "command.file_digest")
		file, err := m.Upload(t.Context(), b.id, c.ID, body, digestOf(body))
		must(t, err)
		_, err = m.Upload(t.Context(), b.id, c.ID, []byte("text is no picture"), digestOf([]byte("text is no picture")))
		wantCode(t, "a log for a screenshot", err, "command.no_file")
		_, err = m.Upload(t.Context(), b.id, c.ID, []byte("<html>"), digestOf([]byte("<html>")))
		wantCode(t, "a page", err, "command.file_type")
		other := newBox(t, devices.Ed25519, "SN-2")
		f.enrol(t, other, f.village)
		_, err = m.Upload(t.Context(), other.id, c.ID, body, digestOf(body))
		wantCode(t, "another device's command", err, "command.not_found")
		_, err = m.File(t.Context(), f.city, b.id, c.ID)
		wantCode(t, "not complete yet", err, "command.no_file")

		f.clock.Advance(time.Second)
		frames := []devices.UpFrame{
			{Device: b.id, Epoch: up.Epoch, Stream: "u", Seq: 2, Upload: &devices.File{ID: file.ID, Command: c.ID, Size: file.Size, SHA256: file.SHA256, At: f.clock.Now().UnixMicro()}},
			{Device: b.id, Epoch: up.Epoch, Stream: "u", Seq: 3, Status: &devices.Status{Command: c.ID, State: devices.CmdSucceeded, DoneAt: start + 2_500_000, At: f.clock.Now().UnixMicro()}},
			{Device: b.id, Epoch: up.Epoch, Stream: "u", Seq: 4, Status: &devices.Status{Command: c.ID, State: devices.CmdFailed, Code: "late", At: f.clock.Now().UnixMicro()}},
		}
		_, err = f.streams(n, 0).Append(t.Context(), frames)
		must(t, err)
		s := f.command(t, m, c)
		times := []int64{s.QueuedAt - start, s.DeliveredAt - start, s.AcceptedAt - start, s.FinishedAt - start, s.DoneAt - start}
		if d := cmp.Diff([]int64{0, 1e6, 2e6, 3e6, 2_500_000}, times); d != "" || s.State != devices.CmdSucceeded || s.Code != "" {
			t.Errorf("%s, instants (-want +got):\n%s", s.State, d)
		}
		seen, err := m.File(t.Context(), f.city, b.id, c.ID)
		must(t, err)
		if string(seen.Body) != string(body) || seen.Kind != "screenshot" || seen.MediaType != "image/png" || s.File == nil || s.File.ID != seen.ID {
			t.Errorf("file %+v", seen)
		}
		_, err = m.File(t.Context(), f.aohan, b.id, c.ID)
		wantCode(t, "outside the subtree", err, "device.not_found")
		_, err = m.Upload(t.Context(), b.id, c.ID, body, digestOf(body))
		wantCode(t, "after its end", err, "command.over")

		f.wantEvents(t, b, "command.issued", "command.succeeded", "command.file_seen")
		f.clock.Advance(2 * ages)
		f.sweepCommands(t, ages, ages, 3*ages)
		if s := f.command(t, m, c); s.File != nil {
			t.Error("the file is kept for ever")
		}
		f.sweepCommands(t, ages, ages, ages)
		page, err := m.List(t.Context(), f.city, b.id, "", 0)
		must(t, err)
		if len(page.Rows) != 0 {
			t.Error("the command is kept for ever")
		}
	})
}

// wantEvents compares the command events of a device's log, oldest first, and reads that no argument is in them.
func (f *fleet) wantEvents(t *testing.T, b *box, want ...string) {
	t.Helper()
	chain, err := f.store.Events(t.Context(), "device", string(b.id))
	must(t, err)
	if at := audit.Verify(chain); at != -1 {
		t.Errorf("the chain breaks at %d", at)
	}
	var got []string
	for _, e := range chain {
		if strings.HasPrefix(e.Type, "command.") {
			got = append(got, e.Type)
		}
		if strings.Contains(audit.EncodeData(e.Data), "检查") {
			t.Errorf("words in the log: %v", e.Data)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

func TestWhoMayCommandWhat(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		m := f.commands(n)
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		hour := f.clock.Now().Add(time.Hour).UnixMicro()
		for name, tt := range map[string]struct {
			o    devices.Order
			code string
		}{
			"a name nobody knows":      {f.order(b, "rm.rf", ``), "command.unknown_name"},
			"no level":                 {f.order(b, devices.CmdVolume, `{}`), "command.bad_args"},
			"too loud":                 {f.order(b, devices.CmdVolume, `{"level":101}`), "command.bad_args"},
			"a field too much":         {f.order(b, devices.CmdVolume, `{"level":5,"x":1}`), "command.bad_args"},
			"a list":                   {f.order(b, devices.CmdReload, `[]`), "command.bad_args"},
			"no text":                  {f.order(b, devices.CmdMessage, `{"text":""}`), "command.bad_args"},
			"a long text":              {f.order(b, devices.CmdMessage, `{"text":"`+strings.Repeat("停", 201)+`"}`), "command.bad_args"},
			"no reason":                {f.order(b, devices.CmdScreenshot, `{}`), "command.bad_args"},
			"a log without end":        {f.order(b, devices.CmdLog, `{"max_bytes":2000000}`), "command.bad_args"},
			"an end that is over":      {devices.Order{Device: b.id, Name: devices.CmdReload, Scope: f.city, NotAfterAt: 5}, "command.bad_end"},
			"an end in eight days":     {devices.Order{Device: b.id, Name: devices.CmdReload, Scope: f.city, NotAfterAt: hour + 8*24*3600e6}, "command.bad_end"},
			"a screenshot that waits":  {devices.Order{Device: b.id, Name: devices.CmdScreenshot, Args: []byte(`{"reason":"x"}`), Scope: f.city, WhenBusy: devices.BusyWait}, "command.bad_when_busy"},
			"a reboot in a visit":      {devices.Order{Device: b.id, Name: devices.CmdReboot, Scope: f.city, WhenBusy: devices.BusyRun}, "command.bad_when_busy"},
			"another county":           {devices.Order{Device: b.id, Name: devices.CmdReboot, Scope: f.aohan}, "device.not_found"},
			"nothing there":            {devices.Order{Device: ident.New[ident.DeviceID](), Name: devices.CmdReboot, Scope: f.city}, "device.not_found"},
			"a reboot that waits":      {devices.Order{Device: b.id, Name: devices.CmdReboot, Scope: f.city, WhenBusy: devices.BusyWait, NotAfterAt: hour}, ""},
			"everything as it must be": {f.order(b, devices.CmdLog, ``), ""},
		} {
			_, err := m.Issue(t.Context(), tt.o)
			wantCode(t, name, err, tt.code)
		}
		_, err := m.List(t.Context(), f.aohan, b.id, "", 0)
		wantCode(t, "another county's list", err, "device.not_found")
		_, err = m.List(t.Context(), f.city, b.id, "x", 0)
		wantCode(t, "no cursor", err, "list.bad_cursor")
		c := f.issue(t, m, f.order(b, devices.CmdReload, ``))
		_, err = m.Cancel(t.Context(), f.aohan, b.id, c.ID, ident.New[string]())
		wantCode(t, "another county's cancel", err, "device.not_found")

		for range 2 {
			f.issue(t, m, f.order(b, devices.CmdMessage, `{"text":"x"}`))
		}
		_, err = m.Issue(t.Context(), f.order(b, devices.CmdMessage, `{"text":"x"}`))
		wantCode(t, "the sixth that waits", err, "command.too_many")
		page, err := m.List(t.Context(), f.city, b.id, "", 2)
		must(t, err)
		rest, err := m.List(t.Context(), f.city, b.id, page.Next, 200)
		must(t, err)
		if len(page.Rows) != 2 || len(rest.Rows) != 3 || rest.Next != "" {
			t.Errorf("pages of %d and %d", len(page.Rows), len(rest.Rows))
		}
	})
}

// Somebody visits: what would disturb is refused, what waits is taken, what does not disturb runs.
func TestCommandsLeaveVisitsAlone(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		m := f.commands(f.node(t, "n1"))
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		_, err := f.registry.OpenVisit(t.Context(), b.id, devices.Anonymous, "")
		must(t, err)
		for _, name := range []string{devices.CmdReboot, devices.CmdReload, devices.CmdScreenshot} {
			args := map[string]string{devices.CmdScreenshot: `{"reason":"检查"}`}[name]
			_, err := m.Issue(t.Context(), f.order(b, name, args))
			if fault.KindOf(err) != fault.Serving || fault.CodeOf(err) != "device.serving" {
				t.Errorf("%s in a visit: %v", name, err)
			}
		}
		o := f.order(b, devices.CmdReboot, ``)
		o.WhenBusy = devices.BusyWait
		f.issue(t, m, o)
		f.issue(t, m, f.order(b, devices.CmdMessage, `{"text":"x"}`))
		f.issue(t, m, f.order(b, devices.CmdVolume, `{"level":5}`))
	})
}

func TestTheNewestVolumeCountsAndCancelsAreFinal(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		m := f.commands(n)
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		old := f.issue(t, m, f.order(b, devices.CmdVolume, `{"level":5}`))
		gone := f.issue(t, m, f.order(b, devices.CmdMessage, `{"text":"x"}`))
		level := f.issue(t, m, f.order(b, devices.CmdVolume, `{"level":6}`))
		for range 2 {
			c, err := m.Cancel(t.Context(), f.city, b.id, gone.ID, ident.New[string]())
			must(t, err)
			if c.State != devices.CmdCancelled || c.FinishedAt == 0 {
				t.Errorf("cancelled before anybody had it: %+v", c)
			}
		}
		if s := f.command(t, m, old); s.State != devices.CmdSuperseded {
			t.Errorf("the older volume is %s", s.State)
		}
		up := f.resume(t, n, b, devices.Resume{UpStream: "u"})
		if up.Streams.DownAcked != 2 || up.Streams.DownTail != 3 {
			t.Errorf("empty places are sent: %+v", up.Streams)
		}
		reload := f.issue(t, m, f.order(b, devices.CmdReload, ``))
		_, err := m.Cancel(t.Context(), f.city, b.id, reload.ID, ident.New[string]())
		must(t, err)
		got := f.pull(t, m, b, up.Epoch, 2)
		if len(got.Frames) != 2 || got.Frames[0].Cmd == nil || got.Frames[1].Cancel == nil || got.Frames[1].Cancel.Why != "cancelled" || got.Frames[1].Seq != 4 {
			t.Fatalf("frames %+v", got.Frames)
		}
		asked, err := m.Cancel(t.Context(), f.city, b.id, level.ID, ident.New[string]())
		must(t, err)
		if asked.State != devices.CmdQueued || asked.CancelAt == 0 || asked.FinishedAt != 0 {
			t.Errorf("the terminal may have it already: %+v", asked)
		}
		if got := f.pull(t, m, b, up.Epoch, 4); len(got.Frames) != 1 || got.Frames[0].Cancel.CmdID != string(level.ID) {
			t.Errorf("the cancel does not travel: %+v", got.Frames)
		}
		f.says(t, n, b, up.Epoch, 1, devices.Status{Command: level.ID, State: devices.CmdCancelled})
		f.wantEvents(t, b, "command.issued", "command.issued", "command.superseded", "command.issued", "command.cancelled", "command.issued",
			"command.cancelled", "command.cancel_asked", "command.cancelled")
	})
}

func TestEndsThatTheServiceMaySet(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		m := f.commands(n)
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		up := f.resume(t, n, b, devices.Resume{UpStream: "u"})
		given := f.issue(t, m, f.order(b, devices.CmdReboot, ``))
		f.pull(t, m, b, up.Epoch, 0)
		waits := f.issue(t, m, f.order(b, devices.CmdVolume, `{"level":5}`))
		f.clock.Advance(time.Hour)
		late := f.issue(t, m, f.order(b, devices.CmdMessage, `{"text":"x"}`))
		f.sweepCommands(t, ages, ages, ages)
		if s := f.command(t, m, waits); s.State != devices.CmdExpired {
			t.Errorf("nobody ever had it: %s", s.State)
		}
		if s := f.command(t, m, given); s.State != devices.CmdQueued {
			t.Errorf("the terminal may have it, it decides: %s", s.State)
		}
		again := f.resume(t, n, b, devices.Resume{DownStream: up.Streams.Down, UpStream: "u"})
		got := f.pull(t, m, b, again.Epoch, again.Streams.DownAcked)
		var kinds []string
		for _, fr := range got.Frames {
			if fr.Cancel != nil {
				kinds = append(kinds, fr.Cancel.Why)
			} else {
				kinds = append(kinds, fr.Cmd.Name)
			}
		}
		if d := cmp.Diff([]string{devices.CmdReboot, "expired", "message.show"}, kinds); d != "" {
			t.Errorf("what it may have had it judges itself, what nobody ever had has ended (-want +got):\n%s", d)
		}
		f.acked(t, m, b, again.Epoch, 3)
		f.says(t, n, b, again.Epoch, 1, devices.Status{Command: late.ID, State: devices.CmdRunning})
		f.clock.Advance(ages)
		f.sweepCommands(t, ages/2, 2*ages, 2*ages)
		if s := f.command(t, m, late); s.State != devices.CmdUnknown || s.Code != "device.silent" {
			t.Errorf("it never told: %s %s", s.State, s.Code)
		}
		f.says(t, n, b, again.Epoch, 2, devices.Status{Command: late.ID, State: devices.CmdSucceeded})
		if s := f.command(t, m, late); s.State != devices.CmdSucceeded {
			t.Errorf("its word at last: %s", s.State)
		}
	})
}

// What leaves service, changes its key or never answers again leaves nothing behind that could still happen.
func TestNothingOldRuns(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		m := f.commands(n)
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		up := f.resume(t, n, b, devices.Resume{UpStream: "u"})
		o := f.order(b, devices.CmdReboot, ``)
		o.WhenBusy, o.NotAfterAt = devices.BusyWait, f.clock.Now().Add(24*time.Hour).UnixMicro()
		accepted := f.issue(t, m, o)
		f.pull(t, m, b, up.Epoch, 0)
		f.acked(t, m, b, up.Epoch, 1)
		f.says(t, n, b, up.Epoch, 1, devices.Status{Command: accepted.ID, State: devices.CmdAccepted, Waiting: "visit"})
		queued := f.issue(t, m, f.order(b, devices.CmdMessage, `{"text":"x"}`))
		change := devices.LifeChange{ID: b.id, Scope: f.city}
		_, err := f.registry.Disable(t.Context(), change)
		must(t, err)
		if s := f.command(t, m, queued); s.State != devices.CmdCancelled {
			t.Errorf("queued: %s", s.State)
		}
		if s := f.command(t, m, accepted); s.State != devices.CmdAccepted || s.CancelAt == 0 {
			t.Errorf("accepted: %+v", s)
		}
		if got := f.pull(t, m, b, up.Epoch, 1); !got.Stale {
			t.Errorf("a link that is over gets %+v", got)
		}
		_, err = m.Issue(t.Context(), f.order(b, devices.CmdVolume, `{"level":5}`))
		wantCode(t, "out of service", err, "device.not_active")
		_, err = f.registry.Enable(t.Context(), change)
		must(t, err)
		again := f.resume(t, n, b, devices.Resume{DownStream: up.Streams.Down, DownSeq: 1, UpStream: "u", UpSeq: 1})
		if again.Streams.DownAcked != 2 || again.Streams.DownTail != 3 { // place 2 is empty
			t.Errorf("it must hear the cancel before it begins anything: %+v", again.Streams)
		}
		if got := f.pull(t, m, b, again.Epoch, 2); len(got.Frames) != 1 || got.Frames[0].Cancel == nil || got.Frames[0].Cancel.CmdID != string(accepted.ID) {
			t.Errorf("frames %+v", got.Frames)
		}
		_, err = f.registry.Revoke(t.Context(), change)
		must(t, err)
		if s := f.command(t, m, accepted); s.State != devices.CmdUnknown || s.Code != "device.forgot" {
			t.Errorf("it never comes back: %+v", s)
		}
	})
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
