-- Packages on their way to a case store, and the case store itself (domain.md 7.6, 7.7). Files are content-addressed:
-- what a sender keeps and what its embedded case store received is one row. Manifests, signatures and files are sealed.

CREATE TABLE blob (
    digest   TEXT   NOT NULL PRIMARY KEY,       -- hex SHA-256 of the content
    size     BIGINT NOT NULL,                   -- bytes of the content
    body_enc BYTEA  NOT NULL,
    at       BIGINT NOT NULL
);

-- The outbox. A row is written in the transaction of the command that ends a dispute or closes a consultation.
CREATE TABLE handoff (
    id             TEXT   NOT NULL PRIMARY KEY,
    subject        TEXT   NOT NULL,             -- dispute id; of a consult the session id
    kind           TEXT   NOT NULL,             -- dossier, consult
    version        BIGINT NOT NULL,
    session_id     TEXT   NOT NULL,             -- whose rating belongs to it
    unit_id        TEXT   NOT NULL,
    delivery_id    TEXT   NOT NULL DEFAULT '',  -- hex SHA-256 of the payload, minted once; '' = not made yet
    payload_enc    BYTEA,
    signatures_enc BYTEA,
    target         TEXT   NOT NULL DEFAULT '',  -- where the last attempt went: embedded, or an address
    state          TEXT   NOT NULL,             -- queued, sending, verified, failed, dead
    attempts       BIGINT NOT NULL DEFAULT 0,
    next_at        BIGINT NOT NULL,             -- queued, failed: when it is tried; sending: when its worker is given up
    node           TEXT   NOT NULL DEFAULT '',  -- sending: whose worker
    since_at       BIGINT NOT NULL,             -- since when it is tried; dead after 24 h
    receipt_no     TEXT   NOT NULL DEFAULT '',
    last_error     TEXT   NOT NULL DEFAULT '',  -- a code
    created_at     BIGINT NOT NULL,
    at             BIGINT NOT NULL
);
CREATE UNIQUE INDEX handoff_subject ON handoff (subject, kind, version);
CREATE UNIQUE INDEX handoff_delivery ON handoff (delivery_id) WHERE delivery_id <> '';
CREATE INDEX handoff_due ON handoff (next_at) WHERE state IN ('queued', 'sending', 'failed');
CREATE INDEX handoff_dead ON handoff (at) WHERE state = 'dead';
CREATE INDEX handoff_session ON handoff (session_id);
CREATE INDEX handoff_created ON handoff (created_at, id);

-- A note that holds a short answer closes a consultation as served.
ALTER TABLE consult ADD COLUMN answered BOOLEAN NOT NULL DEFAULT FALSE;

-- What the case store received.
CREATE TABLE case_file (
    id              TEXT   NOT NULL PRIMARY KEY,
    subject         TEXT   NOT NULL,
    kind            TEXT   NOT NULL,
    sender          TEXT   NOT NULL,            -- name of the installation; only it may send further versions
    version         BIGINT NOT NULL,            -- the newest
    unit_id         TEXT   NOT NULL REFERENCES org_unit (id),
    number          TEXT   NOT NULL,
    serial          BIGINT NOT NULL,            -- in the number, 0 = none: what people type
    receipt_no      TEXT   NOT NULL,            -- of the first version: how people name the case
    category        TEXT   NOT NULL,
    mediation_kind  TEXT   NOT NULL,
    closing_code    TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    parties_enc     BYTEA  NOT NULL,            -- masked names, JSON
    rating          BIGINT NOT NULL,
    effective_at    BIGINT NOT NULL,
    confirm_last_on TEXT   NOT NULL,
    followup_on     TEXT   NOT NULL,
    amount_fen      BIGINT NOT NULL,
    received_at     BIGINT NOT NULL,            -- of the first version
    ver             BIGINT NOT NULL,
    at              BIGINT NOT NULL
);
CREATE UNIQUE INDEX case_file_subject ON case_file (subject, kind);
CREATE UNIQUE INDEX case_file_receipt ON case_file (receipt_no);
CREATE INDEX case_file_number ON case_file (number);
CREATE INDEX case_file_serial ON case_file (serial);
CREATE INDEX case_file_received ON case_file (received_at, id);
CREATE INDEX case_file_unit ON case_file (unit_id, received_at, id, kind, state);

CREATE TABLE case_version (
    case_id        TEXT    NOT NULL REFERENCES case_file (id),
    version        BIGINT  NOT NULL,
    delivery_id    TEXT    NOT NULL UNIQUE,
    receipt_no     TEXT    NOT NULL UNIQUE,
    sender_kid     TEXT    NOT NULL,
    seal_kid       TEXT    NOT NULL,
    seal_alg       TEXT    NOT NULL,
    seal_ok        BOOLEAN NOT NULL,            -- its key stood in a published list when it came
    payload_enc    BYTEA   NOT NULL,
    signatures_enc BYTEA   NOT NULL,
    received_at    BIGINT  NOT NULL,
    PRIMARY KEY (case_id, version)
);

-- Names and id numbers by which a case is found, as keyed hashes.
CREATE TABLE case_term (
    term    TEXT NOT NULL,
    case_id TEXT NOT NULL REFERENCES case_file (id),
    PRIMARY KEY (term, case_id)
);

CREATE TABLE receipt_counter (
    unit_id TEXT   NOT NULL,
    day     TEXT   NOT NULL,                    -- 20261122, local
    last    BIGINT NOT NULL,
    PRIMARY KEY (unit_id, day)
);
