import { neutralised } from '../../domain/neutral-text.ts'
import type { CommandKey, Key } from './keys.ts'
import { graphemes } from './text.ts'

/** One step of the cursor: a character, a line end, or a whole paste, which is shown as a short note. */
export type Cell = { text: string; note?: string }
type Cells = readonly Cell[]

/** The input line. `cursor` counts cells. `at` is the entry of `past` that is shown; past the end is what is being written. */
export type Editor = { cells: Cells; cursor: number; past: readonly Cells[]; at: number; draft: Cells; deleted: Cells }

export type Edited = { editor: Editor; submitted?: string }

const LONGEST_PAST = 200
/** A paste that is larger than this is shown as a note. */
const NOTE_OVER_LINES = 3
const NOTE_OVER_CHARACTERS = 400

export const emptyEditor: Editor = { cells: [], cursor: 0, past: [], at: 0, draft: [], deleted: [] }

/** What a key does to the input. Enter submits, unless a backslash before it asks for a new line. */
export function press(editor: Editor, key: Key): Edited {
  if (key.name === 'text') return { editor: inserted(editor, typedCells(key.text)) }
  if (key.name === 'paste') return { editor: inserted(editor, pasteCells(key.text)) }
  if (key.name !== 'enter') return { editor: EDITS[key.name]?.(editor) ?? editor }
  if (editor.cells[editor.cursor - 1]?.text === '\\') return { editor: inserted(erased(editor, editor.cursor - 1), [NEWLINE]) }
  return submit(editor)
}

export function isEmpty(editor: Editor): boolean {
  return editor.cells.length === 0
}

export function cleared(editor: Editor): Editor {
  return { ...editor, cells: [], cursor: 0, at: editor.past.length, draft: [] }
}

/** With an input that was made elsewhere, or before. */
export function remembered(editor: Editor, text: string): Editor {
  const last = editor.past.at(-1)
  return last && textOf(last).trim() === text ? editor : withPast(editor, pasteCells(text))
}

function withPast(editor: Editor, cells: Cells): Editor {
  const past = [...editor.past, cells].slice(-LONGEST_PAST)
  const fromEnd = editor.past.length - editor.at
  return { ...editor, past, at: Math.max(past.length - (fromEnd === 0 ? 0 : fromEnd + 1), 0) }
}

function submit(editor: Editor): Edited {
  const submitted = textOf(editor.cells).trim()
  if (submitted === '') return { editor: cleared(editor) }
  const last = editor.past.at(-1)
  const isRepeated = last !== undefined && textOf(last).trim() === submitted
  return { editor: cleared(isRepeated ? editor : withPast(editor, editor.cells)), submitted }
}

function textOf(cells: Cells): string {
  return cells.map((cell) => cell.text).join('')
}

const NEWLINE: Cell = { text: '\n' }

function typedCells(text: string): Cell[] {
  return graphemes(neutralised(text)).map((grapheme) => ({ text: grapheme }))
}

/** Terminals send the line ends of a paste as carriage returns. */
function pasteCells(pasted: string): Cell[] {
  const text = neutralised(pasted)
  const lines = text.trimEnd().split('\n').length
  if (lines > NOTE_OVER_LINES) return [{ text, note: `[${lines} lines pasted]` }]
  if (text.length > NOTE_OVER_CHARACTERS) return [{ text, note: `[${text.length} characters pasted]` }]
  return typedCells(text)
}

function inserted(editor: Editor, cells: Cells): Editor {
  const { cursor } = editor
  const before = editor.cells.slice(0, cursor)
  const joined = joinedWith(before, cells)
  return { ...editor, cells: [...joined, ...editor.cells.slice(cursor)], cursor: joined.length }
}

/** An accent or the rest of an emoji belongs to the character before it. */
function joinedWith(before: Cells, cells: Cells): Cells {
  const [last, first] = [before.at(-1), cells[0]]
  if (!last || !first || last.note || first.note || last.text === '\n') return [...before, ...cells]
  const both = graphemes(last.text + first.text)
  if (both.length > 1) return [...before, ...cells]
  return [...before.slice(0, -1), { text: last.text + first.text }, ...cells.slice(1)]
}

