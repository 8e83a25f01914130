/** Where a text is parted best; each is tried before the next, looking back from the limit. */
const SEAMS = ['\n\n', '\n', '. ', '! ', '? ', '。', ', ', ' ']
/** A seam in the first part of the room would leave a crumb: rather the next kind of seam. */
const LEAST_FILLED = 0.5
const FENCE = /^ {0,3}(```+|~~~+)([^\n`]*)$/
const LANGUAGE = /^[\w+#-]{1,16}$/

/**
 * A text in pieces of at most `limit` UTF-16 code units (at least 40), parted between paragraphs, lines, sentences or words,
 * and never inside of a character that people see as one. A block of code that is cut is closed, and opened again.
 */
export function splitText(text: string, limit: number): string[] {
  const pieces: string[] = []
  let rest = text
  let fence: string | undefined
  while (rest.length > 0) {
    const opening = fence === undefined ? '' : `${fence}\n`
    if (opening.length + rest.length <= limit) return [...pieces, opening + rest]
    const room = limit - opening.length - '\n````````'.length
    const cut = seamBefore(rest, room)
    const piece = rest.slice(0, cut)
    const open = openFence(opening + piece)
    pieces.push(opening + piece.trimEnd() + (open === undefined ? '' : `\n${marksOf(open)}`))
    rest = fence === undefined && open === undefined ? rest.slice(cut).trimStart() : rest.slice(cut).replace(/^\n/, '')
    fence = open
  }
  return pieces.filter((piece) => piece.trim() !== '')
}

function seamBefore(text: string, room: number): number {
  for (const seam of SEAMS) {
    const at = text.lastIndexOf(seam, room - seam.length)
    if (at >= room * LEAST_FILLED) return at + seam.length
  }
  return characterBefore(text, room)
}

/** The end of the last whole character that fits; of a character that is longer than the room, what fits of it. */
function characterBefore(text: string, room: number): number {
  let end = 0
  for (const { index, segment } of new Intl.Segmenter().segment(text.slice(0, room + 64))) {
    if (index + segment.length > room) break
    end = index + segment.length
  }
  if (end > 0) return end
  return /[\ud800-\udbff]/.test(text[room - 1] ?? '') ? room - 1 : room
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
