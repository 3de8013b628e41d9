-- `changed`: the revision of the catalogue that changed the row last, so that a server reads only what it has not seen.
-- `removed`: 0 in the catalogue, 1 missing from the latest import (not available), 2 deleted. A deleted row stays,
-- because purchases refer to it.
ALTER TABLE articles ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE articles ADD COLUMN removed INTEGER NOT NULL DEFAULT 0 CONSTRAINT articles_removed_known CHECK (removed IN (0, 1, 2));
CREATE INDEX articles_changed ON articles (changed);

-- What each attribute holds, for every article of the shop. `changed` as above.
CREATE TABLE attribute_kinds (
    name     TEXT    PRIMARY KEY,
    kind     TEXT    NOT NULL,
    declared INTEGER NOT NULL DEFAULT 0 CONSTRAINT attribute_kinds_declared_boolean CHECK (declared IN (0, 1)),
    changed  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
-- Learnt from what is there: the kind that most articles have.
INSERT INTO attribute_kinds (name, kind)
SELECT name, kind
FROM (
    SELECT name, kind, row_number() OVER (PARTITION BY name ORDER BY articles DESC, kind) AS place
    FROM (
        SELECT e.key AS name, count(*) AS articles,
            CASE e.type WHEN 'integer' THEN 'number' WHEN 'real' THEN 'number' WHEN 'text' THEN 'text' ELSE 'texts' END AS kind
        FROM articles, json_each(articles.attributes) e
        WHERE e.type IN ('integer', 'real', 'text', 'array')
        GROUP BY 1, 3
    )
)
WHERE place = 1;
