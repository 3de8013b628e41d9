-- Placements: how the articles of one place in the shop are found. Every version stays; the newest one of a name is
-- current. One without a definition deletes the placement; one that `restores` another has its definition again.
CREATE TABLE placements (
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL CONSTRAINT placements_version_positive CHECK (version > 0),
    definition TEXT    CONSTRAINT placements_definition_object CHECK (json_type(definition) = 'object'),
    restores   INTEGER CONSTRAINT placements_restores_earlier CHECK (restores < version),
    created_at INTEGER NOT NULL DEFAULT (unixepoch()),
    created_by TEXT    NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;
INSERT INTO revisions (name, value) VALUES ('placements', 0);
