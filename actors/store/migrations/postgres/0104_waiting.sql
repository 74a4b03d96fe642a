-- Which node of the cluster has put a session away: it is the first to take it up again.
ALTER TABLE waiting_session ADD COLUMN node bigint;
