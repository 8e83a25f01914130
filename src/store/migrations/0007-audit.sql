-- What was decided, or refused, for the sake of safety. Nothing in it is ever changed, and nothing is removed for a year.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  by TEXT NOT NULL CHECK (by IN ('owner', 'agent', 'sender', 'host')),
  group_folder TEXT,
  act TEXT NOT NULL,
  subject TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('done', 'refused')),
  detail TEXT NOT NULL,
  -- More than one: so many of the kind were not written one by one.
  count INTEGER NOT NULL DEFAULT 1 CHECK (count > 0)
) STRICT;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
  SELECT raise(ABORT, 'the audit is append-only');
END;
-- INSERT OR REPLACE removes a row without asking the trigger below.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = new.id) BEGIN
  SELECT raise(ABORT, 'the audit is append-only');
END;
CREATE TRIGGER audit_is_kept_for_a_year BEFORE DELETE ON audit WHEN old.at > (unixepoch() - 31622400) * 1000 BEGIN
  SELECT raise(ABORT, 'the audit is append-only');
END;
