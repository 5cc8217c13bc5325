package session

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/spoken"
	"heyi/mediation"
)

// Capture is a phone's right to be the camera of a terminal, bound to the terminal's visit. A grant made before a
// ticket follows the visit's later ticket and session.
type Capture struct {
	ID         ident.GrantID
	Device     ident.DeviceID
	Visit      ident.VisitID
	ExpiresAt  int64 // of link and code, Unix microseconds
	RedeemedAt int64
}

// NewCapture is a grant to store; secrets are hex SHA-256.
type NewCapture struct {
	ID                  ident.GrantID
	Device              ident.DeviceID
	TokenHash, CodeHash string
	ExpiresAt           int64
}

// Secret is what a phone presents to be told about or to redeem a grant: the hash of a link's token or of a code.
type Secret struct {
	Hash   string
	IsCode bool
}

// Found names the terminal of an open grant.
type Found struct {
	Capture
	DeviceName string
	Place      []string // from the city down
}

// CaptureStore keeps grants.
type CaptureStore interface {
	// AddCapture stores a grant of the device's open visit. A repeat of the command returns the first grant's id
	// and end. Errors: fault.Forbidden "visit.required".
	AddCapture(ctx context.Context, cmd mediation.Command, c NewCapture) (Capture, error)
	// FindCapture returns the open grant of a secret. Errors: fault.NotFound "capture.unknown"; fault.Expired
	// "capture.expired"; fault.Conflict "capture.spent".
	FindCapture(ctx context.Context, s Secret, now int64) (Found, error)
	// RedeemCapture spends an open grant, revokes every other one of the terminal and takes their phones out of its
	// session. It returns the grants that lost. Errors: as FindCapture.
	RedeemCapture(ctx context.Context, cmd mediation.Command, s Secret, cookieHash string) (c Capture, replaced []ident.GrantID, ver int64, err error)
	// CaptureByToken returns the live grant of a cookie. Errors: fault.Unauthenticated "capture.over".
	CaptureByToken(ctx context.Context, cookieHash string) (Capture, error)
	// CaptureByID returns a live grant. Errors: fault.Unauthenticated "capture.over".
	CaptureByID(ctx context.Context, id ident.GrantID) (Capture, error)
	// DropCapture revokes a grant and takes its phone out of its session. Dropping twice does nothing.
	DropCapture(ctx context.Context, cmd mediation.Command, id ident.GrantID) (device ident.DeviceID, ver int64, err error)
}

// CapturesDeps are what Captures works with.
type CapturesDeps struct {
	Store   CaptureStore
	Limiter coord.Limiter // of codes, which are short enough to be guessed: without it nobody redeems one
	Loose   coord.Limiter // of load and of link tokens, which nobody guesses; nil: Limiter
	Nudges  coord.Nudges
	Key     []byte // HMAC key, 32 bytes, the same on every node: secrets are derived, so a repeat answers the same ones
	Now     func() time.Time
	Life    time.Duration // of link and code; 0 means 10 min
	ADevice int           // grants a device in a minute; 0 means 10
	AnAddr  int           // redemptions and looks an address in a minute; 0 means 10
	Wake    func()        // called when a session's room changed; may be nil
}

// Captures pairs phones with terminals.
type Captures struct{ d CapturesDeps }

// NewCaptures returns a ready Captures.
func NewCaptures(d CapturesDeps) *Captures {
	if d.Life == 0 {
		d.Life = 10 * time.Minute
	}
	if d.ADevice == 0 {
		d.ADevice = 10
	}
	if d.AnAddr == 0 {
		d.AnAddr = 10
	}
	if d.Loose == nil {
		d.Loose = d.Limiter
	}
	return &Captures{d: d}
}

// Offered is a fresh grant: what the terminal's QR and its line of text show.
type Offered struct {
	Token     string // 43 characters, for the link /c/<token>
	Code      string // XXXX-XXXX
	ExpiresAt int64
}

// Offer makes a one-use link and code for the phone of the person at a terminal.
//
// Errors: fault.Forbidden "visit.required"; fault.TooMany "capture.too_many".
func (c *Captures) Offer(ctx context.Context, device ident.DeviceID, cmd mediation.Command) (Offered, error) {
	if err := c.allow(ctx, c.d.Loose, "capture.device/"+string(device), c.d.ADevice); err != nil {
		return Offered{}, err
	}
	id := ident.New[ident.GrantID]()
	token, code := c.secrets(id)
	got, err := c.d.Store.AddCapture(ctx, cmd, NewCapture{
		ID: id, Device: device, TokenHash: Hash(token), CodeHash: Hash(code), ExpiresAt: cmd.At + c.d.Life.Microseconds(),
	})
	if err != nil {
		return Offered{}, err
	}
	token, code = c.secrets(got.ID)
	return Offered{Token: token, Code: spoken.Spelled(code), ExpiresAt: got.ExpiresAt}, nil
}

