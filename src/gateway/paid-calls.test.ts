import assert from 'node:assert/strict'
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { until } from '../../test/fakes/patience.ts'
import { socketFolder } from '../../test/fakes/socket-folder.ts'
import { startDemoModel } from '../demo/server.ts'
import { NO_TOKENS } from '../domain/model-price.ts'
import { HostCredentials } from './credentials.ts'
import { Gateway } from './gateway.ts'
import type { RequestRecord } from './gateway-run.ts'
import type { CallUse, Grant, PlannedCall } from './purse.ts'

/** A run whose calls are paid from a purse that keeps the books here. */
async function paidRun(t: TestContext, { over, upstream }: { over?: Extract<Grant, { type: 'over' }>; upstream?: string } = {}) {
  const socketPath = join(socketFolder(t), 'gateway.sock')
  const model = await startDemoModel()
  const [begun, settled, records]: [PlannedCall[], CallUse[], RequestRecord[]] = [[], [], []]
  const log = { debug: () => {}, warn: () => {} }
  const credentials = new HostCredentials({ apiKey: 'sk-ant-api03-x' })
  const gateway = new Gateway({ upstream: new URL(upstream ?? model.url), credentials, log })
  const purse = {
    begin: async (call: PlannedCall): Promise<Grant> => {
      begun.push(call)
      return over ?? { type: 'granted', settle: (use) => settled.push(use) }
    },
  }
  t.after(async () => {
    await gateway.close()
    await model.close()
  })
  await gateway.open({ runId: 'a1', socketPath, purse, onRequest: (record) => records.push(record) })
  const send = (text: string, { path = '/v1/messages', stream = true } = {}) => {
    const request = http.request({ socketPath, path, method: 'POST' })
    request.end(JSON.stringify({ model: 'claude-x', max_tokens: 100, stream, messages: [{ role: 'user', content: text }] }))
    return request
  }
  const ask = async (...args: Parameters<typeof send>) => {
    const [response] = (await once(send(...args), 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of response) text += chunk
    return { status: response.statusCode, headers: response.headers, text }
  }
  return { model, begun, settled, records, send, ask }
}

for (const stream of [true, false]) {
  test(`a call is announced with what it may cost, and settled with what it did, ${stream ? 'streamed' : 'whole'}`, async (t) => {
    const { ask, begun, settled } = await paidRun(t)
    const { text } = await ask('!echo hello', { stream })
    assert.ok(text.includes('hello'))
    assert.deepEqual(
      begun.map(({ model, maxTokens, inputTokens }) => [model, maxTokens, inputTokens > 20]),
      [['claude-x', 100, true]],
    )
    await until(() => settled.length === 1, 'the call is settled')
    const reported = [...text.matchAll(/"(input|output)_tokens":(\d+)/g)].map(([, kind, count]) => [kind, Number(count)])
    const { input, output } = settled[0]?.tokens ?? assert.fail()
    assert.deepEqual(
      [input, output],
      [reported.find(([kind]) => kind === 'input')?.[1], reported.findLast(([kind]) => kind === 'output')?.[1]],
    )
  })
}

test('without a budget left nothing goes up, and the client does not try again', async (t) => {
  const { ask, model, records } = await paidRun(t, { over: { type: 'over', why: 'All is spent.', retryAt: 77 } })
  const { status, headers, text } = await ask('!echo hello')
  assert.deepEqual([status, headers['x-should-retry']], [429, 'false'])
  assert.equal(JSON.parse(text).error.message, 'NanoClaw budget: All is spent.')
  assert.deepEqual(records[0]?.outcome, { type: 'over-budget', status: 429, why: 'All is spent.', retryAt: 77 })
  assert.equal(model.requests.length, 0)
})

test('who leaves in the middle of an answer pays for what had come', async (t) => {
  const { send, settled } = await paidRun(t)
  const request = send('!slow 10 60000')
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  await once(response, 'data')
  request.destroy()
  await until(() => settled.length === 1, 'the call is settled')
  assert.ok((settled[0]?.tokens.input ?? 0) > 0)
})

/** An upstream that does what the test says, and its address. */
async function upstreamOf(t: TestContext, handler: http.RequestListener) {
  const server = http.createServer(handler)
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  return { server, upstream: `http://127.0.0.1:${typeof address === 'object' && address?.port}` }
}

for (const [stream, output] of [
  [true, 0],
  [false, 100],
] as const)
  test(`who leaves before an answer (${stream ? 'streamed' : 'whole'}) pays for what may have been written by then`, async (t) => {
    const { server, upstream } = await upstreamOf(t, (request) => request.resume())
    const asked = once(server, 'request')
    const { send, settled, begun } = await paidRun(t, { upstream })
    const request = send('hello', { stream })
    request.on('error', () => {})
    await asked
    request.destroy()
    await until(() => settled.length === 1, 'the call is settled')
    assert.deepEqual([settled[0]?.tokens.input, settled[0]?.tokens.output], [begun[0]?.inputTokens, output])
  })

test('who leaves in the middle of an answer that is not streamed pays for what was asked for', async (t) => {
  const { upstream } = await upstreamOf(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).write('{"content":[')
  })
  const { send, settled } = await paidRun(t, { upstream })
  const request = send('hello', { stream: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  await once(response, 'data')
  request.destroy()
  await until(() => settled.length === 1, 'the call is settled')
  assert.equal(settled[0]?.tokens.output, 100)
})

test('an address that leads elsewhere is free', async (t) => {
  const { upstream } = await upstreamOf(t, (_, response) => response.writeHead(307, { location: 'http://a.example' }).end())
  const { ask, settled } = await paidRun(t, { upstream })
  assert.equal((await ask('hello', { stream: false })).status, 502)
  assert.deepEqual(settled[0]?.tokens, NO_TOKENS)
})

test('what the API refuses, or never gets, is free', async (t) => {
  const { ask, settled } = await paidRun(t)
  await ask('!error 529')
  const nobody = await paidRun(t, { upstream: 'http://127.0.0.1:9' })
  assert.equal((await nobody.ask('hello')).status, 502)
  for (const { tokens } of [...settled, ...nobody.settled]) assert.ok(Object.values(tokens).every((count) => count === 0))
  assert.deepEqual([settled.length, nobody.settled.length], [1, 1])
})

test('counting tokens is not paid for', async (t) => {
  const { ask, begun } = await paidRun(t)
  assert.equal((await ask('hello', { path: '/v1/messages/count_tokens?beta=true' })).status, 200)
  assert.equal(begun.length, 0)
})
