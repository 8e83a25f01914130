import type { Duplex } from 'node:stream'

/** One host path inside a container. `source` must exist; a mount of a missing source is refused by the engine. */
export type Mount = { source: string; target: string; readonly: boolean }

/** A container as we need it: everything the agent profile sets, nothing that could loosen it. */
export type ContainerSpec = {
  name: string
  image: string
  labels: Record<string, string>
  user: string
  env: Record<string, string>
  mounts: Mount[]
  network: 'none' | 'bridge'
  /** Writable memory file systems; `options` as in `docker run --tmpfs target:options`. */
  tmpfs: { target: string; options: string }[]
  limits: { memoryBytes: number; swapBytes: number; cpus: number; pids: number }
  /** One of the engine's runtimes by its name, e.g. `runsc`; its own choice where missing. */
  isolation?: string
  /** Replaces the image's entrypoint and command where given. */
  command?: string[]
}

/** How a container ended. `oomKilled` is true when the kernel killed one of its processes for memory. */
export type ContainerExit = { code: number; oomKilled: boolean }

/** A started container with its streams attached before the start, so that no byte is missed. */
export interface RunningContainer {
  readonly id: string
  readonly stdin: Duplex
  /** Raw bytes of the container's stdout and stderr, demultiplexed, with back-pressure to the engine. */
  readonly stdout: AsyncIterable<Buffer>
  readonly stderr: AsyncIterable<Buffer>
  /** Resolves once, when the container ended and was removed; rejects only when the engine is gone. */
  readonly exited: Promise<ContainerExit>
  /** SIGKILL. Resolves also when the container is gone already. */
  kill(): Promise<void>
}

export type ContainerSummary = {
  id: string
  name: string
  labels: Record<string, string>
  state: string
  /** Host paths of its bind mounts. */
  binds: string[]
}

export type EngineInfo = {
  name: 'docker' | 'podman'
  version: string
  apiVersion: string
  rootless: boolean
  /** Names of the runtimes the engine can use, e.g. `runc`, `runsc`. */
  runtimes: string[]
  /** False where the engine takes limits on memory, CPU and processes, and holds nobody to them. */
  enforcesLimits: boolean
}

/** What the host needs from a container engine. Every method rejects with an `AppError` of fault `engine`. */
export interface ContainerRuntime {
  /** Reachable, and what it is. Code `engine.unreachable` when nothing answers, with what to do. */
  info(signal?: AbortSignal): Promise<EngineInfo>
  /** The image's id, or undefined when it is missing. */
  imageId(image: string): Promise<string | undefined>
  /** Labels of an image that exists. */
  imageLabels(image: string): Promise<Record<string, string>>
  /**
   * Creates, attaches, starts (auto-remove). Code `engine.image-missing` when there is no such image, and
   * `engine.isolation-missing`, with nothing started, when it has no such runtime.
   */
  run(spec: ContainerSpec, signal?: AbortSignal): Promise<RunningContainer>
  /** All containers, running or not, whose labels or names match. */
  list(filter: { label?: string; name?: string }): Promise<ContainerSummary[]>
  /** Kills and removes; resolves also when it is gone already. */
  remove(id: string): Promise<void>
}
