import type { ReadStream, WriteStream } from 'node:tty'
import type { ControlClient } from '../control-client.ts'
import { pipedChat } from './piped-chat.ts'
import type { Output } from './style.ts'
import { TerminalChat } from './terminal-chat.ts'

/**
 * A conversation in the terminal, until the user leaves or `signal` aborts. Without a terminal, or with one that cannot
 * move its cursor, lines are read and answers printed. Rejects when the host is not there at the start; when it goes away
 * later, the chat waits for it.
 */
export async function runChat({
  client,
  jid,
  input,
  output,
  error = process.stderr,
  signal,
  title,
}: {
  client: ControlClient
  jid: string
  input: NodeJS.ReadableStream
  output: Output
  error?: Output
  signal: AbortSignal
  title: string
}): Promise<0 | 1> {
  if (!isTerminal(input, output)) return pipedChat({ client, jid, input, output, error, signal })
  await new TerminalChat({ client, jid, input: input as ReadStream, output: output as WriteStream, title }).run(signal)
  return 0
}

function isTerminal(input: NodeJS.ReadableStream & { isTTY?: boolean }, output: Output): boolean {
  return input.isTTY === true && output.isTTY === true && process.env.TERM !== 'dumb'
}
