package sfu_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"heyi/media/sfu"
)

const (
	sourceSSRC = 111
	ownSSRC    = 222
)

func start() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

// wireTap is a subscriber's stream and a publisher's feedback line.
type wireTap struct {
	mu   sync.Mutex
	down bool // the stream is not up
	out  []rtp.Packet
	rtcp []rtcp.Packet
}

func (w *wireTap) WriteRTP(h *sfu.Header, payload []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return 0, nil
	}
	w.out = append(w.out, rtp.Packet{Header: *h, Payload: bytes.Clone(payload)})
	return len(payload) + 12, nil
}

func (w *wireTap) WriteRTCP(pkts []rtcp.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rtcp = append(w.rtcp, pkts...)
	return nil
}

func (w *wireTap) plis() (n int) {
	for _, p := range w.rtcp {
		if _, ok := p.(*rtcp.PictureLossIndication); ok {
			n++
		}
	}
	return n
}

func (w *wireTap) nacked() (seqs []uint16) {
	for _, p := range w.rtcp {
		if n, ok := p.(*rtcp.TransportLayerNack); ok {
			for _, pair := range n.Nacks {
				seqs = append(seqs, pair.PacketList()...)
			}
		}
	}
	return seqs
}

// vp8 is a one-packet picture with a 15-bit picture id and TL0PICIDX that carries n.
func vp8(n uint32, pid uint16, key bool) []byte {
	b := []byte{0x90, 0xc0, 0x80 | byte(pid>>8), byte(pid), byte(pid), 1}
	if key {
		b[5] = 0
	}
	return binary.BigEndian.AppendUint32(b, n)
}

func number(payload []byte) uint32 { return binary.BigEndian.Uint32(payload[len(payload)-4:]) }

type fixture struct {
	track *sfu.Track
	down  *sfu.Downtrack
	pub   *wireTap
	sub   *wireTap
	gen   uint32
	now   time.Time
}

func newFixture(codec sfu.Codec) *fixture {
	f := &fixture{track: sfu.NewTrack(sfu.CacheVideo), pub: &wireTap{}, sub: &wireTap{}, now: start()}
	f.source(codec)
	f.down = sfu.NewDowntrack(f.track, codec != sfu.Opus)
	f.down.Bind(f.sub, ownSSRC, sfu.PayloadTypes{sfu.Opus: 111, sfu.VP8: 96, sfu.H264: 102}, f.now)
	return f
}

func (f *fixture) source(codec sfu.Codec) {
	f.gen = f.track.SetSource(sfu.Source{SSRC: sourceSSRC, Codec: codec, Feedback: f.pub, SSRCSelf: 1})
}

func (f *fixture) send(codec sfu.Codec, seq uint16, ts uint32, payload []byte) {
	f.now = f.now.Add(time.Millisecond)
	f.track.Receive(f.gen, &sfu.Packet{SSRC: sourceSSRC, Seq: seq, Timestamp: ts, Marker: true, Payload: payload}, codec, f.now)
}

func (f *fixture) nack(seq uint16) {
	f.down.HandleRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: ownSSRC, Nacks: []rtcp.NackPair{{PacketID: seq}}}}, f.now)
}

func TestAClosedGateIsTheDefault(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.Opus)
	f.send(sfu.Opus, 1, 960, []byte{1})
	f.nack(1)
	f.down.HandleRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ownSSRC}}, f.now)
	if len(f.sub.out) != 0 || len(f.pub.rtcp) != 0 {
		t.Errorf("a closed gate let %d packets out and %d requests in", len(f.sub.out), len(f.pub.rtcp))
	}
}