const EDITS: Readonly<Partial<Record<CommandKey, (editor: Editor) => Editor>>> = {
  newline: (editor) => inserted(editor, [NEWLINE]),
  left: (editor) => moved(editor, editor.cursor - 1),
  right: (editor) => moved(editor, editor.cursor + 1),
  home: (editor) => moved(editor, lineStart(editor, editor.cursor)),
  end: (editor) => moved(editor, lineEnd(editor, editor.cursor)),
  'word-left': (editor) => moved(editor, wordLeft(editor)),
  'word-right': (editor) => moved(editor, wordRight(editor)),
  up: (editor) => (lineStart(editor, editor.cursor) === 0 ? recalled(editor, editor.at - 1) : lineUp(editor)),
  down: (editor) => (lineEnd(editor, editor.cursor) === editor.cells.length ? recalled(editor, editor.at + 1) : lineDown(editor)),
  backspace: (editor) => erased(editor, editor.cursor - 1),
  delete: (editor) => erased(editor, editor.cursor + 1),
  'end-of-input': (editor) => erased(editor, editor.cursor + 1),
  'delete-word-left': (editor) => cut(editor, wordLeft(editor)),
  'delete-word-right': (editor) => cut(editor, wordRight(editor)),
  'delete-to-start': (editor) => cut(editor, lineStart(editor, editor.cursor)),
  'delete-to-end': (editor) => cut(editor, lineEnd(editor, editor.cursor)),
  'put-back': (editor) => inserted(editor, editor.deleted),
}

function moved(editor: Editor, cursor: number): Editor {
  return { ...editor, cursor: Math.min(Math.max(cursor, 0), editor.cells.length) }
}

/** Without what lies between the cursor and `until`. */
function erased(editor: Editor, until: number): Editor {
  const from = Math.max(Math.min(editor.cursor, until), 0)
  const to = Math.max(editor.cursor, until)
  return { ...editor, cells: [...editor.cells.slice(0, from), ...editor.cells.slice(to)], cursor: from }
}

/** Erased, and kept to be put back. */
function cut(editor: Editor, until: number): Editor {
  if (until === editor.cursor) return editor
  const deleted = editor.cells.slice(Math.min(editor.cursor, until), Math.max(editor.cursor, until))
  return { ...erased(editor, until), deleted }
}

function lineStart({ cells }: Editor, from: number): number {
  let at = from
  while (at > 0 && cells[at - 1]?.text !== '\n') at--
  return at
}

function lineEnd({ cells }: Editor, from: number): number {
  let at = from
  while (at < cells.length && cells[at]?.text !== '\n') at++
  return at
}

function lineUp(editor: Editor): Editor {
  const start = lineStart(editor, editor.cursor)
  const above = lineStart(editor, start - 1)
  return moved(editor, Math.min(above + editor.cursor - start, start - 1))
}

function lineDown(editor: Editor): Editor {
  const below = lineEnd(editor, editor.cursor) + 1
  const column = editor.cursor - lineStart(editor, editor.cursor)
  return moved(editor, Math.min(below + column, lineEnd(editor, below)))
}

function wordLeft({ cells, cursor }: Editor): number {
  let at = cursor
  while (at > 0 && !isWord(cells[at - 1])) at--
  while (at > 0 && isWord(cells[at - 1])) at--
  return at
}

function wordRight({ cells, cursor }: Editor): number {
  let at = cursor
  while (at < cells.length && !isWord(cells[at])) at++
  while (at < cells.length && isWord(cells[at])) at++
  return at
}

function isWord(cell: Cell | undefined): boolean {
  return cell !== undefined && (cell.note !== undefined || /^[\p{L}\p{N}_]/u.test(cell.text))
}

/** Shows an earlier input, or what was being written before. */
function recalled(editor: Editor, at: number): Editor {
  if (at < 0 || at > editor.past.length || at === editor.at) return editor
  const draft = editor.at === editor.past.length ? editor.cells : editor.draft
  const cells = at === editor.past.length ? draft : (editor.past[at] ?? [])
  return { ...editor, cells, cursor: cells.length, at, draft }
}
