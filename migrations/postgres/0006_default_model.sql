-- The model of requests that name none: the first one that was activated, until another is made the default.
-- No row while no model is active.
CREATE TABLE default_model (
    one   boolean PRIMARY KEY DEFAULT true CONSTRAINT default_model_one_row CHECK (one),
    model text    NOT NULL
);
-- Until now it was the first active model by name.
INSERT INTO default_model (model) SELECT min(model) FROM models WHERE active HAVING count(*) > 0;
