package rtc

import (
	"context"

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
