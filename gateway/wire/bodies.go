package wire

// ChallengeBody is the server's first frame.
type ChallengeBody struct {
	Nonce         Bytes    `json:"nonce"` // 32 random bytes
	Server        string   `json:"server"`
	Node          string   `json:"node"`
	NowAt         int64    `json:"now_at"`
	Algs          []string `json:"algs"`
	AuthTimeoutMS int64    `json:"auth_timeout_ms"`
	MaxFrame      int      `json:"max_frame"`
}

// AuthBody is the proof in a connect frame; Kind says which fields count.
type AuthBody struct {
	Kind string `json:"kind"` // device | session | room

	DeviceID string `json:"device_id,omitempty"` // device
	Cred     string `json:"cred,omitempty"`
	Alg      string `json:"alg,omitempty"` // ed25519 | p256
	CNonce   Bytes  `json:"cnonce,omitempty"`
	Sig      Bytes  `json:"sig,omitempty"`

	Token    string `json:"token,omitempty"`  // session: one-time link token
	Screen   string `json:"screen,omitempty"` // session: desk, console, phone, tablet
	Instance string `json:"instance,omitempty"`

	Ticket string `json:"ticket,omitempty"` // room: media ticket
}

// AppInfo describes the client program.
type AppInfo struct {
	Name   string `json:"name,omitempty"`
	Ver    string `json:"ver,omitempty"`
	Model  string `json:"model,omitempty"`
	OS     string `json:"os,omitempty"`
	Engine string `json:"engine,omitempty"`
}

// ConnectBody is the client's answer to the challenge.
type ConnectBody struct {
	Auth    AuthBody          `json:"auth"`
	BootID  string            `json:"boot_id,omitempty"`
	App     AppInfo           `json:"app"`
	Caps    []string          `json:"caps,omitempty"`
	Hashes  map[string]string `json:"hashes,omitempty"`
	Why     string            `json:"why,omitempty"`     // boot, lost, moved, user
	Serving bool              `json:"serving,omitempty"` // a ticket, visit or room is open at this terminal
	Resume  *ResumeBody       `json:"resume,omitempty"`  // devices that keep a journal
}

// AccessBody is the bearer token of a live signed link.
type AccessBody struct {
	Token string `json:"token"`
	ExpAt int64  `json:"exp_at"`
}

// PingRule tells a client how the link is kept alive.
type PingRule struct {
	EveryS     int `json:"every_s"`
	DeadAfterS int `json:"dead_after_s"`
}

// ReconnectRule tells a client how to come back.
type ReconnectRule struct {
	BaseMS   int64    `json:"base_ms"`
	CapMS    int64    `json:"cap_ms"`
	WindowMS int64    `json:"window_ms"`
	Hosts    []string `json:"hosts,omitempty"`
}

// LimitsBody is what the server accepts after auth.
type LimitsBody struct {
	MaxFrame int `json:"max_frame"`
	PerS     int `json:"per_s"`
	Burst    int `json:"burst"`
}

// WelcomeBody ends the handshake.
type WelcomeBody struct {
	Link       string        `json:"link"`
	Epoch      int64         `json:"epoch"`
	Access     *AccessBody   `json:"access,omitempty"` // device links only
	Resumed    bool          `json:"resumed,omitempty"`
	Gap        bool          `json:"gap,omitempty"`
	Ping       PingRule      `json:"ping"`
	Reconnect  ReconnectRule `json:"reconnect"`
	Limits     LimitsBody    `json:"limits"`
	Down       *DownBody     `json:"down,omitempty"` // device links that sent resume
	Up         *UpBody       `json:"up,omitempty"`
	Want       []string      `json:"want,omitempty"`           // full documents that the server lacks: inventory
	WantInMS   int64         `json:"want_within_ms,omitempty"` // sent after a random part of this
	NowAt      int64         `json:"now_at"`
	DesiredVer string        `json:"desired_ver,omitempty"`
	TZ         string        `json:"tz,omitempty"`
	Lane       string        `json:"lane,omitempty"`
	Degraded   bool          `json:"degraded,omitempty"`
}

// GoingAwayBody announces that one side leaves.
type GoingAwayBody struct {
	Why      string   `json:"why"` // deploy, reboot, update, user_off
	WindowMS int64    `json:"window_ms,omitempty"`
	Hosts    []string `json:"hosts,omitempty"`
}

// PongBody answers a page's ping.
type PongBody struct {
	NowAt int64 `json:"now_at"`
}

