package link

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/ident"
	"heyi/media"
)

// Fault codes by which a Verifier or Presence chooses the close code of a refused connect. Any other error of kind
// Unavailable, TooMany or Internal closes with CloseOverload, anything else with CloseProtocol.
//
//nolint:gosec // names of faults, no credentials
const (
	CodeBadSignature  = "link.bad_signature"  // 4502: credential or signature wrong, other algorithm, other host, replay
	CodeCredExpired   = "link.cred_expired"   // 4004
	CodeUnknownDevice = "link.unknown_device" // 4500
	CodeRevoked       = "link.revoked"        // 4501
	CodeQuarantined   = "link.quarantined"    // 4504
	CodeDisabled      = "link.disabled"       // 4505
	CodeTokenExpired  = "link.token_expired"  // 4011
	CodeTokenUsed     = "link.token_used"     // 4011; the store's "token.spent" counts as this one
	CodeSignedOut     = "link.signed_out"     // 4507: the sign-in session or grant behind the token is over
	CodeNotAdmitted   = "link.not_admitted"   // 4506
)

// DeviceProof is what a device sent to prove itself, with what the server had said.
type DeviceProof struct {
	Auth   wire.AuthBody // kind device
	Server string        // server name of the challenge
	Nonce  []byte        // nonce of the challenge, 32 bytes, used once
	Now    time.Time
}

// VerifiedDevice is a device whose key and credential hold. Whether it is admitted says the epoch write.
type VerifiedDevice struct {
	ID        ident.DeviceID
	KeySHA256 string // hex SHA-256 of the certified public key; goes into ConnectRequest
	CredExpAt time.Time
}

// VerifiedSession is a page that redeemed its one-time link token.
type VerifiedSession struct {
	Caller   auth.Caller // kind Staff or Capture
	Screen   string      // as in the token, e.g. desk, console, phone
	Instance string      // one tab; a newer link of the same instance supersedes the older one
}

// Verifier judges proofs. Device uses memory only (key ring, credential); Session and Room spend their token's jti in
// the store. Errors are faults with one of the codes above; Room may also use "rtc.ticket_expired" and
// "rtc.ticket_used", which reach the client as rtc.fail.
type Verifier interface {
	// Device checks p.Auth: credential signature and dates, alg equal to the credential's, cnonce 16 bytes, and the
	// signature over wire.ConnectProof(p.Server, p.Nonce, cnonce, device_id, cred, nil).
	Device(ctx context.Context, p DeviceProof) (VerifiedDevice, error)
	// Session redeems a one-time link token; screen and instance must be the token's.
	Session(ctx context.Context, token, screen, instance string, now time.Time) (VerifiedSession, error)
	// Room redeems a media ticket.
	Room(ctx context.Context, ticket string, now time.Time) (media.Ticket, error)
	// Access makes the bearer token of a live device link (10 min).
	Access(ctx context.Context, dev ident.DeviceID, link string, epoch int64, now time.Time) (wire.AccessBody, error)
}

// ConnectRequest asks for the next epoch of one device whose proof holds.
type ConnectRequest struct {
	Device    ident.DeviceID
	KeySHA256 string // of VerifiedDevice: only the device's present key is let in, a replaced one gets CodeRevoked
	Link      string // id of the new link, UUIDv7
	BootID    string
	App       wire.AppInfo
	Caps      []string
	Why       string
	Serving   bool
	Resume    *devices.Resume // nil: the device keeps no journal
	At        time.Time
}

// ConnectResult answers one ConnectRequest. Err is a fault with CodeUnknownDevice, CodeRevoked, CodeQuarantined or
// CodeDisabled when the device is not admitted.
type ConnectResult struct {
	Epoch   int64
	Unit    ident.UnitID
	Streams *devices.Resumption // where a device that sent Resume stands
	Err     error
}

// Gone reports that a link ended and no newer one of this node took its place.
type Gone struct {
	Device ident.DeviceID
	Epoch  int64
	Cause  string // network, idle, reboot, update, user_off, deploy, server_closed, slow
	At     time.Time
	Bytes  int64 // of its frames, received and sent
}

// Seen is a sign of life of a live link.
type Seen struct {
	Device ident.DeviceID
	Epoch  int64
	At     time.Time
}

// Presence is the epoch table of devices (fleet.md §2).
type Presence interface {
	// Connect writes epochs for up to 200 devices, each at most once in a batch, in one statement. It answers every
	// request, in order.
	Connect(ctx context.Context, batch []ConnectRequest) []ConnectResult
	// Gone marks devices suspect, guarded by epoch. On an error the Hub tries the batch again later.
	Gone(ctx context.Context, batch []Gone) error
}

// Rooms starts media sessions; session.Executor has it, media.Engine too.
type Rooms interface {
	Open(ctx context.Context, t media.Ticket, h media.Handler) (media.Session, error)
}

// ViewRow is one row of a live view: its id and its JSON.
type ViewRow struct {
	ID  string
	Row json.RawMessage
}

// ViewRows is the present content of a live view.
type ViewRows struct {
	Rows  []ViewRow // at most 200
	Total int
}

// Handler takes one frame of a link. Its result is the body of the answer when the frame is a request (id set); its
// error becomes the err of the answer. It has 10 s.
type Handler func(ctx context.Context, caller auth.Caller, addr string, f *wire.Frame) (any, error)

// Deps are what the Hub works with. Verifier, Presence, Nudges, Logger and Now must be set; a nil Rooms refuses
// /ws/rtc, a nil Sync or Views leaves out what it feeds.
type Deps struct {
	Verifier Verifier
	Presence Presence
	Rooms    Rooms
	// RoomPages reports whether pages of a foreign origin may open media lines here; nil: none may.
	RoomPages func(origin string) bool
	Nudges    coord.Nudges
	// Facts are read again by sweeps.
	Facts Facts
	// Streams keeps what devices report; nil takes no durable frames.
	Streams Streams
	// Down carries what waits for devices; nil sends them nothing durable.
	Down Down
	// Sync lists what is open for a caller; it is sent after every welcome of a device or page.
	Sync func(ctx context.Context, caller auth.Caller) ([]wire.SyncItem, error)
	// Views answers a live view with the caller's rights applied.
	Views func(ctx context.Context, caller auth.Caller, open wire.ViewOpenBody) (ViewRows, error)
	// Watch hears whether an address of people (staff/<id>, capture/<grant>) has a link, after every change, one
	// call at a time. It reports the level, not the edge: a link that went and came back may be told once.
	Watch func(ctx context.Context, addr string, caller auth.Caller, live bool)
	// Cloned hears that two living programs alternate under one device's identity; it ends their
	// links. nil leaves them to each other.
	Cloned func(ctx context.Context, dev ident.DeviceID, unit ident.UnitID)
	// Metrics registers the Hub's figures; nil leaves them unregistered.
	Metrics prometheus.Registerer
	Logger  *slog.Logger
	Now     func() time.Time
}
