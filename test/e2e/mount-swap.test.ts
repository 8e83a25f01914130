import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { AgentRun } from '../../src/container/agent-run.ts'
import { ContainerRunner } from '../../src/container-runner.ts'
import { systemClock } from '../../src/domain/clock.ts'
import type { ExtraMount } from '../../src/domain/group.ts'
import { judgeMounts, type MountRules } from '../../src/mount-security.ts'
import type { ContainerRuntime } from '../../src/runtimes/contract.ts'
import { LONG } from '../fakes/depth.ts'
import { realEngine } from '../fakes/real-engine.ts'
import { type TestContext, temporaryFolder } from '../fakes/rooms.ts'
import { Swapper } from '../fakes/swapper.ts'

const { engine, skip } = await realEngine()
const exec = promisify(execFile)
const image = process.env.CONTAINER_IMAGE ?? 'nanoclaw-agent:latest'
const TRIES = LONG ? 1_000 : 12

/** The real runner of containers, with a project that is allowed and keys that are not. `beforeStart` runs between check and start. */
type RoomParts = { runtime: ContainerRuntime; beforeStart?: () => void; additionalMounts?: ExtraMount[] }

function room(
  t: TestContext,
  { runtime, beforeStart = () => {}, additionalMounts = [{ hostPath: '~/projects/app' }] }: RoomParts,
) {
  const root = temporaryFolder(t)
  chmodSync(root, 0o711)
  const at = (...parts: string[]) => path.join(root, ...parts)
  for (const folder of ['nanoclaw/data', 'project/docs', 'home/projects/app', 'home/projects/.ssh', 'home/keys', 'home/.config'])
    mkdirSync(at(folder), { recursive: true })
  writeFileSync(at('home/projects/app/which'), 'project')
  writeFileSync(at('home/keys/which'), 'keys')
  writeFileSync(at('home/projects/.ssh/id_rsa'), 'keys')
  symlinkSync(at('home/keys'), at('home/projects/link'))
  const allowlistFile = at('home/.config/allowlist.json')
  writeFileSync(allowlistFile, JSON.stringify({ allowedRoots: [{ path: '~/projects' }] }))
  const rules: MountRules = {
    allowlistFile,
    userHome: at('home'),
    own: [at('nanoclaw')],
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  }
  const audit: string[] = []
  const settings = {
    ...{
      root: at('nanoclaw'),
      runs: at('nanoclaw/data/run'),
      project: at('project'),
      projectEntries: ['docs'],
      installId: randomUUID(),
      image,
    },
    ...{ user: { uid: 1000, gid: 1000 }, network: 'none' as const, credentials: 'gateway' as const, timeZone: 'UTC' },
  }
  const runner = new ContainerRunner(settings, {
    runtime: new Proxy(runtime, {
      get: (target, name) => (name === 'run' ? beforeRun(target, beforeStart) : Reflect.get(target, name)),
    }),
    judgeMounts: (group) => judgeMounts(group.config.additionalMounts ?? [], group, rules),
    ...{ mountRulesStamp: () => 'same', isFull: () => false },
    audit: ({ outcome, detail }) => audit.push(`${outcome}: ${detail}`),
    openGateway: async () => ({ close: async () => {} }),
    loginFile: async () => ({ placeholder: '', real: '' }),
    ...{ writeSnapshots: () => {}, redact: (text: string) => text, clock: systemClock },
    log: { info: () => {}, debug: () => {}, warn: () => {}, error: () => {} },
  })
  const group = { folder: 'main', name: 'Main', isMain: true, config: { additionalMounts } }
  const request = { group, lane: 'chat' as const, chatJid: 'local:main', sessionId: undefined, assistantName: 'Andy' }
  const start = () => runner.start({ ...request, listener: { onSession: () => {}, onActivity: () => {} } })
  return {
    at,
    audit,
    start,
    swapNames: { place: at('home/projects/app'), evil: at('home/projects/link'), aside: at('home/projects/aside') },
  }
}

function beforeRun(runtime: ContainerRuntime, before: () => void): ContainerRuntime['run'] {
  return (spec, signal) => {
    before()
    return runtime.run(spec, signal)
  }
}

/** How its first turn ends, if it ends by itself. */
async function firstOutcome(run: AgentRun): Promise<string> {
  run.push({ uuid: randomUUID(), prompt: 'hello', chatJid: 'local:main', earlier: [], siblings: [], timeoutMs: 600_000 })
  const { outcome } = await run.settled()
  return outcome.type === 'failed' ? `${outcome.reason}: ${outcome.detail}` : outcome.type
}

