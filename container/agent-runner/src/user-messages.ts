import type { SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'

/** The messages we push to the SDK: an async iterable that waits for the next one until it is ended. */
export class UserMessages implements AsyncIterable<SDKUserMessage> {
  readonly #waiting: SDKUserMessage[] = []
  #ended = false
  #wake: () => void = () => {}

  push({ uuid, content }: { uuid: string; content: SDKUserMessage['message']['content'] }): void {
    this.#waiting.push({
      type: 'user',
      message: { role: 'user', content },
      parent_tool_use_id: null,
      uuid: uuid as NonNullable<SDKUserMessage['uuid']>,
    })
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SDKUserMessage> {
    while (true) {
      const next = this.#waiting.shift()
      if (next) yield next
      else if (this.#ended) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
