import { loadConfig } from '../config.ts'
import type { ExitCode } from './exit.ts'
import { type Environment, openHost } from './host.ts'
import { aborted, stopSignals } from './signals.ts'

/** `start`: the host in the foreground, its log on stdout, until a signal ends it. */
export async function start(env: Environment): Promise<ExitCode> {
  const { first, second } = stopSignals()
  const host = await openHost({ config: loadConfig(env), env, echo: true })
  const alive = setInterval(() => {}, 2 ** 30) // the host's own timers do not keep a process alive
  await aborted(first)
  await host.stop(second)
  clearInterval(alive)
  return 0
}
