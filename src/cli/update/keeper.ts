import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import type { Config } from '../../config.ts'
import { AppError } from '../../domain/errors.ts'
import type { Environment } from '../host.ts'
import { isServiceOf, type Service } from '../service/service.ts'
import { healthOf } from './health.ts'
import type { Keeper } from './update.ts'

type Here = { config: Config; env: Environment; project: string; services: readonly Service[] }

/** Whatever keeps this host. Refuses where a host runs that nobody would start again. */
export async function keeperOf({ config, env, project, services }: Here): Promise<Keeper> {
  for (const service of services) {
    const state = await service.state()
    if (state.running && isServiceOf(state, project))
      return { stop: () => service.stop(), start: () => service.start(), settle: async () => {} }
  }
  const running = await healthOf(config.paths.controlSocket)
  if (running) throw runsByHand(running.pid)
  return new TrialRun({ config, env, project })
}

/** Where no host runs, one is started for the look at its health, and none runs afterwards. */
class TrialRun implements Keeper {
  readonly #here: Omit<Here, 'services'>
  #host: ChildProcess | undefined

  constructor(here: Omit<Here, 'services'>) {
    this.#here = here
  }

  async start(): Promise<void> {
    const { env, project, config } = this.#here
    this.#host = spawn(path.join(project, 'nanoclaw'), ['start'], {
      cwd: project,
      env: { ...env, NANOCLAW_HOME: config.root },
      stdio: 'ignore',
    })
    this.#host.on('error', () => {})
  }

  async stop(): Promise<void> {
    const host = this.#host
    this.#host = undefined
    if (!host || host.exitCode !== null || host.signalCode !== null) return
    const gone = new Promise((resolve) => host.once('exit', resolve))
    host.kill('SIGTERM')
    await gone
  }

  settle(): Promise<void> {
    return this.stop()
  }
}

function runsByHand(pid: number): AppError {
  const message = `The host runs in a terminal (process ${pid}), and an update could not start it again. Stop it first, or install it as a service: ./nanoclaw service install.`
  return new AppError({ code: 'input.update', fault: 'user', message })
}
