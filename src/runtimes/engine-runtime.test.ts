import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { FakeEngine, type Program, untilKilled } from '../../test/fakes/engine.ts'
import { EngineSocket, type EngineSocketOptions } from '../../test/fakes/engine-socket.ts'
import { patience, until } from '../../test/fakes/patience.ts'
import { shellContainer } from '../../test/fakes/shell-container.ts'
import { engineRuntime } from './engine-runtime.ts'

// What the contract of all runtimes (test/contracts/runtime.test.ts) cannot see: in which order an engine is asked, and
// what becomes of its refusals.

const IMAGE = 'nanoclaw-fake:latest'
const CONTAINER_HOST = path.join(import.meta.dirname, '../../test/fakes/container-host.ts')
const LABELS = { 'nanoclaw.claude': '2.1.0' }

type Options = { program?: Program } & Omit<EngineSocketOptions, 'engine'>

const lives: Program = async (inside) => {
  await untilKilled(inside)
  return 0
}

/** Prints without end. */
const flood: Program = async ({ stdout, killed }) => {
  while (!killed.aborted)
    if (!stdout.write(Buffer.alloc(1024 * 1024))) await Promise.race([once(stdout, 'drain'), once(killed, 'abort')])
  return 0
}

/** An engine behind its API, and the runtime that speaks it. */
async function engineOf(t: TestContext, { program = lives, ...options }: Options = {}) {
  const engine = new FakeEngine({ images: { [IMAGE]: { labels: LABELS } }, program })
  const socket = await EngineSocket.listen(t, { engine, ...options })
  const connect = () => engineRuntime({ env: { DOCKER_HOST: `unix://${socket.socketPath}` } })
  return { socket, connect, runtime: await connect() }
}

function spec() {
  return shellContainer({ image: IMAGE, label: 'nanoclaw.test=1', script: 'true' })
}

/** What an engine was asked to do, each in a word. */
function deeds(lines: string[]): string[] {
  return lines.map((line) => (line.startsWith('DELETE') ? 'remove' : (line.split('/').at(-1) ?? '')))
}

/** Lets an engine carry out whatever was asked of it by now: it answers in turn. */
async function settle(runtime: { info(): Promise<unknown> }): Promise<void> {
  for (let n = 0; n < 3; n++) await runtime.info()
}

test('a start that was cancelled before asks nothing of the engine', async (t) => {
  const { socket, runtime } = await engineOf(t)
  const before = socket.asked.length
  await assert.rejects(runtime.run(spec(), AbortSignal.abort()), { code: 'engine.aborted' })
  await settle(runtime)
  assert.deepEqual(
    socket
      .lines()
      .slice(before)
      .filter((line) => line !== 'GET /info'),
    [],
  )
})

test('a start that is cancelled at any request goes no further, leaves no container and no connection', async (t) => {
  const { socket, runtime } = await engineOf(t)
  for (const step of ['create', 'attach', 'wait', 'events', 'start']) {
    const before = socket.asked.length
    const abort = new AbortController()
    socket.answer = ({ line }) => {
      if (line.endsWith(step)) abort.abort()
      return undefined
    }
    await assert.rejects(runtime.run(spec(), abort.signal), { code: 'engine.aborted' }, step)
    const [first, ...asked] = deeds(socket.lines().slice(before))
    const connections = step === 'create' ? [] : ['attach', 'events', 'wait'] // side by side
    assert.equal(first, 'create')
    assert.deepEqual(asked.splice(0, connections.length).sort(), connections, step)
    assert.deepEqual(asked, [...(step === 'start' ? ['start'] : []), 'kill', 'remove'], step)
    assert.deepEqual(socket.ids, [], step)
    await until(() => socket.connections === 0, 'all connections are closed')
  }
})

