import type { OutcomeEvent } from '@nanoclaw/protocol'
import { AppError } from '../../domain/errors.ts'
import { type ControlClient, isUnreachable } from '../control-client.ts'
import { backOff } from './back-off.ts'

export type Outcome = Extract<OutcomeEvent, { type: 'answer' | 'failed' }>
type Progress = Exclude<OutcomeEvent, Outcome>

/** A host that is being restarted is back before that. */
const PATIENCE_MS = 60_000

export type OutcomeRequest = {
  client: Pick<ControlClient, 'outcome'>
  jid: string
  seq: number
  signal: AbortSignal
  onProgress?: (event: Progress) => void
  patienceMs?: number
}

/**
 * What becomes of a message, across restarts of the host; undefined when `signal` aborts first.
 * Rejects with `host.lost` when the host stays away.
 */
export async function outcomeOf(request: OutcomeRequest): Promise<Outcome | undefined> {
  const { signal, patienceMs = PATIENCE_MS } = request
  let lostAt = performance.now()
  for (let attempt = 0; !signal.aborted; attempt++) {
    const tried = await tryOnce(request)
    if (typeof tried === 'object') return tried
    if (tried === 'cut-off') [attempt, lostAt] = [0, performance.now()]
    if (performance.now() - lostAt > patienceMs) throw stayedAway()
    await backOff(attempt, signal)
  }
  return undefined
}

async function tryOnce({ client, jid, seq, signal, onProgress }: OutcomeRequest): Promise<Outcome | 'absent' | 'cut-off'> {
  try {
    for await (const event of client.outcome(jid, seq, signal)) {
      if (event.type === 'answer' || event.type === 'failed') return event
      onProgress?.(event)
    }
    return 'cut-off'
  } catch (error) {
    if (!isUnreachable(error)) throw error
    return error instanceof AppError && error.code === 'host.lost' ? 'cut-off' : 'absent'
  }
}

function stayedAway(): AppError {
  const message =
    'The connection to NanoClaw was lost. The message is stored and will be answered in the chat once NanoClaw runs again; start it with ./nanoclaw start.'
  return new AppError({ code: 'host.lost', fault: 'platform', message })
}
