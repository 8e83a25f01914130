import type { Channel } from '../channels/contract.ts'
import type { Config } from '../config.ts'
import { AppError } from '../domain/errors.ts'
import { type Host, startHost } from '../index.ts'
import { openLog } from '../log.ts'
import { engineRuntime } from '../runtimes/engine-runtime.ts'
import { Secrets } from '../secrets.ts'
import { ControlClient } from './control-client.ts'
import { watchForTheUncaught } from './last-resort.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** How long a host that another process is just starting may take until it answers. */
const STARTING_MS = 60_000
const POLL_MS = 100

/** `echo` shows the log on stdout; `channels`: further ones, beside those of the host. */
export type HostWish = { config: Config; env: Environment; echo: boolean; channels?: readonly Channel[] }

/** Starts a host in this process, which from then on also ends in order when something is wrong that nothing caught. */
export async function openHost({ config, env, echo, channels = [] }: HostWish): Promise<Host> {
  const secrets = new Secrets(config)
  const runtime = await engineRuntime({ env: { ...env, CONTAINER_RUNTIME: config.containerRuntime } })
  const log = openLog({ config, redact: secrets.redact, echo })
  const starting = startHost({ config, log, runtime, secrets, channels })
  const endWatch = watchForTheUncaught({ log, aside: !echo, stop: async () => (await starting).stop(AbortSignal.abort()) })
  try {
    const host = await starting
    return { ...host, stop: (now) => host.stop(now).finally(endWatch) }
  } catch (error) {
    endWatch()
    throw error
  }
}

/**
 * Does something with the host of this root. Where none runs, one is started in this process, which others may use too:
 * it ends when nothing works and nobody waits any more, at once when `stop` aborts.
 */
export async function withHost<T>({
  config,
  env,
  stop,
  use,
}: {
  config: Config
  env: Environment
  stop: AbortSignal
  use: (client: ControlClient, own: boolean) => Promise<T>
}): Promise<T> {
  const client = new ControlClient({ socketPath: config.paths.controlSocket })
  const host = (await answers(client)) ? undefined : await startOrFind({ config, env, client })
  try {
    return await use(client, host !== undefined)
  } finally {
    await host?.stopWhenIdle(stop)
  }
}

type OwnHost = { stopWhenIdle(now: AbortSignal): Promise<void> }

/** Of several that find no host at the same time one becomes the host; the others wait for it. */
async function startOrFind({
  config,
  env,
  client,
}: {
  config: Config
  env: Environment
  client: ControlClient
}): Promise<OwnHost | undefined> {
  try {
    const host = await openHost({ config, env, echo: false })
    return {
      stopWhenIdle: async (now) => {
        while (!host.idle() && !now.aborted) await pause(POLL_MS)
        await host.stop(now)
      },
    }
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'host.already-running')) throw error
    for (let waited = 0; waited < STARTING_MS; waited += POLL_MS) {
      if (await answers(client)) return undefined
      await pause(POLL_MS)
    }
    throw error
  }
}

async function answers(client: ControlClient): Promise<boolean> {
  try {
    await client.status()
    return true
  } catch (error) {
    if (error instanceof AppError && error.code === 'host.not-running') return false
    throw error
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
