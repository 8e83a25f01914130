import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { storeWith } from '../../test/fakes/rooms.ts'
import { everybody, noPolicy } from '../../test/fakes/senders.ts'
import { Feed } from '../app/feed.ts'
import { GroupRegistry } from '../app/groups.ts'
import { TurnDesk } from '../app/turn-desk.ts'
import { loadConfig } from '../config.ts'
import { makeBudgets, makeQueue } from './agents.ts'
import type { Base } from './base.ts'

test('no agent starts for a group whose limits cannot be read, and its chat is told which', async (t) => {
  const { store, folder: root } = storeWith(t, ['main'])
  const db = new SQLite(path.join(root, 'messages.db'))
  db.exec(`UPDATE groups SET container_config = '{"egress":"nowhere"}'`)
  db.close()
  const starts: unknown[] = []
  const feed = new Feed(console)
  const now = () => 0
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' }
  const limits = { root, assistantName: 'Andy', containerTimeoutMs: 1_000, maxContainers: 1, idleTimeoutMs: 1_000 }
  const decided = Promise.withResolvers<void>()
  const start = async (request: unknown) => {
    starts.push(request)
    decided.resolve()
    throw new Error('there is no engine')
  }
  const parts = {
    base: { config: limits, store, log: { debug() {}, info() {}, warn() {}, error() {} } },
    registry: new GroupRegistry({ store, now, release() {}, changed() {}, senderPolicy: noPolicy }, limits),
    feed,
    desk: new TurnDesk({ store, feed, now, judge: everybody }, rules),
    courier: { deliver: () => decided.resolve() },
    runner: { start },
    showWork: () => () => {},
    ...{ ipc: { attach() {} }, folders: { look: async () => {} } },
  } as unknown as Parameters<typeof makeQueue>[0]
  const queue = makeQueue(parts)
  t.after(() => queue.shutdown({ graceMs: 0, now: AbortSignal.abort() }))
  store.messages.add({ jid: 'local:main', id: '1', sender: 'a', senderName: 'Ann', text: 'hi', sentAt: 0, fromMe: false })
  queue.wake('main')
  await decided.promise
  assert.match(store.outbox.due(0)[0]?.text ?? '', /^I cannot start: .*egress/)
  assert.deepEqual(starts, [])
})

test('a budget is said not to count where the agents have the login itself, and only there', (t) => {
  const { store, folder: root } = storeWith(t, ['main'])
  const warnings = (env: Record<string, string>) => {
    const said: string[] = []
    const log = { debug() {}, info() {}, warn: (text: string) => said.push(text), error() {} }
    makeBudgets({ config: loadConfig({ NANOCLAW_HOME: root, ...env }, root), store, log } as unknown as Base)
    return said
  }
  const mount = { CREDENTIALS: 'mount' }
  for (const name of ['BUDGET_DAY_USD', 'BUDGET_MONTH_USD', 'BUDGET_DAY_TOKENS', 'BUDGET_MONTH_TOKENS']) {
    assert.deepEqual(warnings({ ...mount, [name]: '5' }).length, 1, name)
    assert.match(warnings({ ...mount, [name]: '0' })[0] ?? '', /^With CREDENTIALS=mount .* is in no budget$/)
    assert.deepEqual(warnings({ [name]: '5' }), [], name)
  }
  assert.deepEqual(warnings(mount), [])
})

test('a turn that waits for a budget is tried again when the host starts, which may have another', (t) => {
  const { store, folder: root } = storeWith(t, ['main'])
  const id = store.turns.add({ folder: 'main', jid: 'local:main', at: 0 })
  const later = Date.now() + 3_600_000
  store.turns.save({ state: 'pending', id, tries: 1, failures: 0, told: true, notBefore: later })
  store.turns.noteError(id, 'budget: used up')
  makeBudgets({ config: loadConfig({ NANOCLAW_HOME: root }, root), store } as unknown as Base)
  const turn = store.turns.find(id)?.turn
  assert.ok(turn?.state === 'pending' && turn.notBefore <= Date.now())
})
