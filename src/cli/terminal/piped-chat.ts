import { createInterface } from 'node:readline'
import type { ControlClient } from '../control-client.ts'
import { complain, printAnswer, waitFor } from './say-once.ts'
import type { Output } from './style.ts'

/**
 * A chat without a terminal: each line of the input is a message, sent when the one before it is answered, so that every
 * answer stands below the answer to the line before. Ends with the input. 1 if a turn failed, and `error` says why.
 */
export async function pipedChat({
  client,
  jid,
  input,
  output,
  error,
  signal,
}: {
  client: Pick<ControlClient, 'send' | 'outcome'>
  jid: string
  input: NodeJS.ReadableStream
  output: Output
  error: Output
  signal: AbortSignal
}): Promise<0 | 1> {
  let code: 0 | 1 = 0
  const lines = createInterface({ input, signal })
  for await (const line of lines) {
    if (line.trim() === '') continue
    const { seq } = await client.send(jid, line.trim())
    const answer = await waitFor({ client, jid, seq, signal, error })
    if (answer.type === 'answer') printAnswer(output, answer.text)
    if (answer.type === 'failed') code = complain(error, answer.message)
    if (signal.aborted) break
  }
  return code
}
