-- Run by bash before the agent is asked; decides whether it is.
ALTER TABLE scheduled_tasks ADD COLUMN script TEXT;

CREATE TABLE new_task_run_logs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id TEXT NOT NULL,
  run_at INTEGER NOT NULL,
  -- The moment of the schedule that this stands for; null when somebody asked for the run.
  due_at INTEGER,
  duration_ms INTEGER,
  status TEXT NOT NULL CHECK (status IN ('running', 'success', 'error', 'skipped')),
  -- What is special about it: why it was skipped, what it makes up for.
  note TEXT,
  -- The session of a run beside the group's conversation: a second try finds there what the first one did.
  session_id TEXT,
  result TEXT,
  error TEXT
) STRICT;
INSERT INTO new_task_run_logs (id, task_id, run_at, duration_ms, status, result, error)
  SELECT id, task_id, run_at, duration_ms, status, result, error FROM task_run_logs;
DROP TABLE task_run_logs;
ALTER TABLE new_task_run_logs RENAME TO task_run_logs;
CREATE INDEX task_run_logs_task ON task_run_logs (task_id, run_at);
CREATE INDEX task_run_logs_running ON task_run_logs (task_id) WHERE status = 'running';
-- No moment of a schedule is acted on twice.
CREATE UNIQUE INDEX task_run_logs_due ON task_run_logs (task_id, due_at) WHERE due_at IS NOT NULL;

-- The turn into whose run a follow-up went: what was in flight together may have one answer.
ALTER TABLE turns ADD COLUMN joined INTEGER REFERENCES turns (id);
CREATE INDEX turns_joined ON turns (joined) WHERE joined IS NOT NULL;
-- Names the answer in its transcript: found there again for another turn, it is not said again.
ALTER TABLE turns ADD COLUMN answer_id TEXT;
CREATE INDEX turns_answer ON turns (chat_jid, answer_id) WHERE answer_id IS NOT NULL;

-- What is open is found without reading what is over: a chat has few open turns and, in time, many thousands of others.
DROP INDEX turns_open;
CREATE INDEX turns_open_of_chat ON turns (chat_jid, id) WHERE state IN ('pending', 'running');
CREATE INDEX turns_open_of_lane ON turns (group_folder, lane, id) WHERE state IN ('pending', 'running');
CREATE INDEX turns_reason ON turns (chat_jid, id) WHERE reason IS NOT NULL;
