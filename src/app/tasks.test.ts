import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { changeTask, newTaskId, TaskBook, type TaskChange, type TaskWish } from './tasks.ts'

const NOW = Date.parse('2026-03-01T08:00Z')
const HOUR = 3_600_000

function book(t: TestContext) {
  const { store } = storeWith(t, ['main', 'family'])
  const clock = new ManualClock(NOW)
  const events: string[] = []
  let ids = 0
  const book = new TaskBook(
    {
      store,
      now: clock.now,
      newId: () => `t${++ids}`,
      wake: (folder) => events.push(`wake ${folder}`),
      changed: (folder) => events.push(`changed ${folder}`),
    },
    { timeZone: 'Europe/Berlin' },
  )
  return { store, clock, book, events }
}

const wish = (over: Partial<TaskWish> = {}): TaskWish => ({
  ...{ folder: 'family', jid: 'local:family', prompt: 'Water the plants', schedule: { type: 'cron', value: '0 9 * * *' } },
  ...over,
})
const once = (value: string) => ({ schedule: { type: 'once', value } })

function done(change: TaskChange): string {
  return change.type === 'done' ? change.text : assert.fail(change.why)
}

function refused(change: TaskChange): string {
  return change.type === 'refused' ? change.why : assert.fail(`it was done: ${change.text}`)
}

test('a scheduled task is kept and answered with its id and its next run in local time', (t) => {
  const { book: b, store, events } = book(t)
  assert.equal(done(b.schedule(wish())), 'Task t1 is scheduled. Next run: 2026-03-02 09:00 (Europe/Berlin).')
  assert.deepEqual(store.tasks.find('t1'), {
    ...{ id: 't1', folder: 'family', jid: 'local:family', prompt: 'Water the plants', script: null },
    ...{
      schedule: { type: 'cron', value: '0 9 * * *' },
      contextMode: 'isolated',
      catchUp: 'once',
      status: 'active',
      reason: null,
    },
    ...{ nextRun: NOW + 24 * HOUR, lastRun: null, lastResult: null, createdAt: NOW },
  })
  assert.deepEqual(events, ['changed family'])
  const hourly = b.schedule(wish({ schedule: { type: 'interval', value: String(HOUR) }, contextMode: 'group', catchUp: 'skip' }))
  assert.match(done(hourly), /Next run: 2026-03-01 10:00/)
  assert.match(done(b.schedule(wish(once('2026-03-01T09:30')))), /t3 is scheduled. Next run: 2026-03-01 09:30/)
  assert.deepEqual(
    b.list('family').map(({ id }) => id),
    ['t1', 't2', 't3'],
  )
  assert.deepEqual(b.list('main'), [])
})

