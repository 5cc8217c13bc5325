-- Texts to people's phones: rows of the command that causes them. Number and words are sealed. Instants are Unix
-- microseconds, 0 = none; ids UUIDv7 text.
CREATE TABLE notice_out (
    id         TEXT   NOT NULL PRIMARY KEY,
    subject_id TEXT   NOT NULL,                -- what it is about: a dispute
    template   TEXT   NOT NULL,                -- invite, phone_code, receipt, confirm
    text_enc   BYTEA  NOT NULL,                -- sealed JSON {to, args}
    state      TEXT   NOT NULL,                -- queued, sent, dead, dropped
    attempts   BIGINT NOT NULL DEFAULT 0,      -- failures so far
    next_at    BIGINT NOT NULL,                -- queued: when it is tried, also the end of a try's lease
    until_at   BIGINT NOT NULL,                -- when it has no more use
    last_error TEXT   NOT NULL DEFAULT '',     -- code of the last failure
    closed_at  BIGINT NOT NULL DEFAULT 0,
    at         BIGINT NOT NULL
);
CREATE INDEX notice_due ON notice_out (next_at) WHERE state = 'queued';
CREATE INDEX notice_closed ON notice_out (closed_at) WHERE closed_at > 0;
CREATE INDEX notice_subject ON notice_out (subject_id) WHERE state = 'queued';
