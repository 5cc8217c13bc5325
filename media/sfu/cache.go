package sfu

// Sizes of the packet cache of a published track: 1.7 seconds of 1.4 Mbit/s video, 2 of speech. A lost packet is asked
// for three times within one second or never.
const (
	CacheVideo = 256
	CacheAudio = 100
)

// Cache keeps the newest packets of one published track for retransmissions. Entries never change: a sequence number
// that is already held is refused, so one (SSRC, sequence number) has one payload (M2).
type Cache struct {
	slots []cached
}

type cached struct {
	buf    []byte
	ts     uint32
	ext    uint32
	marker bool
	used   bool
}

// NewCache returns a cache of size packets.
func NewCache(size int) *Cache { return &Cache{slots: make([]cached, size)} }

// Put copies a packet in. It reports false for one that is held already or older than what its place holds.
func (c *Cache) Put(ext, ts uint32, marker bool, payload []byte) bool {
	s := &c.slots[int(ext)%len(c.slots)]
	if s.used && int32(ext-s.ext) <= 0 {
		return false
	}
	if cap(s.buf) < len(payload) {
		s.buf = make([]byte, (len(payload)+127)&^127)
	}
	s.buf = s.buf[:len(payload)]
	copy(s.buf, payload)
	s.ext, s.ts, s.marker, s.used = ext, ts, marker, true
	return true
}

// Get appends the payload of a packet to dst; ok is false when it is not held.
func (c *Cache) Get(ext uint32, dst []byte) (payload []byte, ts uint32, marker, ok bool) {
	s := &c.slots[int(ext)%len(c.slots)]
	if !s.used || s.ext != ext {
		return dst, 0, false, false
	}
	return append(dst, s.buf...), s.ts, s.marker, true
}

// Clear forgets every packet; the buffers stay for reuse.
func (c *Cache) Clear() {
	for i := range c.slots {
		c.slots[i].used = false
	}
}
