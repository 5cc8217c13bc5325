package devices_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

// What a terminal says moves a command forward only; its last word stays.
func TestWhatTerminalsTellOfCommands(t *testing.T) {
	t.Parallel()
	say := func(s devices.CommandState, at int64) devices.Status { return devices.Status{State: s, At: at} }
	tests := map[string]struct {
		from devices.CommandState
		says []devices.Status
		want string // state and instants of delivery, acceptance and end
	}{
		"step by step":                   {devices.CmdDelivered, []devices.Status{say(devices.CmdAccepted, 3), say(devices.CmdRunning, 4), say(devices.CmdSucceeded, 5)}, "succeeded 2 3 5"},
		"the ack comes after the answer": {devices.CmdQueued, []devices.Status{say(devices.CmdAccepted, 3)}, "accepted 3 3 0"},
		"only the end comes":             {devices.CmdQueued, []devices.Status{say(devices.CmdFailed, 7)}, "failed 7 7 7"},
		"not taken":                      {devices.CmdDelivered, []devices.Status{say(devices.CmdRejected, 3)}, "rejected 2 0 3"},
		"twice and late":                 {devices.CmdDelivered, []devices.Status{say(devices.CmdSucceeded, 3), say(devices.CmdRunning, 4), say(devices.CmdFailed, 5)}, "succeeded 2 3 3"},
		"unknown, then known":            {devices.CmdRunning, []devices.Status{say(devices.CmdUnknown, 3), say(devices.CmdRunning, 4), say(devices.CmdSucceeded, 5)}, "succeeded 2 5 5"},
		"cancelled here, done there":     {devices.CmdCancelled, []devices.Status{say(devices.CmdSucceeded, 3)}, "cancelled 2 0 0"},
		"its clock is behind":            {devices.CmdDelivered, []devices.Status{say(devices.CmdAccepted, 1)}, "accepted 2 2 0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := devices.Command{State: tt.from, QueuedAt: 1}
			if tt.from != devices.CmdQueued {
				c.DeliveredAt = 2
			}
			for _, s := range tt.says {
				c, _ = c.Told(s)
			}
			got := string(c.State) + " " + strings.Join([]string{digits(c.DeliveredAt), digits(c.AcceptedAt), digits(c.FinishedAt)}, " ")
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func digits(n int64) string { return string(rune('0' + n)) }

func TestStatusesAndUploadsAreJudged(t *testing.T) {
	t.Parallel()
	id := ident.New[string]()
	good := wire.CmdStatusBody{CmdID: id, State: "accepted", Waiting: "visit", DoneAt: -5}
	s, err := devices.NewStatus(good, 9)
	if d := cmp.Diff(devices.Status{Command: ident.CommandID(id), State: devices.CmdAccepted, Waiting: "visit", At: 9}, s); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	for name, change := range map[string]func(*wire.CmdStatusBody){
		"no command":   func(b *wire.CmdStatusBody) { b.CmdID = "x" },
		"our state":    func(b *wire.CmdStatusBody) { b.State = "delivered" },
		"no state":     func(b *wire.CmdStatusBody) { b.State = "done" },
		"101 %":        func(b *wire.CmdStatusBody) { b.Pct = 101 },
		"a long word":  func(b *wire.CmdStatusBody) { b.Detail = strings.Repeat("x", 201) },
		"a line break": func(b *wire.CmdStatusBody) { b.Code = "a\nb" },
	} {
		b := good
		change(&b)
		if _, err := devices.NewStatus(b, 9); fault.CodeOf(err) != "device.bad_status" {
			t.Errorf("%s: %v", name, err)
		}
	}
	up := wire.LogMetaBody{CmdID: id, Kind: "log", ObjectID: id, Size: 3, SHA256: strings.Repeat("0", 64)}
	if f, err := devices.NewUpload(up, 7); err != nil || f.At != 7 || f.Size != 3 {
		t.Errorf("%+v, %v", f, err)
	}
	for name, b := range map[string]wire.LogMetaBody{
		"no object":  {CmdID: id, Kind: "log", SHA256: up.SHA256},
		"no digest":  {CmdID: id, Kind: "log", ObjectID: id, SHA256: strings.Repeat("g", 64)},
		"a bad kind": {CmdID: id, Kind: "Log", ObjectID: id, SHA256: up.SHA256},
	} {
		if _, err := devices.NewUpload(b, 7); fault.CodeOf(err) != "device.bad_upload" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
