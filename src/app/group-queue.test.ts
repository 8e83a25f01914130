import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { FakeContainer } from '../../test/fakes/container.ts'
import { registerChat, storeWith } from '../../test/fakes/rooms.ts'
import { AgentRun } from '../container/agent-run.ts'
import { RunLog } from '../container/run-log.ts'
import type { StartRequest } from '../container-runner.ts'
import type { TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'
import { Feed } from './feed.ts'
import { GroupQueue } from './group-queue.ts'
import { TurnDesk } from './turn-desk.ts'

/** The real queue, desk, lanes and store; containers are played by the test. `order` is what happened, in order. */
function office(
  t: { after(fn: () => void): void },
  { groups, maxContainers, started }: { groups: string[]; maxContainers: number; started?: Promise<void> },
) {
  const { store, folder } = storeWith(t, groups)
  const clock = new ManualClock()
  const desk = new TurnDesk(
    { store, feed: new Feed(), now: clock.now },
    { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'x' },
  )
  const order: string[] = []
  const containers: FakeContainer[] = []
  const lines: string[] = []
  const quiet = { info: (text: string) => void lines.push(text), warn() {}, error() {}, debug() {} }
  const start = async ({ group, listener }: StartRequest) => {
    const container = new FakeContainer()
    containers.push(container)
    order.push(`start ${group.folder}`)
    await started
    const log = RunLog.create({ folder, at: new Date(0), redact: (text) => text })
    const run = new AgentRun({ name: group.folder, container, clock, log, listener, limit: () => undefined })
    void run.ended.then(() => order.push(`gone ${group.folder}`))
    void playAgent({ container, folder: group.folder, order })
    return run
  }
  const queue = new GroupQueue(
    {
      desk,
      clock,
      deliver: () => {},
      isMain: (name) => name === 'main',
      showWork: () => () => {},
      log: quiet,
      lane: { start, onSession: (claimed, id) => desk.sessionNamed(claimed, id), onActivity: () => {}, log: quiet },
    },
    { root: folder, assistantName: 'Andy', timeoutMs: 60_000, maxContainers, idleTimeoutMs: 600_000 },
  )
  let n = 0
  const say = (group: string, text: string) => {
    store.messages.add({ jid: `local:${group}`, id: String(n++), sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false })
    queue.wake(group)
  }
  return { store, queue, clock, order, containers, lines, say }
}

/** Answers every turn with "done"; a prompt with "hang" is never answered, one with "fail" fails; leaves when asked to. */
async function playAgent({
  container,
  folder,
  order,
}: {
  container: FakeContainer
  folder: string
  order: string[]
}): Promise<void> {
  let open: string[] = []
  for (let frame = await container.next(); frame && frame.type !== 'close'; frame = await container.next()) {
    if (frame.type !== 'turn' && frame.type !== 'followup') continue
    const { uuid, prompt } = frame
    order.push(`${frame.type} ${folder}`)
    open = [...(frame.type === 'turn' ? [] : open), uuid]
    container.frame({ type: 'session', sessionId: `session-${folder}` })
    if (prompt.includes('fail')) container.result({ status: 'error', errorClass: 'overload', error: '529', consumed: [uuid] })
    else if (!prompt.includes('hang')) container.result({ result: 'done', consumed: open })
  }
  container.exit()
}

/** Lets everything that is ready happen. */
async function settle(condition: () => boolean): Promise<void> {
  for (let n = 0; n < 20_000 && !condition(); n++) await new Promise(setImmediate)
  assert.ok(condition(), 'it did not come to pass')
}

const answers = (store: Store, group: string) =>
  store.messages.latest(`local:${group}`, 100).filter((m) => m.fromAssistant).length

test('a second message goes into the warm container', async (t) => {
  const { store, order, say } = office(t, { groups: ['main'], maxContainers: 5 })
  say('main', 'one')
  await settle(() => answers(store, 'main') === 1)
  say('main', 'two')
  await settle(() => answers(store, 'main') === 2)
  assert.deepEqual(order, ['start main', 'turn main', 'turn main'])
})

test('what a chat says while its turn runs goes into the container, and both are answered at once', async (t) => {
  const { store, order, queue, say } = office(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await settle(() => order.includes('turn a'))
  say('a', 'and this')
  await settle(() => queue.idle)
  assert.deepEqual(order, ['start a', 'turn a', 'followup a'])
  assert.equal(answers(store, 'a'), 1)
  assert.deepEqual(store.turns.counts(), { pending: 0, running: 0, failed: 0 })
})

test('while another group waits for the place, a chat waits with what it says next', async (t) => {
  const { store, order, queue, say } = office(t, { groups: ['a', 'b'], maxContainers: 1 })
  say('a', 'hang')
  await settle(() => order.includes('turn a'))
  say('b', 'hi')
  say('a', 'and this')
  assert.ok(!order.includes('followup a'))
  queue.stopTurn('local:a')
  await settle(() => order.includes('turn a'))
  assert.equal(answers(store, 'b'), 0)
})

test('a cleared session is noticed: the warm container leaves and a fresh one starts', async (t) => {
  const { store, order, say } = office(t, { groups: ['main'], maxContainers: 5 })
  say('main', 'one')
  await settle(() => answers(store, 'main') === 1)
  store.sessions.clear('main')
  say('main', 'two')
  await settle(() => answers(store, 'main') === 2)
  assert.deepEqual(order, ['start main', 'turn main', 'gone main', 'start main', 'turn main'])
})

test('groups wait for a place in the order they came, and idle containers give way at once', async (t) => {
  const { store, order, say } = office(t, { groups: ['a', 'b', 'c'], maxContainers: 1 })
  for (const group of ['c', 'a', 'b']) say(group, 'hi')
  await settle(() => ['a', 'b', 'c'].every((group) => answers(store, group) === 1))
  assert.deepEqual(
    order.filter((line) => !line.startsWith('turn')),
    ['start c', 'gone c', 'start a', 'gone a', 'start b'],
  )
})

test('a group that waits for 30 seconds is told its place, once', async (t) => {
  const { store, order, clock, say } = office(t, { groups: ['a', 'b', 'c'], maxContainers: 1 })
  say('a', 'hang')
  await settle(() => order.includes('turn a'))
  say('b', 'hi')
  say('c', 'hi')
  const told = () => store.outbox.due(Number.MAX_SAFE_INTEGER).map(({ jid, text }) => `${jid} ${text.match(/number \d/)}`)
  clock.advance(29_999)
  assert.deepEqual(told(), [])
  clock.advance(1)
  assert.deepEqual(told(), ['local:b number 1', 'local:c number 2'])
  clock.advance(25_000)
  assert.equal(told().length, 2)
})

test('500 groups that wait cost rows and nothing else, and each is answered in its turn', async (t) => {
  const groups = Array.from({ length: 500 }, (_, n) => `g${n}`)
  const { store, order, containers, queue, clock, say } = office(t, { groups, maxContainers: 2 })
  for (const [n, group] of groups.entries()) say(group, n < 2 ? 'hang' : 'hi')
  await settle(() => order.includes('turn g1'))
  assert.equal(containers.length, 2, 'two work, the others only wait')
  queue.stopTurn('local:g0')
  queue.stopTurn('local:g1')
  clock.advance(5_000)
  await settle(() => queue.idle)
  assert.ok(groups.slice(2).every((group) => answers(store, group) === 1))
  const started = order.filter((line) => line.startsWith('start')).map((line) => line.slice(6))
  assert.deepEqual(started, groups)
})

test('main has a place of its own when all others are taken', async (t) => {
  const { store, order, say } = office(t, { groups: ['main', 'a', 'b'], maxContainers: 1 })
  say('a', 'hang')
  say('b', 'hi')
  say('main', 'hi')
  await settle(() => answers(store, 'main') === 1)
  assert.deepEqual(order, ['start a', 'start main', 'turn a', 'turn main'])
})

test('a group that waits for its next try holds nobody up', async (t) => {
  const { store, clock, order, say } = office(t, { groups: ['a', 'b'], maxContainers: 1 })
  say('a', 'fail')
  say('b', 'hi')
  await settle(() => answers(store, 'b') === 1)
  assert.equal(order.filter((line) => line === 'turn a').length, 1)
  clock.advance(5_000)
  await settle(() => order.filter((line) => line === 'turn a').length === 2)
})

test('work that is gone when it is taken up leaves the group ready for the next', async (t) => {
  const { store, queue, say } = office(t, { groups: ['a'], maxContainers: 1 })
  const real = store.turns.openOf.bind(store.turns)
  const elsewhere = {
    turn: { state: 'running' as const, id: 9 as TurnId, tries: 1, failures: 0, told: false, startedAt: 0 },
    folder: 'a',
    jid: 'local:a',
    error: null,
  }
  // A look asks twice: there when the queue looks, gone when the desk takes it up and when the queue looks again.
  let looks = 0
  t.mock.method(store.turns, 'openOf', (jid: string) => ([3, 4].includes(++looks) ? [elsewhere] : real(jid)))
  say('a', 'one')
  await settle(() => looks >= 4 && queue.idle)
  say('a', 'two')
  await settle(() => answers(store, 'a') === 1)
})

test('a shutdown at once does not wait for a turn whose container is only starting', async (t) => {
  const started = Promise.withResolvers<void>()
  const { store, order, queue, say } = office(t, { groups: ['a'], maxContainers: 1, started: started.promise })
  say('a', 'hang')
  await settle(() => order.includes('start a'))
  let isOver = false
  void queue.shutdown({ graceMs: 60_000, now: AbortSignal.abort() }).then(() => {
    isOver = true
  })
  started.resolve()
  await settle(() => isOver)
  assert.ok(!order.includes('turn a'))
  assert.deepEqual(store.turns.counts(), { pending: 1, running: 0, failed: 0 })
})

test('a group whose container is to go finishes its turn in it, and gets a fresh one for the next', async (t) => {
  const { store, order, queue, say } = office(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await settle(() => order.includes('turn a'))
  const closed = queue.closeGroup('a')
  say('a', 'and this')
  await closed
  say('a', 'next')
  await settle(() => answers(store, 'a') === 2)
  assert.deepEqual(order, ['start a', 'turn a', 'followup a', 'gone a', 'start a', 'turn a'])
})

test('an idle container leaves after IDLE_TIMEOUT', async (t) => {
  const { store, clock, order, queue, say } = office(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hi')
  await settle(() => answers(store, 'a') === 1 && queue.idle)
  clock.advance(599_999)
  assert.ok(!order.includes('gone a'))
  clock.advance(1)
  await settle(() => order.includes('gone a'))
})

test('a stopped turn is over and the group works again', async (t) => {
  const { store, queue, clock, order, say } = office(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await settle(() => order.includes('turn a'))
  assert.equal(queue.stopTurn('local:a'), true)
  clock.advance(5_000)
  await settle(() => queue.idle)
  say('a', 'hi')
  await settle(() => answers(store, 'a') === 1)
  assert.equal(queue.stopTurn('local:a'), false)
})

test('a shutdown waits for the grace, then leaves the turn to the next start', async (t) => {
  const { store, queue, clock, order, say } = office(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await settle(() => order.includes('turn a'))
  const over = queue.shutdown({ graceMs: 20_000, now: new AbortController().signal })
  clock.advance(19_999)
  assert.equal(store.turns.counts().running, 1)
  clock.advance(1)
  await over
  assert.deepEqual(store.turns.counts(), { pending: 1, running: 0, failed: 0 })
})

test('an answer that cannot be stored is stored as soon as it can', async (t) => {
  const { store, clock, order, say } = office(t, { groups: ['a'], maxContainers: 1 })
  const full = t.mock.method(store.outbox, 'add', () => {
    throw new Error('disk full')
  })
  say('a', 'hi')
  await settle(() => full.mock.callCount() === 1)
  full.mock.restore()
  clock.advance(5_000)
  await settle(() => answers(store, 'a') === 1)
  assert.deepEqual(order, ['start a', 'turn a'])
})

/** A run of a task beside the chats of a group. */
function addIsolatedRun(store: Store, folder: string): void {
  const fields = { prompt: 'task', script: null, status: 'active', reason: null, lastRun: null, lastResult: null } as const
  const schedule = { type: 'interval', value: '60000' }
  const id = `task-${store.tasks.all().length}`
  const jid = `local:${folder}`
  store.tasks.add({ ...fields, id, folder, jid, schedule, contextMode: 'isolated', catchUp: 'once', nextRun: 1, createdAt: 0 })
  const runId = store.tasks.startRun({ taskId: id, at: 0 })
  store.turns.addTask({ folder, jid, lane: 'isolated', runId, at: 0 })
}

test('the log tells the sessions of tasks from those of the conversation, which doctor looks at', async (t) => {
  const { store, queue, lines, say } = office(t, { groups: ['a'], maxContainers: 2 })
  for (let n = 0; n < 3; n++) addIsolatedRun(store, 'a')
  say('a', 'hi')
  await settle(() => queue.idle && answers(store, 'a') === 4)
  assert.deepEqual(lines.map((line) => line.replace(/: session-a$/, '')).sort(), [
    'Group a: Session initialized',
    ...Array(3).fill('Group a: Session of a task initialized'),
  ])
})

test('tasks beside the chats run in containers of their own, one after another, and each leaves at its end', async (t) => {
  const { store, order, queue, say } = office(t, { groups: ['a'], maxContainers: 2 })
  say('a', 'hang')
  await settle(() => order.includes('turn a'))
  addIsolatedRun(store, 'a')
  addIsolatedRun(store, 'a')
  queue.wake('a')
  await settle(() => store.turns.counts().pending === 0 && queue.containers().length === 1)
  assert.deepEqual(order, ['start a', 'turn a', 'start a', 'turn a', 'gone a', 'start a', 'turn a', 'gone a'])
  assert.equal(queue.stateOf('a'), 'running', 'the chat was never touched')
})

test("a task beside main's chats waits for a place like everybody's", async (t) => {
  const { store, order, queue, clock, say } = office(t, { groups: ['main', 'b'], maxContainers: 1 })
  say('b', 'hang')
  await settle(() => order.includes('turn b'))
  addIsolatedRun(store, 'main')
  queue.wake('main')
  say('main', 'hi')
  await settle(() => answers(store, 'main') === 1)
  assert.deepEqual(order, ['start b', 'turn b', 'start main', 'turn main'])
  queue.stopTurn('local:b')
  clock.advance(5_000)
  await settle(() => answers(store, 'main') === 2)
})

/** The first thing that the host writes to this container fails. */
function breakFirstFrame(t: TestContext, container: FakeContainer | undefined): void {
  const fails = () => {
    throw new Error('broken')
  }
  t.mock.method(container?.stdin ?? assert.fail('there is no container'), 'write', fails, { times: 1 })
}

test('a turn that breaks within the host takes its container along, so that it holds no place', async (t) => {
  const { promise: started, resolve: release } = Promise.withResolvers<void>()
  const { store, order, containers, say } = office(t, { groups: ['a', 'b'], maxContainers: 1, started })
  say('a', 'hang')
  await settle(() => order.includes('start a'))
  breakFirstFrame(t, containers[0])
  release()
  await settle(() => order.includes('gone a'))
  say('b', 'hi')
  await settle(() => answers(store, 'b') === 1)
})

test('what is said while a broken container is still leaving goes into the next one', async (t) => {
  const { promise: started, resolve: release } = Promise.withResolvers<void>()
  const { store, queue, order, containers, say } = office(t, { groups: ['a'], maxContainers: 1, started })
  registerChat(store, { jid: 'local:other', folder: 'a' })
  const sayInOther = (text: string) => {
    store.messages.add({ jid: 'local:other', id: text, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false })
    queue.wake('a')
  }
  say('a', 'one')
  await settle(() => order.includes('start a'))
  sayInOther('two')
  const broken = containers[0] ?? assert.fail('there is no container')
  breakFirstFrame(t, broken)
  Object.assign(broken, { next: () => new Promise(() => {}), kill: async () => {} })
  release()
  await settle(() => queue.worksFor('local:other'))
  sayInOther('three')
  broken.exit()
  await settle(() => queue.idle)
  assert.deepEqual(store.turns.openOf('local:other'), [])
})

test('work that cannot be taken up for a full disk is tried again after a pause, and holds nobody up', async (t) => {
  const { store, queue, clock, say } = office(t, { groups: ['a', 'b'], maxContainers: 1 })
  const add = store.turns.add.bind(store.turns)
  const full = t.mock.method(store.turns, 'add', (turn: Parameters<typeof add>[0]) => {
    if (turn.folder === 'b' || full.mock.callCount() > 100) return add(turn)
    throw new Error('disk full')
  })
  say('a', 'hi')
  await settle(() => queue.idle)
  say('b', 'hi')
  await settle(() => answers(store, 'b') === 1)
  assert.equal(full.mock.calls.filter(({ arguments: [turn] }) => turn.folder === 'a').length, 1)
  full.mock.restore()
  clock.advance(5_000)
  await settle(() => answers(store, 'a') === 1)
})

test('a place that cannot be told for a full disk harms nobody', async (t) => {
  const { store, clock, order, say } = office(t, { groups: ['a', 'b'], maxContainers: 1 })
  say('a', 'hang')
  await settle(() => order.includes('turn a'))
  say('b', 'hi')
  const full = t.mock.method(store.outbox, 'add', () => {
    throw new Error('disk full')
  })
  assert.doesNotThrow(() => clock.advance(30_000))
  assert.equal(full.mock.callCount(), 1)
})

test('a container that takes no further turn, and does not leave by itself, gives up its place', async (t) => {
  const { store, queue, order, containers, say } = office(t, { groups: ['a', 'b'], maxContainers: 1 })
  say('a', 'hang')
  await settle(() => order.includes('turn a'))
  const uuid = queue.containers()[0]?.run.turn?.uuid ?? assert.fail('nothing runs')
  containers[0]?.result({ status: 'error', errorClass: 'invalid-request', error: 'no', consumed: [uuid] })
  await settle(() => queue.stateOf('a') === 'idle')
  say('b', 'hi')
  await settle(() => answers(store, 'b') === 1)
})
