import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { type EventEmitter, once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Options } from '@anthropic-ai/claude-agent-sdk'
import { until } from '../../../test/fakes/patience.ts'
import { hasEnded } from '../../../test/fakes/processes.ts'
import { claudeArguments, SDK_VARIABLES, spawnClaudeEarly } from './claude-process.ts'
import { HostRequests } from './host-requests.ts'
import { hostServer } from './host-server.ts'
import { type ClaudeOptions, claudeOptions } from './options.ts'
import * as sdk from './sdk.ts'

const input = {
  groupFolder: 'main',
  chatJid: 'local:main',
  isMain: true,
  isScheduledTask: false,
  assistantName: 'Andy',
  earlier: [],
  maxTranscriptBytes: 1,
  mounts: [],
  replyTimeoutMs: 1_000,
}

/** What the real SDK would start for these options. */
async function askedBySdk(
  options: ClaudeOptions,
): Promise<{ command: string; args: string[]; env: Record<string, string | undefined> }> {
  const asked = Promise.withResolvers<Parameters<NonNullable<Options['spawnClaudeCodeProcess']>>[0]>()
  const stop = new AbortController()
  const spawnClaudeCodeProcess: NonNullable<Options['spawnClaudeCodeProcess']> = (wanted) => {
    asked.resolve(wanted)
    return spawn('sleep', ['60'], { stdio: ['pipe', 'pipe', 'ignore'], signal: stop.signal }).on('error', () => {}) as never
  }
  const started = sdk.startup({ options: { ...options, cwd: process.cwd(), spawnClaudeCodeProcess } })
  const { command, args, env } = await asked.promise
  stop.abort()
  await assert.rejects(started)
  return { command, args, env }
}

test('claude is started early with exactly what the SDK will ask for, new and resumed, with every option', async () => {
  const variants = [
    input,
    { ...input, sessionId: '5f80022b-f946-4fb2-888a-fc71298e42d6' },
    {
      ...input,
      mcpServers: {
        files: { command: 'mcp-files', env: { TOKEN: 'secret' } },
        web: { type: 'http' as const, url: 'https://x.test' },
      },
    },
    { ...input, model: 'claude-sonnet-5', effort: 'low' as const, systemPrompt: 'Be brief.' },
  ]
  for (const variant of variants) {
    const options = claudeOptions({ input: variant, env: { PATH: '/bin', HOME: '/home/node' }, emit: () => {} })
    const withFolder = { ...options, additionalDirectories: ['/workspace/extra/a', '/workspace/extra/b'] }
    const nanoclaw = hostServer({ sdk, input: variant, requests: new HostRequests() })
    const asked = await askedBySdk({ ...withFolder, mcpServers: { ...withFolder.mcpServers, nanoclaw } })
    assert.deepEqual(asked.args, claudeArguments(withFolder))
    assert.deepEqual(asked.env, { ...options.env, ...SDK_VARIABLES })
    assert.equal(asked.command, options.pathToClaudeCodeExecutable)
  }
})

/** A program in the place of `claude` that writes down how it was called, and runs until it is ended. */
function program(t: TestContext, options: Partial<ClaudeOptions> = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-claude-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'claude')
  writeFileSync(file, '#!/bin/sh\necho "$$ $*" >> "$CALLS"\npwd >> "$CALLS"\nexec cat\n')
  chmodSync(file, 0o755)
  const env = { PATH: process.env.PATH ?? '', CALLS: path.join(folder, 'calls') }
  const made = {
    ...claudeOptions({ input, env, emit: () => {} }),
    cwd: realpathSync(folder),
    pathToClaudeCodeExecutable: file,
    ...options,
  }
  const calls = () => (existsSync(env.CALLS) ? readFileSync(env.CALLS, 'utf8').trimEnd().split('\n') : [])
  const wanted = (over: object = {}) => {
    const wish = { command: file, args: claudeArguments(made), cwd: made.cwd, env: { ...env, ...SDK_VARIABLES } }
    const leave = new AbortController()
    t.after(() => leave.abort())
    return { ...wish, signal: leave.signal, ...over }
  }
  return { options: made, calls, wanted }
}

