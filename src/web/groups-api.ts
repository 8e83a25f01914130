import { allowedRoot, groupSettings, registration } from '@nanoclaw/protocol'
import { Hono } from 'hono'
import { z } from 'zod'
import type { GroupChange } from '../app/group-change.ts'
import { groupList } from '../app/group-list.ts'
import type { OwnerDesk } from '../app/owner-desk.ts'
import { AppError } from '../domain/errors.ts'
import type { Store } from '../store/store.ts'

export type GroupsApiPorts = {
  store: Store
  registry: OwnerDesk
  assistantName: string
}

const target = z.object({ target: z.string() })
const folder = z.object({ folder: z.string() })

/**
 * Groups, their sessions, and what of this machine they may have (protocol/control.ts), to be mounted into the local API. `main` is a setting like the
 * others here, so this must be reachable by the owner alone.
 */
export function groupsApi({ store, registry, assistantName }: GroupsApiPorts): Hono {
  return new Hono()
    .get('/api/groups', (c) => c.json({ groups: groupList(store, { assistantName }) }))
    .post('/api/groups/register', async (c) => c.json(answer(registry.register(registration.parse(await c.req.json())))))
    .post('/api/groups/set', async (c) => c.json(answer(registry.set(groupSettings.parse(await c.req.json())))))
    .post('/api/groups/remove', async (c) => c.json(answer(registry.remove(target.parse(await c.req.json()).target))))
    .post('/api/groups/terminal', async (c) => {
      const opened = registry.openTerminal(folder.parse(await c.req.json()).folder)
      if (opened.type === 'refused') throw refusal(opened.why)
      return c.json({ jid: opened.jid })
    })
    .post('/api/mounts/allow', async (c) => c.json(answer(registry.allowMount(allowedRoot.parse(await c.req.json())))))
    .post('/api/mounts/remove', async (c) => c.json(answer(registry.removeMount(target.parse(await c.req.json()).target))))
    .post('/api/sessions/clear', async (c) => c.json(answer(registry.clearSession(folder.parse(await c.req.json()).folder))))
}

function answer(change: GroupChange): { text: string; notes: string[] } {
  if (change.type === 'refused') throw refusal(change.why)
  return { text: change.text, notes: change.notes }
}

/** `input.`: the command line ends with 2 for it. */
function refusal(why: string): AppError {
  return new AppError({ code: 'input.group', fault: 'user', message: why })
}
