import { errorText } from '../../domain/errors.ts'
import { neutralised } from '../../domain/neutral-text.ts'
import type { ControlClient } from '../control-client.ts'
import { duration } from './duration.ts'
import { outcomeOf } from './outcome.ts'
import { ProgressLine } from './progress-line.ts'
import type { Output } from './style.ts'

/**
 * Sends one message and prints the text of the turn that took it, alone. 0: answered, or the agent chose to say nothing;
 * 1: failed, or not answered in time, and `error` says why. Rejects when the message cannot be handed over.
 * When it gives up, the turn goes on.
 */
export async function sayOnce({
  client,
  jid,
  text,
  timeoutMs,
  output,
  error,
  signal,
}: {
  client: Pick<ControlClient, 'send' | 'outcome'>
  jid: string
  text: string
  timeoutMs?: number | undefined
  output: Output
  error: Output
  signal: AbortSignal
}): Promise<0 | 1> {
  const inTime = timeoutMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const { seq } = await client.send(jid, text)
  const answer = await waitFor({ client, jid, seq, signal: inTime, error })
  switch (answer.type) {
    case 'answer':
      printAnswer(output, answer.text)
      return 0
    case 'failed':
      return complain(error, answer.message)
    case 'left':
      return complain(error, unanswered(signal.aborted ? undefined : timeoutMs))
  }
}

export type Answer = { type: 'answer'; text: string | null } | { type: 'failed'; message: string } | { type: 'left' }

/** Waits for the end of a turn; on a terminal, `error` shows meanwhile what the agent does. Never rejects. */
export async function waitFor({
  error,
  ...request
}: {
  client: Pick<ControlClient, 'outcome'>
  jid: string
  seq: number
  signal: AbortSignal
  error: Output
}): Promise<Answer> {
  const progress = new ProgressLine(error)
  try {
    const outcome = await outcomeOf({ ...request, onProgress: (event) => progress.show(event) })
    return outcome ?? { type: 'left' }
  } catch (failure) {
    return { type: 'failed', message: errorText(failure) }
  } finally {
    progress.end()
  }
}

/** The text as it is; on a terminal, nothing of it may drive the terminal. */
export function printAnswer(output: Output, text: string | null): void {
  if (text !== null && text !== '') output.write(`${output.isTTY ? neutralised(text) : text}\n`)
}

export function complain(error: Output, text: string): 1 {
  error.write(`${neutralised(text)}\n`)
  return 1
}

function unanswered(timeoutMs: number | undefined): string {
  const when = timeoutMs === undefined ? 'Left before the answer' : `No answer within ${duration(timeoutMs)}`
  return `${when}; the turn goes on, and its answer will be in the chat.`
}
