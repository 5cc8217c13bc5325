package link_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"heyi/gateway/link"
	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/ident"
)

// thin is a websocket client of almost no memory: a socket, and nothing between frames (RFC 6455 §5.2; its mask key is
// zero, which changes nothing).
type thin struct{ net.Conn }

func dialThin(tb testing.TB, addr string) thin {
	tb.Helper()
	c, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	req := "GET /ws/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + wire.Subprotocol + "\r\n\r\n"
	if _, err := io.WriteString(c, req); err != nil {
		tb.Fatal(err)
	}
	return thin{c}
}

// upgraded reads the answer to the upgrade.
func upgraded(tb testing.TB, r *bufio.Reader) {
	tb.Helper()
	for first := true; ; first = false {
		line, err := r.ReadString('\n')
		if err != nil {
			tb.Fatal(err)
		}
		if first && !strings.HasPrefix(line, "HTTP/1.1 101") {
			tb.Fatal(line)
		}
		if line == "\r\n" {
			return
		}
	}
}

func (c thin) read(tb testing.TB, r io.Reader) wire.Frame {
	tb.Helper()
	var h [4]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		tb.Fatal(err)
	}
	n := int(h[1])
	if n == 126 {
		if _, err := io.ReadFull(r, h[2:]); err != nil {
			tb.Fatal(err)
		}
		n = int(binary.BigEndian.Uint16(h[2:]))
	}
	src := make([]byte, n)
	if _, err := io.ReadFull(r, src); err != nil {
		tb.Fatal(err)
	}
	if h[0] == 0x89 { // a server ping
		return c.read(tb, r)
	}
	if h[0] != 0x81 {
		tb.Fatalf("a frame of kind %x: %q", h[0], src)
	}
	var f wire.Frame
	if err := wire.Decode(src, &f); err != nil {
		tb.Fatal(err)
	}
	return f
}

func (c thin) send(tb testing.TB, f wire.Frame, body any) {
	tb.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	f.B = b
	src, err := wire.Append(nil, &f)
	if err != nil {
		tb.Fatal(err)
	}
	head := []byte{0x81, 0x80 | byte(len(src))}
	if len(src) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(src)))
	}
	if _, err := c.Write(append(append(head, 0, 0, 0, 0), src...)); err != nil {
		tb.Fatal(err)
	}
}

func (c thin) login(tb testing.TB, d *device) {
	tb.Helper()
	r := bufio.NewReaderSize(c, 1024) // not kept: after the welcome nothing is left in it
	upgraded(tb, r)
	var ch wire.ChallengeBody
	f := c.read(tb, r)
	if err := f.Body(&ch); err != nil {
		tb.Fatal(err)
	}
	c.send(tb, wire.Frame{T: wire.Connect}, d.connect(tb, ch))
	if f := c.read(tb, r); f.T != wire.Welcome || r.Buffered() > 0 {
		tb.Fatalf("got %s", f.T)
	}
}

// fill opens n links, some at a time, and returns their sockets.
func (w *world) fill(tb testing.TB, n int) []thin {
	tb.Helper()
	addr := strings.TrimPrefix(w.srv.URL, "http://")
	out := make([]thin, n)
	devices := make([]*device, n)
	for i := range devices {
		devices[i] = w.enrol(newDevice(tb, "ed25519"))
	}
	var wg sync.WaitGroup
	for lane := range 32 {
		wg.Go(func() {
			for i := lane; i < n; i += 32 {
				out[i] = dialThin(tb, addr)
				out[i].login(tb, devices[i])
			}
		})
	}
	wg.Wait()
	tb.Cleanup(func() {
		for _, c := range out {
			_ = c.Close()
		}
	})
	return out
}

func memory() uint64 {
	runtime.GC()
	runtime.GC() // the second one empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// perLinkMax is what an idle link may take in this process in bytes, both ends' sockets included. The floor of
// performance.md counts 10 kB a link as resident memory with the kernel's part left out.
const perLinkMax = 10_000

func unlimited() link.Config {
	return link.Config{PendingMax: 1 << 20, NodePerS: 1 << 20, AddrPerS: 1 << 20, AddrBurst: 1 << 20}
}

// TestMemoryPerLink is not parallel: it measures the whole process.
func TestMemoryPerLink(t *testing.T) {
	const n = memoryLinks
	w := setup(t, unlimited())
	w.fill(t, 64) // pools, workers, tables
	before := memory()
	links := w.fill(t, n)
	idle := memory()
	// traffic both ways through every link: what it leaves behind stays with the link
	for _, c := range links {
		c.send(t, wire.Frame{T: wire.Ping, ID: 1}, struct{}{})
		if f := c.read(t, c); f.T != wire.Pong {
			t.Fatalf("got %s", f.T)
		}
	}
	after := memory()
	per := func(m uint64) int { return int(m-before) / n }
	t.Logf("%d links: %d bytes a link idle, %d after traffic (heap and stacks, both ends)", n, per(idle), per(after))
	if most := perLinkMax * raceFactor; per(after) > most {
		t.Errorf("%d bytes a link, want at most %d", per(after), most)
	}
}

func BenchmarkConnect(b *testing.B) {
	w := setup(b, unlimited())
	addr := strings.TrimPrefix(w.srv.URL, "http://")
	devices := make([]*device, 256)
	for i := range devices {
		devices[i] = w.enrol(newDevice(b, "ed25519"))
	}
	next := make(chan *device, len(devices))
	for _, d := range devices {
		next <- d
	}
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d := <-next
			c := dialThin(b, addr)
			c.login(b, d)
			_ = c.Close()
			next <- d
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "connects/s")
}

func BenchmarkRoundTrip(b *testing.B) {
	w := setup(b, link.Config{PerS: 1 << 30, Burst: 1 << 30})
	c := w.fill(b, 1)[0]
	r := bufio.NewReader(c)
	b.ReportAllocs()
	for b.Loop() {
		c.send(b, wire.Frame{T: wire.Ping, ID: 1}, struct{}{})
		if f := c.read(b, r); f.T != wire.Pong {
			b.Fatal(f.T)
		}
	}
}

func BenchmarkNudge(b *testing.B) {
	const n = 500
	w := setup(b, unlimited())
	links := w.fill(b, n)
	var ids []ident.DeviceID
	w.mu.Lock()
	for id := range w.devices {
		ids = append(ids, id)
	}
	w.mu.Unlock()
	readers := make([]*bufio.Reader, n)
	for i := range links {
		readers[i] = bufio.NewReaderSize(links[i], 512)
	}
	round := 0
	for b.Loop() {
		round++
		for _, id := range ids {
			w.nudges.Publish(b.Context(), coord.Nudge{To: "device/" + string(id), T: wire.TicketState, ID: fmt.Sprint(round), Ver: 1})
		}
		for i := range links {
			links[i].read(b, readers[i])
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "nudges/s")
}
