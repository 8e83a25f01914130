import { attempt } from '../domain/attempt.ts'

type Step = { what: string; run: () => void }
/** What waits for the end of one transaction, or of one that is nested in another. */
type Level = { committed: Step[]; rolledBack: Step[] }

/** Runs what a transaction asked for when that transaction has ended. A step that fails stops neither the others nor the caller. */
export class TransactionEnds {
  readonly #open: Level[] = []
  readonly #onFailure: (text: string) => void

  constructor(onFailure: (text: string) => void) {
    this.#onFailure = onFailure
  }

  /** Runs a transaction, and then the steps that were registered in it. A nested one hands its steps to the one around it. */
  around<T>(transaction: () => T): T {
    const level: Level = { committed: [], rolledBack: [] }
    this.#open.push(level)
    let result: T
    try {
      result = transaction()
    } catch (error) {
      this.#open.pop()
      for (const step of level.rolledBack.reverse()) this.#run(step)
      throw error
    }
    this.#open.pop()
    this.#passOn(level)
    return result
  }

  #passOn({ committed, rolledBack }: Level): void {
    const outer = this.#open.at(-1)
    if (!outer) return this.#runAll(committed)
    outer.committed.push(...committed)
    outer.rolledBack.push(...rolledBack)
  }

  #runAll(steps: readonly Step[]): void {
    for (const step of steps) this.#run(step)
  }

  /** Outside of a transaction there is nothing to wait for. */
  afterCommit(step: Step): void {
    const level = this.#open.at(-1)
    if (level) level.committed.push(step)
    else this.#run(step)
  }

  onRollback(step: Step): void {
    this.#open.at(-1)?.rolledBack.push(step)
  }

  #run({ what, run }: Step): void {
    attempt({ what: `${what} failed. What was stored before it stays stored`, log: { error: this.#onFailure } }, run)
  }
}
