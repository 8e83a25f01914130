import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { openStore, storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { nextMoment, parseSchedule } from '../domain/schedule.ts'
import type { Store } from '../store/store.ts'
import type { Task } from '../store/tasks.ts'
import { Scheduler } from './scheduler.ts'

const NOW = Date.parse('2026-03-01T08:00Z')
const MINUTE = 60_000
const HOUR = 60 * MINUTE

function office(t: TestContext, groups: readonly string[] = ['main', 'family']) {
  const { store, folder } = storeWith(t, groups)
  const clock = new ManualClock(NOW)
  const events: string[] = []
  const errors: string[] = []
  const scheduler = new Scheduler(
    {
      ...{ store, clock },
      log: { info: () => {}, warn: (text) => events.push(text), error: (text) => errors.push(text) },
      wake: (folder) => events.push(`wake ${folder}`),
      changed: (folder) => events.push(`changed ${folder}`),
      deliver: () => events.push('deliver'),
    },
    { timeZone: 'UTC' },
  )
  const add = (over: Partial<Task> = {}) => store.tasks.add(task(over))
  const find = (id = 't1') => store.tasks.find(id) ?? assert.fail()
  const runs = (id = 't1') =>
    store.tasks.history(id, 1_000).map(({ dueAt, status, note }) => [dueAt === null ? null : (dueAt - NOW) / HOUR, status, note])
  const end = (id = 't1') => {
    for (const run of store.tasks.history(id, 1_000))
      store.tasks.endRun({ runId: run.id, at: clock.now(), status: 'success', result: 'ok', error: null })
  }
  const told = () => store.outbox.due(Number.MAX_SAFE_INTEGER)
  return { store, file: path.join(folder, 'messages.db'), clock, scheduler, events, errors, add, find, runs, end, told }
}

function task(over: Partial<Task>): Task {
  return {
    ...{
      id: 't1',
      folder: 'family',
      jid: 'local:family',
      prompt: 'Water the plants',
      script: null,
      status: 'active',
      reason: null,
    },
    ...{ schedule: { type: 'interval', value: String(HOUR) }, contextMode: 'isolated', catchUp: 'once' },
    ...{ nextRun: NOW + HOUR, lastRun: null, lastResult: null, createdAt: NOW },
    ...over,
  }
}

const once = (nextRun: number) => ({ schedule: { type: 'once', value: '2026-03-01T09:00' }, nextRun })

test('a task begins at its moment: the run is on record, its turn waits, and the next moment is known', (t) => {
  const { store, clock, scheduler, add, find, runs, events } = office(t)
  add()
  scheduler.start()
  clock.advance(HOUR - 1)
  assert.deepEqual([runs(), events], [[], []])
  clock.advance(1)
  assert.deepEqual(runs(), [[1, 'running', null]])
  assert.equal(find().nextRun, NOW + 2 * HOUR)
  const turn = store.turns.nextTask({ folder: 'family', lane: 'isolated', now: clock.now() })
  assert.deepEqual([turn?.jid, turn?.runId], ['local:family', store.tasks.history('t1', 1)[0]?.id])
  assert.deepEqual(events, ['wake family', 'deliver', 'changed family'])
})

test("a task of the group's conversation waits in the lane of its chat", (t) => {
  const { store, clock, scheduler, add } = office(t)
  add({ contextMode: 'group' })
  scheduler.start()
  clock.advance(HOUR)
  assert.ok(store.turns.nextTask({ folder: 'family', lane: 'chat', now: clock.now() }))
})

test('a once task is completed by its one run', (t) => {
  const { clock, scheduler, add, find, runs } = office(t)
  add(once(NOW + HOUR))
  scheduler.start()
  clock.advance(3 * HOUR)
  assert.deepEqual([find().status, find().nextRun, runs()], ['completed', null, [[1, 'running', null]]])
})

test('a once task whose moment comes while it runs by request still has its run', (t) => {
  const { store, clock, scheduler, add, runs } = office(t)
  add(once(NOW + HOUR))
  store.tasks.startRun({ taskId: 't1', at: NOW })
  scheduler.start()
  clock.advance(HOUR)
  assert.deepEqual(runs(), [
    [1, 'running', null],
    [null, 'running', null],
  ])
})

test('a moment that comes while the run before it goes on is skipped, and on record', (t) => {
  const { clock, scheduler, add, runs, end } = office(t)
  add()
  scheduler.start()
  clock.advance(2 * HOUR)
  assert.deepEqual(runs(), [
    [2, 'skipped', 'the run before it was still going on'],
    [1, 'running', null],
  ])
  end()
  clock.advance(HOUR)
  assert.deepEqual(runs()[0], [3, 'running', null])
})

test('what was missed is made up for by one run, or by none, as the task has it', (t) => {
  const { clock, scheduler, add, runs, find } = office(t)
  add()
  add({ id: 't2', catchUp: 'skip' })
  add({ id: 't3', ...once(NOW + HOUR), catchUp: 'skip' })
  clock.set(NOW + 5.5 * HOUR)
  scheduler.start()
  assert.deepEqual(runs(), [[1, 'running', 'makes up for what was missed since 2026-03-01 09:00']])
  const skipped = [1, 'skipped', 'due 2026-03-01 09:00, noticed 2026-03-01 13:30: too late, nobody was there']
  assert.deepEqual([runs('t2'), runs('t3')], [[skipped], [skipped]])
  assert.deepEqual([find().nextRun, find('t2').nextRun, find('t3').status], [NOW + 6 * HOUR, NOW + 6 * HOUR, 'completed'])
})

test('a task that is a few seconds late runs, also one that skips what it missed', (t) => {
  const { clock, scheduler, add, runs } = office(t)
  add({ catchUp: 'skip' })
  clock.set(NOW + HOUR + MINUTE)
  scheduler.start()
  assert.deepEqual(runs(), [[1, 'running', null]])
})

test('a machine that slept is noticed by whoever wakes the scheduler', (t) => {
  const { clock, scheduler, add, runs } = office(t)
  add()
  scheduler.start()
  clock.set(NOW + 2.5 * HOUR)
  scheduler.wake()
  assert.deepEqual(runs(), [[1, 'running', 'makes up for what was missed since 2026-03-01 09:00']])
  clock.advance(HOUR / 2)
  assert.equal(runs().length, 2, 'the timer stands at the next moment again')
})

test('when a clock that was far ahead is set right, tasks are due again, and no moment twice', (t) => {
  const { clock, scheduler, add, runs, end, find } = office(t)
  add()
  add({ id: 'late', schedule: { type: 'cron', value: '0 * * * *' } })
  scheduler.start()
  clock.advance(HOUR)
  clock.set(NOW + 10_000 * HOUR + MINUTE)
  scheduler.wake()
  clock.set(NOW + HOUR - MINUTE)
  scheduler.wake()
  assert.deepEqual([find().nextRun, find('late').nextRun], [NOW + 3 * HOUR, NOW + 3 * HOUR], 'hours 1 and 2 are on record')
  for (const id of ['t1', 'late']) end(id)
  clock.advance(2 * HOUR + MINUTE)
  assert.deepEqual(runs('late')[0], [3, 'running', null])
})

test('a clock that is kept exact by up to five seconds plans nothing anew', (t) => {
  const { store, clock, scheduler, add, find } = office(t)
  add({ schedule: { type: 'cron', value: '0 * * * *' } })
  clock.set(NOW + 10_000)
  scheduler.start()
  store.tasks.save({ ...find(), nextRun: NOW + 7 * HOUR })
  clock.set(NOW + 5_000)
  scheduler.wake()
  assert.equal(find().nextRun, NOW + 7 * HOUR)
  clock.set(NOW - 1)
  scheduler.wake()
  assert.equal(find().nextRun, NOW)
})

test('a store that cannot be read is asked again in a minute', (t) => {
  const { store, clock, scheduler, add, runs, errors } = office(t)
  add({ nextRun: NOW })
  const broken = t.mock.method(store.tasks, 'due', () => {
    throw new Error('SQLITE_IOERR')
  })
  scheduler.start()
  clock.advance(MINUTE - 1)
  assert.deepEqual([broken.mock.callCount(), errors.length], [1, 1])
  broken.mock.restore()
  clock.advance(1)
  assert.equal(runs().length, 1)
})

test('a paused task is told by the first 60 characters of what it asks', (t) => {
  const { scheduler, add, told } = office(t)
  add({ schedule: { type: 'cron', value: 'x' }, nextRun: NOW, prompt: 'p'.repeat(61) })
  scheduler.start()
  assert.match(told()[0]?.text ?? '', /^The scheduled task t1 \("p{60}"\) is paused/)
})

test('with another time zone, tasks are due by its clock from the next start on', (t) => {
  const { add, scheduler, find, store, clock } = office(t)
  add({ schedule: { type: 'cron', value: '0 9 * * *' }, nextRun: NOW + HOUR })
  scheduler.start()
  scheduler.stop()
  const log = { info: () => {}, warn: () => {}, error: assert.fail }
  const ports = { store, clock, log, wake: () => {}, changed: () => {}, deliver: () => {} }
  new Scheduler(ports, { timeZone: 'Asia/Kolkata' }).start()
  assert.equal(find().nextRun, Date.parse('2026-03-02T09:00+05:30'))
})

test('a task that makes no sense is paused with the reason, told in its chat', (t) => {
  const { clock, scheduler, add, find, told, runs } = office(t)
  add({ schedule: { type: 'cron', value: 'every day' } })
  add({ id: 't2', schedule: { type: 'interval', value: '5' } })
  add({ id: 't3', schedule: { type: 'fortnightly', value: '5' }, nextRun: null })
  scheduler.start()
  clock.advance(HOUR)
  assert.match(find('t1').reason ?? '', /"every day" is no cron expression/)
  assert.match(find('t2').reason ?? '', /every 5 ms is too often/)
  assert.match(find('t3').reason ?? '', /no schedule type "fortnightly"/)
  for (const id of ['t1', 't2', 't3']) assert.deepEqual([find(id).status, find(id).nextRun, runs(id)], ['paused', null, []])
  assert.deepEqual(new Set(told().map(({ jid }) => jid)), new Set(['local:family']))
  assert.match(told()[0]?.text ?? '', /^The scheduled task t\d \("Water the plants"\) is paused: .*corrected and resumed/)
})

test('a task whose chat or group is gone is paused, and told where somebody is left to read it', (t) => {
  const { store, clock, scheduler, add, find, told } = office(t)
  add({ jid: 'tg:gone' })
  add({ id: 't2', folder: 'nobody', jid: 'tg:gone' })
  add({ id: 't3', folder: 'nobody' })
  scheduler.start()
  clock.advance(HOUR)
  assert.match(find('t1').reason ?? '', /no group answers in tg:gone/)
  assert.match(find('t2').reason ?? '', /no group "nobody"/)
  assert.equal(find('t3').status, 'paused')
  assert.deepEqual(
    ['t1', 't2', 't3'].map((id) => told().find(({ text }) => text.includes(` ${id} `))?.jid ?? waiting(id)),
    ['local:family', 'local:main', 'local:family'],
  )
  // Only the first delivery of a chat is due; the others are behind it.
  function waiting(id: string) {
    for (const { seq } of told()) store.outbox.markSent({ seq, platformId: null, at: 0 })
    return told().find(({ text }) => text.includes(` ${id} `))?.jid
  }
})

test('an active task without a next run, as v1 left some, gets one', (t) => {
  const { scheduler, add, find, runs } = office(t)
  add({ nextRun: null })
  scheduler.start()
  assert.deepEqual([find().nextRun, runs()], [NOW + HOUR, []])
})

test('a moment that somebody wrote back into the database is not run again', (t) => {
  const { store, clock, scheduler, add, end, find, runs, errors } = office(t)
  add()
  scheduler.start()
  clock.advance(HOUR)
  end()
  store.tasks.save({ ...find(), nextRun: NOW + HOUR })
  scheduler.wake()
  assert.deepEqual([runs().length, find().nextRun, errors], [1, NOW + 2 * HOUR, []])
})

test('nothing happens after the stop', (t) => {
  const { clock, scheduler, add, runs } = office(t)
  add()
  scheduler.start()
  scheduler.stop()
  clock.advance(5 * HOUR)
  scheduler.wake()
  assert.deepEqual(runs(), [])
})

test('more tasks than fit one look all begin, and a timer stands only at the next moment', (t) => {
  const { store, clock, scheduler, add, events } = office(t)
  store.tx(() => {
    for (let n = 0; n < 250; n++) add({ id: `t${n}` })
  })
  let alarms = 0
  const wakeAt = clock.wakeAt
  clock.wakeAt = (at, wake) => {
    alarms++
    return wakeAt(at, wake)
  }
  scheduler.start()
  clock.advance(HOUR)
  assert.equal(store.turns.counts().pending, 250)
  assert.equal(alarms, 4, 'one at the start, one after each look')
  assert.deepEqual(
    events.filter((event) => event.startsWith('changed')),
    ['changed family'],
    'however many they are, who shows them is told once',
  )
})

test('a task that cannot be claimed holds no other up, and is tried again in a minute', (t) => {
  const { store, clock, scheduler, add, runs, errors, find } = office(t)
  add()
  add({ id: 't2' })
  const addTask = store.turns.addTask.bind(store.turns)
  let failures = 2
  store.turns.addTask = (turn) => (failures-- > 0 ? assert.fail('the disk is full') : addTask(turn))
  scheduler.start()
  clock.advance(HOUR)
  assert.deepEqual([runs(), find().nextRun, runs('t2').length], [[], NOW + HOUR, 1])
  assert.match(errors.join(), /Task t1 could not begin.*the disk is full/)
  clock.advance(MINUTE - 1)
  assert.deepEqual(runs(), [])
  clock.advance(1)
  assert.deepEqual(runs(), [[1, 'running', null]])
})

/** mulberry32 */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

const SCHEDULES = [
  { type: 'interval', value: String(20 * MINUTE) },
  { type: 'interval', value: String(7 * HOUR) },
  { type: 'cron', value: '*/15 * * * *' },
  { type: 'cron', value: '30 2,14 * * *' },
  { type: 'once', value: '2026-03-01T12:00' },
] as const

/** The moments of each schedule as far as they were asked for, by schedule and first moment: every life has the same ones. */
const knownMoments = new Map<string, number[]>()

/** Every moment of a task from its first one to `end`. */
function momentsOf({ schedule, nextRun }: Task, end: number): number[] {
  const parsed = parseSchedule(schedule, 'UTC')
  if (parsed.type === 'problem') return assert.fail(parsed.why)
  const anchor = nextRun ?? NOW
  const next = (after: number) => nextMoment(parsed.schedule, { after, anchor })
  const key = JSON.stringify([schedule, anchor])
  const moments = knownMoments.get(key) ?? []
  for (let at = next(moments.at(-1) ?? NOW); at !== undefined && at <= end; at = next(at)) moments.push(at)
  knownMoments.set(key, moments)
  return moments.filter((at) => at <= end)
}

/** A host that dies and comes back on the same file, under a clock that is moved in every way. */
class Life {
  readonly clock = new ManualClock(NOW)
  store: Store
  /** The latest time that a host has seen. */
  latest = NOW
  readonly #file: string
  #scheduler: Scheduler
  #deaths = 0

  constructor(file: string) {
    this.#file = file
    this.store = openStore(file)
    this.#scheduler = this.#begin()
  }

  #begin(): Scheduler {
    const log = { info: () => {}, warn: assert.fail, error: () => {} }
    const ports = { store: this.store, clock: this.clock, log, wake: () => {}, changed: () => {}, deliver: () => {} }
    const scheduler = new Scheduler(ports, { timeZone: 'UTC' })
    scheduler.start()
    return scheduler
  }

  /** All that was in memory is gone. Now and then the file is opened anew, too: only what was committed is in it. */
  dieAndReturn(): void {
    this.#scheduler.stop()
    if (this.#deaths++ % 5 === 0) {
      this.store.close()
      this.store = openStore(this.#file)
    }
    this.#scheduler = this.#begin()
  }

  /** The next run that begins is cut off by a crash in the middle of its claim: nothing more is done until the return. */
  dieInClaim(ms: number): void {
    const { turns } = this.store
    const addTask = turns.addTask.bind(turns)
    turns.addTask = () => {
      this.#scheduler.stop()
      throw new Error('killed')
    }
    this.clock.advance(ms)
    turns.addTask = addTask
    this.dieAndReturn()
  }

  wake(): void {
    this.#scheduler.wake()
  }

  endRuns(): void {
    const { tasks } = this.store
    this.store.tx(() => {
      for (const { id } of tasks.all())
        for (const run of tasks.history(id, 10_000))
          tasks.endRun({ runId: run.id, at: this.clock.now(), status: 'success', result: null, error: null })
    })
  }

  step(random: (below: number) => number): void {
    const { clock } = this
    switch (random(8)) {
      case 0:
        clock.set(clock.now() + random(9 * HOUR))
        return this.wake()
      case 1:
        clock.set(Math.max(NOW, clock.now() - random(2 * HOUR)))
        return this.wake()
      case 2:
        return this.dieAndReturn()
      case 3:
        clock.set(clock.now() + random(5 * HOUR))
        return this.dieAndReturn()
      case 4:
        return this.dieInClaim(random(HOUR))
      case 5:
        return this.endRuns()
      default:
        return clock.advance(random(2 * HOUR))
    }
  }
}

test('however clocks move and hosts die, no moment is run twice and none that is to be made up for is lost', (t) => {
  for (let seed = 1; seed <= 30; seed++) {
    const { store, folder } = storeWith(t, ['main'])
    const tasks = SCHEDULES.flatMap((schedule, n) =>
      (['once', 'skip'] as const).map((catchUp) => {
        const [first = 0] = momentsOf(task({ schedule, nextRun: NOW }), NOW + 24 * HOUR)
        return task({ id: `${n}-${catchUp}`, folder: 'main', jid: 'local:main', schedule, catchUp, nextRun: first })
      }),
    )
    for (const one of tasks) store.tasks.add(one)
    store.close()
    const life = new Life(path.join(folder, 'messages.db'))
    const random = randomOf(seed)
    for (let n = 0; n < 60; n++) {
      life.step(random)
      life.latest = Math.max(life.latest, life.clock.now())
    }
    life.clock.set(life.latest + MINUTE)
    life.wake()
    for (const one of tasks) checkHistory(life, one, `seed ${seed}, task ${one.id}`)
    const begun = tasks.flatMap(({ id }) => life.store.tasks.history(id, 10_000).filter(({ status }) => status !== 'skipped'))
    assert.equal(life.store.turns.counts().pending, begun.length, 'each run has one turn')
    life.store.close()
  }
})

function checkHistory({ store, latest }: Life, one: Task, name: string): void {
  const moments = momentsOf(one, latest)
  const history = store.tasks.history(one.id, 10_000)
  const acted = history.map(({ dueAt }) => dueAt ?? assert.fail(name))
  assert.equal(new Set(acted).size, acted.length, `${name}: a moment was acted on twice`)
  for (const at of acted) assert.ok(at > latest || moments.includes(at), `${name}: ${new Date(at).toISOString()} was never due`)
  for (const moment of moments)
    assert.ok(
      history.some(({ dueAt, at }) => dueAt !== null && dueAt <= moment && moment <= at),
      `${name}: ${new Date(moment).toISOString()} is lost`,
    )
  const late = history.filter(({ note }) => note?.includes('too late'))
  if (one.catchUp === 'once') assert.deepEqual(late, [], `${name}: it is made up for, not skipped`)
  if (one.schedule.type === 'once') assert.deepEqual([history.length, store.tasks.find(one.id)?.status], [1, 'completed'], name)
}
