import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { damageOf } from './read-only.ts'
import { Store } from './store.ts'

const PAGE = 4_096
const message = (id: string) => ({
  jid: 'local:main',
  id,
  sender: 'a',
  senderName: 'Ann',
  text: `boiler ${id}`,
  sentAt: 0,
  fromMe: false,
})

/** A closed database with so many messages that their index has a tree of pages. */
function full(t: TestContext) {
  const { store, folder } = storeWith(t, ['main'])
  store.tx(() => {
    for (let n = 0; n < 500; n++) store.messages.add(message(`number ${n} of ${n * 31}`))
  })
  store.close()
  const file = path.join(folder, 'messages.db')
  const change = <T>(work: (db: SQLite.Database) => T): T => {
    const db = new SQLite(file).unsafeMode()
    try {
      return work(db)
    } finally {
      db.close()
    }
  }
  const overwrite = (table: string) => {
    const page = change((db) => db.prepare('SELECT max(pageno) FROM dbstat WHERE name = ?').pluck().get(table)) as number
    writeFileSync(file, readFileSync(file).fill(7, (page - 1) * PAGE, page * PAGE))
  }
  const open = () => {
    const notes: string[] = []
    const opened = Store.open(file, (text) => notes.push(text))
    t.after(() => opened.close())
    const find = () => opened.tx(() => opened.history.search({ folder: 'main', query: 'boiler', limit: 999 }).length)
    return { store: opened, notes, find }
  }
  return { file, change, overwrite, open }
}

test('an index of the text that has a page of rubbish is made anew when the store is opened, and that is told', (t) => {
  const { file, overwrite, open } = full(t)
  overwrite('messages_text_data')
  assert.equal(damageOf(file)?.onlyTextIndex, true)
  const { store, notes, find } = open()
  assert.match(notes.join(), /index .* made anew/)
  store.messages.add(message('new'))
  assert.equal(find(), 501)
  assert.equal(damageOf(file), null)
})

test('an index of the text whose pages are whole, and say nothing, is made anew when it is used', (t) => {
  const { file, change, open } = full(t)
  change((db) => db.exec('UPDATE messages_text_data SET block = zeroblob(length(block)) WHERE id > 10'))
  assert.equal(damageOf(file)?.onlyTextIndex, true)
  const { notes, find } = open()
  assert.deepEqual(notes, [])
  assert.equal(find(), 500)
  assert.equal(notes.length, 1)
  assert.equal(damageOf(file), null)
})

test('a damaged table is refused and nothing is changed, also where the index of the text is damaged too', (t) => {
  for (const tables of [['messages'], ['groups'], ['outbox', 'messages_text_data']]) {
    const { file, overwrite, open } = full(t)
    tables.forEach(overwrite)
    const before = readFileSync(file)
    assert.equal(damageOf(file)?.onlyTextIndex, false)
    assert.throws(open, { code: 'store.unusable' }, tables.join())
    assert.deepEqual(readFileSync(file), before)
  }
})
