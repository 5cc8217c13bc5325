package app

import (
	"context"
	"net/http"
	"path/filepath"

	"heyi/gateway/rest"
	"heyi/internal/ident"
	"heyi/internal/notify"
	"heyi/mediation"
	"heyi/mediation/partylink"
)

// partyLinks looks the links of parties up; what they lead to, the dockets, is made later than the callers are known.
func (n *node) partyLinks() *partylink.Links {
	return partylink.NewLinks(partylink.Deps{
		Store: n.store, Limiter: n.coord, Loose: n.loose, Now: n.now,
		Redeem: func(ctx context.Context, cmd mediation.Command, id ident.LinkID, cookieHash string) (partylink.Link, error) {
			return n.dockets.Redeem(ctx, cmd, id, cookieHash) //nolint:wrapcheck // a fault keeps its code
		},
		Describe: func(ctx context.Context, l partylink.Link) (partylink.Found, error) {
			return n.dockets.Describe(ctx, l) //nolint:wrapcheck // a fault keeps its code
		},
	})
}

// textSender brings texts to people's phones: by the gateway that is named, else into files.
func (n *node) textSender() *notify.Sender {
	var to notify.Adapter = &notify.File{Dir: filepath.Join(n.cfg.Data, "texts"), Now: n.now}
	if c := n.cfg.Texts; c.Gateway != "" {
		to = &notify.HTTP{URL: c.Gateway, Token: c.Token, Client: &http.Client{}} // every try has a deadline of its own
	}
	return notify.NewSender(notify.Config{Store: n.store, Adapter: to, Now: n.now, Logger: n.logger, Count: countTexts(n.metrics)})
}

// sentTexts is what the demo's phone shows.
func (n *node) sentTexts(ctx context.Context, limit int) ([]rest.SentText, error) {
	list, err := n.store.SentTexts(ctx, limit)
	if err != nil {
		return nil, err //nolint:wrapcheck // a fault keeps its code
	}
	out := make([]rest.SentText, 0, len(list))
	for _, t := range list {
		text, link, err := t.Words()
		if err != nil {
			return nil, err //nolint:wrapcheck // a fault keeps its code
		}
		out = append(out, rest.SentText{At: t.SentAt, To: t.To, Text: text, Link: link})
	}
	return out, nil
}

// partyAreas are the routes of disputes, for staff and parties.
func (n *node) partyAreas() []rest.Area {
	return []rest.Area{
		rest.Disputes{Dockets: n.dockets},
		rest.Party{Dockets: n.dockets},
		rest.Links{Links: n.links, Tokens: n.tokens, CSRF: n.auth.CSRF, Now: n.now},
		rest.Texts{Demo: n.cfg.Demo, Auth: n.auth, Sent: n.sentTexts},
		rest.Verify{Check: n.verify, Keys: n.publishedKeys, Limiter: n.loose},
	}
}