// secrets derives the token and code of a grant; only their hashes are stored.
func (c *Captures) secrets(id ident.GrantID) (token, code string) {
	part := func(what string) []byte {
		h := hmac.New(sha256.New, c.d.Key)
		h.Write([]byte("heyi capture " + what + "\x00" + string(id)))
		return h.Sum(nil)
	}
	return base64.RawURLEncoding.EncodeToString(part("token")), spoken.Code(part("code"))
}

// Hash is how secrets of a grant are stored.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// secretOf reads the one of token and code that is given.
func secretOf(token, code string) (Secret, error) {
	switch {
	case token != "" && code == "" && len(token) <= 64:
		return Secret{Hash: Hash(token)}, nil
	case token == "" && spoken.Normal(code) != "":
		return Secret{Hash: Hash(spoken.Normal(code)), IsCode: true}, nil
	}
	return Secret{}, fault.New(fault.NotFound, "capture.unknown")
}

// Peek names the terminal of a link or code; it spends nothing.
//
// Errors: fault.NotFound "capture.unknown"; fault.Expired "capture.expired"; fault.Conflict "capture.spent";
// fault.TooMany "capture.too_many"; fault.Unavailable "coord.unavailable" for a code while the limiter is away.
func (c *Captures) Peek(ctx context.Context, addr, token, code string) (Found, error) {
	if err := c.allow(ctx, c.guard(token), "capture.peek/"+addr, 2*c.d.AnAddr); err != nil {
		return Found{}, err
	}
	s, err := secretOf(token, code)
	if err != nil {
		return Found{}, err
	}
	return c.d.Store.FindCapture(ctx, s, c.d.Now().UnixMicro())
}

// Redeem spends a link or code and returns the secret of the phone's cookie. A former phone is replaced.
//
// Errors: as Peek.
func (c *Captures) Redeem(ctx context.Context, addr, token, code string) (cookie string, got Capture, err error) {
	if err := c.allow(ctx, c.guard(token), "capture.redeem/"+addr, c.d.AnAddr); err != nil {
		return "", Capture{}, err
	}
	s, err := secretOf(token, code)
	if err != nil {
		return "", Capture{}, err
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", Capture{}, err
	}
	cookie = base64.RawURLEncoding.EncodeToString(raw)
	cmd := mediation.Command{Name: "capture.redeem", Actor: mediation.Actor{Kind: mediation.ActorCapture}, At: c.d.Now().UnixMicro()}
	got, replaced, ver, err := c.d.Store.RedeemCapture(ctx, cmd, s, Hash(cookie))
	if err != nil {
		return "", Capture{}, err
	}
	for _, old := range replaced {
		c.d.Nudges.Publish(ctx, coord.Nudge{To: grantClient(old), T: wire.VisitClose, ID: string(old), Ver: ver, Why: "replaced"})
	}
	c.told(ctx, got.Device, got.ID, ver, "paired")
	return cookie, got, nil
}

// ByCookie returns the grant of a phone's cookie.
//
// Errors: fault.Unauthenticated "capture.over" when the visit is over or another phone took its place.
func (c *Captures) ByCookie(ctx context.Context, cookie string) (Capture, error) {
	return c.d.Store.CaptureByToken(ctx, Hash(cookie))
}

// Drop ends a phone's being the camera.
func (c *Captures) Drop(ctx context.Context, id ident.GrantID) error {
	cmd := mediation.Command{
		Name: "capture.drop", Actor: mediation.Actor{Kind: mediation.ActorCapture, ID: string(id)}, At: c.d.Now().UnixMicro(),
	}
	device, ver, err := c.d.Store.DropCapture(ctx, cmd, id)
	if err != nil || device == "" {
		return err
	}
	c.told(ctx, device, id, ver, "dropped")
	return nil
}

func (c *Captures) told(ctx context.Context, device ident.DeviceID, id ident.GrantID, ver int64, why string) {
	c.d.Nudges.Publish(ctx, coord.Nudge{To: deviceClient(device), T: wire.RoomMember, ID: string(id), Ver: ver, Why: why})
	if c.d.Wake != nil {
		c.d.Wake()
	}
}

// guard is the limiter of a try: a link's token has 256 bits, a code 40.
func (c *Captures) guard(token string) coord.Limiter {
	if token != "" {
		return c.d.Loose
	}
	return c.d.Limiter
}

func (c *Captures) allow(ctx context.Context, by coord.Limiter, key string, n int) error {
	ok, retry, err := by.Allow(ctx, key, n, time.Minute)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.TooMany, "capture.too_many").After(retry)
	}
	return nil
}
