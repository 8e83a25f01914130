import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostStatus } from '@nanoclaw/protocol'
import { ownerDesk } from '../../test/fakes/owner.ts'
import { until } from '../../test/fakes/patience.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { everybody, noPolicy } from '../../test/fakes/senders.ts'
import { Feed } from '../app/feed.ts'
import { GroupRegistry } from '../app/groups.ts'
import { Inbox } from '../app/inbox.ts'
import { TaskBook } from '../app/tasks.ts'
import { TurnDesk } from '../app/turn-desk.ts'
import { AppError } from '../domain/errors.ts'
import { controlApi } from './api.ts'

function api(t: TestContext, over: Partial<Parameters<typeof controlApi>[0]> = {}) {
  const { store, folder: root } = storeWith(t, ['main'])
  const feed = new Feed(console)
  const woken: string[] = []
  const inbox = new Inbox({
    deliver: () => {},
    store,
    feed,
    wake: (folder) => woken.push(folder),
    takeCommand: () => undefined,
    judge: everybody,
    onDropped() {},
  })
  const desk = new TurnDesk(
    { store, feed, now: () => 1_000, judge: everybody },
    { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'x' },
  )
  const status = () => assert.fail('not asked for, with s3cret')
  const registry = new GroupRegistry(
    { store, now: () => 0, release: () => {}, changed: () => {}, senderPolicy: noPolicy },
    { root, assistantName: 'Andy' },
  )
  const ports = { store, now: () => 0, newId: () => 't1', wake: () => {}, changed: () => {} }
  const tasks = new TaskBook(ports, { timeZone: 'UTC' })
  const app = controlApi({
    registry: ownerDesk({ store, registry, root }),
    tasks,
    assistantName: 'Andy',
    channels: [],
    store,
    feed,
    receive: inbox.receive.bind(inbox),
    stopTurn: (jid) => jid === 'local:main',
    status,
    audit: () => {},
    redact: (text) => text.replaceAll('s3cret', '[redacted]'),
    now: () => 1_000,
    ...over,
  })
  const post = (path: string, body: unknown) => app.request(path, { method: 'POST', body: JSON.stringify(body) })
  return { app, post, store, feed, desk, woken }
}

