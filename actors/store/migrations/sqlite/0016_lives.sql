-- Nodes of the cluster: a number for each name, an incarnation for each start.

CREATE TABLE node (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    incarnation INTEGER NOT NULL,
    joined INTEGER NOT NULL
) STRICT;
