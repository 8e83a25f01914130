import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import SQLite from 'better-sqlite3'
import { loadConfig } from '../../config.ts'
import { startDemoModel } from '../../demo/server.ts'
import { localJid } from '../../domain/group.ts'
import { ControlClient } from '../control-client.ts'
import { type Environment, openHost } from '../host.ts'
import { BareSdk, bareContainer, killContainer } from './floors.ts'
import { machine, quantile, type Report, row, timings } from './measure.ts'
import { answered } from './stand.ts'

const PROMPT = '!echo ok'
const RUNS = 15

/**
 * How long an answer takes from the stored message to the committed answer, against the scripted model: in a fresh
 * container with a new session (cold), in a fresh container with a known session (resumed), and in a warm one. The floor
 * of a fresh container is a bare `docker run` plus a bare SDK query; that of a warm one, a message into a running query.
 */
export async function bench({
  env,
  say,
  runs = RUNS,
}: {
  env: Environment
  say: (line: string) => void
  runs?: number
}): Promise<Report> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-bench-'))
  const model = await startDemoModel({})
  const settings = {
    ...env,
    NANOCLAW_HOME: folder,
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: 'sk-ant-bench',
    CLAUDE_CODE_OAUTH_TOKEN: '',
  }
  try {
    say('Measuring the floors: bare containers, bare SDK queries ...')
    const config = loadConfig(settings)
    const floors = await measureFloors({ folder, modelUrl: model.url, image: config.image, runs })
    say('Measuring answers: cold, resumed, warm ...')
    const host = await openHost({ config, env: settings, echo: false })
    try {
      const answers = await measureAnswers({ client: new ControlClient({ socketPath: config.paths.controlSocket }), runs })
      return {
        machine: machine(),
        rows: [
          row({ id: 'cold', durations: answers.cold, floor: floors.container + floors.query }),
          row({ id: 'resumed', durations: answers.resumed, floor: floors.container + floors.resumed }),
          row({ id: 'warm', durations: answers.warm, floor: floors.warm }),
        ],
      }
    } finally {
      await host.stop(AbortSignal.abort())
    }
  } finally {
    await model.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

type Floors = { container: number; query: number; resumed: number; warm: number }

async function measureFloors({
  folder,
  modelUrl,
  image,
  runs,
}: {
  folder: string
  modelUrl: string
  image: string
  runs: number
}): Promise<Floors> {
  const median = (durations: number[]) => quantile(durations, 0.5)
  const sdk = await BareSdk.load({ folder, modelUrl })
  const session = await sdk.once(PROMPT)
  return {
    container: median(await timings(runs, () => bareContainer(image))),
    query: median(await timings(runs, () => sdk.once(PROMPT))),
    resumed: median(await timings(runs, () => sdk.once(PROMPT, session))),
    warm: median(await sdk.warm(runs, PROMPT)),
  }
}

async function measureAnswers({
  client,
  runs,
}: {
  client: ControlClient
  runs: number
}): Promise<Record<'cold' | 'resumed' | 'warm', number[]>> {
  await answer(client, PROMPT) // files are in the page cache after this
  const warm = await timings(runs, () => answer(client, PROMPT))
  const resumed: number[] = []
  const cold: number[] = []
  for (let run = 0; run < runs; run++) {
    await endContainers(client)
    resumed.push(...(await timings(1, () => answer(client, PROMPT))))
    await endContainers(client, { forget: true })
    cold.push(...(await timings(1, () => answer(client, PROMPT))))
  }
  return { cold, resumed, warm }
}

const answer = (client: ControlClient, text: string) => answered(client, { jid: localJid('main'), text })

/** Ends all containers, and with `forget` the session too, in the way the guides print. */
async function endContainers(client: ControlClient, { forget = false } = {}): Promise<void> {
  const { containers, root } = await client.status()
  for (const { name } of containers) await killContainer(name)
  while ((await client.status()).containers.length > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  if (!forget) return
  const db = new SQLite(path.join(root, 'store', 'messages.db'))
  db.exec('DELETE FROM sessions')
  db.close()
}