test('a kill is over before the removal is asked for: Podman would give the container ten seconds', async (t) => {
  const { socket, connect, runtime } = await engineOf(t)
  const { id } = await (await connect()).run(spec())
  const killed = Promise.withResolvers<undefined>()
  socket.answer = ({ line }) => (line.endsWith('kill') ? killed.promise : undefined)
  const removed = runtime.remove(id)
  await until(() => socket.lines(id).some((line) => line.endsWith('kill')), 'the kill is asked for')
  await settle(runtime)
  assert.deepEqual(deeds(socket.lines(id)).at(-1), 'kill')
  killed.resolve(undefined)
  await removed
  assert.deepEqual(socket.ids, [])
})

test('a container that is attached here is killed by its own hand, which takes its output, and after its end no more', async (t) => {
  const { socket, runtime } = await engineOf(t, { program: flood })
  const { id, exited } = await runtime.run(spec())
  await runtime.remove(id)
  assert.deepEqual(await exited, { code: 137, oomKilled: false })
  const before = socket.asked.length
  await runtime.remove(id)
  assert.deepEqual(deeds(socket.lines().slice(before)), ['kill', 'remove'])
})

test('the end of a container is told when it is removed, and rejects when it cannot be', async (t) => {
  const { socket, runtime } = await engineOf(t, { program: async () => 7 })
  const removal = Promise.withResolvers<undefined>()
  socket.answer = ({ line }) => (line.startsWith('DELETE') ? removal.promise : undefined)
  const { exited } = await runtime.run(spec())
  let told = false
  void exited.finally(() => (told = true))
  await until(() => socket.lines().some((line) => line.startsWith('DELETE')), 'the removal is asked for')
  await settle(runtime)
  assert.equal(told, false)
  removal.resolve(undefined)
  assert.deepEqual(await exited, { code: 7, oomKilled: false })

  socket.answer = ({ line }) => (line.startsWith('DELETE') ? refusal(500, 'the disk is broken') : undefined)
  const stuck = await runtime.run(spec())
  await assert.rejects(stuck.exited, { code: 'engine.refused', message: /asked to remove container .*: the disk is broken/ })
})

function refusal(status: number, message: string, cause?: string) {
  return { status, body: { message, cause } }
}

const NOT_RUNNING = refusal(409, 'is not running')

/** What becomes of a removal when the engine answers one of its requests like this. */
async function removalWhen(t: TestContext, answers: Record<string, ReturnType<typeof refusal>>): Promise<string> {
  const { socket, connect, runtime } = await engineOf(t)
  const { id } = await (await connect()).run(spec())
  const started = socket.lines(id).length
  const all: typeof answers = { kill: NOT_RUNNING, ...answers }
  socket.answer = ({ line }) => all[deeds([line])[0] ?? '']
  return runtime.remove(id).then(
    () => deeds(socket.lines(id).slice(started)).join(),
    (error: Error) => error.message.replace(id, 'ID'),
  )
}

test('a container that ended, is gone, or is being removed already is as good as removed; anything else is not', async (t) => {
  const asked = 'The container engine was asked to'
  assert.equal(await removalWhen(t, { kill: refusal(404, 'No such container') }), 'kill,remove')
  assert.equal(await removalWhen(t, { kill: NOT_RUNNING }), 'kill,remove')
  assert.equal(await removalWhen(t, { kill: refusal(500, 'exited', 'container state improper') }), 'kill,remove')
  assert.equal(await removalWhen(t, { kill: refusal(500, 'gone', 'no such container') }), 'kill,remove')
  assert.equal(await removalWhen(t, { kill: refusal(400, 'no signal') }), `${asked} kill container ID, and says: no signal`)
  assert.equal(await removalWhen(t, { remove: refusal(404, 'No such container') }), 'kill,remove')
  assert.equal(await removalWhen(t, { remove: refusal(500, 'gone', 'no such container') }), 'kill,remove')
  assert.equal(await removalWhen(t, { remove: refusal(400, 'no') }), `${asked} remove container ID, and says: no`)
  const beingRemoved = refusal(409, 'removal is in progress')
  assert.equal(await removalWhen(t, { remove: beingRemoved, wait: refusal(404, 'No such container') }), 'kill,remove,wait')
  assert.equal(
    await removalWhen(t, { remove: beingRemoved, wait: refusal(400, 'no') }),
    `${asked} say when container ID is removed, and says: no`,
  )
})

