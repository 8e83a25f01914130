import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { Store } from '../../src/store/store.ts'
import { until } from '../fakes/patience.ts'
import { assertAnswered, assertDelivered } from './lives.ts'
import { chaos, ROUNDS } from './rounds.ts'
import { Stage } from './stage.ts'

const slowTool = (chat: string, seconds: number) =>
  `!tool Bash ${JSON.stringify({ command: `echo run >> /workspace/group/ran; sleep ${seconds}; echo ${chat} is done` })}`

function timesRun(stage: Stage, chat: string): number {
  const file = path.join(stage.host.root, 'groups', chat, 'ran')
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').length : 0
}

function assertOneAnswer(stage: Stage, chat: string): void {
  assertAnswered(stage, chat)
  assertDelivered(stage, chat)
  assert.equal(stage.heard(chat).length, 1, JSON.stringify(stage.heard(chat)))
}

const CHATS = ['red', 'blue', 'green', 'white', 'black']

chaos('a host that was killed over five working containers ends them at its next start, and answers all', async (t) => {
  const stage = await Stage.create(t, { chats: CHATS })
  await stage.start()
  const ids = CHATS.map((chat) => stage.says(chat, slowTool(chat, 600)))
  await until(() => CHATS.every((chat) => timesRun(stage, chat) === 1), 'all work')
  const orphans = stage.containers()
  assert.equal(orphans.length, CHATS.length)
  await stage.host.kill()
  const begin = performance.now()
  await stage.start()
  t.diagnostic(
    `ready ${Math.round(performance.now() - begin)} ms after the start of the process, with ${orphans.length} orphans removed`,
  )
  const left = new Set(stage.containers())
  assert.deepEqual(
    orphans.filter((id) => left.has(id)),
    [],
  )
  await stage.settled(...ids)
  for (const chat of CHATS) assertOneAnswer(stage, chat)
})

chaos('a host that is told to stop lets its answers end, and takes up nothing new', async (t) => {
  const stage = await Stage.create(t, { chats: ['red', 'blue'], env: { SHUTDOWN_GRACE: '3600000' } })
  await stage.start()
  const first = stage.says('red', slowTool('red', 3))
  await until(() => timesRun(stage, 'red') === 1, 'it works')
  const stopped = stage.host.stop()
  await until(() => /Stopping/.test(stage.lastWords()), 'it begins to stop')
  const second = stage.says('blue', '!echo afterwards')
  assert.equal(await stopped, 0)
  assertOneAnswer(stage, 'red')
  assert.equal(timesRun(stage, 'red'), 1)
  assert.deepEqual([stage.heard('blue'), stage.containers()], [[], []])
  await stage.start()
  await stage.settled(first, second)
  assertOneAnswer(stage, 'blue')
})

chaos('a host that is told twice to stop does so at once, and answers when it is back', async (t) => {
  const stage = await Stage.create(t, { chats: ['red'], env: { SHUTDOWN_GRACE: '3600000' } })
  await stage.start()
  const id = stage.says('red', slowTool('red', 3_600))
  await until(() => timesRun(stage, 'red') === 1, 'it works')
  const { pid = 0 } = stage.host
  const stopped = stage.host.stop()
  await until(() => /Stopping/.test(stage.lastWords()), 'it begins to stop')
  process.kill(pid, 'SIGTERM')
  assert.equal(await stopped, 0)
  assert.deepEqual([stage.heard('red'), stage.containers()], [[], []])
  await stage.start()
  await stage.settled(id)
  assertOneAnswer(stage, 'red')
})

/** A task that has been due for a moment, in the database of a host that does not run. */
function plantTask(stage: Stage, { id, chat }: { id: string; chat: string }): void {
  const store = Store.open(path.join(stage.host.root, 'store', 'messages.db'))
  const now = Date.now()
  store.tasks.add({
    ...{ id, folder: chat, jid: `peer:${chat}`, prompt: slowTool(id, 0.5), script: null },
    ...{ schedule: { type: 'once', value: new Date(now).toISOString() }, contextMode: 'group', catchUp: 'once' },
    ...{ status: 'active', reason: null, nextRun: now, lastRun: null, lastResult: null, createdAt: now },
  })
  store.close()
}

const runsOf = (stage: Stage, id: string) => stage.query(`SELECT status FROM task_run_logs WHERE task_id = '${id}'`)

/** The host dies after a step of a task's life, counted from its start, and the next one takes it up. */
async function dieInTask(stage: Stage, { id, nth, step }: { id: string; nth: number; step: string }): Promise<void> {
  plantTask(stage, { id, chat: 'red' })
  const [ran, heard] = [timesRun(stage, 'red'), stage.heard('red').length]
  await stage.start({ nth, when: 'after' })
  await until(() => stage.host.dead, `the host dies after ${step}`)
  await stage.start()
  await stage.settledTask(id)
  await stage.host.stop()
  const what = `when the host died after step ${nth} (${step})`
  assert.deepEqual(runsOf(stage, id), [{ status: 'success' }], what)
  assert.ok(timesRun(stage, 'red') - ran <= 2, what)
  assert.equal(stage.heard('red').length - heard, 1, what)
  assertDelivered(stage, 'red')
}

test('a task that is due is claimed once, run at most twice, and posted once, whatever step of it the host dies at', async (t) => {
  const create = () => Stage.create(t, { chats: ['red'] })
  const stages = await Promise.all([create(), create()])
  plantTask(stages[0], { id: 'traced', chat: 'red' })
  const steps = await stages[0].trace(undefined, () => stages[0].settledTask('traced'))
  await stages[0].host.stop()
  const claim = steps.findIndex((step) => /insert into task_run_logs/.test(step))
  assert.ok(claim >= 0, steps.join('; '))
  const deaths = steps.map((step, index) => ({ step, nth: index + 1 })).slice(claim)
  const all = ROUNDS.flatMap((round) => deaths.map((death) => ({ ...death, id: `task-${round}-${death.nth}` })))
  await Promise.all(
    stages.map(async (stage, side) => {
      for (const death of all.filter((_, index) => index % 2 === side)) await dieInTask(stage, death)
    }),
  )
  t.diagnostic(`the host was killed ${all.length} times, at ${deaths.length} steps`)
})
