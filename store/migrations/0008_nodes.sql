-- Several nodes on one database.

-- Of a row node/<name>: the data folder whose process holds the name, so that another one cannot take it while the
-- first lives. Empty in the rows of other leases.
ALTER TABLE lease ADD COLUMN holder TEXT NOT NULL DEFAULT '';

-- Links that ended elsewhere: by a change of life or key, or because another node has the device now. The node that
-- held the link closes what is left of it and removes the row; a nudge tells it at once, its sweep in any case.
CREATE TABLE link_kick (
    node      TEXT   NOT NULL,
    device_id TEXT   NOT NULL,
    epoch     BIGINT NOT NULL,                  -- links below it are over
    why       TEXT   NOT NULL,                  -- retired, disabled, quarantined; '' = superseded
    at        BIGINT NOT NULL,
    PRIMARY KEY (node, device_id)
);
CREATE INDEX link_kick_at ON link_kick (at);

-- A key that is going to sign: every node knows it before it does. States of keys: next -> active -> verify | revoked.
CREATE UNIQUE INDEX key_next ON key (purpose) WHERE state = 'next';
