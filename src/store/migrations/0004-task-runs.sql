-- Run by bash before the agent is asked; decides whether it is.
ALTER TABLE scheduled_tasks ADD COLUMN script TEXT;
-- The session of a run beside the group's conversation: a second try finds there what the first one did.
ALTER TABLE task_run_logs ADD COLUMN session_id TEXT;
-- The turn into whose run a follow-up went: what was in flight together may have one answer.
ALTER TABLE turns ADD COLUMN joined INTEGER REFERENCES turns (id);
CREATE INDEX turns_joined ON turns (joined) WHERE joined IS NOT NULL;
-- Names the answer in its transcript: found there again for another turn, it is not said again.
ALTER TABLE turns ADD COLUMN answer_id TEXT;
CREATE INDEX turns_answer ON turns (chat_jid, answer_id) WHERE answer_id IS NOT NULL;
CREATE INDEX task_run_logs_running ON task_run_logs (task_id) WHERE status = 'running';
