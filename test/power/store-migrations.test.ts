import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import SQLite from 'better-sqlite3'
import { PROJECT } from '../../src/config.ts'
import { temporaryFolder } from '../fakes/rooms.ts'
import { at, V1Database } from '../fakes/v1-root.ts'
import { digestOf } from './digest.ts'
import { databaseIn } from './life.ts'
import type { Recording } from './operations.ts'
import { isSharedMemory } from './record.ts'
import { holdsEveryCommit, inodesCalled, recordLife, survives, withoutSyncs } from './store-search.ts'
import { type Search, searchImages } from './survival.ts'

const FIRST_MIGRATION = path.join(PROJECT, 'src', 'store', 'migrations', '0001-first.sql')

/**
 * That, and a copy of the old database beside it, as it was, whether the cut came before, within or after the change. What
 * has the copy's name is whole from the first moment.
 */
function holdsTheOldOneToo(recording: Recording, { backup, old }: { backup: string; old: string }): Search['check'] {
  const holds = holdsEveryCommit(recording)
  return (found) => {
    const copy = databaseIn(found.root) + backup
    if (existsSync(copy)) assert.equal(digestOfFile(copy), old, 'the backup is not whole')
    holds(found)
    assert.equal(digestOfFile(copy), old, 'the backup is not what the database was')
  }
}

function digestOfFile(file: string): string {
  const db = new SQLite(file, { readonly: true })
  try {
    assert.equal(db.pragma('quick_check', { simple: true }), 'ok')
    return digestOf(db)
  } finally {
    db.close()
  }
}

/** A root whose database an earlier version of ours made; it was killed, so that some of it is only in the log. */
function earlierRoot(t: TestContext): { root: string; old: string } {
  const [root, running] = [temporaryFolder(t), temporaryFolder(t)]
  mkdirSync(path.dirname(databaseIn(running)))
  const db = new SQLite(databaseIn(running))
  db.pragma('journal_mode = WAL')
  db.exec(readFileSync(FIRST_MIGRATION, 'utf8'))
  db.pragma('user_version = 1')
  db.exec("INSERT INTO chats (jid) VALUES ('tg:9')")
  const add = db.prepare(
    "INSERT INTO messages (chat_jid, id, sender, sender_name, content, timestamp) VALUES ('tg:9', ?, 'ann', 'Ann', ?, 5)",
  )
  for (let n = 0; n < 40; n++) add.run(`m${n}`, 'words '.repeat(n * 5))
  const old = digestOf(db)
  cpSync(running, root, { recursive: true, filter: (file) => !isSharedMemory(file) })
  db.close()
  return { root, old }
}

function v1Root(t: TestContext): { root: string; old: string } {
  const root = temporaryFolder(t)
  const v1 = new V1Database(root)
  v1.group({ jid: 'family@g.us', folder: 'Home', requires_trigger: 0 })
    .add('chats', { jid: 'family@g.us', name: 'Family', last_message_time: at(9), channel: 'whatsapp', is_group: 1 })
    .add('sessions', { group_folder: 'Home', session_id: 'session-1' })
  for (let n = 0; n < 40; n++)
    v1.messages('family@g.us', [`q${n}`, 2 * n, 'words '.repeat(n * 5)], [`a${n}`, 2 * n + 1, 'an answer', 'bot'])
  const old = digestOf(v1.db)
  v1.close()
  return { root, old }
}

test('a power cut while a database of an earlier version is migrated leaves it old or new, with a backup of the old one', (t) => {
  const { root, old } = earlierRoot(t)
  const recording = recordLife(root, { rounds: 2 })
  survives(t, { recording, check: holdsTheOldOneToo(recording, { backup: '.before-2', old }), perMoment: 20 })
})

test('a power cut while a database of v1 is taken over leaves it v1 or ours, with a backup of the old one', (t) => {
  const { root, old } = v1Root(t)
  const recording = recordLife(root, { rounds: 2 })
  survives(t, { recording, check: holdsTheOldOneToo(recording, { backup: '.v1-backup', old }), perMoment: 20 })
})

test('the search finds a backup that was not synced', (t) => {
  const { root, old } = earlierRoot(t)
  const recording = recordLife(root, { rounds: 2 })
  const missing = withoutSyncs(recording, inodesCalled(recording, 'messages.db.before-2.tmp'))
  const check = holdsTheOldOneToo(recording, { backup: '.before-2', old })
  assert.ok(searchImages({ recording: missing, check, perMoment: 20 }).failures.length > 0)
})
