-- How much a purchase counts: the weight of its event, times its quantity. NULL: 1.
-- Milliseconds need no column: `at` holds microseconds.
ALTER TABLE purchases ADD COLUMN weight real CONSTRAINT purchases_weight_positive CHECK (weight > 0);
-- An import that was interrupted before has written rows without these columns; it begins again.
DROP TABLE IF EXISTS purchases_incoming;
DELETE FROM import_progress WHERE finished_at IS NULL;
