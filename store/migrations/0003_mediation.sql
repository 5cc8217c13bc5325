-- The queue and the sessions: tickets, offers, seats, mediation sessions with their room, records of a consultation,
-- phones as cameras. Instants are Unix microseconds, 0 = none; ids UUIDv7 text, '' = none; lists of words are joined
-- by commas. Every due_at is a timer that waits for people: it moves by the server's own downtime.

-- One row a staff member who takes tickets; made at the first sign of duty.
CREATE TABLE seat (
    staff_id   TEXT    NOT NULL PRIMARY KEY REFERENCES staff (id),
    ver        BIGINT  NOT NULL,
    state      TEXT    NOT NULL,               -- offline, ready, busy, wrap_up, away
    reason     TEXT    NOT NULL DEFAULT '',    -- why away
    capacity   BIGINT  NOT NULL DEFAULT 1,     -- tickets at a time
    strikes    BIGINT  NOT NULL DEFAULT 0,     -- offers in a row that lapsed or were declined
    link_node  TEXT    NOT NULL DEFAULT '',    -- node that holds the desk's link, '' = no link
    due_at     BIGINT  NOT NULL DEFAULT 0,     -- no link: when the seat goes offline
    idle_at    BIGINT  NOT NULL DEFAULT 0,     -- when it last became free: longest idle goes first
    at         BIGINT  NOT NULL
);
CREATE INDEX seat_due ON seat (due_at) WHERE due_at > 0;
CREATE INDEX seat_duty ON seat (state) WHERE state IN ('ready', 'busy', 'wrap_up');

-- rank_at is written once and by no UPDATE.
CREATE TABLE ticket (
    id           TEXT    NOT NULL PRIMARY KEY,
    ver          BIGINT  NOT NULL,
    no           TEXT    NOT NULL,             -- "A 037", per county and day
    kind         TEXT    NOT NULL,             -- consult, mediate
    mode         TEXT    NOT NULL,             -- hold, callback
    device_id    TEXT    NOT NULL REFERENCES device (id),
    visit_id     TEXT    NOT NULL,             -- visit in which it was drawn
    holder_key   TEXT    NOT NULL,             -- device/<id>; at a shared terminal visit/<id>
    unit_id      TEXT    NOT NULL,             -- unit of the terminal when it was drawn
    county_id    TEXT    NOT NULL,             -- part of the lane
    path         TEXT    NOT NULL,             -- unit ids from the terminal's own unit up to the city
    place        TEXT    NOT NULL,             -- names from the city down, JSON list
    terminal     TEXT    NOT NULL,             -- name of the terminal
    category     TEXT    NOT NULL,
    lang         TEXT    NOT NULL,
    class        TEXT    NOT NULL,             -- normal, access, appointment, returning, risk
    enqueued_at  BIGINT  NOT NULL,
    rank_at      BIGINT  NOT NULL,             -- enqueued_at - boost(class)
    level        BIGINT  NOT NULL DEFAULT 0,   -- index into path up to which seats may take it
    since_at     BIGINT  NOT NULL,             -- waits without an offer since
    shown_ahead  BIGINT  NOT NULL,             -- never grows
    passed       BOOLEAN NOT NULL DEFAULT FALSE,
    lo_min       BIGINT  NOT NULL DEFAULT -1,  -- shown range, -1 = none
    hi_min       BIGINT  NOT NULL DEFAULT -1,
    state        TEXT    NOT NULL,
    due_at       BIGINT  NOT NULL DEFAULT 0,   -- waiting: link lost, parks; parked, ringing, missed, wrap_up: ends
    rings        BIGINT  NOT NULL DEFAULT 0,   -- rings of the present offer
    misses       BIGINT  NOT NULL DEFAULT 0,
    seat_id      TEXT    NOT NULL DEFAULT '',  -- offered .. wrap_up and later: the seat
    session_id   TEXT    NOT NULL DEFAULT '',
    outcome      TEXT    NOT NULL DEFAULT '',
    closed_at    BIGINT  NOT NULL DEFAULT 0,
    at           BIGINT  NOT NULL              -- last change
);
CREATE UNIQUE INDEX ticket_open ON ticket (holder_key)
    WHERE state IN ('waiting', 'parked', 'offered', 'ringing', 'missed', 'serving');
