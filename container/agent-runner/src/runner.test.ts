import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { lines, MAX_FRAME_BYTES, runnerFrame } from '@nanoclaw/protocol'
import { claudeEnvironment, readEnvDir } from './environment.ts'
import { emitter } from './frames.ts'
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

test('lines are split across chunks, over-long ones dropped with their size, and the last needs no newline', async () => {
  async function* chunks() {
    for (const text of ['a', 'b\ncd', '\n', 'x'.repeat(50), 'y\nz\n\nend']) yield Buffer.from(text)
  }
  const seen = []
  for await (const line of lines(chunks(), 10)) seen.push(line.type === 'line' ? line.text : line.bytes)
  assert.deepEqual(seen, ['ab', 'cd', 51, 'z', '', 'end'])
})
