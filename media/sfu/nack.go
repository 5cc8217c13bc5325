package sfu

import (
	"time"

	"github.com/pion/rtcp"
)

// Rules of the upstream NACK generator (media.md §7.3).
const (
	nackLate    = 20 * time.Millisecond
	nackBehind  = 2   // packets that may overtake before a gap counts as loss
	nackTries   = 3   // requests for one packet
	nackMax     = 128 // gaps that are followed at once; more is a break, not loss
	rttAtStart  = 100 * time.Millisecond
	rttSmallest = 10 * time.Millisecond
)

type missing struct {
	ext   uint32
	since time.Time
	asked time.Time
	tries uint8
}

// Nacker decides which lost packets a publisher is asked for again.
type Nacker struct {
	list []missing // ascending ext
	rtt  time.Duration
}

// Got notes a packet; highest is the highest extended sequence number before it.
func (n *Nacker) Got(ext, highest uint32, now time.Time) {
	if gap := int32(ext - highest); gap > 1 {
		if gap > nackMax {
			n.list = n.list[:0]
			return
		}
		for e := highest + 1; e != ext; e++ {
			n.list = append(n.list, missing{ext: e, since: now})
		}
		if over := len(n.list) - nackMax; over > 0 {
			n.list = append(n.list[:0], n.list[over:]...)
		}
		return
	}
	for i, m := range n.list {
		if m.ext != ext {
			continue
		}
		if m.tries == 1 { // only one request: the answer belongs to it
			n.rtt = (7*n.RTT() + now.Sub(m.asked)) / 8
		}
		n.list = append(n.list[:i], n.list[i+1:]...)
		return
	}
}

// RTT returns the smoothed time between a request and its answer.
func (n *Nacker) RTT() time.Duration {
	if n.rtt == 0 {
		return rttAtStart
	}
	return max(n.rtt, rttSmallest)
}

// Due returns the pairs to ask for now, nil when there are none.
func (n *Nacker) Due(highest uint32, now time.Time) []rtcp.NackPair {
	if len(n.list) == 0 {
		return nil
	}
	var seqs []uint16
	kept := n.list[:0]
	for _, m := range n.list {
		late := now.Sub(m.since) >= nackLate || highest-m.ext >= nackBehind
		if late && (m.tries == 0 || now.Sub(m.asked) >= n.RTT()) {
			if m.tries == nackTries {
				continue // given up: a keyframe will have to repair it
			}
			m.tries++
			m.asked = now
			seqs = append(seqs, uint16(m.ext))
		}
		kept = append(kept, m)
	}
	n.list = kept
	if len(seqs) == 0 {
		return nil
	}
	return rtcp.NackPairsFromSequenceNumbers(seqs)
}

// Clear forgets all gaps.
func (n *Nacker) Clear() { n.list = n.list[:0] }
