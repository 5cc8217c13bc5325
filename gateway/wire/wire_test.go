package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heyi/gateway/wire"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew") //nolint:gochecknoglobals // a test flag

// types lists every type this build speaks, with its name: numbers and names are fixed for ever.
func types() map[wire.Type]string {
	return map[wire.Type]string{
		1: "challenge", 2: "connect", 3: "welcome", 4: "going_away", 5: "ping", 6: "pong", 7: "ack", 8: "error",
		9: "auth_refresh", 10: "link_config", 11: "sync", 16: "telemetry", 17: "event", 18: "inventory", 20: "log_meta", 32: "cmd", 33: "cmd_status", 34: "cmd_cancel", 39: "notify", 72: "visit.open", 73: "visit.close",
		80: "ticket.create", 81: "ticket.cancel", 82: "ticket.callback", 83: "ticket.answer", 84: "ticket.state", 85: "ticket.ring",
		96: "offer.new", 97: "offer.accept", 98: "offer.decline", 99: "offer.closed", 100: "seat.set", 101: "seat.state",
		104: "room.ready", 105: "room.phase", 106: "room.member", 110: "room.consent", 111: "room.control", 112: "room.prompt", 113: "room.chat",
		114: "room.leave", 115: "room.ended",
		120: "agreement.state", 121: "agreement.readback", 122: "agreement.sign", 123: "agreement.refuse", 124: "agreement.handover",
		125: "agreement.receipt", 130: "dispute.state", 131: "dispute.withdraw", 136: "rtc.offer", 137: "rtc.answer", 138: "rtc.ice", 139: "rtc.restart",
		140: "rtc.tracks", 141: "rtc.want", 142: "rtc.mute", 143: "rtc.stats", 144: "rtc.levels", 145: "rtc.move", 146: "rtc.fail",
		160: "view.open", 161: "view.snapshot", 162: "view.delta", 163: "view.close",
	}
}

