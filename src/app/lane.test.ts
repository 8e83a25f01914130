import assert from 'node:assert/strict'
import { mkdirSync, renameSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { until } from '../../test/fakes/patience.ts'
import { addRun, answersIn, queueOffice } from '../../test/fakes/queue-office.ts'
import { sessionsFolder } from '../container-runner.ts'
import { AppError } from '../domain/errors.ts'

test('a stop breaks off the start of a container, and what is said next gets another', async (t) => {
  const started = Promise.withResolvers<void>()
  const { store, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1, started: started.promise })
  say('a', 'hang')
  await until(() => order.includes('start a'), 'a container of a is started')
  assert.ok(queue.stopTurn('local:a'))
  await until(() => queue.idle, 'the turn is over')
  started.resolve()
  await until(() => order.includes('gone a'), 'the container that came too late is gone')
  say('a', 'hi')
  await until(() => answersIn(store, 'a') === 1, 'a is answered')
  assert.deepEqual([order, queue.stopTurn('local:a')], [['start a', 'gone a', 'start a', 'turn a'], false])
})

test('what is said while a task runs in the conversation waits for its end', async (t) => {
  const { store, order, queue, say, end } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  addRun(store, 'a', { contextMode: 'group', prompt: 'hang' })
  queue.wake('a')
  await until(() => order.includes('turn a'), 'the task runs')
  say('a', 'hi')
  await hasTheChance()
  assert.deepEqual(order, ['start a', 'turn a'])
  end('a')
  await until(() => answersIn(store, 'a') === 2, 'the task and the message are answered')
  assert.deepEqual(order, ['start a', 'turn a', 'turn a'])
})

test('what is said after a stop goes into the turn after the stopped one', async (t) => {
  const { store, order, queue, clock, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  queue.stopTurn('local:a')
  say('a', 'hi')
  await until(() => order.includes('interrupt a'), 'the turn is interrupted')
  await hasTheChance()
  assert.ok(!order.includes('followup a'))
  clock.advance(5_000)
  await until(() => answersIn(store, 'a') === 1, 'a is answered')
})

test('a warm container goes on only while a fresh one would be given the same', async (t) => {
  let outdated = false
  const { store, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1, outdated: () => outdated })
  for (const times of [1, 2, 3]) {
    outdated = times === 3
    say('a', 'hi')
    await until(() => answersIn(store, 'a') === times && queue.idle, 'a is answered')
  }
  assert.deepEqual(order, ['start a', 'turn a', 'turn a', 'gone a', 'start a', 'turn a'])
})