/** The lines of an NDJSON answer, until it ends. */
async function linesOf(response: Response): Promise<unknown[]> {
  return (await response.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

test('a posted message is stored and wakes its group, and the history shows it', async (t) => {
  const { app, post, woken } = api(t)
  assert.deepEqual(await (await post('/api/chats/local:main/messages', { text: ' hi ' })).json(), { seq: 1 })
  assert.deepEqual(woken, ['main'])
  const history = await (await app.request('/api/chats/local:main/messages?limit=5')).json()
  assert.deepEqual(history, { messages: [{ seq: 1, sender: 'You', fromAssistant: false, text: 'hi', at: 1_000 }] })
})

test('an outcome tells what the agent does and ends with the answer of the turn that took the message', async (t) => {
  const { app, post, desk, feed } = api(t)
  await post('/api/chats/local:main/messages', { text: 'hi' })
  const response = await app.request('/api/chats/local:main/outcome?seq=1')
  await until(() => feed.watched, 'the chat is watched')
  feed.publish('local:main', { type: 'activity', kind: 'tool', detail: 'Bash' })
  const claimed = desk.claim('main', 'chat') ?? assert.fail('no work')
  desk.finish([claimed], { type: 'answered', text: 'hello', usage: undefined })
  const answer = { type: 'answer', text: 'hello' }
  assert.deepEqual(await linesOf(response), [{ type: 'activity', kind: 'tool', detail: 'Bash' }, answer])
  assert.ok(!feed.watched, 'the chat is no longer watched')
  assert.deepEqual(
    await linesOf(await app.request('/api/chats/local:main/outcome?seq=1')),
    [answer],
    'the same to a late question',
  )
})

test('an outcome says why there is no answer', async (t) => {
  const { app, post, desk } = api(t)
  await post('/api/chats/local:main/messages', { text: 'hi' })
  desk.finish([desk.claim('main', 'chat') ?? assert.fail('no work')], { type: 'failed', reason: 'too-large', detail: 'x' })
  const [outcome] = (await linesOf(await app.request('/api/chats/local:main/outcome?seq=1'))) as { type: string }[]
  assert.equal(outcome?.type, 'failed')
})

test('an outcome that is asked for too late still says what must be put right', async (t) => {
  const { app, post, desk } = api(t)
  await post('/api/chats/local:main/messages', { text: 'hi' })
  const image = 'the image is missing; run ./container/build.sh'
  desk.finish([desk.claim('main', 'chat') ?? assert.fail('no work')], { type: 'failed', reason: 'setup', detail: image })
  const lines = await linesOf(await app.request('/api/chats/local:main/outcome?seq=1'))
  assert.deepEqual(lines, [{ type: 'failed', message: `setup: ${image}` }])
})

test('what cannot be used is answered with a status and a sentence', async (t) => {
  const { app, post } = api(t)
  const cases: [Response, number, RegExp][] = [
    [await post('/api/chats/local:nobody/messages', { text: 'hi' }), 404, /no chat "local:nobody".*local:main/],
    [await post('/api/chats/local:main/messages', { text: '  ' }), 400, /empty/],
    [await post('/api/chats/local:main/messages', { text: 'x'.repeat(1_000_001) }), 400, /1000000/],
    [await app.request('/api/chats/local:main/messages', { method: 'POST', body: '{' }), 400, /not JSON/],
    [await app.request('/api/chats/local:main/outcome?seq=x'), 400, /./],
    [await app.request('/api/chats/local:main/outcome?seq=0'), 400, /./],
    [await app.request('/api/chats/local:nobody/outcome?seq=1'), 404, /no chat/],
    [await app.request('/api/chats/local:nobody/events'), 404, /no chat/],
    [await post('/api/chats/local:nobody/stop', {}), 404, /no chat/],
    [await app.request('/api/nothing'), 404, /no GET \/api\/nothing/],
  ]
  for (const [response, status, message] of cases) {
    assert.equal(response.status, status)
    const { error } = (await response.json()) as { error: { message: string } }
    assert.match(error.message, message)
  }
})

test('stop says whether there was a turn to stop', async (t) => {
  const { post } = api(t)
  assert.deepEqual(await (await post('/api/chats/local:main/stop', {})).json(), { stopped: true })
  const idle = api(t, { stopTurn: () => false })
  assert.deepEqual(await (await idle.post('/api/chats/local:main/stop', {})).json(), { stopped: false })
})

test('a history has the newest messages, 50 unless it is said otherwise, and 500 at most', async (t) => {
  const { app, post } = api(t)
  for (let n = 1; n <= 51; n++) await post('/api/chats/local:main/messages', { text: `message ${n}` })
  const history = async (query: string) => {
    const response = await app.request(`/api/chats/local:main/messages${query}`)
    const { messages = [] } = (await response.json()) as { messages?: { text: string }[] }
    return [response.status, messages.length, messages.at(-1)?.text]
  }
  assert.deepEqual(await history(''), [200, 50, 'message 51'])
  assert.deepEqual(await history('?limit=1'), [200, 1, 'message 51'])
  assert.deepEqual(await history('?limit=500'), [200, 51, 'message 51'])
  for (const limit of ['0', '501', '-1', '1.5', 'x'])
    assert.deepEqual(await history(`?limit=${limit}`), [400, 0, undefined], limit)
})

test('a message to a chat that is being removed is refused', async (t) => {
  const { post } = api(t, { receive: () => undefined })
  const response = await post('/api/chats/local:main/messages', { text: 'hi' })
  const message = 'local:main is being removed: it takes no more messages.'
  assert.deepEqual([response.status, await response.json()], [400, { error: { code: 'input.chat-leaving', message } }])
})

test('a watcher of a chat sees its events from then on, until they leave', async (t) => {
  const { app, post, feed } = api(t)
  await post('/api/chats/local:main/messages', { text: 'before' })
  const response = await app.request('/api/chats/local:main/events')
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson')
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader() ?? assert.fail('no body')
  await post('/api/chats/local:main/messages', { text: 'hi' })
  feed.publish('local:main', { type: 'activity', kind: 'tool', detail: 'Bash' })
  feed.publish('local:main', { type: 'turn', state: 'waiting', throughSeq: 2, detail: 'why' })
  feed.publish('local:main', { type: 'turn', state: 'done', throughSeq: 2 })
  let seen = ''
  while (seen.split('\n').length < 5) seen += (await reader.read()).value
  assert.deepEqual(
    seen
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { type: 'message', message: { seq: 2, sender: 'You', fromAssistant: false, text: 'hi', at: 1_000 } },
      { type: 'activity', kind: 'tool', detail: 'Bash' },
      { type: 'turn', state: 'waiting', detail: 'why' },
      { type: 'turn', state: 'done' },
    ],
  )
  assert.ok(feed.watched)
  await reader.cancel()
  await until(() => !feed.watched, 'nobody watches any more')
})

test('the state of the host is told without the secrets in it', async (t) => {
  const status = { version: '1', troubles: [{ why: 'a login with s3cret' }] }
  const { app } = api(t, { status: () => status as unknown as HostStatus })
  const response = await app.request('/api/status')
  assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'application/json'])
  assert.deepEqual(await response.json(), { version: '1', troubles: [{ why: 'a login with [redacted]' }] })
})

test('a refusal is told without the secrets in it, and a mistake of ours is one', async (t) => {
  const receive = () => {
    throw new AppError({ code: 'input.odd', fault: 'user', message: 'not with s3cret' })
  }
  const refused = await api(t, { receive }).post('/api/chats/local:main/messages', { text: 'hi' })
  assert.deepEqual(
    [refused.status, await refused.json()],
    [400, { error: { code: 'input.odd', message: 'not with [redacted]' } }],
  )
  const stopTurn = () => {
    throw new TypeError('a bug')
  }
  const broken = await api(t, { stopTurn }).post('/api/chats/local:main/stop', {})
  assert.deepEqual([broken.status, await broken.json()], [500, { error: { code: 'bug', message: 'a bug' } }])
})

test('what goes wrong is told without the secrets in it', async (t) => {
  const answer = await api(t).app.request('/api/status')
  assert.deepEqual(
    [answer.status, await answer.json()],
    [500, { error: { code: 'bug', message: 'not asked for, with [redacted]' } }],
  )
})

test('a channel that was linked or unlinked is told so, also where the audit cannot be written', async (t) => {
  const audit = () => {
    throw new Error('the disk is full')
  }
  const channel = {
    name: 'whatsapp',
    login: async ({ tell }: { tell(event: { type: 'online'; account: string }): void }) =>
      tell({ type: 'online', account: 'me' }),
    logout: async () => {},
  }
  const { post } = api(t, { channels: [channel], audit })
  assert.deepEqual(await linesOf(await post('/api/channels/whatsapp/login', {})), [{ type: 'online', account: 'me' }])
  assert.equal((await post('/api/channels/whatsapp/logout', {})).status, 200)
})
