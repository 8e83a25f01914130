import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import { AppError } from '../domain/errors.ts'
import { type DemoModelOptions, startDemoModel } from './server.ts'

async function startModel(t: TestContext, options?: DemoModelOptions) {
  const model = await startDemoModel(options)
  t.after(() => model.close())
  const post = (text: string, init: { stream?: boolean; path?: string; signal?: AbortSignal } = {}) =>
    fetch(model.url + (init.path ?? '/v1/messages?beta=true'), {
      method: 'POST',
      body: JSON.stringify({ model: 'claude', stream: init.stream ?? false, messages: [{ role: 'user', content: text }] }),
      ...(init.signal ? { signal: init.signal } : {}),
    })
  return { model, post }
}

/** What the tests look at of an event, a message or an error. */
const body = z.looseObject({
  type: z.string().optional(),
  delta: z.looseObject({ text: z.string().optional(), stop_reason: z.string().optional() }).optional(),
  message: z.looseObject({ usage: z.looseObject({ input_tokens: z.number() }) }).optional(),
  error: z.looseObject({ type: z.string(), message: z.string() }).optional(),
  input_tokens: z.number().optional(),
})

async function bodyOf(response: Response) {
  return body.parse(await response.json())
}

/** The events of a stream, as far as it goes. */
async function events(response: Response): Promise<z.infer<typeof body>[]> {
  const text = await response.text()
  return text
    .split('\n\n')
    .filter(Boolean)
    .map((event) => {
      const [, type, data = ''] = /^event: (\S+)\ndata: (.*)$/.exec(event) ?? []
      const fields = body.parse(JSON.parse(data))
      assert.equal(fields.type, type)
      return fields
    })
}

test('an answer that is not streamed is one message', async (t) => {
  const { post } = await startModel(t)
  const message = await bodyOf(await post('!echo hi'))
  assert.deepEqual(message.content, [{ type: 'text', text: 'hi' }])
  assert.deepEqual([message.model, message.stop_reason], ['claude', 'end_turn'])
})

test('a streamed answer comes in the order of the API', async (t) => {
  const { post } = await startModel(t)
  const stream = await events(await post('!think', { stream: true }))
  assert.deepEqual(
    stream.map(({ type }) => type),
    [
      'message_start',
      ...['content_block_start', 'content_block_delta', 'content_block_delta', 'content_block_stop'],
      ...['content_block_start', 'content_block_delta', 'content_block_stop'],
      'message_delta',
      'message_stop',
    ],
  )
})

test('a tool call is streamed as JSON and stops for the tool', async (t) => {
  const { post } = await startModel(t)
  const stream = await events(await post('!tool Bash {"command":"ls"}', { stream: true }))
  assert.deepEqual(stream[2]?.delta, { type: 'input_json_delta', partial_json: '{"command":"ls"}' })
  assert.equal(stream.at(-2)?.delta?.stop_reason, 'tool_use')
})

test('a slow answer comes in pieces that make up its text', async (t) => {
  const { post } = await startModel(t)
  const stream = await events(await post('!slow 12 1', { stream: true }))
  const pieces = stream.filter(({ type }) => type === 'content_block_delta').map(({ delta }) => delta?.text)
  assert.ok(pieces.length >= 10)
  assert.equal(pieces.join(''), Array.from({ length: 12 }, (_, n) => `w${n} `).join(''))
})

test('big usage is reported at the start', async (t) => {
  const { post } = await startModel(t)
  const [start] = await events(await post('!big 180000', { stream: true }))
  assert.equal(start?.message?.usage.input_tokens, 180_000)
})

test('a failure has its status, type and headers; a counted one ends in an answer', async (t) => {
  const { post } = await startModel(t)
  const limited = await post('!error 429 after=9')
  assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '9'])
  assert.equal((await bodyOf(limited)).error?.type, 'rate_limit_error')
  const statuses = []
  for (let n = 0; n < 3; n += 1) statuses.push((await post('!error 529 x2')).status)
  assert.deepEqual(statuses, [529, 529, 200])
})

test('a drop breaks the connection before the answer, a cut in it, an error event ends it', async (t) => {
  const { post } = await startModel(t)
  await assert.rejects(post('!drop'))
  const cut = await post('!midstream cut', { stream: true })
  assert.equal(cut.status, 200)
  await assert.rejects(cut.text())
  const failed = await events(await post('!midstream', { stream: true }))
  assert.equal(failed.at(-1)?.type, 'error')
})

test('a client that leaves is noticed', async (t) => {
  const { model, post } = await startModel(t)
  const leave = new AbortController()
  await post('!slow 1000 20', { stream: true, signal: leave.signal })
  leave.abort()
  while (!model.requests[0]?.aborted) await nextTurn()
})

test('tokens are counted, other addresses and broken requests refused', async (t) => {
  const { model, post } = await startModel(t)
  const { input_tokens = 0 } = await bodyOf(await post('x', { path: '/v1/messages/count_tokens' }))
  assert.ok(input_tokens > 0)
  assert.equal((await post('x', { path: '/v1/models' })).status, 404)
  assert.equal((await fetch(`${model.url}/v1/messages`, { method: 'POST', body: '{' })).status, 400)
})

test('only the latest requests are kept', async (t) => {
  const seen: string[] = []
  const { model, post } = await startModel(t, { keep: 2, onRequest: ({ url }) => seen.push(url) })
  for (const n of [1, 2, 3]) await post('x', { path: `/v1/messages?${n}` })
  assert.deepEqual(
    model.requests.map(({ url }) => url),
    ['/v1/messages?2', '/v1/messages?3'],
  )
  assert.equal(seen.length, 3)
})

test('a script of the test decides; one that throws is a 500', async (t) => {
  const script = ({ said }: { said: string[] }) => {
    if (said[0] === 'throw') throw new Error('oops')
    return { type: 'error' as const, status: 418 }
  }
  const { post } = await startModel(t, { script })
  assert.equal((await post('x')).status, 418)
  const failed = await post('throw')
  assert.equal(failed.status, 500)
  assert.match((await bodyOf(failed)).error?.message ?? '', /oops/)
})

test('a port in use is an error for a person', async (t) => {
  const { model } = await startModel(t)
  await assert.rejects(startDemoModel({ port: Number(new URL(model.url).port) }), AppError)
})
