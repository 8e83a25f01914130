import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { PROJECT } from '../../src/config.ts'
import { type DemoModel, startDemoModel } from '../../src/demo/server.ts'
import { HostCredentials, placeholderEnv } from '../../src/gateway/credentials.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { BOTTOMLESS } from '../../src/gateway/purse.ts'

const IMAGE = process.env.CONTAINER_IMAGE ?? 'nanoclaw-agent:latest'

/** Folders as the guides' manual runs mount them, and a gateway to the scripted model. */
async function bench(t: { after(fn: () => unknown): void }) {
  const root = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-runner-'))
  const model = await startDemoModel({})
  const gateway = new Gateway({
    upstream: new URL(model.url),
    credentials: new HostCredentials({ apiKey: 'sk-ant-api03-real-one' }),
    log: { debug() {}, warn() {} },
  })
  t.after(async () => {
    await gateway.close()
    await model.close()
    rmSync(root, { recursive: true, force: true })
  })
  for (const folder of ['run', 'env', 'group', 'ipc', 'claude', 'global', 'attachments', 'extra/notes'])
    makeForNode(path.join(root, folder))
  writeFileSync(path.join(root, 'env/env'), placeholderEnv('api-key'))
  await gateway.open({ runId: 'test', socketPath: path.join(root, 'run/gateway.sock'), purse: BOTTOMLESS })
  return { root, model, run: (lines: object[]) => run(root, lines) }
}

function makeForNode(folder: string): void {
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o755)
  if (process.getuid?.() === 0) chownSync(folder, 1000, 1000)
}

/** `docker run -i` with these lines on stdin, which ends after them. */
function run(root: string, lines: object[]): Promise<{ code: number | null; frames: Record<string, unknown>[]; stderr: string }> {
  const mounts = [
    'run:/run/nanoclaw:ro',
    'env:/workspace/env-dir:ro',
    'group:/workspace/group',
    'ipc:/workspace/ipc',
    'claude:/home/node/.claude',
  ]
  const shared = ['global', 'attachments', 'extra/notes'].map((folder) => `${folder}:/workspace/${folder}:ro`)
  const skills = ['-v', `${PROJECT}/container/skills:/home/node/.claude/skills:ro`]
  const volumes = [...[...mounts, ...shared].flatMap((mount) => ['-v', `${root}/${mount}`]), ...skills]
  const child = spawn('docker', ['run', '--rm', '-i', '--network', 'none', ...volumes, IMAGE], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => (stdout += chunk))
  child.stderr.on('data', (chunk) => (stderr += chunk))
  return new Promise((resolve) => {
    child.on('close', (code) => {
      const frames = stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
      resolve({ code, frames, stderr })
    })
  })
}

const input = { groupFolder: 'test', chatJid: 'test@g.us', isMain: false }
const lastRequest = (model: DemoModel) =>
  JSON.stringify(model.requests.findLast((request) => request.url.startsWith('/v1/messages'))?.body)

test('a manual run prints its result as one line of JSON and exits with 0', async (t) => {
  const { run } = await bench(t)
  const { code, frames } = await run([{ ...input, prompt: '!echo 4' }])
  assert.equal(code, 0)
  assert.equal(frames.length, 1)
  assert.equal(frames[0]?.type, 'result')
  assert.equal(frames[0]?.status, 'success')
  assert.equal(frames[0]?.result, '4')
  assert.equal(typeof frames[0]?.newSessionId, 'string')
})

test('a manual run that fails says why in its one line and exits with 1, or with 2 for an unusable input', async (t) => {
  const { run } = await bench(t)
  const refused = await run([{ ...input, prompt: '!error 401' }])
  assert.equal(refused.code, 1)
  assert.deepEqual([refused.frames.length, refused.frames[0]?.status, refused.frames[0]?.errorClass], [1, 'error', 'login'])
  const unusable = await run([{ prompt: 'hi' }])
  assert.equal(unusable.code, 2)
  assert.match(String(unusable.frames[0]?.error), /groupFolder/)
})

test('claude is handed over to the SDK as it was started early, new and resumed', async (t) => {
  const { run } = await bench(t)
  const first = await run([{ ...input, prompt: '!echo one' }])
  const second = await run([{ ...input, prompt: '!history', sessionId: first.frames[0]?.newSessionId }])
  assert.match(String(second.frames[0]?.result), /!echo one/)
  assert.equal(second.frames[0]?.newSessionId, first.frames[0]?.newSessionId)
  assert.doesNotMatch(first.stderr + second.stderr, /started again/)
})

test('the agent reads the shared memory, its own, that of extra folders, and the skills of the image', async (t) => {
  const { root, model, run } = await bench(t)
  writeFileSync(path.join(root, 'global/CLAUDE.md'), 'shared-memory-marker')
  writeFileSync(path.join(root, 'group/CLAUDE.md'), 'own-memory-marker')
  writeFileSync(path.join(root, 'extra/notes/CLAUDE.md'), 'extra-memory-marker')
  await run([{ ...input, prompt: '!echo x', assistantName: 'Marvin' }])
  const request = lastRequest(model)
  for (const marker of [
    'shared-memory-marker',
    'own-memory-marker',
    'extra-memory-marker',
    'You are Marvin.',
    'headless browser',
  ]) {
    assert.ok(request.includes(marker), marker)
  }
})

