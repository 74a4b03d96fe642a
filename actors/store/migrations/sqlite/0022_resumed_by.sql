-- The id by which a session that was put away is resumed (XEP-0198): its client finds it alone.

ALTER TABLE waiting_session ADD COLUMN previd TEXT;
