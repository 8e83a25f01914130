import os from 'node:os'
import type { HostStatus } from '@nanoclaw/protocol'
import type { Config } from '../../config.ts'
import { type Credential, HostCredentials, type NoCredential } from '../../gateway/credentials.ts'
import type { ContainerRuntime, EngineInfo } from '../../runtimes/contract.ts'
import { engineRuntime } from '../../runtimes/engine-runtime.ts'
import { findEngine } from '../../runtimes/find-engine.ts'
import { ControlClient } from '../control-client.ts'
import type { Environment } from '../host.ts'
import { type Run, runner } from '../service/run.ts'
import { askModel, type ModelAnswer } from './login.ts'

export type FoundRuntime = {
  runtime: ContainerRuntime
  info: EngineInfo
  socketPath: string
  ask(path: string): Promise<unknown>
}

/**
 * What is examined: an installation on its machine, whether its host runs or not. What several checks need is asked for
 * once, when the first of them wants it.
 */
export class Patient {
  readonly config: Config
  readonly env: Environment
  readonly run: Run
  #engine: Promise<FoundRuntime> | undefined
  #status: Promise<HostStatus> | undefined
  #credential: Promise<Credential | NoCredential> | undefined
  #model: Promise<ModelAnswer> | undefined

  constructor({ config, env, run = runner(env) }: { config: Config; env: Environment; run?: Run }) {
    this.config = config
    this.env = env
    this.run = run
  }

  /** Rejects, saying what to do, when there is none. */
  engine(): Promise<FoundRuntime> {
    this.#engine ??= this.#findEngine()
    return this.#engine
  }

  /** Rejects with `host.not-running` when no host runs. */
  status(): Promise<HostStatus> {
    this.#status ??= new ControlClient({ socketPath: this.config.paths.controlSocket }).status()
    return this.#status
  }

  credential(): Promise<Credential | NoCredential> {
    this.#credential ??= new HostCredentials(this.config).current()
    return this.#credential
  }

  /** What the model API says to this login, for nothing. */
  model(): Promise<ModelAnswer> {
    this.#model ??= this.credential().then((credential) => askModel({ credential, modelUrl: this.config.modelUrl }))
    return this.#model
  }

  async #findEngine(): Promise<FoundRuntime> {
    const env = { ...this.env, CONTAINER_RUNTIME: this.config.containerRuntime }
    const runtime = await engineRuntime({ env })
    const { client, socketPath } = await findEngine({ env, homedir: os.homedir() })
    const ask = async (path: string) => (await client.send({ method: 'GET', path })).body
    return { runtime, info: await runtime.info(), socketPath, ask }
  }
}
