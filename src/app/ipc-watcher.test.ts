import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { office } from '../../test/fakes/ipc-office.ts'
import { until } from '../../test/fakes/patience.ts'

const message = (text: string) => ({ type: 'message', text })

test('a request is acted on by event, in either folder, while a container of the group runs', async (t) => {
  const { attach, drop, boxOf } = office(t)
  const run = attach('family')
  for (const box of ['messages', 'tasks', 'messages']) {
    const id = drop('family', message('x'), { box })
    await until(() => run.replies.get(id)?.status === 'done', 'it is answered without a sweep')
  }
  await until(() => readdirSync(boxOf('family', 'messages')).length === 0, 'the files are gone')
})

test('the folders of a group without a container are left alone, but at the start', async (t) => {
  const { watcher, drop, attach, ask, boxOf, logged, outbox } = office(t)
  watcher.readAll(['family', 'nobody'])
  const main = attach('main')
  await ask('main', main, { type: 'list_tasks' })
  const id = drop('family', { type: 'message', chatJid: 'local:family', text: 'in the words of v1' })
  watcher.sweep()
  for (let n = 0; n < 5; n++) await ask('main', main, { type: 'list_tasks' })
  assert.ok(existsSync(path.join(boxOf('family'), `${id}.json`)))
  assert.deepEqual([logged, outbox()], [[], []])
  watcher.readAll(['family'])
  await until(() => outbox().length === 1, 'it is carried out')
})

test('what came before the container ended is carried out, and nothing that comes after it', async (t) => {
  const { attach, ask, drop, store, boxOf, watcher } = office(t)
  const run = attach('family')
  run.end()
  drop('family', message('last words'))
  await until(() => readdirSync(boxOf('family')).length === 0, 'it is carried out')
  const main = attach('main')
  await ask('main', main, { type: 'list_tasks' })
  drop('family', message('from the grave'))
  watcher.sweep()
  for (let n = 0; n < 5; n++) await ask('main', main, { type: 'list_tasks' })
  assert.deepEqual(
    store.messages.latest('local:family', 9).map(({ text }) => text),
    ['last words'],
  )
})

test('requests of one group keep their order', async (t) => {
  const { attach, drop, outbox, store } = office(t)
  for (let n = 0; n < 20; n++) drop('family', message(String(n)), { at: 1_000_000 + n })
  attach('family')
  await until(() => store.messages.latest('local:family', 100).length === 20, 'all are sent')
  assert.equal(outbox()[0]?.text, '0')
  assert.deepEqual(
    store.messages.latest('local:family', 100).map(({ text }) => Number(text)),
    Array.from({ length: 20 }, (_, n) => n),
  )
})

test('a request that comes again is not carried out again, until it is long forgotten', async (t) => {
  const { attach, drop, store, clock, boxOf } = office(t)
  attach('family')
  const id = randomUUID()
  const send = async () => {
    drop('family', message('once'), { id })
    await until(() => !existsSync(path.join(boxOf('family'), `${id}.json`)), 'it is removed')
    return store.messages.latest('local:family', 9).length
  }
  assert.deepEqual([await send(), await send()], [1, 1])
  clock.advance(10_000)
  assert.equal(await send(), 1)
  store.ipcRequests.prune(clock.now() - 5_000)
  assert.equal(await send(), 1, 'it is remembered from when it was seen last')
  clock.advance(10_000)
  store.ipcRequests.prune(clock.now() - 5_000)
  assert.equal(await send(), 2)
})

test('one group’s uuid says nothing about another group’s', async (t) => {
  const { attach, drop, store } = office(t)
  const id = randomUUID()
  for (const folder of ['main', 'family']) {
    const run = attach(folder)
    drop(folder, message('x'), { id })
    await until(() => run.replies.has(id), 'it is answered')
    assert.equal(store.messages.latest(`local:${folder}`, 9).length, 1)
  }
})

test('a crash between effect and removal does nothing twice; one before the commit does it later', async (t) => {
  const { attach, drop, store, outbox, watcher, boxOf } = office(t)
  const note = t.mock.method(store.ipcRequests, 'note', () => {
    throw new Error('killed')
  })
  const run = attach('family')
  const failed = drop('family', message('lost'))
  await until(() => run.replies.get(failed)?.status === 'failed', 'it failed')
  assert.deepEqual([outbox(), store.messages.latest('local:family', 9)], [[], []], 'effect and memory are one commit')
  note.mock.restore()
  await until(() => readdirSync(boxOf('family')).length === 0, 'it is removed')
  const id = drop('family', message('kept'))
  await until(() => run.replies.get(id)?.status === 'done', 'it is done')
  await watcher.stop()
  const again = office(t) // another host finds the file that the first did not get to remove
  again.store.ipcRequests.note({ folder: 'family', id, at: again.clock.now() })
  again.drop('family', message('kept'), { id })
  again.watcher.readAll(['family'])
  await until(() => readdirSync(again.boxOf('family')).length === 0, 'it is removed')
  assert.deepEqual(again.outbox(), [])
})

test('a file dropped by hand is carried out as often as it is dropped, and has its outcome in the log', async (t) => {
  const { drop, attach, logged, store, boxOf, clock } = office(t)
  const run = attach('main')
  const taken = (box: string) => () => {
    clock.advance(100)
    return readdirSync(boxOf('main', box)).length === 0
  }
  for (let times = 1; times <= 2; times++) {
    drop('main', message('by hand'), { id: 'test', box: 'messages' })
    await until(taken('messages'), 'it is removed')
    assert.equal(store.messages.latest('local:main', 9).length, times)
  }
  drop('main', '{"type": "mesage"}', { id: 'typo' })
  await until(taken('tasks'), 'it is removed, too')
  assert.equal(logged.length, 3)
  assert.match(logged[0] ?? '', /Group main: request "test .*": done: Sent to local:main/)
  assert.match(logged[2] ?? '', /Group main: request "typo .*": malformed: type:/)
  assert.equal(run.replies.size, 0)
})

