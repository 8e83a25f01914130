import { loadConfig } from '../config.ts'
import type { ExitCode } from './exit.ts'
import { type Environment, openHost } from './host.ts'
import { Supervisor } from './service/notify.ts'
import { aborted, stopSignals } from './signals.ts'

/** `start`: the host in the foreground, its log on stdout, until a signal ends it. */
export async function start(env: Environment, say: (line: string) => void): Promise<ExitCode> {
  const { first, second } = stopSignals()
  const config = loadConfig(env)
  const supervisor = new Supervisor({ env, say })
  const host = await openHost({ config, env, echo: true })
  supervisor.ready()
  const alive = setInterval(() => {}, 2 ** 30) // the host's own timers do not keep a process alive
  await aborted(first)
  supervisor.stopping(config.shutdownGraceMs)
  await host.stop(second)
  supervisor.close()
  clearInterval(alive)
  return 0
}
