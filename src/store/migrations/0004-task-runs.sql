-- Run by bash before the agent is asked; decides whether it is.
ALTER TABLE scheduled_tasks ADD COLUMN script TEXT;
-- The session of a run beside the group's conversation: a second try finds there what the first one did.
ALTER TABLE task_run_logs ADD COLUMN session_id TEXT;
CREATE INDEX task_run_logs_running ON task_run_logs (task_id) WHERE status = 'running';
