import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import SQLite from 'better-sqlite3'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { office } from '../../test/fakes/ipc-office.ts'
import type { MailboxLife } from '../../test/fakes/mailbox-program.ts'
import { until } from '../../test/fakes/patience.ts'
import { PROJECT } from '../config.ts'
import { HostError, hostFailure } from '../domain/host-failure.ts'

const PROGRAM = path.join(PROJECT, 'test', 'fakes', 'mailbox-program.ts')
const HEALTHY: Record<string, string> = { message: 'done', file: 'done', nonsense: 'malformed' }

const noLimits = process.platform === 'win32' && 'this system has no limits of descriptors'

test('an agent is told nothing, and nothing of it is lost, while the host is out of descriptors', {
  skip: noLimits,
}, async (t) => {
  const lacks = ['start', 'take'].flatMap((when) => [0, 1, 2, 3].map((free) => `${when}:${free}`))
  const command = `ulimit -n 90 && exec ${JSON.stringify(process.execPath)} ${JSON.stringify(PROGRAM)} ${lacks.join(' ')}`
  const { stdout } = await promisify(execFile)('sh', ['-c', command])
  const lives: MailboxLife[] = JSON.parse(stdout)
  for (const life of lives) {
    const { during, after, errors } = life
    const seen = JSON.stringify(life)
    assert.deepEqual([...Object.keys(during.replies), ...during.left].sort(), Object.keys(HEALTHY).sort(), seen)
    for (const replies of [during.replies, after.replies])
      for (const [name, { status, text }] of Object.entries(replies)) {
        assert.equal(status, HEALTHY[name], seen)
        assert.doesNotMatch(text, /EMFILE|too many open files/)
      }
    assert.deepEqual(Object.keys(after.replies).sort(), Object.keys(HEALTHY).sort(), seen)
    assert.deepEqual([after.said, after.copies, after.refusals], [['hello', '[File: a.txt]'], 1, 0], seen)
    assert.ok(errors.length <= 1, `it is logged once: ${seen}`)
  }
  const failed = lives.filter(({ errors }) => errors.length > 0).length
  t.diagnostic(`${failed} of ${lives.length} lives failed at first`)
  assert.ok(failed >= 3)
})

const message = (text: string) => ({ type: 'message', text })
const brokenFile = () => {
  const error: NodeJS.ErrnoException = new Error('EIO: i/o error, read')
  return hostFailure(Object.assign(error, { code: 'EIO', syscall: 'read' }))
}

test('a failure is logged once, tried again later and later, and told to be over; an event or the sweep tries at once', async (t) => {
  const { attach, drop, watcher, ipcDesk, clock, logged, store } = office(t)
  let broken = true
  const { take } = ipcDesk
  const tries: number[] = []
  const mock = t.mock.method(ipcDesk, 'take', (...found: Parameters<typeof take>) => {
    tries.push(clock.now())
    return broken ? Promise.reject(brokenFile().error) : take.apply(ipcDesk, found)
  })
  drop('family', message('x'))
  const run = attach('family')
  const begin = clock.now()
  for (const at of [0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000, 123_000, 183_000]) {
    if (at > 0) clock.advanceToNext()
    await until(() => tries.at(-1) === begin + at && clock.waiting > 0, `it is tried after ${at} ms`, { seen: () => tries })
  }
  const before = tries.length
  watcher.sweep()
  await until(() => tries.length === before + 1, 'the sweep tries at once')
  assert.equal(logged.length, 1)
  assert.match(logged[0] ?? '', /^Group family: its requests could not be read or carried out, and are tried again: .*EIO/)
  assert.equal(run.replies.size, 0)
  broken = false
  watcher.sweep()
  await until(() => run.replies.size === 1, 'it is carried out')
  await until(() => logged.length === 2, 'the end is told')
  assert.equal(logged[1], 'Group family: its requests are read again.')
  assert.deepEqual(
    store.messages.latest('local:family', 9).map(({ text }) => text),
    ['x'],
  )
  mock.mock.restore()
})

test('a request that fails again and again lets the others of its group go first, in either folder', async (t) => {
  const { attach, drop, ipcDesk, clock, store, boxOf } = office(t)
  const stuck = drop('family', message('stuck'), { box: 'messages', at: 1_000 })
  for (const [n, text] of ['one', 'two'].entries()) drop('family', message(text), { box: 'messages', at: 1_001 + n })
  drop('family', message('in the other folder'), { box: 'tasks' })
  const { take } = ipcDesk
  t.mock.method(ipcDesk, 'take', (...[found, bytes]: Parameters<typeof take>) =>
    found.id === stuck ? Promise.reject(brokenFile().error) : take.call(ipcDesk, found, bytes),
  )
  const said = () => store.messages.latest('local:family', 9).map(({ text }) => text)
  const run = attach('family')
  await until(() => said().length === 1 && clock.waiting > 0, 'the other folder is read')
  assert.deepEqual(said(), ['in the other folder'], 'order is kept at first')
  await until(() => {
    clock.advanceToNext()
    return said().length === 3
  }, 'the others are carried out')
  assert.deepEqual(said().slice(1), ['one', 'two'])
  assert.ok(existsSync(path.join(boxOf('family', 'messages'), `${stuck}.json`)))
  assert.equal(run.replies.has(stuck), false)
})

