-- What happens in the shop, beside what is imported; see the same migration for Postgres. `at`, `received` and
-- `answered` count milliseconds since 1970.

CREATE TABLE visitors (
    key      INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    customer INTEGER REFERENCES customers ON DELETE CASCADE
) STRICT;
CREATE INDEX visitors_customer ON visitors (customer) WHERE customer IS NOT NULL;

CREATE TABLE events (
    revision  INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    retention INTEGER NOT NULL CONSTRAINT events_retention_known CHECK (retention IN (0, 1, 2)),
    line      INTEGER NOT NULL,
    imported  INTEGER NOT NULL DEFAULT 0 CONSTRAINT events_imported_boolean CHECK (imported IN (0, 1)),
    customer  INTEGER REFERENCES customers ON DELETE CASCADE,
    visitor   INTEGER REFERENCES visitors ON DELETE CASCADE,
    counts    REAL    NOT NULL DEFAULT 0,
    quantity  REAL    NOT NULL DEFAULT 1,
    price     REAL,
    type      TEXT    NOT NULL,
    event_id  TEXT    NOT NULL,
    article   TEXT,
    order_id  TEXT,
    currency  TEXT,
    list      TEXT,
    route     TEXT,
    model     TEXT,
    version   TEXT,
    source    TEXT,
    position  INTEGER,
    answered  INTEGER
) STRICT;
CREATE INDEX events_revision ON events (revision);
CREATE INDEX events_received ON events (retention, received);
CREATE INDEX events_customer ON events (customer, at) WHERE customer IS NOT NULL;
CREATE INDEX events_visitor ON events (visitor, at) WHERE visitor IS NOT NULL;
-- A return looks for its purchase.
CREATE INDEX events_order ON events (order_id, article) WHERE order_id IS NOT NULL;

CREATE TABLE event_ids (
    id       BLOB    PRIMARY KEY,
    received INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE order_lines (
    id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE counted_hours (
    id   BLOB    PRIMARY KEY,
    hour INTEGER NOT NULL,
    used REAL    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE erased (
    hash      BLOB    PRIMARY KEY,
    erased_at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT, WITHOUT ROWID;
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO revisions (name, value) VALUES ('events', 0), ('customers', 0);
