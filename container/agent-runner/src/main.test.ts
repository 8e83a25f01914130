import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'

const UUID = '00000000-0000-4000-8000-000000000001'
const LEAST = { groupFolder: 'main', chatJid: 'local:main' }

function home(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-runner-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Runs the runner outside of its container, where neither `claude` nor a workspace is, with these lines on its stdin. */
async function runner(lines: readonly (object | string)[], env: Record<string, string>) {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'main.ts')], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => {}) // it may end before it has read everything
  child.stdin.end(lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  const frames = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  return { code, frames, stderr }
}

test('an input that cannot be used is told with all that is wrong with it, and exit code 2', async (t) => {
  const HOME = home(t)
  const unusable = { status: 'error', result: null, errorClass: 'invalid-request', consumed: [] }
  const [{ code, frames }, ...others] = await Promise.all([
    runner([{ groupFolder: 1, earlier: ['x'] }], { HOME }),
    runner([], { HOME }),
    runner(['{'], { HOME }),
  ])
  assert.equal(code, 2)
  const error = frames[0]?.error
  assert.deepEqual(frames, [{ type: 'result', ...unusable, error }])
  assert.match(error, /^The input is not usable: earlier\.0: .*; groupFolder: .*; chatJid: /)
  for (const other of others) {
    assert.equal(other.code, 2)
    assert.match(other.frames[0]?.error, /^The input is not usable: input: /)
  }
})

test('a folder that was exchanged since the host checked it ends the run before anything of it begins', async (t) => {
  const HOME = home(t)
  const target = path.join(HOME, 'app')
  mkdirSync(target)
  const mounts = [{ target, ino: '1' }]
  const { code, frames, stderr } = await runner([{ ...LEAST, uuid: UUID, prompt: 'hi', mounts }], { HOME })
  assert.deepEqual([code, frames.length, frames[0]?.errorClass, frames[0]?.consumed], [1, 1, 'setup', []])
  assert.match(frames[0]?.error, /app is not the folder that was checked/)
  assert.doesNotMatch(stderr, /claude/)
})

test('a folder for sessions that cannot be written ends the run before claude is started', async (t) => {
  const HOME = path.join(home(t), 'file')
  writeFileSync(HOME, '')
  const { code, frames, stderr } = await runner([{ ...LEAST, uuid: UUID, prompt: 'hi' }], { HOME })
  assert.deepEqual([code, frames.length, frames[0]?.errorClass], [1, 1, 'crash'])
  assert.match(frames[0]?.error, /^The session folder .*\.claude cannot be written/)
  assert.doesNotMatch(stderr, /claude did not start/)
})

test('a run whose claude does not start fails with its reason, and exit code 1', async (t) => {
  const HOME = home(t)
  const { ino } = statSync(HOME, { bigint: true })
  const input = { ...LEAST, uuid: UUID, prompt: 'hi', mounts: [{ target: HOME, ino: String(ino) }] }
  const { code, frames, stderr } = await runner([input, { type: 'followup', uuid: UUID, prompt: 'x' }], { HOME })
  assert.equal(code, 1)
  const results = frames.filter(({ type }) => type === 'result')
  assert.deepEqual([results.length, results[0]?.status, results[0]?.errorClass], [1, 'error', 'crash'])
  assert.match(stderr, /^runner: claude did not start: /m)
})

test('a manual run prints its result alone', async (t) => {
  const { code, frames } = await runner([{ ...LEAST, prompt: 'hi' }], { HOME: home(t) })
  assert.equal(code, 1)
  assert.deepEqual(
    frames.map(({ type }) => type),
    ['result'],
  )
})

test('a session whose transcript is over its limit is not resumed, and one at its limit is', async (t) => {
  const HOME = home(t)
  const folder = path.join(HOME, '.claude', 'projects', '-workspace-group')
  mkdirSync(folder, { recursive: true })
  writeFileSync(path.join(folder, 'mine.jsonl'), 'x'.repeat(100))
  const run = (maxTranscriptBytes: number) => runner([{ ...LEAST, sessionId: 'mine', maxTranscriptBytes }], { HOME })
  const over = /^runner: the transcript of session mine is over its limit, a fresh session starts\. It is archived in /m
  const [larger, equal] = await Promise.all([run(99), run(100)])
  assert.match(larger.stderr, over)
  assert.doesNotMatch(equal.stderr, over)
})

test('the caches of the image are warmed without an input', async (t) => {
  assert.deepEqual(await runner([], { HOME: home(t), NANOCLAW_WARM_CACHE: '1' }), { code: 0, frames: [], stderr: '' })
})
