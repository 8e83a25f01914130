import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import type { FakeContainer } from '../../test/fakes/container.ts'
import { until } from '../../test/fakes/patience.ts'
import { addRun, answersIn, queueOffice } from '../../test/fakes/queue-office.ts'
import { registerChat } from '../../test/fakes/rooms.ts'
import type { TurnId } from '../domain/turn.ts'

test('a second message goes into the warm container', async (t) => {
  const { store, order, say } = queueOffice(t, { groups: ['main'], maxContainers: 5 })
  say('main', 'one')
  await until(() => answersIn(store, 'main') === 1, 'main is answered')
  say('main', 'two')
  await until(() => answersIn(store, 'main') === 2, 'main is answered twice')
  assert.deepEqual(order, ['start main', 'turn main', 'turn main'])
})

test('what a chat says while its turn runs goes into the container, and both are answered at once', async (t) => {
  const { store, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('a', 'and this')
  await until(() => queue.idle, 'nothing more is to be done')
  assert.deepEqual(order, ['start a', 'turn a', 'followup a'])
  assert.equal(answersIn(store, 'a'), 1)
  assert.deepEqual(store.turns.counts(), { pending: 0, running: 0, failed: 0 })
})

/** Who began to work, in order. */
const turns = (order: readonly string[]) => order.filter((line) => /^(turn|followup)/.test(line))

test('what a chat says while its container starts goes into it', async (t) => {
  const started = Promise.withResolvers<void>()
  const { order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1, started: started.promise })
  say('a', 'hang')
  await until(() => order.includes('start a'), 'a container of a is started')
  say('a', 'and this')
  started.resolve()
  await until(() => queue.idle, 'nothing more is to be done')
  assert.deepEqual(order, ['start a', 'turn a', 'followup a'])
})

test('while another group waits for the place, a chat waits with what it says next', async (t) => {
  const { store, order, queue, clock, say } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('b', 'hi')
  say('a', 'and this')
  await hasTheChance()
  assert.deepEqual(order, ['start a', 'turn a'], 'nothing goes into the container')
  queue.stopTurn('local:a')
  clock.advance(5_000)
  await until(() => answersIn(store, 'a') === 1, 'a is answered')
  assert.deepEqual([turns(order), answersIn(store, 'b')], [['turn a', 'turn b', 'turn a'], 1])
})

test('a group that always has more to say gives its place to one that waits after each turn', async (t) => {
  const { store, order, say, end } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('b', 'hi')
  say('a', 'more')
  end('a')
  await until(() => answersIn(store, 'a') === 2, 'a is answered twice')
  assert.deepEqual(
    order.filter((line) => !line.startsWith('gone')),
    ['start a', 'turn a', 'start b', 'turn b', 'start a', 'turn a'],
  )
})

test('a cleared session is noticed: the warm container leaves and a fresh one starts', async (t) => {
  const { store, order, say } = queueOffice(t, { groups: ['main'], maxContainers: 5 })
  say('main', 'one')
  await until(() => answersIn(store, 'main') === 1, 'main is answered')
  store.sessions.clear('main')
  say('main', 'two')
  await until(() => answersIn(store, 'main') === 2, 'main is answered twice')
  assert.deepEqual(order, ['start main', 'turn main', 'gone main', 'start main', 'turn main'])
})

test('groups wait for a place in the order they came, and idle containers give way at once', async (t) => {
  const { store, order, say } = queueOffice(t, { groups: ['a', 'b', 'c'], maxContainers: 1 })
  for (const group of ['c', 'a', 'b']) say(group, 'hi')
  await until(() => ['a', 'b', 'c'].every((group) => answersIn(store, group) === 1), 'all are answered')
  assert.deepEqual(
    order.filter((line) => !line.startsWith('turn')),
    ['start c', 'gone c', 'start a', 'gone a', 'start b'],
  )
})

