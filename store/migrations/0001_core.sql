-- What every part of the store leans on: events, leases, keys, spent tokens, remembered commands.
-- One dialect subset for SQLite and PostgreSQL: TEXT, BIGINT, BOOLEAN, BYTEA; times are Unix microseconds.
-- No deferred constraints anywhere: on SQLite one failing COMMIT would fail the neighbours in its group.

-- The hash-chained event log (internal/audit). Rows are only ever added.
CREATE TABLE event (
    aggregate    TEXT   NOT NULL,
    agg_id       TEXT   NOT NULL,
    seq          BIGINT NOT NULL,
    type         TEXT   NOT NULL,
    data         TEXT   NOT NULL,
    actor_kind   TEXT   NOT NULL,
    actor_id     TEXT   NOT NULL,
    actor_device TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    cause        TEXT   NOT NULL,
    prev_hash    TEXT   NOT NULL,
    hash         TEXT   NOT NULL,
    PRIMARY KEY (aggregate, agg_id, seq)
);

-- Who may do what only one may do. Rows stay when a lease is released, so that an epoch never repeats.
CREATE TABLE lease (
    name       TEXT   PRIMARY KEY,
    owner      TEXT   NOT NULL, -- empty when released
    epoch      BIGINT NOT NULL,
    ttl        BIGINT NOT NULL, -- microseconds
    expires_at BIGINT NOT NULL
);
CREATE INDEX lease_owner ON lease (owner);

-- Keys, wrapped by the master key. At most one active key a purpose: two nodes that start at once make one.
CREATE TABLE key (
    kid     TEXT   PRIMARY KEY,
    purpose TEXT   NOT NULL,
    alg     TEXT   NOT NULL,
    wrapped BYTEA  NOT NULL,
    pub     BYTEA  NOT NULL, -- empty for symmetric keys
    state   TEXT   NOT NULL, -- active | verify | revoked
    at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX key_active ON key (purpose) WHERE state = 'active';

-- One-time tokens that were redeemed, kept until they would have expired anyway.
CREATE TABLE spent_token (
    jti        TEXT   PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX spent_token_expires ON spent_token (expires_at);

-- The first answer to a command that carried an idempotency key.
CREATE TABLE idempotency (
    actor   TEXT   NOT NULL,
    key     TEXT   NOT NULL,
    command TEXT   NOT NULL,
    answer  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_at ON idempotency (at);

-- One row that readiness checks write to, so that a read-only database or a full disk is noticed.
CREATE TABLE store_check (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL
);
INSERT INTO store_check (id, at) VALUES (1, 0);
