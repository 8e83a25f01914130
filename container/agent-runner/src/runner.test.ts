import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { lines, MAX_FRAME_BYTES, runnerFrame } from '@nanoclaw/protocol'
import { claudeEnvironment, readEnvDir } from './environment.ts'
import { emitter, withLoginAdvice } from './frames.ts'
import { classifyFailure, resultFrame, withoutAdvice } from './result.ts'

test('a frame never exceeds the limit: a longer answer is cut and says so', () => {
  const written: string[] = []
  const emit = emitter({ write: (line) => written.push(line), onlyResults: false })
  emit({ type: 'result', status: 'success', result: '\u0001'.repeat(MAX_FRAME_BYTES), consumed: [] })
  const line = written[0] ?? ''
  assert.ok(Buffer.byteLength(line) <= MAX_FRAME_BYTES)
  const frame = runnerFrame.parse(JSON.parse(line))
  assert.ok(frame.type === 'result' && frame.result?.endsWith('longer than one message can be.]'))
})

test('a frame of exactly the limit is not cut, and a frame with one more byte is', () => {
  const lineOf = (result: string) => {
    const written: string[] = []
    emitter({ write: (line) => written.push(line), onlyResults: false })({
      type: 'result',
      status: 'success',
      result,
      consumed: [],
    })
    return written.join('')
  }
  const room = MAX_FRAME_BYTES - lineOf('').length
  const full = lineOf('x'.repeat(room))
  assert.equal(Buffer.byteLength(full), MAX_FRAME_BYTES)
  assert.equal(JSON.parse(full).result.length, room)
  const cut = JSON.parse(lineOf('x'.repeat(room + 1))).result
  const note = '\n\n[The rest was cut: the answer was longer than one message can be.]'
  assert.equal(cut, 'x'.repeat(Math.floor((room + 1) / 2)) + note)
  assert.equal(JSON.parse(lineOf('x'.repeat(5 * room))).result.match(/The rest was cut/g)?.length, 1)
})

test('a frame without an answer that exceeds the limit is a mistake', () => {
  const emit = emitter({ write: () => {}, onlyResults: false })
  const long = 'x'.repeat(MAX_FRAME_BYTES)
  assert.throws(() => emit({ type: 'activity', kind: 'text', detail: long }), /a activity frame exceeds 1048576 bytes/)
  const failed = { type: 'result', status: 'error', result: null, error: long, consumed: [] } as const
  assert.throws(() => emit({ ...failed, consumed: [] }), /a result frame exceeds/)
})

test('a login that fails without a gateway is told with where to put one, and nothing else is changed', () => {
  const told: object[] = []
  const emit = withLoginAdvice((frame) => told.push(frame))
  const failed = { type: 'result', status: 'error', result: null, consumed: [] } as const
  emit({ ...failed, consumed: [], error: 'Invalid API key', errorClass: 'login' })
  emit({ ...failed, consumed: [], error: 'busy', errorClass: 'overload' })
  emit({ type: 'ready' })
  assert.match(
    (told[0] as { error: string }).error,
    /^Invalid API key\. Invalid API key or none: put ANTHROPIC_API_KEY=.* into data\/env\/env\.$/,
  )
  assert.deepEqual(told.slice(1), [{ ...failed, consumed: [], error: 'busy', errorClass: 'overload' }, { type: 'ready' }])
})

test('a manual run prints its result alone', () => {
  const written: string[] = []
  const emit = emitter({ write: (line) => written.push(line), onlyResults: true })
  emit({ type: 'ready' })
  emit({ type: 'session', sessionId: 's' })
  emit({ type: 'result', status: 'success', result: '4', consumed: [] })
  assert.equal(written.length, 1)
})

test('the login file gives its login and nothing else of an .env that was copied there', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-env-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'env')
  writeFileSync(
    file,
    '# mine\nexport ANTHROPIC_API_KEY="sk-ant-1"\nTELEGRAM_TOKEN=t\nCLAUDE_CODE_OAUTH_TOKEN = sk-ant-oat01-2 \nLD_PRELOAD=/x.so\n',
  )
  assert.deepEqual(readEnvDir(file), { ANTHROPIC_API_KEY: 'sk-ant-1', CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-2' })
  assert.deepEqual(readEnvDir(path.join(folder, 'missing')), {})
})