test('a warm container goes on only while the folder of its sessions is the one it was given', async (t) => {
  const { store, folder, order, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  const sessions = path.join(folder, sessionsFolder('a', 'chat'))
  mkdirSync(sessions, { recursive: true })
  for (const times of [1, 2, 3]) {
    if (times === 3) {
      renameSync(sessions, `${sessions}-old`)
      mkdirSync(sessions)
    }
    say('a', 'hi')
    await until(() => answersIn(store, 'a') === times && queue.idle, 'a is answered')
  }
  assert.deepEqual(order, ['start a', 'turn a', 'turn a', 'gone a', 'start a', 'turn a'])
})

test('a turn may take as long as its group has it, or else as all groups', async (t) => {
  const { store, order, clock, say } = queueOffice(t, { groups: ['a', 'b'], maxContainers: 2 })
  store.groups.save({ folder: 'b', name: 'b', config: { timeout: 90_000 } })
  for (const group of ['a', 'b']) {
    say(group, 'hang')
    await until(() => order.includes(`turn ${group}`), `the turn of ${group} runs`)
  }
  for (const [ms, interrupted] of [
    [59_999, []],
    [1, ['interrupt a']],
  ] as const) {
    clock.advance(ms)
    await hasTheChance()
    assert.deepEqual(
      order.filter((line) => line.startsWith('interrupt')),
      interrupted,
    )
  }
  clock.advance(30_000)
  await until(() => order.includes('interrupt b'), 'the turn of b is interrupted')
})

test('a container is asked for with what its group and its conversation have, and logged by its session at each turn', async (t) => {
  const { store, queue, starts, frames, lines, say } = queueOffice(t, { groups: ['main'], maxContainers: 1 })
  for (const times of [1, 2]) {
    say('main', 'hi')
    await until(() => answersIn(store, 'main') === times && queue.idle, 'main is answered')
  }
  await queue.closeGroup('main')
  say('main', 'hi')
  await until(() => answersIn(store, 'main') === 3, 'main is answered again')
  addRun(store, 'main', { script: 'true' })
  queue.wake('main')
  await until(() => answersIn(store, 'main') === 4, 'the task is over')
  assert.deepEqual(
    starts.map(({ group, lane, chatJid, sessionId, assistantName }) => [group.name, lane, chatJid, sessionId, assistantName]),
    [
      ['main', 'chat', 'local:main', undefined, 'Andy'],
      ['main', 'chat', 'local:main', 'session-main', 'Andy'],
      ['main', 'isolated', 'local:main', undefined, 'Andy'],
    ],
  )
  const turns = frames.filter((frame) => frame.type === 'turn')
  assert.deepEqual(
    turns.map(({ chatJid, script }) => [chatJid, script]),
    [...Array(3).fill(['local:main', undefined]), ['local:main', 'true']],
  )
  assert.deepEqual(lines, [
    ...Array(3).fill('Group main: Session initialized: session-main'),
    'Group main: Session of a task initialized: session-main',
  ])
})

test('what an agent does is shown in the chat that it works for, and nowhere when it works for none', async (t) => {
  const { store, queue, containers, order, shown, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  say('a', 'hang')
  await until(() => order.includes('turn a'), 'the turn of a runs')
  const act = () => containers[0]?.frame({ type: 'activity', kind: 'tool', detail: 'Bash' })
  act()
  await until(() => shown.includes('tool in local:a'), 'it is shown')
  say('a', 'and this')
  await until(() => answersIn(store, 'a') === 1 && queue.idle, 'a is answered')
  act()
  await hasTheChance()
  assert.deepEqual(shown, ['begins in local:a', 'tool in local:a', 'ends in local:a'])
})

const unusable = (code: string, fault: AppError['fault']) => new AppError({ code, fault, message: 'why' })

for (const [what, error, reason] of [
  ['an image that is missing', unusable('engine.image-missing', 'engine'), 'setup'],
  ['an engine that does not answer', unusable('engine.gone', 'engine'), 'engine'],
  ['what the owner must put right', unusable('mounts.bad', 'user'), 'setup'],
  ['what an agent did to its folder', unusable('log.unsafe', 'agent'), 'setup'],
  ['a bug of the host', unusable('x', 'bug'), 'crash'],
  ['anything else', new Error('why'), 'crash'],
] as const)
  test(`a container that cannot start for ${what} fails its turn as "${reason}"`, async (t) => {
    const { store, queue, say } = queueOffice(t, { groups: ['a'], maxContainers: 1, started: Promise.reject(error) })
    say('a', 'hi')
    await until(() => queue.idle, 'the turn is over')
    const [open] = store.turns.openOf('local:a')
    assert.deepEqual([open?.turn.state, open?.error], ['pending', `${reason}: why`])
  })

test('a folder of sessions that cannot be looked at costs a fresh container, and strands none', async (t) => {
  const { store, folder, order, queue, containers, say } = queueOffice(t, { groups: ['a'], maxContainers: 1 })
  const place = path.dirname(path.join(folder, sessionsFolder('a', 'chat')))
  mkdirSync(path.dirname(place), { recursive: true })
  // A name that leads to itself: looking at what is below it fails with ELOOP, also for root.
  symlinkSync(place, place)
  for (const times of [1, 2]) {
    say('a', 'hi')
    await until(() => answersIn(store, 'a') === times && queue.idle, 'a is answered')
  }
  assert.deepEqual(order, ['start a', 'turn a', 'gone a', 'start a', 'turn a'])
  await queue.closeGroup('a')
  assert.deepEqual([containers.length, queue.containers()], [2, []])
})