test('a removal that the engine carries out already is waited for', async (t) => {
  const { socket, connect, runtime } = await engineOf(t)
  const { id } = await (await connect()).run(spec())
  const removed = Promise.withResolvers<{ status: number; body: unknown }>()
  socket.answer = ({ line, query }) => {
    if (line.startsWith('DELETE')) return refusal(409, 'removal is in progress')
    return query.condition === 'removed' ? removed.promise : undefined
  }
  let told = false
  const removal = runtime.remove(id).finally(() => (told = true))
  await until(() => socket.asked.some(({ query }) => query.condition === 'removed'), 'it is asked when it is removed')
  await settle(runtime)
  assert.equal(told, false)
  removed.resolve({ status: 200, body: { StatusCode: 0 } })
  await removal
})

test('what was asked for is removed with its volumes, by force, and killed at once', async (t) => {
  const { socket, connect, runtime } = await engineOf(t)
  const { id } = await (await connect()).run(spec())
  await runtime.remove(id)
  const [kill, remove] = socket.asked.filter(({ line }) => line.endsWith('kill') || line.startsWith('DELETE'))
  assert.deepEqual(kill?.query, { signal: 'SIGKILL' })
  assert.deepEqual(remove?.query, { force: '1', v: '1' })
})

test('a container whose end cannot be heard of any more is ended, and its output stays to be read', async (t) => {
  const { socket, runtime } = await engineOf(t, {
    program: async (inside) => {
      inside.stdout.write('up\n')
      await untilKilled(inside)
      return 0
    },
  })
  const { id, exited, stdout } = await runtime.run(spec())
  const said = text(stdout)
  socket.forgetWaits(id)
  await assert.rejects(exited, { code: 'engine.gone', fault: 'engine', message: /broke while a container ran/ })
  assert.equal(await said, 'up\n')
  assert.deepEqual(deeds(socket.lines(id)).slice(-2), ['kill', 'remove'])
  assert.deepEqual(socket.ids, [])
})

test('a container in the middle of a flood that nobody reads is ended, too, when it cannot be heard of any more', async (t) => {
  const { socket, runtime } = await engineOf(t, { program: flood })
  const { id, exited } = await runtime.run(spec())
  socket.forgetWaits(id)
  await assert.rejects(exited, { code: 'engine.gone' })
  assert.deepEqual(socket.ids, [])
})

test('a connection that breaks while input is on its way ends the output, and the container is still waited for', async (t) => {
  const { socket, runtime } = await engineOf(t)
  const { id, stdin, stdout, exited, kill } = await runtime.run(spec())
  stdin.write(Buffer.alloc(4 * 1024 * 1024)) // nobody reads it, so the connection does not end, but break
  await settle(runtime)
  socket.cutStreams(id)
  assert.equal(await text(stdout), '')
  await kill()
  assert.deepEqual(await exited, { code: 137, oomKilled: false })
})

test('output that is garbled is an error of its streams, and ends the input of the container', async (t) => {
  const { socket, runtime } = await engineOf(t, { program: async ({ stdin }) => (await text(stdin)).length })
  const { id, stdout, exited } = await runtime.run(spec())
  socket.garble(id)
  await assert.rejects(text(stdout), /garbled/)
  assert.deepEqual(await exited, { code: 0, oomKilled: false })
})

test('a container that ended keeps no process alive, though nobody read its output', async (t) => {
  const { socket } = await engineOf(t, {
    program: async ({ stdout }) => {
      stdout.write(Buffer.alloc(200_000))
      return 0
    },
  })
  const env = { ...process.env, DOCKER_HOST: `unix://${socket.socketPath}` }
  const host = spawn(process.execPath, [CONTAINER_HOST, IMAGE, 'nanoclaw.test=1', 'true'], { env, stdio: 'ignore' })
  assert.deepEqual(await once(host, 'exit'), [0, null])
  assert.deepEqual(socket.ids, [])
})