test('a task that makes no sense is refused with the reason and the field, and nothing is kept', (t) => {
  const { book: b, events } = book(t)
  const rows: [over: Partial<TaskWish>, why: RegExp, field?: string][] = [
    [{ prompt: ' ' }, /prompt is empty/, 'prompt'],
    [{ prompt: 'x'.repeat(20_001) }, /more than 20000/, 'prompt'],
    [{ script: 'x'.repeat(20_001) }, /more than 20000/, 'script'],
    [{ schedule: { type: 'cron', value: 'daily' } }, /no cron expression.*e\.g\. "0 9/, 'schedule_value'],
    [{ schedule: { type: 'weekly', value: '1' } }, /"cron", "interval" or "once"/, 'schedule_type'],
    [once('2026-03-01T09:00'), /is past; it is 2026-03-01 09:00 \(Europe\/Berlin\) now/, 'schedule_value'],
    [{ folder: 'nobody' }, /no group "nobody"/],
    [{ jid: 'tg:1' }, /no group answers in tg:1/],
    [{ jid: 'local:main' }, /local:main is a chat of the group "main"/],
  ]
  for (const [over, why, field] of rows) {
    const change = b.schedule(wish(over))
    assert.match(refused(change), why)
    assert.equal(change.type === 'refused' && change.field, field)
  }
  assert.deepEqual([b.list(), events], [[], []])
  done(b.schedule(wish({ prompt: 'x'.repeat(20_000), script: 'x'.repeat(20_000) })))
})

test('a group has at most 100 active tasks, and another group still has its own', (t) => {
  const { book: b, store } = book(t)
  for (let n = 0; n < 100; n++) done(b.schedule(wish()))
  assert.match(refused(b.schedule(wish())), /100 active tasks.*Cancel or pause one/)
  done(b.schedule(wish({ folder: 'main', jid: 'local:main' })))
  done(b.pause('t1'))
  done(b.schedule(wish()))
  assert.match(refused(b.resume('t1')), /100 active tasks/)
  store.tasks.save({ ...(b.find('t1') ?? assert.fail()), status: 'completed' })
  assert.match(refused(b.update('t1', once('2026-03-05T09:00'))), /100 active tasks/, 'a new time would wake it')
  done(b.update('t2', once('2026-03-05T09:00')))
})

test('a paused task has no next run; resumed, it keeps its beat and makes nothing up', (t) => {
  const { book: b, clock, store } = book(t)
  b.schedule(wish({ schedule: { type: 'interval', value: String(HOUR) } }))
  assert.match(done(b.pause('t1')), /does not run on its own until it is resumed/)
  assert.deepEqual([store.tasks.find('t1')?.status, store.tasks.find('t1')?.nextRun], ['paused', null])
  assert.match(done(b.pause('t1')), /is paused/, 'once more is harmless')
  clock.advance(3.5 * HOUR)
  assert.match(done(b.resume('t1')), /active again. Next run: 2026-03-01 13:00/)
  assert.match(done(b.resume('t1')), /active already/)
})

test('a once task whose time passed while it was paused is resumed only with a new time', (t) => {
  const { book: b, clock, store } = book(t)
  b.schedule(wish(once('2026-03-01T09:30')))
  b.pause('t1')
  clock.advance(HOUR)
  assert.match(refused(b.resume('t1')), /stays paused: "2026-03-01T09:30" is past; it is 2026-03-01 10:00/)
  assert.match(done(b.update('t1', once('2026-03-01T11:00'))), /t1 is changed. It is paused/)
  assert.match(done(b.resume('t1')), /Next run: 2026-03-01 11:00/)
  assert.equal(store.tasks.find('t1')?.status, 'active')
})

test('a change keeps what it does not name; a new schedule counts from now', (t) => {
  const { book: b, clock } = book(t)
  b.schedule(wish({ script: 'true' }))
  clock.advance(HOUR / 2)
  assert.match(done(b.update('t1', { prompt: 'Feed the cat', script: null })), /Next run: 2026-03-02 09:00/)
  assert.match(done(b.update('t1', { schedule: { type: 'interval', value: String(HOUR) } })), /Next run: 2026-03-01 10:30/)
  const { prompt, script, contextMode } = b.find('t1') ?? assert.fail()
  assert.deepEqual([prompt, script, contextMode], ['Feed the cat', null, 'isolated'])
  assert.match(refused(b.update('t1', {})), /no change was named/)
  assert.match(refused(b.update('t1', { schedule: { type: 'interval', value: '1' } })), /too often/)
  assert.match(refused(b.update('t1', { prompt: '' })), /prompt is empty/)
  assert.equal(b.find('t1')?.schedule.value, String(HOUR))
})

test('a new schedule wakes a completed task, and one that was paused for its old schedule', (t) => {
  const { book: b, store } = book(t)
  b.schedule(wish())
  const task = b.find('t1') ?? assert.fail()
  for (const status of ['completed', 'paused'] as const) {
    store.tasks.save({ ...task, status, reason: status === 'paused' ? 'nonsense' : null, nextRun: null })
    done(b.update('t1', once('2026-03-05T09:00')))
    assert.deepEqual([b.find('t1')?.status, b.find('t1')?.reason], ['active', null])
  }
  store.tasks.save({ ...task, status: 'completed', nextRun: null })
  for (const change of [b.pause('t1'), b.resume('t1')]) assert.match(refused(change), /completed. Give it a new time/)
})

test('a task whose group is gone stays paused and can be cancelled', (t) => {
  const { book: b, store } = book(t)
  b.schedule(wish())
  b.pause('t1')
  store.groups.unregister('local:family')
  assert.match(refused(b.resume('t1')), /no group answers in local:family any more. It can be cancelled/)
  assert.match(refused(b.runNow('t1')), /does not run now: no group answers/)
  store.tasks.save({ ...(b.find('t1') ?? assert.fail()), reason: 'no group answers there any more' })
  assert.match(done(b.update('t1', once('2026-03-05T09:00'))), /It is paused/)
  assert.match(done(b.cancel('t1')), /is cancelled/)
  assert.equal(b.find('t1'), undefined)
})

test('a run that is asked for is a turn besides the schedule, and never two at once', (t) => {
  const { book: b, store, events } = book(t)
  b.schedule(wish())
  assert.match(done(b.runNow('t1')), /runs now, besides its schedule. Next run: 2026-03-02 09:00/)
  assert.deepEqual(events.slice(-2), ['changed family', 'wake family'])
  const turn = store.turns.nextTask({ folder: 'family', lane: 'isolated', now: NOW })
  const [run] = b.history('t1', 5)
  assert.deepEqual([turn?.runId, store.turns.counts().pending, run?.status, run?.dueAt], [run?.id, 1, 'running', null])
  assert.match(refused(b.runNow('t1')), /last run is not over/)
  store.tasks.endRun({ runId: run?.id ?? 0, at: NOW + 5, status: 'success', result: 'wet', error: null })
  assert.deepEqual([b.find('t1')?.lastRun, b.find('t1')?.lastResult], [NOW, 'wet'])
  done(b.runNow('t1'))
  assert.match(done(b.cancel('t1')), /A run that has begun goes on to its end/)
  assert.equal(b.history('t1', 5).length, 2, 'the record stays')
})

test('what is not there cannot be changed', (t) => {
  const { book: b } = book(t)
  for (const change of [b.pause('x'), b.resume('x'), b.cancel('x'), b.runNow('x'), b.update('x', { prompt: 'y' })])
    assert.match(refused(change), /There is no task "x"/)
  assert.equal(changeTask(b, { id: 'x', deed: 'run' }).type, 'refused')
  assert.match(refused(b.pause('x'.repeat(200))), /There is no task "x{100}"/)
  assert.notEqual(newTaskId(), newTaskId())
})

test('each deed of the owner is the one of the book by that name', (t) => {
  const { book: b, store } = book(t)
  b.schedule(wish())
  const states = (['pause', 'resume', 'run', 'cancel'] as const).map((deed) => {
    const change = changeTask(b, { id: 't1', deed })
    assert.deepEqual(change.type === 'done' && change.notes, [], deed)
    return [b.find('t1')?.status, store.tasks.isRunning('t1')]
  })
  assert.deepEqual(states, [
    ['paused', false],
    ['active', false],
    ['active', true],
    [undefined, true],
  ])
})
