-- Append-only: a migration that has been released is never edited; a change is a new file.

-- The catalogue. `key` is the surrogate that purchases refer to (4 bytes instead of a text a row).
-- The shop's columns live in one JSON object: every shop has others, and none is queried by the database.
CREATE TABLE articles (
    key        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text    NOT NULL CONSTRAINT articles_id_unique UNIQUE,
    available  boolean NOT NULL DEFAULT true,
    price      real    CONSTRAINT articles_price_not_negative CHECK (price >= 0),
    image_url  text,
    attributes jsonb   NOT NULL DEFAULT '{}' CONSTRAINT articles_attributes_object CHECK (jsonb_typeof(attributes) = 'object')
);

CREATE TABLE customers (
    key        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text    NOT NULL CONSTRAINT customers_id_unique UNIQUE,
    attributes jsonb   NOT NULL DEFAULT '{}' CONSTRAINT customers_attributes_object CHECK (jsonb_typeof(attributes) = 'object')
);

-- Widest column first: 22 bytes of data, padded to 24, so a timestamp costs no more than a 4-byte number would.
-- No primary key: 10 to 17 percent of a fashion shop's rows are exact duplicates (two pieces of one article),
-- and nothing ever addresses a single purchase. An import loads the rows customer by customer, so the
-- purchases of one customer share a page.
CREATE TABLE purchases (
    at       timestamptz NOT NULL,
    customer integer     NOT NULL CONSTRAINT purchases_customer_exists REFERENCES customers ON DELETE CASCADE,
    article  integer     NOT NULL CONSTRAINT purchases_article_exists REFERENCES articles,
    price    real,
    channel  smallint
);

-- Latest purchases of a customer, read backwards. The article is left out so that equal keys (a basket) are
-- stored once; ties within one moment are few and sorted on the fly.
CREATE INDEX purchases_latest ON purchases (customer, at);

-- Registered bundles. The partial unique index lets the database itself guarantee one active version a model.
CREATE TABLE models (
    key           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model         text        NOT NULL,
    version       text        NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    active        boolean     NOT NULL DEFAULT false,
    CONSTRAINT models_version_unique UNIQUE (model, version)
);
CREATE UNIQUE INDEX models_one_active ON models (model) WHERE active;

-- What was active when: a stack a rollback pops by setting `withdrawn_at`. Rows are never deleted.
CREATE TABLE model_activations (
    key          integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_key    integer     NOT NULL REFERENCES models,
    activated_at timestamptz NOT NULL DEFAULT now(),
    withdrawn_at timestamptz
);
CREATE INDEX model_activations_model ON model_activations (model_key);

-- Counters that grow in the transaction of the change they count, so that every replica sees a change
-- exactly when it can read it. The row lock also puts writers of the catalogue in a line.
CREATE TABLE revisions (
    name  text   PRIMARY KEY,
    value bigint NOT NULL
);
INSERT INTO revisions (name, value) VALUES ('catalogue', 0), ('models', 0);

-- The import under way or the last one finished: at most one row. The counts are rows committed, each advanced
-- in the transaction that wrote the rows; an import that was killed goes on from them.
CREATE TABLE import_progress (
    one         boolean     PRIMARY KEY DEFAULT true CONSTRAINT import_progress_one_row CHECK (one),
    fingerprint text        NOT NULL,
    articles    bigint      NOT NULL DEFAULT 0,
    customers   bigint      NOT NULL DEFAULT 0,
    purchases   bigint      NOT NULL DEFAULT 0,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
