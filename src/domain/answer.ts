/** One opening or closing tag; the length of what stands in it is bounded, so that no text makes the search slow. */
const TAG = /<(\/?)internal(?:\s[^<>]{0,200})?>/gi

/** The part of an answer that people see: without `<internal>` notes; null when nothing is left. */
export function visibleAnswer(text: string | null): string | null {
  if (text === null) return null
  const seen: string[] = []
  let depth = 0
  let from = 0
  for (const tag of text.matchAll(TAG)) {
    if (depth === 0) seen.push(text.slice(from, tag.index))
    from = tag.index + tag[0].length
    depth = tag[1] ? Math.max(depth - 1, 0) : depth + 1
  }
  // A note that was never closed goes on to the end.
  if (depth === 0) seen.push(text.slice(from))
  return withoutGaps(seen).trim() || null
}

/** Puts the pieces together again; where both sides of a note had line breaks, those of the first are enough. */
function withoutGaps(pieces: readonly string[]): string {
  let onNewLine = false
  const kept = pieces.map((piece) => {
    const rest = onNewLine ? piece.replace(/^\s*\n/, '') : piece
    if (rest !== '') onNewLine = rest.slice(rest.trimEnd().length).includes('\n')
    return rest
  })
  return kept.join('')
}
