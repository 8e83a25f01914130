import type { ChatEvent, ChatMessage, OutcomeEvent } from '@nanoclaw/protocol'
import { visibleAnswer } from '../../domain/answer.ts'

/** What the agent is doing in this chat, as far as it is known here. */
export type Work =
  | { state: 'none' }
  /** The host has our message, and no turn has taken it up yet. */
  | { state: 'sent' }
  | { state: 'waiting'; why: string }
  | { state: 'running'; since: number; doing: string; text: string; stopping: boolean; answered: boolean }

/** A message of ours that was not seen in the chat yet. `tried`: it may have arrived; `seq`: it did. */
export type Outgoing = { text: string; tried: boolean; seq?: number }

/** What this terminal knows of the chat. */
export type Room = {
  online: boolean
  work: Work
  outgoing: readonly Outgoing[]
  /** The newest message that was shown. */
  lastSeq: number
  /** Our newest message whose turn has not ended as far as we saw. */
  unsettled: number | undefined
}

/** Something to show for good. */
export type Shown = { type: 'message'; message: ChatMessage } | { type: 'notice'; tone: 'info' | 'error'; text: string }
export type Heard = { room: Room; shown: Shown[] }

export const emptyRoom: Room = { online: false, work: { state: 'none' }, outgoing: [], lastSeq: 0, unsettled: undefined }

/** What an event of the host changes, and what of it is shown. */
export function heard(room: Room, event: ChatEvent, now: number): Heard {
  switch (event.type) {
    case 'message':
      return heardMessage(room, event.message)
    case 'activity':
      return { room: { ...room, work: active(running(room.work, now), event) }, shown: [] }
    case 'turn':
      return heardTurn(room, event, now)
    case 'missed':
      // It is the last event: whoever connects anew asks for the messages.
      return { room, shown: [] }
  }
}

/** Messages are shown once, in the order of their numbers. */
export function heardMessage(room: Room, message: ChatMessage): Heard {
  if (message.seq <= room.lastSeq) return { room, shown: [] }
  const isOurs = room.outgoing.some((outgoing) => isSame(outgoing, message))
  return {
    room: {
      ...room,
      lastSeq: message.seq,
      outgoing: without(room.outgoing, (outgoing) => isSame(outgoing, message)),
      unsettled: isOurs ? message.seq : room.unsettled,
      work: workAfter({ work: room.work, message, isOurs }),
    },
    shown: [{ type: 'message', message }],
  }
}

/** A message whose number nobody told us is known by its text. */
function isSame(outgoing: Outgoing, message: ChatMessage): boolean {
  if (outgoing.seq !== undefined) return outgoing.seq === message.seq
  return outgoing.tried && !message.fromAssistant && outgoing.text === message.text
}

function workAfter({ work, message, isOurs }: { work: Work; message: ChatMessage; isOurs: boolean }): Work {
  if (message.fromAssistant && work.state === 'running') return { ...work, text: '', answered: true }
  return isOurs && work.state === 'none' ? { state: 'sent' } : work
}

function running(work: Work, now: number): Work & { state: 'running' } {
  if (work.state === 'running') return work
  return { state: 'running', since: now, doing: 'Starting', text: '', stopping: false, answered: false }
}

function active(work: Work & { state: 'running' }, { kind, detail }: ChatEvent & { type: 'activity' }): Work {
  switch (kind) {
    case 'text':
      return { ...work, doing: 'Writing', text: visibleAnswer(detail) ?? '' }
    case 'tool':
      return { ...work, doing: detail }
    case 'thinking':
      return { ...work, doing: 'Thinking' }
    case 'compacting':
      return { ...work, doing: 'Compacting the conversation' }
  }
}

