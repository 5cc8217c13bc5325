package app

import (
	"context"
	"fmt"

	"heyi/internal/org"
	"heyi/mediation/flow"
	"heyi/mediation/partylink"
	"heyi/mediation/session"
)

// disputes makes what leads from a talk to a signed paper.
func (n *node) disputes(ctx context.Context, limits session.Limits) error {
	secret, err := n.hmacKey(ctx)
	if err != nil {
		return err
	}
	days, err := org.Holidays()
	if err != nil {
		return fmt.Errorf("holidays: %w", err)
	}
	draw, err := papers(n.cfg.PDF)
	if err != nil {
		return fmt.Errorf("papers: %w", err)
	}
	n.render = draw.Render
	n.dockets = flow.NewDockets(flow.DocketDeps{
		Store: n.store, Rooms: n.rooms, Nudges: n.coord, Tree: n.tree, Calendar: days, Secrets: partylink.NewSecrets(subkey(secret, "parties")),
		Reauth: n.people, Render: draw.Render,
		SealKey: n.store.SealKey, PublicURL: n.public, Session: limits, InviteLife: n.cfg.Room.Invite, TZ: n.tz, Now: n.now, Logger: n.logger,
	})
	return nil
}
