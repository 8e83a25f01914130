import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { storeWith, temporaryFolder } from '../../test/fakes/rooms.ts'
import { ensureFolder } from '../container/folders.ts'
import { Snapshots } from './snapshots.ts'

test('main sees every task and every chat; another group sees its own tasks and no chats', (t) => {
  const { store, folder } = storeWith(t, ['main', 'family'])
  const root = temporaryFolder(t)
  ensureFolder(path.join(root, 'data'))
  store.chats.see({ jid: 'tg:1', name: 'Book club', at: 0 })
  const db = new SQLite(path.join(folder, 'messages.db'))
  const add =
    db.prepare(`INSERT INTO scheduled_tasks (id, group_folder, chat_jid, prompt, schedule_type, schedule_value, next_run, created_at)
    VALUES (?, ?, 'local:x', 'water the plants', 'cron', '0 9 * * *', 0, 0)`)
  for (const [id, group] of [
    ['a', 'main'],
    ['b', 'family'],
  ])
    add.run(id, group)
  db.close()

  new Snapshots({ store, root, now: () => 0, log: { warn: assert.fail } }).writeAll()
  const read = (group: string, name: string) => JSON.parse(readFileSync(path.join(root, 'data/ipc', group, name), 'utf8'))
  const ids = (group: string) => read(group, 'current_tasks.json').map((task: { id: string }) => task.id)
  assert.deepEqual([ids('main'), ids('family')], [['a', 'b'], ['b']])
  assert.deepEqual(read('family', 'current_tasks.json'), [
    {
      ...{ id: 'b', groupFolder: 'family', prompt: 'water the plants', schedule_type: 'cron', schedule_value: '0 9 * * *' },
      ...{ status: 'active', next_run: '1970-01-01T00:00:00.000Z' },
    },
  ])
  assert.equal(statSync(path.join(root, 'data/ipc/family/current_tasks.json')).mode & 0o777, 0o644)
  const { groups, lastSync } = read('main', 'available_groups.json')
  assert.equal(lastSync, '1970-01-01T00:00:00.000Z')
  const club = { jid: 'tg:1', name: 'Book club', lastActivity: '1970-01-01T00:00:00.000Z', isRegistered: false }
  assert.deepEqual(groups.at(-1), club)
  assert.equal(groups[0].lastActivity, null)
  const chats = read('main', 'available_groups.json').groups.map((chat: { jid: string; isRegistered: boolean }) => [
    chat.jid,
    chat.isRegistered,
  ])
  assert.deepEqual(chats, [
    ['local:family', true],
    ['local:main', true],
    ['tg:1', false],
  ])
  assert.ok(!existsSync(path.join(root, 'data/ipc/family/available_groups.json')))
})

test("a change in a group's tasks is shown to itself and to main alone", (t) => {
  const { store } = storeWith(t, ['main', 'family', 'work'])
  const root = temporaryFolder(t)
  ensureFolder(path.join(root, 'data'))
  new Snapshots({ store, root, now: () => 0, log: { warn: assert.fail } }).writeTasks('family')
  const written = ['main', 'family', 'work'].filter((group) =>
    existsSync(path.join(root, 'data/ipc', group, 'current_tasks.json')),
  )
  assert.deepEqual(written, ['main', 'family'])
})

test('a group whose folder cannot be used is told of, and the others get theirs', (t) => {
  const { store } = storeWith(t, ['main', 'family'])
  const root = temporaryFolder(t)
  mkdirSync(path.join(root, 'data', 'ipc'), { recursive: true })
  writeFileSync(path.join(root, 'data', 'ipc', 'family'), 'no folder')
  const told: string[] = []
  const snapshots = new Snapshots({ store, root, now: () => 0, log: { warn: (text) => told.push(text) } })
  snapshots.writeAll()
  snapshots.writeTasks('family')
  assert.deepEqual(
    told.map((text) => text.slice(0, 46)),
    Array(2).fill('Group family: its snapshots were not written: '),
  )
  assert.ok(existsSync(path.join(root, 'data', 'ipc', 'main', 'current_tasks.json')))
})
