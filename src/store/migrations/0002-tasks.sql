-- What is to be done at its time. What a person or an agent wrote into the schedule is kept as it is, also when it makes no
-- sense: such a task is paused with the reason. A task may outlive its group and its chat.
CREATE TABLE scheduled_tasks (
  id TEXT PRIMARY KEY,
  group_folder TEXT NOT NULL,
  chat_jid TEXT NOT NULL,
  prompt TEXT NOT NULL,
  -- cron (in the host's time zone), interval (milliseconds) or once (local time).
  schedule_type TEXT NOT NULL,
  schedule_value TEXT NOT NULL,
  context_mode TEXT NOT NULL DEFAULT 'isolated' CHECK (context_mode IN ('group', 'isolated')),
  -- What becomes of moments that passed while the host was down: one run for all of them, or none.
  catch_up TEXT NOT NULL DEFAULT 'once' CHECK (catch_up IN ('once', 'skip')),
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'completed')),
  -- Why it is paused, when it was not a person who paused it.
  reason TEXT,
  next_run INTEGER,
  last_run INTEGER,
  last_result TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX scheduled_tasks_due ON scheduled_tasks (next_run) WHERE status = 'active';
CREATE INDEX scheduled_tasks_group ON scheduled_tasks (group_folder);

-- Every run; the record outlives its task.
CREATE TABLE task_run_logs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id TEXT NOT NULL,
  run_at INTEGER NOT NULL,
  duration_ms INTEGER,
  status TEXT NOT NULL CHECK (status IN ('running', 'success', 'error')),
  result TEXT,
  error TEXT
) STRICT;
CREATE INDEX task_run_logs_task ON task_run_logs (task_id, run_at);
