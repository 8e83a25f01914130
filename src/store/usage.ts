import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { TokenCount } from '../domain/model-price.ts'

/** One call of the model and what it cost. */
export type ModelCall = TokenCount & { at: number; folder: string; model: string; nanoUsd: number }
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

/** What was used of the model. */
export class Usage {
  readonly #add: Statement
  readonly #between: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO usage VALUES (:slot, :folder, :model, 1, :input, :cacheWrite, :cacheWriteHour, :cacheRead, :output, :searches, :nanoUsd)
      ON CONFLICT DO UPDATE SET calls = calls + 1, input = input + :input, cache_write = cache_write + :cacheWrite,
        cache_write_hour = cache_write_hour + :cacheWriteHour, cache_read = cache_read + :cacheRead, output = output + :output,
        searches = searches + :searches, nano_usd = nano_usd + :nanoUsd`)
    this.#between = db.prepare(`
      SELECT group_folder AS folder, model, sum(calls) AS calls, sum(input) AS input, sum(cache_write) AS cacheWrite,
        sum(cache_write_hour) AS cacheWriteHour, sum(cache_read) AS cacheRead, sum(output) AS output, sum(searches) AS searches,
        sum(nano_usd) AS nanoUsd
      FROM usage WHERE slot >= :from AND slot < :to GROUP BY group_folder, model ORDER BY group_folder, nanoUsd DESC`)
  }

  add({ at, model, ...call }: ModelCall): void {
    this.#add.run({ ...call, slot: Math.floor(at / SLOT_MS) * SLOT_MS, model: model.slice(0, LONGEST_MODEL) })
  }

  /** What each group used of each model in a period that begins and ends with a day. */
  between(period: { from: number; to: number }): UsageSum[] {
    return this.#between.all(period).map((raw) => row.parse(raw))
  }
}
