import type { ChatEvent, ChatMessage, HostStatus } from '@nanoclaw/protocol'
import { type Context, Hono } from 'hono'
import { z } from 'zod'
import type { Feed, FeedEvent, Missed } from '../app/feed.ts'
import { outcomeOf } from '../app/outcome.ts'
import { typedMessage } from '../channels/terminal.ts'
import type { AuditNote } from '../domain/audit.ts'
import { AppError, errorText } from '../domain/errors.ts'
import type { IncomingMessage, Message } from '../domain/message.ts'
import type { Store } from '../store/store.ts'
import { channelsApi, type Linkable } from './channels-api.ts'
import { type GroupsApiPorts, groupsApi } from './groups-api.ts'
import { ndjson } from './ndjson.ts'
import { type TasksApiPorts, tasksApi } from './tasks-api.ts'

export type ApiPorts = {
  store: Store
  registry: GroupsApiPorts['registry']
  tasks: TasksApiPorts['tasks']
  assistantName: string
  channels: readonly Linkable[]
  feed: Feed
  receive(message: IncomingMessage): number | undefined
  stopTurn(jid: string): boolean
  status(): HostStatus
  audit(note: AuditNote): void
  /** Takes secrets out of what is told of states and errors: words of libraries may hold them. */
  redact(text: string): string
  now(): number
}

const textBody = z.object({ text: z.string().trim().min(1, 'the message is empty') })
const limit = z.coerce.number().int().min(1).max(500).default(50)

/** The host's local API (protocol/control.ts). Whoever can reach it is the owner: it is served on a 0600 socket. */
export function controlApi(ports: ApiPorts): Hono {
  const { store, feed } = ports
  return new Hono()
    .onError((error, c) => failure({ c, error, redact: ports.redact }))
    .notFound((c) => c.json({ error: { code: 'api.unknown', message: `There is no ${c.req.method} ${c.req.path}.` } }, 404))
    .route('/', groupsApi(ports))
    .route(
      '/',
      channelsApi(ports.channels, (note) => store.afterCommit('Writing the audit', () => ports.audit(note))),
    )
    .route('/', tasksApi(ports))
    .get('/api/status', (c) => c.body(ports.redact(JSON.stringify(ports.status())), 200, { 'content-type': 'application/json' }))
    .get('/api/chats/:jid/messages', (c) => {
      const messages = store.messages.latest(registered(store, c), limit.parse(c.req.query('limit')))
      return c.json({ messages: messages.map(chatMessage) })
    })
    .post('/api/chats/:jid/messages', async (c) => {
      const jid = registered(store, c)
      const { text } = textBody.parse(await c.req.json())
      const seq = ports.receive(typedMessage({ jid, text, at: ports.now() }))
      if (seq === undefined)
        throw new AppError({
          code: 'input.chat-leaving',
          fault: 'user',
          message: `${jid} is being removed: it takes no more messages.`,
        })
      return c.json({ seq })
    })
    .post('/api/chats/:jid/stop', (c) => c.json({ stopped: ports.stopTurn(registered(store, c)) }))
    .get('/api/chats/:jid/events', (c) => ndjson(c, (signal) => chatEvents(feed.watch(registered(store, c), signal))))
    .get('/api/chats/:jid/outcome', (c) => {
      const seq = z.coerce.number().int().min(1).parse(c.req.query('seq'))
      const jid = registered(store, c)
      return ndjson(c, (signal) => outcomeOf({ store, feed, jid, seq, signal }))
    })
}

function registered(store: Store, c: Context): string {
  const jid = c.req.param('jid') ?? ''
  if (store.groups.chat(jid)) return jid
  const known = store.groups.chats().map((chat) => chat.jid)
  throw new AppError({
    code: 'chat.unknown',
    fault: 'user',
    message: `There is no chat "${jid}". Registered chats: ${known.join(', ') || 'none'}.`,
  })
}

function failure({ c, error, redact }: { c: Context; error: unknown; redact(text: string): string }): Response {
  if (error instanceof AppError)
    return c.json({ error: { code: error.code, message: redact(error.message) } }, error.code === 'chat.unknown' ? 404 : 400)
  if (error instanceof z.ZodError || error instanceof SyntaxError) {
    const message = error instanceof z.ZodError ? error.issues.map((issue) => issue.message).join('; ') : 'the body is not JSON'
    return c.json({ error: { code: 'api.invalid', message } }, 400)
  }
  return c.json({ error: { code: 'bug', message: redact(errorText(error)) } }, 500)
}

/** Ends for a client that missed something, which then asks for the messages and watches anew. */
export async function* chatEvents(events: AsyncIterable<FeedEvent | Missed>): AsyncGenerator<ChatEvent> {
  for await (const event of events) {
    if (event.type === 'missed') return yield event
    yield chatEvent(event)
  }
}

function chatEvent(event: FeedEvent): ChatEvent {
  if (event.type === 'message') return { type: 'message', message: chatMessage(event.message) }
  if (event.type === 'activity') return event
  return { type: 'turn', state: event.state, ...(event.detail ? { detail: event.detail } : {}) }
}

function chatMessage({ seq, senderName, fromAssistant, text, sentAt }: Message): ChatMessage {
  return { seq, sender: senderName, fromAssistant, text, at: sentAt }
}
