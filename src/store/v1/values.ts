/** A second and a millisecond count of the same moment are this far apart: 1973 in milliseconds, 5138 in seconds. */
const FIRST_MILLISECONDS = 100_000_000_000
const LAST_DATE = 8_640_000_000_000_000

/** The text in a column of v1, whatever it was stored as; null for nothing and for empty. */
export function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null
  const text = Buffer.isBuffer(value) ? value.toString('utf8') : String(value)
  return text === '' ? null : text
}

/** Milliseconds since the epoch of a v1 timestamp (ISO text; some versions wrote numbers), or null when it is none. */
export function instantOf(value: unknown): number | null {
  const text = textOf(value)?.trim()
  if (!text) return null
  const count = /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined
  const at = count === undefined ? Date.parse(text) : count < FIRST_MILLISECONDS ? count * 1_000 : count
  return Number.isFinite(at) && Math.abs(at) <= LAST_DATE ? Math.round(at) : null
}

/** SQLite's truth: v1 wrote 0, 1 or nothing. */
export function flagOf(value: unknown, fallback: boolean): boolean {
  const text = textOf(value)
  return text === null ? fallback : text !== '0' && text !== 'false'
}
