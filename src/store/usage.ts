import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { TokenCount } from '../domain/model-price.ts'

/** One call of the model and what it cost; or `calls` of them, added up. */
export type ModelCall = TokenCount & { at: number; folder: string; model: string; nanoUsd: number; calls?: number }
/** Calls of a group with a model, added up. */
export type UsageSum = TokenCount & { folder: string; model: string; calls: number; nanoUsd: number }

const SLOT_MS = 15 * 60_000
/** A name comes from a container; a longer one is cut. */
const LONGEST_MODEL = 100

const row = z.object({
  folder: z.string(),
  model: z.string(),
  calls: z.int(),
  input: z.int(),
  cacheWrite: z.int(),
  cacheWriteHour: z.int(),
  cacheRead: z.int(),
  output: z.int(),
  searches: z.int(),
  nanoUsd: z.int(),
})

const COLUMNS = {
  ...{ calls: 'calls', input: 'input', cacheWrite: 'cache_write', cacheWriteHour: 'cache_write_hour' },
  ...{ cacheRead: 'cache_read', output: 'output', searches: 'searches', nanoUsd: 'nano_usd' },
}
const PRUNED_AT_ONCE = 1_000

/** What was used of the model. Sums are read from running totals: they cost the same for a day and for all years. */
export class Usage {
  readonly #add: Statement
  readonly #between: Statement
  readonly #betweenOf: Statement
  readonly #old: Statement
  readonly #forgetTotal: Statement
  readonly #forget: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO usage VALUES (:slot, :folder, :model, :calls, :input, :cacheWrite, :cacheWriteHour, :cacheRead, :output, :searches, :nanoUsd)
      ON CONFLICT DO UPDATE SET calls = calls + :calls, input = input + :input, cache_write = cache_write + :cacheWrite,
        cache_write_hour = cache_write_hour + :cacheWriteHour, cache_read = cache_read + :cacheRead, output = output + :output,
        searches = searches + :searches, nano_usd = nano_usd + :nanoUsd`)
    // Of each group and model, two rows of the totals: the newest before the end of the period, and before its beginning.
    const used = Object.entries(COLUMNS).map(([name, column]) => `upTo.${column} - coalesce(before.${column}, 0) AS ${name}`)
    const between = (pairs: string) => `
      SELECT pair.group_folder AS folder, pair.model, ${used.join(', ')} FROM usage_pairs AS pair
      JOIN usage_totals AS upTo
        ON upTo.group_folder = pair.group_folder AND upTo.model = pair.model AND upTo.slot = ${newestOf('pair', ':to')}
      LEFT JOIN usage_totals AS before
        ON before.group_folder = pair.group_folder AND before.model = pair.model AND before.slot = ${newestOf('pair', ':from')}
      WHERE upTo.slot >= :from ${pairs} ORDER BY folder, nanoUsd DESC`
    this.#between = db.prepare(between(''))
    this.#betweenOf = db.prepare(between('AND pair.group_folder = :folder'))
    this.#old = db.prepare(`
      SELECT slot, group_folder AS folder, model FROM usage AS u WHERE slot < :before AND slot < ${newestOf('u', ':before')}
      ORDER BY slot LIMIT ${PRUNED_AT_ONCE}`)
    const one = 'WHERE group_folder = :folder AND model = :model AND slot = :slot'
    this.#forgetTotal = db.prepare(`DELETE FROM usage_totals ${one}`)
    this.#forget = db.prepare(`DELETE FROM usage ${one}`)
  }

  add({ at, model, calls = 1, ...call }: ModelCall): void {
    this.#add.run({ ...call, calls, slot: Math.floor(at / SLOT_MS) * SLOT_MS, model: model.slice(0, LONGEST_MODEL) })
  }

  /** What each group used of each model in a period that begins and ends with a quarter of an hour; or one group only. */
  between({ folder, ...period }: { from: number; to: number; folder?: string }): UsageSum[] {
    const sums = folder === undefined ? this.#between.all(period) : this.#betweenOf.all({ ...period, folder })
    return sums.map((raw) => row.parse(raw))
  }

  /**
   * Forgets the quarters of an hour before a moment, some at a time: what was used before it is known as one sum from then on.
   * Belongs in a transaction. Returns how many went.
   */
  prune(before: number): number {
    const old = this.#old.all({ before }) as { slot: number; folder: string; model: string }[]
    for (const one of old) {
      // Its total first: a row that goes without it is taken out of the totals that follow.
      this.#forgetTotal.run(one)
      this.#forget.run(one)
    }
    return old.length
  }
}

function newestOf(pair: string, before: string): string {
  return `(SELECT max(slot) FROM usage_totals t WHERE t.group_folder = ${pair}.group_folder AND t.model = ${pair}.model AND t.slot < ${before})`
}
