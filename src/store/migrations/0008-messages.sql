-- Its writer changed it: whether it calls the assistant is to be looked at again.
ALTER TABLE messages ADD COLUMN is_edited INTEGER NOT NULL DEFAULT 0 CHECK (is_edited IN (0, 1));
-- Taken back before it was answered: nothing of it is left but the id, by which it is known when it is delivered again.
ALTER TABLE messages ADD COLUMN is_deleted INTEGER NOT NULL DEFAULT 0 CHECK (is_deleted IN (0, 1));
-- Said by the host itself; people see it, agents do not.
ALTER TABLE messages ADD COLUMN is_notice INTEGER NOT NULL DEFAULT 0 CHECK (is_notice IN (0, 1));
CREATE INDEX messages_edited ON messages (chat_jid, seq) WHERE is_edited = 1 AND turn_id IS NULL;
-- Tries up to this one asked in words that were changed since: the next one asks anew.
ALTER TABLE turns ADD COLUMN stale_tries INTEGER NOT NULL DEFAULT 0;
CREATE INDEX turns_failed ON turns (ended_at) WHERE state = 'failed';
