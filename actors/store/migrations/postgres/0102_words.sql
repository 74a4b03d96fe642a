-- The index of words (XEP-0431): the terms of entries that have any. It is made from the entries
-- and may be behind them.

CREATE TABLE word (
    log bigint NOT NULL,
    id bigint NOT NULL,
    terms tsvector NOT NULL,
    PRIMARY KEY (log, id)
);
CREATE INDEX word_terms ON word USING gin (terms);

-- Up to which entry a log has been looked at.
CREATE TABLE word_progress (
    log bigint PRIMARY KEY,
    last bigint NOT NULL
) WITH (fillfactor = 50);
