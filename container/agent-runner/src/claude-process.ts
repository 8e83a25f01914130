import { type ChildProcess, spawn } from 'node:child_process'
import { isDeepStrictEqual } from 'node:util'
import type { Options, SpawnedProcess, SpawnOptions } from '@anthropic-ai/claude-agent-sdk'
import type { ClaudeOptions } from './options.ts'

/**
 * Starts `claude` before the SDK is loaded and hands it over when the SDK asks for it: the two start side by side.
 * If the SDK asks for anything else than we guessed, the early process is dropped and the SDK's wish is carried out:
 * a wrong guess costs time, never correctness.
 */
export function spawnClaudeEarly(options: ClaudeOptions): { handOver: NonNullable<Options['spawnClaudeCodeProcess']> } {
  const guess = { args: claudeArguments(options), env: { ...options.env, ...SDK_VARIABLES } }
  let early: ChildProcess | undefined = start({ ...guess, command: options.pathToClaudeCodeExecutable, cwd: options.cwd })
  return {
    handOver: (wanted) => {
      const ready = early
      early = undefined
      if (ready && isDeepStrictEqual({ args: wanted.args, env: wanted.env }, guess)) return adopt(ready, wanted.signal)
      ready?.kill('SIGKILL')
      console.error(`runner: claude was started again, the SDK asked for ${JSON.stringify(wanted.args)}`)
      return adopt(start(wanted), wanted.signal)
    },
  }
}

/** What the SDK (0.3.329) adds to the environment of the CLI; `claude-process.test.ts` compares it with the real one. */
export const SDK_VARIABLES = {
  CLAUDE_CODE_ENTRYPOINT: 'sdk-ts',
  CLAUDE_AGENT_SDK_VERSION: '0.3.329',
  CLAUDE_CODE_SDK_READS_SESSION_STATE: '1',
  CLAUDE_CODE_SDK_READS_STARTUP_MARKS: '1',
}

/** The command line that the SDK (0.3.329) builds from these options. */
export function claudeArguments(options: ClaudeOptions): string[] {
  return [
    ...['--output-format', 'stream-json', '--verbose', '--input-format', 'stream-json'],
    ...(options.effort ? [`--effort=${options.effort}`] : []),
    ...(options.model ? [`--model=${options.model}`] : []),
    ...(options.resume ? [`--resume=${options.resume}`] : []),
    `--allowedTools=${options.allowedTools.join(',')}`,
    `--disallowedTools=${options.disallowedTools.join(',')}`,
    `--setting-sources=${options.settingSources.join(',')}`,
    `--permission-mode=${options.permissionMode}`,
    '--allow-dangerously-skip-permissions',
    '--include-partial-messages',
    ...options.additionalDirectories.map((directory) => `--add-dir=${directory}`),
    ...(options.mcpServersDelivery === 'initialize' ? ['--await-initialize'] : []),
  ]
}

type Start = Pick<SpawnOptions, 'command' | 'args' | 'env' | 'cwd'>

function start({ command, args, env, cwd }: Start): ChildProcess {
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] })
  // An unstartable `claude` is reported by the SDK, which sees the process end.
  child.on('error', (error) => console.error(`runner: claude did not start: ${error.message}`))
  return child
}

function adopt(child: ChildProcess, signal: AbortSignal): SpawnedProcess {
  if (!child.stdin || !child.stdout) throw new Error('claude was started without pipes')
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
  return child as SpawnedProcess
}
