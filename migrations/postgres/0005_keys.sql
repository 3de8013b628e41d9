-- Keys of the API. `hash` is the SHA-256 of the secret, which is kept nowhere.
CREATE TABLE api_keys (
    key                 integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                text        NOT NULL,
    hash                bytea       NOT NULL CONSTRAINT api_keys_hash_unique UNIQUE,
    scopes              jsonb       NOT NULL CONSTRAINT api_keys_scopes_list CHECK (jsonb_typeof(scopes) = 'array'),
    requests_per_second integer     CONSTRAINT api_keys_rate_positive CHECK (requests_per_second > 0),
    created_at          timestamptz NOT NULL DEFAULT now(),
    withdrawn_at        timestamptz
);
-- A name may be given again once the key that had it is withdrawn.
CREATE UNIQUE INDEX api_keys_name_unique ON api_keys (name) WHERE withdrawn_at IS NULL;
INSERT INTO revisions (name, value) VALUES ('keys', 0);

-- Who changed what. A row is written before the change and completed after it, so no change is without one; a row
-- that stays `begun` belongs to a process that ended in between.
CREATE TABLE audit (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text        NOT NULL,
    action  text        NOT NULL,
    subject text        NOT NULL,
    before  json,
    after   json,
    outcome text        NOT NULL DEFAULT 'begun'
        CONSTRAINT audit_outcome_known CHECK (outcome IN ('begun', 'done', 'failed')),
    error   text
);
