-- What happens in the shop, beside what is imported. An import replaces `purchases` and never touches these tables,
-- except that it marks the told purchases which its files hold as well (`imported`), so that they count once.

-- Visitors who are no known customers, or were not when they came. `customer`: whose visits these are.
CREATE TABLE visitors (
    key      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       text    NOT NULL CONSTRAINT visitors_id_unique UNIQUE,
    customer integer CONSTRAINT visitors_customer_exists REFERENCES customers ON DELETE CASCADE
);
CREATE INDEX visitors_customer ON visitors (customer) WHERE customer IS NOT NULL;

-- One row for each line of an event; an event without items has one row without an article.
-- `revision`: the value of the revision `events` that the row was written in; it grows in the order of commits, so that
-- a reader who has seen a revision goes on behind it.
-- `retention`: 0 facts (purchases, returns), 1 actions, 2 impressions; partitions of each are made by month of receipt.
-- `article` is an id, because events may come before the catalogue has the article.
-- `counts`: how much a purchase adds to what is counted for the whole shop: its quantity within what one subject may add.
-- `list`, `route`, `model`, `version`, `source`, `position`, `answered`: the answer that led to the event, as its signed
-- `recommendation_id` says; NULL where none did.
CREATE TABLE events (
    revision  bigint           NOT NULL,
    received  timestamptz      NOT NULL,
    at        timestamptz      NOT NULL,
    retention smallint         NOT NULL CONSTRAINT events_retention_known CHECK (retention IN (0, 1, 2)),
    line      smallint         NOT NULL,
    imported  boolean          NOT NULL DEFAULT false,
    customer  integer          CONSTRAINT events_customer_exists REFERENCES customers ON DELETE CASCADE,
    visitor   integer          CONSTRAINT events_visitor_exists REFERENCES visitors ON DELETE CASCADE,
    counts    real             NOT NULL DEFAULT 0,
    quantity  real             NOT NULL DEFAULT 1,
    price     double precision,
    type      text             NOT NULL,
    event_id  text             NOT NULL,
    article   text,
    order_id  text,
    currency  text,
    list      text,
    route     text,
    model     text,
    version   text,
    source    text,
    position  smallint,
    answered  timestamptz
) PARTITION BY LIST (retention);
CREATE TABLE events_facts PARTITION OF events FOR VALUES IN (0) PARTITION BY RANGE (received);
CREATE TABLE events_actions PARTITION OF events FOR VALUES IN (1) PARTITION BY RANGE (received);
CREATE TABLE events_impressions PARTITION OF events FOR VALUES IN (2) PARTITION BY RANGE (received);
CREATE INDEX events_revision ON events (revision);
CREATE INDEX events_customer ON events (customer, at) WHERE customer IS NOT NULL;
CREATE INDEX events_visitor ON events (visitor, at) WHERE visitor IS NOT NULL;
-- A return looks for its purchase.
CREATE INDEX events_order ON events (order_id, article) WHERE order_id IS NOT NULL;

-- Event ids that were accepted, as the first 16 bytes of their SHA-256.
CREATE TABLE event_ids (
    id       bytea       PRIMARY KEY,
    received timestamptz NOT NULL
);
-- Lines of orders that were told, as the first 16 bytes of the SHA-256 of type, order and line: the browser and the back
-- office may both tell of one.
CREATE TABLE order_lines (
    id bytea PRIMARY KEY
);
-- How much a subject has added to the count of an article within an hour (hours since 1970).
CREATE TABLE counted_hours (
    id   bytea    PRIMARY KEY,
    hour integer NOT NULL,
    used real    NOT NULL
);
-- Salted hashes of customers and visitors who were erased: neither a late event nor an import brings them back.
CREATE TABLE erased (
    hash      bytea       PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);
-- Secrets that every replica needs: the salt of `erased` and the key that signs recommendation ids.
CREATE TABLE secrets (
    name  text  PRIMARY KEY,
    value bytea NOT NULL
);
INSERT INTO revisions (name, value) VALUES ('events', 0), ('customers', 0);
