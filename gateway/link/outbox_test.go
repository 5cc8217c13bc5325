package link

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"heyi/gateway/wire"
	"heyi/internal/fault"
)

// full is a link whose writer never gets a turn.
func full(limit int) *conn {
	c := &conn{hub: &Hub{cfg: Config{SendBuffer: limit}, m: newMetrics(nil), resync: newDirty[*conn, struct{}]()}}
	c.out.busy = true
	return c
}

func (o *outbox) words() []string {
	var out []string
	for _, it := range o.queue {
		out = append(out, string(it.data))
	}
	return out
}

func TestOutboxMergesNudges(t *testing.T) {
	t.Parallel()
	c := full(1 << 20)
	nudge := func(typ wire.Type, id string, ver int64) {
		c.send(item{t: typ, key: id, ver: ver, data: fmt.Appendf(nil, "%s %s %d", typ, id, ver)})
	}
	nudge(wire.TicketState, "t1", 1)
	nudge(wire.OfferNew, "o1", 1)
	nudge(wire.TicketState, "t1", 3)
	nudge(wire.TicketState, "t1", 2) // older than what waits
	nudge(wire.TicketState, "t2", 1)
	nudge(wire.SeatState, "t1", 1) // another thing about the same id
	want := []string{"ticket.state t1 3", "offer.new o1 1", "ticket.state t2 1", "seat.state t1 1"}
	if got := c.out.words(); !slices.Equal(got, want) {
		t.Errorf("queue %v, want %v", got, want)
	}
	size := 0
	for _, w := range want {
		size += len(w)
	}
	if c.out.bytes != size {
		t.Errorf("%d bytes counted, want %d", c.out.bytes, size)
	}
}

func TestOutboxShedsInOrder(t *testing.T) {
	t.Parallel()
	c := full(40)
	put := func(it item, word string) {
		it.data = []byte(word + strings.Repeat(".", 10-len(word)))
		c.send(it)
	}
	got := func() string {
		var w []string
		for _, s := range c.out.words() {
			w = append(w, strings.TrimRight(s, "."))
		}
		return strings.Join(w, " ")
	}
	put(item{t: wire.TicketState, key: "a"}, "nudge1")
	put(item{t: wire.RTCLevels}, "level1")
	put(item{t: wire.RTCLevels}, "level2")
	put(item{t: wire.RTCOffer}, "offer")
	put(item{t: wire.RTCAnswer}, "answer")
	if want := "nudge1 level2 offer answer"; got() != want {
		t.Fatalf("E first, oldest first: %q, want %q", got(), want)
	}
	put(item{t: wire.Sync}, "sync")
	if want := "nudge1 offer answer sync"; got() != want {
		t.Fatalf("all E before nudges: %q, want %q", got(), want)
	}
	put(item{t: wire.Pong}, "pong")
	if want := "offer answer sync pong"; got() != want || !c.out.gap {
		t.Fatalf("then nudges: %q, want %q, gap %v", got(), want, c.out.gap)
	}
	// the rest may not be dropped, and a nudge is repaired by a sync
	for range 4 {
		if _, ok := c.out.pop(c); !ok {
			t.Fatal("the queue is short")
		}
	}
	if _, ok := c.out.pop(c); ok || len(c.hub.resync.keys) != 1 || c.out.gap {
		t.Errorf("no sync follows a dropped nudge")
	}
}

func TestBucket(t *testing.T) {
	t.Parallel()
	const second = int64(1e9)
	b := bucket{perS: 20, most: 60, level: 60}
	take := func(now int64) (n int) {
		for b.take(now) {
			n++
		}
		return n
	}
	for _, tt := range []struct {
		at   int64
		want int
	}{{0, 60}, {second / 10, 2}, {second/10 + 1, 0}, {100 * second, 60}, {99 * second, 0}, {101 * second, 20}} {
		if got := take(tt.at); got != tt.want {
			t.Errorf("at %d: %d tokens, want %d", tt.at, got, tt.want)
		}
	}
}

func TestWireErrorNumbers(t *testing.T) {
	t.Parallel()
	for kind, want := range map[uint8]int{0: 100, 1: 107, 2: 101, 3: 103, 4: 105, 5: 110, 6: 112, 7: 109, 8: 111, 9: 113, 10: 115, 11: 118, 12: 108} {
		if got := number(fault.Kind(kind)); got != want {
			t.Errorf("kind %s: %d, want %d", fault.Kind(kind), got, want)
		}
	}
}
