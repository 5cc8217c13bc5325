-- The directory of media nodes, and what a move of a room needs to know. Instants are Unix microseconds, 0 = none.

-- A node lives while the lease media/<name> of its incarnation does. Rows of nodes that are gone stay.
CREATE TABLE media_node (
    name      TEXT    NOT NULL PRIMARY KEY,
    inc       BIGINT  NOT NULL,             -- epoch of its lease
    url       TEXT    NOT NULL,             -- origin by which clients reach it, '' = under the page's own address only
    page      TEXT    NOT NULL,             -- origin of the pages it hands out, '' = the same
    health    TEXT    NOT NULL,             -- address that answers while it lives
    region    TEXT    NOT NULL,
    version   TEXT    NOT NULL,
    max_rooms BIGINT  NOT NULL,
    draining  BOOLEAN NOT NULL DEFAULT FALSE,
    at        BIGINT  NOT NULL
);

ALTER TABLE room_placement ADD COLUMN zone_at BIGINT NOT NULL DEFAULT 0;       -- when somebody last changed zone
ALTER TABLE room_placement ADD COLUMN overlap_until BIGINT NOT NULL DEFAULT 0; -- the node before this one may play on until then
