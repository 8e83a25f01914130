export const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type Level = (typeof LEVELS)[number]

export type Wish = { group?: string | undefined; level?: Level | undefined }

/** One entry of the log: a line that begins with time and level, and those below it that belong to it. */
export type Entry = { level: Level; text: string }

/**
 * Puts lines together to entries, as they come. The last entry of a piece is held back until it is known to be whole:
 * `rest` gives it out.
 */
export class EntryReader {
  #open: Entry | undefined
  #part = ''

  /** Entries that are whole by now. `text` may end in the middle of a line. */
  read(text: string): Entry[] {
    const lines = (this.#part + text).split('\n')
    this.#part = lines.pop() ?? ''
    return lines.flatMap((line) => this.#take(line))
  }

  rest(): Entry[] {
    const last = this.#open
    this.#open = undefined
    return last ? [last] : []
  }

  #take(line: string): Entry[] {
    const level = levelOf(line)
    if (level === undefined && this.#open) {
      this.#open.text += `\n${line}`
      return []
    }
    const before = this.rest()
    this.#open = { level: level ?? 'info', text: line }
    return before
  }
}

/** As src/log.ts writes it, as text or as JSON; undefined for a line that goes on, or that somebody else wrote. */
function levelOf(line: string): Level | undefined {
  const name = /^\d{4}-\d\d-\d\dT\S+ ([A-Z]+) /.exec(line)?.[1]?.toLowerCase()
  if (name !== undefined) return LEVELS.find((level) => level === name)
  const number = /^\{"level":(\d)0,/.exec(line)?.[1]
  return number === undefined ? undefined : LEVELS[Number(number) - 1]
}

/** A group's entries begin with its name, or name it elsewhere as a folder. */
export function isWanted({ level, text }: Entry, wish: Wish): boolean {
  if (wish.level !== undefined && LEVELS.indexOf(level) < LEVELS.indexOf(wish.level)) return false
  return wish.group === undefined || mentions(text, wish.group)
}

function mentions(text: string, folder: string): boolean {
  const name = folder.replaceAll(/[^\w-]/g, '\\$&')
  return new RegExp(`\\bGroup ${name}:|\\b(groups|sessions|ipc|attachments)/${name}(?![\\w-])|\\bnanoclaw-${name}-\\d`).test(text)
}
