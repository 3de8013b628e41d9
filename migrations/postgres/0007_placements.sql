-- Placements: how the articles of one place in the shop are found. Every version stays; the newest one of a name is
-- current. One without a definition deletes the placement; one that `restores` another has its definition again.
CREATE TABLE placements (
    name       text        NOT NULL,
    version    bigint      NOT NULL CONSTRAINT placements_version_positive CHECK (version > 0),
    definition json        CONSTRAINT placements_definition_object CHECK (json_typeof(definition) = 'object'),
    restores   bigint      CONSTRAINT placements_restores_earlier CHECK (restores < version),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text        NOT NULL,
    PRIMARY KEY (name, version)
);
INSERT INTO revisions (name, value) VALUES ('placements', 0);