test('a start that is refused is told with what became of its container', async (t) => {
  const { socket, runtime } = await engineOf(t)
  socket.answer = ({ line }) => (line.endsWith('start') ? refusal(500, 'no space left') : undefined)
  const says = 'The container engine was asked to start a container, and says: no space left'
  await assert.rejects(runtime.run(spec()), { code: 'engine.refused', fault: 'engine', message: says })
  assert.deepEqual(socket.ids, [])

  socket.answer = ({ line }) => (/start$|kill$/.test(line) ? refusal(500, 'no space left') : undefined)
  await assert.rejects(runtime.run(spec()), ({ message, code }: Error & { code: string }) => {
    assert.equal(code, 'engine.refused')
    assert.ok(message.startsWith(`${says} Its container ${socket.ids[0]} is left behind, too: `), message)
    return true
  })
})

test('Podman does not tell of a death for memory: a SIGKILL that is not ours is taken for one', async (t) => {
  const ends = async (code: number) => {
    const { socket, runtime } = await engineOf(t, { name: 'podman', program: async () => code })
    const { oomKilled } = await (await runtime.run(spec())).exited
    assert.ok(!socket.lines().includes('GET /events'))
    return oomKilled
  }
  assert.deepEqual([await ends(137), await ends(1)], [true, false])
  const { runtime } = await engineOf(t, { name: 'podman' })
  const { kill, exited } = await runtime.run(spec())
  await kill()
  assert.deepEqual(await exited, { code: 137, oomKilled: false })
})

test('Docker tells of a process that was killed for memory, also when its stream of events ends before the container is gone', async (t) => {
  const ended = Promise.withResolvers<void>()
  const { socket, runtime } = await engineOf(t, {
    program: async () => {
      await ended.promise
      return { code: 3, oomKilled: true }
    },
  })
  const heard = await runtime.run(spec())
  const deaf = await runtime.run(spec())
  socket.endEvents(deaf.id)
  ended.resolve()
  assert.deepEqual(await heard.exited, { code: 3, oomKilled: true })
  assert.deepEqual(await deaf.exited, { code: 3, oomKilled: false })
})

test('an engine that tells of the removal of a container is not waited for', { timeout: patience(60_000) }, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] }) // no time passes
  const { runtime } = await engineOf(t, { program: async () => ({ code: 0, oomKilled: true }) })
  assert.deepEqual(await (await runtime.run(spec())).exited, { code: 0, oomKilled: true })
})

test('an engine that does not tell of the removal of a container is waited for five seconds', async (t) => {
  const { socket, runtime } = await engineOf(t)
  const container = await runtime.run(spec())
  socket.muteEvents(container.id)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let told = false
  const exited = container.exited.finally(() => (told = true))
  await container.kill()
  while (socket.ids.length > 0) await runtime.info()
  for (let n = 0; n < 10; n++) await runtime.info()
  t.mock.timers.tick(4_999)
  for (let n = 0; n < 10; n++) await runtime.info()
  assert.equal(told, false)
  t.mock.timers.tick(1)
  assert.deepEqual(await exited, { code: 137, oomKilled: false })
})

test('an engine tells what it is', async (t) => {
  const infoOf = async (options: Options) => (await engineOf(t, options)).runtime.info()
  const { name, version, apiVersion, rootless, runtimes, enforcesLimits } = await infoOf({})
  assert.deepEqual(
    [name, version, apiVersion, rootless, runtimes, enforcesLimits],
    ['docker', '28.0.1', '1.44', false, ['fake'], true],
  )
  const seccomp = { SecurityOptions: ['name=seccomp,profile=builtin', 'name=rootlesskit'] }
  assert.equal((await infoOf({ info: seccomp })).rootless, false)
  const podman = (info: object) => infoOf({ name: 'podman', info })
  const v1 = { CgroupVersion: '1' }
  assert.deepEqual((await podman({ Rootless: true, CgroupVersion: '2', Runtimes: null })).rootless, true)
  assert.equal((await podman({ Rootless: true, CgroupVersion: '2' })).enforcesLimits, true)
  assert.equal((await podman({ Rootless: true, ...v1 })).enforcesLimits, false)
  assert.equal((await podman({ Rootless: false, ...v1 })).enforcesLimits, true)
  assert.deepEqual((await podman({ Runtimes: { 'nanoclaw-no-such-runtime': {} } })).runtimes, [])
})

