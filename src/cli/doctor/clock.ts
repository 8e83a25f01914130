import path from 'node:path'
import { readEnvFile } from '../../config.ts'
import { type Check, type Finding, fail, ok, skip, warn } from './finding.ts'

const TOLERATED_MS = 2 * 60_000

/** By the clock of whoever answers for the model API. */
export const clock: Check = {
  id: 'clock',
  look: async (patient) => {
    const answer = await patient.model()
    const theirs = answer.type === 'answered' ? answer.date : undefined
    return theirs === undefined ? skip('Nobody was there to compare the clock with') : judgeClock({ ours: Date.now(), theirs })
  },
}

export function judgeClock({ ours, theirs }: { ours: number; theirs: number }): Finding {
  const off = Math.round(Math.abs(ours - theirs) / 1_000)
  if (off * 1_000 <= TOLERATED_MS) return ok('The clock is right')
  return fail({
    what: `The clock is ${off} s ${ours > theirs ? 'fast' : 'slow'}`,
    why: 'Tasks run at wrong times, and TLS and logins may be refused.',
    fix: 'sudo timedatectl set-ntp true   (WSL: sudo hwclock -s)',
  })
}

export const zone: Check = {
  id: 'zone',
  look: async ({ config, env }) => {
    const chosen = env.TZ ?? readEnvFile(path.join(config.root, '.env')).TZ
    return judgeZone({ timeZone: config.timeZone, chosen: chosen !== undefined })
  },
}

/** Servers are in UTC unless somebody said otherwise; people seldom are. */
export function judgeZone({ timeZone, chosen }: { timeZone: string; chosen: boolean }): Finding {
  const isUtc = ['UTC', 'Etc/UTC', 'GMT'].includes(timeZone)
  if (!isUtc || chosen) return ok(`Time zone ${timeZone}`)
  const why = '"Every day at 8" means 8 o\'clock in UTC.'
  return warn({
    what: `Time zone ${timeZone}, by default`,
    why,
    fix: 'Put yours into .env, e.g. TZ=Europe/Berlin (or TZ=UTC to keep it)',
  })
}
