package sfu

import "time"

// Times of keyframe requests (media.md §7.4). A keyframe costs the publisher about ten ordinary frames.
const (
	keyEvery = 500 * time.Millisecond
	keyAgain = time.Second
)

// KeyRequests coalesces the wishes of all subscribers of a track for a keyframe.
type KeyRequests struct {
	last     time.Time
	wanted   bool // a wish is open: no keyframe since
	unsent   bool // the open wish has not gone out
	bypassed bool // an urgent wish has gone out inside the running window
}

// Want notes a wish and reports whether to ask the publisher now. An urgent one (a gate has opened, a subscriber has
// come) passes the interval once.
func (k *KeyRequests) Want(now time.Time, urgent bool) bool {
	k.wanted = true
	since := now.Sub(k.last)
	switch {
	case k.last.IsZero() || since >= keyEvery:
		k.bypassed = false
	case urgent && !k.bypassed:
		k.bypassed = true
	default:
		k.unsent = true
		return false
	}
	k.last, k.unsent = now, false
	return true
}

// Due reports whether an open wish is to be sent (again) now.
func (k *KeyRequests) Due(now time.Time) bool {
	if !k.wanted {
		return false
	}
	since := now.Sub(k.last)
	if since < keyEvery || (!k.unsent && since < keyAgain) {
		return false
	}
	k.last, k.unsent, k.bypassed = now, false, false
	return true
}

// Got notes a keyframe: it satisfies every wish.
func (k *KeyRequests) Got() { k.wanted, k.unsent = false, false }
