-- What is pruned, and what people are asked, is found without reading the rest.
CREATE INDEX audit_at ON audit (at);
CREATE INDEX questions_over ON questions (expires_at) WHERE answer IS NULL OR told = 1;
CREATE INDEX questions_unheard ON questions (chat_jid, expires_at) WHERE answer IS NULL OR told = 0;
CREATE INDEX questions_untold ON questions (chat_jid) WHERE answer IS NOT NULL AND told = 0;
CREATE INDEX questions_told ON questions (told_turn) WHERE told_turn IS NOT NULL;
-- What belongs to a turn is found from the turn.
CREATE INDEX turns_merged ON turns (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX outbox_turn ON outbox (turn_id) WHERE turn_id IS NOT NULL;
-- What `status` tells, and what a start changes.
CREATE INDEX chats_parked ON chats (jid) WHERE parked_seq > 0;
CREATE INDEX scheduled_tasks_paused ON scheduled_tasks (status) WHERE status = 'paused';
CREATE INDEX scheduled_tasks_ran ON scheduled_tasks (last_run) WHERE last_run IS NOT NULL;
