package auth

import (
	"context"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
)

// Lives of tokens (docs/protocol.md).
const (
	AccessLife = 10 * time.Minute
	LinkLife   = time.Minute
	MediaLife  = time.Minute
)

// issuer stands in every token of ours.
const issuer = "heyi"

// Spender redeems one-time tokens.
type Spender interface {
	// SpendToken uses up a jti. fault.Conflict "token.spent" the second time, also on another node.
	SpendToken(ctx context.Context, jti string, expiresAt, now time.Time) error
}

// Tokens makes and checks the three kinds of token: EdDSA only, each purpose with its own key and audience, so that
// none passes for another. It is safe for concurrent use.
//
// Errors of checks: fault.Unauthenticated "token.bad" (form, signature, audience, algorithm), fault.Expired
// "token.expired", fault.Conflict "token.spent".
type Tokens struct {
	keys  *Keyring
	spend Spender
}

// NewTokens returns ready Tokens.
func NewTokens(keys *Keyring, spend Spender) *Tokens { return &Tokens{keys: keys, spend: spend} }

// AccessClaims say which live link a bearer token stands for.
type AccessClaims struct {
	Link     string         `json:"link"`
	Epoch    int64          `json:"epoch"`
	DeviceID ident.DeviceID `json:"device_id"`
	jwt.RegisteredClaims
}

// Subject is whose page may open a link with a link token.
type Subject struct {
	Kind  CallerKind    `json:"kind"` // Staff, Capture or Party
	Staff ident.StaffID `json:"staff,omitempty"`
	Login ident.LoginID `json:"login,omitempty"` // the sign-in it was made from
	Grant ident.GrantID `json:"grant,omitempty"`
	Link  ident.LinkID  `json:"link,omitempty"`
}

type linkClaims struct {
	Subject

	Screen   string `json:"screen,omitempty"`
	Instance string `json:"instance"`
	jwt.RegisteredClaims
}

type mediaClaims struct {
	Ticket media.Ticket `json:"ticket"`
	jwt.RegisteredClaims
}

// Access makes the bearer token of a live device link.
func (t *Tokens) Access(dev ident.DeviceID, link string, epoch int64, now time.Time) (token string, exp time.Time, err error) {
	exp = now.Add(AccessLife)
	token, err = t.sign(PurposeAccess, AccessClaims{
		Link: link, Epoch: epoch, DeviceID: dev, RegisteredClaims: t.claims(PurposeAccess, "", now, exp),
	})
	return token, exp, err
}

// CheckAccess verifies a bearer token. Whether the link's epoch still holds is for the caller to ask.
func (t *Tokens) CheckAccess(ctx context.Context, token string, now time.Time) (AccessClaims, error) {
	var c AccessClaims
	err := t.parse(ctx, PurposeAccess, token, now, &c)
	return c, err
}

// Link makes a one-time token for /ws/v1.
func (t *Tokens) Link(s Subject, screen, instance string, now time.Time) (token string, exp time.Time, err error) {
	exp = now.Add(LinkLife)
	token, err = t.sign(PurposeLink, linkClaims{
		Subject: s, Screen: screen, Instance: instance, RegisteredClaims: t.claims(PurposeLink, ident.New[string](), now, exp),
	})
	return token, exp, err
}

// RedeemLink spends a link token; screen and instance must be those it was made for.
func (t *Tokens) RedeemLink(ctx context.Context, token, screen, instance string, now time.Time) (Subject, error) {
	var c linkClaims
	if err := t.parse(ctx, PurposeLink, token, now, &c); err != nil {
		return Subject{}, err
	}
	if c.Screen != screen || c.Instance != instance {
		return Subject{}, errBadToken()
	}
	return c.Subject, t.spendJTI(ctx, c.RegisteredClaims, now)
}

// Media makes the ticket for one attachment of one room.
func (t *Tokens) Media(m media.Ticket, now time.Time) (token string, exp time.Time, err error) {
	exp = now.Add(MediaLife)
	token, err = t.sign(PurposeMedia, mediaClaims{Ticket: m, RegisteredClaims: t.claims(PurposeMedia, ident.New[string](), now, exp)})
	return token, exp, err
}

// RedeemMedia spends a media ticket.
func (t *Tokens) RedeemMedia(ctx context.Context, token string, now time.Time) (media.Ticket, error) {
	var c mediaClaims
	if err := t.parse(ctx, PurposeMedia, token, now, &c); err != nil {
		return media.Ticket{}, err
	}
	return c.Ticket, t.spendJTI(ctx, c.RegisteredClaims, now)
}

func (t *Tokens) spendJTI(ctx context.Context, c jwt.RegisteredClaims, now time.Time) error {
	if c.ID == "" {
		return errBadToken()
	}
	return t.spend.SpendToken(ctx, c.ID, c.ExpiresAt.Time, now)
}

func (t *Tokens) claims(purpose, jti string, now, exp time.Time) jwt.RegisteredClaims {
	return jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{audience(purpose)}, ID: jti, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(exp),
	}
}

func audience(purpose string) string { return "heyi." + purpose }

func (t *Tokens) sign(purpose string, c jwt.Claims) (string, error) {
	key := t.keys.signer(purpose)
	tok := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	tok.Header["kid"] = key.KID
	return tok.SignedString(key.private)
}

// clockSkew is how far the clocks of two nodes may be apart.
const clockSkew = 2 * time.Second

// maxToken bounds what is decoded before its signature is known.
const maxToken = 2048

func (t *Tokens) parse(ctx context.Context, purpose, token string, now time.Time, into jwt.Claims) error {
	if len(token) > maxToken {
		return errBadToken()
	}
	p := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(audience(purpose)),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return now }),
	)
	_, err := p.ParseWithClaims(token, into, func(tok *jwt.Token) (any, error) {
		kid, _ := tok.Header["kid"].(string)
		if pub, ok := t.keys.verifier(ctx, purpose, kid); ok {
			return pub, nil
		}
		return nil, errBadToken()
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenInvalidAudience) && !errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return fault.New(fault.Expired, "token.expired")
	}
	return fault.Wrap(fault.Unauthenticated, "token.bad", err)
}

func errBadToken() error { return fault.New(fault.Unauthenticated, "token.bad") }
