import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { query, type SDKMessage, type SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import { startForwarder } from '../../container/agent-runner/src/environment.ts'
import { startDemoModel } from '../../src/demo/server.ts'
import { HostCredentials, placeholderEnv } from '../../src/gateway/credentials.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import type { RequestRecord } from '../../src/gateway/gateway-run.ts'
import { BOTTOMLESS } from '../../src/gateway/purse.ts'

const KEY = 'sk-ant-api03-real-as-far-as-the-model-knows'

/** The real SDK -> the runner's forwarder -> a gateway socket -> the scripted model. */
async function setUp(t: TestContext, credentials = new HostCredentials({ apiKey: KEY })) {
  const folder = mkdtempSync(join(tmpdir(), 'sdk-'))
  const model = await startDemoModel()
  const log = { debug: () => {}, warn: () => {} }
  const gateway = new Gateway({ upstream: new URL(model.url), credentials, log })
  const socketPath = join(folder, 'gateway.sock')
  const records: RequestRecord[] = []
  await gateway.open({ runId: 'a1', socketPath, purse: BOTTOMLESS, onRequest: (record) => records.push(record) })
  const forwarder = await startForwarder(socketPath, 0)
  t.after(async () => {
    forwarder.close()
    await gateway.close()
    await model.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  const { port } = forwarder.address() as AddressInfo
  return { model, records, ask: (prompt: string) => ask({ prompt, folder, port }) }
}

/** Everything the SDK says about one prompt; `thrown` is what its iterator ended with. */
async function ask({ prompt, folder, port }: { prompt: string; folder: string; port: number }) {
  const [home, cwd] = [join(folder, 'home'), join(folder, 'group')]
  for (const path of [home, cwd]) mkdirSync(path, { recursive: true })
  const [name = '', value = ''] = placeholderEnv('api-key').trim().split('=')
  const messages: SDKMessage[] = []
  const run = query({
    prompt: once(prompt),
    options: {
      cwd,
      env: { PATH: process.env.PATH, HOME: home, [name]: value, ...claudeSettings(port) },
      settingSources: ['project', 'user'],
      systemPrompt: { type: 'preset', preset: 'claude_code' },
      permissionMode: 'bypassPermissions',
      allowDangerouslySkipPermissions: true,
    },
  })
  const thrown = await collect(run, messages)
  const result = messages.find((message) => message.type === 'result')
  assert.ok(result, `no result: ${thrown}`)
  return { messages, result, thrown }
}

function claudeSettings(port: number): Record<string, string> {
  return {
    ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}`,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_MAX_RETRIES: '2',
    // Lets claude run without permission prompts where the tests run as root.
    IS_SANDBOX: '1',
  }
}

async function* once(prompt: string) {
  yield { type: 'user' as const, message: { role: 'user' as const, content: prompt }, parent_tool_use_id: null }
}

async function collect(run: AsyncIterable<SDKMessage>, messages: SDKMessage[]): Promise<unknown> {
  try {
    for await (const message of run) messages.push(message)
    return undefined
  } catch (error) {
    return error
  }
}

/** What the runner has to tell failures apart by. */
function failureOf(result: SDKResultMessage): unknown {
  assert.equal(result.subtype, 'success')
  return { is_error: result.is_error, api_error_status: result.api_error_status, terminal_reason: result.terminal_reason }
}

// Most of the time goes by in the waits between Claude Code's retries.
suite('the real SDK', { concurrency: 4 }, () => {
  test('a plain answer comes back through the gateway, and only the model sees the key', async (t) => {
    const { model, records, ask } = await setUp(t)
    const { result, messages, thrown } = await ask('!echo Hello from the model')
    assert.equal(thrown, undefined)
    assert.equal(result.subtype === 'success' && result.result, 'Hello from the model')
    assert.equal(result.is_error, false)
    assert.equal(model.requests[0]?.headers['x-api-key'], KEY)
    assert.equal(records[0]?.outcome.type, 'answered')
    assert.doesNotMatch(JSON.stringify(messages), new RegExp(KEY))
  })

  test('a tool runs, its environment has the placeholder, and its output reaches the model', async (t) => {
    const { model, ask } = await setUp(t)
    const { result, messages } = await ask('!tool Bash {"command":"echo tool ran; env | grep ANTHROPIC"}')
    const text = result.subtype === 'success' ? result.result : ''
    assert.match(text, /^RESULT:tool ran\n/)
    assert.match(text, /ANTHROPIC_API_KEY=sk-ant-api03-placeholder/)
    assert.doesNotMatch(JSON.stringify(messages), new RegExp(KEY))
    assert.equal(model.requests.length, 2)
  })

  test('a missing login is reported at once, with what to do', async (t) => {
    const { model, records, ask } = await setUp(t, new HostCredentials({ loginFile: '/nonexistent/credentials.json' }))
    const { result, thrown } = await ask('hello')
    assert.deepEqual(failureOf(result), { is_error: true, api_error_status: 401, terminal_reason: 'api_error' })
    assert.match(result.subtype === 'success' ? result.result : '', /Invalid API key · .*ANTHROPIC_API_KEY=.*\.env/)
    assert.ok(thrown instanceof Error)
    assert.equal(records.length, 1)
    assert.equal(model.requests.length, 0)
  })

  test('a key that the API does not accept is a 401', async (t) => {
    const { ask } = await setUp(t)
    const { result } = await ask('!error 401')
    assert.deepEqual(failureOf(result), { is_error: true, api_error_status: 401, terminal_reason: 'api_error' })
  })

  test('an overloaded API is tried again, twice', async (t) => {
    const { model, ask } = await setUp(t)
    const { result } = await ask('!error 529')
    assert.deepEqual(failureOf(result), { is_error: true, api_error_status: 529, terminal_reason: 'api_error' })
    assert.equal(model.requests.length, 3)
  })

  test('an API that recovers answers', async (t) => {
    const { ask } = await setUp(t)
    const { result, thrown } = await ask('!error 529 x1')
    assert.equal(result.subtype === 'success' && result.result, 'recovered')
    assert.equal(thrown, undefined)
  })

  test('a connection that drops before the answer is a 502', async (t) => {
    const { records, ask } = await setUp(t)
    const { result } = await ask('!drop')
    assert.deepEqual(failureOf(result), { is_error: true, api_error_status: 502, terminal_reason: 'api_error' })
    assert.match(result.subtype === 'success' ? result.result : '', /NanoClaw could not reach the model API/)
    assert.deepEqual(
      records.map(({ outcome }) => outcome.type),
      ['unreachable', 'unreachable', 'unreachable'],
    )
  })

  test('an answer that breaks off is never taken for a whole one', async (t) => {
    const { records, ask } = await setUp(t)
    const { result } = await ask('!midstream cut')
    assert.equal(result.is_error, true)
    assert.equal(records[0]?.outcome.type, 'broken')
  })
})
