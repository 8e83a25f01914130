import { taskDeed } from '@nanoclaw/protocol'
import { Hono } from 'hono'
import { z } from 'zod'
import type { OwnerDesk } from '../app/owner-desk.ts'
import { taskList } from '../app/task-list.ts'
import type { TaskBook } from '../app/tasks.ts'
import { AppError } from '../domain/errors.ts'
import type { Store } from '../store/store.ts'

export type TasksApiPorts = { store: Store; tasks: TaskBook; registry: Pick<OwnerDesk, 'changeTask'> }

const limit = z.coerce.number().int().min(1).max(1_000).default(20)

/** Tasks (protocol/control.ts), to be mounted into the local API. */
export function tasksApi({ store, tasks, registry }: TasksApiPorts): Hono {
  return new Hono()
    .get('/api/tasks', (c) => c.json({ tasks: taskList(store) }))
    .get('/api/tasks/:id/runs', (c) => c.json({ runs: tasks.history(c.req.param('id'), limit.parse(c.req.query('limit'))) }))
    .post('/api/tasks/:id/:deed', (c) => {
      const change = registry.changeTask({ id: c.req.param('id'), deed: taskDeed.parse(c.req.param('deed')) })
      // With `input.`, the command line ends with 2.
      if (change.type === 'refused') throw new AppError({ code: 'input.task', fault: 'user', message: change.why })
      return c.json({ text: change.text, notes: change.notes })
    })
}
