import { oneLine, width } from './terminal/text.ts'

/** Lines with columns as wide as their widest cell. Names come from chats and folders, so they are shown harmlessly. */
export function table(rows: readonly string[][]): string[] {
  const cells = rows.map((row) => row.map(oneLine))
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => width(row[column] ?? ''))))
  const padded = (cell: string, column: number) => cell + ' '.repeat((widths[column] ?? 0) - width(cell))
  return cells.map((row) => row.map(padded).join('  ').trimEnd())
}
