package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// The errors of Decode. All of them end a link with CloseProtocol.
var (
	ErrTooDeep  = errors.New("wire: JSON nested deeper than 16")
	ErrBadField = errors.New("wire: bad field")
	ErrVersion  = errors.New("wire: unknown protocol version")
)

// MaxDepth bounds the nesting of a frame.
const MaxDepth = 16

// MaxInt is the largest integer that every JSON reader keeps exactly (2^53 - 1).
const MaxInt = 1<<53 - 1

// Bytes is a byte string that travels as base64url without padding (RFC 4648 §5).
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(t []byte) error {
	out, err := base64.RawURLEncoding.Strict().AppendDecode(nil, t)
	if err != nil {
		return fmt.Errorf("%w: not base64url", ErrBadField)
	}
	*b = out
	return nil
}

// Decode reads one frame. It refuses unknown versions, unknown type names, numbers beyond 2^53, nesting beyond
// MaxDepth and trailing bytes; fields it does not know are ignored. An unknown type is ErrBadField wrapped in an
// *UnknownTypeError, so that a router can answer number 104 instead of closing.
func Decode(src []byte, f *Frame) error {
	if depth(src) > MaxDepth {
		return ErrTooDeep
	}
	*f = Frame{}
	dec := json.NewDecoder(bytes.NewReader(src))
	if err := dec.Decode(f); err != nil {
		if unknown, ok := errors.AsType[*UnknownTypeError](err); ok {
			// the header is still useful: the answer carries re
			var head struct {
				ID    uint64 `json:"id"`
				Flags uint32 `json:"flags"`
			}
			if json.Unmarshal(src, &head) == nil {
				unknown.ID, unknown.Flags = head.ID, head.Flags
			}
			return unknown
		}
		return fmt.Errorf("%w: %w", ErrBadField, err)
	}
	if dec.More() || len(bytes.TrimSpace(src[dec.InputOffset():])) > 0 {
		return fmt.Errorf("%w: bytes after the frame", ErrBadField)
	}
	switch {
	case f.V != Version:
		return ErrVersion
	case f.T == 0:
		return fmt.Errorf("%w: t missing", ErrBadField)
	case f.ID > MaxInt || f.Re > MaxInt || f.Seq > MaxInt || f.Ack > MaxInt || f.At > MaxInt || f.At < -MaxInt:
		return fmt.Errorf("%w: integer beyond 2^53", ErrBadField)
	case f.Err != nil && f.Re == 0:
		return fmt.Errorf("%w: err without re", ErrBadField)
	case len(f.B) > 0 && f.B[0] != '{' && !bytes.Equal(f.B, []byte("null")):
		return fmt.Errorf("%w: b is no object", ErrBadField)
	}
	return nil
}

// Append writes one frame at the end of dst.
func Append(dst []byte, f *Frame) ([]byte, error) {
	f.V = Version
	b, err := json.Marshal(f)
	if err != nil {
		return dst, fmt.Errorf("wire: encode %s: %w", f.T, err)
	}
	return append(dst, b...), nil
}

// Body decodes the body of a frame into v, strictly typed; a missing body is an empty object.
func (f *Frame) Body(v any) error {
	if len(f.B) == 0 || bytes.Equal(f.B, []byte("null")) {
		return nil
	}
	if err := json.Unmarshal(f.B, v); err != nil {
		return fmt.Errorf("%w: %w", ErrBadField, err)
	}
	return nil
}

// depth returns the deepest nesting of a JSON text, strings respected, without building anything.
func depth(src []byte) int {
	deepest, now, in, esc := 0, 0, false, false
	for _, c := range src {
		switch {
		case esc:
			esc = false
		case in && c == '\\':
			esc = true
		case c == '"':
			in = !in
		case in:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// UnknownTypeError reports a type this build does not speak.
type UnknownTypeError struct {
	Name  string
	ID    uint64
	Flags uint32
}

// Error implements error.
func (e *UnknownTypeError) Error() string { return "wire: unknown type" }

// Unwrap makes it an ErrBadField.
func (e *UnknownTypeError) Unwrap() error { return ErrBadField }

// String returns the type's JSON name.
func (t Type) String() string {
	if n := names[t]; n != "" {
		return n
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// MarshalText implements encoding.TextMarshaler.
func (t Type) MarshalText() ([]byte, error) {
	if n := names[t]; n != "" {
		return []byte(n), nil
	}
	return nil, fmt.Errorf("%w: no name for type %d", ErrBadField, uint8(t))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Type) UnmarshalText(b []byte) error {
	n, ok := typeOf(string(b))
	if !ok {
		name := string(b)
		if len(name) > 40 {
			name = name[:40]
		}
		return &UnknownTypeError{Name: name}
	}
	*t = n
	return nil
}

func typeOf(name string) (Type, bool) {
	for t, n := range names {
		if n == name && n != "" {
			return Type(t), true
		}
	}
	return 0, false
}

//nolint:gochecknoglobals // a fixed table, never written
var names = [256]string{
	Challenge: "challenge", Connect: "connect", Welcome: "welcome", GoingAway: "going_away", Ping: "ping", Pong: "pong",
	Ack: "ack", ErrorMsg: "error", AuthRefresh: "auth_refresh", LinkConfig: "link_config", Sync: "sync",
	Telemetry: "telemetry", Event: "event", Inventory: "inventory", LogMeta: "log_meta",
	Cmd: "cmd", CmdStatus: "cmd_status", CmdCancel: "cmd_cancel", Notify: "notify", VisitOpen: "visit.open", VisitClose: "visit.close",
	TicketCreate: "ticket.create", TicketCancel: "ticket.cancel", TicketCallback: "ticket.callback",
	TicketAnswer: "ticket.answer", TicketState: "ticket.state", TicketRing: "ticket.ring",
	OfferNew: "offer.new", OfferAccept: "offer.accept", OfferDecline: "offer.decline", OfferClosed: "offer.closed",
	SeatSet: "seat.set", SeatState: "seat.state",
	RoomReady: "room.ready", RoomPhase: "room.phase", RoomMember: "room.member", RoomControl: "room.control",
	RoomConsent: "room.consent", AgreementState: "agreement.state", AgreementReadback: "agreement.readback", AgreementSign: "agreement.sign",
	AgreementRefuse: "agreement.refuse", AgreementHandover: "agreement.handover", AgreementReceipt: "agreement.receipt",
	DisputeState: "dispute.state", DisputeWithdraw: "dispute.withdraw",
	RoomPrompt: "room.prompt", RoomChat: "room.chat", RoomLeave: "room.leave", RoomEnded: "room.ended",
	RTCOffer: "rtc.offer", RTCAnswer: "rtc.answer", RTCICE: "rtc.ice", RTCRestart: "rtc.restart", RTCTracks: "rtc.tracks",
	RTCWant: "rtc.want", RTCMute: "rtc.mute", RTCStats: "rtc.stats", RTCLevels: "rtc.levels", RTCMove: "rtc.move",
	RTCFail: "rtc.fail", ViewOpen: "view.open", ViewSnapshot: "view.snapshot", ViewDelta: "view.delta", ViewClose: "view.close",
}
