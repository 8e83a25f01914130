import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { AppError, errorText } from '../domain/errors.ts'
import { estimateTokens } from './answer-format.ts'
import { messagesRequest, readConversation } from './conversation.ts'
import { type Reply, type Script, say } from './reply.ts'
import { perform, sendError, sendJson } from './respond.ts'
import { demoScript } from './script.ts'

/** One request as it arrived, for tests and for people who watch. */
export type RecordedRequest = {
  method: string
  /** Path and query, as sent. */
  url: string
  headers: http.IncomingHttpHeaders
  /** Parsed JSON, or the text when it is none. */
  body: unknown
  bytes: number
  /** What the script decided; absent where no script was asked. */
  reply?: Reply
  /** The client left before the answer was complete. */
  aborted: boolean
}

export type DemoModelOptions = {
  /** 0, the default, takes any free one. */
  port?: number
  host?: string
  script?: Script
  /** Called for each request, whose answer waits for what it returns. */
  onRequest?: (request: RecordedRequest) => unknown
  /** How many of the latest requests stay in `requests`. */
  keep?: number
}

export type DemoModel = {
  /** What ANTHROPIC_BASE_URL is set to. */
  readonly url: string
  /** The latest requests, oldest first. */
  readonly requests: readonly RecordedRequest[]
  /** Ends every connection. */
  close(): Promise<void>
}

const MAX_BODY_BYTES = 32 * 1024 * 1024
const MAX_COUNTED_FAILURES = 1_000

/** A local Messages API that answers by script. Rejects with an `AppError` when it cannot listen. */
export async function startDemoModel(options: DemoModelOptions = {}): Promise<DemoModel> {
  const { port = 0, host = '127.0.0.1' } = options
  const model = new ScriptedModel(options)
  const server = http.createServer((request, response) => void model.serve(request, response))
  try {
    await once(server.listen(port, host), 'listening')
  } catch (error) {
    const message = `The demo model cannot listen on ${host}:${port}: ${errorText(error)}. Is it running already?`
    throw new AppError({ code: 'demo.listen', fault: 'user', message, cause: error })
  }
  const { port: actualPort } = server.address() as AddressInfo
  return {
    url: `http://${host}:${actualPort}`,
    requests: model.requests,
    async close() {
      if (!server.listening) return
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

class ScriptedModel {
  readonly requests: RecordedRequest[] = []
  readonly #script: Script
  readonly #onRequest: (request: RecordedRequest) => unknown
  readonly #keep: number
  /** How often each `!error ... xN` has failed so far, by what was said. */
  readonly #failures = new Map<string, number>()

  constructor({ script = demoScript, onRequest = () => {}, keep = 100 }: DemoModelOptions) {
    this.#script = script
    this.#onRequest = onRequest
    this.#keep = keep
  }

  /** Never rejects: a client that left or a script that throws ends one exchange, not the server. */
  async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    try {
      const body = await readText(request)
      if (body === undefined) return sendError(response, { status: 413 })
      const recorded = this.#record(request, body)
      response.once('close', () => (recorded.aborted = !response.writableFinished))
      await this.#onRequest(recorded)
      await this.#answer(recorded, response)
    } catch (error) {
      if (response.headersSent || !request.complete) response.destroy()
      else sendError(response, { status: 500, message: `The script failed: ${errorText(error)}` })
    }
  }

  #record({ method = '', url = '', headers }: http.IncomingMessage, text: string): RecordedRequest {
    const recorded: RecordedRequest = { method, url, headers, body: parsed(text), bytes: Buffer.byteLength(text), aborted: false }
    this.requests.push(recorded)
    if (this.requests.length > this.#keep) this.requests.shift()
    return recorded
  }

  async #answer(recorded: RecordedRequest, response: http.ServerResponse): Promise<void> {
    const path = `${recorded.method} ${recorded.url.split('?')[0]}`
    if (path === 'POST /v1/messages/count_tokens')
      return sendJson(response, { body: { input_tokens: estimateTokens(recorded.bytes) } })
    if (path !== 'POST /v1/messages') return sendError(response, { status: 404, message: `There is no ${path}.` })
    const request = messagesRequest.safeParse(recorded.body)
    if (!request.success) return sendError(response, { status: 400, message: request.error.message })
    const conversation = readConversation(request.data)
    recorded.reply = this.#withCount(this.#script(conversation), conversation.said.join('\n'))
    return perform({ reply: recorded.reply, request: request.data, bytes: recorded.bytes, response })
  }

  /** A failure that is meant to happen a few times turns into an answer after them. */
  #withCount(reply: Reply, said: string): Reply {
    if (reply.type !== 'error' || reply.times === undefined) return reply
    const failures = (this.#failures.get(said) ?? 0) + 1
    if (this.#failures.size >= MAX_COUNTED_FAILURES) this.#failures.clear()
    this.#failures.set(said, failures)
    return failures > reply.times ? say('recovered') : reply
  }
}

/** The body, or undefined when it is too long; the rest of a too long one is read and forgotten. */
async function readText(request: http.IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk)
  }
  return bytes <= MAX_BODY_BYTES ? Buffer.concat(chunks).toString('utf8') : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
