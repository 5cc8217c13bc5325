package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// The durable streams of a device (docs/protocol.md §4, "Streams"): down goes to the device, up comes from it. A frame
// of a stream carries seq, rising by one from 1; the header ack of the other side covers every seq up to it.

// MaxInFlight is the most frames of one stream that may be sent and not yet acked.
const MaxInFlight = 16

// MaxInventory bounds the text of an inventory frame, in bytes; other frames are bounded by the link's limits.
const MaxInventory = 256 << 10

// ResumeBody says in connect where a device stands in both streams.
type ResumeBody struct {
	Down StreamPos `json:"down"` // last frame that the device has processed; no stream: it knows none yet
	Up   StreamPos `json:"up"`   // last frame of its own that it knows to be acked: its journal begins behind it
}

// StreamPos is a position in a stream. The id names the journal or outbox itself: after it was lost there is another.
type StreamPos struct {
	Stream string `json:"stream,omitempty"`
	Seq    uint64 `json:"seq,omitempty"`
}

// DownBody says in welcome which stream the server sends and from where.
type DownBody struct {
	Stream string `json:"stream"`
	Next   uint64 `json:"next"`
	Tail   uint64 `json:"tail,omitempty"` // last frame that waits already: the device starts nothing before it has it
}

// UpBody says in welcome up to where the server has the device's own stream.
type UpBody struct {
	Stream string `json:"stream"`
	Acked  uint64 `json:"acked"`
}

// EventBody is something that happened at a device, kept until the server has it. It holds no personal data.
type EventBody struct {
	Kind       string          `json:"kind"`                  // boot, network_changed, page_error ...: lower case, digits, "_"
	HappenedAt int64           `json:"happened_at,omitempty"` // the device's clock, advisory
	Data       json.RawMessage `json:"data,omitempty"`        // an object
}

// InventoryBody is what a device consists of.
type InventoryBody struct {
	Hash     string          `json:"hash"`     // DocumentHash of Document
	Document json.RawMessage `json:"document"` // an object
}

// DocumentHash is the hex SHA-256 of a document's bytes as they travel.
func DocumentHash(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}
