import { existsSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { runnerInput } from '@nanoclaw/protocol'
import { spawnClaudeEarly } from './claude-process.ts'
import { Conversation } from './conversation.ts'
import { claudeEnvironment, GATEWAY_SOCKET, readEnvDir, startForwarder } from './environment.ts'
import { emitter, withLoginAdvice } from './frames.ts'
import { HostInput } from './host-input.ts'
import { claudeOptions } from './options.ts'
import { sessionsProblem } from './transcript.ts'

/** Exit codes: 0 the work is done, 1 the turn failed (the result frame says why), 2 the input was unusable. */
async function main(): Promise<number> {
  const host = new HostInput(process.stdin)
  const first = await host.first()
  const parsed = runnerInput.safeParse(first)
  const emit = emitter({
    write: (line) => process.stdout.write(line),
    onlyResults: !parsed.data?.uuid && Boolean(parsed.data?.prompt),
  })
  if (!parsed.success) {
    const issues = parsed.error.issues.map((i) => `${i.path.join('.') || 'input'}: ${i.message}`).join('; ')
    emit({
      type: 'result',
      status: 'error',
      result: null,
      error: `The input is not usable: ${issues}`,
      errorClass: 'invalid-request',
      consumed: [],
    })
    return 2
  }

  const input = parsed.data
  const gateway = existsSync(GATEWAY_SOCKET)
  const env = claudeEnvironment({ inherited: process.env, login: readEnvDir(), gateway })
  const options = claudeOptions({ input, env, emit })
  const problem = sessionsProblem(options.env.HOME ?? '/home/node')
  if (problem) {
    emit({ type: 'result', status: 'error', result: null, error: problem, errorClass: 'crash', consumed: [] })
    return 1
  }
  const claude = spawnClaudeEarly(options)
  const forwarder = gateway ? await startForwarder() : undefined
  const sdk = await import('./sdk.ts')

  const tell = gateway ? emit : withLoginAdvice(emit)
  const conversation = new Conversation({
    sdk,
    options: { ...options, spawnClaudeCodeProcess: claude.handOver },
    input,
    emit: tell,
  })
  const code = await conversation.run(host)
  forwarder?.close()
  return code
}

if (process.env.NANOCLAW_WARM_CACHE === undefined) process.exit(await main())
await import('./sdk.ts')
flushCompileCache()