// LinkConfigBody renews parts of the welcome.
type LinkConfigBody struct {
	Access    *AccessBody    `json:"access,omitempty"`
	Ping      *PingRule      `json:"ping,omitempty"`
	Reconnect *ReconnectRule `json:"reconnect,omitempty"`
	Degraded  *bool          `json:"degraded,omitempty"`
}

// SyncItem names one open thing of a link and its version.
type SyncItem struct {
	T   string `json:"t"` // visit, ticket, session, offer, seat
	ID  string `json:"id"`
	Ver int64  `json:"ver"`
}

// SyncBody follows every welcome of a page: what is open; the page fetches what it lacks.
type SyncBody struct {
	Items []SyncItem `json:"items"`
}

// NudgeBody is the body of every N-class frame that only says "this changed, fetch it" (ticket.state, offer.new,
// offer.closed, seat.state, room.ready, room.member, room.ended). A client that holds a newer Ver ignores it.
type NudgeBody struct {
	ID  string `json:"id"`
	Ver int64  `json:"ver"`
	Why string `json:"why,omitempty"`
}

// The requests of people. Each is the twin of a REST request (docs/protocol.md §4): the same service, the same
// idempotency key, the same answer and the same errors.

// VisitOpenBody begins a visit. Its answer is the Visit.
type VisitOpenBody struct {
	Key string `json:"key"`
	How string `json:"how"` // anonymous
}

// VisitCloseBody ends a visit. Its answer is empty.
type VisitCloseBody struct {
	VisitID string `json:"visit_id"`
	Why     string `json:"why"` // left, idle, reboot
}

// TicketCreateBody draws a ticket. Its answer is the Ticket, as of the next two.
type TicketCreateBody struct {
	Key      string `json:"key"`
	Kind     string `json:"kind"` // consult, mediate
	Category string `json:"category"`
	Lang     string `json:"lang"`
}

// TicketCancelBody gives a ticket up.
type TicketCancelBody struct {
	TicketID string `json:"ticket_id"`
	Key      string `json:"key"`
}

// TicketAnswerBody answers a ring.
type TicketAnswerBody struct {
	TicketID string `json:"ticket_id"`
	Key      string `json:"key"`
	Take     bool   `json:"take"` // false: wait a little
}

// OfferAcceptBody takes an offer. Its answer is the Desk, as of the next one.
type OfferAcceptBody struct {
	OfferID string `json:"offer_id"`
	Ver     int64  `json:"ver"`
}

// OfferDeclineBody gives an offer back.
type OfferDeclineBody struct {
	OfferID string `json:"offer_id"`
	Ver     int64  `json:"ver"`
	Reason  string `json:"reason"` // busy, conflict, skill, other
}

// SeatSetBody makes the own seat ready or away. Its answer is the Seat.
type SeatSetBody struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// RoomLeaveBody leaves a session, which ends nothing. Its answer is empty.
type RoomLeaveBody struct {
	SessionID string `json:"session_id"`
	Key       string `json:"key"`
}

// RoomControlBody is one operation of a mediator in his session. Its answer is the Desk.
type RoomControlBody struct {
	SessionID string          `json:"session_id"`
	Key       string          `json:"key"`
	Op        string          `json:"op"` // admit, mute, end, adjourn
	Args      RoomControlArgs `json:"args"`
}

// RoomControlArgs counts for mute alone.
type RoomControlArgs struct {
	Participant string `json:"participant"`
	Kind        string `json:"kind"` // mic, cam
	On          bool   `json:"on"`   // true = muted
}

// TelemetryBody is a device's sample.
type TelemetryBody struct {
	CPU     float64 `json:"cpu,omitempty"` // share of one core, 0..1
	MemPct  float64 `json:"mem_pct,omitempty"`
	TempC   float64 `json:"temp_c,omitempty"`
	RTTMS   float64 `json:"rtt_ms,omitempty"`
	LossPct float64 `json:"loss_pct,omitempty"`
	Volume  int     `json:"volume,omitempty"`
}

// RTCWantBody opens a media session (first frame of a client on /ws/rtc) and later names wished tile sizes.
type RTCWantBody struct {
	Attach string     `json:"attach,omitempty"` // full, view, capture: must equal the media ticket's
	Codecs []string   `json:"codecs,omitempty"` // "VP8", "H264", "opus"
	Engine string     `json:"engine,omitempty"`
	Tiles  []TileWish `json:"tiles,omitempty"`
}

// TileWish is the size at which a client draws a remote track, in device pixels.
type TileWish struct {
	Track   string `json:"track"`
	W       int    `json:"w"`
	H       int    `json:"h"`
	Visible bool   `json:"visible"`
}

