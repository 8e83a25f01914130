import { simulate } from './simulation.ts'
import { Database, HostDied } from './world.ts'

/**
 * Runs SIM_SCHEDULES schedules from seed SIM_SEED on and stops at the first that shows something wrong: the seed, what is
 * wrong, and what happened up to then. The same seed always gives the same schedule.
 */
const schedules = Number(process.env.SIM_SCHEDULES ?? 1_000)
const first = Number(process.env.SIM_SEED ?? 1)

let running = first
// What a dead host had begun ends with it; anything else that nobody catches is a mistake.
process.on('uncaughtException', (error) => {
  if (error instanceof HostDied) return
  console.log(`Seed ${running} (SIM_SEED=${running} SIM_SCHEDULES=1 node test/sim/run.ts): nobody caught ${error.stack}`)
  process.exit(1)
})

const database = new Database()
const totals = { schedules: 0, messages: 0, commits: 0, crashes: 0, faults: 0, answers: 0 }
for (let seed = first; seed < first + schedules; seed++) {
  running = seed
  const { violations, trace, commits, crashes, faults, messages, answers } = await simulate(seed, database)
  totals.schedules++
  totals.messages += messages
  totals.answers += answers
  totals.commits += commits
  totals.crashes += crashes
  totals.faults += faults
  if (violations.length === 0) continue
  console.log([...trace, '', `Seed ${seed} (SIM_SEED=${seed} SIM_SCHEDULES=1 node test/sim/run.ts):`, ...violations].join('\n'))
  process.exit(1)
}
console.log(JSON.stringify(totals))
