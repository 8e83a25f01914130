import { Transform, type TransformCallback } from 'node:stream'

/** How much a run may move, in bytes: at once, and for each second after that. */
export type Bandwidth = { burst: number; perSecond: number }

/** The bytes of one run, in both directions and over all its connections. */
export class Bucket {
  readonly #bandwidth: Bandwidth
  readonly #now: () => number
  #level: number
  #at: number

  constructor(bandwidth: Bandwidth, now: () => number = () => performance.now()) {
    this.#bandwidth = bandwidth
    this.#now = now
    this.#level = bandwidth.burst
    this.#at = now()
  }

  /** Takes the bytes; returns how many ms to wait before the next ones may come. */
  take(bytes: number): number {
    const { burst, perSecond } = this.#bandwidth
    const now = this.#now()
    this.#level = Math.min(burst, this.#level + ((now - this.#at) / 1_000) * perSecond) - bytes
    this.#at = now
    return this.#level >= 0 ? 0 : (-this.#level / perSecond) * 1_000
  }
}

/** Passes bytes on as fast as the bucket allows, and counts them. */
export class Meter extends Transform {
  readonly #bucket: Bucket
  bytes = 0

  constructor(bucket: Bucket) {
    super()
    this.#bucket = bucket
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length
    const wait = this.#bucket.take(chunk.length)
    if (wait === 0) return done(null, chunk)
    setTimeout(() => done(null, chunk), wait)
  }
}
