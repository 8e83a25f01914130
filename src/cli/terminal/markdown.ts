import { neutralised } from '../../domain/neutral-text.ts'
import { type Alignment, type Block, blocksOf, type ListItem } from './markdown-blocks.ts'
import { inlineSpans } from './markdown-inline.ts'
import { asIs, both, type Paint, type Style } from './style.ts'
import { paintedWidth } from './text.ts'
import { type Span, wrap } from './wrap.ts'

type Context = { columns: number; style: Style; inItem?: boolean }

/**
 * Markdown as painted lines. Prose is wrapped to `columns`; lines of code keep their length, so that they can be copied.
 * The text may come from anywhere: nothing of it reaches the terminal but what it shows.
 */
export function renderMarkdown(text: string, context: Context): string[] {
  return render(blocksOf(neutralised(text)), context)
}

function render(blocks: readonly Block[], context: Context): string[] {
  return blocks.flatMap((block, i) => {
    const before = blocks[i - 1]
    const lines = renderBlock(block, context)
    return before && !belongTogether({ before, block, context }) ? ['', ...lines] : lines
  })
}

function belongTogether({ before, block, context }: { before: Block; block: Block; context: Context }): boolean {
  if (before.type === 'heading') return true
  return before.type === 'paragraph' && block.type === 'list' && (context.inItem || before.text.endsWith(':'))
}

function renderBlock(block: Block, context: Context): string[] {
  const { columns, style } = context
  switch (block.type) {
    case 'paragraph':
      return prose(block.text, asIs, context)
    case 'heading':
      return renderHeading(block, context)
    case 'code':
      return renderCode(block, context)
    case 'list':
      return block.items.flatMap((item) => renderItem(item, context))
    case 'quote':
      return indented(render(block.blocks, { columns: columns - 2, style }), () => style.dim('│ '))
    case 'table':
      return renderTable(block, context)
    case 'rule':
      return [style.dim('─'.repeat(Math.min(columns, 40)))]
  }
}

function prose(text: string, paint: Paint, { columns, style }: Context): string[] {
  return wrap(inlineSpans(text, style, paint), columns)
}

function renderHeading({ level, text }: { level: number; text: string }, context: Context): string[] {
  const { style } = context
  const paint = level === 1 ? both(style.bold, style.underline) : style.bold
  return prose(style.coloured ? text : `${'#'.repeat(level)} ${text}`, paint, context)
}

function renderCode({ language, lines }: { language: string; lines: string[] }, { columns, style }: Context): string[] {
  if (!style.coloured) return [`\`\`\`${language}`, ...lines, '```']
  const longest = Math.max(24, ...lines.slice(0, 200).map(paintedWidth))
  const rule = '─'.repeat(Math.max(Math.min(columns, longest), 0))
  const head = language ? `── ${language} ${rule.slice(language.length + 4)}` : rule
  return [style.dim(head), ...lines.map(style.code), style.dim(rule)]
}

function renderItem({ marker, blocks }: ListItem, { columns, style }: Context): string[] {
  const shown = /^\d/.test(marker) ? marker : '•'
  const indent = shown.length + 1
  const lines = render(blocks.map(withBox), { columns: columns - indent, style, inItem: true })
  return indented(lines, (i) => (i === 0 ? `${style.accent(shown)} ` : ' '.repeat(indent)))
}

/** `[ ]` and `[x]` at the start of an item are boxes. */
function withBox(block: Block, i: number): Block {
  if (block.type !== 'paragraph' || i > 0) return block
  return { ...block, text: block.text.replace(/^\[ \] /, '☐ ').replace(/^\[[xX]\] /, '☑ ') }
}

function indented(lines: readonly string[], prefix: (line: number) => string): string[] {
  return lines.map((line, i) => (prefix(i) + line).trimEnd())
}

const GAP = ' │ '
const NARROWEST_COLUMN = 4

function renderTable({ header, alignments, rows }: Block & { type: 'table' }, { columns, style }: Context): string[] {
  const spansOf = (row: readonly string[], paint: Paint) => row.map((cell) => inlineSpans(cell, style, paint))
  const head = spansOf(header, style.bold)
  const body = rows.map((row) => spansOf(row, asIs))
  const room = columns - GAP.length * (header.length - 1)
  if (room < header.length * NARROWEST_COLUMN) return asRecords(header, rows, { columns, style })
  const natural = header.map((_, column) => [head, ...body].reduce((most, row) => Math.max(most, spansWidth(row[column])), 1))
  const widths = shrunk(natural, room)
  const line = (row: Span[][]) => tableRow({ row, widths, alignments, style })
  return [...line(head), style.dim(widths.map((columns) => '─'.repeat(columns)).join('─┼─')), ...body.flatMap(line)]
}

/** Too many columns for the width: each row as a small list of its own. */
function asRecords(header: readonly string[], rows: readonly string[][], context: Context): string[] {
  return rows.flatMap((row, i) => {
    const lines = row.flatMap((cell, column) => prose(`${header[column]}: ${cell}`, asIs, context))
    return i === 0 ? lines : ['', ...lines]
  })
}

function spansWidth(spans: readonly Span[] | undefined): number {
  return (spans ?? []).reduce((sum, span) => sum + paintedWidth(span.text), 0)
}

/** Columns that need less than their share keep their width; the others divide what is left. */
function shrunk(natural: readonly number[], room: number): number[] {
  const widths = [...natural]
  let left = room
  const byWidth = natural.map((columns, column) => ({ columns, column })).sort((a, b) => a.columns - b.columns)
  byWidth.forEach(({ columns, column }, i) => {
    const share = Math.floor(left / (byWidth.length - i))
    widths[column] = Math.min(columns, share)
    left -= widths[column] ?? 0
  })
  return widths
}

function tableRow({
  row,
  widths,
  alignments,
  style,
}: {
  row: readonly Span[][]
  widths: readonly number[]
  alignments: readonly Alignment[]
  style: Style
}): string[] {
  const cells = row.map((spans, column) => wrap(spans, widths[column] ?? 1))
  const height = Math.max(...cells.map((lines) => lines.length))
  return Array.from({ length: height }, (_, line) =>
    cells
      .map((lines, column) =>
        padded({ text: lines[line] ?? '', columns: widths[column] ?? 1, alignment: alignments[column] ?? 'left' }),
      )
      .join(style.dim(GAP))
      .trimEnd(),
  )
}

function padded({ text, columns, alignment }: { text: string; columns: number; alignment: Alignment }): string {
  const missing = Math.max(columns - paintedWidth(text), 0)
  const before = { left: 0, center: missing >> 1, right: missing }[alignment]
  return ' '.repeat(before) + text + ' '.repeat(missing - before)
}
