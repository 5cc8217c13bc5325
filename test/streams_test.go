package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
)

// box is a terminal with a journal in memory.
type box struct {
	*terminal
	down   string
	stream string
	acked  uint64
	events []string // entry seq stands at seq-1
}

// resume brings the link up and says where the journal stands.
func (b *box) resume() (*link, wire.WelcomeBody) {
	b.n.t.Helper()
	l, ch := b.n.dial()
	var f wire.Frame
	var body wire.ConnectBody
	if err := wire.Decode(b.connectFrame(ch), &f); err != nil {
		b.n.t.Fatal(err)
	}
	if err := f.Body(&body); err != nil {
		b.n.t.Fatal(err)
	}
	body.Resume = &wire.ResumeBody{Down: wire.StreamPos{Stream: b.down}, Up: wire.StreamPos{Stream: b.stream, Seq: b.acked}}
	l.frame(wire.Frame{T: wire.Connect}, body)
	var w wire.WelcomeBody
	l.expect(wire.Welcome, &w)
	b.access, b.down, b.acked = w.Access.Token, w.Down.Stream, w.Up.Acked
	return l, w
}

func (l *link) frame(f wire.Frame, body any) {
	l.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		l.t.Fatal(err)
	}
	f.B = b
	src, err := wire.Append(nil, &f)
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(websocket.TextMessage, src)
}

// note writes something down.
func (b *box) note(n int) {
	for range n {
		b.events = append(b.events, fmt.Sprintf("e%d", len(b.events)+1))
	}
}

// send sends the entries from..to.
func (b *box) send(l *link, from, to uint64) {
	b.n.t.Helper()
	for seq := from; seq <= to; seq++ {
		l.frame(wire.Frame{T: wire.Event, Seq: seq}, wire.EventBody{Kind: b.events[seq-1], Data: json.RawMessage(`{}`)})
	}
}

// await reads until an entry is acked.
func (b *box) await(l *link, seq uint64) {
	b.n.t.Helper()
	for b.acked < seq {
		f, code := l.read()
		if code != 0 {
			b.n.t.Fatalf("closed with %d, acked %d of %d", code, b.acked, seq)
		}
		b.acked = max(b.acked, f.Ack)
	}
}

// Links die in the middle of the stream, with and without the node: every frame is stored once and in order.
func TestAJournalArrivesOnceWhateverBreaks(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t)
	cfg.Link.Rate, cfg.Link.Burst = 1000, 1000
	n := start(t, cfg)
	b := &box{terminal: n.claim(), stream: "journal-1"}

	l, w := b.resume()
	if w.Resumed || w.Gap || w.Up.Acked != 0 || !slices.Contains(w.Want, "inventory") {
		t.Errorf("first welcome %+v", w)
	}
	b.note(40)
	b.send(l, 1, 16)
	b.await(l, 16)
	b.send(l, 17, 24)
	_ = l.ws.UnderlyingConn().Close() // no close frame; what was on its way may have come or not

	l, w = b.resume()
	if !w.Resumed || w.Gap || w.Up.Acked < 16 || w.Up.Acked > 24 {
		t.Errorf("after a broken line: %+v", w)
	}
	b.send(l, max(w.Up.Acked, 1), w.Up.Acked+8) // one of them is there already
	b.await(l, w.Up.Acked+8)
	b.send(l, b.acked+1, b.acked+3)
	n.stop() // the node goes and comes back

	b.n = start(t, cfg)
	l, w = b.resume()
	if !w.Resumed || w.Gap {
		t.Errorf("after a restart: %+v", w)
	}
	for b.acked < 40 {
		to := min(b.acked+wire.MaxInFlight, 40)
		b.send(l, b.acked+1, to)
		b.await(l, to)
	}
	doc := json.RawMessage(`{"tier":"A"}`)
	l.frame(wire.Frame{T: wire.Inventory, Seq: 41}, wire.InventoryBody{Hash: wire.DocumentHash(doc), Document: doc})
	b.await(l, 41)

	// a newer link of the same box: the older one's frames change nothing
	newer, w := b.resume()
	if w.Up.Acked != 41 {
		t.Errorf("acked %d, want 41", w.Up.Acked)
	}
	l.frame(wire.Frame{T: wire.Event, Seq: 42}, wire.EventBody{Kind: "late"})
	if code := l.closed(); code != wire.CloseSuperseded {
		t.Errorf("the older link: closed with %d", code)
	}
	b.events = append(b.events, "inventory", "last")
	b.send(newer, 42, 42)
	b.await(newer, 42)

	var page struct {
		Inventory *struct{ Hash string }
		Reports   []struct{ Kind string }
	}
	a := b.n.signIn("yunwei").do(http.MethodGet, "/devices/"+b.id, nil)
	if a.into(t, &page); a.status != http.StatusOK {
		t.Fatalf("the device's page: %d %s", a.status, a.body)
	}
	var kinds []string
	for _, r := range slices.Backward(page.Reports) {
		kinds = append(kinds, r.Kind)
	}
	want := append(slices.Clone(b.events[:40]), "last")
	if !slices.Equal(kinds, want) {
		t.Errorf("reports %v\nwant %v", kinds, want)
	}
	if page.Inventory == nil || page.Inventory.Hash != wire.DocumentHash(doc) {
		t.Errorf("inventory %+v", page.Inventory)
	}
}
