package rtc_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtp"

	"heyi/media"
	"heyi/media/rtc"
)

// BenchmarkForward measures one decrypted VP8 packet of 1,100 bytes on its way to two subscribers: parse, cache,
// gates, rewriting, encryption and two datagrams on loopback. The subscribers are real; their work is not counted in
// allocations of the forwarding path but shares the machine.
func BenchmarkForward(b *testing.B) {
	now := time.Now()
	e := newBench(b, func(c *rtc.Config) { c.Now = func() time.Time { return now } })
	spec := room(media.ZoneJoint)
	spec.Members = append(spec.Members, member("li", media.RoleParty, media.ZoneJoint, media.AttachFull))
	e.apply(b, spec)
	ming := e.join(b, ticket("ming", media.AttachFull))
	ming.connect()
	subs := []*client{e.join(b, ticket("wang", media.AttachFull)), e.join(b, ticket("li", media.AttachFull))}
	for _, s := range subs {
		s.discard = true
	}
	ming.until("seen by two", func() bool { return len(e.Gates("room")) >= 4 })
	inject, ssrc := e.Injector(b.Context(), "room", "ming", media.Cam)
	raw, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: ssrc, PayloadType: 96}, Payload: make([]byte, 1100)}).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	raw[12] = 0x10
	seq := uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		seq++
		now = now.Add(time.Millisecond)
		binary.BigEndian.PutUint16(raw[2:], seq)
		binary.BigEndian.PutUint32(raw[4:], uint32(seq)*90)
		inject(raw)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/forwarded")
	if e.Dropped() > uint64(b.N) {
		b.Errorf("dropped %d of %d datagrams", e.Dropped(), 2*b.N)
	}
}
