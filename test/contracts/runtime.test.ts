import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { after, describe, test } from 'node:test'
import type { ContainerRuntime, ContainerSpec } from '../../src/runtimes/contract.ts'
import { engineRuntime } from '../../src/runtimes/engine-runtime.ts'
import { FakeEngine, type Inside, type Program, untilKilled } from '../fakes/engine.ts'
import { EngineSocket } from '../fakes/engine-socket.ts'
import { realEngine } from '../fakes/real-engine.ts'
import { ownLabel, shellContainer } from '../fakes/shell-container.ts'

const FLOOD_BYTES = 32 * 1024 * 1024
const LABEL = ownLabel()
const FAKE_IMAGE = 'nanoclaw-fake:latest'

/** What the containers of this contract do: as a shell does it, and as the fake engine plays it. */
const programs = {
  greet: {
    script: 'echo out; echo err >&2; exit 3',
    play: async ({ stdout, stderr }: Inside) => {
      stdout.write('out\n')
      stderr.write('err\n')
      return 3
    },
  },
  echo: {
    script: 'cat',
    play: async ({ stdin, stdout }: Inside) => {
      await pipeline(stdin, stdout)
      return 0
    },
  },
  sleep: {
    script: 'sleep 3600',
    play: async (inside: Inside) => {
      await untilKilled(inside)
      return 0
    },
  },
  flood: {
    script: `head -c ${FLOOD_BYTES} /dev/zero; echo flooded >&2`,
    play: async ({ stdout, stderr }: Inside) => {
      await pipeline(Readable.from(zeros(FLOOD_BYTES)), stdout)
      stderr.write('flooded\n')
      return 0
    },
  },
  devour: {
    script: 'exec tail /dev/zero',
    play: async () => ({ code: 137, oomKilled: true }),
  },
} satisfies Record<string, { script: string; play: Program }>

type ProgramName = keyof typeof programs

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= 64 * 1024) yield Buffer.alloc(64 * 1024)
}

/** Plays the program whose script a container was given. */
const playScript: Program = (inside) => {
  const script = inside.spec.command?.at(-1)
  const found = Object.values(programs).find((program) => program.script === script)
  if (!found) throw new Error(`nobody plays ${script}`)
  return found.play(inside)
}

function specOf({ image, program = 'sleep' }: { image: string; program?: ProgramName }): ContainerSpec {
  return shellContainer({ image, label: LABEL, script: programs[program].script })
}

const { engine, skip } = await realEngine()
const fakeEngine = () => new FakeEngine({ images: { [FAKE_IMAGE]: { labels: {} } }, program: playScript })
const socket = await EngineSocket.listen({ after }, { engine: fakeEngine() })
const spoken = await engineRuntime({ env: { DOCKER_HOST: `unix://${socket.socketPath}` } })
const enforcesLimits = (await engine?.runtime.info())?.enforcesLimits ?? false

describe('a fake engine', () => runtimeContract({ runtime: fakeEngine(), image: FAKE_IMAGE, enforcesLimits: true }))
describe('a fake engine behind its API', () => runtimeContract({ runtime: spoken, image: FAKE_IMAGE, enforcesLimits: true }))
// A container takes a second to come and go, most of it waiting.
describe('the engine of this machine', { skip, concurrency: 4 }, () => {
  if (engine) runtimeContract({ ...engine, enforcesLimits })
})

type Subject = { runtime: ContainerRuntime; image: string; enforcesLimits: boolean }

