package sfu

import "sync/atomic"

// Totals count what passes the tracks that add to them. They only grow, so that what a room counted is not lost with
// the room. Safe for concurrent use.
type Totals struct {
	In        atomic.Uint64 // packets accepted from publishers
	Refused   atomic.Uint64 // packets of publishers that were late, doubled, too many, or from before a zone began
	Out       atomic.Uint64 // packets sent to subscribers, resent ones included
	Resent    atomic.Uint64
	NacksIn   atomic.Uint64 // packets that subscribers miss and asked for
	NacksOut  atomic.Uint64 // requests for missing packets to publishers
	PLIsIn    atomic.Uint64 // keyframe requests of subscribers
	Keyframes atomic.Uint64 // keyframe requests to publishers
}

// AddTo makes the track, and its downtracks, add to totals that several tracks share. Call it before any other method.
func (t *Track) AddTo(totals *Totals) { t.totals = totals }
