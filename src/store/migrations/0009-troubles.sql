-- The host's own words: when they do not arrive, no agent is told of it.
ALTER TABLE outbox ADD COLUMN by_host INTEGER NOT NULL DEFAULT 0 CHECK (by_host IN (0, 1));
DROP INDEX outbox_failed;
CREATE INDEX outbox_closed ON outbox (closed_at) WHERE state IN ('failed', 'uncertain');
CREATE INDEX outbox_untold ON outbox (jid) WHERE state IN ('failed', 'uncertain') AND by_host = 0 AND told_in IS NULL;
CREATE INDEX outbox_told ON outbox (told_in) WHERE told_in IS NOT NULL;
-- When it was paused, for as long as it is.
ALTER TABLE scheduled_tasks ADD COLUMN paused_at INTEGER;
