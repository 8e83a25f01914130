import type { McpServerStatus, SDKMessage, SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import type { Conversation } from '../../container/agent-runner/src/conversation.ts'
import type { ClaudeOptions } from '../../container/agent-runner/src/options.ts'

type Sdk = ConstructorParameters<typeof Conversation>[0]['sdk']

/** The SDK with an agent that the test plays: it sees what the runner pushes, and says what it likes. */
export class ScriptedSdk {
  readonly pushed: SDKUserMessage[] = []
  readonly interrupts: unknown[] = []
  /** What `mcpServerStatus` answers, and how often it was asked. */
  servers: McpServerStatus[] = []
  serversAsked = 0
  options: ClaudeOptions | undefined
  closed = false
  /** Nothing more can come from the runner, or it closed the query. */
  over = false
  /** Set before the run: the SDK does not get ready. */
  startupError: Error | undefined
  #said: (SDKMessage | Error)[] = []
  #wake: () => void = () => {}

  /** For the constructor of `Conversation`. */
  get sdk(): Sdk {
    const startup = async ({ options }: { options: ClaudeOptions }) => {
      this.options = options
      if (this.startupError) throw this.startupError
      return { query: (messages: AsyncIterable<SDKUserMessage>) => this.#query(messages) }
    }
    return { startup } as unknown as Sdk
  }

  /** The texts that were pushed, in order. */
  get prompts(): unknown[] {
    return this.pushed.map(({ message }) => message.content)
  }

  say(message: object): void {
    this.#said.push(message as SDKMessage)
    this.#wake()
  }

  /** `claude` dies, or the SDK gives up. */
  fail(error: Error): void {
    this.#said.push(error)
    this.#wake()
  }

  started(session_id = 'session-1'): void {
    this.say({ type: 'system', subtype: 'init', session_id })
  }

  /** The assistant says something, or a subagent of it. */
  speak(text: string, { uuid = 'entry-1', parent = null as string | null } = {}): void {
    this.say({ type: 'assistant', uuid, parent_tool_use_id: parent, message: { content: [{ type: 'text', text }] } })
  }

  /** A turn ends; `named` are the uuids of the messages that it answered. */
  end({ named, result = '', ...over }: { named?: string[]; result?: string } & Record<string, unknown>): void {
    const usage = { input_tokens: 1, output_tokens: 2, cache_creation_input_tokens: 3, cache_read_input_tokens: 4 }
    this.say({
      ...{ type: 'result', subtype: 'success', is_error: false, result, usage, total_cost_usd: 0.5, session_id: 'session-1' },
      ...(named ? { user_message_uuids: named } : {}),
      ...over,
    })
  }

  #query(messages: AsyncIterable<SDKUserMessage>) {
    void this.#read(messages)
    return Object.assign(this.#output(), {
      interrupt: async (options: unknown) => void this.interrupts.push(options),
      mcpServerStatus: async () => {
        this.serversAsked++
        return this.servers
      },
      close: () => {
        this.closed = true
        this.#finish()
      },
    })
  }

  /** Like the SDK, it ends when nothing more can come from the runner. */
  async #read(messages: AsyncIterable<SDKUserMessage>): Promise<void> {
    for await (const message of messages) this.pushed.push(message)
    this.#finish()
  }

  #finish(): void {
    this.over = true
    this.#wake()
  }

  async *#output(): AsyncGenerator<SDKMessage> {
    for (;;) {
      const next = this.#said.shift()
      if (next instanceof Error) throw next
      if (next) yield next
      else if (this.over) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
