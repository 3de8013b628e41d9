-- Counts the imports of purchases: a server that sees it grow counts anew what sells.
INSERT INTO revisions (name, value) VALUES ('purchases', 0);
