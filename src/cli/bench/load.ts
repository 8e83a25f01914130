import type { Environment } from '../host.ts'
import { bareAnswer } from './floors.ts'
import { machine, quantile } from './measure.ts'
import { Stand } from './stand.ts'

const GROUPS = 20
const MESSAGES = 200
const CONTAINERS = 5
const PROMPT = '!echo ok'

/** Durations in ms; `drain` is from the first message to the last answer. */
export type LoadReport = {
  machine: string
  messages: number
  groups: number
  containers: number
  answers: number
  drain: number
  median: number
  p95: number
  /** Of the host's process, in bytes; undefined where the system does not say. */
  peakMemory: number | undefined
  /** As many answers by bare containers, as many side by side. */
  floor: number
  ratio: number
}
type LoadOptions = { env: Environment; say: (line: string) => void }

/**
 * 200 messages in 20 groups, sent as fast as they are taken, to a host that has five containers. What people say while the
 * assistant is at work for them is answered together, so there are fewer answers than messages.
 */
export async function load({ env, say }: LoadOptions): Promise<LoadReport> {
  const stand = await Stand.create({ env: { ...env, MAX_CONCURRENT_CONTAINERS: String(CONTAINERS) } })
  try {
    await stand.start()
    const jids = Array.from({ length: GROUPS }, (_, n) => `local:group${n + 1}`)
    for (const jid of jids) await stand.openGroup({ jid, folder: jid.slice('local:'.length) })
    say(`${MESSAGES} messages in ${GROUPS} groups, ${CONTAINERS} containers ...`)
    const start = performance.now()
    const durations = await Promise.all(Array.from({ length: MESSAGES }, (_, n) => stand.answer(jids[n % GROUPS] ?? '', PROMPT)))
    const drain = performance.now() - start
    const peakMemory = stand.peakMemory()
    const answers = stand.read((store) => jids.flatMap((jid) => store.messages.latest(jid, MESSAGES)).filter(isAnswer).length)
    await stand.kill()
    say(`${answers} answers by bare containers, ${CONTAINERS} at a time ...`)
    const floor = await bareAnswers(stand, answers)
    const [median, p95] = [quantile(durations, 0.5), quantile(durations, 0.95)]
    return {
      ...{ machine: machine(), messages: MESSAGES, groups: GROUPS, containers: CONTAINERS, answers },
      ...{ drain, median, p95, peakMemory, floor, ratio: drain / floor },
    }
  } finally {
    await stand.close()
  }
}

const isAnswer = ({ fromAssistant }: { fromAssistant: boolean }) => fromAssistant

/** How long it takes, in ms. */
async function bareAnswers({ image, modelUrl }: Stand, count: number): Promise<number> {
  const start = performance.now()
  let left = count
  const lane = async () => {
    while (left-- > 0) await bareAnswer({ image, modelUrl, prompt: PROMPT })
  }
  await Promise.all(Array.from({ length: CONTAINERS }, lane))
  return performance.now() - start
}

export function renderLoad(report: LoadReport): string {
  const { messages, groups, containers, answers, drain, median, p95, peakMemory, floor, ratio } = report
  const memory = peakMemory === undefined ? 'unknown here' : `${Math.round(peakMemory / 2 ** 20)} MiB`
  return [
    report.machine,
    `${messages} messages in ${groups} groups, ${containers} containers: answered in ${seconds(drain)}, in ${answers} answers`,
    `a message waits for its answer: median ${seconds(median)}, p95 ${seconds(p95)}`,
    `peak memory of the host: ${memory}`,
    `${answers} answers by bare containers, ${containers} at a time: ${seconds(floor)}; ratio ${ratio.toFixed(2)}`,
  ].join('\n')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
