package rtc

import (
	"context"
	"fmt"
	"strings"

	"heyi/internal/ident"
	"heyi/media"
)

// Injector returns a function that takes a decrypted packet as if a publisher's connection had brought it, and the
// SSRC of that publisher's track. The publisher must be silent.
func (e *Engine) Injector(ctx context.Context, id ident.RoomID, p ident.ParticipantID, kind media.Kinds) (rtp func([]byte), ssrc uint32) {
	r, err := e.room(id)
	if err != nil {
		return nil, 0
	}
	_ = r.do(ctx, func() error {
		for _, s := range r.sessions {
			if s.participant != p || s.pub == nil {
				continue
			}
			for n, up := range s.pub.ingest.table.Load().bySSRC {
				if up.track == r.people[p].tracks[kind] {
					rtp, ssrc = s.pub.ingest.rtp, n
				}
			}
		}
		return nil
	})
	return rtp, ssrc
}

// Describe tells how far every connection of a room is, for a test that failed.
func (e *Engine) Describe(id ident.RoomID) string {
	r, err := e.room(id)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	err = r.do(context.Background(), func() error {
		for _, s := range r.sessions {
			fmt.Fprintf(&b, "%s/%s wanted %v, phase %+v", s.participant, s.kind, s.wanted, s.toldPhase)
			if p := s.pub; p != nil {
				fmt.Fprintf(&b, "; pub up %v kinds %d is %s: stored %s, ICE %s, DTLS %s", p.up, p.kinds, stateOf(p.pc),
					p.pc.ConnectionState(), p.pc.ICEConnectionState(), p.pc.SCTP().Transport().State())
			}
			if p := s.sub; p != nil {
				fmt.Fprintf(&b, "; sub up %v is %s: stored %s, ICE %s, DTLS %s", p.up, stateOf(p.pc),
					p.pc.ConnectionState(), p.pc.ICEConnectionState(), p.pc.SCTP().Transport().State())
			}
			b.WriteString("\n")
		}
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return b.String()
}

// ForceGates opens every gate of a room behind the rules' back and returns how many were closed.
func (e *Engine) ForceGates(ctx context.Context, id ident.RoomID) (opened int) {
	r, err := e.room(id)
	if err != nil {
		return 0
	}
	_ = r.do(ctx, func() error {
		for _, d := range r.downs() {
			if d.gate.Open(r.now()) {
				opened++
			}
		}
		return nil
	})
	return opened
}

// LookAtGates looks at the gates of a room in which nothing is allowed.
func (e *Engine) LookAtGates(ctx context.Context, id ident.RoomID) {
	if r, err := e.room(id); err == nil {
		_ = r.do(ctx, func() error { r.snapshot(nil); return nil })
	}
}
