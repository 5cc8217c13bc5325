package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// told is what a journal still has to tell, as "stream acked: kinds".
func told(t *testing.T, j *Journal) string {
	t.Helper()
	var kinds []string
	for _, e := range j.open {
		var b wire.EventBody
		ok(t, json.Unmarshal(e.body, &b))
		kinds = append(kinds, fmt.Sprintf("%d%s", e.seq, b.Kind))
	}
	return fmt.Sprintf("%d: %s", j.acked, strings.Join(kinds, " "))
}

func note(t *testing.T, j *Journal, kinds ...string) {
	t.Helper()
	for _, k := range kinds {
		ok(t, j.Write(wire.Event, wire.EventBody{Kind: k}))
	}
}

func welcome(stream string, acked uint64) *wire.WelcomeBody {
	return &wire.WelcomeBody{Down: &wire.DownBody{Stream: "d1", Next: 1}, Up: &wire.UpBody{Stream: stream, Acked: acked}}
}

func TestJournalOutlivesItsDevice(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "SN-1.jsonl")
	j, err := OpenJournal(path)
	ok(t, err)
	note(t, j, "a", "b", "c")
	ok(t, j.welcomed(welcome(j.stream, 0)))
	if n := len(j.unsent(time.Now())); n != 3 {
		t.Errorf("%d to send, want 3", n)
	}
	if n := len(j.unsent(time.Now())); n != 0 {
		t.Errorf("%d sent twice on one link", n)
	}
	ok(t, j.Ack(2))
	ok(t, j.Ack(1)) // late
	ok(t, j.Ack(9)) // of something else
	note(t, j, "d")
	stream := j.stream
	// killed: nobody closes it
	j, err = OpenJournal(path)
	ok(t, err)
	if got := told(t, j); got != "2: 3c 4d" || j.stream != stream || j.down != "d1" {
		t.Errorf("after a start: %s, stream kept: %v, down %q", got, j.stream == stream, j.down)
	}
	if p := j.Position(); *p != (wire.ResumeBody{Down: wire.StreamPos{Stream: "d1"}, Up: wire.StreamPos{Stream: stream, Seq: 2}}) {
		t.Errorf("position %+v", p)
	}
	ok(t, j.welcomed(welcome(stream, 3))) // an ack had been lost
	if got := told(t, j); got != "3: 4d" {
		t.Errorf("after the welcome: %s", got)
	}
}

func TestJournalAfterAPowerCut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "SN-1.jsonl")
	j, err := OpenJournal(path)
	ok(t, err)
	note(t, j, "a", "b")
	stream := j.stream
	src, err := os.ReadFile(path) //nolint:gosec // of this test
	ok(t, err)
	for name, tt := range map[string]struct {
		src  string
		want string
		same bool
	}{
		"cut in the last line":     {string(src[:len(src)-5]), "0: 1a", true},
		"cut before its end":       {string(src[:len(src)-1]), "0: 1a", true},
		"an entry is missing":      {strings.Join(append(strings.SplitAfter(string(src), "\n")[:1], strings.SplitAfter(string(src), "\n")[2:]...), ""), "0: ", false},
		"an ack of what never was": {string(src) + `{"seq":7}` + "\n", "0: ", false},
		"empty":                    {"", "0: ", false},
		"rubbish":                  {"\x00\x00\x00\n", "0: ", false},
	} {
		ok(t, os.WriteFile(path, []byte(tt.src), 0o600))
		j, err := OpenJournal(path)
		ok(t, err)
		if got := told(t, j); got != tt.want || (j.stream == stream) != tt.same {
			t.Errorf("%s: %s, same stream %v, want %s, %v", name, got, j.stream == stream, tt.want, tt.same)
		}
		ok(t, j.Close())
	}
}

