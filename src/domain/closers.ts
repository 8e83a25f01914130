import { NEVER } from './abort.ts'
import { complain } from './attempt.ts'
import { errorText } from './errors.ts'

type Closer = {
  what: string
  close: (now: AbortSignal) => unknown
  limitMs: number
}

/** What a part may take to close, unless it needs longer. */
const LIMIT_MS = 10_000
/** What all parts together may still take once somebody wants the end at once. */
const HURRY_MS = 3_000

/**
 * What was opened, each part with the way to close it. Parts are closed one after another, the last first, and every one of
 * them is, whatever becomes of the others: one that fails or hangs is a line of the log.
 */
export class Closers {
  readonly #log: { error(text: string): void }
  readonly #open: Closer[] = []
  readonly #now = new AbortController()
  readonly #hurry = new Deadline()
  #closing: Promise<void> | undefined

  constructor(log: { error(text: string): void }) {
    this.#log = log
  }

  /** `close` hears when the end is wanted at once. What takes longer than `limitMs` is left to itself. */
  add(what: string, close: Closer['close'], limitMs = LIMIT_MS): void {
    this.#open.push({ what, close, limitMs })
  }

  /**
   * Never rejects. From the moment `now` aborts, only a few seconds are left; that may also be the `now` of a second call, which
   * resolves with the first one.
   */
  async close(now: AbortSignal = NEVER): Promise<void> {
    const hurry = () => {
      this.#now.abort()
      this.#hurry.begin(HURRY_MS)
    }
    now.addEventListener('abort', hurry, { once: true })
    if (now.aborted) hurry()
    this.#closing ??= this.#closeAll()
    await this.#closing
    now.removeEventListener('abort', hurry)
  }

  async #closeAll(): Promise<void> {
    for (let closer = this.#open.pop(); closer; closer = this.#open.pop()) await this.#closeOne(closer)
    this.#hurry.cancel()
    this.#closing = undefined
  }

  async #closeOne({ what, close, limitMs }: Closer): Promise<void> {
    const limit = new Deadline()
    limit.begin(limitMs)
    try {
      const closed = new Promise((resolve) => resolve(close(this.#now.signal))).then(() => 'closed')
      const end = await Promise.race([closed, this.#hurry.over(), limit.over()])
      if (end === 'late') complain(this.#log, `Closing: ${what} did not end in time, and is left behind`)
    } catch (error) {
      complain(this.#log, `Closing: ${what} did not end well: ${errorText(error)}`)
    } finally {
      limit.cancel()
    }
  }
}

/** A moment that comes some time after it was asked for. Keeps the process alive until then. */
class Deadline {
  readonly #reached = Promise.withResolvers<void>()
  #timer: NodeJS.Timeout | undefined

  /** Not before what is ready had its chance: a part that closes at once is never late. */
  async over(): Promise<'late'> {
    await this.#reached.promise
    return new Promise((resolve) => setImmediate(resolve, 'late'))
  }

  begin(ms: number): void {
    this.#timer ??= setTimeout(() => this.#reached.resolve(), ms)
  }

  cancel(): void {
    clearTimeout(this.#timer)
  }
}