test('what would load code into claude or its tools is not inherited', () => {
  const inherited = {
    PATH: '/bin',
    BUN_OPTIONS: '--preload x',
    NODE_OPTIONS: '-r x',
    LD_PRELOAD: 'x',
    NODE_COMPILE_CACHE: 'x',
    NANOCLAW_X: 'x',
  }
  const env = claudeEnvironment({ inherited, login: { ANTHROPIC_API_KEY: 'k' }, gateway: true })
  assert.deepEqual(Object.keys(env).sort(), [
    'ANTHROPIC_API_KEY',
    'ANTHROPIC_BASE_URL',
    'BASH_MAX_TIMEOUT_MS',
    'CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD',
    'CLAUDE_CODE_DISABLE_BACKGROUND_TASKS',
    'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC',
    'CLAUDE_CODE_MAX_RETRIES',
    'PATH',
  ])
  assert.equal(env.ANTHROPIC_BASE_URL, 'http://127.0.0.1:4180')
})

test('failures are classified by status first, then by the words of Claude Code', () => {
  const table: [number | undefined, string, string][] = [
    [401, 'Failed to authenticate. API Error: 401', 'login'],
    [402, 'API Error: 402 billing', 'billing'],
    [400, 'API Error: 400 Your credit balance is too low to access the Anthropic API.', 'billing'],
    [undefined, 'Invalid API key · Please run /login', 'login'],
    [429, 'API Error: Request rejected (429)', 'rate-limit'],
    [529, 'API Error: 529', 'overload'],
    [500, 'x', 'overload'],
    [400, 'prompt is too long: 300000 tokens', 'too-large'],
    [413, 'x', 'too-large'],
    [400, 'API Error: 400 bad', 'invalid-request'],
    [undefined, 'API Error: Connection error.', 'overload'],
    [undefined, 'No conversation found with session ID: 1', 'session-lost'],
    [undefined, 'Claude Code process exited with code 1', 'crash'],
    [401, 'x', 'login'],
    [403, 'x', 'login'],
    [402, 'x', 'billing'],
    [404, 'x', 'invalid-request'],
    [429, 'x', 'rate-limit'],
    [499, 'x', 'crash'],
    [599, 'x', 'overload'],
    [undefined, 'OAuth token has expired', 'login'],
    [undefined, 'OAuth token expired', 'login'],
    [undefined, 'OAuth token has been revoked', 'login'],
    [undefined, 'Your credit balance is too low', 'billing'],
    [undefined, 'Request too large', 'too-large'],
    [429, 'API Error: 429 NanoClaw budget: All is spent.', 'budget'],
    [undefined, 'Claude usage limit reached', 'rate-limit'],
    [undefined, 'this would exceed your rate limit', 'rate-limit'],
    [undefined, 'overloaded_error', 'overload'],
    [undefined, 'Request timed out', 'overload'],
    [undefined, 'Connection timeout', 'overload'],
    [undefined, 'socket hang up', 'overload'],
    [undefined, 'network unreachable', 'overload'],
    [undefined, 'fetch failed', 'overload'],
    [undefined, 'API Error: odd', 'overload'],
    [500, 'No conversation found', 'session-lost'],
    [undefined, '', 'crash'],
  ]
  for (const [status, text, expected] of table) assert.equal(classifyFailure({ status, text }), expected, text)
})

test("Claude Code's advice about a gateway that the person does not have is left out", () => {
  assert.equal(
    withoutAdvice(
      'API Error: 529 busy. This is a server-side issue, usually temporary. If it persists, check your inference gateway (127.0.0.1:4180).',
    ),
    'API Error: 529 busy. This is a server-side issue, usually temporary.',
  )
  assert.equal(
    withoutAdvice('API Error: Connection dropped (ECONNRESET). Check the gateway set in ANTHROPIC_BASE_URL, then try again.'),
    'API Error: Connection dropped (ECONNRESET).',
  )
})