func TestAnOpenedPictureStartsWithAKeyframeAskedForAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.VP8)
	f.send(sfu.VP8, 10, 0, vp8(1, 1, true))
	f.down.Open(f.now)
	if f.pub.plis() != 1 {
		t.Fatalf("keyframe requests = %d, want 1", f.pub.plis())
	}
	f.send(sfu.VP8, 11, 3000, vp8(2, 2, false))
	f.send(sfu.VP8, 12, 6000, vp8(3, 3, true))
	f.send(sfu.VP8, 13, 9000, vp8(4, 4, false))
	if len(f.sub.out) != 2 || number(f.sub.out[0].Payload) != 3 {
		t.Fatalf("sent %d packets, want 2 from the keyframe on", len(f.sub.out))
	}
	if h := f.sub.out[0].Header; h.PayloadType != 96 || h.SSRC != ownSSRC || h.Extension || !h.Marker {
		t.Errorf("header = %+v", h)
	}
}

func TestAKeyframeLostBeforeTheStreamIsUpIsNotTheStart(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.VP8)
	f.sub.down = true
	f.down.Open(f.now)
	f.send(sfu.VP8, 1, 0, vp8(1, 1, true))
	f.sub.down = false
	f.send(sfu.VP8, 2, 3000, vp8(2, 2, false))
	if len(f.sub.out) != 0 {
		t.Fatal("a picture began without its keyframe")
	}
	f.send(sfu.VP8, 3, 6000, vp8(3, 3, true))
	if len(f.sub.out) != 1 {
		t.Errorf("sent %d packets, want the keyframe", len(f.sub.out))
	}
}

func TestRetransmission(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.VP8)
	f.down.Open(f.now)
	f.send(sfu.VP8, 1, 0, vp8(1, 1, true))
	f.down.Close()
	f.source(sfu.VP8) // a new source: picture ids are rewritten from here on
	f.down.Open(f.now)
	for i := range uint16(10) {
		f.send(sfu.VP8, 500+i, 70000+3000*uint32(i), vp8(100+uint32(i), 9000+i, i == 0))
	}
	first := f.sub.out[5]
	f.nack(first.SequenceNumber)
	f.nack(first.SequenceNumber)
	if len(f.sub.out) != 12 {
		t.Fatalf("sent %d packets, want one answer to two requests within a round trip", len(f.sub.out)-11)
	}
	again := f.sub.out[11]
	if fmt.Sprint(first.Header) != fmt.Sprint(again.Header) || !bytes.Equal(first.Payload, again.Payload) {
		t.Errorf("retransmission differs:\n%v\n%v", first, again)
	}
	f.now = f.now.Add(time.Second)
	f.nack(first.SequenceNumber)
	if len(f.sub.out) != 13 {
		t.Error("no answer after a round trip")
	}
	f.nack(f.sub.out[0].SequenceNumber) // before the gate was closed
	f.nack(first.SequenceNumber + 100)  // never sent
	f.down.Close()
	f.now = f.now.Add(time.Second)
	f.nack(first.SequenceNumber)
	f.down.Open(f.now)
	f.nack(first.SequenceNumber)
	if len(f.sub.out) != 13 {
		t.Error("a request across a closed gate was answered")
	}
}

func TestRetransmissionsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.Opus)
	f.down.Open(f.now)
	for i := range uint16(160) {
		f.send(sfu.Opus, i, 960*uint32(i), []byte{1, 2, 3, 4})
	}
	all := func() { // asks for the newest 64 packets
		for i := uint16(96); i < 160; i++ {
			f.nack(f.sub.out[i].SequenceNumber)
		}
	}
	all()
	if got := len(f.sub.out) - 160; got != 40 {
		t.Errorf("answers after 160 packets in a second = %d, want a quarter", got)
	}
	for range 10 {
		f.now = f.now.Add(2 * time.Second)
		all()
	}
	again := map[uint16]int{}
	for _, p := range f.sub.out[160:] {
		if again[p.SequenceNumber]++; again[p.SequenceNumber] > 3 {
			t.Fatalf("packet %d was sent again four times", p.SequenceNumber)
		}
	}
}