test('tries that the host made fail are not charged to the group', async (t) => {
  const { attach, drop, ipcDesk, clock } = office(t)
  const spent: boolean[] = []
  let broken = true
  const { take } = ipcDesk
  t.mock.method(ipcDesk, 'take', (...[found, bytes]: Parameters<typeof take>) => {
    if (!broken) return take.call(ipcDesk, found, bytes)
    spent.push(found.spend(200 * 1024 * 1024))
    return Promise.reject(brokenFile().error)
  })
  const id = drop('family', message('x'))
  const run = attach('family')
  for (let n = 1; n <= 5; n++) {
    await until(() => spent.length === n && clock.waiting > 0, 'it is tried')
    if (n < 5) clock.advanceToNext()
  }
  assert.deepEqual(spent, Array(5).fill(true), 'each try may spend as much as the first')
  broken = false
  await until(() => {
    clock.advance(1_000)
    return run.replies.has(id)
  }, 'it is answered')
  assert.equal(run.replies.get(id)?.status, 'done')
})

for (const [what, error] of Object.entries({
  'a database that cannot be opened for want of descriptors': new SQLite.SqliteError('unable to open', 'SQLITE_CANTOPEN'),
  'a database whose memory is used up': new SQLite.SqliteError('out of memory', 'SQLITE_NOMEM'),
  'a disk that fails': new SQLite.SqliteError('disk I/O error', 'SQLITE_IOERR_READ'),
  'a file system that became read-only': new SQLite.SqliteError('readonly', 'SQLITE_READONLY_DBMOVED'),
  'a failed call of the system': Object.assign(new Error('EDQUOT'), { code: 'EDQUOT', syscall: 'write' }),
  'a failure of the host': new HostError(new Error('EMFILE')),
}))
  test(`${what} leaves a request to be asked again, and does not answer it`, async (t) => {
    const { store, attach, drop, clock, boxOf, outbox } = office(t)
    const { mock } = t.mock.method(store.messages, 'addAnswer', () => {
      throw error
    })
    const id = drop('family', message('x'))
    const run = attach('family')
    await until(() => mock.callCount() > 0 && clock.waiting > 0, 'it is tried')
    assert.deepEqual([run.replies.size, existsSync(path.join(boxOf('family'), `${id}.json`))], [0, true])
    mock.restore()
    clock.advanceToNext()
    await until(() => run.replies.get(id)?.status === 'done', 'it is done')
    assert.equal(outbox().length, 1)
  })

test('a request that its agent takes back while it is looked at is not answered', async (t) => {
  const { boxOf, attach, ask, drop, ipcDesk, logged } = office(t)
  const { take } = ipcDesk
  const ids = [drop('family', message('first'), { at: 1_000 }), drop('family', message('second'), { at: 1_001 })]
  t.mock.method(ipcDesk, 'take', (...[found, bytes]: Parameters<typeof take>) => {
    rmSync(path.join(boxOf('family'), `${ids[1]}.json`), { force: true })
    return take.call(ipcDesk, found, bytes)
  })
  const run = attach('family')
  await until(() => run.replies.has(ids[0] ?? ''), 'the first is answered')
  assert.equal((await ask('family', run, message('third'))).status, 'done')
  assert.deepEqual([run.replies.has(ids[1] ?? ''), logged], [false, []])
})

test('a folder of requests that is a link is told of once, and the link stays', async (t) => {
  const { boxOf, attach, ask, logged, root, clock } = office(t)
  const place = boxOf('family', 'messages')
  rmSync(place, { recursive: true })
  mkdirSync(path.join(root, 'elsewhere'))
  symlinkSync(path.join(root, 'elsewhere'), place)
  writeFileSync(path.join(root, 'elsewhere', 'a.json'), JSON.stringify(message('x')))
  const run = attach('family')
  assert.equal((await ask('family', run, message('in the other folder'))).status, 'done')
  await until(() => logged.length > 0, 'it is told')
  for (let n = 0; n < 3; n++) {
    clock.advanceToNext()
    await hasTheChance()
  }
  assert.deepEqual([logged.length, existsSync(path.join(place, 'a.json'))], [1, true])
})
