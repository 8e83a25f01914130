-- A file that goes with the text; it is a copy of ours, below data/outgoing.
ALTER TABLE outbox ADD COLUMN file_path TEXT;
ALTER TABLE outbox ADD COLUMN file_name TEXT;
ALTER TABLE outbox ADD COLUMN mime_type TEXT;
-- An earlier attempt has an unknown outcome: the platform may have it.
ALTER TABLE outbox ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0 CHECK (unsure IN (0, 1));
-- A part of a text that was too long stands where its first part, the row with this seq, stands.
ALTER TABLE outbox ADD COLUMN head INTEGER REFERENCES outbox (seq);
ALTER TABLE outbox ADD COLUMN closed_at INTEGER;
-- The turn whose prompt told the agent that this was not delivered.
ALTER TABLE outbox ADD COLUMN told_in INTEGER REFERENCES turns (id);
CREATE INDEX outbox_failed ON outbox (jid) WHERE state = 'failed' AND told_in IS NULL;
CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'pending';