const DOT = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

test('the model sees the pictures that a prompt tells of, and learns of one that cannot be read', async (t) => {
  const { root, model, run } = await bench(t)
  for (const message of ['M1', 'M2']) makeForNode(path.join(root, 'attachments', message))
  writeFileSync(path.join(root, 'attachments/M1/image.png'), Buffer.from(DOT, 'base64'))
  writeFileSync(path.join(root, 'attachments/M2/image.png'), Buffer.alloc(5_000, 'no picture'))
  const mark = (message: string) => `[Image: /workspace/attachments/${message}/image.png, image/png, 5 KB]`
  const { frames } = await run([{ ...input, prompt: `!echo seen ${mark('M1')} ${mark('M2')}` }])
  assert.match(String(frames.at(-1)?.result), /^seen/)
  const request = lastRequest(model)
  assert.ok(request.includes(`"data":"${DOT}"`), request.slice(-3_000))
  assert.match(request, /could not be processed/)
})

test('a session folder that cannot be written is told before anything is asked', async (t) => {
  const { root, model, run } = await bench(t)
  chmodSync(path.join(root, 'claude'), 0o555)
  const { code, frames } = await run([{ ...input, prompt: '!echo x' }])
  assert.equal(code, 1)
  assert.match(String(frames[0]?.error), /session folder .* cannot be written/)
  assert.equal(model.requests.length, 0)
})

test('a run by hand without a login says what to put where', async (t) => {
  const { root } = await bench(t)
  rmSync(path.join(root, 'env/env'))
  rmSync(path.join(root, 'run/gateway.sock'))
  const { code, frames } = await run(root, [{ ...input, prompt: 'hi' }])
  assert.equal(code, 1)
  assert.match(String(frames[0]?.error), /Invalid API key.*\.env.*data\/env\/env/)
})

test('a session that is not there is told as lost', async (t) => {
  const { run } = await bench(t)
  const { frames } = await run([{ ...input, prompt: '!echo x', sessionId: '11111111-1111-4111-8111-111111111111' }])
  assert.equal(frames[0]?.errorClass, 'session-lost')
})

test('before a compaction the conversation is archived where the agent finds it', async (t) => {
  const { root, run } = await bench(t)
  const first = await run([{ ...input, prompt: '!echo remember the blue door' }])
  const compact = await run([{ ...input, prompt: '/compact', sessionId: first.frames[0]?.newSessionId }])
  assert.equal(compact.code, 0, JSON.stringify(compact))
  const [archive] = readdirSync(path.join(root, 'group/conversations'))
  assert.match(readFileSync(path.join(root, 'group/conversations', archive ?? ''), 'utf8'), /remember the blue door/)
})

test('a session whose transcript is over its limit is archived, and a fresh one starts that knows where it is', async (t) => {
  const { root, model, run } = await bench(t)
  const first = await run([{ ...input, prompt: '!echo the green gate' }])
  const sessionId = first.frames[0]?.newSessionId
  const second = await run([{ ...input, prompt: '!echo x', sessionId, maxTranscriptBytes: 1_000 }])
  assert.equal(second.frames[0]?.result, 'x')
  assert.notEqual(second.frames[0]?.newSessionId, sessionId)
  const [archive] = readdirSync(path.join(root, 'group/conversations'))
  assert.ok(lastRequest(model).includes(`/workspace/group/conversations/${archive}`))
})

test('a turn whose earlier try was interrupted is continued, and one that was answered is only reported', async (t) => {
  const { model, run } = await bench(t)
  const [one, two, three] = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`)
  const turn = (uuid: string | undefined, prompt: string, earlier: (string | undefined)[] = []) => ({
    type: 'turn',
    uuid,
    prompt,
    chatJid: 'x',
    earlier,
  })
  const first = await run([input, turn(one, '!echo the answer')])
  const sessionId = first.frames.find((frame) => frame.type === 'session')?.sessionId
  const asked = model.requests.length
  const again = await run([{ ...input, sessionId }, turn(two, '!echo the answer', [one])])
  assert.deepEqual(
    again.frames.filter((frame) => frame.type === 'result').map((frame) => [frame.result, frame.consumed]),
    [['the answer', [two]]],
  )
  assert.equal(model.requests.length, asked, 'the model was not asked')
  const fresh = await run([{ ...input, sessionId }, turn(three, '!echo something new', ['00000000-0000-4000-8000-0000000000ff'])])
  assert.equal(fresh.frames.find((frame) => frame.type === 'result')?.result, 'something new')
})

test('frames that make no sense, and lines that are too long, are passed over', async (t) => {
  const { run } = await bench(t)
  const uuid = '00000000-0000-4000-8000-000000000001'
  const { code, frames, stderr } = await run([
    input,
    { type: 'dance' },
    [1],
    { type: 'followup' },
    { type: 'turn', uuid, prompt: '!echo fine', chatJid: 'x' },
  ])
  assert.equal(code, 0)
  assert.equal(frames.find((frame) => frame.type === 'result')?.result, 'fine')
  assert.equal(stderr.match(/was not understood/g)?.length, 3)
})
