-- Nodes of the cluster: a number for each name, an incarnation for each start.

CREATE TABLE node (
    number bigint PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    incarnation bigint NOT NULL,
    joined bigint NOT NULL
);
