-- Keys of the API. `hash` is the SHA-256 of the secret, which is kept nowhere.
CREATE TABLE api_keys (
    key                 INTEGER PRIMARY KEY,
    name                TEXT    NOT NULL,
    hash                BLOB    NOT NULL CONSTRAINT api_keys_hash_unique UNIQUE,
    scopes              TEXT    NOT NULL CONSTRAINT api_keys_scopes_list CHECK (json_type(scopes) = 'array'),
    requests_per_second INTEGER CONSTRAINT api_keys_rate_positive CHECK (requests_per_second > 0),
    created_at          INTEGER NOT NULL DEFAULT (unixepoch()),
    withdrawn_at        INTEGER
) STRICT;
-- A name may be given again once the key that had it is withdrawn.
CREATE UNIQUE INDEX api_keys_name_unique ON api_keys (name) WHERE withdrawn_at IS NULL;
INSERT INTO revisions (name, value) VALUES ('keys', 0);

-- Who changed what. A row is written before the change and completed after it, so no change is without one; a row
-- that stays `begun` belongs to a process that ended in between.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL DEFAULT (unixepoch()),
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    before  TEXT,
    after   TEXT,
    outcome TEXT    NOT NULL DEFAULT 'begun'
        CONSTRAINT audit_outcome_known CHECK (outcome IN ('begun', 'done', 'failed')),
    error   TEXT
) STRICT;
