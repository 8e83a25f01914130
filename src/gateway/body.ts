import type { IncomingMessage } from 'node:http'
import type { ApiError } from './api-error.ts'

/** The largest request the Messages API takes. */
export const MAX_BODY_BYTES = 32 * 1024 * 1024
/** What the bodies of one run together may take of the host's memory, however few runs there are. */
const MAX_RUN_BYTES = 4 * MAX_BODY_BYTES
/**
 * What the bodies of all runs together may take. Beside it is the one body that is just being put together or judged: both are
 * done in one go, so never of two bodies at once, and cost up to five times its bytes (chunks, text, and what is parsed of it).
 */
const MAX_ALL_BYTES = 8 * MAX_BODY_BYTES

export type Body = { type: 'complete'; bytes: Buffer } | { type: 'refused'; error: ApiError }

/** The memory that the request bodies of all runs take on the host. */
export class BodyMemory {
  readonly #limit: number
  readonly #runs = new Set<RunMemory>()

  constructor(limit = MAX_ALL_BYTES) {
    this.#limit = limit
  }

  /** A run's part of it; `close` gives it up. */
  open(): RunMemory {
    const run = new RunMemory(MAX_RUN_BYTES, this)
    this.#runs.add(run)
    return run
  }

  close(run: RunMemory): void {
    this.#runs.delete(run)
  }

  /** May a run have so much? Its share leaves as much for a run that is still to come, and is never less than one whole body. */
  allows(run: RunMemory, bytes: number): boolean {
    const share = Math.max(this.#limit / (this.#runs.size + 1), MAX_BODY_BYTES)
    const others = [...this.#runs].reduce((sum, one) => sum + (one === run ? 0 : one.used), 0)
    return bytes <= share && others + bytes <= this.#limit
  }
}

/** The memory that the request bodies of one run take on the host. */
export class RunMemory {
  readonly #limit: number
  readonly #all: BodyMemory
  #used = 0

  constructor(limit = MAX_RUN_BYTES, all = new BodyMemory()) {
    this.#limit = limit
    this.#all = all
  }

  get used(): number {
    return this.#used
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#limit || !this.#all.allows(this, this.#used + bytes)) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
  }
}

/** One request's part of the run's memory; `release` gives all of it back. */
export class MemoryShare {
  readonly #run: RunMemory
  #taken = 0

  constructor(run: RunMemory) {
    this.#run = run
  }

  take(bytes: number): boolean {
    if (!this.#run.take(bytes)) return false
    this.#taken += bytes
    return true
  }

  release(): void {
    this.#run.give(this.#taken)
    this.#taken = 0
  }
}

/** The bytes of one body, in one piece: many small pieces would take many times what is in them. */
class Collected {
  readonly #memory: MemoryShare
  #buffer: Buffer = Buffer.alloc(0)
  #length = 0

  constructor(memory: MemoryShare) {
    this.#memory = memory
  }

  /** Makes room for so many bytes; false where there is none. */
  reserve(capacity: number): boolean {
    const more = capacity - this.#buffer.length
    if (more <= 0) return true
    if (!this.#memory.take(more)) return false
    const larger = Buffer.allocUnsafeSlow(capacity)
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
    return true
  }

  add(chunk: Buffer): boolean {
    const needed = this.#length + chunk.length
    const comfortable = Math.min(Math.max(needed, 2 * this.#buffer.length), MAX_BODY_BYTES)
    if (needed > this.#buffer.length && !this.reserve(comfortable) && !this.reserve(needed)) return false
    this.#length += chunk.copy(this.#buffer, this.#length)
    return true
  }

  drop(): void {
    this.#buffer = Buffer.alloc(0)
    this.#length = 0
    this.#memory.release()
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }
}

/**
 * The whole body, so that what goes upstream has our own framing. What is refused is read to its end and forgotten, or the
 * client would see a broken connection instead of the reason. Rejects when the client breaks off.
 */
export async function readBody(request: IncomingMessage, memory: MemoryShare): Promise<Body> {
  const collected = new Collected(memory)
  let bytes = 0
  let error = problemBefore(request, collected)
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) error ??= TOO_LARGE
    else if (!error && !collected.add(chunk)) error = TOO_MANY
    if (error) collected.drop()
  }
  return error ? { type: 'refused', error } : { type: 'complete', bytes: collected.bytes() }
}

/** What is wrong with a body by its headers. Room is made for as much as is announced. */
function problemBefore({ headers }: IncomingMessage, collected: Collected): ApiError | undefined {
  if (headers['content-encoding'] !== undefined) return ENCODED
  const announced = Number(headers['content-length'] ?? 0)
  if (announced > MAX_BODY_BYTES) return TOO_LARGE
  return collected.reserve(announced) ? undefined : TOO_MANY
}

const ENCODED: ApiError = {
  status: 415,
  type: 'invalid_request_error',
  message: "NanoClaw's gateway takes request bodies as they are: send it without content-encoding.",
}
const TOO_LARGE: ApiError = {
  status: 413,
  type: 'request_too_large',
  message: `The request is larger than ${MAX_BODY_BYTES / 1024 / 1024} MiB, the most that the model API takes.`,
}
const TOO_MANY: ApiError = {
  status: 529,
  type: 'overloaded_error',
  message: 'Too many large requests of this agent are under way at once. Wait for one to end.',
}
