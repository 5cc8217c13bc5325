package partylink

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/spoken"
	"heyi/mediation"
)

// Secret is what a phone presents: the hash of a link's token or of a code.
type Secret struct {
	Hash   string
	IsCode bool
}

// Found tells a phone what it is asked to, before it agrees.
type Found struct {
	Link
	Unit     string // the committee
	Mediator string
	From     string // who asks him here; for sign the person himself
	Category mediation.Category
	Place    []string // from the city down
}

// Store looks links up.
type Store interface {
	// FindLink returns the link of a secret. Errors: fault.NotFound "link.unknown".
	FindLink(ctx context.Context, s Secret) (Link, error)
	// LinkByCookie returns the link whose phone has this cookie. Errors: fault.Unauthenticated "link.over".
	LinkByCookie(ctx context.Context, cookieHash string) (Link, error)
	// LinkByID returns a redeemed link. Errors: fault.Unauthenticated "link.over".
	LinkByID(ctx context.Context, id ident.LinkID) (Link, error)
}

// Deps are what Links works with. All but Loose and AnAddr must be set.
type Deps struct {
	Store Store
	// Redeem spends a link in the transaction of its dispute. Errors: fault.Conflict "link.inert", "token.spent";
	// fault.Expired "token.expired"; fault.NotFound "link.unknown" for one that was revoked.
	Redeem func(ctx context.Context, cmd mediation.Command, id ident.LinkID, cookieHash string) (Link, error)
	// Describe tells the names around a link. Errors: fault.NotFound "link.unknown".
	Describe func(ctx context.Context, l Link) (Found, error)
	Limiter  coord.Limiter // of codes, which are short enough to be guessed: without it nobody looks
	Loose    coord.Limiter // of link tokens, which nobody guesses; nil: Limiter
	Now      func() time.Time
	AnAddr   int // redemptions of an address in a minute, half of its looks; 0 means 10
}

// Links looks links up and redeems them.
type Links struct{ d Deps }

// NewLinks returns ready Links.
func NewLinks(d Deps) *Links {
	if d.AnAddr == 0 {
		d.AnAddr = 10
	}
	if d.Loose == nil {
		d.Loose = d.Limiter
	}
	return &Links{d: d}
}

// secretOf reads the one of token and code that is given.
func secretOf(token, code string) (Secret, error) {
	switch {
	case token != "" && code == "" && len(token) <= 64:
		return Secret{Hash: Hash(token)}, nil
	case token == "" && spoken.Normal(code) != "":
		return Secret{Hash: Hash(spoken.Normal(code)), IsCode: true}, nil
	}
	return Secret{}, unknown()
}

func unknown() error { return fault.New(fault.NotFound, "link.unknown") }

// Peek tells what a link or code is for; it spends nothing.
//
// Errors: fault.NotFound "link.unknown"; fault.TooMany "link.too_many"; fault.Unavailable "coord.unavailable" for a
// code while the limiter is away.
func (l *Links) Peek(ctx context.Context, addr, token, code string) (Found, error) {
	if err := l.allow(ctx, token, "link.peek/"+addr, 2*l.d.AnAddr); err != nil {
		return Found{}, err
	}
	s, err := secretOf(token, code)
	if err != nil {
		return Found{}, err
	}
	got, err := l.d.Store.FindLink(ctx, s)
	if err != nil {
		return Found{}, err
	}
	f, err := l.d.Describe(ctx, got)
	f.State = got.Now(l.d.Now().UnixMicro())
	return f, err
}

// Redeem spends a link or code and returns the secret of the phone's cookie.
//
// Errors: as Peek; fault.Conflict "link.inert", "token.spent"; fault.Expired "token.expired".
func (l *Links) Redeem(ctx context.Context, addr, token, code string) (cookie string, got Link, err error) {
	if err := l.allow(ctx, token, "link.redeem/"+addr, l.d.AnAddr); err != nil {
		return "", Link{}, err
	}
	s, err := secretOf(token, code)
	if err != nil {
		return "", Link{}, err
	}
	f, err := l.d.Store.FindLink(ctx, s)
	if err != nil {
		return "", Link{}, err
	}
	if f.State == Revoked {
		return "", Link{}, fault.New(fault.Expired, "token.expired")
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", Link{}, err
	}
	cookie = base64.RawURLEncoding.EncodeToString(raw)
	cmd := mediation.Command{
		Name: "link.redeem", Actor: mediation.Actor{Kind: mediation.ActorParty, ID: string(f.ID)}, At: l.d.Now().UnixMicro(),
	}
	got, err = l.d.Redeem(ctx, cmd, f.ID, Hash(cookie))
	return cookie, got, err
}

// ByCookie returns the link of a phone's cookie.
//
// Errors: fault.Unauthenticated "link.over".
func (l *Links) ByCookie(ctx context.Context, cookie string) (Link, error) {
	got, err := l.d.Store.LinkByCookie(ctx, Hash(cookie))
	return l.alive(got, err)
}

// ByID returns a redeemed link.
//
// Errors: fault.Unauthenticated "link.over".
func (l *Links) ByID(ctx context.Context, id ident.LinkID) (Link, error) {
	got, err := l.d.Store.LinkByID(ctx, id)
	return l.alive(got, err)
}

func (l *Links) alive(got Link, err error) (Link, error) {
	if err == nil && !got.Alive(l.d.Now().UnixMicro()) {
		err = fault.New(fault.Unauthenticated, "link.over")
	}
	return got, err
}

// allow counts a try of an address: a link's token has 256 bits, a code 40.
func (l *Links) allow(ctx context.Context, token, key string, n int) error {
	by := l.d.Limiter
	if token != "" {
		by = l.d.Loose
	}
	ok, retry, err := by.Allow(ctx, key, n, time.Minute)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.TooMany, "link.too_many").After(retry)
	}
	return nil
}
