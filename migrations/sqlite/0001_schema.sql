-- Append-only: a migration that has been released is never edited; a change is a new file.
-- The same tables as for Postgres, in SQLite's types. STRICT makes SQLite refuse a text where a number belongs.

CREATE TABLE articles (
    key        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    available  INTEGER NOT NULL DEFAULT 1 CONSTRAINT articles_available_boolean CHECK (available IN (0, 1)),
    price      REAL    CONSTRAINT articles_price_not_negative CHECK (price >= 0),
    image_url  TEXT,
    attributes TEXT    NOT NULL DEFAULT '{}' CONSTRAINT articles_attributes_object CHECK (json_type(attributes) = 'object')
) STRICT;

CREATE TABLE customers (
    key        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    attributes TEXT NOT NULL DEFAULT '{}' CONSTRAINT customers_attributes_object CHECK (json_type(attributes) = 'object')
) STRICT;

-- The primary key is the table (WITHOUT ROWID): the latest purchases of a customer are neighbours and there is
-- no second structure to build or keep. `nth` tells exact duplicates apart (two pieces of one article).
-- `at` counts seconds since 1970.
CREATE TABLE purchases (
    customer INTEGER NOT NULL REFERENCES customers ON DELETE CASCADE,
    at       INTEGER NOT NULL,
    article  INTEGER NOT NULL REFERENCES articles,
    nth      INTEGER NOT NULL DEFAULT 0,
    price    REAL,
    channel  INTEGER,
    PRIMARY KEY (customer, at, article, nth)
) STRICT, WITHOUT ROWID;

-- Registered bundles. The partial unique index lets the database itself guarantee one active version a model.
CREATE TABLE models (
    key           INTEGER PRIMARY KEY,
    model         TEXT    NOT NULL,
    version       TEXT    NOT NULL,
    registered_at INTEGER NOT NULL DEFAULT (unixepoch()),
    active        INTEGER NOT NULL DEFAULT 0 CONSTRAINT models_active_boolean CHECK (active IN (0, 1)),
    CONSTRAINT models_version_unique UNIQUE (model, version)
) STRICT;
CREATE UNIQUE INDEX models_one_active ON models (model) WHERE active;

-- What was active when: a stack a rollback pops by setting `withdrawn_at`. Rows are never deleted.
CREATE TABLE model_activations (
    key          INTEGER PRIMARY KEY,
    model_key    INTEGER NOT NULL REFERENCES models,
    activated_at INTEGER NOT NULL DEFAULT (unixepoch()),
    withdrawn_at INTEGER
) STRICT;
CREATE INDEX model_activations_model ON model_activations (model_key);

-- Counters that grow in the transaction of the change they count.
CREATE TABLE revisions (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO revisions (name, value) VALUES ('catalogue', 0), ('models', 0);

-- The import under way or the last one finished: at most one row. The counts are rows committed, each advanced
-- in the transaction that wrote the rows; an import that was killed goes on from them.
CREATE TABLE import_progress (
    one         INTEGER PRIMARY KEY DEFAULT 1 CONSTRAINT import_progress_one_row CHECK (one = 1),
    fingerprint TEXT    NOT NULL,
    articles    INTEGER NOT NULL DEFAULT 0,
    customers   INTEGER NOT NULL DEFAULT 0,
    purchases   INTEGER NOT NULL DEFAULT 0,
    started_at  INTEGER NOT NULL DEFAULT (unixepoch()),
    finished_at INTEGER
) STRICT;
