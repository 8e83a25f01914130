import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { until } from '../../test/fakes/patience.ts'
import { answersIn, queueOffice } from '../../test/fakes/queue-office.ts'
import { registerChat } from '../../test/fakes/rooms.ts'

// Whatever a port, the store or the engine does, each turn that was claimed reaches its end.

/** Throws once, when it is armed. */
function trap(what: string): { armed: boolean; spring(): void } {
  const it = {
    armed: false,
    spring() {
      if (!it.armed) return
      it.armed = false
      throw new Error(what)
    },
  }
  return it
}

test('an error after an answer was stored strands neither the follow-ups in flight nor the group', async (t) => {
  const broken = trap('the store cannot be read')
  broken.armed = true
  const { store, queue, order, errors, say, end } = queueOffice(t, {
    ...{ groups: ['a'], maxContainers: 1 },
    ports: { deliver: () => broken.spring() },
  })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('a', 'and hang')
  await until(() => order.includes('followup a'), 'the follow-up is in flight')
  end('a')
  await until(() => answersIn(store, 'a') === 1, 'the first is answered')
  end('a')
  await until(() => answersIn(store, 'a') === 2 && queue.idle, 'the follow-up is answered')
  assert.deepEqual([errors, store.turns.counts().running], [['Group a: the store cannot be read'], 0])
})

test('a store that cannot be read when a place is free delays those that wait, and ends nothing', async (t) => {
  const broken = trap('the store cannot be read')
  const isMain = () => {
    broken.spring()
    return false
  }
  const { store, order, clock, errors, say, end } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 1, ports: { isMain } })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('b', 'hi')
  say('a', 'more')
  broken.armed = true
  end('a')
  await until(() => answersIn(store, 'b') === 1, 'b is answered')
  clock.advance(5_000)
  await until(() => answersIn(store, 'a') === 2, 'a is answered, too')
  assert.deepEqual(errors, ['Group a: the store cannot be read'])
})

test('a session whose name cannot be stored does not delay its answer, and is named with it', async (t) => {
  const broken = trap('the disk is full')
  broken.armed = true
  const office = queueOffice(t, {
    ...{ groups: ['a'], maxContainers: 1 },
    onSession: (claimed, id) => {
      broken.spring()
      office.desk.sessionNamed(claimed, id)
    },
  })
  const { store, order, errors, say } = office
  for (const times of [1, 2]) {
    say('a', 'hi')
    await until(() => answersIn(store, 'a') === times, 'a is answered')
  }
  assert.deepEqual([order, store.sessions.get('a')], [['start a', 'turn a', 'turn a'], 'session-a'])
  assert.deepEqual(errors, ['Group a: the disk is full'])
})

test('a chat that cannot be shown that it is worked for is answered all the same', async (t) => {
  const [begin, finish] = [trap('no sign'), trap('no end of it')]
  const showWork = () => {
    begin.spring()
    return () => finish.spring()
  }
  const { store, queue, errors, say } = queueOffice(t, { groups: ['a'], maxContainers: 1, ports: { showWork } })
  for (const [times, armed] of [begin, finish].entries()) {
    armed.armed = true
    say('a', 'hi')
    await until(() => answersIn(store, 'a') === times + 1 && queue.idle, 'a is answered')
  }
  assert.deepEqual(errors, ['Group a: no sign', 'Group a: no end of it'])
})

test('an answer whose turn is gone is dropped, and its group works on', async (t) => {
  const { store, queue, order, clock, errors, say, end } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  const [running] = store.turns.running()
  store.turns.save({ ...(running?.turn ?? assert.fail('nothing runs')), state: 'stopped', endedAt: 0 })
  end('a')
  await until(() => queue.idle, 'the turn is over')
  clock.advance(5_000)
  say('a', 'hi')
  await until(() => answersIn(store, 'a') === 1, 'a is answered')
  assert.match(String(errors), /^An answer could not be stored, its turn is gone: turn 1 is stopped and cannot take "answered"$/)
})

