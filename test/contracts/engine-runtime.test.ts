import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs'
import net, { type Socket } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, describe, type TestContext, test } from 'node:test'
import { AppError } from '../../src/domain/errors.ts'
import type { ContainerSpec, RunningContainer } from '../../src/runtimes/contract.ts'
import { EngineClient } from '../../src/runtimes/engine-client.ts'
import { engineRuntime } from '../../src/runtimes/engine-runtime.ts'
import { importImage } from '../fakes/busybox-image.ts'
import { type RealEngine, realEngine } from '../fakes/real-engine.ts'
import { ownLabel, shellContainer } from '../fakes/shell-container.ts'

const MB = 1024 * 1024
const LABEL = ownLabel()
const HOST = path.join(import.meta.dirname, '../fakes/container-host.ts')
const { engine, skip } = await realEngine()
const info = await engine?.runtime.info()

// What only a real engine can show; runtime.test.ts has what every runtime promises.
// A container takes a second to come and go, most of it waiting.
describe('the engine of this machine', { skip, concurrency: 4 }, () => {
  if (engine) engineTests(engine)
})

function engineTests(real: RealEngine): void {
  const { runtime, socketPath, image } = real
  const ours = () => runtime.list({ label: LABEL })

  after(async () => {
    for (const { id } of await ours()) await runtime.remove(id)
  })

  test('confines a container', async (t) => {
    const [open, closed] = [sharedFolder(t), sharedFolder(t)]
    const container = await runtime.run({
      ...specOf(image, CONFINEMENT),
      env: { GREETING: 'hello world' },
      mounts: [
        { source: open, target: '/mnt/open', readonly: false },
        { source: closed, target: '/mnt/closed', readonly: true },
      ],
      tmpfs: [{ target: '/mnt/memory', options: 'rw,exec,nosuid,nodev,size=1m,mode=700,uid=1000,gid=1000' }],
    })
    assert.equal(await text(container.stdout), EXPECTED_CONFINEMENT)
    const note = path.join(open, 'note')
    assert.equal(readFileSync(note, 'utf8'), 'written\n')
    assert.equal(statSync(note).uid, info?.rootless ? process.getuid?.() : 1000, 'rootless, it belongs to who runs the engine')
  })

  // Podman does not tell of it.
  if (info?.name === 'docker')
    test('tells that a child was killed for memory, though the container lived on', async () => {
      const { exited } = await runtime.run(specOf(image, 'tail /dev/zero; exit 4'))
      assert.deepEqual(await exited, { code: 4, oomKilled: true })
    })

  test('makes a container wait whose output is not read, and then gives all of it', async (t) => {
    const folder = sharedFolder(t)
    const script = `dd if=/dev/zero bs=65536 count=1024 2>/mnt/errors & sleep 1; kill -0 $! && echo yes >/mnt/waiting; wait`
    const mounts = [{ source: folder, target: '/mnt', readonly: false }]
    const { stdout, exited } = await runtime.run({ ...specOf(image, script), mounts })
    await untilThere(path.join(folder, 'waiting'))
    let bytes = 0
    for await (const chunk of stdout) bytes += chunk.length
    assert.equal(bytes, 64 * MB)
    assert.equal((await exited).code, 0)
  })

  test('removes a container in the middle of a flood that nobody reads', async () => {
    const container = await runtime.run(specOf(image, 'cat /dev/zero'))
    await runtime.remove(container.id)
    assert.equal((await container.exited).code, 137)
    assert.deepEqual(await runtime.list({ name: container.id }), [])
  })

  test('leaves nothing of a container that could not be started, and says why', async () => {
    const mounts = [{ source: '/dev/null', target: '/proc/nonsense', readonly: true }]
    const spec = { ...specOf(image, 'true'), mounts }
    await assert.rejects(runtime.run(spec), { code: 'engine.refused', fault: 'engine', message: /proc/ })
    assert.deepEqual(await runtime.list({ name: spec.name }), [])
  })

  test('leaves nothing of a start that is cancelled at any moment', async (t) => {
    let cancelled = 0
    while (await isCancelledAt(t, cancelled + 1)) cancelled++
    assert.ok(cancelled >= 4, 'while creating, attaching, waiting and starting')
  })

  /** False when a start takes fewer connections than that. */
  async function isCancelledAt(t: TestContext, connection: number): Promise<boolean> {
    const abort = new AbortController()
    let left = connection + 2 // finding the engine takes two
    const line = await lineTo(t, { socketPath, onConnection: () => --left === 0 && abort.abort() })
    const cancellable = await engineRuntime({ env: { DOCKER_HOST: `unix://${line.socketPath}` } })
    const spec = specOf(image, 'cat /dev/zero')
    const outcome = await cancellable.run(spec, abort.signal).catch((error: AppError) => error)
    const rejected = outcome instanceof AppError
    if (rejected) assert.equal(outcome.code, 'engine.aborted')
    else await cancellable.remove(outcome.id)
    assert.deepEqual(await runtime.list({ name: spec.name }), [], `cancelled at connection ${connection}`)
    return rejected
  }

  test('rejects when it goes away, in the middle and after', async (t) => {
    const line = await lineTo(t, { socketPath })
    const dying = await engineRuntime({ env: { DOCKER_HOST: `unix://${line.socketPath}` } })
    const container = await dying.run(specOf(image, 'echo up; cat'))
    await firstChunk(container)
    line.cut()
    await assert.rejects(container.exited, { code: 'engine.gone', fault: 'engine' })
    assert.equal(await text(container.stdout), '')
    await assert.rejects(dying.info(), { code: 'engine.unreachable', message: /Start it/ })
    await assert.rejects(container.kill(), { code: 'engine.unreachable' })
    await untilRemoved(real, container.id) // its input ended
  })

  test('leaves nothing when the host is killed', async () => {
    const host = startHost('cat')
    const [printed] = await once(host.stdout, 'data')
    const [container] = await runtime.list({ name: String(printed) })
    host.kill('SIGKILL')
    await untilRemoved(real, container?.id ?? '')
    assert.deepEqual(await runtime.list({ name: String(printed) }), [])
  })

  test('keeps no process alive when its containers have ended, read or not', async () => {
    const host = startHost('head -c 200000 /dev/zero')
    const [printed, [code]] = await Promise.all([text(host.stdout), once(host, 'exit')])
    assert.equal(code, 0)
    assert.deepEqual(await runtime.list({ name: printed }), [])
  })

  function startHost(script: string): ChildProcessByStdio<null, Readable, null> {
    return spawn(process.execPath, [HOST, image, LABEL, script], { stdio: ['ignore', 'pipe', 'inherit'] })
  }

  test('reads the labels of an image', async (t) => {
    const labelled = `nanoclaw-test-${randomBytes(4).toString('hex')}:latest`
    const tar = path.join(sharedFolder(t), 'empty.tar')
    writeFileSync(tar, Buffer.alloc(1024))
    await importImage({ socketPath, image: labelled, tar, change: 'LABEL nanoclaw.claude=2.1.0' })
    const client = await EngineClient.connect({ socketPath })
    t.after(() => client.send({ method: 'DELETE', path: `/images/${labelled}` }))
    assert.equal((await runtime.imageLabels(labelled))['nanoclaw.claude'], '2.1.0')
  })
}

