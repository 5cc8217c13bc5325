package devices_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/fault"
)

// The table of docs/protocol.md, "Streams".
func TestPlanResume(t *testing.T) {
	t.Parallel()
	at := devices.StreamsAt{Down: "d1", Up: "u1", UpAcked: 7, Inventory: "h1"}
	later := at
	later.DownTail, later.DownAcked, later.DownSent = 9, 2, 6
	to := func(acked int64) devices.StreamsAt {
		p := later
		p.DownAcked, p.DownSent = acked, acked
		return p
	}
	given := func(acked int64) devices.StreamsAt { // the place up to which frames were given stays
		p := later
		p.DownAcked = acked
		return p
	}
	tests := map[string]struct {
		stored devices.StreamsAt
		known  bool
		says   devices.Resume
		want   devices.StreamsAt
		flags  string // of resumed, gap, forgot, want, write
		report string
	}{
		"first connect of an old enrolment": {devices.StreamsAt{}, false, devices.Resume{UpStream: "u1", Inventory: "h1"}, devices.StreamsAt{Down: "new", Up: "u1"}, "want write", ""},
		"first connect after enrolment":     {devices.StreamsAt{Down: "d1"}, true, devices.Resume{UpStream: "u1"}, devices.StreamsAt{Down: "d1", Up: "u1"}, "want", ""},
		"ids match":                         {at, true, devices.Resume{DownStream: "d1", UpStream: "u1", UpSeq: 5, Inventory: "h1"}, at, "resumed", ""},
		"ids match, an ack was lost":        {at, true, devices.Resume{DownStream: "d1", UpStream: "u1", UpSeq: 7, Inventory: "h1"}, at, "resumed", ""},
		"the inventory changed":             {at, true, devices.Resume{DownStream: "d1", UpStream: "u1", Inventory: "h2"}, at, "resumed want", ""},
		"in the middle of the down stream":  {later, true, devices.Resume{DownStream: "d1", DownSeq: 4, UpStream: "u1", Inventory: "h1"}, given(4), "resumed", ""},
		"its last ack was written down":     {later, true, devices.Resume{DownStream: "d1", DownSeq: 1, UpStream: "u1", Inventory: "h1"}, given(2), "resumed", ""},
		"it has all that it was given":      {later, true, devices.Resume{DownStream: "d1", DownSeq: 6, UpStream: "u1", Inventory: "h1"}, to(6), "resumed", ""},
		"it forgot what it was given":       {later, true, devices.Resume{UpStream: "u1", Inventory: "h1"}, to(6), "forgot", ""},
		"it remembers another stream":       {later, true, devices.Resume{DownStream: "d0", DownSeq: 9, UpStream: "u1", Inventory: "h1"}, to(6), "gap forgot want", ""},
		"down id differs":                   {at, true, devices.Resume{DownStream: "d0", DownSeq: 9, UpStream: "u1", Inventory: "h1"}, at, "gap want", ""},
		"down id not known yet":             {at, true, devices.Resume{UpStream: "u1", Inventory: "h1"}, at, "", ""},
		"it has what we never sent": {
			at, true,
			devices.Resume{DownStream: "d1", DownSeq: 1, UpStream: "u1", Inventory: "h1"},
			devices.StreamsAt{Down: "new", Up: "u1", UpAcked: 7, Inventory: "h1"},
			"gap want write", "",
		},
		"up id differs": {
			at, true,
			devices.Resume{DownStream: "d1", UpStream: "u2", Inventory: "h1"},
			devices.StreamsAt{Down: "d1", Up: "u2", Inventory: "h1"},
			"resumed forgot write", devices.JournalLost,
		},
		"our copy is older than its journal": {
			at, true,
			devices.Resume{DownStream: "d1", UpStream: "u1", UpSeq: 9, Inventory: "h1"},
			devices.StreamsAt{Down: "d1", Up: "u1", UpAcked: 9, Inventory: "h1"},
			"resumed gap want write", devices.JournalGap,
		},
		"a journal that a former service knew": {
			devices.StreamsAt{Down: "d1"},
			true,
			devices.Resume{UpStream: "u1", UpSeq: 3},
			devices.StreamsAt{Down: "d1", Up: "u1", UpAcked: 3},
			"want write", "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, write, report := devices.PlanResume(tt.stored, tt.known, tt.says, "new")
			var flags []string
			for _, f := range []struct {
				name string
				on   bool
			}{{"resumed", got.Resumed}, {"gap", got.Gap}, {"forgot", got.Forgot}, {"want", got.WantInventory}, {"write", write}} {
				if f.on {
					flags = append(flags, f.name)
				}
			}
			if d := cmp.Diff(tt.want, got.StreamsAt); d != "" {
				t.Errorf("position (-want +got):\n%s", d)
			}
			if s := strings.Join(flags, " "); s != tt.flags || report != tt.report {
				t.Errorf("%q, report %q, want %q, %q", s, report, tt.flags, tt.report)
			}
		})
	}
}

func TestWhatDevicesReport(t *testing.T) {
	t.Parallel()
	r, err := devices.NewReport(wire.EventBody{Kind: "page_error", HappenedAt: -5}, 9)
	if err != nil || string(r.Data) != "{}" || r.DeviceAt != 0 || r.At != 9 {
		t.Errorf("%+v, %v", r, err)
	}
	for name, b := range map[string]wire.EventBody{
		"no kind":      {},
		"a digit":      {Kind: "1st"},
		"upper case":   {Kind: "Boot"},
		"a long kind":  {Kind: strings.Repeat("a", 33)},
		"a list":       {Kind: "a", Data: json.RawMessage(`[1]`)},
		"a long story": {Kind: "a", Data: json.RawMessage(`{"x":"` + strings.Repeat("x", 4<<10) + `"}`)},
	} {
		if _, err := devices.NewReport(b, 9); fault.CodeOf(err) != "device.bad_event" {
			t.Errorf("%s: %v", name, err)
		}
	}
	doc := json.RawMessage(`{"tier":"A"}`)
	if v, err := devices.NewInventory(wire.InventoryBody{Hash: wire.DocumentHash(doc), Document: doc}, 9); err != nil || v.At != 9 {
		t.Errorf("%+v, %v", v, err)
	}
	for name, b := range map[string]wire.InventoryBody{
		"nothing":         {},
		"no document":     {Hash: wire.DocumentHash(nil)},
		"another's hash":  {Hash: wire.DocumentHash([]byte(`{}`)), Document: doc},
		"a text":          {Hash: wire.DocumentHash([]byte(`"x"`)), Document: json.RawMessage(`"x"`)},
		"a hash in upper": {Hash: strings.ToUpper(wire.DocumentHash(doc)), Document: doc},
	} {
		if _, err := devices.NewInventory(b, 9); fault.CodeOf(err) != "device.bad_inventory" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
