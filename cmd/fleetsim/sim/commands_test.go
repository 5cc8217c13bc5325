package sim

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// soldier is a device whose service is this test.
type soldier struct {
	t      *testing.T
	path   string
	d      *Device
	w      *obedience
	seq    uint64
	left   int // restarts it announced
	brings []string
	refuse error
}

func enlist(t *testing.T) *soldier {
	t.Helper()
	s := &soldier{t: t, path: filepath.Join(t.TempDir(), "SN-1.jsonl")}
	s.start(0)
	return s
}

// start is a new start of the program: nobody closed the former one's file.
func (s *soldier) start(tail uint64) {
	s.t.Helper()
	d, err := NewDevice("SN-1")
	ok(s.t, err)
	d.Journal, err = OpenJournal(s.path)
	ok(s.t, err)
	s.t.Cleanup(func() { _ = d.Journal.Close() })
	s.d = d
	ok(s.t, d.Journal.welcomed(&wire.WelcomeBody{Down: &wire.DownBody{Stream: "d1", Next: d.Journal.place + 1}, Up: &wire.UpBody{Stream: d.Journal.stream}}))
	s.w = &obedience{
		d: d, tail: tail, leave: func() error { s.left++; return nil },
		bring: func(_ context.Context, id string, body []byte) (wire.LogMetaBody, error) {
			if s.refuse != nil {
				return wire.LogMetaBody{}, s.refuse
			}
			s.brings = append(s.brings, id+" "+string(body[:min(4, len(body))]))
			return wire.LogMetaBody{CmdID: id, ObjectID: "o"}, nil
		},
	}
	ok(s.t, s.w.woken())
}

func (s *soldier) take(f wire.Frame, body any) {
	s.t.Helper()
	b, err := json.Marshal(body)
	ok(s.t, err)
	s.seq++
	f.Seq, f.B = s.seq, b
	ok(s.t, s.w.take(&f))
	ok(s.t, s.w.take(&f)) // it comes twice
}

// orders sends a command and returns its id.
func (s *soldier) orders(name, args string, life time.Duration, change ...func(*wire.CmdBody)) string {
	s.t.Helper()
	b := wire.CmdBody{CmdID: ident.New[string](), Name: name, Args: json.RawMessage(args), NotAfterAt: time.Now().Add(life).UnixMicro(), WhenBusy: "run"}
	for _, f := range change {
		f(&b)
	}
	s.take(wire.Frame{T: wire.Cmd}, b)
	return b.CmdID
}

func (s *soldier) work() error {
	s.t.Helper()
	return s.w.work(s.t.Context())
}

// told is what the service hears of a command.
func (s *soldier) told(id string) string {
	s.t.Helper()
	var words []string
	for _, e := range s.d.Journal.open {
		var b wire.CmdStatusBody
		ok(s.t, json.Unmarshal(e.body, &b))
		if b.CmdID != id {
			continue
		}
		word := b.State
		if e.t == wire.LogMeta {
			word = "file"
		}
		words = append(words, strings.TrimSpace(word+" "+b.Waiting+b.Code+b.Detail))
	}
	return strings.Join(words, ", ")
}

