import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { FakeControlHost } from '../../../test/fakes/control-host.ts'
import { until } from '../../../test/fakes/patience.ts'
import { ControlClient } from '../control-client.ts'
import { ChatLink } from './chat-link.ts'

/** A chat that stays connected to a fake host until the test ends, and all it has shown. */
async function chat(t: TestContext, prepare: (host: FakeControlHost) => void = () => {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-link-'))
  const socketPath = path.join(folder, 'host.sock')
  const host = new FakeControlHost({ socketPath })
  prepare(host)
  await host.start()
  const shown: string[] = []
  const link = new ChatLink({
    client: new ControlClient({ socketPath }),
    jid: host.jid,
    listener: {
      changed: (news) => {
        for (const one of news) shown.push(one.type === 'message' ? one.message.text : `! ${one.text}`)
      },
      failed: (error) => assert.fail(String(error)),
    },
  })
  const isSo = (isTrue: () => boolean, what: string) => until(isTrue, what, { seen: () => shown })
  /** Somebody says something; when it is shown, everything that came before it has been. */
  const showLast = async () => {
    host.add({ text: 'last' })
    await isSo(() => shown.includes('last'), 'the last message is shown')
    return shown.slice(0, -1)
  }
  const leave = new AbortController()
  const staying = link.stay(await link.connect(leave.signal), leave.signal)
  t.after(async () => {
    leave.abort()
    await staying
    await host.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return { host, link, shown, isSo, showLast }
}

test('what was said before and what is said now is shown in order, once', async (t) => {
  const { host, shown, showLast } = await chat(t, (host) => host.add({ text: 'earlier' }))
  host.add({ text: 'now' })
  assert.deepEqual(await showLast(), ['earlier', 'now'])
  assert.equal(shown.at(-1), 'last')
})

test('a message is handed over and comes back once', async (t) => {
  const { host, link, isSo, showLast } = await chat(t)
  link.say('hello')
  await isSo(() => host.posted.length > 0 && link.room.outgoing.length === 0, 'it is handed over')
  host.answer('hi')
  assert.deepEqual(await showLast(), ['hello', 'hi'])
  assert.deepEqual(host.posted, ['hello'])
})

test('what was said while the connection was lost is shown, and what was typed meanwhile is sent, once', async (t) => {
  const { host, link, isSo, showLast } = await chat(t)
  await host.stop()
  await isSo(() => !link.room.online, 'the connection is lost')
  link.say('typed meanwhile')
  host.add({ text: 'missed' })
  await host.start()
  await isSo(() => link.room.online && host.posted.length > 0 && link.room.outgoing.length === 0, 'it is handed over')
  assert.deepEqual(await showLast(), ['missed', 'typed meanwhile'])
  assert.deepEqual(host.posted, ['typed meanwhile'])
})

test('a message that was stored though the answer was lost is not sent again', async (t) => {
  const { host, link, isSo, showLast } = await chat(t)
  host.nextPost = 'drop'
  link.say('hello')
  await isSo(() => host.posted.length > 0 && !link.room.online, 'the connection is lost')
  await host.start()
  await isSo(() => link.room.online && link.room.outgoing.length === 0, 'nothing waits to be sent')
  link.say('another')
  await isSo(() => host.posted.includes('another'), 'the next one is sent')
  assert.deepEqual(await showLast(), ['hello', 'another'])
  assert.deepEqual(host.posted, ['hello', 'another'])
})

test('a turn that failed while the connection was lost is told, once', async (t) => {
  const { host, link, shown, isSo, showLast } = await chat(t)
  link.say('hello')
  await isSo(() => link.room.unsettled === 1, 'it is handed over')
  await host.stop()
  host.settle(1, { type: 'failed', message: 'No login.' })
  await host.start()
  await isSo(() => shown.includes('! No login.'), 'it is told')
  assert.deepEqual(await showLast(), ['hello', '! No login.'])
})

test('a message that the host refuses is told and does not hold up the next', async (t) => {
  const { host, link, isSo, showLast } = await chat(t)
  host.nextPost = { code: 'message.too-long', message: 'Too long.' }
  link.say('one')
  link.say('two')
  await isSo(() => host.posted.length > 0 && link.room.outgoing.length === 0, 'both are dealt with')
  assert.deepEqual(await showLast(), ['! Too long.', 'two'])
  assert.deepEqual(host.posted, ['two'])
})

test('stop interrupts a turn, and knows when there is none', async (t) => {
  const { host, link, isSo } = await chat(t)
  const stopping = () => link.room.work.state === 'running' && link.room.work.stopping
  assert.equal(await link.stop(), false)
  assert.equal(host.stops, 0)
  host.emit({ type: 'turn', state: 'running' })
  await isSo(() => link.room.work.state === 'running', 'the turn runs')
  assert.equal(await link.stop(), false)
  assert.deepEqual([host.stops, stopping()], [1, false], 'the host knew better')
  host.stoppable = true
  assert.equal(await link.stop(), true)
  assert.deepEqual([host.stops, stopping()], [2, true])
})

test('who joins in the middle of a turn sees that it runs', async (t) => {
  const { link } = await chat(t, (host) => {
    host.state = 'running'
  })
  assert.equal(link.room.work.state, 'running')
})

test('who joins sees the last twenty messages, and after a lost connection up to two hundred', async (t) => {
  const { host, link, shown, isSo } = await chat(t, (host) => {
    for (let n = 1; n <= 21; n++) host.add({ text: `early ${n}` })
  })
  assert.deepEqual([shown.length, shown[0]], [20, 'early 2'])
  await host.stop()
  await isSo(() => !link.room.online, 'the connection is lost')
  for (let n = 1; n <= 201; n++) host.add({ text: `missed ${n}` })
  await host.start()
  await isSo(() => shown.includes('missed 201'), 'what was missed is shown')
  assert.deepEqual([shown.length, shown[20]], [220, 'missed 2'])
})
