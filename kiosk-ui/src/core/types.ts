// The shapes of docs/protocol.md. Instants are Unix microseconds in fields ending in _at; ids are UUIDv7 text.

export type TicketState = 'waiting' | 'parked' | 'offered' | 'ringing' | 'missed' | 'serving' | 'wrap_up' | 'done' | 'abandoned' | 'cancelled';
export type TicketKind = 'consult' | 'mediate';
export type Lang = 'zh' | 'mn';
export type Attach = 'view' | 'capture' | 'full';
export type TrackKind = 'mic' | 'cam';
export type DeviceKind = 'stb' | 'kiosk' | 'tablet';
export type SessionState = 'lobby' | 'checking' | 'joint' | 'suspended' | 'adjourned' | 'ended';

export interface Info { version: string; node: string; demo: boolean; tls: boolean; now_at: number; tz: string; open: boolean }

export interface Mediator { name: string; title: string; langs: string[] }

export interface Ticket {
  id: string; ver: number; no: string; kind: TicketKind; category: string; lang: Lang; state: TicketState;
  ahead: number; passed: boolean; lo_min: number | null; hi_min: number | null;
  ring: null | { until_at: number; mediator: Mediator; session_id: string };
  until_at: number | null; outcome: string;
}

export interface Visit { id: string; how: string; opened_at: number }

export interface Situation {
  ver: number;
  self: 'device' | 'capture';
  device: { id: string; name: string; kind: DeviceKind; place: string[] };
  service: { open: boolean; seats: number; busy: number; lo_min: number | null; hi_min: number | null };
  visit: null | Visit;
  ticket: null | Ticket;
  session: null | {
    id: string; ver: number; kind: 'consult' | 'mediation'; state: SessionState;
    room_id: string; participant_id: string; epoch: number; fence: number; mediator: Mediator; suspended_until_at: number | null;
    /** The short written answer of a consult, '' while there is none. */
    answer?: string;
  };
  /** The open dispute of this terminal's session, or the last one of this visit until the visit closes. */
  dispute?: null | { id: string; ver: number };
  capture: { paired: boolean; live: boolean };
  rating: null | { session_id: string; mediator: string };
}

export interface RoomReady {
  session_id: string; room_id: string; epoch: number; participant_id: string; attach: string;
  /** url leads to the room's node; fence grows when the room moves. */
  rtc: { url: string; node: string; fence: number; ticket: string; ice: RTCIceServer[] };
}

export interface CaptureLink { url: string; code: string; qr_svg: string; expires_at: number }
export interface CapturePeek { device_name: string; place: string[] | string }
export interface CaptureGrant { grant_id: string; csrf: string }
export interface LinkToken { token: string; exp_at: number }

export interface ClaimAnswer { claim_id: string; secret: string; code: string; url: string; qr_svg: string; expires_at: number; approved: boolean }

export interface Me {
  staff: { id: string; name: string; title: string; roles: string[]; langs: string[]; unit: { id: string; name: string; path: string[] } };
  csrf: string; demo: boolean;
}

export interface TicketDigest {
  id: string; no: string; kind: TicketKind; category: string; lang: Lang; class: string; place: string[]; terminal: string; waited_s: number; state: TicketState; capture: boolean;
}
export interface Note { version: number; matter: string; advice: string; answer: string; materials: string; next_step: string; saved_at: number | null }
export interface Seat { state: 'offline' | 'ready' | 'busy' | 'wrap_up' | 'away'; reason: string; strikes: number; ver: number; until_at: number | null }
export interface Desk {
  seat: Seat;
  offer: null | { id: string; ver: number; until_at: number; lease_ms: number; ticket: TicketDigest };
  session: null | {
    id: string; ver: number; kind: string; state: SessionState; room_id: string; participant_id: string; epoch: number; fence: number; started_at: number;
    ticket: TicketDigest; until_at: number | null;
    /** The citizen's visit at a shared terminal is over: nobody comes back. */
    left: boolean;
    members: { participant: string; name: string; role: string; attach: Attach[]; present: boolean }[];
    note: Note;
    dispute_id: string | null;
  };
  wrap_up: null | { session_id: string; until_at: number; note: Note; ticket: TicketDigest; dispute_id?: string | null };
  queue: TicketDigest[];
  waiting: number;
  today: { served: number };
  now_at: number;
}

