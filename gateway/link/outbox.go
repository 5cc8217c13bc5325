package link

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
)

// item is one message that waits to be written.
type item struct {
	t    wire.Type
	msg  int    // websocket message type; 0 is text
	key  string // nudges: what changed; a newer version replaces one that waits
	ver  int64
	data []byte
}

func (it item) kind() int {
	if it.msg == 0 {
		return websocket.TextMessage
	}
	return it.msg
}

// class is how a frame fares when its link is slow (docs of the link protocol, §9).
type class uint8

const (
	classKept  class = iota // link control, answers, media signalling: never dropped
	classNudge              // merged per id, dropped after all E; a sync repairs it
	classE                  // latest wins, dropped first
)

func (it item) class() class {
	switch it.t {
	case wire.RTCLevels, wire.RTCStats, wire.Telemetry:
		return classE
	default:
	}
	if it.key != "" {
		return classNudge
	}
	return classKept
}

// outbox holds what waits for one link, at most SendBuffer bytes. One goroutine at a time writes.
type outbox struct {
	mu      sync.Mutex
	queue   []item
	bytes   int
	busy    bool // somebody writes
	over    bool // takes nothing more; the close frame stands last in the queue, or was written
	stopped bool // the link has ended: nobody starts to write
	gap     bool // a nudge was dropped; a sync follows when the queue is empty
	code    int  // close code, 0 when the peer ended the link
}

// put appends an item and, with start, sees that somebody writes it.
func (o *outbox) put(c *conn, it item, start bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over || o.stopped {
		return
	}
	if o.merge(it) {
		c.hub.m.dropped("merged")
		return
	}
	o.queue = append(o.queue, it)
	o.bytes += len(it.data)
	if o.bytes > c.hub.cfg.SendBuffer && !o.shed(c) {
		// nothing may be dropped any more: the peer does not read
		o.over, o.code = true, wire.CloseSlowConsumer
		_ = c.ws.Close()
		return
	}
	if start {
		o.start(c)
	}
}

// start makes a goroutine that writes, when nobody does. The link waits for it in end.
func (o *outbox) start(c *conn) {
	if o.busy || o.stopped {
		return
	}
	o.busy = true
	c.writer.Go(c.write)
}

// kick sees that what waits is written.
func (o *outbox) kick(c *conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) > 0 && !o.over {
		o.start(c)
	}
}

// merge lets a nudge take the place of an older one about the same thing.
func (o *outbox) merge(it item) bool {
	if it.class() != classNudge {
		return false
	}
	i := slices.IndexFunc(o.queue, func(w item) bool { return w.t == it.t && w.key == it.key })
	if i < 0 {
		return false
	}
	if it.ver >= o.queue[i].ver {
		o.bytes += len(it.data) - len(o.queue[i].data)
		o.queue[i] = it
	}
	return true
}

// shed drops the oldest E frames, then the oldest nudges, until the rest fits.
func (o *outbox) shed(c *conn) bool {
	for _, cl := range []class{classE, classNudge} {
		o.queue = slices.DeleteFunc(o.queue, func(it item) bool {
			if o.bytes <= c.hub.cfg.SendBuffer || it.class() != cl {
				return false
			}
			o.bytes -= len(it.data)
			if cl == classNudge {
				o.gap = true
				c.hub.m.dropped("nudge")
			} else {
				c.hub.m.dropped("ephemeral")
			}
			return true
		})
	}
	return o.bytes <= c.hub.cfg.SendBuffer
}

// close puts the close frame behind what waits and takes nothing more.
func (o *outbox) close(c *conn, code int, reason string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over || o.stopped {
		return false
	}
	o.over, o.code = true, code
	o.queue = append(o.queue, item{msg: websocket.CloseMessage, data: websocket.FormatCloseMessage(code, reason[:min(len(reason), 120)])})
	o.start(c)
	return true
}

// fail drops everything; who writes now finds an empty queue. It reports whether code is the one that ends the link.
func (o *outbox) fail(code int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue, o.bytes = nil, 0
	if o.over {
		return false
	}
	o.over, o.code = true, code
	return true
}

// empty takes back what waits.
func (o *outbox) empty() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue, o.bytes = nil, 0
}

// stop ends the outbox for good and returns the close code.
func (o *outbox) stop() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over, o.stopped = true, true
	o.queue, o.bytes = nil, 0
	return o.code
}

func (o *outbox) closed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.over
}

// waiting reports whether the link still has something to write.
func (o *outbox) waiting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.busy || len(o.queue) > 0
}

// claim takes the writing over; false when there is nothing to write or somebody writes.
func (o *outbox) claim() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy || o.stopped || len(o.queue) == 0 {
		return false
	}
	o.busy = true
	return true
}

// pop returns the next item; false ends the writing.
func (o *outbox) pop(c *conn) (item, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		o.queue, o.busy = nil, false // an idle link holds no array
		if o.gap {
			o.gap = false
			c.hub.resync.mark(c, struct{}{})
		}
		return item{}, false
	}
	it := o.queue[0]
	o.queue[0] = item{}
	o.queue = o.queue[1:]
	o.bytes -= len(it.data)
	return it, true
}

// pingItem is a server ping that carries its instant.
func pingItem(now int64) item {
	return item{msg: websocket.PingMessage, data: binary.BigEndian.AppendUint64(nil, uint64(now))}
}

func pingStamp(data string) (int64, bool) {
	if len(data) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64([]byte(data))), true
}
