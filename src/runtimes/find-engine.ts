import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { AppError, errorText } from '../domain/errors.ts'
import { EngineClient } from './engine-client.ts'
import { connectionTrouble, engineError, HOW_TO_START } from './engine-error.ts'

type Surroundings = { env: Readonly<Record<string, string | undefined>>; homedir: string }

/** Where an engine may listen. `why` is for a person: what made us look there. */
export type EnginePlace = { socketPath: string; why: string }
export type FoundEngine = EnginePlace & { client: EngineClient }

/** A healthy engine answers in milliseconds; one that is just waking up, in seconds. */
const PATIENCE_MS = 10_000

/**
 * The first engine that answers. Rejects with `engine.unreachable`, or `engine.denied` where one is there for others,
 * naming every place and what to do.
 */
export async function findEngine(surroundings: Surroundings): Promise<FoundEngine> {
  const failures: Failure[] = []
  for (const place of enginePlaces(surroundings)) {
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS)
      return { ...place, client: await EngineClient.connect({ socketPath: place.socketPath, signal }) }
    } catch (error) {
      failures.push({ place, error })
    }
  }
  throw noEngine(failures)
}

type Failure = { place: EnginePlace; error: unknown }

function noEngine(failures: Failure[]): AppError {
  const refusal = failures
    .map(({ error }) => error)
    .find((error) => error instanceof AppError && error.code !== 'engine.unreachable')
  if (refusal instanceof AppError) return refusal
  const tried = failures.map(({ place, error }) => `  ${place.socketPath} (${place.why}): ${whyNot(error)}`)
  return engineError({
    code: 'unreachable',
    message: `No container engine answers. Tried:\n${tried.join('\n')}\n${HOW_TO_START}`,
    cause: failures[0]?.error,
  })
}

function whyNot(error: unknown): string {
  return connectionTrouble(error instanceof AppError ? error.cause : error).why
}

/** Every place to try, the best first. What the user named is not replaced by a guess: it is then the only one. */
export function enginePlaces({ env, homedir }: Surroundings): EnginePlace[] {
  if (env.DOCKER_HOST) return [unixPlace({ host: env.DOCKER_HOST, why: 'DOCKER_HOST' })]
  if (env.CONTAINER_RUNTIME === 'podman') return podmanPlaces(env)
  const context = currentContext({ env, homedir })
  if (context) return [context]
  const inHome = ['.docker/run/docker.sock', '.docker/desktop/docker.sock', '.colima/default/docker.sock']
  const docker = ['/var/run/docker.sock', ...inHome.map((name) => path.join(homedir, name))]
  return [...docker.map((socketPath) => ({ socketPath, why: 'usual for Docker' })), ...podmanPlaces(env)]
}

function podmanPlaces({ XDG_RUNTIME_DIR }: Surroundings['env']): EnginePlace[] {
  const own = XDG_RUNTIME_DIR ? [path.join(XDG_RUNTIME_DIR, 'podman/podman.sock')] : []
  return [...own, '/run/podman/podman.sock'].map((socketPath) => ({ socketPath, why: 'usual for Podman' }))
}

/** An engine of another machine is no use: what it would mount are folders of that machine. */
function unixPlace({ host, why }: { host: string; why: string }): EnginePlace {
  if (host.startsWith('unix://')) return { socketPath: host.slice('unix://'.length), why }
  const message = `${why} leads to ${host}, but NanoClaw shares folders of this machine with its containers, so it needs this machine's engine: a unix:// address. Change that, or unset it.`
  throw new AppError({ code: 'config.docker-host', fault: 'user', message })
}

const config = z.object({ currentContext: z.string().optional() })
const meta = z.object({ Endpoints: z.object({ docker: z.object({ Host: z.string() }) }) })

/** The place that `docker context use` chose, or undefined for the default ones. */
function currentContext({ env, homedir }: Surroundings): EnginePlace | undefined {
  const folder = env.DOCKER_CONFIG || path.join(homedir, '.docker')
  const name = env.DOCKER_CONTEXT || readJson(path.join(folder, 'config.json'), config)?.currentContext
  if (!name || name === 'default') return undefined
  const id = createHash('sha256').update(name).digest('hex')
  const found = readJson(path.join(folder, 'contexts', 'meta', id, 'meta.json'), meta)
  const why = `the Docker context ${name}`
  if (found) return unixPlace({ host: found.Endpoints.docker.Host, why })
  const message = `Docker is set to use the context ${name}, which does not exist. Choose another: docker context use default`
  throw new AppError({ code: 'config.docker-context', fault: 'user', message })
}

/** Undefined when there is no such file. */
function readJson<T>(file: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    const message = `${file} cannot be read, and it says which container engine to use: ${errorText(error)}`
    throw new AppError({ code: 'config.docker-context', fault: 'user', message, cause: error })
  }
}
