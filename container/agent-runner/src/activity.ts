import type { SDKAssistantMessage, SDKPartialAssistantMessage } from '@anthropic-ai/claude-agent-sdk'
import type { Emit } from './frames.ts'

const EVERY_MS = 250
const TAIL_CHARACTERS = 4_000

/** What the agent is doing, for people who watch: text as it grows (throttled), each tool as it starts. */
export class Activity {
  readonly #emit: Emit
  readonly #now: () => number
  #text = ''
  #last = Number.NEGATIVE_INFINITY

  constructor({ emit, now = () => performance.now() }: { emit: Emit; now?: () => number }) {
    this.#emit = emit
    this.#now = now
  }

  streamed({ event, parent_tool_use_id }: SDKPartialAssistantMessage): void {
    if (parent_tool_use_id !== null) return
    if (event.type === 'message_start') this.#text = ''
    if (event.type !== 'content_block_delta' || event.delta.type !== 'text_delta') return
    this.#text = (this.#text + event.delta.text).slice(-TAIL_CHARACTERS)
    if (this.#now() - this.#last < EVERY_MS) return
    this.#last = this.#now()
    this.#emit({ type: 'activity', kind: 'text', detail: this.#text })
  }

  said({ message }: SDKAssistantMessage): void {
    for (const block of message.content) {
      if (block.type === 'tool_use') this.#emit({ type: 'activity', kind: 'tool', detail: toolLine(block.name, block.input) })
      if (block.type === 'thinking') this.#emit({ type: 'activity', kind: 'thinking', detail: '' })
    }
  }
}

/** `Bash: ls -la`: the tool and what of its input says most. */
function toolLine(name: string, input: unknown): string {
  const fields = typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {}
  const telling = ['command', 'file_path', 'pattern', 'url', 'query', 'description', 'skill'].map((key) => fields[key])
  const detail = telling.find((value) => typeof value === 'string')
  return detail ? `${name}: ${detail.replaceAll(/\s+/g, ' ').slice(0, 200)}` : name
}
