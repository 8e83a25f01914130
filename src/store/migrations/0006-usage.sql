-- What the model API was asked for, as the gateway counted it: one row for a quarter of an hour, a group and a model. Days begin
-- at a full quarter of an hour in every time zone.
CREATE TABLE usage (
  -- Milliseconds since the epoch, a multiple of 900,000.
  slot INTEGER NOT NULL,
  group_folder TEXT NOT NULL,
  model TEXT NOT NULL,
  calls INTEGER NOT NULL,
  input INTEGER NOT NULL,
  cache_write INTEGER NOT NULL,
  cache_write_hour INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  output INTEGER NOT NULL,
  searches INTEGER NOT NULL,
  nano_usd INTEGER NOT NULL,
  PRIMARY KEY (slot, group_folder, model)
) STRICT, WITHOUT ROWID;
