import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { PassThrough, type Readable, Writable } from 'node:stream'
import { AppError } from '../../src/domain/errors.ts'
import type {
  ContainerExit,
  ContainerRuntime,
  ContainerSpec,
  ContainerSummary,
  EngineInfo,
  RunningContainer,
} from '../../src/runtimes/contract.ts'
import { isolationMissing } from '../../src/runtimes/engine-runtime.ts'

/** What a fake container sees. */
export type Inside = {
  spec: ContainerSpec
  stdin: Readable
  stdout: Writable
  stderr: Writable
  /** Aborts when the container is killed: nothing that comes out of it afterwards counts. */
  killed: AbortSignal
}

/** Plays a container from its start; what it returns is how the container ends, a number being the exit code. */
export type Program = (inside: Inside) => Promise<number | ContainerExit>

export type FakeImage = { labels: Record<string, string> }

type Living = { spec: ContainerSpec; kill(): void; cutOff(error: unknown): void }

const RUNTIMES = ['fake']
/** How a container ends that is killed. */
export const KILLED: ContainerExit = { code: 137, oomKilled: false }

/**
 * A container engine in memory: containers are programs of the test, everything else is as the contract has it. No
 * timers and no randomness, so that a simulation is the same every time.
 */
export class FakeEngine implements ContainerRuntime {
  readonly #images: Record<string, FakeImage>
  readonly #program: Program
  readonly #living = new Map<string, Living>()
  /** Everything that was started, in order. */
  readonly started: ContainerSpec[] = []
  #created = 0
  #down = false

  constructor({ images, program }: { images: Record<string, FakeImage>; program: Program }) {
    this.#images = images
    this.#program = program
  }

  /** The engine goes away, and its containers with it. */
  stop(): void {
    this.#down = true
    const error = engineError('gone', 'The fake engine was stopped.')
    for (const container of this.#living.values()) container.cutOff(error)
    this.#living.clear()
  }

  /** It is back, without containers. */
  start(): void {
    this.#down = false
  }

  async info(): Promise<EngineInfo> {
    this.#throwIfDown()
    return {
      name: 'docker',
      version: '0.0.0-fake',
      apiVersion: '1.44',
      rootless: false,
      runtimes: RUNTIMES,
      enforcesLimits: true,
    }
  }

  async imageId(image: string): Promise<string | undefined> {
    this.#throwIfDown()
    return image in this.#images ? `sha256:${image}` : undefined
  }

  async imageLabels(image: string): Promise<Record<string, string>> {
    return this.#image(image).labels
  }

  async run(spec: ContainerSpec, signal?: AbortSignal): Promise<RunningContainer> {
    this.#check(spec)
    if (signal?.aborted) throw engineError('aborted', 'The start was cancelled.')
    this.#created++
    const id = String(this.#created).padStart(64, '0')
    this.started.push(spec)
    return this.#play({ id, spec })
  }

  async list({ label, name }: { label?: string; name?: string }): Promise<ContainerSummary[]> {
    this.#throwIfDown()
    return [...this.#living].map(summaryOf).filter((container) => {
      const hasLabel =
        !label || Object.entries(container.labels).some(([key, value]) => label === key || label === `${key}=${value}`)
      return hasLabel && container.name.includes(name ?? '')
    })
  }

  async remove(id: string): Promise<void> {
    this.#throwIfDown()
    this.#living.get(id)?.kill()
  }

  #play({ id, spec }: { id: string; spec: ContainerSpec }): RunningContainer {
    const stdin = new PassThrough()
    const [stdout, stderr] = [new Output(), new Output()]
    const killing = new AbortController()
    const { promise: exited, resolve, reject } = Promise.withResolvers<ContainerExit>()
    const end = (settle: () => void) => {
      this.#living.delete(id)
      stdout.end()
      stderr.end()
      settle()
      killing.abort()
    }
    const kill = () => end(() => resolve(KILLED))
    const cutOff = (error: unknown) => end(() => reject(error))
    this.#living.set(id, { spec, kill, cutOff })
    this.#program({ spec, stdin, stdout, stderr, killed: killing.signal }).then(
      (exit) => end(() => resolve(typeof exit === 'number' ? { code: exit, oomKilled: false } : exit)),
      cutOff, // the test's own mistake: `exited` tells it
    )
    exited.catch(() => {})
    const killIfAlive = async () => this.#living.get(id)?.kill()
    return { id, stdin, stdout: stdout.outside, stderr: stderr.outside, exited, kill: killIfAlive }
  }

  #check(spec: ContainerSpec): void {
    this.#image(spec.image)
    if (spec.isolation !== undefined && !RUNTIMES.includes(spec.isolation))
      throw isolationMissing(spec.isolation, { runtimes: RUNTIMES })
    for (const { source } of spec.mounts) if (!existsSync(source)) throw engineError('mount-missing', `${source} does not exist.`)
    for (const other of this.#living.values())
      if (other.spec.name === spec.name) throw engineError('name-taken', `There is a container ${spec.name} already.`)
  }

  #image(image: string): FakeImage {
    this.#throwIfDown()
    const found = this.#images[image]
    if (!found) throw engineError('image-missing', `There is no image ${image}: run ./container/build.sh`)
    return found
  }

  #throwIfDown(): void {
    if (this.#down) throw engineError('unreachable', 'The fake engine is stopped.')
  }
}

/** A pipe out of a container. What is printed for a reader that left is lost, as it is with a real engine. */
class Output extends Writable {
  readonly outside = new PassThrough()

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.outside.destroyed || this.outside.write(chunk)) return done()
    const go = () => {
      this.outside.off('drain', go).off('close', go)
      done()
    }
    this.outside.on('drain', go).on('close', go)
  }

  override _final(done: () => void): void {
    this.outside.end()
    done()
  }
}

/** For programs: resolves when a container is killed. */
export async function untilKilled({ killed }: Inside): Promise<void> {
  if (!killed.aborted) await once(killed, 'abort')
}

function summaryOf([id, { spec }]: [string, Living]): ContainerSummary {
  const { name, labels, mounts } = spec
  return { id, name, labels, state: 'running', binds: mounts.map(({ source }) => source) }
}

function engineError(code: string, message: string): AppError {
  return new AppError({ code: `engine.${code}`, fault: 'engine', message })
}
