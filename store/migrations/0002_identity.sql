-- Who and what is connected: the administrative tree, staff and their sign-ins, devices, claims, visits, presence.
-- Instants are Unix microseconds, ids UUIDv7 text; lists of words are joined by commas and never searched by SQL.

CREATE TABLE org_unit (
    id        TEXT    NOT NULL PRIMARY KEY,
    code      TEXT    NOT NULL UNIQUE,          -- 12 digits, text (GB/T 2260 and the statistics codes below it)
    name      TEXT    NOT NULL,
    level     TEXT    NOT NULL,                 -- city, county, township, village
    parent_id TEXT    NOT NULL DEFAULT '',      -- '' at the root
    kind      TEXT    NOT NULL,                 -- centre, committee
    abbr      TEXT    NOT NULL DEFAULT '',
    sample    BOOLEAN NOT NULL DEFAULT FALSE,   -- made up for demonstration
    at        BIGINT  NOT NULL
);

-- Every pair of a unit and one of its ancestors, itself included; all rights are a join with it.
CREATE TABLE org_closure (
    ancestor TEXT NOT NULL,
    node     TEXT NOT NULL,
    PRIMARY KEY (ancestor, node)
);
CREATE INDEX org_closure_node ON org_closure (node, ancestor);

CREATE TABLE staff (
    id            TEXT    NOT NULL PRIMARY KEY, -- also the id of the seat
    unit_id       TEXT    NOT NULL REFERENCES org_unit (id),
    login         TEXT    NOT NULL UNIQUE,      -- lower case
    name          TEXT    NOT NULL,
    title         TEXT    NOT NULL DEFAULT '',
    room_name     TEXT    NOT NULL DEFAULT '',
    roles         TEXT    NOT NULL DEFAULT '',  -- mediator,lawyer,...
    langs         TEXT    NOT NULL DEFAULT '',  -- '' = every language
    skills        TEXT    NOT NULL DEFAULT '',  -- categories; '' = every category
    password_hash TEXT    NOT NULL DEFAULT '',  -- argon2id in PHC form; '' = cannot sign in
    totp_enc      BYTEA,
    totp_step     BIGINT  NOT NULL DEFAULT 0,   -- last 30 s step that was used: codes are not reusable
    disabled      BOOLEAN NOT NULL DEFAULT FALSE,
    version       BIGINT  NOT NULL DEFAULT 1,
    at            BIGINT  NOT NULL
);
CREATE INDEX staff_unit ON staff (unit_id);

CREATE TABLE login_session (
    id         TEXT   NOT NULL PRIMARY KEY,
    staff_id   TEXT   NOT NULL REFERENCES staff (id),
    token_hash TEXT   NOT NULL UNIQUE,          -- hex SHA-256 of the cookie's token
    at         BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX login_session_staff ON login_session (staff_id);

CREATE TABLE device (
    id         TEXT    NOT NULL PRIMARY KEY,
    unit_id    TEXT    NOT NULL REFERENCES org_unit (id),
    serial     TEXT    NOT NULL,
    key_sha256 TEXT    NOT NULL DEFAULT '',     -- hex SHA-256 of the public key; expected (pending) or current
    alg        TEXT    NOT NULL DEFAULT '',
    key_store  TEXT    NOT NULL DEFAULT '',
    kind       TEXT    NOT NULL,                -- stb, kiosk, tablet, app
    class      TEXT    NOT NULL,                -- public, home, worker, mobile
    model      TEXT    NOT NULL DEFAULT '',
    name       TEXT    NOT NULL,
    place      TEXT    NOT NULL DEFAULT '',     -- where in the unit it stands
    life       TEXT    NOT NULL,                -- pending, active, quarantined, disabled, retired
    life_reason TEXT   NOT NULL DEFAULT '',     -- the operator's words at the last change of life
    simulated  BOOLEAN NOT NULL DEFAULT FALSE,  -- draws no tickets
    version    BIGINT  NOT NULL DEFAULT 1,
    at         BIGINT  NOT NULL
);
CREATE UNIQUE INDEX device_serial ON device (serial) WHERE life <> 'retired';
CREATE INDEX device_key ON device (key_sha256) WHERE key_sha256 <> '';
CREATE INDEX device_unit ON device (unit_id, name, id);

CREATE TABLE claim (
    id          TEXT   NOT NULL PRIMARY KEY,
    code        TEXT   NOT NULL,                -- 8 Crockford characters, without the hyphen
    secret_hash TEXT   NOT NULL,                -- hex SHA-256
    pub         BYTEA  NOT NULL,
    alg         TEXT   NOT NULL,
    key_store   TEXT   NOT NULL,
    serial      TEXT   NOT NULL,
    model       TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    state       TEXT   NOT NULL,                -- waiting, approved, refused
    device_id   TEXT   NOT NULL DEFAULT '',     -- approved: the device
    at          BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX claim_code ON claim (code) WHERE state = 'waiting';
CREATE INDEX claim_open ON claim (at) WHERE state = 'waiting';

CREATE TABLE credential (
    kid        TEXT   NOT NULL,                 -- key of the device CA
    device_id  TEXT   NOT NULL REFERENCES device (id),
    pub        BYTEA  NOT NULL,
    cred       TEXT   NOT NULL,                 -- the compact certificate as handed out; not secret
    nbf_at     BIGINT NOT NULL,
    exp_at     BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, nbf_at)
);

CREATE TABLE visit (
    id        TEXT   NOT NULL PRIMARY KEY,
    device_id TEXT   NOT NULL REFERENCES device (id),
    how       TEXT   NOT NULL,                  -- anonymous
    opened_at BIGINT NOT NULL,
    closed_at BIGINT NOT NULL DEFAULT 0,
    why       TEXT   NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX visit_open ON visit (device_id) WHERE closed_at = 0;
CREATE INDEX visit_device ON visit (device_id, opened_at);

-- Presence: one narrow row a device, made at enrolment, no foreign keys. The epoch is the fence of every write.
CREATE TABLE device_link (
    device_id        TEXT    NOT NULL PRIMARY KEY,
    epoch            BIGINT  NOT NULL DEFAULT 0,
    admit            BOOLEAN NOT NULL,          -- life is active
    key_sha256       TEXT    NOT NULL DEFAULT '', -- the one key that is let in
    unit_id          TEXT    NOT NULL,          -- as in device, so that a connect reads nothing else
    node             TEXT    NOT NULL DEFAULT '',
    inc              BIGINT  NOT NULL DEFAULT 0,  -- incarnation of the node
    prev_node        TEXT    NOT NULL DEFAULT '',
    state            TEXT    NOT NULL,          -- connected, suspect, offline
    cause            TEXT    NOT NULL DEFAULT '',
    since_at         BIGINT  NOT NULL,
    suspect_until_at BIGINT  NOT NULL DEFAULT 0,
    seen_at          BIGINT  NOT NULL DEFAULT 0,
    boot_id          TEXT    NOT NULL DEFAULT '',
    app_ver          TEXT    NOT NULL DEFAULT '',
    engine           TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX device_link_suspect ON device_link (suspect_until_at) WHERE state = 'suspect';
CREATE INDEX device_link_node ON device_link (node, inc) WHERE state = 'connected';

-- Until when the sweeper has judged; the gap to now is the service's own downtime and nobody's absence.
CREATE TABLE presence_sweep (
    name     TEXT   NOT NULL PRIMARY KEY,
    swept_at BIGINT NOT NULL
);
