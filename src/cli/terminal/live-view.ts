import { duration } from './duration.ts'
import { type Editor, isEmpty } from './editor.ts'
import { editorRows } from './editor-view.ts'
import { renderMarkdown } from './markdown.ts'
import { hanging, type Look, proseColumns } from './message-view.ts'
import type { Outgoing, Room, Work } from './room.ts'
import type { Live } from './screen.ts'
import { clip, oneLine, width } from './text.ts'

const HIGHEST_INPUT = 12
const HIGHEST_PREVIEW = 12
const HIGHEST_NOTE = 3

/** What stands below the chat: the answer as it grows, what the agent does, what was not sent yet, the input, a hint. */
export function liveView({ room, editor, hint, look }: { room: Room; editor: Editor; hint: string; look: Look }): Live {
  // All of it must fit on the screen, or it could not be drawn over again.
  const available = Math.max(look.rows - 1, 1)
  const input = inputRows({ editor, look, maxRows: Math.min(HIGHEST_INPUT, Math.max(available - 3, 1)) })
  const below = hint === '' ? [] : [look.style.dim(clip(hint, look.columns - 1))].slice(0, available - input.rows.length)
  const left = available - input.rows.length - below.length
  const status = last([...workRows(room, look), ...room.outgoing.flatMap((one) => outgoingRows(one, room, look))], left)
  const preview = last(previewRows(room.work, look), Math.min(left - status.length - 1, HIGHEST_PREVIEW, look.rows >> 1))
  const above = [...preview, ...(preview.length > 0 ? [''] : []), ...status]
  return {
    rows: [...above, ...input.rows, ...below],
    cursor: { row: above.length + input.cursor.row, before: input.cursor.before },
  }
}

function last(rows: readonly string[], count: number): string[] {
  return count > 0 ? rows.slice(-count) : []
}

function inputRows({ editor, look, maxRows }: { editor: Editor; look: Look; maxRows: number }): Live {
  const { columns, style } = look
  const { rows, cursor } = editorRows({ editor, columns, maxRows, style })
  return { rows: isEmpty(editor) ? [`${rows[0]}${style.dim(clip('Write a message', columns - 3))}`] : rows, cursor }
}

/** The end of the answer so far, as it will look. */
function previewRows(work: Work, look: Look): string[] {
  if (work.state !== 'running' || work.text === '') return []
  return renderMarkdown(work.text, { columns: proseColumns(look), style: look.style })
}

function workRows({ online, work }: Room, look: Look): string[] {
  const { style } = look
  if (!online) return [style.warning(clip('! The connection to NanoClaw is lost; trying to get it back…', look.columns - 1))]
  switch (work.state) {
    case 'none':
      return []
    case 'sent':
      return [style.dim('· Sent')]
    case 'waiting':
      return hanging({ text: work.why, mark: '·', look }).slice(0, HIGHEST_NOTE).map(style.warning)
    case 'running':
      return [activityRow(work, look)]
  }
}

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
export const SPINNER_STEP_MS = 100

export function activityRow({ since, doing, stopping }: Work & { state: 'running' }, { now, columns, style }: Look): string {
  const elapsed = Math.max(now - since, 0)
  const spinner = SPINNER[Math.floor(elapsed / SPINNER_STEP_MS) % SPINNER.length] ?? ''
  const clock = ` ${duration(elapsed)} `
  const what = clip(stopping ? 'Stopping…' : oneLine(doing), columns - width(clock) - 2)
  return style.accent(spinner) + style.dim(clock) + what
}

function outgoingRows({ text }: Outgoing, { online }: Room, look: Look): string[] {
  const lines = hanging({ text, mark: '›', look })
  const kept = lines.slice(0, HIGHEST_NOTE)
  const notes = [...(lines.length > kept.length ? ['…'] : []), ...(online ? [] : ['(not sent yet)'])]
  return [...kept.slice(0, -1), [kept.at(-1), ...notes].join(' ')].map(look.style.dim)
}
