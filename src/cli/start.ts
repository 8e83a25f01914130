import type { Channel } from '../channels/contract.ts'
import { loadConfig } from '../config.ts'
import type { ExitCode } from './exit.ts'
import { type Environment, openHost } from './host.ts'
import { Supervisor } from './service/notify.ts'
import { aborted, stopSignals } from './signals.ts'

/** `start`: the host in the foreground, its log on stdout, until a signal ends it. `channels`: further ones. */
export async function start(env: Environment, say: (line: string) => void, channels: readonly Channel[] = []): Promise<ExitCode> {
  // A console that nobody reads any more says so by an event that would end the host; its log stays.
  for (const console of [process.stdout, process.stderr]) console.on('error', () => {})
  const { first, second } = stopSignals()
  const config = loadConfig(env)
  const supervisor = new Supervisor({ env, say })
  const host = await openHost({ config, env, echo: true, channels })
  supervisor.ready()
  const alive = setInterval(() => {}, 2 ** 30) // the host's own timers do not keep a process alive
  await aborted(first)
  supervisor.stopping(config.shutdownGraceMs)
  await host.stop(second)
  supervisor.close()
  clearInterval(alive)
  return 0
}