export interface DeviceRow {
  id: string; name: string; serial: string; kind: string; class: string; model: string; unit_id: string; place: string[]; life: string; presence: string;
  chip: string; tier: string; use: string; app_ver: string; engine: string; key_store: string; since_at: number; seen_at: number; cause: string; simulated: boolean; rtt_ms: number | null;
  day?: string; // the last 24 hours, a letter an hour: o online, p part of it, x off, - unknown
}
export interface UnitRow { id: string; code: string; name: string; level: string; parent_id: string; sample: boolean; devices: number; online: number }
export interface Overview {
  devices: { total: number; online: number; suspect: number; offline: number; lost: number; fault: number; quarantined: number };
  today: { met: number; missed: number; wait_p50_ms: number; wait_p95_ms: number };
  handoffs: { queued: number; dead: number };
  gateways: { node: string; state: string; links: number; rooms: number; at: number }[];
  losses: { node: string; why: string; at: number; links: number; back: number; moving: number; off: number; settled_at: number }[];
  tickets: { waiting: number; ringing: number; serving: number };
  seats: { ready: number; busy: number; away: number };
  sessions: { live: number }; rated: { count: number; avg: number }; now_at: number;
}

// ---- the link heyi.v1 (docs/protocol.md §4)

export interface Frame<B = unknown> { v: 1; t: string; id?: number; re?: number; seq?: number | undefined; ack?: number | undefined; at?: number; err?: WireError; b?: B; flags?: number }
export interface WireError { code: number; reason: string; temporary?: boolean; retry_after_ms?: number; field?: string; ref?: string }

export interface Challenge { nonce: string; server: string; node: string; now_at: number; algs: string[]; auth_timeout_ms: number; max_frame: number }
export type AuthBody =
  | { kind: 'device'; device_id: string; cred: string; alg: 'p256' | 'ed25519'; cnonce: string; sig: string }
  | { kind: 'session'; token: string; screen: string; instance: string }
  | { kind: 'room'; ticket: string };
export interface AppInfo { name: string; ver: string; model?: string; os?: string; engine?: string }
export interface Access { token: string; exp_at: number }
export interface ReconnectRule { base_ms: number; cap_ms: number; window_ms: number }
export interface Welcome {
  link: string; epoch: number; access?: Access | null; ping: { every_s: number; dead_after_s: number };
  reconnect: ReconnectRule; limits: { max_frame: number; per_s: number; burst: number }; now_at: number;
  desired_ver?: string; tz?: string; lane?: string; degraded?: boolean;
  resumed?: boolean; gap?: boolean; down?: { stream: string; next: number; tail?: number }; up?: { stream: string; acked: number };
  want?: string[]; want_within_ms?: number;
}
/** Where a terminal stands in both durable streams, as connect says it. */
export interface Resume { down?: { stream?: string; seq?: number }; up: { stream: string; seq?: number } }
/** An operator's command to this terminal, and its end. */
export interface CmdOrder { cmd_id: string; name: string; args?: Record<string, unknown>; not_after_at: number; idempotent?: boolean; lock?: string; coalesce?: boolean; when_busy: string }
export interface CmdCancel { cmd_id: string; why?: string }
export type CmdState = 'accepted' | 'running' | 'succeeded' | 'failed' | 'rejected' | 'expired' | 'cancelled' | 'superseded' | 'unknown';
/** What a command lays over the page: words to read, or the notice that a picture of the page is taken. */
export type Overlay =
  | { kind: 'message'; id: string; text: string; speak: boolean; until: number; ok: () => void }
  | { kind: 'notice'; id: string; reason: string };
export interface NudgeBody { id: string; ver: number; why?: string }

// ---- the media line

export interface RTCTrackInfo { track: string; participant: string; name: string; kind: TrackKind; mid: string; live: boolean; muted: boolean }
export interface RTCProfile { w: number; h: number; fps: number; video_kbps: number; audio_kbps: number }
export interface RTCTracks { epoch: number; tracks: RTCTrackInfo[] | null; profile?: RTCProfile | null }
export interface RTCSdp { pc: 'pub' | 'sub'; gen: number; sdp: string }
export interface RoomPhase { epoch: number; phase: SessionState | string; zone: string; can_hear: string[] | null; can_see: string[] | null; recording: boolean }
export interface RoomPerson { participant: string; name: string; role: string; attach: Attach[] | null; present: boolean; mic_muted: boolean }
export interface RoomChat { participant?: string; name?: string; text: string }
