-- What a group used of a model until the end of a quarter of an hour, since ever: what it used in any period is the difference
-- of two of these rows. Kept by triggers, so that it holds whoever writes to `usage`.
CREATE TABLE usage_totals (
  group_folder TEXT NOT NULL,
  model TEXT NOT NULL,
  slot INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  input INTEGER NOT NULL,
  cache_write INTEGER NOT NULL,
  cache_write_hour INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  output INTEGER NOT NULL,
  searches INTEGER NOT NULL,
  nano_usd INTEGER NOT NULL,
  PRIMARY KEY (group_folder, model, slot)
) STRICT, WITHOUT ROWID;
-- Which group used which model at all.
CREATE TABLE usage_pairs (
  group_folder TEXT NOT NULL,
  model TEXT NOT NULL,
  PRIMARY KEY (group_folder, model)
) STRICT, WITHOUT ROWID;
INSERT INTO usage_pairs SELECT DISTINCT group_folder, model FROM usage;
INSERT INTO usage_totals
  SELECT group_folder, model, slot, sum(calls) OVER series, sum(input) OVER series, sum(cache_write) OVER series,
      sum(cache_write_hour) OVER series, sum(cache_read) OVER series, sum(output) OVER series, sum(searches) OVER series,
      sum(nano_usd) OVER series
  FROM usage WINDOW series AS (PARTITION BY group_folder, model ORDER BY slot);

-- A clock that was set back adds to the past; then what came after it is counted up, too.
CREATE TRIGGER usage_added AFTER INSERT ON usage BEGIN
  INSERT INTO usage_pairs VALUES (new.group_folder, new.model) ON CONFLICT DO NOTHING;
  INSERT INTO usage_totals
    SELECT new.group_folder, new.model, new.slot, coalesce(sum(calls), 0), coalesce(sum(input), 0),
      coalesce(sum(cache_write), 0), coalesce(sum(cache_write_hour), 0), coalesce(sum(cache_read), 0), coalesce(sum(output), 0),
      coalesce(sum(searches), 0), coalesce(sum(nano_usd), 0)
    FROM (
      SELECT * FROM usage_totals WHERE group_folder = new.group_folder AND model = new.model AND slot < new.slot
      ORDER BY slot DESC LIMIT 1
    ) WHERE true ON CONFLICT DO NOTHING;
  UPDATE usage_totals SET calls = calls + new.calls, input = input + new.input, cache_write = cache_write + new.cache_write,
      cache_write_hour = cache_write_hour + new.cache_write_hour, cache_read = cache_read + new.cache_read,
      output = output + new.output, searches = searches + new.searches, nano_usd = nano_usd + new.nano_usd
    WHERE group_folder = new.group_folder AND model = new.model AND slot >= new.slot;
END;
CREATE TRIGGER usage_changed AFTER UPDATE OF calls, input, cache_write, cache_write_hour, cache_read, output, searches,
      nano_usd ON usage BEGIN
  UPDATE usage_totals SET calls = calls + new.calls - old.calls, input = input + new.input - old.input,
      cache_write = cache_write + new.cache_write - old.cache_write,
      cache_write_hour = cache_write_hour + new.cache_write_hour - old.cache_write_hour,
      cache_read = cache_read + new.cache_read - old.cache_read, output = output + new.output - old.output,
      searches = searches + new.searches - old.searches, nano_usd = nano_usd + new.nano_usd - old.nano_usd
    WHERE group_folder = new.group_folder AND model = new.model AND slot >= new.slot;
END;
-- What is pruned stays in the totals: its row there goes first.
CREATE TRIGGER usage_removed AFTER DELETE ON usage
  WHEN EXISTS (SELECT 1 FROM usage_totals WHERE group_folder = old.group_folder AND model = old.model AND slot = old.slot)
BEGIN
  UPDATE usage_totals SET calls = calls - old.calls, input = input - old.input, cache_write = cache_write - old.cache_write,
      cache_write_hour = cache_write_hour - old.cache_write_hour, cache_read = cache_read - old.cache_read,
      output = output - old.output, searches = searches - old.searches, nano_usd = nano_usd - old.nano_usd
    WHERE group_folder = old.group_folder AND model = old.model AND slot > old.slot;
  DELETE FROM usage_totals WHERE group_folder = old.group_folder AND model = old.model AND slot = old.slot;
END;
