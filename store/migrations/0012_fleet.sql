-- The fleet at 100,000 devices: what lists filter and sort by stands in the presence row itself, counts are kept with
-- every change of a chip, links leave a history, and a lost node is one row (docs/adr/0012-fleet-rows.md).

-- Copies of device and of what a connect tells, so that a list asks one table. name_key and serial_key are lower-case
-- (ASCII) copies by which lists are sorted and searched; prev_* are what the last change of a chip or link replaced.
ALTER TABLE device_link ADD COLUMN chip       TEXT   NOT NULL DEFAULT 'pending'; -- devices.Chip
ALTER TABLE device_link ADD COLUMN prev_chip  TEXT   NOT NULL DEFAULT 'pending';
ALTER TABLE device_link ADD COLUMN linked_at  BIGINT NOT NULL DEFAULT 0;         -- when the link of this epoch came up
ALTER TABLE device_link ADD COLUMN prev_at    BIGINT NOT NULL DEFAULT 0;         -- linked_at of the former epoch
ALTER TABLE device_link ADD COLUMN kind       TEXT   NOT NULL DEFAULT '';
ALTER TABLE device_link ADD COLUMN class      TEXT   NOT NULL DEFAULT '';
ALTER TABLE device_link ADD COLUMN model      TEXT   NOT NULL DEFAULT '';
ALTER TABLE device_link ADD COLUMN tier       TEXT   NOT NULL DEFAULT '';        -- engine tier A to D, '' unknown
ALTER TABLE device_link ADD COLUMN name_key   TEXT   NOT NULL DEFAULT '';
ALTER TABLE device_link ADD COLUMN serial_key TEXT   NOT NULL DEFAULT '';

UPDATE device_link SET
    kind       = (SELECT device.kind FROM device WHERE device.id = device_link.device_id),
    class      = (SELECT device.class FROM device WHERE device.id = device_link.device_id),
    model      = (SELECT device.model FROM device WHERE device.id = device_link.device_id),
    name_key   = (SELECT LOWER(device.name) FROM device WHERE device.id = device_link.device_id),
    serial_key = (SELECT LOWER(device.serial) FROM device WHERE device.id = device_link.device_id),
    linked_at  = since_at,
    chip       = (SELECT CASE WHEN device.life <> 'active' THEN device.life
                              WHEN device_link.state = 'connected' THEN 'online'
                              ELSE device_link.state END
                  FROM device WHERE device.id = device_link.device_id);

-- The two orders of the device list, each with everything a filter asks, so that a question is at most one pass over
-- one index.
CREATE INDEX device_link_list ON device_link (name_key, device_id, chip, unit_id, kind, class, tier, model, serial_key);
CREATE INDEX device_link_chip ON device_link (chip, name_key, device_id, unit_id, kind, class, tier, model, serial_key);
CREATE INDEX device_link_serial ON device_link (serial_key, device_id);
-- Offline devices that become lost by time alone.
CREATE INDEX device_link_fade ON device_link (class, since_at) WHERE chip = 'offline';
-- Links of a lost node that have not come back.
CREATE INDEX device_link_missing ON device_link (node, inc) WHERE cause = 'node_lost';

-- How many devices a unit itself has, by what they are and by chip. The transaction that changes a chip changes these.
-- A slot spreads the rows over nodes; the sum of the slots counts, one alone may be negative.
CREATE TABLE fleet_count (
    unit_id TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    class   TEXT   NOT NULL,
    chip    TEXT   NOT NULL,
    slot    BIGINT NOT NULL,
    n       BIGINT NOT NULL,
    PRIMARY KEY (unit_id, kind, class, chip, slot)
);
INSERT INTO fleet_count (unit_id, kind, class, chip, slot, n)
    SELECT unit_id, kind, class, chip, 0, COUNT(*) FROM device_link GROUP BY unit_id, kind, class, chip;

-- One row a link that ended.
CREATE TABLE device_session (
    device_id TEXT   NOT NULL,
    epoch     BIGINT NOT NULL,
    node      TEXT   NOT NULL,
    from_at   BIGINT NOT NULL,
    to_at     BIGINT NOT NULL,
    cause     TEXT   NOT NULL,                  -- as in device_link; superseded: a newer link took its place
    bytes     BIGINT NOT NULL DEFAULT 0,        -- both directions, as far as the node could tell
    PRIMARY KEY (device_id, epoch)
);
CREATE INDEX device_session_end ON device_session (to_at);

-- A node whose links were taken for lost at once: one event for the operator, however many devices it held.
CREATE TABLE node_loss (
    node       TEXT   NOT NULL,
    inc        BIGINT NOT NULL,                 -- the incarnation that is gone
    why        TEXT   NOT NULL,                 -- lost, restarted
    at         BIGINT NOT NULL,
    links      BIGINT NOT NULL,                 -- devices that were linked to it
    settled_at BIGINT NOT NULL DEFAULT 0,       -- none of them is on its way any more
    off        BIGINT NOT NULL DEFAULT 0,       -- settled: devices that did not come back within their grace
    PRIMARY KEY (node, inc)
);
CREATE INDEX node_loss_at ON node_loss (at);

-- The claims of a device, for its page.
CREATE INDEX claim_device ON claim (device_id) WHERE device_id <> '';

-- What was answered today, and after how long.
CREATE INDEX ticket_closed ON ticket (closed_at) WHERE closed_at > 0;
CREATE INDEX session_created ON session (created_at);
