-- How much a purchase counts: the weight of its event, times its quantity. NULL: 1.
ALTER TABLE purchases ADD COLUMN weight REAL CONSTRAINT purchases_weight_positive CHECK (weight > 0);
-- Milliseconds after `at`, for the order within a second.
ALTER TABLE purchases ADD COLUMN millis INTEGER NOT NULL DEFAULT 0;
-- An import that was interrupted before has written rows without these columns; it begins again.
DROP TABLE IF EXISTS purchases_incoming;
DELETE FROM import_progress WHERE finished_at IS NULL;
