import { z } from 'zod'
import { aborted, stopSignals } from '../../src/cli/signals.ts'
import { loadConfig } from '../../src/config.ts'
import { systemClock } from '../../src/domain/clock.ts'
import { startHost } from '../../src/index.ts'
import { openLog } from '../../src/log.ts'
import { engineRuntime } from '../../src/runtimes/engine-runtime.ts'
import { Secrets } from '../../src/secrets.ts'
import { PeerChannel } from '../fakes/peer-channel.ts'
import { CrashPoints, crashPlan } from './crash-points.ts'

// `./nanoclaw start` with a chat platform of the test's own, and with a point at which it dies.

const { PEER_URL: url = '', PEER_DELIVERY, CRASH_PLAN, CRASH_TRACE: trace } = process.env
const points = new CrashPoints({ plan: CRASH_PLAN ? crashPlan.parse(JSON.parse(CRASH_PLAN)) : undefined, trace })
points.watchCommits()

const config = loadConfig(process.env)
const secrets = new Secrets(config)
const delivery = z.enum(['keyed', 'readback', 'uncertain']).parse(PEER_DELIVERY)
const peer = new PeerChannel({ url, delivery, clock: systemClock, random: Math.random })
const { first, second } = stopSignals()
const host = await startHost({
  config,
  secrets,
  log: openLog({ config, redact: secrets.redact, echo: true }),
  runtime: points.ofRuntime(await engineRuntime({ env: process.env })),
  channels: [points.ofChannel(peer)],
})
const alive = setInterval(() => {}, 2 ** 30)
await aborted(first)
await host.stop(second)
clearInterval(alive)
