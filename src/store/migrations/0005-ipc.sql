-- What agents asked for and was carried out, in the transaction of its effect: a request is never carried out twice.
CREATE TABLE ipc_requests (
  group_folder TEXT NOT NULL,
  id TEXT NOT NULL,
  -- When it was last seen.
  at INTEGER NOT NULL,
  PRIMARY KEY (group_folder, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ipc_requests_at ON ipc_requests (at);

-- What an agent asked people, with labels to choose from.
CREATE TABLE questions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_folder TEXT NOT NULL,
  chat_jid TEXT NOT NULL,
  question TEXT NOT NULL,
  options TEXT NOT NULL CHECK (json_valid(options)),
  asked_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  answer TEXT,
  answered_at INTEGER,
  -- The agent has the answer: as the reply to its request, or in the prompt of a turn.
  told INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),
  -- The turn that has it in its prompt, also when it is tried again.
  told_turn INTEGER
) STRICT;
CREATE INDEX questions_chat ON questions (chat_jid, id);

-- Any piece of three characters of what was said is found, in any script.
CREATE VIRTUAL TABLE messages_text USING fts5 (content, content = 'messages', content_rowid = 'seq', tokenize = 'trigram remove_diacritics 1');
INSERT INTO messages_text (messages_text) VALUES ('rebuild');
CREATE TRIGGER messages_text_added AFTER INSERT ON messages BEGIN
  INSERT INTO messages_text (rowid, content) VALUES (new.seq, new.content);
END;
CREATE TRIGGER messages_text_removed AFTER DELETE ON messages BEGIN
  INSERT INTO messages_text (messages_text, rowid, content) VALUES ('delete', old.seq, old.content);
END;
CREATE TRIGGER messages_text_changed AFTER UPDATE OF content ON messages BEGIN
  INSERT INTO messages_text (messages_text, rowid, content) VALUES ('delete', old.seq, old.content);
  INSERT INTO messages_text (rowid, content) VALUES (new.seq, new.content);
END;
