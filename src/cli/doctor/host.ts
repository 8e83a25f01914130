import type { HostStatus } from '@nanoclaw/protocol'
import packageJson from '../../../package.json' with { type: 'json' }
import { AppError } from '../../domain/errors.ts'
import { type Check, type Finding, fail, ok, skip, warn } from './finding.ts'
import type { Patient } from './patient.ts'

export const host: Check = {
  id: 'host',
  look: async (patient) => judgeHost(await statusOf(patient), packageJson.version),
}

/** Undefined when none runs; one that hangs or cannot be asked rejects. */
async function statusOf(patient: Patient): Promise<HostStatus | undefined> {
  try {
    return await patient.status()
  } catch (error) {
    if (error instanceof AppError && error.code === 'host.not-running') return undefined
    throw error
  }
}

export function judgeHost(status: Pick<HostStatus, 'version' | 'pid' | 'ready'> | undefined, here: string): Finding {
  if (status === undefined)
    return warn({
      what: 'NanoClaw is not running',
      why: 'Nobody is answered.',
      fix: './nanoclaw service start   (or: ./nanoclaw start)',
    })
  if (status.version !== here) {
    return warn({
      what: `Version ${status.version} runs, ${here} is installed`,
      why: 'The change takes effect with the next start.',
      fix: './nanoclaw service restart',
    })
  }
  return status.ready
    ? ok(`Version ${status.version} runs (process ${status.pid})`)
    : warn({ what: 'It is starting or stopping', why: 'It answers in a moment.', fix: './nanoclaw status' })
}

export const channels: Check = {
  id: 'channels',
  look: async (patient) => {
    const status = await statusOf(patient)
    return status === undefined ? skip('Only a running host knows how its channels are') : judgeChannels(status.channels)
  },
}

export function judgeChannels(all: HostStatus['channels']): Finding {
  const down = all.filter(({ state }) => state !== 'online')
  if (down.length === 0) return ok(`Online: ${all.map(({ name }) => name).join(', ')}`)
  const what = down.map(({ name, state, detail }) => `${name} is ${state}${detail ? ` (${detail})` : ''}`).join('; ')
  const name = down[0]?.name
  const why = 'Nothing comes in or goes out there.'
  const byItself = down.every(({ state }) => state === 'connecting' || state === 'retrying')
  return byItself
    ? warn({ what, why, fix: 'It is tried again by itself' })
    : fail({ what, why, fix: `./nanoclaw channels login ${name}` })
}

export const troubles: Check = {
  id: 'troubles',
  look: async (patient) => {
    const status = await statusOf(patient)
    return status === undefined ? skip('Only a running host knows what waits for somebody') : judgeTroubles(status.troubles)
  },
}

export function judgeTroubles(all: HostStatus['troubles']): Finding {
  const others = all.filter(({ kind }) => kind !== 'channel' && kind !== 'migration')
  const [first] = others
  if (!first) return ok('Nothing failed or waits for somebody')
  const why = `${first.kind} ${first.where}: ${first.why}`
  return warn({
    what: `${others.length} turns, sends or tasks need somebody, or did this week`,
    why,
    fix: './nanoclaw status shows all of them',
  })
}
