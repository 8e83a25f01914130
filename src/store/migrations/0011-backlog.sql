-- What nobody has taken up yet is found, and counted, without reading the rest, however long a chat is.
CREATE INDEX messages_open ON messages (chat_jid, seq, is_bot_message, turn_id, is_deleted, is_notice)
  WHERE turn_id IS NULL AND is_deleted = 0 AND is_notice = 0;
-- Changes of a chat's messages, numbered in their order, so that a reader goes on where it stopped.
ALTER TABLE messages ADD COLUMN edit_no INTEGER;
CREATE INDEX messages_edits ON messages (chat_jid, edit_no) WHERE edit_no IS NOT NULL;
-- 0 where the text can be no command to the agent's own program; null where nobody looked.
ALTER TABLE messages ADD COLUMN may_command INTEGER CHECK (may_command IN (0, 1));
CREATE INDEX messages_commands ON messages (chat_jid, seq)
  WHERE turn_id IS NULL AND is_deleted = 0 AND is_notice = 0 AND may_command IS NOT 0;

-- A turn also has the messages of its chat in this range that no turn was written into: too many to be shown to the agent.
ALTER TABLE turns ADD COLUMN passed_from INTEGER;
ALTER TABLE turns ADD COLUMN passed_through INTEGER;
CREATE INDEX turns_passed ON turns (chat_jid, passed_through) WHERE passed_through IS NOT NULL;