func TestBarrierStopsLatePackets(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.Opus)
	f.down.Open(f.now)
	f.send(sfu.Opus, 1, 960, []byte{1, 2, 3, 4})
	f.send(sfu.Opus, 5, 4800, []byte{1, 2, 3, 4})
	f.down.Close()
	f.track.Barrier()
	f.down.Open(f.now)
	f.send(sfu.Opus, 4, 3840, []byte{1, 2, 3, 4}) // spoken in the old zone
	if len(f.sub.out) != 2 {
		t.Fatal("a late packet crossed the zone barrier")
	}
	f.send(sfu.Opus, 6, 5760, []byte{1, 2, 3, 4})
	if len(f.sub.out) != 3 || f.sub.out[2].SequenceNumber != f.sub.out[1].SequenceNumber+1 {
		t.Error("the first packet of the new zone is missing or looks like loss")
	}
}

func TestUpstreamLossIsAskedForThreeTimes(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.Opus)
	f.send(sfu.Opus, 65530, 0, []byte{1})
	for i := range uint16(4) {
		f.send(sfu.Opus, 65533+i, uint32(i), []byte{1}) // 65531 and 65532 are lost, numbers wrap
	}
	if got := fmt.Sprint(f.pub.nacked()); got != "[65531 65532]" {
		t.Fatalf("asked for %s", got)
	}
	f.send(sfu.Opus, 65531, 0, []byte{9})
	for i := range uint16(600) {
		f.send(sfu.Opus, 1+i, uint32(i), []byte{1})
	}
	if got := fmt.Sprint(f.pub.nacked()); got != "[65531 65532 65532 65532]" {
		t.Errorf("asked for %s", got)
	}
}

func TestEightJoinsMakeTwoKeyframeRequests(t *testing.T) {
	t.Parallel()
	var k sfu.KeyRequests
	sent := 0
	for i := range 8 {
		now := start().Add(time.Duration(i) * 60 * time.Millisecond)
		if k.Want(now, true) {
			sent++
		}
	}
	if sent != 2 {
		t.Errorf("requests in half a second = %d, want 2", sent)
	}
	if !k.Due(start().Add(time.Second)) || k.Due(start().Add(1100*time.Millisecond)) || !k.Due(start().Add(2*time.Second)) {
		t.Error("a wish is repeated after a second, not sooner")
	}
	k.Got()
	if k.Due(start().Add(time.Hour)) {
		t.Error("a keyframe clears the wish")
	}
}

func TestSenderReportsAreMapped(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.Opus)
	sr := &rtcp.SenderReport{SSRC: sourceSSRC, NTPTime: 7 << 32, RTPTime: 5000}
	f.send(sfu.Opus, 1, 960, []byte{1})
	f.track.SenderReport(f.gen, sr, f.now)
	if len(f.sub.rtcp) != 0 {
		t.Fatal("a report passed a closed gate")
	}
	f.down.Open(f.now)
	f.send(sfu.Opus, 2, 1920, []byte{1})
	f.source(sfu.Opus)
	f.send(sfu.Opus, 700, 90000, []byte{1})
	f.track.SenderReport(f.gen, &rtcp.SenderReport{SSRC: sourceSSRC, NTPTime: 8 << 32, RTPTime: 90960}, f.now)
	got, ok := f.sub.rtcp[0].(*rtcp.SenderReport)
	if !ok || got.SSRC != ownSSRC || got.RTPTime != f.sub.out[1].Timestamp+960 || got.PacketCount != 2 {
		t.Errorf("report = %+v", f.sub.rtcp[0])
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.Opus)
	for i, level := range []uint8{70, 30, 50} {
		f.track.Receive(f.gen, &sfu.Packet{SSRC: sourceSSRC, Seq: uint16(i), Level: level, HasLevel: true, Payload: []byte{1}}, sfu.Opus, f.now)
	}
	if got := f.track.TakeLevel(); got != 50 {
		t.Errorf("level = %d, want 50 for -30 dBov", got)
	}
	if got := f.track.TakeLevel(); got != 0 {
		t.Errorf("level = %d after it was taken", got)
	}
}