test('of two turns that end together, one that is gone does not take the other along', async (t) => {
  const { store, queue, order, containers, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  say('a', 'and hang')
  await until(() => order.includes('followup a'), 'the follow-up is in flight')
  const [first, second] = store.turns.running()
  store.turns.save({ ...(first?.turn ?? assert.fail('nothing runs')), state: 'stopped', endedAt: 0 })
  const uuids = queue.containers()[0]?.run.inFlight.map(({ uuid }) => uuid) ?? []
  containers[0]?.result({ result: 'both', consumed: uuids })
  await until(() => queue.idle, 'both are over')
  assert.equal(store.turns.find(second?.turn.id ?? assert.fail('one turn runs'))?.turn.state, 'done')
  assert.equal(answersIn(store, 'a'), 1)
})

test('settings that change while a container starts apply before the next turn', async (t) => {
  const started = Promise.withResolvers<void>()
  const { store, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1, started: started.promise })
  registerChat(store, { jid: 'local:other', folder: 'a' })
  say('a', 'one')
  await until(() => order.includes('start a'), 'a container of a is started')
  store.messages.add({ jid: 'local:other', id: 'two', sender: 'a', senderName: 'Ann', text: 'two', sentAt: 0, fromMe: false })
  const closed = queue.closeGroup('a')
  started.resolve()
  await closed
  await until(() => store.messages.latest('local:other', 9).length === 2, 'the other chat is answered')
  assert.deepEqual(
    order.filter((line) => !line.startsWith('gone')),
    ['start a', 'turn a', 'start a', 'turn a'],
  )
})

test('an engine that hangs in a start keeps neither a stop nor a shutdown', async (t) => {
  const { store, order, queue, signals, say } = queueOffice(t, {
    ...{ groups: ['a', 'b'], maxContainers: 2, started: new Promise(() => {}) },
  })
  for (const group of ['a', 'b']) {
    say(group, 'hi')
    await until(() => order.includes(`start ${group}`), `a container of ${group} is started`)
  }
  assert.ok(queue.stopTurn('local:a'))
  await until(() => queue.stateOf('a') === 'idle', 'the turn of a is over')
  assert.deepEqual(
    signals.map((signal) => signal.aborted),
    [true, false],
  )
  await queue.shutdown({ graceMs: 60_000, now: AbortSignal.abort() })
  assert.deepEqual([signals[1]?.aborted, store.turns.counts()], [true, { pending: 1, running: 0, failed: 0 }])
})

test('a shutdown waits ten seconds for containers that an engine does not end, and their turns go on at the next start', async (t) => {
  const { store, order, queue, clock, containers, errors, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  const kill = t.mock.method(containers[0] ?? assert.fail('there is no container'), 'kill', () => new Promise<void>(() => {}))
  let isOver = false
  const over = queue.shutdown({ graceMs: 20_000, now: new AbortController().signal }).then(() => (isOver = true))
  clock.advance(20_000)
  clock.advance(9_999)
  await hasTheChance()
  assert.deepEqual([isOver, kill.mock.callCount()], [false, 1])
  clock.advance(1)
  await over
  assert.deepEqual(store.turns.counts(), { pending: 1, running: 0, failed: 0 })
  assert.deepEqual(errors, ['The engine did not end all containers in time (left: 1); the next start removes them'])
  containers[0]?.exit()
  await hasTheChance()
  assert.equal(store.turns.counts().pending, 1, 'nothing is written any more')
})

test('a shutdown at once waits two seconds for containers that an engine does not end', async (t) => {
  const { store, order, queue, clock, containers, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  t.mock.method(containers[0] ?? assert.fail('there is no container'), 'kill', () => new Promise<void>(() => {}))
  const over = queue.shutdown({ graceMs: 20_000, now: AbortSignal.abort() })
  clock.advance(2_000)
  await over
  assert.deepEqual(store.turns.counts(), { pending: 1, running: 0, failed: 0 })
})