test('a group that waits for 30 seconds is told its place, once', async (t) => {
  const { store, order, clock, say, deliveries } = queueOffice(t, { groups: ['a', 'b', 'c'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  const told = () => store.outbox.due(Number.MAX_SAFE_INTEGER).map(({ jid, text }) => `${jid} ${text.match(/number \d/)}`)
  say('b', 'hi')
  clock.advance(10_000)
  say('c', 'hi')
  clock.advance(19_999)
  assert.deepEqual([told(), deliveries()], [[], 0])
  clock.advance(1)
  assert.deepEqual([told(), deliveries()], [['local:b number 1'], 1])
  clock.advance(9_999)
  assert.deepEqual(told(), ['local:b number 1'])
  clock.advance(1)
  assert.deepEqual([told(), deliveries()], [['local:b number 1', 'local:c number 2'], 2])
  say('b', 'more')
  clock.advance(19_999)
  assert.equal(store.outbox.counts().pending, 2)
})

test('a group that had its turn is told its place again when it waits for long again', async (t) => {
  const { store, order, clock, say, end } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 1 })
  const told = () => store.messages.latest('local:b', 100).filter(({ text }) => text.includes('number 1')).length
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('b', 'hi')
  clock.advance(20_000)
  end('a')
  await until(() => answersIn(store, 'b') === 1, 'b is answered')
  say('a', 'hang')
  await until(() => turns(order).length === 3, 'the turn of a runs again')
  clock.advance(20_000)
  say('b', 'hi')
  clock.advance(29_999)
  assert.equal(told(), 0)
  clock.advance(1)
  assert.equal(told(), 1)
})

test('500 groups that wait cost rows and nothing else, and each is answered in its turn', async (t) => {
  const groups = Array.from({ length: 500 }, (_, n) => `g${n}`)
  const { store, order, containers, queue, clock, say } = queueOffice(t, { groups, maxContainers: 2 })
  for (const [n, group] of groups.entries()) say(group, n < 2 ? 'hang' : 'hi')
  await until(() => order.includes('turn g1'), 'the turn of g1 runs')
  assert.equal(containers.length, 2, 'two work, the others only wait')
  queue.stopTurn('local:g0')
  queue.stopTurn('local:g1')
  clock.advance(5_000)
  await until(() => queue.idle, 'nothing more is to be done')
  assert.ok(groups.slice(2).every((group) => answersIn(store, group) === 1))
  const started = order.filter((line) => line.startsWith('start')).map((line) => line.slice(6))
  assert.deepEqual(started, groups)
})

test('main has a place of its own when all others are taken', async (t) => {
  const { store, order, say } = queueOffice(t, { groups: ['main', 'a', 'b'], maxContainers: 1 })
  say('a', 'hang')
  say('b', 'hi')
  say('main', 'hi')
  await until(() => answersIn(store, 'main') === 1, 'main is answered')
  await hasTheChance()
  assert.deepEqual(order, ['start a', 'start main', 'turn a', 'turn main'], 'its container stays while b waits')
})

test("main's own place is nobody else's, and takes none of theirs", async (t) => {
  const { store, order, say } = queueOffice(t, { groups: ['main', 'a', 'b'], maxContainers: 1 })
  say('main', 'hang')
  await until(() => order.includes('turn main'), 'the turn of main runs')
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('b', 'hi')
  await hasTheChance()
  assert.deepEqual([order, answersIn(store, 'b')], [['start main', 'turn main', 'start a', 'turn a'], 0])
})

test('of idle containers the one that is idle for longest gives way, and as many as there are groups that wait', async (t) => {
  const groups = ['main', 'a', 'b', 'c', 'd']
  const { store, order, clock, say } = queueOffice(t, { groups, maxContainers: 3 })
  for (const group of ['main', 'b', 'a', 'c']) {
    say(group, 'hi')
    await until(() => answersIn(store, group) === 1, `${group} is answered`)
    clock.advance(1_000)
  }
  say('b', 'hi again')
  await until(() => answersIn(store, 'b') === 2, 'b is answered twice')
  say('d', 'hang')
  say('d', 'and this')
  await until(() => order.includes('turn d'), 'the turn of d runs')
  await hasTheChance()
  assert.deepEqual(
    order.filter((line) => line.startsWith('gone')),
    ['gone a'],
  )
})

test('two groups that wait have two idle containers leave, side by side', async (t) => {
  const { store, order, containers, say } = queueOffice(t, { groups: ['a', 'b', 'c', 'd'], maxContainers: 2 })
  for (const group of ['a', 'b']) {
    say(group, 'hi')
    await until(() => answersIn(store, group) === 1, `${group} is answered`)
  }
  const [slow] = containers
  if (!slow) return assert.fail('there is no container')
  const stay = t.mock.method(slow, 'exit', () => {}, { times: 1 })
  for (const group of ['c', 'd']) say(group, 'hang')
  await until(() => order.includes('turn c'), 'the turn of c runs')
  assert.deepEqual([stay.mock.callCount(), order.includes('gone b')], [1, true])
  slow.exit()
  await until(() => order.includes('turn d'), 'the turn of d runs')
})

test('a group that waits for its next try holds nobody up', async (t) => {
  const { store, queue, clock, order, say } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 1 })
  say('a', 'fail')
  say('b', 'hi')
  await until(() => answersIn(store, 'b') === 1, 'b is answered')
  const alarms = clock.waiting
  for (let times = 0; times < 3; times++) queue.wake('a')
  clock.advance(4_999)
  await hasTheChance()
  assert.deepEqual([turns(order), clock.waiting], [['turn a', 'turn b'], alarms])
  clock.advance(1)
  await until(() => order.filter((line) => line === 'turn a').length === 2, 'a is tried again')
})