func (s *soldier) want(what, id, want string) {
	s.t.Helper()
	if got := s.told(id); got != want {
		s.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func locks(name string) func(*wire.CmdBody) {
	return func(b *wire.CmdBody) { b.Lock = name }
}

func TestSimulatedDevicesObeyOnce(t *testing.T) {
	t.Parallel()
	s := enlist(t)
	volume := s.orders("volume.set", `{"level":5}`, time.Minute)
	reboot := s.orders("reboot", `{}`, time.Minute, locks("power"))
	if err := s.work(); !errors.Is(err, errReboot) || s.left != 1 {
		t.Errorf("%v, announced %d times", err, s.left)
	}
	s.want("volume", volume, "accepted, running, succeeded")
	s.want("before the restart", reboot, "accepted, running")
	s.start(0)
	s.want("after the restart", reboot, "accepted, running, succeeded")
	ok(t, s.work())
	// the same command once more, at another place
	s.take(wire.Frame{T: wire.Cmd}, wire.CmdBody{CmdID: volume, Name: "volume.set"})
	s.want("again", volume, "accepted, running, succeeded, succeeded")
	if o := s.d.Journal.order(volume); o.Runs != 1 {
		t.Errorf("it took effect %d times", o.Runs)
	}
	if p := s.d.Journal.Position(); p.Down != (wire.StreamPos{Stream: "d1", Seq: 3}) {
		t.Errorf("position %+v", p.Down)
	}
	f := wire.Frame{T: wire.Cmd, Seq: 9}
	if err := s.w.take(&f); err == nil {
		t.Error("a gap is taken")
	}
}

func TestSimulatedDevicesKeepEndsCancelsAndLocks(t *testing.T) {
	t.Parallel()
	s := enlist(t)
	late := s.orders("log.fetch", `{}`, -time.Second)
	coalesce := func(b *wire.CmdBody) { b.Coalesce = true }
	old := s.orders("volume.set", `{"level":2}`, time.Minute, coalesce)
	newest := s.orders("volume.set", `{"level":3}`, time.Minute, coalesce)
	gone := s.orders("screenshot", `{}`, time.Minute)
	s.take(wire.Frame{T: wire.CmdCancel}, wire.CmdCancelBody{CmdID: gone})
	s.take(wire.Frame{T: wire.CmdCancel}, wire.CmdCancelBody{CmdID: ident.New[string]()}) // an empty place
	first := s.orders("message.show", `{"text":"一","seconds":60}`, time.Minute, locks("display"))
	second := s.orders("message.show", `{"text":"二","seconds":60}`, time.Minute, locks("display"))
	ok(t, s.work())
	rejected := s.orders("page.reload", `{}`, time.Minute, locks("display"), func(b *wire.CmdBody) { b.WhenBusy = "reject" })
	unknown := s.orders("rm.rf", `{}`, time.Minute)
	s.want("after its end", late, "accepted, expired")
	s.want("an older volume", old, "accepted, superseded")
	s.want("the newest", newest, "accepted, running, succeeded")
	s.want("cancelled", gone, "accepted, cancelled")
	s.want("shown", first, "accepted, running")
	s.want("waits", second, "accepted, accepted lock")
	s.want("locked", rejected, "rejected command.locked")
	s.want("no such command", unknown, "rejected command.unsupported")
	s.w.offset = 5 * time.Second // somebody has read it
	ok(t, s.work())
	ok(t, s.work())
	s.want("read", first, "accepted, running, succeeded time")
	s.want("then", second, "accepted, accepted lock, running")

	last := s.orders("volume.set", `{"level":4}`, time.Minute)
	s.start(s.seq + 1) // a frame waits: its cancel
	ok(t, s.work())
	s.want("before it knows what waits", last, "accepted")
	s.take(wire.Frame{T: wire.CmdCancel}, wire.CmdCancelBody{CmdID: last})
	ok(t, s.work())
	s.want("and then", last, "accepted, cancelled")
	other := s.orders("volume.set", `{"level":4}`, time.Minute)
	ok(t, s.w.moved())
	s.want("of a former identity", other, "accepted, cancelled")
}

func TestSimulatedDevicesBringFiles(t *testing.T) {
	t.Parallel()
	s := enlist(t)
	shot := s.orders("screenshot", `{}`, time.Minute)
	log := s.orders("log.fetch", `{"max_bytes":1024}`, time.Minute)
	ok(t, s.work())
	s.want("screenshot", shot, "accepted, running, file, succeeded")
	s.want("log", log, "accepted, running, file, succeeded")
	if len(s.brings) != 2 || !strings.HasSuffix(s.brings[0], "\x89PNG") {
		t.Errorf("brought %q", s.brings)
	}
	s.refuse = &APIError{Status: 409, Code: "command.over"}
	refused := s.orders("screenshot", `{}`, time.Minute)
	ok(t, s.work())
	s.want("refused", refused, "accepted, running, failed command.over")
	s.refuse = context.DeadlineExceeded
	lost := s.orders("screenshot", `{}`, time.Minute)
	ok(t, s.work())
	s.want("nobody answers", lost, "accepted, running, failed net.down")
}

func TestTheMemoryOfCommandsIsBounded(t *testing.T) {
	t.Parallel()
	j := NewJournal()
	now := time.Now()
	for i := range orderMost + 5 {
		o := &order{ID: ident.New[string](), State: "succeeded", At: now.UnixMicro() - int64(i)}
		j.orders[o.ID] = o
	}
	j.orders["open"] = &order{ID: "open", State: "accepted"}
	j.orders["old"] = &order{ID: "old", State: "failed", At: now.Add(-8 * 24 * time.Hour).UnixMicro()}
	kept := j.kept(now)
	has := func(id string) bool {
		return slices.ContainsFunc(kept, func(o *order) bool { return o.ID == id })
	}
	if len(kept) != orderMost+1 || !has("open") || has("old") {
		t.Errorf("%d are kept, open %v, old %v", len(kept), has("open"), has("old"))
	}
}
