-- The live dispute (domain.md 7.4), its one-use links, the versions of its agreement, its files. Names, identity
-- numbers, phones and texts stand only in the sealed documents (doc_enc) and files. Instants are Unix microseconds,
-- 0 = none; days YYYY-MM-DD, '' = none; ids UUIDv7 text.

CREATE TABLE dispute (
    id              TEXT   NOT NULL PRIMARY KEY,
    ver             BIGINT NOT NULL,
    session_id      TEXT   NOT NULL REFERENCES session (id),
    ticket_id       TEXT   NOT NULL REFERENCES ticket (id),
    device_id       TEXT   NOT NULL,                 -- party A's terminal
    unit_id         TEXT   NOT NULL,                 -- the committee
    mediator_id     TEXT   NOT NULL,                 -- staff
    consult_id      TEXT   NOT NULL DEFAULT '',      -- session whose consultation led here
    state           TEXT   NOT NULL,
    kind            TEXT   NOT NULL,                 -- mediation_kind: one row of the table in mediation/dispute
    category        TEXT   NOT NULL,
    year            BIGINT NOT NULL DEFAULT 0,
    serial          BIGINT NOT NULL DEFAULT 0,       -- gap-free per unit and year, 0 = not accepted
    number          TEXT   NOT NULL DEFAULT '',
    created_at      BIGINT NOT NULL,
    accepted_at     BIGINT NOT NULL DEFAULT 0,
    deadline_on     TEXT   NOT NULL DEFAULT '',
    closed_at       BIGINT NOT NULL DEFAULT 0,
    closing_code    TEXT   NOT NULL DEFAULT '',
    effective_at    BIGINT NOT NULL DEFAULT 0,
    confirm_last_on TEXT   NOT NULL DEFAULT '',
    doc_enc         BYTEA  NOT NULL,
    at              BIGINT NOT NULL
);
CREATE UNIQUE INDEX dispute_serial ON dispute (unit_id, year, serial) WHERE serial > 0;
CREATE UNIQUE INDEX dispute_open ON dispute (session_id) WHERE state IN ('registered', 'screening', 'contacting', 'accepted', 'mediating');
CREATE INDEX dispute_session ON dispute (session_id, created_at);
CREATE INDEX dispute_ticket ON dispute (ticket_id);
CREATE INDEX dispute_device ON dispute (device_id, created_at);
CREATE INDEX dispute_unit ON dispute (unit_id, state);
CREATE INDEX dispute_unfinished ON dispute (state) WHERE state IN ('mediating', 'agreed', 'guided');

-- The last number that a committee drew in a year.
CREATE TABLE dispute_counter (
    unit_id TEXT   NOT NULL,
    year    BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    PRIMARY KEY (unit_id, year)
);

-- One-use links of parties. Token and code are derived from the id and stored as hex SHA-256; so is the cookie.
CREATE TABLE party_link (
    id          TEXT   NOT NULL PRIMARY KEY,
    dispute_id  TEXT   NOT NULL REFERENCES dispute (id),
    party_id    TEXT   NOT NULL,
    purpose     TEXT   NOT NULL,                     -- join, sign
    token_hash  TEXT   NOT NULL UNIQUE,
    code_hash   TEXT   NOT NULL,
    cookie_hash TEXT   NOT NULL DEFAULT '',
    digest      TEXT   NOT NULL DEFAULT '',          -- sign: the agreement that it is bound to
    state       TEXT   NOT NULL,                     -- inert, live, spent, revoked, over
    expires_at  BIGINT NOT NULL,
    redeemed_at BIGINT NOT NULL DEFAULT 0,
    revoked_at  BIGINT NOT NULL DEFAULT 0,
    at          BIGINT NOT NULL
);
CREATE UNIQUE INDEX party_link_code ON party_link (code_hash) WHERE state IN ('inert', 'live');
CREATE UNIQUE INDEX party_link_cookie ON party_link (cookie_hash) WHERE cookie_hash <> '';
CREATE INDEX party_link_dispute ON party_link (dispute_id);

-- One row a version. The clauses, blocks, marks and who read what stand in the sealed document.
CREATE TABLE agreement (
    id           TEXT   NOT NULL PRIMARY KEY,
    dispute_id   TEXT   NOT NULL REFERENCES dispute (id),
    v            BIGINT NOT NULL,
    state        TEXT   NOT NULL,
    sign_mode    TEXT   NOT NULL,                    -- electronic, paper
    digest       TEXT   NOT NULL DEFAULT '',         -- hex SHA-256 of {blocks_sha256, pdf_sha256, v}
    pdf_sha256   TEXT   NOT NULL DEFAULT '',
    effective_at BIGINT NOT NULL DEFAULT 0,
    doc_enc      BYTEA  NOT NULL,
    at           BIGINT NOT NULL
);
CREATE UNIQUE INDEX agreement_version ON agreement (dispute_id, v);
CREATE INDEX agreement_digest ON agreement (digest) WHERE digest <> '';
CREATE INDEX agreement_signed ON agreement (at) WHERE state = 'mediator_signed';

-- What belongs to a dispute's dossier; the content is a row of blob.
CREATE TABLE document (
    dispute_id TEXT   NOT NULL REFERENCES dispute (id),
    name       TEXT   NOT NULL,
    paper      BIGINT NOT NULL,                      -- number in the list of 13 papers, 0 = none
    digest     TEXT   NOT NULL,
    media_type TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (dispute_id, name)
);
CREATE INDEX document_digest ON document (digest);
