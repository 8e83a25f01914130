import { Transform, type TransformCallback } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { z } from 'zod'
import { NO_TOKENS, type TokenCount } from '../domain/model-price.ts'
import type { CallUse, PlannedCall } from './purse.ts'

/** Less than this never makes a token, in any script; for calls of which the API told us nothing. */
const BYTES_PER_TOKEN = 3
/** Whole answers are kept so far; the events of a stream are far shorter. */
const MAX_TEXT = 8 * 1024 * 1024

const count = z.int().nonnegative().nullish()
/** https://platform.claude.com/docs/en/api/messages; `iterations` lists what the API did besides, such as compaction. */
const usage = z.object({
  input_tokens: count,
  output_tokens: count,
  cache_creation_input_tokens: count,
  cache_read_input_tokens: count,
  cache_creation: z.object({ ephemeral_1h_input_tokens: count }).nullish(),
  server_tool_use: z.object({ web_search_requests: count }).nullish(),
  iterations: z.array(z.object({ type: z.string().optional(), input_tokens: count, output_tokens: count })).nullish(),
})
type ReportedUsage = z.infer<typeof usage>
const message = z.object({ model: z.string().optional(), usage: usage.optional() })
const streamEvent = z.object({ type: z.string(), message: message.optional(), usage: usage.optional() })

/** The tokens that a text of so many bytes may have at most. */
export function mostTokens(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN)
}

/**
 * Passes an answer on and reads in it what it cost. The numbers of a stream come at its beginning and at its end; of one that
 * breaks off in between, the output is counted by what had come. An answer in one piece is written before its first byte is
 * sent: one that breaks off, also before that, counts as all that was asked for.
 */
export class UsageMeter extends Transform {
  readonly #streamed: boolean
  readonly #decoder = new StringDecoder('utf8')
  readonly #inputTokens: number
  readonly #maxTokens: number
  #model: string
  #text = ''
  #reported: ReportedUsage = {}
  #complete = false
  #ended = false
  #bytes = 0
  #deltaBytes = 0

  /** `inputTokens` and `maxTokens`: what to count when the answer does not say. */
  constructor({ streamed, model, inputTokens, maxTokens }: { streamed: boolean } & PlannedCall) {
    super()
    this.#streamed = streamed
    this.#model = model
    this.#inputTokens = inputTokens
    this.#maxTokens = maxTokens
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length
    this.#take(this.#decoder.write(chunk))
    done(null, chunk)
  }

  override _flush(done: TransformCallback): void {
    this.#ended = true
    if (!this.#streamed) this.#takeMessage(this.#text)
    done()
  }

  #take(text: string): void {
    const all = this.#text + text
    const lines = this.#streamed ? all.split('\n') : [all]
    const rest = lines.pop() ?? ''
    this.#text = rest.length > MAX_TEXT ? '' : rest
    for (const line of lines) if (line.startsWith('data:')) this.#takeEvent(line.slice('data:'.length))
  }

  #takeEvent(data: string): void {
    const event = parsed(data, streamEvent)
    switch (event?.type) {
      case 'message_start':
        this.#model = event.message?.model ?? this.#model
        this.#reported = { ...event.message?.usage }
        break
      // These are totals, not additions; what did not change may be missing.
      case 'message_delta':
        this.#reported = { ...this.#reported, ...withoutNothing(event.usage ?? {}) }
        this.#complete = typeof event.usage?.output_tokens === 'number'
        break
      case 'content_block_delta':
        this.#deltaBytes += data.length
    }
  }

  #takeMessage(text: string): void {
    const whole = parsed(text, message)
    this.#model = whole?.model ?? this.#model
    this.#reported = whole?.usage ?? {}
    this.#complete = whole?.usage !== undefined
  }

  /** What the call cost, as far as is known by now. */
  get used(): CallUse {
    const tokens = tokensOf(this.#reported)
    const told = this.#reported.input_tokens !== undefined
    return {
      model: this.#model,
      tokens: {
        ...tokens,
        input: told ? tokens.input : this.#inputTokens,
        output: this.#complete ? tokens.output : Math.max(tokens.output, this.#untold()),
      },
    }
  }

  /** The output of an answer that did not say it, or not to its end. */
  #untold(): number {
    if (this.#streamed) return Math.ceil(this.#deltaBytes / DELTA_BYTES_PER_TOKEN)
    return Math.max(mostTokens(this.#bytes), this.#ended ? 0 : this.#maxTokens)
  }
}

/** An event of a stream carries some tokens in about a hundred bytes of its own; this counts rather too much than too little. */
const DELTA_BYTES_PER_TOKEN = 6

function tokensOf(reported: ReportedUsage): TokenCount {
  const hour = reported.cache_creation?.ephemeral_1h_input_tokens ?? 0
  const besides = (reported.iterations ?? []).filter(({ type }) => type === 'compaction')
  const alsoIn = besides.reduce((sum, { input_tokens }) => sum + (input_tokens ?? 0), 0)
  const alsoOut = besides.reduce((sum, { output_tokens }) => sum + (output_tokens ?? 0), 0)
  return {
    ...NO_TOKENS,
    input: (reported.input_tokens ?? 0) + alsoIn,
    cacheWrite: Math.max((reported.cache_creation_input_tokens ?? 0) - hour, 0),
    cacheWriteHour: hour,
    cacheRead: reported.cache_read_input_tokens ?? 0,
    output: (reported.output_tokens ?? 0) + alsoOut,
    searches: reported.server_tool_use?.web_search_requests ?? 0,
  }
}

function withoutNothing(reported: ReportedUsage): ReportedUsage {
  return Object.fromEntries(Object.entries(reported).filter(([, value]) => value !== undefined && value !== null))
}

function parsed<T>(text: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
