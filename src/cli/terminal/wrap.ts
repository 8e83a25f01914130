import { asIs, type Paint } from './style.ts'
import { graphemes, graphemeWidth, width } from './text.ts'

/** A run of text of one look. A newline in it ends the line. */
export type Span = { text: string; paint: Paint }

/** What stays together on a line: pieces of words, or a wide character, which may start a line anywhere. */
type Word = { spans: Span[]; columns: number; gap: Span | undefined; newLine: boolean }

/** The spans as painted lines of at most `columns`, broken at spaces and between wide characters, else where it must be. */
export function wrap(spans: readonly Span[], columns: number): string[] {
  const lines = new Lines(Math.max(columns, 2))
  for (const word of words(spans)) lines.add(word)
  return lines.all.map(painted)
}

export function wrapText(text: string, columns: number): string[] {
  return wrap([{ text, paint: asIs }], columns)
}

class Lines {
  readonly all: Span[][] = [[]]
  readonly #limit: number
  #used = 0
  /** Began by itself, so the space before its first word is not indentation. */
  #wrapped = false

  constructor(limit: number) {
    this.#limit = limit
  }

  add(word: Word): void {
    if (word.newLine) this.#next({ wrapped: false })
    let gap = this.#used === 0 && this.#wrapped ? 0 : Math.min(word.gap?.text.length ?? 0, this.#limit >> 1)
    if (this.#used > 0 && this.#used + gap + word.columns > this.#limit) {
      this.#next({ wrapped: true })
      gap = 0
    }
    if (gap > 0) this.#put({ text: ' '.repeat(gap), paint: word.gap?.paint ?? asIs }, gap)
    if (this.#used + word.columns <= this.#limit) for (const span of word.spans) this.#put(span, width(span.text))
    else this.#breakUp(word)
  }

  #next({ wrapped }: { wrapped: boolean }): void {
    this.all.push([])
    this.#used = 0
    this.#wrapped = wrapped
  }

  #put(span: Span, columns: number): void {
    this.all.at(-1)?.push(span)
    this.#used += columns
  }

  #breakUp(word: Word): void {
    for (const { text, paint } of word.spans)
      for (const grapheme of graphemes(text)) {
        const columns = graphemeWidth(grapheme)
        if (this.#used + columns > this.#limit) this.#next({ wrapped: true })
        this.#put({ text: grapheme, paint }, columns)
      }
  }
}

/** Neighbours of the same look are painted as one. */
function painted(line: readonly Span[]): string {
  let out = ''
  for (let i = 0; i < line.length; ) {
    const paint = line[i]?.paint ?? asIs
    let text = ''
    for (; line[i]?.paint === paint; i++) text += line[i]?.text
    out += paint(text)
  }
  return out
}

const PARTS = /\n|[ \t]+|[^ \t\n]+/g

function words(spans: readonly Span[]): Word[] {
  const found: Word[] = []
  const start = ({ gap, newLine = false }: { gap?: Span; newLine?: boolean } = {}): Word => {
    const word: Word = { spans: [], columns: 0, gap, newLine }
    found.push(word)
    return word
  }
  let open = start()
  for (const { text, paint } of spans)
    for (const [part] of text.matchAll(PARTS)) {
      if (part === '\n') open = start({ newLine: true })
      else if (part.trim() === '') open = start({ gap: { text: part.replaceAll('\t', '    '), paint } })
      else
        for (const piece of pieces(part)) {
          if (piece.mayBreakBefore && open.columns > 0) open = start()
          open.spans.push({ text: piece.text, paint })
          open.columns += width(piece.text)
        }
    }
  return found
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a range of all narrow characters
const ONLY_NARROW = /^[\u0000-\u10ff]*$/
/** Closing marks of wide scripts do not start a line. */
const STICKS = /^[\u3001\u3002\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f]/

function* pieces(part: string): Generator<{ text: string; mayBreakBefore: boolean }> {
  if (ONLY_NARROW.test(part)) return yield { text: part, mayBreakBefore: false }
  let text = ''
  let mayBreakBefore = false
  for (const grapheme of graphemes(part)) {
    const breaks = graphemeWidth(grapheme) === 2 && !STICKS.test(grapheme)
    if (breaks && text !== '') {
      yield { text, mayBreakBefore }
      text = ''
    }
    if (text === '') mayBreakBefore = breaks
    text += grapheme
  }
  yield { text, mayBreakBefore }
}
