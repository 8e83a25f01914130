import type { IncomingMessage } from 'node:http'
import type { ApiError } from './api-error.ts'

/** The largest request the Messages API takes. */
export const MAX_BODY_BYTES = 32 * 1024 * 1024
/** What the bodies of one run together may take of the host's memory. */
const MAX_RUN_BYTES = 4 * MAX_BODY_BYTES

export type Body = { type: 'complete'; bytes: Buffer } | { type: 'refused'; error: ApiError }

/** The memory that the request bodies of one run take on the host. */
export class RunMemory {
  readonly #limit: number
  #used = 0

  constructor(limit = MAX_RUN_BYTES) {
    this.#limit = limit
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#limit) return false
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

/**
 * The whole body, so that what goes upstream has our own framing. What is refused is read to its end and forgotten, or the
 * client would see a broken connection instead of the reason. Rejects when the client breaks off.
 */
export async function readBody(request: IncomingMessage, memory: MemoryShare): Promise<Body> {
  const chunks: Buffer[] = []
  let bytes = 0
  let error = request.headers['content-encoding'] === undefined ? undefined : ENCODED
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) error ??= TOO_LARGE
    else if (!error && !memory.take(chunk.length)) error = TOO_MANY
    if (!error) chunks.push(chunk)
    else if (chunks.length > 0) {
      chunks.length = 0
      memory.release()
    }
  }
  return error ? { type: 'refused', error } : { type: 'complete', bytes: Buffer.concat(chunks) }
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