test('a file that a person is still writing is left until it is whole', async (t) => {
  const { attach, ask, boxOf, clock, outbox, logged } = office(t)
  const run = attach('main')
  const file = path.join(boxOf('main'), 'slow.json')
  const text = JSON.stringify(message('written slowly'))
  for (const written of ['', text.slice(0, 10), text]) {
    writeFileSync(file, written)
    await ask('main', run, { type: 'list_tasks' })
    clock.advance(499)
    await ask('main', run, { type: 'list_tasks' })
  }
  assert.deepEqual([outbox(), logged], [[], []])
  clock.advance(1)
  await until(() => outbox().length === 1, 'it is carried out')
})

test('links, pipes and twins are removed unread; folders and strange names are left alone; none holds anything up', async (t) => {
  const { boxOf, attach, ask, logged, root, clock } = office(t)
  const at = (name: string) => path.join(boxOf('family'), name)
  writeFileSync(path.join(root, 'secret'), JSON.stringify(message('the owner’s')))
  symlinkSync(path.join(root, 'secret'), at('link.json'))
  linkSync(path.join(root, 'secret'), at('twin.json'))
  execFileSync('mkfifo', [at('pipe.json')])
  mkdirSync(at('folder.json'))
  writeFileSync(at('huge.json'), '')
  truncateSync(at('huge.json'), 10 * 1024 ** 4)
  writeFileSync(at(`${'x'.repeat(250)}.json`), JSON.stringify(message('a long name')))
  writeFileSync(at('unfinished.json.tmp'), JSON.stringify(message('not yet')))
  const run = attach('family')
  assert.equal((await ask('family', run, message('after them'))).status, 'done')
  await until(() => {
    clock.advance(100)
    return readdirSync(boxOf('family')).length === 2
  }, 'the rest is gone')
  assert.deepEqual(readdirSync(boxOf('family')).sort(), ['folder.json', 'unfinished.json.tmp'])
  for (const name of ['link', 'twin', 'pipe', 'folder', 'huge'])
    assert.ok(
      logged.some((line) => line.includes(`"${name}`)),
      name,
    )
})

test('a group whose folder is missing or a link is told of, and holds nobody up', async (t) => {
  const { boxOf, attach, ask, logged, root } = office(t)
  rmSync(boxOf('family', 'messages'), { recursive: true })
  rmSync(boxOf('family'), { recursive: true })
  symlinkSync(root, path.join(root, 'data', 'ipc', 'family', 'tasks'))
  attach('family')
  assert.equal((await ask('main', attach('main'), message('x'))).status, 'done')
  await until(() => logged.some((line) => line.includes('family')), 'it is said')
})

test('while one group floods the host, another is answered at once; the excess is refused with one notice, until time has passed', async (t) => {
  const { drop, attach, ask, logged, outbox, boxOf, clock } = office(t)
  const flood = 1_300
  for (let n = 0; n < flood; n++) drop('family', message('x'))
  const [family, main] = [attach('family'), attach('main')]
  await until(() => family.replies.size > 0, 'the flood is being read')
  assert.equal((await ask('main', main, message('help'))).status, 'done')
  assert.ok(family.replies.size < flood, 'the flood was not over when main had its answer')
  await until(() => family.replies.size === flood && readdirSync(boxOf('family')).length === 0, 'every request is answered')
  const statuses = [...family.replies.values()].map(({ status }) => status)
  assert.deepEqual(
    [statuses.filter((one) => one === 'done').length, statuses.filter((one) => one === 'refused').length],
    [1_000, 300],
  )
  assert.equal(logged.filter((line) => line.includes('300 requests too many')).length, 1)
  assert.equal(outbox().length, 2)
  assert.match((await ask('family', family, message('x'))).text, /Too many requests/)
  clock.advance(60_000)
  assert.equal((await ask('family', family, message('x'))).status, 'done')
})

test('of names that are no requests the first twenty are logged, and all are removed', async (t) => {
  const { boxOf, attach, logged } = office(t)
  for (let n = 0; n < 25; n++) symlinkSync('/nowhere', path.join(boxOf('family'), `${n}.json`))
  attach('family')
  await until(() => readdirSync(boxOf('family')).length === 0, 'all are gone')
  assert.equal(logged.filter((line) => line.includes('is no request, and was removed')).length, 20)
})

test('a stop waits for what is being carried out, and leaves the rest for the next start', async (t) => {
  const { boxOf, attach, drop, ipcDesk, watcher } = office(t)
  const over = Promise.withResolvers<void>()
  const take = t.mock.method(ipcDesk, 'take', () => over.promise)
  for (const at of [1_000_000, 1_000_001]) drop('family', message('x'), { at })
  attach('family')
  await until(() => take.mock.callCount() === 1, 'the first is being carried out')
  let stopped = false
  const stop = watcher.stop().then(() => {
    stopped = true
  })
  await hasTheChance()
  assert.equal(stopped, false)
  over.resolve()
  await stop
  assert.deepEqual([take.mock.callCount(), readdirSync(boxOf('family')).length], [1, 1])
  watcher.readAll(['family'])
  await hasTheChance()
  assert.equal(take.mock.callCount(), 1)
})
