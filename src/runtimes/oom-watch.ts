import type { IncomingMessage } from 'node:http'
import { lines } from '@nanoclaw/protocol'
import { z } from 'zod'
import type { EngineClient } from './engine-client.ts'

/** Asked when the container is gone: did the kernel kill one of its processes for memory? Never rejects. */
export type OomVerdict = () => Promise<boolean>

const MAX_EVENT_BYTES = 256 * 1024
/** The engine tells of a removal as it happens; this is for an engine that does not. */
const LAST_EVENT_MS = 5_000

/**
 * Watches one container for processes that are killed for memory. The engine's events are the only place that tells it
 * of an auto-removed container, and of one that outlived the process: measured, `oom` comes some 30 ms before `die`.
 * Call it before the start.
 */
export async function watchForOom({
  client,
  id,
  signal,
}: {
  client: EngineClient
  id: string
  signal: AbortSignal
}): Promise<OomVerdict> {
  const query = { filters: JSON.stringify({ type: ['container'], container: [id], event: ['oom', 'destroy'] }) }
  const events = await client.open({ method: 'GET', path: '/events', query, signal, what: 'tell its events' })
  const killed = sawOom(events)
  return async () => {
    const timer = setTimeout(() => events.destroy(), LAST_EVENT_MS)
    try {
      return await killed
    } finally {
      clearTimeout(timer)
    }
  }
}

const event = z.object({ Action: z.string() })

/** Reads until the container's removal, which comes after everything else there is to tell. */
async function sawOom(events: IncomingMessage): Promise<boolean> {
  let seen = false
  try {
    for await (const line of lines(events, MAX_EVENT_BYTES)) {
      const action = line.type === 'line' ? event.parse(JSON.parse(line.text)).Action : ''
      if (action === 'destroy') break
      if (action === 'oom') seen = true
    }
  } catch {
    // The connection ended: `exited` tells of an engine that is gone, and what was seen until then is true.
  }
  return seen
}