/** What is complained about on stderr while the test runs. */
function complaintsOf(t: TestContext): string[] {
  const complaints: string[] = []
  t.mock.method(console, 'error', (text: string) => complaints.push(text))
  return complaints
}

test('claude runs before the SDK asks for it, and is handed over as it is', async (t) => {
  const { options, calls, wanted } = program(t)
  const complaints = complaintsOf(t)
  const early = spawnClaudeEarly(options)
  await until(() => calls().length === 2, 'claude runs')
  const claude = early.handOver(wanted())
  claude.stdin.write('hello\n')
  const [answer] = await once(claude.stdout, 'data')
  assert.equal(String(answer), 'hello\n')
  assert.deepEqual([calls()[0]?.replace(/^\d+ /, ''), calls()[1]], [claudeArguments(options).join(' '), options.cwd])
  assert.deepEqual([calls().length, complaints], [2, []])
  const ended = once(claude as unknown as EventEmitter, 'exit')
  claude.stdin.end()
  assert.equal((await ended)[0], 0)
})

for (const [what, over] of [
  ['other arguments', { args: ['--print'] }],
  ['another environment', { env: { PATH: process.env.PATH, CALLS: '/dev/null' } }],
] as const)
  test(`claude is started again for ${what} than expected, and the first one is ended`, async (t) => {
    const { options, calls, wanted } = program(t)
    const complaints = complaintsOf(t)
    const early = spawnClaudeEarly(options)
    await until(() => calls().length === 2, 'claude runs')
    const first = Number(calls()[0]?.split(' ')[0])
    const wish = wanted(over)
    const claude = early.handOver(wish)
    claude.stdin.write('hello\n')
    assert.equal(String((await once(claude.stdout, 'data'))[0]), 'hello\n')
    await until(() => hasEnded(first), 'the first one is ended')
    assert.deepEqual(complaints, [`runner: claude was started again, the SDK asked for ${JSON.stringify(wish.args)}`])
    claude.kill('SIGKILL')
  })

test('claude is handed over once, and started for whoever asks again', async (t) => {
  const { options, calls, wanted } = program(t)
  complaintsOf(t)
  const early = spawnClaudeEarly(options)
  const [first, second] = [early.handOver(wanted()), early.handOver(wanted())]
  await until(() => calls().length === 4, 'two of them run')
  for (const claude of [first, second]) claude.kill('SIGKILL')
})

test('claude is ended when the SDK gives it up', async (t) => {
  const { options, calls, wanted } = program(t)
  const leave = new AbortController()
  const claude = spawnClaudeEarly(options).handOver(wanted({ signal: leave.signal }))
  await until(() => calls().length === 2, 'claude runs')
  const ended = once(claude as unknown as EventEmitter, 'exit')
  leave.abort()
  assert.deepEqual(await ended, [null, 'SIGTERM'])
})

test('a claude that cannot be started is told on stderr, and ends', async (t) => {
  const { options, wanted } = program(t, { cwd: '/nowhere' })
  const complaints = complaintsOf(t)
  spawnClaudeEarly(options).handOver(wanted({ cwd: '/nowhere' }))
  await until(() => complaints.length > 0, 'it is told')
  assert.match(complaints[0] ?? '', /^runner: claude did not start: spawn .* ENOENT/)
})

test('the command line names model, effort, session and folders only where there are any', () => {
  const options = claudeOptions({ input, env: {}, emit: () => {} })
  const bare = claudeArguments({ ...options, additionalDirectories: [] })
  for (const start of ['--effort', '--model', '--resume', '--add-dir', '--await-initialize'])
    assert.ok(!bare.some((argument) => argument.startsWith(start)), start)
  const more = {
    effort: 'low',
    model: 'm',
    resume: 's',
    additionalDirectories: ['/a'],
    mcpServersDelivery: 'initialize',
  } as const
  const full = claudeArguments({ ...options, ...more, additionalDirectories: ['/a'] })
  for (const argument of ['--effort=low', '--model=m', '--resume=s', '--add-dir=/a', '--await-initialize'])
    assert.ok(full.includes(argument), argument)
})
