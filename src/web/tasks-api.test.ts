import assert from 'node:assert/strict'
import { test } from 'node:test'
import { change, taskDetail, taskRun } from '@nanoclaw/protocol'
import { storeWith } from '../../test/fakes/rooms.ts'
import { OwnerDesk } from '../app/owner-desk.ts'
import { TaskBook } from '../app/tasks.ts'
import type { AuditNote } from '../domain/audit.ts'
import { AppError } from '../domain/errors.ts'
import { tasksApi } from './tasks-api.ts'

test('tasks are listed and changed as the contract says, and what is refused is an error with the reason', async (t) => {
  const { store } = storeWith(t, ['main'])
  const ports = { store, now: () => 0, newId: () => 'a/b', wake: () => {}, changed: () => {} }
  const tasks = new TaskBook(ports, { timeZone: 'UTC' })
  const errors: unknown[] = []
  const audit = (note: AuditNote) => store.audit.add({ ...note, at: 0, count: 1 })
  const registry = new OwnerDesk({ store, tasks, audit, registry: {} as never, mounts: {} as never })
  const api = tasksApi({ store, tasks, registry }).onError((error, c) => {
    errors.push(error)
    return c.text('refused', 400)
  })
  const post = (deed: string, id = 'a%2Fb') => api.request(`/api/tasks/${id}/${deed}`, { method: 'POST' })
  const text = async (response: Response | Promise<Response>) => change.parse(await (await response).json()).text
  tasks.schedule({ folder: 'main', jid: 'local:main', prompt: 'p', schedule: { type: 'interval', value: '60000' } })

  assert.match(await text(post('pause')), /is paused/)
  assert.match(await text(post('resume')), /active again/)
  assert.match(await text(post('run')), /runs now/)
  const listed = (await (await api.request('/api/tasks')).json()) as { tasks: unknown[] }
  const { id, running } = taskDetail.parse(listed.tasks[0])
  assert.deepEqual([id, running], ['a/b', true])
  const { runs } = (await (await api.request('/api/tasks/a%2Fb/runs?limit=5')).json()) as { runs: unknown[] }
  assert.equal(taskRun.parse(runs[0]).status, 'running')
  for (const [limit, status] of [
    ['1', 200],
    ['1000', 200],
    ['1001', 400],
    ['1.5', 400],
  ] as const)
    assert.equal((await api.request(`/api/tasks/a/runs?limit=${limit}`)).status, status, limit)
  assert.equal(errors.splice(0).length, 2)
  assert.match(await text(post('cancel')), /is cancelled/)

  assert.equal((await post('run')).status, 400)
  assert.equal((await post('explode')).status, 400)
  assert.equal((await api.request('/api/tasks/a/runs?limit=0')).status, 400)
  assert.deepEqual(
    errors.map((error) => (error instanceof AppError ? error.code : 'not the contract')),
    ['input.task', 'not the contract', 'not the contract'],
  )
  assert.deepEqual(
    store.audit.latest({ limit: 9 }).map(({ by, folder, act, subject, outcome }) => [by, folder, act, subject, outcome].join()),
    ['pause', 'resume', 'run', 'cancel'].map((deed) => `owner,main,${deed}-task,a/b,done`).concat('owner,,run-task,a/b,refused'),
  )
})
