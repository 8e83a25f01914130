const INTERNAL = /<internal>[\s\S]*?<\/internal>/gi
const OPEN_INTERNAL = /<internal>[\s\S]*$/i

/** The part of an answer that people see: without `<internal>` notes; null when nothing is left. */
export function visibleAnswer(text: string | null): string | null {
  if (text === null) return null
  return text.replace(INTERNAL, '').replace(OPEN_INTERNAL, '').trim() || null
}
