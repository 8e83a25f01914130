/** What a mutant does to the code, and how often it is chosen where a file has them all. */
export const KINDS = {
  negate: 3,
  'delete call': 3,
  boundary: 2,
  logic: 2,
  return: 2,
  constant: 1.5,
  await: 1.5,
  finally: 1,
} as const

export type Kind = keyof typeof KINDS

/** A place in a file that can be broken, and what can stand there instead; computed late, as it may ask for types. */
export type Site = { kind: Kind; start: number; end: number; replacements: () => string[] }

/** One break of one file. Offsets count UTF-16 units, as JavaScript and V8 do. */
export type Mutant = {
  id: number
  /** From the project's folder on, with slashes. */
  file: string
  line: number
  kind: Kind
  start: number
  end: number
  from: string
  to: string
}

/** The file with the break in it. */
export function broken(text: string, { start, end, to }: Pick<Mutant, 'start' | 'end' | 'to'>): string {
  return text.slice(0, start) + to + text.slice(end)
}

export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** The change in one short line, as `equivalent.ts` names it too. */
export function changeOf({ from, to }: Pick<Mutant, 'from' | 'to'>): string {
  return `${short(from)} -> ${short(to)}`
}

function short(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  if (line === '') return '(nothing)'
  return line.length > 70 ? `${line.slice(0, 69)}…` : line
}
