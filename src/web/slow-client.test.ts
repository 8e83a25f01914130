import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { chatEvent } from '@nanoclaw/protocol'
import { Hono } from 'hono'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { until } from '../../test/fakes/patience.ts'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { Feed } from '../app/feed.ts'
import { chatEvents } from './api.ts'
import { serveControl } from './control-server.ts'
import { ndjson } from './ndjson.ts'

const JID = 'local:main'
const KB = 'x'.repeat(1_000)

/** The events of a chat on a real socket, and a client of it that has not read anything yet. */
async function watcher(t: TestContext) {
  const feed = new Feed(console)
  const socket = path.join(temporaryFolder(t), 'control.sock')
  const app = new Hono().get('/events', (c) => ndjson(c, (signal) => chatEvents(feed.watch(JID, signal))))
  const server = await serveControl({ app, socket })
  t.after(() => server.close())
  const client: Socket = createConnection(socket)
  t.after(() => client.destroy())
  await once(client, 'connect')
  client.write('GET /events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  await until(() => feed.watched, 'the chat is watched')
  const publish = async (kilobytes: number) => {
    for (let n = 0; n < kilobytes; n++) {
      feed.publish(JID, { type: 'activity', kind: 'text', detail: KB })
      if (n % 500 === 0) await hasTheChance()
    }
  }
  return { feed, client, publish }
}

test('a client that stops reading costs a bounded part of what happens, is told that it missed something, and goes', async (t) => {
  const { feed, client, publish } = await watcher(t)
  client.pause()
  await publish(20_000)
  let answer = ''
  client.setEncoding('utf8').on('data', (chunk) => {
    answer += chunk
  })
  client.resume()
  await until(() => client.readableEnded || answer.length > 10_000 * KB.length, 'it has read what was kept for it')
  const lines = answer.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
  const events = lines.map((line) => chatEvent.parse(JSON.parse(line)))
  assert.ok(events.length < 4_000, `at least ${events.length} of 20,000 events were kept for it`)
  assert.deepEqual(events.at(-1), { type: 'missed' })
  assert.equal(events.filter(({ type }) => type === 'missed').length, 1)
  assert.equal(feed.watched, false)
})

test('a client that reads misses nothing, however much there is', async (t) => {
  const { client, publish } = await watcher(t)
  let bytes = 0
  client.on('data', (chunk) => {
    bytes += chunk.length
  })
  await publish(3_000)
  await until(() => bytes > 3_000 * KB.length, 'all of it has come')
})