function heardTurn(room: Room, { state, detail }: ChatEvent & { type: 'turn' }, now: number): Heard {
  const ended: Room = { ...room, work: { state: 'none' }, unsettled: undefined }
  switch (state) {
    case 'running':
      return { room: { ...room, work: running(room.work, now) }, shown: [] }
    case 'waiting':
      return { room: { ...room, work: { state: 'waiting', why: detail ?? 'Waiting for its turn.' } }, shown: [] }
    case 'failed':
      return { room: ended, shown: [{ type: 'notice', tone: 'error', text: detail ?? 'The turn failed.' }] }
    case 'stopped':
      return { room: ended, shown: [{ type: 'notice', tone: 'info', text: 'Stopped.' }] }
    case 'done': {
      const silent = room.work.state === 'running' && !room.work.answered
      return { room: ended, shown: silent ? [{ type: 'notice', tone: 'info', text: 'Done; there was nothing to say.' }] : [] }
    }
  }
}

/** A message was written; it leaves when the host can be reached. */
export function written(room: Room, text: string): Room {
  return { ...room, outgoing: [...room.outgoing, { text, tried: false }] }
}

/** The message that is to be handed over next. */
export function nextOutgoing(room: Room): string | undefined {
  return room.outgoing.find(isWaiting)?.text
}

function isWaiting(outgoing: Outgoing): boolean {
  return outgoing.seq === undefined
}

/** An attempt to hand the next message over begins. */
export function trying(room: Room): Room {
  return { ...room, outgoing: changed(room.outgoing, (outgoing) => ({ ...outgoing, tried: true })) }
}

/** The host has stored the message that was tried. It is shown when it comes back among the events. */
export function stored(room: Room, { text, seq }: { text: string; seq: number }): Room {
  const isIt = (outgoing: Outgoing) => outgoing.tried && isWaiting(outgoing) && outgoing.text === text
  // Seen among the events already: then it was taken off the list there, unless the host has changed its text.
  if (seq <= room.lastSeq) return { ...room, outgoing: without(room.outgoing, isIt) }
  return { ...room, outgoing: changed(room.outgoing, (outgoing) => ({ ...outgoing, seq })) }
}

/** The host refused the message that was tried. */
export function refused(room: Room): Room {
  return { ...room, outgoing: without(room.outgoing, isWaiting) }
}

/** The list without the first that `isIt`. */
function without(outgoing: readonly Outgoing[], isIt: (outgoing: Outgoing) => boolean): readonly Outgoing[] {
  const index = outgoing.findIndex(isIt)
  return outgoing.filter((_, i) => i !== index)
}

function changed(outgoing: readonly Outgoing[], change: (outgoing: Outgoing) => Outgoing): readonly Outgoing[] {
  const index = outgoing.findIndex(isWaiting)
  return outgoing.map((message, i) => (i === index ? change(message) : message))
}

export function lost(room: Room): Room {
  return { ...room, online: false }
}

export type GroupState = 'idle' | 'waiting' | 'running' | undefined

/** Connected again, and everything missed was heard. `group`: what it does by the host's word, if that is about this chat. */
export function connected(room: Room, group: GroupState, now: number): Room {
  switch (group) {
    case 'running':
      return { ...room, online: true, work: running(room.work, now) }
    case 'waiting':
      return { ...room, online: true, work: { state: 'waiting', why: 'Waiting for its turn.' } }
    default:
      return { ...room, online: true, work: { state: 'none' } }
  }
}

/** The turn was asked to stop, or turned out to be over already. */
export function stopAsked(room: Room, stopping: boolean): Room {
  return room.work.state === 'running' ? { ...room, work: { ...room.work, stopping } } : room
}

/** What became of our unsettled message while nobody listened. What was heard since then counts more. */
export function settled(room: Room, seq: number, event: OutcomeEvent): Heard {
  if (room.unsettled !== seq || event.type === 'activity') return { room, shown: [] }
  if (event.type === 'waiting') return { room: { ...room, work: { state: 'waiting', why: event.detail } }, shown: [] }
  const ended: Room = { ...room, work: { state: 'none' }, unsettled: undefined }
  return { room: ended, shown: event.type === 'failed' ? [{ type: 'notice', tone: 'error', text: event.message }] : [] }
}
