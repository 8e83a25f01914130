import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { Command } from 'commander'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { AppError } from '../domain/errors.ts'
import { Store } from '../store/store.ts'
import type { Task } from '../store/tasks.ts'
import { exitCodeOf } from './exit.ts'
import { renderRuns, renderTask, renderTasks, tasksCommand } from './tasks.ts'

const NINE = Date.parse('2026-03-01T08:00Z')
const zone = { timeZone: 'Europe/Berlin' }
const task: Task = {
  ...{
    id: 't1',
    folder: 'family',
    jid: 'tg:1',
    prompt: 'Water\nthe \u001b[31mplants',
    script: null,
    status: 'active',
    reason: null,
  },
  ...{ schedule: { type: 'cron', value: '0 9 * * *' }, contextMode: 'group', catchUp: 'once' },
  ...{ nextRun: NINE, lastRun: null, lastResult: null, createdAt: 0 },
}

test('tasks are listed with their next run in local time and why one is paused, harmlessly', () => {
  const paused: Task = { ...task, id: 't22', status: 'paused', reason: 'its group was removed', nextRun: null }
  const text = renderTasks(
    [
      { ...task, running: false },
      { ...paused, running: false },
      { ...task, running: true },
    ],
    zone,
  )
  const lines = text.split('\n')
  assert.match(lines[0] ?? '', /^TASK +GROUP +NEXT RUN +SCHEDULE +STATE +WHAT$/)
  assert.match(lines[1] ?? '', /^t1 +family +2026-03-01 09:00 +cron 0 9 \* \* \* +active +Water the .*plants$/)
  assert.match(lines[2] ?? '', /^t22 +family +- .*paused: its group was removed/)
  assert.match(lines[3] ?? '', / running /)
  assert.ok(!text.includes('\u001b'))
  assert.match(renderTasks([], zone), /There are no tasks/)
})

test('one task is shown with everything about it', () => {
  const text = renderTask({ ...task, running: false, lastResult: 'wet' }, zone)
  for (const line of [/^Task +t1$/m, /^Group +family, chat tg:1$/m, /^Next run +2026-03-01 09:00 \(Europe\/Berlin\)$/m])
    assert.match(text, line)
  for (const line of [/^Last run +-$/m, /^Last result +wet$/m, /^Conversation +the group's$/m]) assert.match(text, line)
})

test('runs are shown with what is special about them', () => {
  const run = { id: 1, taskId: 't1', at: NINE, dueAt: NINE, durationMs: 1_500, note: null, result: 'wet', error: null }
  const text = renderRuns(
    [
      { ...run, status: 'success' },
      { ...run, status: 'skipped', durationMs: null, result: null, note: 'too late' },
      { ...run, status: 'error', note: 'asked for', error: 'crash: oh' },
    ],
    zone,
  )
  assert.match(text, /2026-03-01 09:00 +1\.5 s +success +wet\n.* - +skipped +too late\n.*error +asked for; crash: oh\n$/)
  assert.match(renderRuns([], zone), /not run yet/)
})

/** The command on a root without a host; returns what it prints and says, or its error. */
async function cli(root: string, ...args: string[]): Promise<{ out: string; code: number }> {
  let out = ''
  let code = -1
  const program = new Command('nanoclaw').exitOverride()
  const note = (text: string) => {
    out += text
  }
  tasksCommand(program, {
    env: { NANOCLAW_HOME: root, TZ: 'Europe/Berlin' },
    print: note,
    say: (line) => note(`${line}\n`),
    done: (result) => {
      code = result
    },
  })
  try {
    await program.parseAsync(['node', 'nanoclaw', 'tasks', ...args])
  } catch (error) {
    return { out: error instanceof AppError ? error.message : String(error), code: exitCodeOf(error) }
  }
  return { out, code }
}

function rootWith(t: TestContext, tasks: readonly Task[]): string {
  const root = temporaryFolder(t)
  const store = Store.open(path.join(root, 'store', 'messages.db'))
  store.groups.add({ folder: 'family', name: 'Family', isMain: false, config: {} }, 0)
  store.chats.see({ jid: 'tg:1' })
  store.groups.register({ jid: 'tg:1', folder: 'family', trigger: null, requiresTrigger: false }, 0)
  for (const one of tasks) store.tasks.add(one)
  store.close()
  return root
}

test('without a host, tasks are read and changed, and a run says that it needs one', async (t) => {
  const root = rootWith(t, [task])
  const listed = await cli(root, 'list', '--json')
  assert.deepEqual([listed.code, JSON.parse(listed.out)], [0, [{ ...task, running: false }]])
  assert.deepEqual(JSON.parse((await cli(root, 'list', '--group', 'other', '--json')).out), [])
  assert.deepEqual(JSON.parse((await cli(root, 'show', 't1', '--json')).out).id, 't1')
  assert.match((await cli(root, 'pause', 't1')).out, /t1 is paused/)
  assert.match((await cli(root, 'resume', 't1')).out, /active again. Next run: .* \(Europe\/Berlin\)/)
  const run = await cli(root, 'run', 't1')
  assert.deepEqual([run.code, run.out], [3, 'NanoClaw is not running; start it with ./nanoclaw start'])
  assert.deepEqual(await cli(root, 'history', 't1', '--json'), { out: '[]\n', code: 0 })
  assert.match((await cli(root, 'cancel', 't1')).out, /is cancelled/)
  assert.match((await cli(root, 'list')).out, /There are no tasks/)
})

test('a task that is not there is bad input', async (t) => {
  const root = rootWith(t, [])
  for (const verb of ['show', 'history', 'pause']) {
    const { code, out } = await cli(root, verb, 'x')
    assert.deepEqual([code, /There is no task "x"/.test(out)], [2, true], verb)
  }
})

test('before the first start there are no tasks', async (t) => {
  assert.deepEqual(await cli(temporaryFolder(t), 'list', '--json'), { out: '[]\n', code: 0 })
})