// TestForwarding drives a track with loss, disorder, gates and new sources and checks what the subscriber sees:
// one payload per sequence number (M2), no jumps but upstream loss, monotone timestamps (M3), a keyframe first (M4),
// nothing while the gate is closed (M1), rising picture ids.
func TestForwarding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := newFixture(sfu.VP8)
		seq := rapid.Uint16().Draw(t, "seq")
		ts, pid, n := rapid.Uint32().Draw(t, "ts"), uint16(rapid.IntRange(0, 1<<15-1).Draw(t, "pid")), uint32(0)
		forbidden := map[uint32]bool{} // numbers sent while the gate was closed
		var held []func()
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				f.down.Open(f.now)
			case 1:
				f.down.Close()
			case 2:
				seq, ts = rapid.Uint16().Draw(t, "seq"), rapid.Uint32().Draw(t, "ts")
				pid = uint16(rapid.IntRange(0, 1<<15-1).Draw(t, "pid"))
				held = nil
				f.source(sfu.VP8)
			case 3: // deliver late
				for _, h := range held {
					h()
				}
				held = nil
			case 4:
				if out := f.sub.out; len(out) > 0 {
					f.now = f.now.Add(200 * time.Millisecond)
					f.nack(out[rapid.IntRange(0, len(out)-1).Draw(t, "nack")].SequenceNumber)
				}
			default:
				n++
				no, s, time, payload := n, seq, ts, vp8(n, pid, rapid.IntRange(0, 3).Draw(t, "key") == 0)
				deliver := func() {
					if !f.down.IsOpen() {
						forbidden[no] = true
					}
					f.send(sfu.VP8, s, time, payload)
				}
				if rapid.IntRange(0, 5).Draw(t, "late") == 0 {
					held = append(held, deliver)
				} else {
					deliver()
				}
				seq, ts, pid = seq+1, ts+3000, pid+1
			}
		}
		check(t, f.sub.out, forbidden)
	})
}

func check(t *rapid.T, out []rtp.Packet, forbidden map[uint32]bool) {
	t.Helper()
	byOut, byNumber := map[uint16]rtp.Packet{}, map[uint32]uint16{}
	var newest rtp.Packet
	for i, p := range out {
		n := number(p.Payload)
		if forbidden[n] {
			t.Fatalf("packet %d crossed a closed gate", n)
		}
		if old, ok := byOut[p.SequenceNumber]; ok && (!bytes.Equal(old.Payload, p.Payload) || old.Timestamp != p.Timestamp) {
			t.Fatalf("sequence number %d has two payloads", p.SequenceNumber)
		}
		if s, ok := byNumber[n]; ok && s != p.SequenceNumber {
			t.Fatalf("packet %d was sent under two sequence numbers", n)
		}
		byOut[p.SequenceNumber], byNumber[n] = p, p.SequenceNumber
		if i == 0 {
			if p.Payload[5]&1 != 0 {
				t.Fatal("the first picture is no keyframe")
			}
			newest = p
			continue
		}
		step := int16(p.SequenceNumber - newest.SequenceNumber)
		if step <= 0 {
			continue
		}
		if int32(p.Timestamp-newest.Timestamp) <= 0 {
			t.Fatalf("timestamp %d after %d", p.Timestamp, newest.Timestamp)
		}
		if pid, old := pictureID(p), pictureID(newest); (pid-old)&0x7fff == 0 || (pid-old)&0x7fff >= 1<<14 {
			t.Fatalf("picture id %d after %d", pid, old)
		}
		if step > 100 {
			t.Fatalf("sequence number %d after %d", p.SequenceNumber, newest.SequenceNumber)
		}
		newest = p
	}
}

