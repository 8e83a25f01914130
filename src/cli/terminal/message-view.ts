import type { ChatMessage } from '@nanoclaw/protocol'
import { neutralised } from '../../domain/neutral-text.ts'
import { renderMarkdown } from './markdown.ts'
import type { Room, Shown } from './room.ts'
import { asIs, type Paint, type Style } from './style.ts'
import { oneLine } from './text.ts'
import { wrapText } from './wrap.ts'

export type Look = { columns: number; rows: number; style: Style; now: number }

/** Prose is hard to read in longer lines. */
const WIDEST = 100
/** Of a longer message that a person sent, only the beginning is shown. */
const LONGEST_SENT = 12

export function titleLines(title: string, { style }: Look): string[] {
  const keys = 'Enter sends · Alt-Enter adds a line · Ctrl-C stops the turn · Ctrl-D leaves'
  return [style.bold(oneLine(title)), style.dim(keys), '']
}

/** What is shown for good, with an empty line below it. */
export function shownLines(shown: Shown, look: Look): string[] {
  const { style } = look
  if (shown.type === 'message') return [...messageLines(shown.message, look), '']
  const isError = shown.tone === 'error'
  const paint = isError ? style.error : style.dim
  return [...hanging({ text: shown.text, mark: isError ? '!' : '·', paint, look }).map(paint), '']
}

function messageLines(message: ChatMessage, look: Look): string[] {
  return message.fromAssistant ? answerLines(message, look) : sentLines(message, look)
}

function answerLines({ sender, text, at }: ChatMessage, look: Look): string[] {
  const { style, now } = look
  const head = `${style.name(oneLine(sender))} ${style.dim(clockTime(at, now))}`
  return [head, ...renderMarkdown(text, { columns: proseColumns(look), style })]
}

/** Written by the owner, in a terminal or on the dashboard; the host calls all of them `You`. */
export function isTyped({ sender, fromAssistant }: ChatMessage): boolean {
  return !fromAssistant && sender === 'You'
}

function sentLines(message: ChatMessage, look: Look): string[] {
  const { style } = look
  const { sender, text } = message
  const lines = hanging({ text, mark: '›', paint: style.accent, look })
  const kept = lines.slice(0, LONGEST_SENT)
  const more = lines.length - kept.length
  const head = isTyped(message) ? [] : [style.bold(oneLine(sender))]
  return [...head, ...kept, ...(more > 0 ? [style.dim(`  … ${more} more lines`)] : [])]
}

/** What somebody who leaves should know. */
export function partingLines({ outgoing, work }: Room, look: Look): string[] {
  const lost = outgoing
    .filter(({ seq }) => seq === undefined)
    .map(({ text }): Shown => ({ type: 'notice', tone: 'error', text: `Not sent: ${text}` }))
  const goesOn = lost.length === 0 && (work.state === 'running' || work.state === 'sent')
  const note: Shown = { type: 'notice', tone: 'info', text: 'The turn goes on; its answer will be in the chat.' }
  return [...lost, ...(goesOn ? [note] : [])].flatMap((shown) => shownLines(shown, look))
}

/** The text behind a mark, its other lines below its first. */
export function hanging({ text, mark, paint = asIs, look }: { text: string; mark: string; paint?: Paint; look: Look }): string[] {
  const lines = wrapText(neutralised(text), proseColumns(look) - 2)
  return lines.map((line, i) => (i === 0 ? `${paint(mark)} ${line}` : `  ${line}`.trimEnd()))
}

export function proseColumns({ columns }: Look): number {
  return Math.max(Math.min(columns - 1, WIDEST), 10)
}

function clockTime(at: number, now: number): string {
  const isToday = new Date(at).toDateString() === new Date(now).toDateString()
  const day: Intl.DateTimeFormatOptions = isToday ? {} : { weekday: 'short', day: 'numeric', month: 'short' }
  return new Intl.DateTimeFormat('en-GB', { ...day, hour: '2-digit', minute: '2-digit' }).format(at).replace(',', '')
}
