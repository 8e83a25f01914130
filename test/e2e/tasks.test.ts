import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import type { TaskDetail, TaskRunDetail } from '@nanoclaw/protocol'
import { Store } from '../../src/store/store.ts'
import type { Task } from '../../src/store/tasks.ts'
import { TestHost } from '../fakes/host-process.ts'
import { patience, until } from '../fakes/patience.ts'

const HOUR = 3_600_000

/** Writes a task into the database of a host that does not run. */
function plant(host: TestHost, over: Partial<Task>): void {
  const store = Store.open(path.join(host.root, 'store', 'messages.db'))
  const schedule = { type: 'interval', value: String(HOUR) }
  store.tasks.add({
    ...{ id: 't1', folder: 'main', jid: 'local:main', prompt: '!echo the plants are wet', script: null, schedule },
    ...{ contextMode: 'isolated', catchUp: 'once', status: 'active', reason: null, lastRun: null, lastResult: null },
    ...{ nextRun: Date.now() + HOUR, createdAt: Date.now() },
    ...over,
  })
  store.close()
}

/** What the assistant said in the terminal, oldest first. */
function answers(host: TestHost): string[] {
  const store = Store.open(path.join(host.root, 'store', 'messages.db'))
  try {
    return store.messages.latest('local:main', 100).flatMap(({ text, fromAssistant }) => (fromAssistant ? [text] : []))
  } finally {
    store.close()
  }
}

const ask = async <T>(host: TestHost, ...args: string[]) => JSON.parse((await host.run(['tasks', ...args, '--json'])).stdout) as T
const runsOf = (host: TestHost) => ask<TaskRunDetail[]>(host, 'history', 't1')

test('a task that was missed while the host was down runs once when it is back, and its answer is posted', async (t) => {
  const host = await TestHost.create(t)
  plant(host, { nextRun: Date.now() - 3 * HOUR })
  await host.start()
  await until(async () => (await runsOf(host))[0]?.status === 'success', 'the run ends')
  const runs = await runsOf(host)
  assert.deepEqual([runs.length, runs[0]?.result], [1, 'the plants are wet'])
  assert.match(runs[0]?.note ?? '', /makes up for what was missed/)
  assert.deepEqual(answers(host), ['the plants are wet'])
  const task = await ask<TaskDetail>(host, 'show', 't1')
  assert.ok(task.nextRun !== null && task.nextRun > Date.now())
  assert.equal(task.lastResult, 'the plants are wet')
})

test('a task is run, paused and cancelled from the command line, and agents see it', async (t) => {
  const host = await TestHost.create(t)
  plant(host, {})
  await host.start()
  assert.match((await host.run(['tasks', 'run', 't1'])).stderr, /runs now/)
  await until(async () => (await runsOf(host))[0]?.status === 'success', 'the run ends')
  assert.match((await host.run(['tasks', 'pause', 't1'])).stderr, /is paused/)
  const seen = JSON.parse(host.file('data', 'ipc', 'main', 'current_tasks.json'))
  assert.deepEqual([seen[0].status, seen[0].next_run], ['paused', null])
  assert.match((await host.run(['tasks', 'cancel', 't1'])).stderr, /is cancelled/)
  assert.deepEqual(await ask(host, 'list'), [])
  assert.equal((await host.run(['tasks', 'run', 't1'])).code, 2)
})

test('a task whose host is killed in the middle of it is finished by the next, with one answer', async (t) => {
  const host = await TestHost.create(t)
  plant(host, { prompt: '!slow 40 100', contextMode: 'group', nextRun: Date.now() - 1 })
  await host.start()
  await until(() => host.model.requests.length > 0, 'the agent works')
  await host.kill()
  await host.start()
  await until(async () => (await runsOf(host))[0]?.status === 'success', 'the run ends')
  assert.deepEqual([(await runsOf(host)).length, answers(host).length], [1, 1])
})

test('what an agent schedules is done at its time', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('!echo good evening')
  const scheduleValue = new Date(Date.now() + patience(4_000)).toISOString()
  const wish = { prompt: '!echo good morning', scheduleType: 'once', scheduleValue }
  const said = await host.say(`!tool mcp__nanoclaw__schedule_task ${JSON.stringify(wish)}`)
  assert.match(said, /Task task-[0-9a-f]{12} is scheduled. Next run: \d{4}/)
  await until(() => answers(host).at(-1) === 'good morning', 'the task runs')
  assert.deepEqual(
    (await ask<TaskDetail[]>(host, 'list')).map(({ status }) => status),
    ['completed'],
  )
})