test('work that is gone when it is taken up leaves the group ready for the next', async (t) => {
  const { store, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
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
  await until(() => looks >= 4 && queue.idle, 'the work was found gone')
  say('a', 'two')
  await until(() => answersIn(store, 'a') === 1, 'a is answered')
})

test('a shutdown at once does not wait for a turn whose container is only starting', async (t) => {
  const started = Promise.withResolvers<void>()
  const { store, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1, started: started.promise })
  say('a', 'hang')
  await until(() => order.includes('start a'), 'a container of a is started')
  const over = queue.shutdown({ graceMs: 60_000, now: AbortSignal.abort() })
  started.resolve()
  await over
  assert.ok(!order.includes('turn a'))
  assert.deepEqual(store.turns.counts(), { pending: 1, running: 0, failed: 0 })
})

test('a group whose container is to go finishes its turn in it, and gets a fresh one for the next', async (t) => {
  const { store, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  const closed = queue.closeGroup('a')
  say('a', 'and this')
  await closed
  say('a', 'next')
  await until(() => answersIn(store, 'a') === 2, 'a is answered twice')
  assert.deepEqual(order, ['start a', 'turn a', 'followup a', 'gone a', 'start a', 'turn a'])
})

test('a turn that waits already when the container of its group is to go gets a fresh one, too', async (t) => {
  const { store, order, queue, say, end } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  registerChat(store, { jid: 'local:other', folder: 'a' })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('a', 'hi', 'local:other')
  const closed = queue.closeGroup('a')
  end('a')
  await closed
  assert.deepEqual(order, ['start a', 'turn a', 'gone a', 'start a', 'turn a', 'gone a'])
})

test('the idle container of a group that is to be closed leaves at once', async (t) => {
  const { store, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hi')
  await until(() => answersIn(store, 'a') === 1 && queue.idle, 'a is answered, and nothing more is to be done')
  await queue.closeGroup('a')
  assert.deepEqual([order, queue.containers()], [['start a', 'turn a', 'gone a'], []])
  await queue.closeGroup('a')
  await queue.closeGroup('nobody')
})

test('an idle container leaves IDLE_TIMEOUT after its last turn', async (t) => {
  const { store, clock, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  for (const times of [1, 2]) {
    say('a', 'hi')
    await until(() => answersIn(store, 'a') === times && queue.idle, 'a is answered, and nothing more is to be done')
    clock.advance(599_999)
    await hasTheChance()
    assert.ok(!order.includes('gone a'))
  }
  clock.advance(1)
  await until(() => order.includes('gone a'), 'the container of a is gone')
  assert.deepEqual(order, ['start a', 'turn a', 'turn a', 'gone a'])
})

test('a container that does not leave when it is asked to is killed after five seconds', async (t) => {
  const { store, clock, queue, containers, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hi')
  await until(() => answersIn(store, 'a') === 1 && queue.idle, 'a is answered, and nothing more is to be done')
  const [container] = containers
  if (!container) return assert.fail('there is no container')
  const stay = t.mock.method(container, 'exit', () => {}, { times: 1 })
  const closed = queue.closeGroup('a')
  await until(() => stay.mock.callCount() === 1, 'it is asked to leave')
  clock.advance(4_999)
  await hasTheChance()
  assert.equal(container.kills, 0)
  clock.advance(1)
  await closed
  assert.equal(container.kills, 1)
})

test('a stopped turn is over and the group works again', async (t) => {
  const { store, queue, clock, order, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  assert.equal(queue.stopTurn('local:a'), true)
  clock.advance(5_000)
  await until(() => queue.idle, 'nothing more is to be done')
  say('a', 'hi')
  await until(() => answersIn(store, 'a') === 1, 'a is answered')
  assert.equal(queue.stopTurn('local:a'), false)
})

test('a shutdown waits for the grace, then leaves the turn to the next start', async (t) => {
  const { store, queue, clock, order, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  const over = queue.shutdown({ graceMs: 20_000, now: new AbortController().signal })
  clock.advance(19_999)
  await hasTheChance()
  assert.equal(store.turns.counts().running, 1)
  clock.advance(1)
  await over
  assert.deepEqual(store.turns.counts(), { pending: 1, running: 0, failed: 0 })
})

test('a shutdown lets a turn finish, begins nothing more, and ends every container', async (t) => {
  const { store, queue, clock, order, say, end } = queueOffice(t, { groups: ['a', 'b', 'c', 'd'], maxContainers: 2 })
  say('c', 'fail')
  await until(() => store.turns.counts().pending === 1, 'c waits for its next try')
  say('d', 'hi')
  await until(() => answersIn(store, 'd') === 1 && queue.idle, 'd is answered, and its container idle')
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  addRun(store, 'a', { prompt: 'hang' })
  queue.wake('a')
  await until(() => order.filter((line) => line === 'turn a').length === 2, 'the task runs, too')
  say('b', 'hi')
  assert.equal(queue.stateOf('b'), 'waiting')
  const over = queue.shutdown({ graceMs: 60_000, now: new AbortController().signal })
  say('a', 'more')
  say('d', 'more')
  clock.advance(30_000)
  end('a')
  end('a', { lane: 'isolated' })
  await over
  assert.deepEqual([answersIn(store, 'a'), store.turns.counts()], [2, { pending: 1, running: 0, failed: 0 }])
  assert.deepEqual([queue.containers(), clock.waiting, store.outbox.counts().pending], [[], 0, 3])
  queue.wake('b')
  clock.advance(600_000)
  await hasTheChance()
  assert.ok(!order.includes('start b'))
  assert.equal(order.filter((line) => line.startsWith('turn c')).length, 1)
})

test('a shutdown that is not to wait any longer ends what runs at once', async (t) => {
  const { store, queue, order, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  const now = new AbortController()
  const over = queue.shutdown({ graceMs: 60_000, now: now.signal })
  await hasTheChance()
  assert.equal(store.turns.counts().running, 1)
  now.abort()
  await over
  assert.deepEqual([order.at(-1), store.turns.counts()], ['gone a', { pending: 1, running: 0, failed: 0 }])
})

test('a shutdown ends although an answer cannot be stored, which is then asked for at the next start', async (t) => {
  const { store, queue, order, say, end } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  t.mock.method(store.outbox, 'add', () => {
    throw new Error('disk full')
  })
  const over = queue.shutdown({ graceMs: 60_000, now: new AbortController().signal })
  end('a')
  await over
  assert.deepEqual(store.turns.counts(), { pending: 0, running: 1, failed: 0 })
})

test('what a chat is worked for can be seen, and a stop ends its answer before a task beside it', async (t) => {
  const { store, queue, order, clock, shown, say } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 2 })
  assert.deepEqual([queue.worksFor('local:a'), queue.stateOf('a')], [false, 'idle'])
  addRun(store, 'a', { prompt: 'hang' })
  queue.wake('a')
  await until(() => order.includes('turn a'), 'the task runs')
  assert.deepEqual([shown, queue.worksFor('local:a'), queue.stateOf('a')], [[], true, 'running'])
  say('a', 'hang')
  await until(() => order.filter((line) => line === 'turn a').length === 2, 'the message is worked on, too')
  say('b', 'hi')
  assert.equal(queue.stateOf('b'), 'waiting')
  const working = () => queue.containers().map(({ folder, lane, working }) => [folder, lane, working])
  assert.deepEqual(working(), [
    ['a', 'isolated', true],
    ['a', 'chat', true],
  ])
  assert.ok(queue.stopTurn('local:a'))
  clock.advance(5_000)
  await until(() => answersIn(store, 'b') === 1 && queue.stateOf('b') === 'idle', 'b has the place of the chat')
  assert.deepEqual(working(), [
    ['a', 'isolated', true],
    ['b', 'chat', false],
  ])
  assert.deepEqual(shown, ['begins in local:a', 'ends in local:a', 'begins in local:b', 'ends in local:b'])
  assert.ok(queue.stopTurn('local:a'))
  clock.advance(5_000)
  await until(() => !queue.worksFor('local:a'), 'the task is stopped')
})

test('an answer that cannot be stored is stored as soon as it can', async (t) => {
  const { store, clock, order, say, deliveries } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  const full = t.mock.method(store.outbox, 'add', () => {
    throw new Error('disk full')
  })
  say('a', 'hi')
  await until(() => full.mock.callCount() === 1, 'the disk is full')
  clock.advance(4_999)
  await hasTheChance()
  assert.deepEqual([full.mock.callCount(), deliveries()], [1, 0])
  full.mock.restore()
  clock.advance(1)
  await until(() => answersIn(store, 'a') === 1 && deliveries() === 1, 'a is answered')
  assert.deepEqual(order, ['start a', 'turn a'])
})

test('the log tells the sessions of tasks from those of the conversation, which doctor looks at', async (t) => {
  const { store, queue, lines, say } = queueOffice(t, { groups: ['a'], maxContainers: 2 })
  for (let n = 0; n < 3; n++) addRun(store, 'a')
  say('a', 'hi')
  await until(() => queue.idle && answersIn(store, 'a') === 4, 'the message and the tasks are answered')
  assert.deepEqual(lines.map((line) => line.replace(/: session-a$/, '')).sort(), [
    'Group a: Session initialized',
    ...Array(3).fill('Group a: Session of a task initialized'),
  ])
})

test('tasks beside the chats run in containers of their own, one after another, and each leaves at its end', async (t) => {
  const { store, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 2 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  addRun(store, 'a')
  addRun(store, 'a')
  queue.wake('a')
  await until(() => store.turns.counts().pending === 0 && queue.containers().length === 1, 'the tasks are over')
  assert.deepEqual(order, ['start a', 'turn a', 'start a', 'turn a', 'gone a', 'start a', 'turn a', 'gone a'])
  assert.equal(queue.stateOf('a'), 'running', 'the chat was never touched')
})

test("a task beside main's chats waits for a place like everybody's", async (t) => {
  const { store, order, queue, clock, say } = queueOffice(t, { groups: ['main', 'b'], maxContainers: 1 })
  say('b', 'hang')
  await until(() => order.includes('turn b'), 'the turn of b runs')
  addRun(store, 'main')
  queue.wake('main')
  say('main', 'hi')
  await until(() => answersIn(store, 'main') === 1, 'main is answered')
  assert.deepEqual(order, ['start b', 'turn b', 'start main', 'turn main'])
  queue.stopTurn('local:b')
  clock.advance(5_000)
  await until(() => answersIn(store, 'main') === 2, 'main is answered twice')
})

/** The first thing that the host writes to this container fails. */
function breakFirstFrame(t: TestContext, container: FakeContainer): void {
  const fails = () => {
    throw new Error('broken')
  }
  t.mock.method(container.stdin, 'write', fails, { times: 1 })
}

test('a turn that breaks within the host takes its container along, so that it holds no place', async (t) => {
  const { promise: started, resolve: release } = Promise.withResolvers<void>()
  const { store, order, containers, say } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 1, started })
  say('a', 'hang')
  await until(() => order.includes('start a'), 'a container of a is started')
  const [broken] = containers
  if (!broken) return assert.fail('there is no container')
  breakFirstFrame(t, broken)
  const { promise: killed, resolve: endKill } = Promise.withResolvers<void>()
  const kill = t.mock.method(broken, 'kill', () => killed)
  release()
  await until(() => kill.mock.callCount() === 1, 'the container is being killed')
  await hasTheChance()
  assert.deepEqual(store.turns.counts(), { pending: 0, running: 1, failed: 0 }, 'the turn is over when the container is')
  broken.exit()
  endKill()
  await until(() => order.includes('gone a'), 'the container of a is gone')
  say('b', 'hi')
  await until(() => answersIn(store, 'b') === 1, 'b is answered')
})

test('what is said while a broken container is still leaving goes into the next one', async (t) => {
  const { promise: started, resolve: release } = Promise.withResolvers<void>()
  const { store, queue, order, containers, say } = queueOffice(t, { groups: ['a'], maxContainers: 1, started })
  registerChat(store, { jid: 'local:other', folder: 'a' })
  const sayInOther = (text: string) => {
    store.messages.add({ jid: 'local:other', id: text, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false })
    queue.wake('a')
  }
  say('a', 'one')
  await until(() => order.includes('start a'), 'a container of a is started')
  sayInOther('two')
  const broken = containers[0] ?? assert.fail('there is no container')
  breakFirstFrame(t, broken)
  Object.assign(broken, { next: () => new Promise(() => {}), kill: async () => {} })
  const written = t.mock.method(broken, 'kill')
  release()
  await until(() => written.mock.callCount() === 1, 'the container is being killed')
  sayInOther('three')
  broken.exit()
  await until(() => queue.idle, 'nothing more is to be done')
  assert.deepEqual(store.turns.openOf('local:other'), [])
})

test('work that cannot be taken up for a full disk is tried again after a pause, and holds nobody up', async (t) => {
  const { store, queue, clock, say } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 1 })
  const add = store.turns.add.bind(store.turns)
  const full = t.mock.method(store.turns, 'add', (turn: Parameters<typeof add>[0]) => {
    if (turn.folder === 'b' || full.mock.callCount() > 100) return add(turn)
    throw new Error('disk full')
  })
  say('a', 'hi')
  await until(() => queue.idle, 'nothing more is to be done')
  say('b', 'hi')
  await until(() => answersIn(store, 'b') === 1, 'b is answered')
  clock.advance(4_999)
  await hasTheChance()
  assert.equal(full.mock.calls.filter(({ arguments: [turn] }) => turn.folder === 'a').length, 1)
  full.mock.restore()
  clock.advance(1)
  await until(() => answersIn(store, 'a') === 1, 'a is answered')
})

test('a place that cannot be told for a full disk harms nobody', async (t) => {
  const { store, clock, order, say } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('b', 'hi')
  const full = t.mock.method(store.outbox, 'add', () => {
    throw new Error('disk full')
  })
  assert.doesNotThrow(() => clock.advance(30_000))
  assert.equal(full.mock.callCount(), 1)
})

test('a container that takes no further turn, and does not leave by itself, gives up its place', async (t) => {
  const { store, queue, order, containers, say } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  const uuid = queue.containers()[0]?.run.turn?.uuid ?? assert.fail('nothing runs')
  containers[0]?.result({ status: 'error', errorClass: 'invalid-request', error: 'no', consumed: [uuid] })
  await until(() => queue.stateOf('a') === 'idle', 'the turn of a is over')
  say('b', 'hi')
  await until(() => answersIn(store, 'b') === 1, 'b is answered')
})
