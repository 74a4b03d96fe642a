-- Items that go by themselves (XEP-0060, pubsub#item_expire).

-- Seconds an item of this node lives, as its configuration says: what publishes need not read
-- a form. NULL: for good.
ALTER TABLE pubsub_node ADD COLUMN item_expire INTEGER;

-- When an item goes; NULL: not by itself.
ALTER TABLE pubsub_item ADD COLUMN expires INTEGER;
CREATE INDEX pubsub_item_expires ON pubsub_item (expires) WHERE expires IS NOT NULL;
