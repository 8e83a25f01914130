import { type Budget, type Period, periodAt } from '../domain/budget.ts'
import { countedTokens, NANO_USD, type TokenCount } from '../domain/model-price.ts'
import type { Store } from '../store/store.ts'
import type { UsageSum } from '../store/usage.ts'

/** What was used in a period; `countedTokens` are those that a budget of tokens counts. `usd` is by list price. */
export type UsageFigures = TokenCount & { calls: number; countedTokens: number; usd: number }
type Used = Record<Period, UsageFigures>

export type UsageReport = {
  timeZone: string
  periods: Record<Period, { from: string; to: string }>
  all: Used & { budget: Budget }
  groups: (Used & { folder: string; name: string | null; budget: Budget })[]
  models: (Used & { model: string })[]
}

type UsageSource = { usage: Pick<Store['usage'], 'between'>; groups: Pick<Store['groups'], 'all'> }
type Rules = { now: number; timeZone: string; budget: Budget }

/** What this day and this month cost so far, as the gateway counted it. */
export function usageReport(store: UsageSource, { now, timeZone, budget }: Rules): UsageReport {
  const period = (name: Period) => periodAt(name, { at: now, timeZone })
  const sums = { day: store.usage.between(period('day')), month: store.usage.between(period('month')) }
  const usedBy = (counts: (sum: UsageSum) => boolean): Used => ({
    day: figures(sums.day.filter(counts)),
    month: figures(sums.month.filter(counts)),
  })
  const groups = store.groups.all()
  const folders = [...new Set([...groups, ...sums.month].map(({ folder }) => folder))]
  const models = [...new Set(sums.month.map(({ model }) => model))]
  const iso = ({ from, to }: { from: number; to: number }) => ({
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
  })
  return {
    timeZone,
    periods: { day: iso(period('day')), month: iso(period('month')) },
    all: { ...usedBy(() => true), budget },
    groups: folders.map((folder) => {
      const group = groups.find((one) => one.folder === folder)
      return { folder, name: group?.name ?? null, ...usedBy((sum) => sum.folder === folder), budget: group?.config.budget ?? {} }
    }),
    models: models.map((model) => ({ model, ...usedBy((sum) => sum.model === model) })),
  }
}

function figures(sums: readonly UsageSum[]): UsageFigures {
  const total = (key: keyof TokenCount | 'calls' | 'nanoUsd') => sums.reduce((sum, one) => sum + one[key], 0)
  const tokens = {
    ...{ input: total('input'), cacheWrite: total('cacheWrite'), cacheWriteHour: total('cacheWriteHour') },
    ...{ cacheRead: total('cacheRead'), output: total('output'), searches: total('searches') },
  }
  return { calls: total('calls'), ...tokens, countedTokens: countedTokens(tokens), usd: total('nanoUsd') / NANO_USD }
}
