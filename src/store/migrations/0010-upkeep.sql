-- The newest runs of a task are found without reading its others.
CREATE INDEX task_run_logs_of_task ON task_run_logs (task_id);
-- What was sent long ago is found without reading the rest, and so are the parts of a row that goes.
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE state = 'sent';
CREATE INDEX outbox_parts ON outbox (head) WHERE head IS NOT NULL;
