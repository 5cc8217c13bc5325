// Package media holds the words of video rooms: RoomSpec, the state that decides who may see and hear whom, and the
// Engine and Session interfaces that the SFU in media/rtc implements. No WebRTC library is imported here.
//
// Permission is state in RoomSpec, never a call, so it converges after any failure. The mediation session owns the
// spec (SQL); an engine only executes it under a fence.
package media

import (
	"context"
	"encoding/json"

	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// Zone is a set of people who see and hear each other: ZoneLobby (nobody), "check:<participant>", ZoneJoint,
// "caucus:<side>".
type Zone string

// The fixed zones.
const (
	ZoneLobby Zone = "lobby"
	ZoneJoint Zone = "joint"
)

// CheckZone is the zone of the mediator with one participant's linked group.
func CheckZone(p ident.ParticipantID) Zone { return Zone("check:" + string(p)) }

// Role is what a member is in the room.
type Role string

// The roles of this build.
const (
	RoleMediator Role = "mediator" // mediator or duty lawyer at the desk
	RoleParty    Role = "party"
)

// AttachKind says which half of a person's media a client carries.
type AttachKind string

// The attachment kinds. A TV is a view; the same person's phone is its capture.
const (
	AttachFull    AttachKind = "full"    // pub and sub
	AttachView    AttachKind = "view"    // sub only
	AttachCapture AttachKind = "capture" // pub only
)

// Kinds is a set of track kinds.
type Kinds uint8

// The track kinds.
const (
	Mic Kinds = 1 << iota
	Cam
)

// Attachment is one client of a member that may connect.
type Attachment struct {
	ID      ident.AttachmentID `json:"id"`
	Kind    AttachKind         `json:"kind"`
	Sound   bool               `json:"sound"`    // plays the sound; exactly one attachment of a member does
	JoinGen int64              `json:"join_gen"` // a newer connection of the same attachment wins
}

// Member is one person in the room.
type Member struct {
	ID     ident.ParticipantID `json:"id"`
	Name   string              `json:"name"` // as shown to others in this room; a role word, never a real name before a visit names one
	Role   Role                `json:"role"`
	Zone   Zone                `json:"zone"`
	Allow  Kinds               `json:"allow"` // what may be published
	Gated  Kinds               `json:"gated"` // what the room silences
	Attach []Attachment        `json:"attach"`
}

// RoomSpec is the whole truth of a room. Fence is the placement generation, Epoch grows with every change.
type RoomSpec struct {
	Room    ident.RoomID    `json:"room"`
	Session ident.SessionID `json:"session"`
	Fence   int64           `json:"fence"`
	Epoch   int64           `json:"epoch"`
	Phase   string          `json:"phase"` // state of the mediation session, shown to members
	Closed  bool            `json:"closed"`
	Members []Member        `json:"members"`
}

// Edge is one open path: From's track of one kind reaches To.
type Edge struct {
	From, To ident.ParticipantID
	Kind     Kinds
}

// Applied is what an engine did with a spec.
type Applied struct {
	Epoch int64
}

// Reason says why a room or media session ended: "ended", "replaced", "removed", "moved", "shutdown", "lost", "frozen".
type Reason string

// Ticket is a verified media ticket: who may open which attachment of which room. 60 s, one use.
type Ticket struct {
	Room        ident.RoomID        `json:"room"`
	Participant ident.ParticipantID `json:"participant"`
	Attachment  ident.AttachmentID  `json:"attachment"`
	Kind        AttachKind          `json:"kind"`
	JoinGen     int64               `json:"join_gen"`
	Node        string              `json:"node"` // media node on which the room stands
	Fence       int64               `json:"fence"`
}

// Out is one frame for the client of a media session.
type Out struct {
	T wire.Type
	B any // marshalled as the frame's body
}

// Handler is how an engine speaks to the owner of a media session. It must not block; calls come one at a time.
type Handler interface {
	Send(Out)
	Closed(Reason)
}

// Presence is what an engine reports about a member: which attachments are live, what they publish.
type Presence struct {
	Room        ident.RoomID
	Fence       int64 // placement that it was seen under
	Participant ident.ParticipantID
	Live        []AttachKind // attachments whose connection is up
	Lost        bool         // no attachment is left
}

// Watcher hears of presence changes; calls are made off the media path.
type Watcher func(Presence)

// Engine runs the rooms of one media node. Safe for concurrent use.
//
// Errors: fault.Conflict "rtc.stale_fence", "rtc.stale_epoch"; fault.NotFound "rtc.no_room"; fault.Forbidden
// "rtc.not_admitted"; fault.TooMany "rtc.room_full", "rtc.rate_limited"; fault.Unavailable "rtc.frozen".
type Engine interface {
	// Apply converges a room to spec: edges that spec forbids are closed, and no packet of them is in flight, when
	// it returns. It is idempotent and refuses an older fence or epoch. A room that is unknown is made.
	Apply(ctx context.Context, spec RoomSpec) (Applied, error)
	// Close ends a room and every media session in it.
	Close(ctx context.Context, room ident.RoomID, fence int64, reason Reason) error
	// Open starts the media session of one attachment; a newer JoinGen replaces an older connection.
	Open(ctx context.Context, t Ticket, h Handler) (Session, error)
	// Leave tells every media session of a room that the room has moved and why (rtc.move); it plays on here until it
	// is closed or everybody has left, and takes nobody in.
	Leave(ctx context.Context, room ident.RoomID, why string) error
	// Freeze closes all rooms to newcomers and to changes that would open a gate, until it is told otherwise: this node
	// does not know any more what the rooms should be. What plays plays on.
	Freeze(on bool)
	// Gates returns the edges that are open now, from the live gates.
	Gates(room ident.RoomID) []Edge
	// Load returns the number of rooms and of live media sessions.
	Load() (rooms, sessions int)
}

// Session is the signalling of one attachment with the engine.
type Session interface {
	// Handle takes one rtc.* or room.* frame of the client (its type and raw body).
	//
	// Errors: fault.Invalid "rtc.bad_sdp", "rtc.data_channel", "rtc.ufrag_conflict"; fault.Conflict
	// "rtc.stale_epoch"; fault.TooMany "rtc.too_many_tracks", "rtc.rate_limited".
	Handle(ctx context.Context, t wire.Type, body json.RawMessage) error
	Close(reason Reason) error
}