function runtimeContract({ runtime, image, enforcesLimits }: Subject): void {
  const start = (program: ProgramName) => runtime.run(specOf({ image, program }))
  const ours = () => runtime.list({ label: LABEL })

  after(async () => {
    for (const { id } of await ours()) await runtime.remove(id)
  })

  test('tells what it is', async () => {
    const { name, version, apiVersion } = await runtime.info()
    assert.match(name, /^(docker|podman)$/)
    assert.match(version, /^\d+\./)
    assert.match(apiVersion, /^1\.\d+$/)
  })

  test('knows an image from one that is missing', async () => {
    assert.match((await runtime.imageId(image)) ?? '', /^sha256:/)
    assert.equal(typeof (await runtime.imageLabels(image)), 'object')
    assert.equal(await runtime.imageId('nanoclaw-no-such-image:latest'), undefined)
    await assert.rejects(runtime.imageLabels('nanoclaw-no-such-image:latest'), { code: 'engine.image-missing' })
  })

  test('keeps stdout and stderr apart, and passes the exit code on', async () => {
    const { stdout, stderr, exited } = await start('greet')
    const ended = await Promise.all([text(stdout), text(stderr), exited])
    assert.deepEqual(ended, ['out\n', 'err\n', { code: 3, oomKilled: false }])
  })

  test('gives the container what is written to it, and the end of it', async () => {
    const { stdin, stdout, exited } = await start('echo')
    stdin.write('first\n')
    stdin.end('second\n')
    assert.equal(await text(stdout), 'first\nsecond\n')
    assert.equal((await exited).code, 0)
  })

  test('loses nothing of a flood, however late it is read', async () => {
    const { stdout, stderr, exited } = await start('flood')
    const [flood, report] = await Promise.all([buffer(stdout), text(stderr)])
    assert.equal(flood.length, FLOOD_BYTES)
    assert.equal(report, 'flooded\n')
    assert.equal((await exited).code, 0)
  })

  test('goes on with stderr when stdout is left', async () => {
    const { stdout, stderr } = await start('flood')
    for await (const _ of stdout) break
    assert.equal(await text(stderr), 'flooded\n')
  })

  test('lists a container while it lives, by label and by name, and not after', async () => {
    const spec = specOf({ image })
    const container = await runtime.run({ ...spec, mounts: [{ source: '/dev/null', target: '/mnt/nothing', readonly: true }] })
    const [listed, ...others] = await runtime.list({ name: spec.name })
    const { name, labels } = spec
    assert.deepEqual(listed, {
      id: container.id,
      name,
      labels: { ...listed?.labels, ...labels },
      state: 'running',
      binds: ['/dev/null'],
    })
    assert.deepEqual(others, [])
    assert.ok((await ours()).some(({ id }) => id === container.id))
    assert.deepEqual(await runtime.list({ label: 'nanoclaw.test=another' }), [])
    await container.kill()
    await container.exited
    assert.deepEqual(await runtime.list({ name }), [])
  })

  test('kills a container, also one whose output nobody reads, and also twice', async () => {
    const container = await start('flood')
    await container.kill()
    assert.deepEqual(await container.exited, { code: 137, oomKilled: false })
    await container.kill()
  })

  test('removes a container that runs, is gone, or never was', async () => {
    const container = await start('sleep')
    await runtime.remove(container.id)
    assert.deepEqual(await runtime.list({ name: container.id }), [])
    assert.equal((await container.exited).code, 137)
    await runtime.remove(container.id)
    await runtime.remove('0'.repeat(64))
  })

  // Where no limit holds, this would take all memory of the machine.
  if (enforcesLimits)
    test('tells a death by lack of memory from others', async () => {
      const { exited } = await start('devour')
      assert.deepEqual(await exited, { code: 137, oomKilled: true })
    })

  test('refuses a name that is taken, and leaves its owner alone', async () => {
    const spec = specOf({ image })
    const owner = await runtime.run(spec)
    await assert.rejects(runtime.run(spec), { code: 'engine.name-taken', fault: 'engine' })
    assert.deepEqual(
      (await runtime.list({ name: spec.name })).map(({ id }) => id),
      [owner.id],
    )
    await runtime.remove(owner.id)
  })

  test('says how to get a missing image', async () => {
    const spec = specOf({ image: 'nanoclaw-no-such-image:latest' })
    await assert.rejects(runtime.run(spec), { code: 'engine.image-missing', message: /\.\/container\/build\.sh/ })
  })

  test('refuses an isolation that it does not have, and starts nothing with another', async () => {
    const spec = { ...specOf({ image }), isolation: 'nanoclaw-no-such-runtime' }
    await assert.rejects(runtime.run(spec), { code: 'engine.isolation-missing', fault: 'user' })
    assert.deepEqual(await runtime.list({ name: spec.name }), [])
  })

  test('starts a container with an isolation that it has', async () => {
    const [isolation = ''] = (await runtime.info()).runtimes.filter((name) => ['runc', 'crun', 'fake'].includes(name))
    const { stdout } = await runtime.run({ ...specOf({ image, program: 'greet' }), isolation })
    assert.equal(await text(stdout), 'out\n')
  })

  test('refuses to mount what does not exist, and does not make it', async () => {
    const mounts = [{ source: '/nonexistent/nanoclaw', target: '/mnt/x', readonly: true }]
    const spec = { ...specOf({ image }), mounts }
    await assert.rejects(runtime.run(spec), { code: 'engine.mount-missing', message: /\/nonexistent\/nanoclaw/ })
    assert.deepEqual(await runtime.list({ name: spec.name }), [])
  })

  test('does not start what was cancelled before', async () => {
    const spec = specOf({ image })
    await assert.rejects(runtime.run(spec, AbortSignal.abort()), { code: 'engine.aborted' })
    assert.deepEqual(await runtime.list({ name: spec.name }), [])
  })
}
