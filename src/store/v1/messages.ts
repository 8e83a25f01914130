import type { Database } from 'better-sqlite3'
import { objectIn } from '../json.ts'
import { type OldTables, quoted } from './old-tables.ts'
import { instantOf, textOf } from './values.ts'

/** Where v1 kept, per chat, the timestamp of the newest message that it had answered. */
const CURSORS = 'last_agent_timestamp'

/** Copies the messages in v1's order. There may be millions: this one works inside SQLite. */
export function copyMessages(db: Database, old: OldTables): number {
  const byAssistant = assistantPrefix(old)
  db.function('v1_instant', { deterministic: true }, (value) => instantOf(value) ?? 0)
  db.function('v1_by_assistant', { deterministic: true }, (content) => (byAssistant(textOf(content) ?? '') ? 1 : 0))
  keepHomeless(db, old)
  db.exec(`
    CREATE TEMP TABLE v1_order AS
      SELECT row_number() OVER (ORDER BY timestamp, rowid) AS seq, rowid AS old, CAST(chat_jid AS TEXT) AS jid, timestamp
      FROM v1_messages WHERE chat_jid IS NOT NULL;
    CREATE INDEX v1_order_jid ON v1_order (jid, seq);
    INSERT INTO chats (jid, last_message_at) SELECT jid, max(v1_instant(timestamp)) FROM v1_order GROUP BY jid
      ON CONFLICT (jid) DO UPDATE SET last_message_at = max(coalesce(last_message_at, 0), excluded.last_message_at);
    INSERT INTO messages (seq, chat_jid, id, sender, sender_name, content, timestamp, is_from_me, is_bot_message)
      SELECT o.seq, o.jid, coalesce(CAST(id AS TEXT), 'v1-' || m.rowid), coalesce(CAST(sender AS TEXT), ''),
        coalesce(nullif(CAST(sender_name AS TEXT), ''), nullif(CAST(sender AS TEXT), ''), 'unknown'),
        coalesce(CAST(content AS TEXT), ''), v1_instant(m.timestamp), coalesce(is_from_me, 0) <> 0,
        coalesce(is_bot_message, 0) <> 0 OR (coalesce(is_from_me, 0) <> 0 AND v1_by_assistant(content))
      FROM v1_order o JOIN v1_messages m ON m.rowid = o.old ORDER BY o.seq`)
  return db.prepare('SELECT count(*) FROM messages').pluck().get() as number
}

/** Before it had a column for it, v1 knew the assistant's own messages by the prefix `Andy: `. */
function assistantPrefix(old: OldTables): (content: string) => boolean {
  const triggers = old.rows('registered_groups').map((row) => textOf(row.trigger_pattern)?.replace(/^@/, ''))
  const names = ['Andy', ...triggers].filter((name) => name !== undefined && name !== '')
  const prefixes = [...new Set(names.map((name) => `${name?.toLowerCase()}:`))]
  return (content) => prefixes.some((prefix) => content.slice(0, prefix.length).toLowerCase() === prefix)
}

function keepHomeless(db: Database, old: OldTables): void {
  const homeless = db.prepare('SELECT * FROM v1_messages WHERE chat_jid IS NULL').all() as Record<string, unknown>[]
  for (const row of homeless) old.keep('messages', row, 'a message of no chat')
  const foreign = old.foreignColumns('messages').map(quoted)
  if (foreign.length === 0) return
  const rows = db.prepare(
    `SELECT id, chat_jid, ${foreign.join(', ')} FROM v1_messages WHERE coalesce(${foreign.join(', ')}, NULL) IS NOT NULL`,
  )
  for (const row of rows.all() as Record<string, unknown>[]) old.keep('messages', row, 'columns that we do not have')
}

/**
 * Where each chat goes on. v1's rule decides what is unanswered: what was said after its timestamp for the chat, compared as
 * text, except by the assistant itself, and except empty messages. Without a timestamp the assistant's newest message
 * stands for it. A chat that nobody registered has nothing to be answered.
 */
export function copyCursors(db: Database, old: OldTables): void {
  const answered = cursorsOf(old)
  const registered = new Set(db.prepare('SELECT jid FROM registered_groups').pluck().all() as string[])
  const newestAnswer = db
    .prepare('SELECT max(o.timestamp) FROM v1_order o JOIN messages USING (seq) WHERE jid = ? AND is_bot_message = 1')
    .pluck()
  const firstPending = db
    .prepare(`SELECT min(seq) FROM v1_order o JOIN messages m USING (seq)
      WHERE jid = ? AND o.timestamp > ? AND is_bot_message = 0 AND trim(content) <> ''`)
    .pluck()
  const setCursor = db.prepare(`
    UPDATE chats SET answered_seq = coalesce((SELECT max(seq) FROM v1_order WHERE jid = :jid AND seq < :before), 0) WHERE jid = :jid`)
  for (const jid of db.prepare('SELECT DISTINCT jid FROM v1_order').pluck().all() as string[]) {
    const cursor = answered.get(jid) ?? newestAnswer.get(jid) ?? ''
    const pending = registered.has(jid) ? firstPending.get(jid, cursor) : null
    setCursor.run({ jid, before: pending ?? Number.MAX_SAFE_INTEGER })
  }
  db.exec('DROP TABLE v1_order')
}

function cursorsOf(old: OldTables): Map<string, string> {
  const row = old.rows('router_state').find(({ key }) => textOf(key) === CURSORS)
  const cursors = Object.entries(objectIn(textOf(row?.value) ?? '') ?? {})
  return new Map(cursors.flatMap(([jid, at]) => (textOf(at) ? [[jid, String(at)] as const] : [])))
}

/**
 * A turn that stands for all that v1 said in a chat: a message of the assistant belongs to a turn, or else a later turn
 * would take it for its own.
 */
export function copyAnswers(db: Database): void {
  db.exec(`
    INSERT INTO turns (group_folder, chat_jid, state, created_at, ended_at)
      SELECT coalesce((SELECT folder FROM registered_groups r WHERE r.jid = chat_jid), ''), chat_jid, 'done', min(timestamp), max(timestamp)
      FROM messages WHERE is_bot_message = 1 GROUP BY chat_jid;
    UPDATE messages SET turn_id = (SELECT id FROM turns t WHERE t.chat_jid = messages.chat_jid) WHERE is_bot_message = 1`)
}