func pictureID(p rtp.Packet) uint16 { return binary.BigEndian.Uint16(p.Payload[2:]) & 0x7fff }

// TestNothingIsInFlightWhenCloseReturns runs writers against gates that close (with -race in make test).
func TestNothingIsInFlightWhenCloseReturns(t *testing.T) {
	t.Parallel()
	f := newFixture(sfu.Opus)
	var open atomic.Bool
	crossed := &crossing{open: &open}
	f.down.Bind(crossed, ownSSRC, sfu.PayloadTypes{sfu.Opus: 111}, f.now)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := uint32(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			// one packet a millisecond, as far as the rate guard can tell
			f.track.Receive(f.gen, &sfu.Packet{SSRC: sourceSSRC, Seq: uint16(i), Timestamp: i, Payload: []byte{1}}, sfu.Opus,
				start().Add(time.Duration(i)*time.Millisecond))
		}
	})
	wg.Go(func() {
		for i := uint32(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			f.down.HandleRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{
				MediaSSRC: ownSSRC, Nacks: []rtcp.NackPair{{PacketID: uint16(i), LostPackets: 0xffff}},
			}}, start().Add(time.Duration(i)*time.Second))
		}
	})
	for range 200 {
		open.Store(true)
		f.down.Open(start())
		before := crossed.n.Load()
		for crossed.n.Load() == before {
			runtime.Gosched()
		}
		f.down.Close()
		open.Store(false)
	}
	close(stop)
	wg.Wait()
	if crossed.bad.Load() > 0 || crossed.n.Load() == 0 {
		t.Errorf("%d of %d packets were written after Close had returned", crossed.bad.Load(), crossed.n.Load())
	}
}

type crossing struct {
	open   *atomic.Bool
	n, bad atomic.Int64
}

func (c *crossing) WriteRTP(*sfu.Header, []byte) (int, error) {
	c.n.Add(1)
	if !c.open.Load() {
		c.bad.Add(1)
	}
	return 1, nil
}

func (c *crossing) WriteRTCP([]rtcp.Packet) error { return nil }

type discard struct{}

func (discard) WriteRTP(_ *sfu.Header, payload []byte) (int, error) { return len(payload) + 12, nil }
func (discard) WriteRTCP([]rtcp.Packet) error                       { return nil }

// forwarder returns a function that takes one VP8 packet of 1,100 bytes through a track with two subscribers.
func forwarder(tb testing.TB) func() {
	tb.Helper()
	track := sfu.NewTrack(sfu.CacheVideo)
	gen := track.SetSource(sfu.Source{SSRC: sourceSSRC, Codec: sfu.VP8, Feedback: discard{}})
	for range 2 {
		d := sfu.NewDowntrack(track, true)
		d.Bind(discard{}, ownSSRC, sfu.PayloadTypes{sfu.VP8: 96}, start())
		d.Open(start())
	}
	raw, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: sourceSSRC, PayloadType: 96}, Payload: make([]byte, 1100)}).Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	raw[12] = 0x10
	now := start()
	var p sfu.Packet
	seq := uint16(0)
	return func() {
		seq++
		now = now.Add(time.Millisecond)
		binary.BigEndian.PutUint16(raw[2:], seq)
		binary.BigEndian.PutUint32(raw[4:], uint32(seq)*90)
		if !p.Parse(raw, sfu.ExtIDs{}) {
			tb.Fatal("not parsed")
		}
		track.Receive(gen, &p, sfu.VP8, now)
	}
}

func TestForwardingAllocatesNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts the whole process
	step := forwarder(t)
	for range 600 { // fill the cache, pass the first reports
		step()
	}
	if n := testing.AllocsPerRun(400, step); n >= 0.5 { // one reception report a second is not per packet
		t.Errorf("allocations per packet = %v, want 0", n)
	}
}

func BenchmarkForward(b *testing.B) {
	step := forwarder(b)
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}
