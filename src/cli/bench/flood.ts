import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Store } from '../../store/store.ts'
import type { Environment } from '../host.ts'
import { machine, type Report, row, timings } from './measure.ts'
import { pause, Stand } from './stand.ts'

const TASKS = 10_000
const REQUESTS = 1_000
const ANSWERS = 30
/** Until then the host and both groups' containers are up, and the quiet one is measured. */
const DUE_AFTER_MS = 30_000
const QUIET = 'local:quiet'
const FLOODED = 'local:flood'
const PROMPT = '!echo ok'

/** Durations in ms, from the moment the flood begins. */
export type FloodReport = Report & { tasks: number; requests: number; claimed: number; takenIn: number }
type FloodOptions = { env: Environment; say: (line: string) => void }

/**
 * What one group that has 10,000 tasks due and drops 1,000 requests, all at once, does to another: how long that one's
 * answers in a warm container take while the flood is worked off, beside the same on the same host before it.
 */
export async function flood({ env, say }: FloodOptions): Promise<FloodReport> {
  const stand = await Stand.create({ env })
  try {
    await stand.start()
    await stand.openGroup({ jid: QUIET, folder: 'quiet' })
    await stand.openGroup({ jid: FLOODED, folder: 'flood' })
    await stand.kill()
    const due = Date.now() + DUE_AFTER_MS
    plantTasks(stand, due)
    await stand.start()
    for (const jid of [QUIET, FLOODED]) await stand.answer(jid, PROMPT)
    say('Answers of a quiet group, alone ...')
    const alone = await timings(ANSWERS, () => stand.answer(QUIET, PROMPT))
    say(`The same, while ${TASKS} tasks are due and ${REQUESTS} requests are dropped in another ...`)
    await pause(Math.max(0, due - Date.now()))
    dropRequests(stand)
    const [beside, claimed, takenIn] = await Promise.all([
      timings(ANSWERS, () => stand.answer(QUIET, PROMPT)),
      since(due, () => stand.read((store) => store.tasks.nextDue()) === undefined),
      since(due, () => readdirSync(requestsOf(stand)).length === 0),
    ])
    const floor = row({ id: 'alone', durations: alone, floor: Number.NaN }).median
    const rows = [row({ id: 'alone', durations: alone, floor }), row({ id: 'beside', durations: beside, floor })]
    return { machine: machine(), rows, tasks: TASKS, requests: REQUESTS, claimed, takenIn }
  } finally {
    await stand.close()
  }
}

/** All due at one moment, in the database of a host that does not run. */
function plantTasks({ root }: Stand, due: number): void {
  const store = Store.open(path.join(root, 'store', 'messages.db'))
  store.tx(() => {
    for (let n = 0; n < TASKS; n++)
      store.tasks.add({
        ...{ id: `flood-${n}`, folder: 'flood', jid: FLOODED, prompt: PROMPT, script: null },
        ...{ schedule: { type: 'once', value: new Date(due).toISOString() }, contextMode: 'group', catchUp: 'once' },
        ...{ status: 'active', reason: null, nextRun: due, lastRun: null, lastResult: null, createdAt: due },
      })
  })
  store.close()
}

const requestsOf = ({ root }: Stand) => path.join(root, 'data', 'ipc', 'flood', 'messages')

/** As an agent would, by hand. */
function dropRequests(stand: Stand): void {
  const folder = requestsOf(stand)
  const drafts = path.join(stand.root, 'drafts')
  mkdirSync(drafts)
  for (let n = 0; n < REQUESTS; n++) {
    const name = `${randomUUID()}.json`
    writeFileSync(path.join(drafts, name), JSON.stringify({ type: 'message', text: `request ${n}` }))
    renameSync(path.join(drafts, name), path.join(folder, name))
  }
}

async function since(start: number, isOver: () => boolean): Promise<number> {
  while (!isOver()) await pause(50)
  return Date.now() - start
}

export function renderFlood({ tasks, requests, claimed, takenIn }: FloodReport): string {
  return `${tasks} tasks due at once were claimed after ${claimed} ms, ${requests} requests taken in after ${takenIn} ms`
}
