import type { Config } from '../config.ts'
import { localJid } from '../domain/group.ts'
import type { ExitCode } from './exit.ts'
import { type Environment, withHost } from './host.ts'
import { stopSignals } from './signals.ts'
import { sayOnce } from './terminal/say-once.ts'

export type ChatOptions = { once?: string; group?: string; timeout?: number; demo?: boolean }

/** `chat`: talks to a group of the running host, or of one that lives as long as this chat. */
export async function chat({
  config,
  env,
  options,
}: {
  config: Config
  env: Environment
  options: ChatOptions
}): Promise<ExitCode> {
  const { first, second } = stopSignals()
  return withHost({
    config,
    env,
    stop: second,
    use: async (client, own) => {
      const jid = options.group === undefined ? localJid(await mainFolder(client)) : await client.openTerminal(options.group)
      if (options.once !== undefined)
        return sayOnce({ client, jid, text: options.once, ...timeoutOf(options), ...streams(), signal: first })
      const title = `${config.assistantName}${options.demo ? ' (demo: a scripted model)' : ''}${own ? ', for as long as this chat is open' : ''}`
      const { runChat } = await import('./terminal/chat.ts')
      return runChat({ client, jid, input: process.stdin, ...streams(), signal: first, title })
    },
  })
}

async function mainFolder(client: { status(): Promise<{ groups: { folder: string; isMain: boolean }[] }> }): Promise<string> {
  const { groups } = await client.status()
  return groups.find((group) => group.isMain)?.folder ?? 'main'
}

function timeoutOf({ timeout }: ChatOptions): { timeoutMs?: number } {
  return timeout === undefined ? {} : { timeoutMs: timeout * 1_000 }
}

function streams() {
  return { output: process.stdout, error: process.stderr }
}