// RTCTrack is one published track as the receiver may know it.
type RTCTrack struct {
	Track       string `json:"track"` // "<participant>:<mic|cam>"
	Participant string `json:"participant"`
	Name        string `json:"name"`
	Kind        string `json:"kind"` // mic, cam
	Mid         string `json:"mid"`  // m-line of the receiver's sub connection
	Live        bool   `json:"live"` // packets may flow now: published, gate open
	Muted       bool   `json:"muted"`
}

// RTCProfile is how a publisher shall encode.
type RTCProfile struct {
	W         int `json:"w"`
	H         int `json:"h"`
	FPS       int `json:"fps"`
	VideoKbps int `json:"video_kbps"`
	AudioKbps int `json:"audio_kbps"`
}

// RTCTracksBody tells who publishes what.
type RTCTracksBody struct {
	Epoch   int64       `json:"epoch"`
	Tracks  []RTCTrack  `json:"tracks"`
	Profile *RTCProfile `json:"profile,omitempty"` // in the first one, for full and capture
}

// RTCSDPBody is rtc.offer and rtc.answer.
type RTCSDPBody struct {
	PC  string `json:"pc"`  // pub | sub
	Gen int    `json:"gen"` // generation of the connection; a stale one is dropped
	SDP string `json:"sdp"`
}

// RTCICEBody is one trickled candidate.
type RTCICEBody struct {
	PC        string `json:"pc"`
	Gen       int    `json:"gen"`
	Candidate string `json:"candidate"` // "" = end of candidates
	Mid       string `json:"mid,omitempty"`
	MLine     int    `json:"mline,omitempty"`
}

// RTCRestartBody asks for an ICE restart (Fresh: for a new connection) of one peer connection.
type RTCRestartBody struct {
	PC    string `json:"pc"`
	Fresh bool   `json:"fresh,omitempty"`
}

// RTCMuteBody is a person's own mute; unmuting under an old epoch is refused.
type RTCMuteBody struct {
	Kind  string `json:"kind"` // mic, cam
	On    bool   `json:"on"`   // true = muted
	Epoch int64  `json:"epoch"`
}

// RTCMoveBody tells that the room stands on another media node; the client fetches a new entry. Drain: what it has plays
// on until the new connections are up. Lost: it closes what it has first.
type RTCMoveBody struct {
	Why string `json:"why"` // drain, lost
}

// RTCFailBody ends or refuses a media session.
type RTCFailBody struct {
	Code    string `json:"code"` // rtc.bad_sdp ... see docs/protocol.md
	RetryMS int64  `json:"retry_ms,omitempty"`
}

// RTCLevelsBody carries speaker levels of the receiver's own zone.
type RTCLevelsBody struct {
	Levels map[string]int `json:"levels"` // participant -> 0..100
}

// RoomPhaseBody is what a participant may know of the room, from the live gates. It is sent on the media line.
type RoomPhaseBody struct {
	Epoch     int64    `json:"epoch"`
	Phase     string   `json:"phase"` // session state: lobby, checking, joint
	Zone      string   `json:"zone"`
	CanHear   []string `json:"can_hear"` // names of those who hear me now
	CanSee    []string `json:"can_see"`
	Recording bool     `json:"recording"`
}

// RoomMemberBody says who is here and with which attachments.
type RoomMemberBody struct {
	Members []RoomPerson `json:"members"`
}

// RoomPerson is one participant as shown in lists.
type RoomPerson struct {
	Participant string   `json:"participant"`
	Name        string   `json:"name"`
	Role        string   `json:"role"`
	Attach      []string `json:"attach"` // which attachments are live: full, view, capture
	Present     bool     `json:"present"`
	MicMuted    bool     `json:"mic_muted"`
}

// RoomChatBody is a caption line: typed by the mediator, shown on the TV, zone-scoped.
type RoomChatBody struct {
	Participant string `json:"participant,omitempty"`
	Name        string `json:"name,omitempty"`
	Text        string `json:"text"`
}

// ViewOpenBody opens a live list on the console: the first page of a filter, or with IDs exactly the rows of a window.
type ViewOpenBody struct {
	View   string   `json:"view"` // devices
	Unit   string   `json:"unit,omitempty"`
	Chip   string   `json:"chip,omitempty"`
	Kind   string   `json:"kind,omitempty"`
	Class  string   `json:"class,omitempty"`
	Tier   string   `json:"tier,omitempty"`
	Model  string   `json:"model,omitempty"`
	Q      string   `json:"q,omitempty"`
	Cursor string   `json:"cursor,omitempty"`
	Limit  int      `json:"limit,omitempty"` // <= 200
	IDs    []string `json:"ids,omitempty"`   // <= 200: the window; Cursor and Limit say nothing then
}
