import type { Command } from 'commander'
import type { UsageFigures, UsageReport } from '../app/usage-report.ts'
import { loadConfig } from '../config.ts'
import type { Budget, Period } from '../domain/budget.ts'
import { localTime } from '../domain/prompt.ts'
import type { CommandContext } from './groups.ts'
import { table } from './table.ts'

/** Adds `usage`: what the model was used for, and how far the budgets are used up. Whether a host runs or not. */
export function usageCommand(program: Command, context: CommandContext): void {
  program
    .command('usage')
    .description('what the agents used of the model, today and this month, and how far their budgets are used up')
    .exitOverride()
    .option('--json', 'as JSON')
    .action((options: { json?: boolean }) => usage(context, options))
}

/** A store in which nothing ever was. */
const NOTHING = { usage: { between: () => [] }, groups: { all: () => [] } }

async function usage({ env, print, done }: CommandContext, { json }: { json?: boolean }): Promise<void> {
  const { usageReport } = await import('../app/usage-report.ts')
  const { readStore } = await import('./group-admin.ts')
  const config = loadConfig(env)
  const rules = { ...config, now: Date.now() }
  const report = readStore(config, { read: (store) => usageReport(store, rules), empty: usageReport(NOTHING, rules) })
  print(json ? `${JSON.stringify(report, null, 2)}\n` : renderUsage(report))
  done(0)
}

export function renderUsage(report: UsageReport): string {
  const { timeZone, all, groups, models } = report
  const period = (name: Period): string[] => {
    const { from, to } = report.periods[name]
    const time = (iso: string) => localTime(Date.parse(iso), timeZone)
    const row = (what: string, used: Record<Period, UsageFigures>, budget: Budget) => [
      what,
      ...columns(used[name]),
      budgetText(used[name], { usd: budget[`${name}Usd`], tokens: budget[`${name}Tokens`] }),
    ]
    const rows = [
      ...groups.map((group) => row(group.folder, group, group.budget)),
      ...models.map((model) => row(`(${model.model})`, model, {})),
      row('all', all, all.budget),
    ]
    return [`This ${name}: ${time(from)} to ${time(to)} (${timeZone})`, ...table([HEAD, ...rows])]
  }
  return `${[...period('day'), '', ...period('month'), '', NOTE].join('\n')}\n`
}

const HEAD = ['GROUP', 'CALLS', 'INPUT', 'CACHED', 'OUTPUT', 'USD', 'BUDGET']
const NOTE = 'Counted by the gateway, at list prices; with a subscription, nothing is paid for tokens.'

/** What was written to the cache was read as input before. */
function columns({ calls, input, cacheWrite, cacheWriteHour, cacheRead, output, usd }: UsageFigures): string[] {
  const counts = [calls, input + cacheWrite + cacheWriteHour, cacheRead, output]
  return [...counts.map((count) => count.toLocaleString('en-US')), usd.toFixed(2)]
}

function budgetText(used: UsageFigures, { usd, tokens }: { usd: number | undefined; tokens: number | undefined }): string {
  const part = (spent: number, most: number) => (most === 0 ? 'none left' : `${Math.floor((spent / most) * 100)}% used`)
  const money = usd === undefined ? [] : [`${usd} USD: ${part(used.usd, usd)}`]
  const count = tokens === undefined ? [] : [`${tokens.toLocaleString('en-US')} tokens: ${part(used.countedTokens, tokens)}`]
  return [...money, ...count].join(', ') || '-'
}
