// Package wire is the link protocol heyi.v1: the frame, the message types, their bodies, the close codes and the
// JSON codec. It uses the standard library only and is shared with cmd/fleetsim; docs/protocol.md is its prose.
//
// Everything here is a value or a pure function and safe for concurrent use.
//
// JSON rules: one object per text frame; integers below 2^53; instants are Unix microseconds in fields that end in
// _at; durations end in _ms or _s; bytes are base64url without padding; ids are UUIDv7 text. The decoder is strict
// about the fields it knows and silent about those it does not.
package wire

import "encoding/json"

// Subprotocol is the websocket subprotocol that both sides must name (RFC 6455 §1.9).
const Subprotocol = "heyi.v1.json"

// Version is the value of Frame.V.
const Version = 1

// Frame is one message. Body stays raw: a router needs only the header.
type Frame struct {
	V     int             `json:"v"`
	T     Type            `json:"t"`
	ID    uint64          `json:"id,omitempty"`  // request id, rising per connection and direction; 0 = no request
	Re    uint64          `json:"re,omitempty"`  // this frame answers that request
	Seq   uint64          `json:"seq,omitempty"` // position in the sender's durable stream, from 1; 0 = not durable
	Ack   uint64          `json:"ack,omitempty"` // highest contiguous seq of the peer that is persisted
	At    int64           `json:"at,omitempty"`  // sender's clock, µs; a device's clock is advisory
	Err   *Error          `json:"err,omitempty"` // only with Re
	B     json.RawMessage `json:"b,omitempty"`
	Flags uint32          `json:"flags,omitempty"`
}

// Flag bits of Frame.Flags.
const (
	FlagMustUnderstand = 1
	FlagCompressed     = 2 // reserved
	FlagFragment       = 4 // reserved
)

// Error is the answer to a request that was refused. It never holds personal data.
type Error struct {
	Code         int    `json:"code"`   // number of the fault kind, see Number*
	Reason       string `json:"reason"` // stable fault code, "queue.already_waiting"
	Temporary    bool   `json:"temporary,omitempty"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
	Field        string `json:"field,omitempty"`
	Ref          string `json:"ref,omitempty"` // id of the thing in the way
}

// Error numbers, fixed for ever (docs/protocol.md maps fault kinds to them).
const (
	NumInternal        = 100
	NumUnauthenticated = 101
	NumForbidden       = 103
	NumUnknownType     = 104
	NumNotFound        = 105
	NumBadRequest      = 107
	NumUnsupported     = 108
	NumExpired         = 109
	NumConflict        = 110
	NumTooMany         = 111
	NumStale           = 112
	NumPrecondition    = 113
	NumServing         = 115
	NumUnavailable     = 118
)

// Type is a message type. Its number and its JSON name are fixed for ever and never reused.
type Type uint8

// The types that this build speaks; Names lists the whole protocol.
const (
	Challenge   Type = 1
	Connect     Type = 2
	Welcome     Type = 3
	GoingAway   Type = 4
	Ping        Type = 5
	Pong        Type = 6
	Ack         Type = 7
	ErrorMsg    Type = 8
	AuthRefresh Type = 9
	LinkConfig  Type = 10
	Sync        Type = 11

	Telemetry Type = 16
	Event     Type = 17
	Inventory Type = 18
	LogMeta   Type = 20
	Cmd       Type = 32
	CmdStatus Type = 33
	CmdCancel Type = 34
	Notify    Type = 39

	VisitOpen  Type = 72
	VisitClose Type = 73

	TicketCreate   Type = 80
	TicketCancel   Type = 81
	TicketCallback Type = 82
	TicketAnswer   Type = 83
	TicketState    Type = 84
	TicketRing     Type = 85

	OfferNew     Type = 96
	OfferAccept  Type = 97
	OfferDecline Type = 98
	OfferClosed  Type = 99
	SeatSet      Type = 100
	SeatState    Type = 101

	RoomReady   Type = 104
	RoomPhase   Type = 105
	RoomMember  Type = 106
	RoomConsent Type = 110
	RoomControl Type = 111
	RoomPrompt  Type = 112
	RoomChat    Type = 113
	RoomLeave   Type = 114
	RoomEnded   Type = 115

	AgreementState    Type = 120
	AgreementReadback Type = 121
	AgreementSign     Type = 122
	AgreementRefuse   Type = 123
	AgreementHandover Type = 124
	AgreementReceipt  Type = 125

	DisputeState    Type = 130
	DisputeWithdraw Type = 131

	RTCOffer   Type = 136
	RTCAnswer  Type = 137
	RTCICE     Type = 138
	RTCRestart Type = 139
	RTCTracks  Type = 140
	RTCWant    Type = 141
	RTCMute    Type = 142
	RTCStats   Type = 143
	RTCLevels  Type = 144
	RTCMove    Type = 145
	RTCFail    Type = 146

	ViewOpen     Type = 160
	ViewSnapshot Type = 161
	ViewDelta    Type = 162
	ViewClose    Type = 163
)

// Close codes. 4000-4499: come back by the rule given; 4500-4999: nothing helps until someone acts.
const (
	CloseGoingAway     = 4000
	CloseAuthTimeout   = 4001
	CloseOverload      = 4002
	CloseSuperseded    = 4003
	CloseCredExpired   = 4004
	CloseProtocol      = 4005
	CloseRateLimited   = 4006
	CloseIdle          = 4007
	CloseSlowConsumer  = 4008
	CloseAckTimeout    = 4009
	CloseRedirect      = 4010
	CloseTokenExpired  = 4011
	CloseUnknownDevice = 4500
	CloseRevoked       = 4501
	CloseBadSignature  = 4502
	CloseVersion       = 4503
	CloseQuarantined   = 4504
	CloseDisabled      = 4505
	CloseNotAdmitted   = 4506
	CloseSignedOut     = 4507
)
