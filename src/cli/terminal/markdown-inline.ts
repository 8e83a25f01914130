import { both, type Paint, type Style } from './style.ts'
import type { Span } from './wrap.ts'

/** Longer stretches are shown as they are: nobody writes them, and looking for pairs in them would take long. */
const LONGEST = 20_000
const DEEPEST = 6

type Mark = { spans: Span[]; end: number }
type Context = {
  text: string
  paint: Paint
  style: Style
  depth: number
  /** Delimiters that nothing closes from here on; each is looked for once, however often it opens. */
  unclosed: Set<string>
}
type Rule = (context: Context, at: number) => Mark | undefined

/** Bold, italics, code, links and the like as spans; marks without a partner stay as they are. */
export function inlineSpans(text: string, style: Style, paint: Paint): Span[] {
  return spansOf({ text, paint, style, depth: 0, unclosed: new Set() })
}

const SPECIAL = /[\\`*_~[!<]|https?:/g

function spansOf(context: Context): Span[] {
  const { text, paint, depth } = context
  if (text.length > LONGEST || depth > DEEPEST) return [{ text, paint }]
  const spans: Span[] = []
  let plainFrom = 0
  for (const { index } of text.matchAll(SPECIAL)) {
    const mark = index < plainFrom ? undefined : markAt(context, index)
    if (!mark) continue
    spans.push({ text: text.slice(plainFrom, index), paint }, ...mark.spans)
    plainFrom = mark.end
  }
  spans.push({ text: text.slice(plainFrom), paint })
  return spans.filter((span) => span.text !== '')
}

function inner(context: Context, text: string, paint: Paint): Span[] {
  return spansOf({ ...context, text, paint, depth: context.depth + 1, unclosed: new Set() })
}

const RULES: Readonly<Record<string, readonly Rule[]>> = {
  '\\': [escaped],
  '`': [code],
  '*': [pair('**', 'bold'), pair('*', 'italic')],
  _: [pair('__', 'bold'), pair('_', 'italic')],
  '~': [pair('~~', 'strike')],
  '[': [link],
  '!': [link],
  '<': [address],
  h: [address],
}

function markAt(context: Context, at: number): Mark | undefined {
  for (const rule of RULES[context.text.charAt(at)] ?? []) {
    const mark = rule(context, at)
    if (mark) return mark
  }
  return undefined
}

function escaped({ text, paint }: Context, at: number): Mark | undefined {
  const next = text.charAt(at + 1)
  return /[!-/:-@[-`{-~]/.test(next) ? { spans: [{ text: next, paint }], end: at + 2 } : undefined
}

function code(context: Context, at: number): Mark | undefined {
  const { text, paint, style } = context
  const ticks = runAt(text, at)
  const start = at + ticks.length
  const close = closing({ context, delimiter: ticks, start, closes: ({ run }) => run === ticks })
  if (close === undefined) return { spans: [{ text: ticks, paint }], end: start }
  const content = text.slice(start, close).replaceAll('\n', ' ')
  // A space on each side only keeps a backtick of the content apart from the fence.
  const bare = content.startsWith(' ') && content.endsWith(' ') && content.trim() !== '' ? content.slice(1, -1) : content
  const shown = style.coloured ? bare : `${ticks}${content}${ticks}`
  return { spans: [{ text: shown, paint: both(paint, style.code) }], end: close + ticks.length }
}

function pair(delimiter: string, look: 'bold' | 'italic' | 'strike'): Rule {
  const inWord = delimiter.startsWith('_')
  const closes = ({ run, before, after }: Run) =>
    (run.length === delimiter.length || run.length > 2) && !/[\s\\]/.test(before) && !(inWord && isWord(after))
  return (context, at) => {
    const { text, paint, style } = context
    const start = at + delimiter.length
    const first = text.charAt(start)
    const opens = text.startsWith(delimiter, at) && first.trim() !== '' && !(delimiter.length === 1 && first === delimiter)
    const before = text.charAt(at - 1)
    if (!opens || (inWord && isWord(before)) || (isDigit(before) && isDigit(first))) return undefined
    const close = closing({ context, delimiter, start: start + 1, closes })
    if (close === undefined) return undefined
    return { spans: inner(context, text.slice(start, close), both(paint, style[look])), end: close + delimiter.length }
  }
}

/** Several of the same mark in a row, and the characters on both sides. */
type Run = { run: string; before: string; after: string }

/** Where the delimiter that closes begins: of a longer run, its last characters. */
function closing({
  context: { text, unclosed },
  delimiter,
  start,
  closes,
}: {
  context: Context
  delimiter: string
  start: number
  closes: (run: Run) => boolean
}): number | undefined {
  if (unclosed.has(delimiter)) return undefined
  for (let at = text.indexOf(delimiter, start); at >= 0; ) {
    const run = runAt(text, at)
    const end = at + run.length
    if (closes({ run, before: text.charAt(at - 1), after: text.charAt(end) })) return end - delimiter.length
    at = text.indexOf(delimiter, end)
  }
  unclosed.add(delimiter)
  return undefined
}

function runAt(text: string, at: number): string {
  let end = at + 1
  while (text[end] === text[at]) end++
  return text.slice(at, end)
}

function isWord(char: string): boolean {
  return /[\p{L}\p{N}]/u.test(char)
}

/** Between digits, a star multiplies. */
function isDigit(char: string): boolean {
  return /[0-9]/.test(char)
}

const LINK = /!?\[([^[\]\n]{0,1000})\]\(<?([^()\s<>]{0,2000}(?:\([^()\s]{0,200}\)[^()\s<>]{0,2000})?)>?(?:\s+"[^"\n]{0,500}")?\)/y

/** The address is always shown: what a link says must not hide where it leads. */
function link(context: Context, at: number): Mark | undefined {
  const { text, paint, style } = context
  LINK.lastIndex = at
  const match = LINK.exec(text)
  if (!match) return undefined
  const [all, label = '', target = ''] = match
  const look = both(paint, style.underline)
  if (label === '' || label === target) return { spans: [{ text: target, paint: look }], end: at + all.length }
  const shown = { text: ` (${target})`, paint: both(paint, style.dim) }
  return { spans: [...inner(context, label, look), shown], end: at + all.length }
}

const ADDRESS = /<(https?:\/\/[^\s<>]{1,2000})>|https?:\/\/[^\s<>"`]{1,2000}/y

/** Bare addresses, so that what looks like a mark in them is none. */
function address({ text, paint, style }: Context, at: number): Mark | undefined {
  ADDRESS.lastIndex = at
  const match = ADDRESS.exec(text)
  if (!match) return undefined
  const [all, enclosed] = match
  const shown = enclosed ?? all.replace(all.includes('(') ? /[.,;:!?*_~]+$/ : /[.,;:!?*_~)\]]+$/, '')
  return { spans: [{ text: shown, paint: both(paint, style.underline) }], end: at + (enclosed ? all.length : shown.length) }
}