test('a folder that is exchanged between check and start ends the run before anything of the agent runs', { skip }, async (t) => {
  assert.ok(engine)
  const { swapNames, start, audit } = room(t, {
    runtime: engine.runtime,
    beforeStart: () => {
      renameSync(swapNames.place, swapNames.aside)
      renameSync(swapNames.evil, swapNames.place)
    },
  })
  const run = await start()
  assert.match(await firstOutcome(run), /^setup: \/workspace\/extra\/app is not the folder that was checked/)
  await run.ended
  assert.match(audit.at(-1) ?? '', /^refused: .*is not the folder that was checked/)
})

test('in a race for the mount, an agent never comes to run with the wrong one', { skip }, async (t) => {
  assert.ok(engine)
  const { swapNames, start, audit } = room(t, { runtime: engine.runtime })
  const swapper = new Swapper(swapNames)
  const seen = { refused: 0, stopped: 0, right: 0 }
  for (let n = 0; n < TRIES; n++) {
    const before = audit.length
    const run = await start().catch(() => undefined) // gone in the very moment: nothing was started
    if (!run) continue
    if (audit[before]?.startsWith('refused')) seen.refused++
    const which = await exec('docker', ['exec', run.name, 'cat', '/workspace/extra/app/which']).catch(() => undefined)
    if (which?.stdout === 'project') seen.right++
    // A container that is gone already was stopped by its own check, or had no time to say what it had.
    if (which?.stdout === 'keys') {
      assert.match(await firstOutcome(run), /^setup: /, 'the keys were in it, so nothing of the agent may run')
      seen.stopped++
    }
    await run.kill()
    await run.ended
  }
  assert.ok(seen.right + seen.stopped > 0, 'something was seen of what was mounted')
  t.diagnostic(`${JSON.stringify(seen)}, ${await swapper.stop()} exchanges`)
})

const inside = async (run: AgentRun, script: string) => (await exec('docker', ['exec', run.name, 'sh', '-c', script])).stdout

test('main never sees the .env of the project, be it replaced or made while main runs', { skip }, async (t) => {
  assert.ok(engine)
  const { at, start } = room(t, { runtime: engine.runtime })
  const env = (text: string) => {
    writeFileSync(at('project/new'), text)
    renameSync(at('project/new'), at('project/.env'))
  }
  for (const before of [undefined, 'KEY=keys']) {
    if (before !== undefined) env(before)
    const run = await start()
    try {
      const look = 'cat /workspace/project/.env; ls -A /workspace/project; grep -rs keys /workspace | head'
      const seen = await inside(run, look)
      assert.match(seen, /^docs$/m)
      env('KEY=other keys')
      writeFileSync(at('project/.env.local'), 'KEY=keys')
      assert.equal(await inside(run, look), seen)
      assert.doesNotMatch(seen, /keys|local/)
    } finally {
      await run.kill()
      await run.ended
      rmSync(at('project/.env'))
    }
  }
})

/** Each leads to keys, or to what is the container's own. */
const TRICKS: ExtraMount[] = [
  ...[
    '~',
    '~/projects',
    '~/projects/',
    '~/./projects/../projects',
    '~/keys',
    '~/projects/link',
    '~/projects/.SSH',
    '~/projects/.ssh',
  ],
  ...[
    '/',
    '/etc',
    '/proc/self/root',
    '/var/run',
    '~/projects/app/../.ssh',
    '~/projects/app/../../keys',
    '~/.config',
    '~/nanoclaw',
  ],
].map((hostPath, n) => ({ hostPath, containerPath: `trick${n}` }))
const NAMES = ['../../run', '/etc', '..', '.claude', 'app/../..', 'APP', 'aPP', '', 'a\nb', 'app:rw']

test('neither parents of keys nor names with tricks bring anything into a container', { skip }, async (t) => {
  assert.ok(engine)
  const named = NAMES.map((containerPath) => ({ hostPath: '~/projects/app', containerPath }))
  const additionalMounts = [{ hostPath: '~/projects/app' }, ...TRICKS, ...named]
  const { start, audit } = room(t, { runtime: engine.runtime, additionalMounts })
  const run = await start()
  try {
    const seen = await inside(
      run,
      'ls -A /workspace/extra; cat /workspace/extra/app/which; grep -c /workspace/extra /proc/mounts',
    )
    assert.equal(seen, 'app\nproject1\n')
    assert.equal(audit.filter((line) => line.startsWith('refused')).length, TRICKS.length + NAMES.length)
  } finally {
    await run.kill()
    await run.ended
  }
})
