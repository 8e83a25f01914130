import { isUtf8 } from 'node:buffer'

/** What a request may be made of; a long conversation with Claude Code has some 20,000 parts, 20 levels deep. */
const MAX_DEPTH = 100
const MAX_PARTS = 100_000

const [QUOTE, BACKSLASH, COLON, COMMA] = [0x22, 0x5c, 0x3a, 0x2c]
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d]
const BLANKS: readonly (number | undefined)[] = [0x20, 0x09, 0x0a, 0x0d]

export type ParsedJson = { type: 'json'; value: unknown } | { type: 'refused'; why: string }

/**
 * Reads JSON that every reader reads alike: plain UTF-8, and no object that says one name twice, of which some readers take
 * the first and some the last. Depth and number of parts are bounded before anything is built of them.
 */
export function parseStrictly(bytes: Buffer): ParsedJson {
  if (!isUtf8(bytes)) return { type: 'refused', why: 'it is not UTF-8' }
  try {
    const problem = shapeProblem(bytes)
    return problem === undefined ? { type: 'json', value: JSON.parse(bytes.toString()) } : { type: 'refused', why: problem }
  } catch {
    return { type: 'refused', why: 'it is not JSON' }
  }
}

/** One pass over text that may not be JSON at all: the parser finds that out later. Throws for a name that cannot be read. */
function shapeProblem(bytes: Buffer): string | undefined {
  /** What is open, outermost first: the names of an object so far; an array has none. */
  const open: (Set<string> | undefined)[] = []
  let parts = 0
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE: {
        const end = endOfString(bytes, at)
        const names = open.at(-1)
        if (names && isName(bytes, end)) {
          const name = nameOf(bytes.toString('utf8', at, end + 1))
          if (names.has(name)) return `it says "${name.slice(0, 100)}" twice in one object`
          names.add(name)
        }
        at = end
        break
      }
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        parts++
        if (open.push(bytes[at] === OPEN_OBJECT ? new Set() : undefined) > MAX_DEPTH)
          return `it is more than ${MAX_DEPTH} levels deep`
        break
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        open.pop()
        break
      case COMMA:
        parts++
    }
    if (parts > MAX_PARTS) return `it has more than ${MAX_PARTS} parts`
  }
  return undefined
}

/** The place of the quote that ends the string; the last byte where there is none. */
function endOfString(bytes: Buffer, start: number): number {
  for (let end = bytes.indexOf(QUOTE, start + 1); end !== -1; end = bytes.indexOf(QUOTE, end + 1)) {
    let escapes = 0
    while (bytes[end - 1 - escapes] === BACKSLASH) escapes++
    if (escapes % 2 === 0) return end
  }
  return bytes.length - 1
}

function isName(bytes: Buffer, end: number): boolean {
  let next = end + 1
  while (BLANKS.includes(bytes[next])) next++
  return bytes[next] === COLON
}

/** Escapes have more than one spelling, and mean one name. */
function nameOf(quoted: string): string {
  return quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1)
}
