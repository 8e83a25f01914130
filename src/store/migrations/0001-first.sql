-- Folders are the identity of a group; several chats may share one.
CREATE TABLE groups (
  folder TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  is_main INTEGER NOT NULL DEFAULT 0 CHECK (is_main IN (0, 1)),
  container_config TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(container_config)),
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX groups_one_main ON groups (is_main) WHERE is_main = 1;
CREATE UNIQUE INDEX groups_folder_without_case ON groups (lower(folder));

-- Every chat that was ever seen. Of unregistered ones this row is all that is kept.
CREATE TABLE chats (
  jid TEXT PRIMARY KEY,
  name TEXT,
  is_group INTEGER NOT NULL DEFAULT 0 CHECK (is_group IN (0, 1)),
  last_message_at INTEGER,
  -- Messages up to here are answered. Moved only by the transaction that commits an answer or gives one up.
  answered_seq INTEGER NOT NULL DEFAULT 0,
  -- Messages up to here wait for something to change (a login, an image); a newer message wakes them.
  parked_seq INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE registered_groups (
  jid TEXT PRIMARY KEY REFERENCES chats (jid),
  folder TEXT NOT NULL REFERENCES groups (folder) ON DELETE CASCADE,
  trigger_pattern TEXT,
  requires_trigger INTEGER NOT NULL DEFAULT 1 CHECK (requires_trigger IN (0, 1)),
  added_at INTEGER NOT NULL
) STRICT;
CREATE INDEX registered_groups_folder ON registered_groups (folder);

-- seq is the order of storing and the only order there is; timestamps are for people.
CREATE TABLE messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  chat_jid TEXT NOT NULL REFERENCES chats (jid),
  id TEXT NOT NULL,
  sender TEXT NOT NULL,
  sender_name TEXT NOT NULL,
  content TEXT NOT NULL,
  timestamp INTEGER NOT NULL,
  is_from_me INTEGER NOT NULL DEFAULT 0 CHECK (is_from_me IN (0, 1)),
  is_bot_message INTEGER NOT NULL DEFAULT 0 CHECK (is_bot_message IN (0, 1)),
  -- The turn that took this message in, or (is_bot_message = 1) said it.
  turn_id INTEGER REFERENCES turns (id),
  UNIQUE (chat_jid, id)
) STRICT;
CREATE INDEX messages_chat_seq ON messages (chat_jid, seq);
CREATE INDEX messages_turn ON messages (turn_id) WHERE turn_id IS NOT NULL;

CREATE TABLE turns (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_folder TEXT NOT NULL,
  chat_jid TEXT NOT NULL,
  lane TEXT NOT NULL DEFAULT 'chat' CHECK (lane IN ('chat', 'isolated')),
  task_run_id INTEGER,
  state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'stopped', 'failed')),
  -- Starts so far; the uuid of each is derived from it.
  tries INTEGER NOT NULL DEFAULT 0,
  -- Failures that count against the limit of retries.
  failures INTEGER NOT NULL DEFAULT 0,
  told INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),
  not_before INTEGER,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  reason TEXT,
  error TEXT,
  -- A follow-up that went into the answer of an earlier turn.
  merged_into INTEGER REFERENCES turns (id),
  input_tokens INTEGER,
  output_tokens INTEGER,
  cost_usd REAL
) STRICT;
CREATE INDEX turns_open ON turns (group_folder, chat_jid) WHERE state IN ('pending', 'running');
CREATE INDEX turns_chat ON turns (chat_jid, id);

-- `sqlite3 store/messages.db "DELETE FROM sessions WHERE group_folder = '...'"` starts a fresh session.
CREATE TABLE sessions (
  group_folder TEXT PRIMARY KEY,
  session_id TEXT NOT NULL
) STRICT;

CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  jid TEXT NOT NULL,
  text TEXT NOT NULL,
  -- Makes a repeated send harmless where the platform supports it.
  key TEXT NOT NULL UNIQUE,
  turn_id INTEGER REFERENCES turns (id),
  state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'sent', 'uncertain', 'failed')),
  attempts INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  sent_at INTEGER,
  platform_id TEXT,
  error TEXT
) STRICT;
CREATE INDEX outbox_open ON outbox (jid, seq) WHERE state IN ('pending', 'sending');

-- Small facts about this installation.
CREATE TABLE router_state (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