func TestNumbersAndNamesAreFixed(t *testing.T) {
	t.Parallel()
	known := types()
	for n := range 256 {
		typ := wire.Type(n)
		text, err := typ.MarshalText()
		want, ok := known[typ]
		if ok != (err == nil) || ok && string(text) != want {
			t.Errorf("type %d is %q (%v), want %q", n, text, err, want)
		}
		if !ok {
			continue
		}
		var back wire.Type
		if err := back.UnmarshalText(text); err != nil || back != typ {
			t.Errorf("%s reads as %d, %v", text, back, err)
		}
	}
	var none wire.Type
	if err := none.UnmarshalText(nil); err == nil {
		t.Error("an empty name is a type")
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		return `{"v":1,"t":"ping","b":{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}`
	}
	tests := map[string]struct {
		src  string
		want error // nil: decodes
	}{
		"smallest":                     {`{"v":1,"t":"ping"}`, nil},
		"everything":                   {`{"v":1,"t":"ticket.state","id":1,"re":2,"seq":3,"ack":4,"at":1790000000123456,"b":{"id":"x"},"flags":1}`, nil},
		"unknown fields are ignored":   {`{"v":1,"t":"ping","future":{"a":[1]},"b":{"new":1}}`, nil},
		"an answer with an error":      {`{"v":1,"t":"ticket.create","re":2,"err":{"code":110,"reason":"queue.already_waiting"}}`, nil},
		"a null body":                  {`{"v":1,"t":"ping","b":null}`, nil},
		"spaces around":                {" {\"v\":1,\"t\":\"ping\"}\n", nil},
		"brackets inside strings":      {`{"v":1,"t":"ping","b":{"x":"` + strings.Repeat(`[{\"`, 50) + `"}}`, nil},
		"depth 16":                     {deep(14), nil},
		"depth 17":                     {deep(15), wire.ErrTooDeep},
		"depth of a million":           {strings.Repeat("[", 1_000_000), wire.ErrTooDeep},
		"2^53-1":                       {`{"v":1,"t":"ping","id":9007199254740991}`, nil},
		"2^53":                         {`{"v":1,"t":"ping","id":9007199254740992}`, wire.ErrBadField},
		"a negative instant":           {`{"v":1,"t":"ping","at":-9007199254740991}`, nil},
		"an instant beyond":            {`{"v":1,"t":"ping","at":-9007199254740992}`, wire.ErrBadField},
		"a negative id":                {`{"v":1,"t":"ping","id":-1}`, wire.ErrBadField},
		"a fraction":                   {`{"v":1,"t":"ping","id":1.5}`, wire.ErrBadField},
		"a string for a number":        {`{"v":1,"t":"ping","id":"1"}`, wire.ErrBadField},
		"no version":                   {`{"t":"ping"}`, wire.ErrVersion},
		"another version":              {`{"v":2,"t":"ping"}`, wire.ErrVersion},
		"no type":                      {`{"v":1}`, wire.ErrBadField},
		"a type by number":             {`{"v":1,"t":5}`, wire.ErrBadField},
		"an unknown type":              {`{"v":1,"t":"agreement.seal"}`, wire.ErrBadField},
		"an error that answers nobody": {`{"v":1,"t":"ping","err":{"code":100,"reason":"x"}}`, wire.ErrBadField},
		"a body that is a list":        {`{"v":1,"t":"ping","b":[1]}`, wire.ErrBadField},
		"a body that is a number":      {`{"v":1,"t":"ping","b":1}`, wire.ErrBadField},
		"two frames":                   {`{"v":1,"t":"ping"}{"v":1,"t":"ping"}`, wire.ErrBadField},
		"rubbish behind":               {`{"v":1,"t":"ping"}]`, wire.ErrBadField},
		"cut off":                      {`{"v":1,"t":"pi`, wire.ErrBadField},
		"empty":                        {``, wire.ErrBadField},
		"null":                         {`null`, wire.ErrVersion},
		"a list":                       {`[]`, wire.ErrBadField},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f wire.Frame
			err := wire.Decode([]byte(tt.src), &f)
			if tt.want == nil && err != nil || !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestUnknownTypeKeepsTheHeader(t *testing.T) {
	t.Parallel()
	var f wire.Frame
	var unknown *wire.UnknownTypeError
	err := wire.Decode([]byte(`{"v":1,"t":"`+strings.Repeat("x", 99)+`","id":17,"flags":1}`), &f)
	if !errors.As(err, &unknown) || unknown.ID != 17 || unknown.Flags != wire.FlagMustUnderstand || len(unknown.Name) != 40 {
		t.Errorf("%+v", unknown)
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for raw, text := range map[string]string{"": "", "\x00": "AA", "\xfb\xff": "-_8", "heyi": "aGV5aQ"} {
		got, err := wire.Bytes(raw).MarshalText()
		if err != nil || string(got) != text {
			t.Errorf("%q: %s, %v", raw, got, err)
		}
		var back wire.Bytes
		if err := back.UnmarshalText([]byte(text)); err != nil || string(back) != raw {
			t.Errorf("%s: %q, %v", text, back, err)
		}
	}
	for _, bad := range []string{"AA==", "-_8=", "+/8", "A", "AB", "a b", "é"} {
		var b wire.Bytes
		if err := b.UnmarshalText([]byte(bad)); !errors.Is(err, wire.ErrBadField) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]error{`{"id":"t","ver":3}`: nil, ``: nil, `null`: nil, `{"ver":"3"}`: wire.ErrBadField, `{"ver":3`: wire.ErrBadField} {
		var n wire.NudgeBody
		f := wire.Frame{B: json.RawMessage(src)}
		if err := f.Body(&n); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", src, err, want)
		}
	}
}

// The bytes that a device signs, computed once by hand from docs/protocol.md; a change here locks every device out.
func TestConnectProofIsFixed(t *testing.T) {
	t.Parallel()
	got := hex.EncodeToString(wire.ConnectProof("heyi.example", []byte{1, 2, 3}, []byte{4, 5}, "dev", "cred", nil))
	want := hex.EncodeToString([]byte("heyi.v1 connect")) + "00" +
		"000c" + hex.EncodeToString([]byte("heyi.example")) +
		"0003" + "010203" +
		"0002" + "0405" +
		"0003" + hex.EncodeToString([]byte("dev")) +
		"0020" + "55d91a3561684b32df5e58a0d91968b93798af4f924bba383e1c98625ec0c834" + // sha256sum of "cred"
		"0000"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestProofsDoNotRunTogether(t *testing.T) {
	t.Parallel()
	a := wire.ConnectProof("ab", []byte("c"), nil, "d", "e", nil)
	b := wire.ConnectProof("a", []byte("bc"), nil, "d", "e", nil)
	if bytes.Equal(a, b) {
		t.Error("two different connects sign the same bytes")
	}
	if bytes.Equal(wire.ClaimProof([]byte("ab"), "c"), wire.ClaimProof([]byte("a"), "bc")) {
		t.Error("two different claims sign the same bytes")
	}
	want := hex.EncodeToString([]byte("heyi.v1 claim")) + "00" + "0002" + "aabb" + "0002" + hex.EncodeToString([]byte("S1"))
	if got := hex.EncodeToString(wire.ClaimProof([]byte{0xaa, 0xbb}, "S1")); got != want {
		t.Errorf("claim %s, want %s", got, want)
	}
}

// bodies has one filled body of every type that has a struct.
func bodies() map[wire.Type]any {
	no := false
	return map[wire.Type]any{
		wire.Challenge: &wire.ChallengeBody{Nonce: wire.Bytes("0123456789abcdef0123456789abcdef"), Server: "heyi.example", Node: "n1", NowAt: 1790000000123456, Algs: []string{"ed25519", "p256"}, AuthTimeoutMS: 10000, MaxFrame: 4096},
		wire.Connect: &wire.ConnectBody{
			Auth:   wire.AuthBody{Kind: "device", DeviceID: "019a", Cred: "p.s", Alg: "p256", CNonce: wire.Bytes("0123456789abcdef"), Sig: wire.Bytes("sig"), Token: "t", Screen: "desk", Instance: "i", Ticket: "k"},
			BootID: "b1", App: wire.AppInfo{Name: "tv", Ver: "1", Model: "m", OS: "android", Engine: "chromium/120"}, Caps: []string{"bg_ring"}, Hashes: map[string]string{"inventory": "00"}, Why: "boot", Serving: true,
			Resume: &wire.ResumeBody{Down: wire.StreamPos{Stream: "019e", Seq: 4}, Up: wire.StreamPos{Stream: "019f", Seq: 9}},
		},
		wire.Welcome: &wire.WelcomeBody{
			Link: "019b", Epoch: 7, Access: &wire.AccessBody{Token: "a.b.c", ExpAt: 1790000600000000}, Resumed: true, Gap: true, Ping: wire.PingRule{EveryS: 45, DeadAfterS: 100},
			Reconnect: wire.ReconnectRule{BaseMS: 2000, CapMS: 300000, WindowMS: 30000, Hosts: []string{"h"}}, Limits: wire.LimitsBody{MaxFrame: 65536, PerS: 20, Burst: 60},
			Down: &wire.DownBody{Stream: "019e", Next: 5, Tail: 7}, Up: &wire.UpBody{Stream: "019f", Acked: 11},
			Want: []string{"inventory"}, WantInMS: 30000, NowAt: 1, DesiredVer: "2", TZ: "Asia/Shanghai", Lane: "l", Degraded: true,
		},
		wire.GoingAway:  &wire.GoingAwayBody{Why: "deploy", WindowMS: 5000, Hosts: []string{"h"}},
		wire.Pong:       &wire.PongBody{NowAt: 2},
		wire.LinkConfig: &wire.LinkConfigBody{Access: &wire.AccessBody{Token: "t", ExpAt: 3}, Ping: &wire.PingRule{EveryS: 1}, Reconnect: &wire.ReconnectRule{BaseMS: 1}, Degraded: &no},
		wire.Sync:       &wire.SyncBody{Items: []wire.SyncItem{{T: "ticket", ID: "019c", Ver: 3}}},
		wire.Telemetry:  &wire.TelemetryBody{CPU: 0.5, MemPct: 40, TempC: 50.5, RTTMS: 12.5, LossPct: 0.1, Volume: 35},
		wire.Event:      &wire.EventBody{Kind: "boot", HappenedAt: 1790000000123456, Data: json.RawMessage(`{"ver":"1"}`)},
		wire.Inventory: &wire.InventoryBody{
			Hash: wire.DocumentHash([]byte(`{"tier":"A"}`)), Document: json.RawMessage(`{"tier":"A"}`),
		},
		wire.LogMeta: &wire.LogMetaBody{CmdID: "01a0", Kind: "screenshot", ObjectID: "01a1", Size: 81234, SHA256: wire.DocumentHash([]byte("png"))},
		wire.Cmd: &wire.CmdBody{
			CmdID: "01a0", Name: "volume.set", Args: json.RawMessage(`{"level":35}`), NotAfterAt: 1790000600000000, Idempotent: true, Lock: "display", Coalesce: true, WhenBusy: "run",
		},
		wire.CmdStatus:    &wire.CmdStatusBody{CmdID: "01a0", State: "failed", Waiting: "visit", Pct: 50, Code: "device.no_picture", Detail: "tainted", DoneAt: 1790000000123456},
		wire.CmdCancel:    &wire.CmdCancelBody{CmdID: "01a0", Why: "cancelled"},
		wire.Ack:          nil,
		wire.TicketState:  &wire.NudgeBody{ID: "019c", Ver: 4, Why: "offered"},
		wire.TicketRing:   &wire.NudgeBody{ID: "019c", Ver: 5},
		wire.OfferNew:     &wire.NudgeBody{ID: "019d", Ver: 1},
		wire.RTCWant:      &wire.RTCWantBody{Attach: "full", Codecs: []string{"VP8", "opus"}, Engine: "x", Tiles: []wire.TileWish{{Track: "p:cam", W: 320, H: 180, Visible: true}}},
		wire.RTCTracks:    &wire.RTCTracksBody{Epoch: 2, Tracks: []wire.RTCTrack{{Track: "p:mic", Participant: "p", Name: "来访人", Kind: "mic", Mid: "0", Live: true, Muted: true}}, Profile: &wire.RTCProfile{W: 1, H: 2, FPS: 3, VideoKbps: 4, AudioKbps: 5}},
		wire.RTCOffer:     &wire.RTCSDPBody{PC: "sub", Gen: 1, SDP: "v=0\r\n"},
		wire.RTCAnswer:    &wire.RTCSDPBody{PC: "pub", Gen: 2, SDP: "v=0\r\n"},
		wire.RTCICE:       &wire.RTCICEBody{PC: "pub", Gen: 1, Candidate: "candidate:1", Mid: "0", MLine: 1},
		wire.RTCRestart:   &wire.RTCRestartBody{PC: "sub", Fresh: true},
		wire.RTCMute:      &wire.RTCMuteBody{Kind: "mic", On: true, Epoch: 3},
		wire.RTCMove:      &wire.RTCMoveBody{Why: "drain"},
		wire.RTCFail:      &wire.RTCFailBody{Code: "rtc.bad_sdp", RetryMS: 1000},
		wire.RTCLevels:    &wire.RTCLevelsBody{Levels: map[string]int{"p": 42}},
		wire.RoomPhase:    &wire.RoomPhaseBody{Epoch: 3, Phase: "joint", Zone: "joint", CanHear: []string{"调解员丙"}, CanSee: []string{"调解员丙"}, Recording: true},
		wire.RoomMember:   &wire.RoomMemberBody{Members: []wire.RoomPerson{{Participant: "p", Name: "n", Role: "party", Attach: []string{"view", "capture"}, Present: true, MicMuted: true}}},
		wire.RoomChat:     &wire.RoomChatBody{Participant: "p", Name: "n", Text: "您好"},
		wire.ViewOpen:     &wire.ViewOpenBody{View: "devices", Unit: "150430", Chip: "online", Kind: "stb", Cursor: "c", Limit: 200},
		wire.SeatState:    &wire.NudgeBody{ID: "s", Ver: 1},
		wire.VisitClose:   &wire.NudgeBody{ID: "v", Ver: 1, Why: "idle"},
		wire.RoomEnded:    &wire.NudgeBody{ID: "m", Ver: 9, Why: "ended"},
		wire.RoomReady:    &wire.NudgeBody{ID: "m", Ver: 8},
		wire.OfferClosed:  &wire.NudgeBody{ID: "019d", Ver: 2, Why: "lapsed"},
		wire.TicketAnswer: nil,
	}
}

// vector is one frame as it travels.
type vector struct {
	Name  string          `json:"name"`
	Frame json.RawMessage `json:"frame"`
}

// TestGoldenVectors holds the encoding of every body; cmd/fleetsim and the screens' tests read the same file. A field
// that this build drops, renames or retypes fails here.
func TestGoldenVectors(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "vectors.json")
	var made []vector
	for typ, body := range bodies() {
		f := wire.Frame{T: typ, ID: 17, At: 1790000000123456}
		switch typ {
		case wire.Event, wire.Inventory, wire.LogMeta, wire.Cmd, wire.CmdStatus, wire.CmdCancel:
			f = wire.Frame{T: typ, Seq: 12} // durable
		case wire.Ack:
			f = wire.Frame{T: typ, Ack: 12} // nothing but the header
		default:
		}
		if body != nil {
			b, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			f.B = b
		}
		src, err := wire.Append(nil, &f)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, vector{typ.String(), src})
	}
	slices.SortFunc(made, func(a, b vector) int { return strings.Compare(a.Name, b.Name) })
	if *update {
		src, err := json.MarshalIndent(made, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(src, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	src, err := os.ReadFile(file) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	var kept []vector
	if err := json.Unmarshal(src, &kept); err != nil {
		t.Fatal(err)
	}
	for i := range kept {
		var b bytes.Buffer
		if err := json.Compact(&b, kept[i].Frame); err != nil {
			t.Fatal(err)
		}
		kept[i].Frame = b.Bytes()
	}
	if diff := cmp.Diff(asText(kept), asText(made)); diff != "" {
		t.Errorf("the encoding changed (-kept +made):\n%s", diff)
	}
	// what is decoded is what was encoded
	for _, v := range kept {
		var f wire.Frame
		if err := wire.Decode(v.Frame, &f); err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		want := bodies()[f.T]
		if want == nil {
			continue
		}
		got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
		if err := f.Body(got); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", v.Name, diff)
		}
	}
}

func asText(list []vector) map[string]string {
	out := map[string]string{}
	for _, v := range list {
		out[v.Name] = string(v.Frame)
	}
	return out
}

// FuzzDecode: no input breaks the decoder, and what it takes it writes and reads again as the same frame.
func FuzzDecode(f *testing.F) {
	src, err := os.ReadFile(filepath.Join("testdata", "vectors.json"))
	if err != nil {
		f.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(src, &list); err != nil {
		f.Fatal(err)
	}
	for _, v := range list {
		f.Add([]byte(v.Frame))
	}
	for _, s := range []string{``, `{}`, `null`, `{"v":1,"t":"nope","id":3,"flags":1}`, `{"v":1,"t":"ping","b":"x"}`, `{"v":1,"t":"ping"} {`, strings.Repeat(`{"b":`, 20)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var a, b wire.Frame
		if err := wire.Decode(src, &a); err != nil {
			var unknown *wire.UnknownTypeError
			if !errors.Is(err, wire.ErrBadField) && !errors.Is(err, wire.ErrTooDeep) && !errors.Is(err, wire.ErrVersion) {
				t.Fatalf("an error of another kind: %v", err)
			}
			if errors.As(err, &unknown) && len(unknown.Name) > 40 {
				t.Fatal("a long name is kept")
			}
			return
		}
		out, err := wire.Append(nil, &a)
		if err != nil {
			t.Fatalf("a decoded frame cannot be encoded: %v", err)
		}
		if err := wire.Decode(out, &b); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		again, err := wire.Append(nil, &b)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("%s became %s, %v", out, again, err)
		}
	})
}
