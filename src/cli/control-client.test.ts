import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { FakeControlHost } from '../../test/fakes/control-host.ts'
import { until } from '../../test/fakes/patience.ts'
import { ControlClient } from './control-client.ts'

const never = new AbortController().signal

function socketFor(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-client-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return path.join(folder, 'host.sock')
}

async function started(t: TestContext): Promise<{ host: FakeControlHost; client: ControlClient; socketPath: string }> {
  const socketPath = socketFor(t)
  const host = new FakeControlHost({ socketPath })
  await host.start()
  t.after(() => host.stop())
  return { host, client: new ControlClient({ socketPath }), socketPath }
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = []
  for await (const value of source) values.push(value)
  return values
}

/** A server that answers every request as `answer` does. */
async function serving(t: TestContext, answer: http.RequestListener): Promise<ControlClient> {
  const socketPath = socketFor(t)
  const server = http.createServer(answer).listen(socketPath)
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return new ControlClient({ socketPath })
}

test('messages are sent and read back', async (t) => {
  const { host, client } = await started(t)
  host.add({ text: 'earlier', at: 5 })
  assert.deepEqual(await client.send(host.jid, 'hello\nwörld'), { seq: 2 })
  assert.deepEqual(
    (await client.history(host.jid, 10)).map(({ seq, text }) => [seq, text]),
    [
      [1, 'earlier'],
      [2, 'hello\nwörld'],
    ],
  )
  assert.equal((await client.history(host.jid, 1)).length, 1)
})

test('the status is the status of the host', async (t) => {
  const { client } = await started(t)
  assert.equal((await client.status()).groups[0]?.folder, 'main')
})

test('stop tells whether a turn was there', async (t) => {
  const { host, client } = await started(t)
  assert.equal(await client.stop(host.jid), false)
  host.stoppable = true
  assert.equal(await client.stop(host.jid), true)
})

test('once a watch is open, nothing that happens is missed', async (t) => {
  const { host, client } = await started(t)
  const leave = new AbortController()
  const events = await client.watch(host.jid, leave.signal)
  host.answer('hi')
  const seen: string[] = []
  for await (const event of events) {
    seen.push(event.type === 'turn' ? event.state : event.type)
    if (seen.length === 3) leave.abort()
  }
  assert.deepEqual(seen, ['running', 'message', 'done'])
})

test('a stream that is left is closed on the side of the host too', async (t) => {
  const { host, client } = await started(t)
  const events = await client.watch(host.jid, never)
  assert.equal(host.watchers, 1)
  host.answer(null)
  for await (const event of events) if (event) break
  await until(() => host.watchers === 0, 'nobody watches any more')
})

test('an outcome ends with the answer', async (t) => {
  const { host, client } = await started(t)
  const { seq } = await client.send(host.jid, 'hello')
  host.settle(seq, { type: 'activity', kind: 'tool', detail: 'Bash' }, { type: 'answer', text: 'hi' })
  const events = await all(client.outcome(host.jid, seq, never))
  assert.deepEqual(events, [
    { type: 'activity', kind: 'tool', detail: 'Bash' },
    { type: 'answer', text: 'hi' },
  ])
})

test('no host is told as what it is and what to do', async (t) => {
  const client = new ControlClient({ socketPath: socketFor(t) })
  const expected = { code: 'host.not-running', message: 'NanoClaw is not running; start it with ./nanoclaw start' }
  await assert.rejects(client.status(), expected)
  await assert.rejects(all(client.events('local:main', never)), expected)
})

test('a socket that nobody serves any more is no host', async (t) => {
  const { host, client } = await started(t)
  await host.stop()
  await assert.rejects(client.send(host.jid, 'hello'), { code: 'host.not-running' })
})

test('what the host refuses keeps its code and its words', async (t) => {
  const { host, client } = await started(t)
  host.nextPost = { code: 'message.too-long', message: 'Too long.' }
  await assert.rejects(client.send(host.jid, 'hello'), { code: 'message.too-long', message: 'Too long.', fault: 'user' })
  await assert.rejects(client.history('local:nobody', 1), { code: 'chat.unknown' })
  await assert.rejects(all(client.outcome('local:nobody', 1, never)), { code: 'chat.unknown' })
})

test('a connection that breaks in the middle of a stream is told', async (t) => {
  const { host, client } = await started(t)
  const events = await client.watch(host.jid, never)
  const next = events.next()
  await host.stop()
  await assert.rejects(next, { code: 'host.lost' })
})

test('an aborted stream just ends', async (t) => {
  const { host, client } = await started(t)
  const leave = new AbortController()
  const events = await client.watch(host.jid, leave.signal)
  const next = events.next()
  leave.abort()
  assert.deepEqual(await next, { value: undefined, done: true })
})

test('a chat is named in the path whatever characters its jid has', async (t) => {
  const socketPath = socketFor(t)
  const host = new FakeControlHost({ socketPath, jid: 'tg:-100/5?x=1 #ü' })
  await host.start()
  t.after(() => host.stop())
  const client = new ControlClient({ socketPath })
  assert.deepEqual(await client.send(host.jid, 'hello'), { seq: 1 })
})

test('answers outside the contract are refused', async (t) => {
  const bodies = ['not json', '{"seq":"1"}', '{}', '']
  const client = await serving(t, (_, response) => response.end(bodies.shift()))
  for (let left = bodies.length; left > 0; left--) await assert.rejects(client.send('x', 'y'), { code: 'host.protocol' })
})

test('an error page without the contract in it is refused', async (t) => {
  const client = await serving(t, (_, response) => response.writeHead(500).end('<html>'))
  await assert.rejects(client.status(), { code: 'host.protocol', message: /status 500/ })
})

test('empty lines between events mean nothing, a broken event does', async (t) => {
  const client = await serving(t, (_, response) => response.end('\n\n{"type":"turn","state":"done"}\n{"type":"turn"}\n'))
  const events = client.events('x', never)
  assert.deepEqual((await events.next()).value, { type: 'turn', state: 'done' })
  await assert.rejects(events.next(), { code: 'host.protocol' })
})

test('a line without an end is not collected for ever', async (t) => {
  const client = await serving(t, (_, response) => {
    const more = () => response.write('x'.repeat(2 ** 20), (error) => error ?? (sent++ < 9 ? more() : response.end('\n')))
    let sent = 0
    more()
  })
  await assert.rejects(all(client.events('x', never)), { code: 'host.protocol' })
})
