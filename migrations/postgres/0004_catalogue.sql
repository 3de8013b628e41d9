-- `changed`: the revision of the catalogue that changed the row last, so that a server reads only what it has not seen.
-- `removed`: 0 in the catalogue, 1 missing from the latest import (not available), 2 deleted. A deleted row stays,
-- because purchases refer to it.
ALTER TABLE articles
    ADD COLUMN changed bigint NOT NULL DEFAULT 0,
    ADD COLUMN removed smallint NOT NULL DEFAULT 0 CONSTRAINT articles_removed_known CHECK (removed IN (0, 1, 2)),
    -- Through text: 19.99 as a real is 19.989999771118164 as a double.
    ALTER COLUMN price TYPE double precision USING price::text::double precision;
CREATE INDEX articles_changed ON articles (changed);

-- What each attribute holds, for every article of the shop. `changed` as above.
CREATE TABLE attribute_kinds (
    name     text    PRIMARY KEY,
    kind     text    NOT NULL,
    declared boolean NOT NULL DEFAULT false,
    changed  bigint  NOT NULL DEFAULT 0
);
-- Learnt from what is there: the kind that most articles have.
INSERT INTO attribute_kinds (name, kind)
SELECT DISTINCT ON (name) name, kind
FROM (
    SELECT e.key AS name, count(*) AS articles,
        CASE jsonb_typeof(e.value) WHEN 'number' THEN 'number' WHEN 'string' THEN 'text' ELSE 'texts' END AS kind
    FROM articles, jsonb_each(attributes) e
    WHERE jsonb_typeof(e.value) IN ('number', 'string', 'array')
    GROUP BY 1, 3
) kinds
ORDER BY name, articles DESC, kind;
