import { simulate } from './simulation.ts'
import { Database, HostDied } from './world.ts'

process.on('uncaughtException', (error) => {
  if (!(error instanceof HostDied)) throw error
})
const n = Number(process.env.SIM_SCHEDULES ?? 200)
const from = Number(process.env.SIM_SEED ?? 1)
const database = new Database()
const start = performance.now()
let bad = 0
let [commits, crashes, messages] = [0, 0, 0]
const kinds = new Map<string, number[]>()
for (let seed = from; seed < from + n; seed++) {
  const outcome = await simulate(seed, database)
  commits += outcome.commits
  crashes += outcome.crashes
  messages += outcome.messages
  for (const v of outcome.violations) {
    const kind = v
      .split('\n')
      .slice(0, 3)
      .join(' | ')
      .replaceAll(/[\w:-]*\d+/g, '#')
      .replaceAll(/(# )+#/g, '#s')
    kinds.set(kind, [...(kinds.get(kind) ?? []), outcome.seed])
  }
  if (outcome.violations.length) bad++
  if (n === 1) console.log(outcome.trace.join('\n'), '\n', outcome.violations.join('\n'))
}
console.log({ n, bad, commits, crashes, messages, ms: (performance.now() - start) / n })
console.log(
  [...kinds]
    .sort((a, b) => b[1].length - a[1].length)
    .slice(0, 25)
    .map(([k, s]) => `${s.length} ${k} e.g. ${s.slice(0, 5)}`)
    .join('\n'),
)
process.exit(bad ? 1 : 0)
