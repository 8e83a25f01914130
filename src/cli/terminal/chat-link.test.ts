import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { FakeControlHost } from '../../../test/fakes/control-host.ts'
import { ControlClient } from '../control-client.ts'
import { ChatLink } from './chat-link.ts'

const DEADLINE_MS = 20_000

/** A chat that stays connected to a fake host until the test ends, and all it has shown. */
async function chat(t: TestContext, prepare: (host: FakeControlHost) => void = () => {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-link-'))
  const socketPath = path.join(folder, 'host.sock')
  const host = new FakeControlHost({ socketPath })
  prepare(host)
  await host.start()
  const shown: string[] = []
  let wake = () => {}
  const link = new ChatLink({
    client: new ControlClient({ socketPath }),
    jid: host.jid,
    listener: {
      changed: (news) => {
        for (const one of news) shown.push(one.type === 'message' ? one.message.text : `! ${one.text}`)
        wake()
      },
      failed: (error) => assert.fail(String(error)),
    },
  })
  /** Resolves when a change made it true. */
  const until = async (isTrue: () => boolean) => {
    const late = AbortSignal.timeout(DEADLINE_MS)
    late.addEventListener('abort', () => wake())
    while (!isTrue()) {
      assert.ok(!late.aborted, `did not come about; shown: ${shown.join(', ')}`)
      await new Promise<void>((resolve) => (wake = resolve))
    }
  }
  const leave = new AbortController()
  const staying = link.stay(await link.connect(leave.signal), leave.signal)
  t.after(async () => {
    leave.abort()
    await staying
    await host.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return { host, link, shown, until }
}

test('what was said before and what is said now is shown in order, once', async (t) => {
  const { host, shown, until } = await chat(t, (host) => host.add({ text: 'earlier' }))
  host.add({ text: 'now' })
  await until(() => shown.length === 2)
  assert.deepEqual(shown, ['earlier', 'now'])
})

test('a message is handed over and comes back once', async (t) => {
  const { host, link, shown, until } = await chat(t)
  link.say('hello')
  await until(() => shown.length > 0 && link.room.outgoing.length === 0)
  host.answer('hi')
  await until(() => shown.length === 2)
  assert.deepEqual(shown, ['hello', 'hi'])
  assert.deepEqual(host.posted, ['hello'])
})

test('what was said while the connection was lost is shown, and what was typed meanwhile is sent, once', async (t) => {
  const { host, link, shown, until } = await chat(t)
  await host.stop()
  await until(() => !link.room.online)
  link.say('typed meanwhile')
  host.add({ text: 'missed' })
  await host.start()
  await until(() => link.room.online && shown.length === 2)
  assert.deepEqual(shown, ['missed', 'typed meanwhile'])
  assert.deepEqual(host.posted, ['typed meanwhile'])
})

test('a message that was stored though the answer was lost is not sent again', async (t) => {
  const { host, link, shown, until } = await chat(t)
  host.nextPost = 'drop'
  link.say('hello')
  await until(() => !link.room.online)
  await host.start()
  await until(() => link.room.online && link.room.outgoing.length === 0)
  assert.deepEqual([shown, host.posted], [['hello'], ['hello']])
})

test('a turn that failed while the connection was lost is told', async (t) => {
  const { host, link, shown, until } = await chat(t)
  link.say('hello')
  await until(() => link.room.unsettled === 1)
  await host.stop()
  host.settle(1, { type: 'failed', message: 'No login.' })
  await host.start()
  await until(() => shown.includes('! No login.'))
  assert.deepEqual(shown, ['hello', '! No login.'])
})

test('a message that the host refuses is told and does not hold up the next', async (t) => {
  const { host, link, shown, until } = await chat(t)
  host.nextPost = { code: 'message.too-long', message: 'Too long.' }
  link.say('one')
  link.say('two')
  await until(() => shown.length === 2)
  assert.deepEqual(shown, ['! Too long.', 'two'])
  assert.deepEqual(host.posted, ['two'])
})

test('stop interrupts a turn, and knows when there is none', async (t) => {
  const { host, link, until } = await chat(t)
  assert.equal(await link.stop(), false)
  assert.equal(host.stops, 0)
  host.emit({ type: 'turn', state: 'running' })
  await until(() => link.room.work.state === 'running')
  host.stoppable = true
  assert.equal(await link.stop(), true)
  assert.equal(link.room.work.state === 'running' && link.room.work.stopping, true)
})

test('who joins in the middle of a turn sees that it runs', async (t) => {
  const { link } = await chat(t, (host) => {
    host.state = 'running'
  })
  assert.equal(link.room.work.state, 'running')
})
