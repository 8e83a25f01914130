-- Its writer changed it: whether it calls the assistant is to be looked at again.
ALTER TABLE messages ADD COLUMN is_edited INTEGER NOT NULL DEFAULT 0 CHECK (is_edited IN (0, 1));
-- Taken back before it was answered: nothing of it is left but the id, by which it is known when it is delivered again.
ALTER TABLE messages ADD COLUMN is_deleted INTEGER NOT NULL DEFAULT 0 CHECK (is_deleted IN (0, 1));
-- Said by the host itself; people see it, agents do not.
ALTER TABLE messages ADD COLUMN is_notice INTEGER NOT NULL DEFAULT 0 CHECK (is_notice IN (0, 1));
CREATE INDEX messages_edited ON messages (chat_jid, seq) WHERE is_edited = 1 AND turn_id IS NULL;
-- Tries up to this one asked in words that were changed since: the next one asks anew.
ALTER TABLE turns ADD COLUMN stale_tries INTEGER NOT NULL DEFAULT 0;
-- The host's own words: when they do not arrive, no agent is told of it.
ALTER TABLE outbox ADD COLUMN by_host INTEGER NOT NULL DEFAULT 0 CHECK (by_host IN (0, 1));
DROP INDEX outbox_failed;
CREATE INDEX outbox_closed ON outbox (closed_at) WHERE state IN ('failed', 'uncertain');
CREATE INDEX outbox_untold ON outbox (jid) WHERE state IN ('failed', 'uncertain') AND by_host = 0 AND told_in IS NULL;
CREATE INDEX outbox_told ON outbox (told_in) WHERE told_in IS NOT NULL;
ALTER TABLE scheduled_tasks ADD COLUMN paused_at INTEGER;
CREATE INDEX turns_failed ON turns (ended_at) WHERE state = 'failed';
