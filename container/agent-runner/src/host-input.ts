import { hostFrame, type Line, lines, MAX_FRAME_BYTES } from '@nanoclaw/protocol'
import type { z } from 'zod'

export type HostMessage = z.output<typeof hostFrame>

/** What the host writes to our stdin: first the input, then frames. The end of stdin means `close`. */
export class HostInput {
  readonly #lines: AsyncGenerator<Line>

  constructor(stdin: AsyncIterable<Uint8Array>) {
    this.#lines = lines(stdin, MAX_FRAME_BYTES)
  }

  /** The first line as JSON, or undefined when there is none or it is not JSON. */
  async first(): Promise<unknown> {
    const next = await this.#lines.next()
    return next.done || next.value.type !== 'line' ? undefined : parseJson(next.value.text)
  }

  /** Every later frame. What cannot be understood is named on stderr and passed over: a newer host may say more than we know. */
  async *frames(): AsyncGenerator<HostMessage> {
    for await (const line of this.#lines) {
      if (line.type === 'line' && line.text.trim() === '') continue
      const frame = hostFrame.safeParse(line.type === 'line' ? parseJson(line.text) : undefined)
      if (frame.success) yield frame.data
      else console.error(`runner: a frame of the host was not understood: ${frame.error.issues[0]?.message}`)
    }
    yield { type: 'close' }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
