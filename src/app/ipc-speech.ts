import { randomUUID } from 'node:crypto'
import type { OutboundFile } from '../channels/contract.ts'
import { visibleAnswer } from '../domain/answer.ts'
import type { Instant } from '../domain/clock.ts'
import type { RegisteredChat } from '../domain/group.ts'
import type { TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'
import type { Feed } from './feed.ts'

/** Something to be delivered; with a file, the text is its caption. */
export type Posting = {
  jid: string
  text: string
  file: OutboundFile | undefined
  key: string
  turnId: TurnId | null
  at: Instant
}

export type SpeechPorts = { store: Store; feed: Feed; post(posting: Posting): void; now(): Instant; assistantName: string }

export type Speech = { chat: RegisteredChat; by: string; text: string; file?: OutboundFile }

/**
 * Says something in a chat, in the transaction this belongs to: what an agent sends is committed before it hears so, and
 * therefore stands before what it answers later. Returns what tells the watchers, for after the commit.
 */
export function speak(
  { store, feed, post, now, assistantName }: SpeechPorts,
  { chat: { jid, folder }, by, text, file }: Speech,
): () => void {
  const key = `said-${randomUUID()}`
  const turnId = by === folder ? runningTurn(store, { jid, folder }) : null
  const shown = file ? [`[File: ${file.name}]`, text].join(' ').trim() : text
  const said = { jid, id: key, sender: 'assistant', senderName: assistantName, text: shown, sentAt: now(), fromMe: true }
  const message = store.messages.addAnswer(said, turnId)
  post({ jid, text, file, key, turnId, at: now() })
  return () => feed.publish(jid, { type: 'message', message })
}

/** What the agent says in the turn it works on belongs to that turn; anything else is context for the chat's next one. */
function runningTurn(store: Store, { jid, folder }: { jid: string; folder: string }): TurnId | null {
  const running = store.turns.running().filter((turn) => turn.folder === folder)
  const [first] = running
  // Beside an isolated task it cannot be known whose words they are.
  return first && running.every((turn) => turn.jid === jid && turn.lane === 'chat') ? first.turn.id : null
}

/** What people see of a message: without internal notes, under the role it is said in. Null when nothing is left. */
export function messageText(text: string, sender: string | undefined): string | null {
  const visible = visibleAnswer(text)
  const role = sender?.replaceAll(/[*\s]+/gu, ' ').trim()
  return visible !== null && role ? `*${role}*: ${visible}` : visible
}