const CONFINEMENT = `
  echo "user $(id -u):$(id -g)"
  echo "greeting $GREETING"
  echo "capabilities $(grep CapEff /proc/self/status | tr -d '[:blank:]')"
  echo "privileges $(grep NoNewPrivs /proc/self/status | tr -d '[:blank:]')"
  echo network $(ls /sys/class/net)
  echo "core dumps $(ulimit -c)"
  { echo x >/root-is-writable; } 2>/dev/null || echo 'root is read-only'
  { echo x >/mnt/closed/note; } 2>/dev/null || echo 'closed mount is read-only'
  echo written >/mnt/open/note
  echo '#!/bin/sh' >/mnt/memory/run; chmod 700 /mnt/memory/run; /mnt/memory/run && echo 'memory is executable'
  head -c 2000000 /dev/zero 2>/dev/null >/mnt/memory/big || echo 'memory is limited'
  [ "$(cat /proc/1/comm)" = sh ] || echo 'an init is process 1'
`
const EXPECTED_CONFINEMENT = `user 1000:1000
greeting hello world
capabilities CapEff:0000000000000000
privileges NoNewPrivs:1
network lo
core dumps 0
root is read-only
closed mount is read-only
memory is executable
memory is limited
an init is process 1
`

function specOf(image: string, script: string): ContainerSpec {
  return shellContainer({ image, label: LABEL, script })
}

/** A folder that the container's user may write to, whoever we are. */
function sharedFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-shared-'))
  chmodSync(folder, 0o777)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function untilThere(file: string): Promise<void> {
  const watcher = watch(path.dirname(file))
  while (!existsSync(file)) await once(watcher, 'change')
  watcher.close()
}

async function firstChunk({ stdout }: RunningContainer): Promise<void> {
  const iterator = stdout[Symbol.asyncIterator]()
  await iterator.next()
}

async function untilRemoved({ socketPath }: RealEngine, id: string): Promise<void> {
  const client = await EngineClient.connect({ socketPath })
  await client.send({ method: 'POST', path: `/containers/${id}/wait`, query: { condition: 'removed' } })
}

type Line = { socketPath: string; cut(): void }

/** A socket that leads to the engine, until it is cut. */
async function lineTo(
  t: TestContext,
  { socketPath: target, onConnection = () => {} }: { socketPath: string; onConnection?: () => void },
): Promise<Line> {
  const socketPath = path.join(sharedFolder(t), 'engine.sock')
  const ends = new Set<Socket>()
  const server = net.createServer({ allowHalfOpen: true }, (near) => {
    onConnection()
    const far = net.connect({ path: target, allowHalfOpen: true })
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const)
      ends.add(end.on('error', () => {}).on('close', () => other.destroy()))
    near.pipe(far).pipe(near)
  })
  server.listen(socketPath)
  await once(server, 'listening')
  const cut = () => {
    server.close()
    for (const end of ends) end.destroy()
  }
  t.after(cut)
  return { socketPath, cut }
}
