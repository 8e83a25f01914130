import { existsSync } from 'node:fs'
import os from 'node:os'
import { z } from 'zod'
import { AppError } from '../domain/errors.ts'
import { containerBody } from './container-body.ts'
import { discard, type Handle, killAndRemove } from './container-end.ts'
import type { ContainerRuntime, ContainerSpec, ContainerSummary, EngineInfo, RunningContainer } from './contract.ts'
import type { Answer, EngineClient } from './engine-client.ts'
import { bodyOf, engineError, throwIfAborted, withMore } from './engine-error.ts'
import { findEngine } from './find-engine.ts'
import { installedRuntimes, refuseOldPodman } from './podman.ts'
import { startContainer } from './running-container.ts'

/** This machine's engine. Rejects with an `AppError` that says what to do when there is none we can use. */
export async function engineRuntime({
  env,
  homedir = os.homedir(),
}: {
  env: Readonly<Record<string, string | undefined>>
  homedir?: string
}): Promise<ContainerRuntime> {
  const { client } = await findEngine({ env, homedir })
  const engine = await askInfo(client)
  if (engine.name === 'docker' && engine.rootless) throw rootlessDocker()
  if (engine.name === 'podman') refuseOldPodman(engine.version)
  return new EngineRuntime({ client, engine })
}

function rootlessDocker(): AppError {
  const message =
    'This Docker is rootless, and cannot give a container files that belong to you. Use rootless Podman: install it, run systemctl --user enable --now podman.socket, and put CONTAINER_RUNTIME=podman into .env'
  return engineError({ code: 'rootless-docker', message })
}

/** Docker or Podman, through the API that both have. It holds no connection between calls: there is nothing to close. */
export class EngineRuntime implements ContainerRuntime {
  readonly #client: EngineClient
  readonly #engine: EngineInfo
  readonly #running = new Map<string, RunningContainer>()

  constructor({ client, engine }: { client: EngineClient; engine: EngineInfo }) {
    this.#client = client
    this.#engine = engine
  }

  info(signal?: AbortSignal): Promise<EngineInfo> {
    return askInfo(this.#client, signal)
  }

  async imageId(image: string): Promise<string | undefined> {
    const answer = await this.#image(image)
    return answer.status === 404 ? undefined : imageOf(answer).Id
  }

  async imageLabels(image: string): Promise<Record<string, string>> {
    return imageOf(await this.#image(image)).Config?.Labels ?? {}
  }

  async run(spec: ContainerSpec, signal?: AbortSignal): Promise<RunningContainer> {
    throwIfAborted(signal, this.#client.socketPath)
    const { isolation } = spec
    if (isolation !== undefined && !this.#engine.runtimes.includes(isolation)) throw isolationMissing(isolation, this.#engine)
    const container = await this.#create(spec)
    try {
      const running = await startContainer(container, signal)
      this.#remember(running)
      return running
    } catch (error) {
      throw withMore(error, await discard(container))
    }
  }

  async list({ label, name }: { label?: string; name?: string }): Promise<ContainerSummary[]> {
    const filters = { ...(label && { label: [label] }), ...(name && { name: [name.replaceAll('.', '\\.')] }) }
    const query = { all: '1', filters: JSON.stringify(filters) }
    const answer = await this.#client.send({ method: 'GET', path: '/containers/json', query })
    return bodyOf({ answer, schema: containerList, what: 'list containers' }).map(summaryOf)
  }

  async remove(id: string): Promise<void> {
    await this.#running.get(id)?.kill() // one that is attached to us must be killed by its own hand, which takes its output
    await killAndRemove({ client: this.#client, id })
  }

  #remember(running: RunningContainer): void {
    const { id, exited } = running
    this.#running.set(id, running)
    const forget = () => this.#running.delete(id)
    exited.then(forget, forget)
  }

  #image(image: string): Promise<Answer> {
    const path = `/images/${image.split('/').map(encodeURIComponent).join('/')}/json`
    return this.#client.send({ method: 'GET', path })
  }

  /** Cannot be aborted: the engine would go on, and leave us with a container whose id we never learn. */
  async #create(spec: ContainerSpec): Promise<Handle> {
    for (const { source } of spec.mounts) if (!existsSync(source)) throw missingSource(source)
    const client = this.#client
    const body = containerBody(spec, this.#engine)
    const answer = await client.send({ method: 'POST', path: '/containers/create', query: { name: spec.name }, body })
    return { client, id: bodyOf({ answer, schema: z.object({ Id: z.string() }), what: `create container ${spec.name}` }).Id }
  }
}

/** Not left to the engine: Podman 4 makes an empty folder there. */
function missingSource(source: string): AppError {
  const message = `${source} is to be mounted into a container, and does not exist. Make it, or take it out of the group's mounts.`
  return engineError({ code: 'mount-missing', message })
}

/** Never without it instead: who asked for a stronger wall must not get a weaker one. */
export function isolationMissing(isolation: string, { runtimes }: Pick<EngineInfo, 'runtimes'>): AppError {
  const message = `This group is to run with the isolation "${isolation}", which the container engine does not have (it has ${runtimes.join(', ') || 'none with a name'}). Install it and restart the engine and NanoClaw, or set another: ./nanoclaw groups set FOLDER --config '{"isolation":null}'.`
  return new AppError({ code: 'engine.isolation-missing', fault: 'user', message })
}

const infoAnswer = z.object({
  ServerVersion: z.string(),
  SecurityOptions: z.array(z.string()).nullish(),
  Rootless: z.boolean().optional(),
  Runtimes: z.record(z.string(), z.unknown()).nullish(),
  CgroupVersion: z.string().optional(),
})

async function askInfo(client: EngineClient, signal?: AbortSignal): Promise<EngineInfo> {
  const answer = await client.send({ method: 'GET', path: '/info', signal })
  const {
    ServerVersion: version,
    SecurityOptions,
    Rootless,
    Runtimes,
    CgroupVersion,
  } = bodyOf({
    answer,
    schema: infoAnswer,
    what: 'tell about itself',
  })
  const { name, apiVersion } = client.engine
  // Docker has it among the options, Podman has a field of its own.
  const rootless = Rootless ?? SecurityOptions?.some((option) => option.split(',').includes('name=rootless')) ?? false
  const known = Object.keys(Runtimes ?? {})
  const runtimes = name === 'podman' ? installedRuntimes(known) : known
  // Nobody but root may limit anything on cgroups v1; the engine claims to do it all the same.
  const enforcesLimits = !(rootless && CgroupVersion === '1')
  return { name, version, apiVersion, rootless, runtimes, enforcesLimits }
}

const imageAnswer = z.object({
  Id: z.string(),
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
})

function imageOf(answer: Answer): z.infer<typeof imageAnswer> {
  return bodyOf({ answer, schema: imageAnswer, what: 'show an image' })
}

const listed = z.object({
  Id: z.string(),
  Names: z.array(z.string()).nullish(),
  Labels: z.record(z.string(), z.string()).nullish(),
  State: z.string(),
  Mounts: z.array(z.object({ Type: z.string(), Source: z.string().optional() })).nullish(),
})
const containerList = z.array(listed)

function summaryOf({ Id, Names, Labels, State, Mounts }: z.infer<typeof listed>): ContainerSummary {
  const binds = (Mounts ?? []).flatMap(({ Type, Source }) => (Type === 'bind' && Source ? [Source] : []))
  return { id: Id, name: (Names?.[0] ?? '').replace(/^\//, ''), labels: Labels ?? {}, state: State, binds }
}