CREATE INDEX ticket_line ON ticket (rank_at, enqueued_at, id)
    WHERE state IN ('waiting', 'parked', 'offered', 'ringing', 'missed');
CREATE INDEX ticket_lane ON ticket (county_id, category, lang, rank_at)
    WHERE state IN ('waiting', 'parked', 'offered', 'ringing', 'missed');
CREATE INDEX ticket_due ON ticket (due_at) WHERE due_at > 0;
CREATE INDEX ticket_device ON ticket (device_id, enqueued_at);
CREATE INDEX ticket_visit ON ticket (visit_id);
CREATE INDEX ticket_seat ON ticket (seat_id, state);
CREATE INDEX ticket_unit ON ticket (unit_id, state);

CREATE TABLE ticket_counter (
    unit_id TEXT   NOT NULL,                   -- county
    day     TEXT   NOT NULL,                   -- 2026-03-02, local
    letter  TEXT   NOT NULL,
    last    BIGINT NOT NULL,
    PRIMARY KEY (unit_id, day, letter)
);

CREATE TABLE ticket_exclusion (
    ticket_id TEXT   NOT NULL REFERENCES ticket (id),
    seat_id   TEXT   NOT NULL,
    reason    TEXT   NOT NULL,                 -- conflict (always), declined (while another seat may take it)
    at        BIGINT NOT NULL,
    PRIMARY KEY (ticket_id, seat_id)
);

CREATE TABLE offer (
    id        TEXT   NOT NULL PRIMARY KEY,
    ver       BIGINT NOT NULL,
    ticket_id TEXT   NOT NULL REFERENCES ticket (id),
    seat_id   TEXT   NOT NULL,
    due_at    BIGINT NOT NULL,                 -- end of the lease; 0 = closed
    outcome   TEXT   NOT NULL DEFAULT '',      -- accepted, declined, lapsed, cancelled
    reason    TEXT   NOT NULL DEFAULT '',
    closed_at BIGINT NOT NULL DEFAULT 0,
    at        BIGINT NOT NULL
);
CREATE UNIQUE INDEX offer_open ON offer (ticket_id) WHERE closed_at = 0;
CREATE INDEX offer_seat ON offer (seat_id) WHERE closed_at = 0;
CREATE INDEX offer_due ON offer (due_at) WHERE due_at > 0;

-- One meeting over media. Its room has another id: a new media node never ends a session.
CREATE TABLE session (
    id         TEXT   NOT NULL PRIMARY KEY,
    ver        BIGINT NOT NULL,
    kind       TEXT   NOT NULL,                -- consult, mediation
    state      TEXT   NOT NULL,                -- lobby, checking, joint, suspended, adjourned, ended
    prev       TEXT   NOT NULL DEFAULT '',     -- suspended: the state to come back to
    ticket_id  TEXT   NOT NULL REFERENCES ticket (id),
    unit_id    TEXT   NOT NULL,
    device_id  TEXT   NOT NULL,
    mediator_id TEXT  NOT NULL,                -- staff
    due_at     BIGINT NOT NULL DEFAULT 0,      -- someone is lost: suspends; suspended: adjourns
    started_at BIGINT NOT NULL DEFAULT 0,      -- the citizen's OK
    ended_at   BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    at         BIGINT NOT NULL
);
CREATE INDEX session_ticket ON session (ticket_id);
CREATE INDEX session_device ON session (device_id, created_at);
CREATE INDEX session_mediator ON session (mediator_id, state);
CREATE INDEX session_live ON session (state) WHERE state IN ('lobby', 'checking', 'joint', 'suspended');
CREATE INDEX session_due ON session (due_at) WHERE due_at > 0;

CREATE TABLE session_member (
    id         TEXT   NOT NULL PRIMARY KEY,    -- participant
    session_id TEXT   NOT NULL REFERENCES session (id),
    pos        BIGINT NOT NULL,
    role       TEXT   NOT NULL,                -- mediator, party
    who        TEXT   NOT NULL,                -- staff/<id>, device/<id>
    name       TEXT   NOT NULL,                -- as shown in the room
    zone       TEXT   NOT NULL,                -- '' = left for good
    gated      BIGINT NOT NULL DEFAULT 0,      -- media.Kinds that the room silences
    live       TEXT   NOT NULL DEFAULT ''      -- attachments whose line is up
);
CREATE INDEX session_member_session ON session_member (session_id, pos);

