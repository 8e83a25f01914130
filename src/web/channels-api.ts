import { type LoginEvent, loginRequest } from '@nanoclaw/protocol'
import { Hono } from 'hono'
import { AppError, errorText } from '../domain/errors.ts'
import { ndjson } from './ndjson.ts'

type LoginRequest = { phone?: string | undefined; tell(event: LoginEvent): void; signal: AbortSignal }

/** What can be linked to an account; channels without an account have neither function. */
export type Linkable = { name: string; login?(request: LoginRequest): Promise<void>; logout?(): Promise<void> }

/** Linking and unlinking of channels (protocol/control.ts), to be mounted into the local API. */
export function channelsApi(channels: readonly Linkable[]): Hono {
  return new Hono()
    .post('/api/channels/:name/login', async (c) => {
      const { phone } = loginRequest.parse(await c.req.json())
      const channel = linkable(channels, c.req.param('name'))
      return ndjson(c, (signal) => loginEvents((tell) => channel.login({ phone, tell, signal })))
    })
    .post('/api/channels/:name/logout', async (c) => {
      const { name, logout } = linkable(channels, c.req.param('name'))
      await logout()
      return c.json({ text: `${name} is no longer linked.`, notes: [] })
    })
}

function linkable(channels: readonly Linkable[], name: string): Required<Linkable> {
  const channel = channels.find((one) => one.name === name)
  if (channel?.login && channel.logout) return { name, login: channel.login.bind(channel), logout: channel.logout.bind(channel) }
  const names = channels.filter(({ login }) => login).map((one) => one.name)
  const message = `There is no channel "${name}" that can be linked. There is: ${names.join(', ')}.`
  throw new AppError({ code: 'input.channel', fault: 'user', message })
}

/** What a login tells, as it tells it. A login that fails otherwise ends like one that failed. */
export async function* loginEvents(login: (tell: (event: LoginEvent) => void) => Promise<void>): AsyncGenerator<LoginEvent> {
  const events: LoginEvent[] = []
  let over = false
  let wake = () => {}
  const tell = (event: LoginEvent) => {
    events.push(event)
    wake()
  }
  void login(tell)
    .catch((error) => tell({ type: 'failed', why: errorText(error) }))
    .finally(() => {
      over = true
      wake()
    })
  for (;;) {
    for (let event = events.shift(); event; event = events.shift()) yield event
    if (over) return
    await new Promise<void>((resolve) => {
      wake = resolve
    })
  }
}
