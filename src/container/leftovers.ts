import { errorText } from '../domain/errors.ts'
import type { ContainerRuntime, ContainerSummary } from '../runtimes/contract.ts'

type LeftoverPorts = {
  runtime: Pick<ContainerRuntime, 'list' | 'remove'>
  installId: string
  log: { info(text: string): void; warn(text: string): void }
}

/** How often a run must be looked for in vain: an engine that was stopped may create a container late. */
const LOOKS = 3

/**
 * Containers that nobody needs and that the engine may still have or create, because it did not answer when their start was
 * aborted or when they were to be removed. They are looked for by the label of their run until the engine has none.
 */
export class Leftovers {
  readonly #ports: LeftoverPorts
  /** How often each run was looked for in vain. */
  readonly #runs = new Map<string, number>()

  constructor(ports: LeftoverPorts) {
    this.#ports = ports
  }

  /** This run is over, and its container may be there all the same. */
  suspect(runId: string): void {
    this.#runs.set(runId, 0)
  }

  /** To be called now and then; asks the engine only while there is something to look for. Rejects when it does not answer. */
  async remove(): Promise<void> {
    if (this.#runs.size === 0) return
    const { runtime, installId } = this.#ports
    const ours = await runtime.list({ label: `nanoclaw.install=${installId}` })
    for (const runId of [...this.#runs.keys()]) {
      const found = ours.filter(({ labels }) => labels['nanoclaw.run'] === runId)
      await Promise.all(found.map((container) => this.#remove(container)))
      this.#note(runId, found.length === 0)
    }
  }

  async #remove({ id, name }: ContainerSummary): Promise<void> {
    const { runtime, log } = this.#ports
    try {
      await runtime.remove(id)
      log.info(`Removed the container ${name}, which nobody used any more`)
    } catch (error) {
      log.warn(`The container ${name}, which nobody uses any more, could not be removed, and is tried again: ${errorText(error)}`)
    }
  }

  #note(runId: string, isGone: boolean): void {
    const looks = isGone ? (this.#runs.get(runId) ?? 0) + 1 : 0
    if (looks < LOOKS) this.#runs.set(runId, looks)
    else this.#runs.delete(runId)
  }
}