test('a rootless Docker and an old Podman are refused, with what to do', async (t) => {
  const rootless = { SecurityOptions: ['name=seccomp,profile=builtin', 'name=rootless'] }
  await assert.rejects(engineOf(t, { info: rootless }), { code: 'engine.rootless-docker', message: /CONTAINER_RUNTIME=podman/ })
  await assert.rejects(engineOf(t, { name: 'podman', version: '4.2.1' }), { code: 'engine.too-old' })
})

test('an image is found by a name with a registry in it, and may have no labels', async (t) => {
  const { socket, runtime } = await engineOf(t)
  const name = 'registry.example:5000/team/agent:1'
  socket.answer = ({ line }) =>
    line === 'GET /images/registry.example%3A5000/team/agent%3A1/json' ? { status: 200, body: { Id: 'sha256:x' } } : undefined
  assert.equal(await runtime.imageId(name), 'sha256:x')
  assert.deepEqual(await runtime.imageLabels(name), {})
  assert.deepEqual(await runtime.imageLabels(IMAGE), LABELS)
  socket.answer = () => refusal(500, 'the disk is broken')
  await assert.rejects(runtime.imageId(name), { code: 'engine.refused', message: /asked to show an image.*the disk is broken/ })
})

test('a list has running and other containers, by a name that is no pattern, with what is bound into them', async (t) => {
  const { socket, runtime } = await engineOf(t)
  const named = { ...spec(), name: 'nanoclaw-a.b-1', mounts: [{ source: '/dev/null', target: '/mnt/x', readonly: true }] }
  const { id } = await runtime.run(named)
  await runtime.run({ ...spec(), name: 'nanoclaw-a-b-1' })
  const found = { id, name: named.name, labels: named.labels, state: 'running', binds: ['/dev/null'] }
  assert.deepEqual(await runtime.list({ name: 'nanoclaw-a.b' }), [found])
  assert.equal((await runtime.list({ label: 'nanoclaw.test=1' })).length, 2)
  assert.equal((await runtime.list({})).length, 2)
  const asked = socket.asked.filter(({ line }) => line === 'GET /containers/json')
  assert.ok(asked.every(({ query }) => query.all === '1'))
  socket.answer = () => ({ status: 200, body: [{ Id: 'x', State: 'exited' }] })
  assert.deepEqual(await runtime.list({}), [{ id: 'x', name: '', labels: {}, state: 'exited', binds: [] }])
})

test('what makes no sense as an answer is said to be that', async (t) => {
  const { socket, runtime } = await engineOf(t)
  socket.answer = ({ line }) => (line.endsWith('create') ? { status: 201, body: { Warnings: [] } } : undefined)
  await assert.rejects(runtime.run(spec()), {
    code: 'engine.not-understood',
    message: /asked to create container nanoclaw-test-/,
  })
})

test('an isolation that is not there is told with those that are, and nothing is created', async (t) => {
  const { socket, runtime } = await engineOf(t)
  const isolated = { ...spec(), isolation: 'runsc' }
  await assert.rejects(runtime.run(isolated), { code: 'engine.isolation-missing', fault: 'user', message: /it has fake\)/ })
  assert.ok(!socket.lines().some((line) => line.endsWith('create')))
  const { runtime: bare } = await engineOf(t, { info: { Runtimes: null } })
  await assert.rejects(bare.run(isolated), { message: /it has none with a name\)/ })
})
