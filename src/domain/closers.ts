import { NEVER } from './abort.ts'
import { complain } from './attempt.ts'
import { errorText } from './errors.ts'

type Closer = {
  what: string
  close: (now: AbortSignal) => unknown
  limitMs: number
}

/** How long a part may take to close, unless it says otherwise. */
const LIMIT_MS = 10_000
/** How long all parts together may take after an end at once was asked for. */
const HURRY_MS = 3_000

/**
 * The parts that were opened, with the way to close each. They are closed one after another, the last first. A part that fails
 * or hangs is logged, and the next one is closed all the same.
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

  /** The signal of `close` aborts when the end is wanted at once. A part that takes longer than `limitMs` is abandoned. */
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
