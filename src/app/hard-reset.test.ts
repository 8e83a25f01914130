import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { until } from '../../test/fakes/patience.ts'
import { storeWith, type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { Feed } from './feed.ts'
import { HardReset, removeByProcess } from './hard-reset.ts'

const CHAT = { jid: 'local:main', folder: 'main', trigger: null, requiresTrigger: false }
const DONE = 'Everything Claude Code kept for this group is reset.'

type Options = { closeGroup?: () => Promise<void>; removeTree?: (folder: string) => Promise<void> }

/** A group with Claude folders of both lanes on a real store. A host that starts anew has the same root. */
function room(t: TestContext) {
  const { store, folder: root } = storeWith(t, ['main', 'family'])
  const sessions = path.join(root, 'data', 'sessions', 'main')
  const keep = (...lane: string[]) => {
    mkdirSync(path.join(sessions, ...lane, '.claude'), { recursive: true })
    writeFileSync(path.join(sessions, ...lane, '.claude', 'memory'), 'x')
  }
  const [errors, told]: [string[], string[]] = [[], []]
  let deliveries = 0
  const feed = new Feed(console)
  feed.subscribe(CHAT.jid, (event) => void (event.type === 'message' && told.push(event.message.text)))
  const host = ({ closeGroup = async () => {}, removeTree = removeByProcess }: Options = {}) =>
    new HardReset({
      ...{ store, feed, root, closeGroup, removeTree, now: () => 1_000 },
      deliver: () => void deliveries++,
      log: { error: (text) => void errors.push(text) },
    })
  const ask = (reset: HardReset) => store.tx(() => reset.want(CHAT))()
  const said = () => store.outbox.due(Number.MAX_SAFE_INTEGER).map(({ text }) => text)
  const files = () => (existsSync(sessions) ? readdirSync(sessions, { recursive: true }).map(String).sort() : [])
  return { store, root, sessions, keep, host, ask, said, told, errors, files, deliveries: () => deliveries }
}

test('both lanes forget what they kept, and the chat is told when that is done, not before', async (t) => {
  const { store, keep, host, ask, said, told, files, deliveries, errors } = room(t)
  keep()
  keep('isolated')
  const closed = Promise.withResolvers<void>()
  ask(host({ closeGroup: () => closed.promise }))
  await hasTheChance()
  assert.deepEqual([said(), files().includes('.claude/memory')], [[], true], 'another chat of the group still works')
  store.sessions.set('main', 'begun by another chat meanwhile')
  closed.resolve()
  await until(() => said().length > 0, 'it is told')
  assert.deepEqual([said(), told, deliveries(), store.sessions.get('main')], [[DONE], [DONE], 1, undefined])
  await until(() => files().join() === 'isolated', 'nothing is left', { seen: files })
  assert.deepEqual(errors, [])
})

test('a group that has no Claude folder yet is reset, too', async (t) => {
  const { host, ask, said, errors } = room(t)
  ask(host())
  await until(() => said().length > 0, 'it is told')
  assert.deepEqual([said(), errors], [[DONE], []])
})

test('a failure is told to the chat, with what it means', async (t) => {
  const { keep, host, ask, said, errors, files } = room(t)
  keep()
  ask(host({ closeGroup: () => Promise.reject(new Error('the container did not leave')) }))
  await until(() => said().length > 0, 'it is told')
  assert.match(
    said()[0] ?? '',
    /could not be reset \(the container did not leave\), so some of it is still there\. Try .*new hard/,
  )
  assert.match(errors[0] ?? '', /^Group main: its Claude folder could not be reset: the container did not leave$/)
  assert.ok(files().includes('.claude/memory'))
})

test('what is wanted is carried out by the next host, once, when this one ends before', async (t) => {
  const { keep, host, ask, said, files, store } = room(t)
  keep()
  ask(host({ closeGroup: () => new Promise(() => {}) }))
  await hasTheChance()
  await host().resume()
  assert.deepEqual(said(), [DONE])
  await until(() => files().length === 0, 'it is reset')
  keep()
  store.sessions.set('main', 's2')
  await host().resume()
  await hasTheChance()
  assert.deepEqual([said(), files(), store.sessions.get('main')], [[DONE], ['.claude', '.claude/memory'], 's2'])
})

test('what a host could not remove any more is removed at the next start, of all groups and lanes', async (t) => {
  const { root, host } = room(t)
  const at = (...names: string[]) => path.join(root, 'data', 'sessions', ...names)
  for (const old of [at('main', 'old-1'), at('family', 'isolated', 'old-2'), at('gone', 'old-3')])
    mkdirSync(path.join(old, 'projects'), { recursive: true })
  mkdirSync(at('main', '.claude', 'old-4'), { recursive: true })
  await host().resume()
  const left = () =>
    [at('main', 'old-1'), at('family', 'isolated', 'old-2'), at('gone', 'old-3')].filter((old) => existsSync(old))
  await until(() => left().length === 0, 'they are removed', { seen: left })
  assert.ok(existsSync(at('main', '.claude', 'old-4')), 'what an agent calls so is its own')
})

test('what cannot be removed stays until the next start, and the reset is done all the same', async (t) => {
  const { keep, host, ask, said, errors, files } = room(t)
  keep()
  ask(host({ removeTree: () => Promise.reject(new Error('it is busy')) }))
  await until(() => errors.length > 0, 'it is logged')
  assert.deepEqual([said(), errors], [[DONE], ['Group main: its old Claude folder stays until the next start: it is busy']])
  assert.ok(!files().includes('.claude'))
})

test('an end that cannot be written down is told later', async (t) => {
  const { store, keep, host, said, errors } = room(t)
  keep()
  const reset = host()
  const start = store.tx(() => reset.want(CHAT))
  const full = t.mock.method(store.facts, 'set', () => {
    throw new Error('the disk is full')
  })
  start()
  await until(() => errors.length > 0, 'it fails')
  assert.throws(() => reset.check(), /the disk is full/)
  assert.deepEqual(said(), [])
  full.mock.restore()
  reset.check()
  reset.check()
  assert.deepEqual(said(), [DONE])
  assert.deepEqual(errors, ['Group main: its Claude folder could not be reset: the disk is full'])
})

test('a tree is removed beside the loop, without following links, also when its folders are closed', async (t) => {
  const folder = temporaryFolder(t)
  const [tree, outside] = [path.join(folder, 'tree'), path.join(folder, 'outside')]
  mkdirSync(outside)
  writeFileSync(path.join(outside, 'file'), 'x')
  for (let n = 0; n < 20; n++) {
    mkdirSync(path.join(tree, String(n)), { recursive: true })
    for (let m = 0; m < 500; m++) writeFileSync(path.join(tree, String(n), String(m)), '')
  }
  symlinkSync(outside, path.join(tree, 'link'))
  mkdirSync(path.join(tree, 'closed', 'inner'), { recursive: true })
  chmodSync(path.join(tree, 'closed'), 0)
  await removeByProcess(tree)
  assert.equal(existsSync(tree), false)
  assert.equal(readFileSync(path.join(outside, 'file'), 'utf8'), 'x')
})
