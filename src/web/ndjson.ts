import type { Context } from 'hono'
import { stream } from 'hono/streaming'

/** One JSON value a line, until the source or the client ends. */
export function ndjson(c: Context, source: (signal: AbortSignal) => AsyncIterable<unknown>): Response {
  c.header('content-type', 'application/x-ndjson')
  const gone = new AbortController()
  const values = source(gone.signal)
  return stream(c, async (out) => {
    out.onAbort(() => gone.abort())
    for await (const value of values) await out.write(`${JSON.stringify(value)}\n`)
  })
}
