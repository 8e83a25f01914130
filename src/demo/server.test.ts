import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { until } from '../../test/fakes/patience.ts'
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
  await until(() => model.requests[0]?.aborted === true, 'the model notices it')
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

test('an answer waits until onRequest is done with its request', async (t) => {
  const held = Promise.withResolvers<void>()
  const { model, post } = await startModel(t, { onRequest: () => held.promise })
  const answer = post('x')
  await until(() => model.requests.length === 1, 'the model is asked')
  await hasTheChance()
  assert.equal(model.requests[0]?.reply, undefined, 'nothing is answered yet')
  held.resolve()
  assert.equal((await answer).status, 200)
})

test('100 requests are kept unless it is said otherwise', async (t) => {
  const { model, post } = await startModel(t)
  for (let n = 0; n <= 100; n++) await post('x', { path: `/v1/models?${n}` })
  assert.deepEqual([model.requests.length, model.requests[0]?.url], [100, '/v1/models?1'])
})

test('a request is recorded as it was sent, with what the script made of it', async (t) => {
  const { model, post } = await startModel(t)
  await post('!echo hi')
  await fetch(`${model.url}/v1/messages`, { method: 'POST', body: '{ä' })
  const [asked, broken] = model.requests
  assert.deepEqual([asked?.method, asked?.url, asked?.aborted], ['POST', '/v1/messages?beta=true', false])
  assert.deepEqual(asked?.body, { model: 'claude', stream: false, messages: [{ role: 'user', content: '!echo hi' }] })
  assert.equal(asked?.bytes, JSON.stringify(asked?.body).length)
  assert.deepEqual(asked?.reply, { type: 'answer', blocks: [{ type: 'text', text: 'hi' }] })
  assert.deepEqual([broken?.body, broken?.bytes, broken?.reply], ['{ä', 3, undefined])
})

test('a body of more than 32 MiB is refused', async (t) => {
  const { model } = await startModel(t)
  const request = http.request(`${model.url}/v1/messages`, { method: 'POST', agent: false })
  request.end(Buffer.alloc(32 * 1024 * 1024 + 1, ' '))
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  assert.equal(response.statusCode, 413)
})

test('an error has the type that the API gives its status, and 429 says when to try again', async (t) => {
  const { post } = await startModel(t)
  const types: Record<number, string> = {
    ...{ 400: 'invalid_request_error', 401: 'authentication_error', 403: 'permission_error', 404: 'not_found_error' },
    ...{ 413: 'request_too_large', 429: 'rate_limit_error', 529: 'overloaded_error', 500: 'api_error' },
  }
  for (const [status, type] of Object.entries(types)) {
    const failed = await post(`!error ${status}`)
    assert.deepEqual([failed.status, failed.headers.get('retry-after')], [Number(status), status === '429' ? '1' : null])
    assert.deepEqual((await bodyOf(failed)).error, { type, message: `scripted ${status}` })
  }
  assert.equal((await bodyOf(await post('!error 418 teapot'))).error?.type, 'teapot')
})

test('a break in an answer that is not streamed is none of it at all', async (t) => {
  const { post } = await startModel(t)
  await assert.rejects(post('!midstream cut'))
  assert.equal((await post('!midstream')).status, 529)
})

test('failures are counted for each thing that was said', async (t) => {
  const { post } = await startModel(t)
  const statuses = []
  for (const words of ['!error 529 x1', '!error 500 x1', '!error 529 x1', '!error 500 x1'])
    statuses.push((await post(words)).status)
  assert.deepEqual(statuses, [529, 500, 200, 200])
})

test('a closed model answers nobody, and can be closed again', async (t) => {
  const { model, post } = await startModel(t)
  await model.close()
  await model.close()
  await assert.rejects(post('x'))
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