CREATE TABLE attachment (
    id         TEXT    NOT NULL PRIMARY KEY,
    session_id TEXT    NOT NULL REFERENCES session (id),
    member_id  TEXT    NOT NULL REFERENCES session_member (id),
    pos        BIGINT  NOT NULL,
    kind       TEXT    NOT NULL,               -- full, view, capture
    client     TEXT    NOT NULL,               -- staff/<id>, device/<id>, capture/<grant>
    sound      BOOLEAN NOT NULL,
    join_gen   BIGINT  NOT NULL,
    active     BOOLEAN NOT NULL                -- stands in the room's spec
);
CREATE INDEX attachment_session ON attachment (session_id, pos);

-- The room of a session and the state that a media node executes (media.RoomSpec).
CREATE TABLE room_placement (
    session_id    TEXT    NOT NULL PRIMARY KEY REFERENCES session (id),
    room          TEXT    NOT NULL UNIQUE,
    node          TEXT    NOT NULL,
    fence         BIGINT  NOT NULL,
    spec          TEXT    NOT NULL,            -- JSON
    spec_epoch    BIGINT  NOT NULL,
    applied_epoch BIGINT  NOT NULL DEFAULT 0,
    closed        BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX room_placement_node ON room_placement (node) WHERE closed = FALSE OR spec_epoch > applied_epoch;

CREATE TABLE consent (
    id             TEXT    NOT NULL PRIMARY KEY,
    session_id     TEXT    NOT NULL REFERENCES session (id),
    participant_id TEXT    NOT NULL,
    subject        TEXT    NOT NULL,           -- online
    given          BOOLEAN NOT NULL,
    channel        TEXT    NOT NULL,           -- device, capture
    at             BIGINT  NOT NULL
);
CREATE INDEX consent_session ON consent (session_id);

-- What was asked and answered (domain.md 7.11). The words are sealed.
CREATE TABLE consult (
    session_id TEXT   NOT NULL PRIMARY KEY REFERENCES session (id),
    version    BIGINT NOT NULL,
    text_enc   BYTEA  NOT NULL,
    saved_at   BIGINT NOT NULL
);

CREATE TABLE rating (
    session_id TEXT    NOT NULL PRIMARY KEY REFERENCES session (id),
    device_id  TEXT    NOT NULL,
    score      BIGINT  NOT NULL,               -- 1..5, 0 = skipped
    first_at   BIGINT  NOT NULL,
    at         BIGINT  NOT NULL
);

-- A phone as the camera of a terminal, bound to the terminal's visit. Secrets are stored as hex SHA-256.
CREATE TABLE capture_grant (
    id          TEXT   NOT NULL PRIMARY KEY,
    device_id   TEXT   NOT NULL REFERENCES device (id),
    visit_id    TEXT   NOT NULL REFERENCES visit (id),
    token_hash  TEXT   NOT NULL UNIQUE,
    code_hash   TEXT   NOT NULL,
    cookie_hash TEXT   NOT NULL DEFAULT '',
    expires_at  BIGINT NOT NULL,               -- of token and code
    redeemed_at BIGINT NOT NULL DEFAULT 0,
    revoked_at  BIGINT NOT NULL DEFAULT 0,
    why         TEXT   NOT NULL DEFAULT '',    -- replaced, dropped, visit
    at          BIGINT NOT NULL
);
CREATE UNIQUE INDEX capture_code ON capture_grant (code_hash) WHERE redeemed_at = 0 AND revoked_at = 0;
CREATE UNIQUE INDEX capture_cookie ON capture_grant (cookie_hash) WHERE cookie_hash <> '';
CREATE INDEX capture_device ON capture_grant (device_id, at) WHERE revoked_at = 0;
CREATE INDEX capture_visit ON capture_grant (visit_id);

-- Version of what a terminal shows: grows with every change of its visit, ticket, session, phone or rating.
CREATE TABLE situation (
    device_id TEXT   NOT NULL PRIMARY KEY,
    ver       BIGINT NOT NULL
);

-- Until when timers were swept; the gap to now is the service's own downtime and moves every due_at.
CREATE TABLE timer_sweep (
    name     TEXT   NOT NULL PRIMARY KEY,
    swept_at BIGINT NOT NULL
);
