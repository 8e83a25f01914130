/** The blocks of a markdown text. Inline marks are left in the texts. */
export type Block =
  | { type: 'heading'; level: number; text: string }
  | { type: 'paragraph'; text: string }
  | { type: 'code'; language: string; lines: string[] }
  | { type: 'list'; items: ListItem[] }
  | { type: 'quote'; blocks: Block[] }
  | { type: 'table'; header: string[]; alignments: Alignment[]; rows: string[][] }
  | { type: 'rule' }

export type ListItem = { marker: string; blocks: Block[] }
export type Alignment = 'left' | 'right' | 'center'

type Taken = { block: Block; next: number }
type Taker = (lines: readonly string[], at: number, depth: number) => Taken | undefined

/** Deeper quotes and lists are read as text. */
const DEEPEST = 8

export function blocksOf(text: string): Block[] {
  return parse(text.replaceAll('\t', '    ').split('\n'), 0)
}

const TAKERS: readonly Taker[] = [fencedCode, heading, rule, table, quote, list]

function parse(lines: readonly string[], depth: number): Block[] {
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; ) {
    if (isBlank(lines[at])) {
      at++
      continue
    }
    const { block, next } = firstOf(lines, at, depth) ?? paragraph(lines, at, depth)
    blocks.push(block)
    at = next
  }
  return blocks
}

function firstOf(lines: readonly string[], at: number, depth: number): Taken | undefined {
  for (const take of TAKERS) {
    const taken = take(lines, at, depth)
    if (taken) return taken
  }
  return undefined
}

function isBlank(line: string | undefined): boolean {
  return line === undefined || line.trim() === ''
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length
}

