import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../groups.ts'

/** Adds `bench` and what can be measured beside the plain answer; nothing of it is loaded before it is asked for. */
export function benchCommand(program: Command, { env, say, print, done }: CommandContext): void {
  const bench = program.command('bench').description('measure how long an answer takes, beside the floor of this machine')
  bench
    .exitOverride()
    .enablePositionalOptions()
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { bench } = await import('./bench.ts')
      const { renderReport } = await import('./measure.ts')
      const report = await bench({ env, say })
      print(`${json ? JSON.stringify(report, null, 2) : renderReport(report)}\n`)
      done(0)
    })
  bench
    .command('soak')
    .exitOverride()
    .description('kill and break everything at random while people talk, and count what is lost or doubled')
    .option('--seed <n>', 'what is chosen at random follows from it', wholeNumber, 1)
    .option('--minutes <m>', 'how long', positive, 5)
    .option('--json', 'as JSON')
    .action(async ({ seed, minutes, json }: { seed: number; minutes: number; json?: boolean }) => {
      const { soak, renderSoak } = await import('./soak.ts')
      const report = await soak({ env, say, seed, minutes })
      print(`${json ? JSON.stringify(report, null, 2) : renderSoak(report)}\n`)
      done(report.kept === undefined ? 0 : 1)
    })
  bench
    .command('load')
    .exitOverride()
    .description('200 messages in 20 groups with 5 containers, beside bare containers')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { load, renderLoad } = await import('./load.ts')
      const report = await load({ env, say })
      print(`${json ? JSON.stringify(report, null, 2) : renderLoad(report)}\n`)
      done(0)
    })
  bench
    .command('tasks')
    .exitOverride()
    .description('what 10,000 tasks and 1,000 requests at once in one group do to the answers of another')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { flood, renderFlood } = await import('./flood.ts')
      const { renderReport } = await import('./measure.ts')
      const report = await flood({ env, say })
      print(`${json ? JSON.stringify(report, null, 2) : `${renderReport(report)}\n\n${renderFlood(report)}`}\n`)
      done(0)
    })
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('It is a whole number.')
  return value
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('It is a number above zero.')
  return value
}
