import { PassThrough } from 'node:stream'
import { type HostFrame, lines, MAX_FRAME_BYTES, type RunnerFrame } from '@nanoclaw/protocol'
import type { ContainerExit, RunningContainer } from '../../src/runtimes/contract.ts'

/** What a result frame needs at least; the rest is filled in. */
export type PlainResult = { consumed?: string[]; result?: string | null; status?: 'success' | 'error' } & Partial<
  Extract<RunnerFrame, { type: 'result' }>
>

/** A container whose inside is played by a test: it sees the frames of the host and prints what it likes. */
export class FakeContainer implements RunningContainer {
  readonly id = 'f'.repeat(64)
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()
  readonly exited: Promise<ContainerExit>
  readonly #end: (exit: ContainerExit) => void
  readonly #fail: (error: Error) => void
  readonly #input = lines(this.stdin, MAX_FRAME_BYTES)
  kills = 0

  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers<ContainerExit>()
    this.exited = promise
    this.#end = resolve
    this.#fail = reject
  }

  /** The next line the host wrote, or undefined when it closed our stdin. */
  async next(): Promise<HostFrame | undefined> {
    const line = await this.#input.next()
    return line.done || line.value.type !== 'line' ? undefined : JSON.parse(line.value.text)
  }

  /** The uuid of the next turn. */
  async nextTurn(): Promise<string> {
    for (;;) {
      const frame = await this.next()
      if (!frame) throw new Error('the host closed stdin before a turn came')
      if (frame.type === 'turn') return frame.uuid
    }
  }

  print(text: string): void {
    this.stdout.write(text)
  }

  frame(frame: object): void {
    this.print(`${JSON.stringify(frame)}\n`)
  }

  result(result: PlainResult): void {
    this.frame({ type: 'result', status: 'success', result: null, consumed: [], ...result })
  }

  exit(exit: Partial<ContainerExit> = {}): void {
    this.stdout.end()
    this.stderr.end()
    this.#end({ code: 0, oomKilled: false, ...exit })
  }

  engineGone(message: string): void {
    this.stdout.end()
    this.stderr.end()
    this.#fail(new Error(message))
  }

  async kill(): Promise<void> {
    this.kills++
    this.exit({ code: 137 })
  }
}
