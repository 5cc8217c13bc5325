package link

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
)

// NewVerifier returns the Verifier of the product: credentials and tokens as gateway/auth knows them.
func NewVerifier(a *auth.Authenticator, t *auth.Tokens) Verifier { return verifier{a, t} }

type verifier struct {
	auth   *auth.Authenticator
	tokens *auth.Tokens
}

// Device implements Verifier.
func (v verifier) Device(ctx context.Context, p DeviceProof) (VerifiedDevice, error) {
	c, err := v.auth.Connect(ctx, auth.Proof{Auth: p.Auth, Server: p.Server, Nonce: p.Nonce, Now: p.Now})
	if err != nil {
		return VerifiedDevice{}, err
	}
	return VerifiedDevice{ID: c.DeviceID, KeySHA256: devices.Fingerprint(c.Key()), CredExpAt: time.UnixMicro(c.ExpAt)}, nil
}

// Session implements Verifier.
func (v verifier) Session(ctx context.Context, token, screen, instance string, now time.Time) (VerifiedSession, error) {
	c, err := v.auth.Session(ctx, token, screen, instance, now)
	switch fault.CodeOf(err) {
	case "token.bad", "token.expired":
		return VerifiedSession{}, fault.Wrap(fault.Expired, CodeTokenExpired, err)
	case "token.spent":
		return VerifiedSession{}, fault.Wrap(fault.Conflict, CodeTokenUsed, err)
	case "auth.required", "capture.over", "link.over":
		return VerifiedSession{}, fault.Wrap(fault.Unauthenticated, CodeSignedOut, err)
	}
	if err != nil {
		return VerifiedSession{}, err
	}
	return VerifiedSession{Caller: c, Screen: screen, Instance: instance}, nil
}

// Room implements Verifier.
func (v verifier) Room(ctx context.Context, ticket string, now time.Time) (media.Ticket, error) {
	m, err := v.tokens.RedeemMedia(ctx, ticket, now)
	switch fault.CodeOf(err) {
	case "token.bad":
		return media.Ticket{}, fault.Wrap(fault.Forbidden, CodeNotAdmitted, err)
	case "token.expired":
		return media.Ticket{}, fault.Wrap(fault.Expired, "rtc.ticket_expired", err)
	case "token.spent":
		return media.Ticket{}, fault.Wrap(fault.Conflict, "rtc.ticket_used", err)
	}
	return m, err
}

// Access implements Verifier.
func (v verifier) Access(_ context.Context, dev ident.DeviceID, link string, epoch int64, now time.Time) (wire.AccessBody, error) {
	token, exp, err := v.tokens.Access(dev, link, epoch, now)
	return wire.AccessBody{Token: token, ExpAt: exp.UnixMicro()}, err
}

// NewPresence returns the Presence of the product: the epoch table of package devices.
func NewPresence(p *devices.Presence) Presence { return presence{p} }

type presence struct{ devices *devices.Presence }

// Connect implements Presence.
func (p presence) Connect(ctx context.Context, batch []ConnectRequest) []ConnectResult {
	up := make([]devices.LinkUp, len(batch))
	for i, r := range batch {
		up[i] = devices.LinkUp{
			Device: r.Device, KeySHA256: r.KeySHA256, BootID: clip(r.BootID), AppVer: clip(r.App.Ver), Engine: clip(r.App.Engine),
			At: r.At.UnixMicro(), Resume: r.Resume,
		}
	}
	out := make([]ConnectResult, len(batch))
	got, err := p.devices.Connect(ctx, up)
	for i := range out {
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i] = ConnectResult{Epoch: got[i].Epoch, Unit: got[i].Unit, Streams: got[i].Streams, Err: refused(got[i].Refused)}
	}
	return out
}

// clip bounds a word that a device says about itself: a row stays narrow, and PostgreSQL takes no NUL in a text.
func clip(s string) string {
	const most = 64
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

func refused(r devices.Refusal) error {
	switch r {
	case "":
		return nil
	case devices.RefusedRetired:
		return fault.New(fault.Unauthenticated, CodeRevoked)
	case devices.RefusedDisabled:
		return fault.New(fault.Forbidden, CodeDisabled)
	case devices.RefusedQuarantined:
		return fault.New(fault.Forbidden, CodeQuarantined)
	case devices.Superseded:
		return fault.New(fault.Unavailable, "link.again")
	case devices.Unknown:
	}
	return fault.New(fault.NotFound, CodeUnknownDevice)
}

// Gone implements Presence.
func (p presence) Gone(ctx context.Context, batch []Gone) error {
	down := make([]devices.LinkDown, len(batch))
	for i, g := range batch {
		down[i] = devices.LinkDown{Device: g.Device, Epoch: g.Epoch, Cause: clip(g.Cause), At: g.At.UnixMicro(), Bytes: g.Bytes}
	}
	return p.devices.Gone(ctx, down)
}

// Sightings turns signs of life into what devices.PresenceDeps.Live wants.
func Sightings(seen []Seen) []devices.Sighting {
	out := make([]devices.Sighting, len(seen))
	for i, s := range seen {
		out[i] = devices.Sighting{Device: s.Device, Epoch: s.Epoch, At: s.At.UnixMicro()}
	}
	return out
}
