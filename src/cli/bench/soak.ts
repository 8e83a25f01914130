import type { Environment } from '../host.ts'
import { Random } from './random.ts'
import { type Blow, type Blows, SoakWorld } from './soak-world.ts'
import { pause } from './stand.ts'
import type { Said, Verdict } from './verdict.ts'

const CHATS = Array.from({ length: 20 }, (_, n) => `group${n + 1}`)
/** People wait when so many turns are open, so that the end does not take as long as the soak. */
const MOST_OPEN = 30

/** `kept`: where the host's files still are, when something went wrong. */
export type SoakReport = Verdict & {
  seed: number
  minutes: number
  messages: number
  deliveries: number
  blows: Blows
  uncertain: number
  kept: string | undefined
}
type SoakOptions = { env: Environment; say: (line: string) => void; seed: number; minutes: number }

/**
 * People talk in 20 groups of a real host with real containers, while host and containers are killed and engine, model and
 * platform go away at random; then everything may settle, and what became of each message is looked at. The same seed gives
 * the same choices, though not the same moments.
 */
export async function soak({ env, say, seed, minutes }: SoakOptions): Promise<SoakReport> {
  const world = await SoakWorld.create(env)
  let kept: string | undefined = world.root
  try {
    await world.begin(CHATS)
    const end = Date.now() + minutes * 60_000
    const [said, blows] = await Promise.all([
      talk({ world, random: new Random(seed), end }),
      strike({ world, random: new Random(seed + 1), end, say }),
    ])
    say(`${said.length} messages were said; waiting until all is answered ...`)
    await world.settled(said)
    const { uncertain, ...verdict } = world.verdict(said)
    const isWell = verdict.lost.length + verdict.doubled.length + uncertain === 0
    if (isWell) kept = undefined
    return {
      seed,
      minutes,
      messages: said.length,
      deliveries: world.platform.accepted.length,
      blows,
      uncertain,
      ...verdict,
      kept,
    }
  } finally {
    await world.close({ keep: kept !== undefined })
    if (kept) say(`The files of its host are kept in ${kept}.`)
  }
}

type Part = { world: SoakWorld; random: Random; end: number }

/** Messages at random moments in random chats, some of them right after another. */
async function talk({ world, random, end }: Part): Promise<Said[]> {
  const said: Said[] = []
  while (Date.now() < end) {
    if (world.openTurns() > MOST_OPEN) {
      await pause(500)
      continue
    }
    const chat = random.pick(CHATS)
    for (let more = true; more; more = random.chance(0.25)) {
      const words = `m${String(said.length + 1).padStart(5, '0')}`
      said.push(world.says(chat, { words, text: textWith(words, random) }))
      await pause(random.below(1_000))
    }
  }
  return said
}

/** Something that the scripted model does, and that has these words in it. */
function textWith(words: string, random: Random): string {
  const work = JSON.stringify({ command: `sleep ${random.below(3)}; echo ${words}` })
  return (
    random.weighted([
      [12, `!echo ${words}`],
      [6, `!tool Bash ${work}`],
      [1, `!error 529 overloaded_error x${1 + random.below(4)}\n${words}`],
      [1, `!drop\n${words}`],
    ]) ?? words
  )
}

/** Blows at random moments; after each, what it hit stands again. */
async function strike({ world, random, end, say }: Part & { say: (line: string) => void }): Promise<Blows> {
  const blows: Blows = { hostKills: 0, startUpKills: 0, containerKills: 0, engineCuts: 0, modelOutages: 0, platformOutages: 0 }
  while (Date.now() < end) {
    await pause(500 + random.below(5_000))
    const blow = random.weighted<Blow>([
      [4, 'hostKills'],
      [1, 'startUpKills'],
      [5, 'containerKills'],
      [1, 'engineCuts'],
      [1, 'modelOutages'],
      [1, 'platformOutages'],
    ])
    if (blow && (await world.deal(blow, random))) blows[blow]++
    if (random.chance(0.1)) say(renderBlows(blows))
  }
  return blows
}

function renderBlows(blows: Blows): string {
  const { hostKills, startUpKills, containerKills, engineCuts, modelOutages, platformOutages } = blows
  return [
    `kills of the host ${hostKills + startUpKills} (${startUpKills} in start-up)`,
    `of containers ${containerKills}`,
    `cuts of the engine ${engineCuts}, of the model ${modelOutages}, of the platform ${platformOutages}`,
  ].join(', ')
}

export function renderSoak({
  seed,
  minutes,
  messages,
  deliveries,
  blows,
  lost,
  doubled,
  givenUp,
  uncertain,
}: SoakReport): string {
  return [
    `seed ${seed}, ${minutes} minutes, ${CHATS.length} groups`,
    renderBlows(blows),
    `messages ${messages}, deliveries ${deliveries}`,
    `lost ${lost.length}, doubled ${doubled.length}, uncertain ${uncertain}; given up, and told so ${givenUp.length}`,
    ...lost.map((one) => `  lost: ${one}`),
    ...doubled.map((one) => `  doubled: ${one}`),
    ...givenUp.map((one) => `  given up: ${one}`),
  ].join('\n')
}
