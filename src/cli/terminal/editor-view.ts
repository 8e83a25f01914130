import type { Cell, Editor } from './editor.ts'
import type { Live } from './screen.ts'
import type { Style } from './style.ts'
import { width } from './text.ts'

const PROMPT = '› '
const INDENT = '  '

type Row = { cells: Cell[]; columns: number }

/** The input as rows behind a prompt, with as many of them as fit around the cursor. */
export function editorRows({
  editor,
  columns,
  maxRows,
  style,
}: {
  editor: Editor
  columns: number
  maxRows: number
  style: Style
}): Live {
  const { rows, cursor } = layout(editor, Math.max(columns - PROMPT.length - 1, 4))
  const first = Math.max(Math.min(cursor.row - (maxRows >> 1), rows.length - maxRows), 0)
  const shown = rows.slice(first, first + maxRows)
  const prefix = (row: number) => (row === 0 ? style.accent(PROMPT) : INDENT)
  const before = rows[cursor.row]?.cells.slice(0, cursor.cell) ?? []
  return {
    rows: shown.map((row, i) => prefix(first + i) + painted(row.cells, style)),
    cursor: { row: cursor.row - first, before: prefix(cursor.row) + painted(before, style) },
  }
}

/** Cells in rows of at most `columns`, and the row and cell that the cursor is at. */
function layout({ cells, cursor }: Editor, columns: number): { rows: Row[]; cursor: { row: number; cell: number } } {
  const rows: Row[] = [{ cells: [], columns: 0 }]
  const here = () => rows.at(-1) as Row
  const next = () => rows.push({ cells: [], columns: 0 })
  let found: { row: number; cell: number } | undefined
  const mark = () => ({ row: rows.length - 1, cell: here().cells.length })
  for (const [i, cell] of cells.entries()) {
    const isNewline = cell.text === '\n' && !cell.note
    const wide = isNewline ? 0 : width(shown(cell))
    if (here().columns > 0 && here().columns + wide > columns) next()
    if (i === cursor) found = mark()
    if (isNewline) next()
    else here().cells.push(cell)
    here().columns += wide
  }
  return { rows, cursor: found ?? mark() }
}

function shown({ text, note }: Cell): string {
  return note ?? (text === '\t' ? INDENT : text)
}

function painted(cells: readonly Cell[], style: Style): string {
  return cells.map((cell) => (cell.note ? style.accent(shown(cell)) : shown(cell))).join('')
}