test('an answer is what the agent said, also when it is about settings of ours', () => {
  const result = '1. Open .env\n2. Add the line ANTHROPIC_BASE_URL=http://127.0.0.1:8080.\n3. Restart. Done.'
  const usage = { input_tokens: 1, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }
  const message = { type: 'result', subtype: 'success', is_error: false, result, usage, total_cost_usd: 0, session_id: 's' }
  const frame = resultFrame(message as unknown as Parameters<typeof resultFrame>[0], {
    lastText: '',
    consumed: [],
    interrupted: false,
  })
  assert.equal(frame.result, result)
})

/** A result of the SDK, with these fields. */
function sdkResult(over: object): Parameters<typeof resultFrame>[0] {
  const usage = { input_tokens: 1, output_tokens: 20, cache_creation_input_tokens: 300, cache_read_input_tokens: 4_000 }
  const success = {
    type: 'result',
    subtype: 'success',
    is_error: false,
    result: 'words',
    usage,
    total_cost_usd: 0.25,
    session_id: 's',
  }
  return { ...success, ...over } as unknown as Parameters<typeof resultFrame>[0]
}

const COMMON = {
  type: 'result',
  newSessionId: 's',
  consumed: ['u'],
  usage: { inputTokens: 4_301, outputTokens: 20, costUsd: 0.25 },
}
const frameOf = (over: object, turn: Partial<Parameters<typeof resultFrame>[1]> = {}) =>
  resultFrame(sdkResult(over), { lastText: '', consumed: ['u'], interrupted: false, ...turn })

test('a success is its own text, else the last words of the assistant, else nothing', () => {
  assert.deepEqual(frameOf({}, { lastText: 'before' }), { ...COMMON, status: 'success', result: 'words' })
  assert.deepEqual(frameOf({ result: '' }, { lastText: 'before' }), { ...COMMON, status: 'success', result: 'before' })
  assert.deepEqual(frameOf({ result: '' }), { ...COMMON, status: 'success', result: null })
})

test('an interrupted turn has what was said before it, whatever the SDK says', () => {
  const stopped = { ...COMMON, status: 'error', error: 'The turn was interrupted.', errorClass: 'interrupted' }
  assert.deepEqual(frameOf({}, { interrupted: true, lastText: 'before' }), { ...stopped, result: 'before' })
  const aborted = { is_error: true, subtype: 'error_during_execution', errors: ['x'] }
  assert.deepEqual(frameOf(aborted, { interrupted: true }), { ...stopped, result: null })
})

test('a failure has its class and its words, and no answer', () => {
  const failed = { ...COMMON, status: 'error', result: null }
  assert.deepEqual(frameOf({ is_error: true, result: 'API Error: odd', api_error_status: 402 }, { lastText: 'before' }), {
    ...failed,
    ...{ error: 'API Error: odd', errorClass: 'billing' },
  })
  assert.deepEqual(frameOf({ is_error: true, subtype: 'error_max_turns', errors: ['one', 'two'], api_error_status: 402 }), {
    ...failed,
    ...{ error: 'one; two', errorClass: 'crash' },
  })
  assert.deepEqual(frameOf({ is_error: false, subtype: 'error_max_turns', errors: [] }), {
    ...failed,
    ...{ error: 'The agent ended with error_max_turns.', errorClass: 'crash' },
  })
  assert.deepEqual(frameOf({ is_error: true, result: '', api_error_status: null }), {
    ...failed,
    ...{ error: 'The agent ended with success.', errorClass: 'crash' },
  })
})

test('lines are split across chunks, over-long ones dropped with their size, and the last needs no newline', async () => {
  async function* chunks() {
    for (const text of ['a', 'b\ncd', '\n', 'x'.repeat(50), 'y\nz\n\nend']) yield Buffer.from(text)
  }
  const seen = []
  for await (const line of lines(chunks(), 10)) seen.push(line.type === 'line' ? line.text : line.bytes)
  assert.deepEqual(seen, ['ab', 'cd', 51, 'z', '', 'end'])
})
