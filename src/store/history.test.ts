import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { registerChat, storeWith, type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { History, wordsOf } from './history.ts'
import { Store } from './store.ts'

function history(t: TestContext) {
  const { store, folder } = storeWith(t, ['main', 'family'])
  registerChat(store, { jid: 'tg:1', folder: 'family' })
  let n = 0
  const say = (text: string, jid = 'local:family') =>
    store.messages.add({ jid, id: String(n), sender: 'a', senderName: 'Ann', text, sentAt: n++, fromMe: false })
  const find = (query: string, limit = 10) => store.history.search({ folder: 'family', query, limit }).map(({ text }) => text)
  return { store, say, find, file: path.join(folder, 'messages.db') }
}

test('a search finds all words, in any order, whatever their case and accents, newest first', (t) => {
  const { say, find } = history(t)
  for (const text of ['The café opens at nine', 'nothing', 'At NINE in the Cafe']) say(text)
  assert.deepEqual(find('cafe nine'), ['At NINE in the Cafe', 'The café opens at nine'])
  assert.deepEqual(find('cafe', 1), ['At NINE in the Cafe'])
  assert.deepEqual(find('nin café at'), ['At NINE in the Cafe', 'The café opens at nine'], 'pieces and short words, too')
  assert.deepEqual(find('cafe ten'), [])
})

test('a search finds Chinese, Japanese, Korean and emoji, also one or two characters of them', (t) => {
  const { say, find } = history(t)
  for (const text of ['明天下午开会讨论预算', '会議は三時です', '회의가 세시에 있다', 'party 🎉 tonight']) say(text)
  assert.deepEqual(find('讨论预算'), ['明天下午开会讨论预算'])
  assert.deepEqual(find('开会'), ['明天下午开会讨论预算'])
  assert.deepEqual(find('会'), ['会議は三時です', '明天下午开会讨论预算'])
  assert.deepEqual(find('회의가'), ['회의가 세시에 있다'])
  assert.deepEqual(find('🎉'), ['party 🎉 tonight'])
})

test('a group finds what was said in its own chats, and never what was said elsewhere', (t) => {
  const { say, find } = history(t)
  say('boiler one')
  say('boiler two', 'tg:1')
  say('boiler three', 'local:main')
  assert.deepEqual(find('boiler'), ['boiler two', 'boiler one'])
  assert.deepEqual(find('bo'), ['boiler two', 'boiler one'])
})

test('a word that is repeated, in any case and with any accents, is looked for once, and of many the first eight', () => {
  assert.deepEqual(wordsOf('CAFÉ zoe\u0308  Zoë cafe'), ['cafe', 'Zoë'])
  assert.deepEqual(wordsOf('かく がく'), ['かく', 'がく'])
  assert.deepEqual(wordsOf('a b c d e f g h i j'), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
})

test('of what the index finds only the newest is looked at, whosever it is', (t) => {
  const { say, file } = history(t)
  say('boiler one')
  for (const text of ['boiler two', 'boiler three']) say(text, 'local:main')
  const db = new SQLite(file)
  t.after(() => db.close())
  const found = (mostHits: number) => new History(db, { mostHits }).search({ folder: 'family', query: 'boiler', limit: 9 }).length
  assert.deepEqual([found(2), found(3)], [0, 1])
})

test('nothing in a query is an operator, and no query breaks the search', (t) => {
  const { say, find } = history(t)
  say('say "hi" AND (go) OR NOT* content:x 100% a_b')
  for (const query of ['"hi"', 'AND', 'NOT*', '(go)', 'content:x', '100%', 'a_b', 'OR NOT*'])
    assert.equal(find(query).length, 1, query)
  for (const query of ['"', '""""', "'", '*', '^say', 'NEAR(', 'axb', 'say NOT hi\0', '\ud800abc', '\u200b', 'x'.repeat(500)])
    find(query)
  assert.deepEqual(find('   '), [])
  assert.deepEqual(find('axb'), [])
})

test('what is changed is found as it is now, and what is deleted no more', (t) => {
  const { say, find, file } = history(t)
  say('the old plan')
  say('the other plan')
  const db = new SQLite(file)
  t.after(() => db.close())
  db.exec(
    "UPDATE messages SET content = 'the new idea' WHERE content = 'the old plan'; DELETE FROM messages WHERE content = 'the other plan'",
  )
  assert.deepEqual([find('plan'), find('idea')], [[], ['the new idea']])
  db.exec("INSERT INTO messages_text (messages_text) VALUES ('integrity-check')")
})

test('what was said before the search was there is found', (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'messages.db')
  const db = new SQLite(file)
  const migrations = path.join(import.meta.dirname, 'migrations')
  for (const name of readdirSync(migrations).sort()) if (name < '0005') db.exec(readFileSync(path.join(migrations, name), 'utf8'))
  db.exec(`
    INSERT INTO groups (folder, name, created_at) VALUES ('family', 'Family', 0);
    INSERT INTO chats (jid) VALUES ('tg:1');
    INSERT INTO registered_groups (jid, folder, added_at) VALUES ('tg:1', 'family', 0);
    INSERT INTO messages (chat_jid, id, sender, sender_name, content, timestamp) VALUES ('tg:1', 'a', 'a', 'Ann', 'long ago', 0)`)
  db.pragma('user_version = 4')
  db.close()
  const taken = Store.open(file)
  t.after(() => taken.close())
  assert.equal(taken.history.search({ folder: 'family', query: 'long', limit: 1 }).length, 1)
})
