import { type LoginEvent, loginRequest } from '@nanoclaw/protocol'
import { Hono } from 'hono'
import type { AuditNote } from '../domain/audit.ts'
import { AppError, errorText } from '../domain/errors.ts'
import { ndjson } from './ndjson.ts'

type LoginRequest = { phone?: string | undefined; tell(event: LoginEvent): void; signal: AbortSignal }

/** What can be linked to an account; channels without an account have neither function. */
export type Linkable = { name: string; login?(request: LoginRequest): Promise<void>; logout?(): Promise<void> }

/**
 * Linking and unlinking of channels (protocol/control.ts), to be mounted into the local API. `audit` must not throw: what it
 * notes has been done, on the platform too.
 */
export function channelsApi(channels: readonly Linkable[], audit: (note: AuditNote) => void): Hono {
  return new Hono()
    .post('/api/channels/:name/login', async (c) => {
      const { phone } = loginRequest.parse(await c.req.json())
      const channel = linkable(channels, c.req.param('name'))
      return ndjson(c, (signal) =>
        loginEvents((tell) => channel.login({ phone, tell: noting({ tell, audit, name: channel.name }), signal })),
      )
    })
    .post('/api/channels/:name/logout', async (c) => {
      const { name, logout } = linkable(channels, c.req.param('name'))
      await logout()
      audit(linkNote({ act: 'unlink-channel', name, detail: 'no longer linked' }))
      return c.json({ text: `${name} is no longer linked.`, notes: [] })
    })
}

type Teller = (event: LoginEvent) => void

/** Who links a channel lets whoever writes there in. */
export function noting({ tell, audit, name }: { tell: Teller; audit: (note: AuditNote) => void; name: string }): Teller {
  return (event) => {
    if (event.type === 'online') audit(linkNote({ act: 'link-channel', name, detail: `linked to ${event.account}` }))
    tell(event)
  }
}

export function linkNote({ act, name, detail }: { act: string; name: string; detail: string }): AuditNote {
  return { by: 'owner', folder: null, act, subject: name, outcome: 'done', detail }
}

function linkable(channels: readonly Linkable[], name: string): Required<Linkable> {
  const channel = channels.find((one) => one.name === name)
  if (channel?.login && channel.logout) return { name, login: channel.login.bind(channel), logout: channel.logout.bind(channel) }
  const names = channels.filter(({ login }) => login).map((one) => one.name)
  const message = `There is no channel "${name}" that can be linked. There is: ${names.join(', ')}.`
  throw new AppError({ code: 'input.channel', fault: 'user', message })
}

const MOST_WAITING = 100

/** What a login tells, as it tells it. A login that fails otherwise ends like one that failed. */
export async function* loginEvents(login: (tell: (event: LoginEvent) => void) => Promise<void>): AsyncGenerator<LoginEvent> {
  const events: LoginEvent[] = []
  let over = false
  let wake = () => {}
  const tell = (event: LoginEvent) => {
    // Whoever reads too slowly gets the newest: an older code cannot be used any more.
    if (events.push(event) > MOST_WAITING) events.shift()
    wake()
  }
  const loggingIn = async () => {
    try {
      await login(tell)
    } catch (error) {
      tell({ type: 'failed', why: errorText(error) })
    }
    over = true
    wake()
  }
  void loggingIn()
  for (;;) {
    for (let event = events.shift(); event; event = events.shift()) yield event
    if (over) return
    await new Promise<void>((resolve) => {
      wake = resolve
    })
  }
}
