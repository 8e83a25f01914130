import { Readable, Writable } from 'node:stream'

/** What waits in each stream to be read; beyond it the engine has to wait, and with it the container. */
const BUFFER_BYTES = 64 * 1024
const HEADER_BYTES = 8

/**
 * Splits what an attached engine sends into the container's stdout and stderr.
 *
 * Memory is bounded whatever the container prints: each stream holds at most about two chunks (128 KiB) for its reader.
 * Both come over one connection, so a stream that nobody reads holds up the other one, too, and in the end the container:
 * Docker does not let it end before its output is taken. A stream that its reader left (destroyed, or broken out of) is
 * thrown away and holds up nothing.
 */
export class Demultiplexer extends Writable {
  readonly stdout = new Outlet()
  readonly stderr = new Outlet()
  readonly #splitter = new FrameSplitter()

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    try {
      const { stdout, stderr } = this.#splitter.split(chunk)
      let full = 2
      const roomy = () => {
        full--
        if (full === 0) done()
      }
      this.stdout.give(stdout, roomy)
      this.stderr.give(stderr, roomy)
    } catch (error) {
      done(error as Error)
    }
  }

  /** From now on nobody waits for readers: a stream whose reader is too slow ends where there is no more room. */
  hurry(): void {
    this.stdout.hurry()
    this.stderr.hurry()
  }

  override _final(done: () => void): void {
    this.stdout.finish()
    this.stderr.finish()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (error) {
      this.stdout.destroy(error)
      this.stderr.destroy(error)
    }
    done(error)
  }
}

/** One stream of the container, filled from outside. */
class Outlet extends Readable {
  #onRoom: (() => void) | undefined
  #hurried = false
  #finished = false

  constructor() {
    super({ highWaterMark: BUFFER_BYTES })
    this.on('error', () => {}) // whoever reads it gets the error; that nobody does must not end the process
  }

  /** Calls back when there is room for more, at once if there still is. */
  give(bytes: Buffer, onRoom: () => void): void {
    if (this.#hurried && this.readableLength >= BUFFER_BYTES) this.finish()
    const isFull = bytes.length > 0 && !this.#finished && !this.destroyed && !this.push(bytes)
    if (isFull && !this.#hurried) this.#onRoom = onRoom
    else onRoom()
  }

  finish(): void {
    this.#finished = true
    this.push(null)
  }

  hurry(): void {
    this.#hurried = true
    this._read()
  }

  override _read(): void {
    const onRoom = this.#onRoom
    this.#onRoom = undefined
    onRoom?.()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this._read()
    done(error)
  }
}

/**
 * The engine's framing: a stream number, three zero bytes, the payload's size as a 32-bit big-endian number, the payload
 * (Docker Engine API, "Attach to a container"). Payloads are handed on as they come, so no size is ever believed.
 */
export class FrameSplitter {
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #stream: 'stdout' | 'stderr' = 'stdout'
  #payloadLeft = 0

  /** What the next bytes of the connection hold for each stream. Throws when they are no frames. */
  split(chunk: Buffer): { stdout: Buffer; stderr: Buffer } {
    const pieces: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] }
    let at = 0
    while (at < chunk.length) {
      if (this.#payloadLeft === 0) {
        at += this.#takeHeader(chunk.subarray(at))
        continue
      }
      const piece = chunk.subarray(at, at + this.#payloadLeft)
      pieces[this.#stream].push(piece)
      this.#payloadLeft -= piece.length
      at += piece.length
    }
    return { stdout: joined(pieces.stdout), stderr: joined(pieces.stderr) }
  }

  /** Returns how many bytes belonged to the header. */
  #takeHeader(bytes: Buffer): number {
    const taken = bytes.copy(this.#header, this.#headerBytes)
    this.#headerBytes += taken
    if (this.#headerBytes === HEADER_BYTES) {
      this.#headerBytes = 0
      this.#stream = streamOf(this.#header.readUInt8(0))
      this.#payloadLeft = this.#header.readUInt32BE(4)
    }
    return taken
  }
}

function streamOf(number: number): 'stdout' | 'stderr' {
  if (number === 1) return 'stdout'
  // 3 is the engine speaking of trouble of its own.
  if (number === 2 || number === 3) return 'stderr'
  throw new Error(`the engine's output is garbled: there is no stream ${number}`)
}

/** One buffer, however small its frames were: many tiny ones would each cost a hundred times what they hold. */
function joined(pieces: Buffer[]): Buffer {
  const [only] = pieces
  return only && pieces.length === 1 ? only : Buffer.concat(pieces)
}
