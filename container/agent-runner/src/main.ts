import { existsSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { OWN_SERVER, runnerInput } from '@nanoclaw/protocol'
import { spawnClaudeEarly } from './claude-process.ts'
import { Conversation } from './conversation.ts'
import { claudeEnvironment, GATEWAY_SOCKET, readEnvDir, startForwarder } from './environment.ts'
import { emitter, withLoginAdvice } from './frames.ts'
import { HostInput } from './host-input.ts'
import { HostRequests } from './host-requests.ts'
import { hostServer } from './host-server.ts'
import { mountsProblem } from './mounts.ts'
import { claudeOptions, type Input } from './options.ts'
import { archiveOversized, sessionsProblem, transcriptPath } from './transcript.ts'

const NOBODY = { groupFolder: 'none', chatJid: 'none', isMain: true }

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

  const exchanged = mountsProblem(parsed.data.mounts)
  if (exchanged) {
    emit({ type: 'result', status: 'error', result: null, error: exchanged, errorClass: 'setup', consumed: [] })
    return 1
  }
  const input = await withoutOversizedSession(parsed.data)
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

  const requests = new HostRequests()
  const nanoclaw = hostServer({ sdk, input, requests })
  const tell = gateway ? emit : withLoginAdvice(emit)
  const conversation = new Conversation({
    sdk,
    options: {
      ...options,
      mcpServers: { ...options.mcpServers, [OWN_SERVER]: nanoclaw },
      spawnClaudeCodeProcess: claude.handOver,
    },
    input,
    emit: tell,
    requests,
  })
  const code = await conversation.run(host)
  forwarder?.close()
  return code
}

/** The input as it is, or with a fresh session and a word about where the old one is. */
async function withoutOversizedSession(input: Input): Promise<Input> {
  const { sessionId, maxTranscriptBytes: maxBytes, assistantName, ...rest } = input
  if (sessionId === undefined) return input
  const file = transcriptPath(sessionId, process.env.HOME ?? '/home/node')
  const archived = await archiveOversized({ file, maxBytes, assistantName })
  if (archived === undefined) return input
  console.error(`runner: the transcript of session ${sessionId} is over its limit, a fresh session starts. It is ${archived}`)
  const note = `The conversation so far had become too long and is ${archived}.`
  return {
    ...rest,
    assistantName,
    maxTranscriptBytes: maxBytes,
    systemPrompt: [input.systemPrompt, note].filter(Boolean).join('\n\n'),
  }
}

if (process.env.NANOCLAW_WARM_CACHE === undefined) process.exit(await main())
// The cache also holds what was compiled by running: our server is made, as in every run.
hostServer({ sdk: await import('./sdk.ts'), input: runnerInput.parse(NOBODY), requests: new HostRequests() })
flushCompileCache()
