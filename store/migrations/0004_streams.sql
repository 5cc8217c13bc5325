-- The durable streams of terminals: where both directions stand, what a terminal consists of, what it reported.
-- Every write of these rows is fenced by the epoch in device_link, which the same transaction holds.

CREATE TABLE device_stream (
    device_id   TEXT   NOT NULL PRIMARY KEY,
    down_stream TEXT   NOT NULL,                -- id of the service's stream to the terminal
    down_next   BIGINT NOT NULL DEFAULT 1,      -- seq of its next frame
    up_stream   TEXT   NOT NULL DEFAULT '',     -- id of the terminal's journal, as its first frame named it
    up_acked    BIGINT NOT NULL DEFAULT 0,      -- last seq of it that is stored
    reports     BIGINT NOT NULL DEFAULT 0       -- reports the terminal ever made; numbers device_event
);

-- The newest inventory of a terminal.
CREATE TABLE device_inventory (
    device_id TEXT   NOT NULL PRIMARY KEY,
    hash      TEXT   NOT NULL,                  -- hex SHA-256 of the document
    document  TEXT   NOT NULL,                  -- JSON object
    at        BIGINT NOT NULL
);

-- The newest reports of a terminal, as many as fleet.events_kept. No personal data.
CREATE TABLE device_event (
    device_id TEXT   NOT NULL,
    id        BIGINT NOT NULL,                  -- 1, 2, ... per device
    kind      TEXT   NOT NULL,                  -- boot, network_changed, page_error, journal_lost ...
    data      TEXT   NOT NULL,                  -- JSON object
    device_at BIGINT NOT NULL DEFAULT 0,        -- the terminal's clock, advisory
    at        BIGINT NOT NULL,
    PRIMARY KEY (device_id, id)
);
