import { taskDeed } from '@nanoclaw/protocol'
import { Hono } from 'hono'
import { z } from 'zod'
import { taskList } from '../app/task-list.ts'
import { changeTask, type TaskBook } from '../app/tasks.ts'
import type { Store } from '../store/store.ts'

export type TasksApiPorts = { store: Store; tasks: TaskBook }

const limit = z.coerce.number().int().min(1).max(1_000).default(20)

/** Tasks (protocol/control.ts), to be mounted into the local API. */
export function tasksApi({ store, tasks }: TasksApiPorts): Hono {
  return new Hono()
    .get('/api/tasks', (c) => c.json({ tasks: taskList(store) }))
    .get('/api/tasks/:id/runs', (c) => c.json({ runs: tasks.history(c.req.param('id'), limit.parse(c.req.query('limit'))) }))
    .post('/api/tasks/:id/:deed', (c) =>
      c.json(changeTask(tasks, { id: c.req.param('id'), deed: taskDeed.parse(c.req.param('deed')) })),
    )
}
