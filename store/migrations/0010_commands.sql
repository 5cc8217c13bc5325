-- Commands to terminals and the down streams they travel in. Instants are Unix microseconds, 0 = not yet; ids UUIDv7
-- text. A place in a down stream is given when a command is issued; the row of the place goes when the terminal has
-- acked it. Positions live in device_link, so that a sweep of one node reads only what it holds itself.

ALTER TABLE device_link ADD COLUMN down_tail BIGINT NOT NULL DEFAULT 0;   -- last place that was given
ALTER TABLE device_link ADD COLUMN down_acked BIGINT NOT NULL DEFAULT 0;  -- up to here the terminal has it, or nobody needs it
ALTER TABLE device_link ADD COLUMN down_sent BIGINT NOT NULL DEFAULT 0;   -- up to here a link was given it
CREATE INDEX device_link_down ON device_link (node, inc) WHERE state = 'connected' AND down_tail > down_acked;
ALTER TABLE device_stream DROP COLUMN down_next;                          -- nothing was ever sent: it was 1 everywhere

CREATE TABLE device_command (
    id           TEXT   NOT NULL PRIMARY KEY,
    device_id    TEXT   NOT NULL REFERENCES device (id),
    seq          BIGINT NOT NULL,                -- its place in the down stream
    name         TEXT   NOT NULL,
    args         TEXT   NOT NULL,                -- JSON object
    when_busy    TEXT   NOT NULL,                -- reject, wait, run
    not_after_at BIGINT NOT NULL,
    state        TEXT   NOT NULL,                -- queued, delivered, accepted, running; succeeded and the other ends
    waiting      TEXT   NOT NULL DEFAULT '',     -- accepted: visit, lock
    pct          BIGINT NOT NULL DEFAULT 0,
    code         TEXT   NOT NULL DEFAULT '',     -- why it did not succeed
    detail       TEXT   NOT NULL DEFAULT '',
    by_kind      TEXT   NOT NULL,
    by_id        TEXT   NOT NULL,
    queued_at    BIGINT NOT NULL,
    delivered_at BIGINT NOT NULL DEFAULT 0,
    accepted_at  BIGINT NOT NULL DEFAULT 0,
    finished_at  BIGINT NOT NULL DEFAULT 0,
    done_at      BIGINT NOT NULL DEFAULT 0,      -- the end as the terminal tells it
    cancel_at    BIGINT NOT NULL DEFAULT 0       -- the terminal was asked to leave it
);
CREATE INDEX device_command_device ON device_command (device_id, id);
CREATE INDEX device_command_open ON device_command (device_id, seq) WHERE finished_at = 0;
CREATE INDEX device_command_end ON device_command (not_after_at) WHERE finished_at = 0;
CREATE INDEX device_command_finished ON device_command (finished_at) WHERE finished_at > 0;

-- What stands at each place that is not acked.
CREATE TABLE device_down (
    device_id TEXT   NOT NULL,
    seq       BIGINT NOT NULL,
    kind      TEXT   NOT NULL,                   -- cmd, cancel
    cmd_id    TEXT   NOT NULL,
    PRIMARY KEY (device_id, seq)
);

-- Screenshots and logs that commands brought; the content is sealed.
CREATE TABLE device_file (
    cmd_id       TEXT   NOT NULL PRIMARY KEY REFERENCES device_command (id),
    id           TEXT   NOT NULL UNIQUE,
    device_id    TEXT   NOT NULL,
    kind         TEXT   NOT NULL,                -- screenshot, log
    media_type   TEXT   NOT NULL,
    size         BIGINT NOT NULL,                -- bytes of the content
    sha256       TEXT   NOT NULL,                -- hex
    body_enc     BYTEA  NOT NULL,
    at           BIGINT NOT NULL,
    complete_at  BIGINT NOT NULL DEFAULT 0       -- the terminal's log_meta named it
);
CREATE INDEX device_file_at ON device_file (at);