const FENCE = /^ {0,3}(`{3,}|~{3,}) *([^ `]{0,40})[^`]{0,200}$/

function fencedCode(lines: readonly string[], at: number): Taken | undefined {
  const line = lines[at] ?? ''
  const [, fence, language = ''] = FENCE.exec(line) ?? []
  if (!fence) return undefined
  const closes = (candidate: string) =>
    candidate.trim().startsWith(fence) && candidate.replaceAll(fence.charAt(0), '').trim() === ''
  // A fence that nothing closes runs to the end: the answer is still being written.
  const close = lines.findIndex((candidate, i) => i > at && closes(candidate))
  const end = close < 0 ? lines.length : close
  const indent = indentOf(line)
  const content = lines.slice(at + 1, end).map((text) => text.slice(Math.min(indent, indentOf(text))))
  return { block: { type: 'code', language, lines: content }, next: end + 1 }
}

function heading(lines: readonly string[], at: number): Taken | undefined {
  const [, marks, text = ''] = /^ {0,3}(#{1,6}) +(.*)$/.exec(lines[at] ?? '') ?? []
  if (!marks) return undefined
  const bare = text.trim().replace(/ #+$/, '').trim()
  return { block: { type: 'heading', level: marks.length, text: bare }, next: at + 1 }
}

function rule(lines: readonly string[], at: number): Taken | undefined {
  const bare = (lines[at] ?? '').replaceAll(' ', '')
  return /^(-{3,}|\*{3,}|_{3,})$/.test(bare) ? { block: { type: 'rule' }, next: at + 1 } : undefined
}

function quote(lines: readonly string[], at: number, depth: number): Taken | undefined {
  if (depth > DEEPEST || !isQuote(lines[at])) return undefined
  let next = at
  while (isQuote(lines[next])) next++
  const inner = lines.slice(at, next).map((line) => line.replace(/^ {0,3}> ?/, ''))
  return { block: { type: 'quote', blocks: parse(inner, depth + 1) }, next }
}

function isQuote(line: string | undefined): boolean {
  return line !== undefined && /^ {0,3}>/.test(line)
}

const ITEM = /^( *)([-*+]|\d{1,9}[.)])( +)(?=\S)/

function list(lines: readonly string[], at: number, depth: number): Taken | undefined {
  const first = ITEM.exec(lines[at] ?? '')
  if (!first || depth > DEEPEST) return undefined
  const items: ListItem[] = []
  let next = at
  for (let item = itemAt(lines, next, first); item; item = itemAt(lines, next, first)) {
    const end = endOfItem(lines, next + 1, item.indent)
    const content = lines.slice(next + 1, end).map((line) => line.slice(Math.min(item.indent, indentOf(line))))
    items.push({ marker: item.marker, blocks: parse([(lines[next] ?? '').slice(item.indent), ...content], depth + 1) })
    next = end
    while (next < lines.length && isBlank(lines[next])) next++
  }
  return { block: { type: 'list', items }, next }
}

/** The next item of the same list: no deeper than its first item's text, and of the same kind. */
function itemAt(lines: readonly string[], at: number, first: RegExpExecArray): { marker: string; indent: number } | undefined {
  const match = ITEM.exec(lines[at] ?? '')
  if (!match) return undefined
  const [all, before = '', marker = ''] = match
  const isOrdered = (mark = '') => /\d/.test(mark)
  const sameList = before.length < first[0].length && isOrdered(marker) === isOrdered(first[2])
  return sameList ? { marker, indent: all.length } : undefined
}

/** An item goes on over indented lines, and over lines that just follow its text. */
function endOfItem(lines: readonly string[], from: number, indent: number): number {
  let at = from
  for (; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (isBlank(line) || indentOf(line) >= Math.min(indent, 2)) continue
    if (isBlank(lines[at - 1]) || startsBlock(lines, at)) break
  }
  while (at > from && isBlank(lines[at - 1])) at--
  return at
}

function startsBlock(lines: readonly string[], at: number): boolean {
  const line = lines[at] ?? ''
  return ITEM.test(line) || FENCE.test(line) || isQuote(line) || /^ {0,3}#{1,6} /.test(line) || rule(lines, at) !== undefined
}

const DELIMITER_ROW = /^\|?:?-+:?(?:\|:?-+:?)*\|?$/

function table(lines: readonly string[], at: number): Taken | undefined {
  const [head = '', delimiter = ''] = lines.slice(at, at + 2)
  if (!head.includes('|') || !DELIMITER_ROW.test(delimiter.replaceAll(' ', ''))) return undefined
  const header = cells(head)
  const alignments = cells(delimiter).map(alignment)
  if (alignments.length !== header.length) return undefined
  let next = at + 2
  while (lines[next]?.includes('|')) next++
  const rows = lines.slice(at + 2, next).map((line) => {
    const row = cells(line)
    return header.map((_, column) => row[column] ?? '')
  })
  return { block: { type: 'table', header, alignments, rows }, next }
}

/** The cells of a row; `\|` is a bar inside a cell. */
function cells(line: string): string[] {
  const bare = line
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '')
  return bare.split(/(?<!\\)\|/).map((cell) => cell.replaceAll('\\|', '|').trim())
}

function alignment(cell: string): Alignment {
  if (!cell.endsWith(':')) return 'left'
  return cell.startsWith(':') ? 'center' : 'right'
}

/** A paragraph ends at a blank line or where another block starts; a number in mid-sentence starts no list. */
function paragraph(lines: readonly string[], at: number, depth: number): Taken {
  let next = at + 1
  while (!isBlank(lines[next]) && !endsParagraph(lines, next, depth)) next++
  return { block: { type: 'paragraph', text: joined(lines.slice(at, next)) }, next }
}

function endsParagraph(lines: readonly string[], at: number, depth: number): boolean {
  if (depth > DEEPEST) return false
  const numbered = /^ *\d/.test(lines[at] ?? '') && !/^ *1[.)]/.test(lines[at] ?? '')
  return startsBlock(lines, at) && !numbered
}

/** Line ends stay: in a chat, people and agents mean them. */
function joined(lines: readonly string[]): string {
  return lines.map((line) => line.trim().replace(/\\$/, '')).join('\n')
}
