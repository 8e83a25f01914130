import { ControlClient } from '../../src/cli/control-client.ts'
import { exitCodeOf, report } from '../../src/cli/exit.ts'
import { runChat } from '../../src/cli/terminal/chat.ts'

/** `chat-entry.ts SOCKET [crash]`: the chat alone. With `crash`, it breaks as a bug would, on SIGUSR2. */
const [socketPath = '', crash] = process.argv.slice(2)
if (crash)
  process.once('SIGUSR2', () => {
    throw new Error('a bug')
  })
try {
  process.exitCode = await runChat({
    client: new ControlClient({ socketPath }),
    jid: 'local:main',
    input: process.stdin,
    output: process.stdout,
    error: process.stderr,
    signal: new AbortController().signal,
    title: 'Andy',
  })
} catch (error) {
  process.stderr.write(`${report(error)}\n`)
  process.exitCode = exitCodeOf(error)
}
