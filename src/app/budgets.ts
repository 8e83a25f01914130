import { type Admission, type Amount, admit, type Budget, type Gauge, overText, type Period, periodAt } from '../domain/budget.ts'
import type { Instant } from '../domain/clock.ts'
import { isHostError } from '../domain/host-failure.ts'
import { costOf, countedTokens, NO_TOKENS, type PriceList, type TokenCount } from '../domain/model-price.ts'
import type { Store } from '../store/store.ts'
import type { ModelCall } from '../store/usage.ts'

/** A call before it is made: the tokens it may cost at most, as far as that is known. */
export type PlannedCall = { folder: string; model: string; inputTokens: number; maxTokens: number }
export type CallUse = { model: string; tokens: TokenCount }

/** `settle` says what a granted call used; every grant is settled once. */
export type Grant = { type: 'granted'; settle(use: CallUse): void } | { type: 'over'; why: string; retryAt: Instant }

export type BudgetPorts = { store: Pick<Store, 'usage' | 'groups' | 'afterCommit'>; now(): Instant }
export type BudgetRules = { timeZone: string; budget: Budget; prices: PriceList }

const PERIODS: readonly Period[] = ['day', 'month']

type UnderWay = { folder: string; most: Amount }

/** Counts what all groups use of the model, and lets a call begin while nobody's budget is used up. */
export class Budgets {
  readonly #ports: BudgetPorts
  readonly #rules: BudgetRules
  readonly #underWay = new Set<UnderWay>()
  readonly #waiting = new Set<() => void>()
  /** What was used and could not be stored yet: at most one entry for each group and model. */
  readonly #unstored: Required<ModelCall>[] = []

  constructor(ports: BudgetPorts, rules: BudgetRules) {
    this.#ports = ports
    this.#rules = rules
  }

  /** Resolves when it is decided; a call that must wait for others of its group to be counted waits here. Rejects on `signal`. */
  async begin(call: PlannedCall, signal: AbortSignal): Promise<Grant> {
    for (;;) {
      signal.throwIfAborted()
      const most = this.#mostOf(call)
      const admission = this.#admit(call.folder, most)
      if (admission.type === 'over') return this.#refusal(admission)
      if (admission.type === 'go') return this.#grant({ folder: call.folder, most })
      await this.#nextSettled(signal)
    }
  }

  #grant(call: UnderWay): Grant {
    this.#underWay.add(call)
    const settle = ({ model, tokens }: CallUse) => {
      if (!this.#underWay.delete(call)) return
      const nanoUsd = costOf(tokens, { model, list: this.#rules.prices })
      const used = Object.values(tokens).some((count) => count > 0)
      if (used) this.#note({ ...tokens, model, nanoUsd, calls: 1, folder: call.folder, at: this.#ports.now() })
      // The call was made: it must not fail now, nor those that wait for it.
      this.#ports.store.afterCommit('Counting what was used of the model', () => this.#storeUses())
      for (const goOn of this.#waiting) goOn()
    }
    return { type: 'granted', settle }
  }

  #note(use: Required<ModelCall>): void {
    const at = this.#unstored.findIndex(({ folder, model }) => folder === use.folder && model === use.model)
    const before = this.#unstored[at]
    if (before) this.#unstored[at] = sumOf(before, use)
    else this.#unstored.push(use)
  }

  /** What a failing disk refuses counts against the budgets all the same, and is stored with a later call. */
  #storeUses(): void {
    for (let use = this.#unstored.shift(); use; use = this.#unstored.shift()) {
      try {
        this.#ports.store.usage.add(use)
      } catch (error) {
        if (isHostError(error)) this.#unstored.unshift(use)
        throw error
      }
    }
  }

  #refusal({ gauge }: Extract<Admission, { type: 'over' }>): Grant {
    const { to } = periodAt(gauge.period, { at: this.#ports.now(), timeZone: this.#rules.timeZone })
    return { type: 'over', why: overText(gauge), retryAt: to }
  }

  /** Every input token at the price of writing it to the cache, and all the output that was asked for. */
  #mostOf({ model, inputTokens, maxTokens }: PlannedCall): Amount {
    const tokens = { ...NO_TOKENS, cacheWrite: inputTokens, output: maxTokens }
    return { nanoUsd: costOf(tokens, { model, list: this.#rules.prices }), tokens: countedTokens(tokens) }
  }

  #admit(folder: string, next: Amount): Admission {
    const own = this.#ports.store.groups.find(folder)?.config.budget ?? {}
    return admit([
      ...this.#gauges({ whose: 'group', budget: own, next, folder }),
      ...this.#gauges({ whose: 'all', budget: this.#rules.budget, next, folder }),
    ])
  }

  #gauges({ whose, budget, next, folder }: { whose: Gauge['whose']; budget: Budget; next: Amount; folder: string }): Gauge[] {
    // Also of what all have together: else a group waits for as long as another one likes.
    const reserved = [...this.#underWay].filter((one) => one.folder === folder).map(({ most }) => most)
    return PERIODS.flatMap((period) => {
      const [usd, tokens] = [budget[`${period}Usd`], budget[`${period}Tokens`]]
      if (usd === undefined && tokens === undefined) return []
      const spent = this.#spentIn(period, whose === 'group' ? folder : undefined)
      const gauge = (unit: keyof Amount, most: number | undefined): Gauge[] =>
        most === undefined
          ? []
          : [{ whose, period, most, spent: sum(spent, unit), reserved: sum(reserved, unit), next: next[unit] }]
      return [...gauge('nanoUsd', usd === undefined ? undefined : usd * 1e9), ...gauge('tokens', tokens)]
    })
  }

  /** By one group, or by all. */
  #spentIn(period: Period, folder: string | undefined): Amount[] {
    const { store, now } = this.#ports
    const { from, to } = periodAt(period, { at: now(), timeZone: this.#rules.timeZone })
    const sums = store.usage.between({ from, to, ...(folder === undefined ? {} : { folder }) })
    const unstored = this.#unstored.filter((one) => folder === undefined || one.folder === folder)
    return [...sums, ...unstored].map((one) => ({ nanoUsd: one.nanoUsd, tokens: countedTokens(one) }))
  }

  #nextSettled(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (end: () => void) => () => {
        this.#waiting.delete(goOn)
        signal.removeEventListener('abort', leave)
        end()
      }
      const goOn = done(resolve)
      const leave = done(() => reject(signal.reason))
      this.#waiting.add(goOn)
      signal.addEventListener('abort', leave)
    })
  }
}

function sum(amounts: readonly Amount[], unit: keyof Amount): number {
  return amounts.reduce((total, amount) => total + amount[unit], 0)
}

function sumOf(a: Required<ModelCall>, b: Required<ModelCall>): Required<ModelCall> {
  const counts = ['input', 'cacheWrite', 'cacheWriteHour', 'cacheRead', 'output', 'searches', 'nanoUsd', 'calls'] as const
  return { ...b, ...Object.fromEntries(counts.map((count) => [count, a[count] + b[count]])) }
}