func TestJournalThatIsAnOldCopy(t *testing.T) {
	t.Parallel()
	j := NewJournal()
	note(t, j, "a", "b", "c")
	ok(t, j.Ack(1))
	stream := j.stream
	if err := j.welcomed(welcome(stream, 9)); !errors.Is(err, errOldJournal) {
		t.Errorf("err = %v", err)
	}
	if got := told(t, j); got != "0: 1b 2c" || j.stream == stream {
		t.Errorf("%s, same stream %v", got, j.stream == stream)
	}
}

func TestJournalStaysSmallAndItsWindowIsSixteen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "SN-1.jsonl")
	j, err := OpenJournal(path)
	ok(t, err)
	for i := range uint64(40) {
		ok(t, j.Write(wire.Event, wire.EventBody{Kind: "long", Data: json.RawMessage(`{"x":"` + strings.Repeat("x", 20<<10) + `"}`)}))
		if i >= 20 {
			ok(t, j.Ack(i-19))
		}
	}
	if n := len(j.unsent(time.Now())); n != wire.MaxInFlight || len(j.open) != 20 {
		t.Errorf("%d may be sent of %d", n, len(j.open))
	}
	info, err := os.Stat(path)
	ok(t, err)
	if info.Size() > 800<<10 {
		t.Errorf("the file has %d bytes", info.Size())
	}
	again, err := OpenJournal(path)
	ok(t, err)
	if told(t, again) != told(t, j) || again.stream != j.stream {
		t.Errorf("reads as %.60s, want %.60s", told(t, again), told(t, j))
	}
}

// A service that takes everything and acks nothing: the device closes with 4009 and sends the same again on its next
// link; then one that acks: nothing is left.
func TestDeviceGivesALinkUpThatDoesNotAck(t *testing.T) {
	t.Parallel()
	type link struct {
		seqs []uint64
		code int
	}
	links := make(chan link, 2)
	upgrade := websocket.Upgrader{}
	served := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrade.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.Close() }()
		served++
		acks := served == 2
		var got link
		for {
			_, src, err := ws.ReadMessage()
			if ce, is := errors.AsType[*websocket.CloseError](err); is {
				got.code = ce.Code
			}
			if err != nil {
				links <- got
				return
			}
			var f wire.Frame
			if wire.Decode(src, &f) != nil || f.Seq == 0 {
				continue
			}
			got.seqs = append(got.seqs, f.Seq)
			if acks && f.Seq == 3 {
				b, _ := wire.Append(nil, &wire.Frame{T: wire.Ack, Ack: 3})
				_ = ws.WriteMessage(websocket.TextMessage, b)
			}
		}
	}))
	defer srv.Close()
	d, err := NewDevice("SN-1")
	ok(t, err)
	d.AckWithin = 300 * time.Millisecond
	note(t, d.Journal, "a", "b", "c")
	rnd := mrand.New(mrand.NewPCG(1, 1)) //nolint:gosec // of a test
	serve := func(ctx context.Context) int {
		l, err := DialLink(ctx, srv.URL, nil)
		ok(t, err)
		l.Welcome = *welcome(d.Journal.stream, 0)
		loss, err := d.serve(ctx, l, Life{Telemetry: time.Hour, Report: time.Hour, Rand: rnd})
		ok(t, err)
		return loss.Code
	}
	if code := serve(t.Context()); code != wire.CloseAckTimeout {
		t.Errorf("the first link ended with %d, want %d", code, wire.CloseAckTimeout)
	}
	if got := <-links; got.code != wire.CloseAckTimeout || fmt.Sprint(got.seqs) != "[1 2 3]" {
		t.Errorf("the service saw %+v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	go func() {
		defer cancel()
		for range time.Tick(5 * time.Millisecond) {
			if d.Journal.Position().Up.Seq == 3 {
				return
			}
		}
	}()
	serve(ctx)
	if got := <-links; fmt.Sprint(got.seqs) != "[1 2 3]" {
		t.Errorf("the second link brought %v", got.seqs)
	}
	if got := told(t, d.Journal); got != "3: " {
		t.Errorf("left: %s", got)
	}
}
