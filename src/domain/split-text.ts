/** Where a text is parted best; each is tried before the next, looking back from the limit. */
const SEAMS = ['\n\n', '\n', '. ', '! ', '? ', '。', ', ', ' ']
/** A seam in the first part of the room would leave a crumb: rather the next kind of seam. */
const LEAST_FILLED = 0.5
const FENCE = /^ {0,3}(```+|~~~+)([^\n`]*)$/
const LANGUAGE = /^[\w+#-]{1,16}$/

/** With less room than this, the marks of a block of code would leave none for what is in it. */
const LEAST_FOR_FENCES = 40

/**
 * A text in pieces of at most `limit` UTF-16 code units (at least 1), parted between paragraphs, lines, sentences or words,
 * and never inside of a character that people see as one, unless it alone is longer than a piece may be. A block of code that
 * is cut is closed, and opened again. No piece is blank, so a blank text has none; blanks at a cut may be lost, nothing else.
 */
export function splitText(text: string, limit: number): string[] {
  if (!(limit >= 1)) throw new RangeError(`a piece of at most ${limit} characters holds nothing`)
  const pieces: string[] = []
  let rest = text
  let fence: string | undefined
  while (rest.length > 0) {
    const opening = fence === undefined ? '' : `${fence}\n`
    // Nothing is left but the end of the block of code, which the piece before has already.
    if (fence !== undefined && ['', marksOf(fence)].includes(rest.trim())) break
    if (opening.length + rest.length <= limit) {
      pieces.push(opening + rest)
      break
    }
    const room = limit < LEAST_FOR_FENCES ? limit : limit - opening.length - '\n````````'.length
    const cut = seamBefore(rest, room)
    const piece = rest.slice(0, cut)
    const open = limit < LEAST_FOR_FENCES ? undefined : openFence(opening + piece)
    const isEmptyBlock = fence !== undefined && isBlank(piece)
    if (!isEmptyBlock) pieces.push(opening + piece.trimEnd() + (open === undefined ? '' : `\n${marksOf(open)}`))
    rest = fence === undefined && open === undefined ? rest.slice(cut).trimStart() : rest.slice(cut).replace(/^\n/, '')
    fence = open
  }
  return pieces.filter((piece) => !isBlank(piece))
}

/** Nobody would see it, and platforms refuse to send it. */
export function isBlank(text: string): boolean {
  return /^[\s\p{DI}]*$/u.test(text)
}

function seamBefore(text: string, room: number): number {
  for (const seam of SEAMS) {
    for (let at = lastSeam(text, seam, room); at >= room * LEAST_FILLED; at = lastSeam(text, seam, at + seam.length - 1))
      if (!CONTINUES_CHARACTER.test(text.slice(at + seam.length, at + seam.length + 2))) return at + seam.length
  }
  return characterBefore(text, room)
}

/** Where the last one begins that ends at `end` or before it; -1 for none. */
function lastSeam(text: string, seam: string, end: number): number {
  return end < seam.length ? -1 : text.lastIndexOf(seam, end - seam.length)
}

/** These belong to the character before them, be it a blank. */
const CONTINUES_CHARACTER = /^[\p{M}\p{EMod}\u200d]/u

/** The end of the last whole character that fits; of a character that is longer than the room, what fits of it. */
function characterBefore(text: string, room: number): number {
  let end = 0
  for (const { index, segment } of new Intl.Segmenter().segment(text.slice(0, room + 64))) {
    if (index + segment.length > room) break
    end = index + segment.length
  }
  if (end > 0) return end
  return room > 1 && /[\ud800-\udbff]/.test(text[room - 1] ?? '') ? room - 1 : room
}

/** How the block of code in which a text ends is opened again, if it ends in one. */
function openFence(text: string): string | undefined {
  let open: string | undefined
  for (const line of text.split('\n')) {
    const found = FENCE.exec(line)
    if (!found) continue
    const [, marks = '', info = ''] = found
    if (open === undefined) open = marks.slice(0, 8) + (LANGUAGE.test(info.trim()) ? info.trim() : '')
    else if (marks.startsWith(marksOf(open)) && info.trim() === '') open = undefined
  }
  return open
}

function marksOf(fence: string): string {
  return FENCE.exec(fence)?.[1] ?? '```'
}
