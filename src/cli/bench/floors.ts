import { execFile, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Options, SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'

const execute = promisify(execFile)

/** Until the first process of a bare `docker run --network none` runs. */
export function bareContainer(image: string): Promise<void> {
  const child = spawn('docker', ['run', '--rm', '--network', 'none', '--entrypoint', '/bin/echo', image, 'up'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    child.stdout.once('data', () => resolve())
    child.once('error', reject)
    child.once('exit', (code) => code !== 0 && reject(new Error(`docker run ended with ${code}`)))
  })
}

/** One answer of Claude Code in a container with nothing of ours around it, against the model at this address of the host. */
export async function bareAnswer({
  image,
  modelUrl,
  prompt,
}: {
  image: string
  modelUrl: string
  prompt: string
}): Promise<void> {
  const settings = [
    `ANTHROPIC_BASE_URL=${modelUrl}`,
    'ANTHROPIC_API_KEY=sk-ant-bench',
    'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1',
  ].flatMap((setting) => ['--env', setting])
  const run = ['run', '--rm', '--network', 'host', ...settings, '--entrypoint', 'claude', image, '--print', prompt]
  await execute('docker', run)
}

/** The Agent SDK and its own `claude`, with nothing of ours around them, against the same model. */
export class BareSdk {
  readonly #options: Options
  readonly #query: typeof import('@anthropic-ai/claude-agent-sdk').query

  private constructor(options: Options, query: typeof import('@anthropic-ai/claude-agent-sdk').query) {
    this.#options = options
    this.#query = query
  }

  /** The SDK is a development dependency of the host, so it is loaded only here. */
  static async load({ folder, modelUrl }: { folder: string; modelUrl: string }): Promise<BareSdk> {
    const { query } = await import('@anthropic-ai/claude-agent-sdk')
    const cwd = path.join(folder, 'bare')
    mkdirSync(path.join(cwd, 'home'), { recursive: true })
    const env = {
      ...{
        PATH: process.env.PATH,
        HOME: path.join(cwd, 'home'),
        ANTHROPIC_BASE_URL: modelUrl,
        ANTHROPIC_API_KEY: 'sk-ant-bench',
      },
      ...{ CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', IS_SANDBOX: '1' },
    }
    const systemPrompt = { type: 'preset', preset: 'claude_code' } as const
    return new BareSdk(
      {
        cwd,
        env,
        systemPrompt,
        settingSources: ['project', 'user'],
        permissionMode: 'bypassPermissions',
        allowDangerouslySkipPermissions: true,
      },
      query,
    )
  }

  /** One query in a process of its own: its session, or the one it resumes. */
  async once(prompt: string, resume?: string): Promise<string> {
    let session = ''
    for await (const message of this.#query({ prompt, options: { ...this.#options, ...(resume ? { resume } : {}) } })) {
      if (message.type === 'result') session = message.session_id
    }
    return session
  }

  /** Durations of `n` messages into one running process, after a first one that is not counted. */
  async warm(n: number, prompt: string): Promise<number[]> {
    const durations: number[] = []
    let answered = () => {}
    async function* messages(): AsyncGenerator<SDKUserMessage> {
      for (let sent = 0; sent <= n; sent++) {
        const start = performance.now()
        const answer = new Promise<void>((resolve) => (answered = resolve))
        yield { type: 'user', message: { role: 'user', content: prompt }, parent_tool_use_id: null }
        await answer
        if (sent > 0) durations.push(performance.now() - start)
      }
    }
    for await (const message of this.#query({ prompt: messages(), options: this.#options }))
      if (message.type === 'result') answered()
    return durations
  }
}

/** Ends a container by force; its group's next message needs a new one. */
export async function killContainer(name: string): Promise<void> {
  await execute('docker', ['kill', name])
}
