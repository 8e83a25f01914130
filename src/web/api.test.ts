import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownerDesk } from '../../test/fakes/owner.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { Feed } from '../app/feed.ts'
import { GroupRegistry } from '../app/groups.ts'
import { Inbox } from '../app/inbox.ts'
import { TaskBook } from '../app/tasks.ts'
import { TurnDesk } from '../app/turn-desk.ts'
import { controlApi } from './api.ts'

function api(t: TestContext) {
  const { store, folder: root } = storeWith(t, ['main'])
  const feed = new Feed()
  const woken: string[] = []
  const inbox = new Inbox({ deliver: () => {}, store, feed, wake: (folder) => woken.push(folder), takeCommand: () => undefined })
  const desk = new TurnDesk(
    { store, feed, now: () => 1_000 },
    { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'x' },
  )
  const status = () => assert.fail('not asked for, with s3cret')
  const registry = new GroupRegistry(
    { store, now: () => 0, release: () => {}, changed: () => {} },
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
  })
  const post = (path: string, body: unknown) => app.request(path, { method: 'POST', body: JSON.stringify(body) })
  return { app, post, store, desk, woken }
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

test('an outcome ends with the answer of the turn that took the message, also when it came before the question', async (t) => {
  const { app, post, desk } = api(t)
  await post('/api/chats/local:main/messages', { text: 'hi' })
  const waiting = app.request('/api/chats/local:main/outcome?seq=1')
  const claimed = desk.claim('main', 'chat') ?? assert.fail('no work')
  desk.finish([claimed], { type: 'answered', text: 'hello', usage: undefined })
  assert.deepEqual((await linesOf(await waiting)).at(-1), { type: 'answer', text: 'hello' })
  assert.deepEqual(await linesOf(await app.request('/api/chats/local:main/outcome?seq=1')), [{ type: 'answer', text: 'hello' }])
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
})

test('what goes wrong is told without the secrets in it', async (t) => {
  const answer = await api(t).app.request('/api/status')
  assert.deepEqual(
    [answer.status, await answer.json()],
    [500, { error: { code: 'bug', message: 'not asked for, with [redacted]' } }],
  )
})
