import type { Instant } from '../../domain/clock.ts'
import type { ChannelState } from '../contract.ts'

/** How a connection ended: WhatsApp's code (an HTTP-like number), and how long it had been online (0: it never was). */
export type Ending = { code: number; reason: string; onlineMs: number }

/** What is remembered between attempts. */
export type Attempts = { failures: number; lastAtOnce: Instant }

export const NO_ATTEMPTS: Attempts = { failures: 0, lastAtOnce: Number.NEGATIVE_INFINITY }

export type NextStep =
  | { type: 'reconnect'; at: Instant; why: string; attempts: Attempts }
  | { type: 'stop'; state: ChannelState & { why: string } }

const FIRST_DELAY_MS = 3_000
const LONGEST_DELAY_MS = 300_000
/** A connection that held so long was a good one: the next failure starts counting anew. */
const STABLE_MS = 60_000
/** Reconnecting at once is granted this seldom, so that no minute sees more than one attempt a second, whatever the server says. */
const AT_ONCE_EVERY_MS = 10_000
const REFUSED_VERSION_DELAY_MS = 3_600_000

type Question = { ending: Ending; attempts: Attempts; now: Instant; random: number }

/** What to do after a connection ended. `random` is between 0 and 1. */
export function afterEnding({ ending, attempts, now, random }: Question): NextStep {
  const { code, reason } = ending
  switch (code) {
    case 515:
      if (now - attempts.lastAtOnce < AT_ONCE_EVERY_MS) return backOff({ ending, attempts, now, random })
      return { type: 'reconnect', at: now, why: 'WhatsApp asked to connect anew', attempts: { ...attempts, lastAtOnce: now } }
    case 440:
      return stop('conflict', 'the same linked device connected elsewhere; stop the other one, then restart NanoClaw')
    case 401:
      return stop('logged-out', 'the phone removed this linked device; link it again: ./nanoclaw channels login whatsapp')
    case 403:
      return stop('logged-out', 'WhatsApp has blocked this account (403)')
    case 411:
      return stop('logged-out', 'this account does not have linked devices (411)')
    case 405: {
      const why = 'WhatsApp refuses this version of its protocol (405): set WHATSAPP_VERSION to a current one, or update NanoClaw'
      return { type: 'reconnect', at: now + REFUSED_VERSION_DELAY_MS, why, attempts }
    }
    default:
      return backOff({ ending: { ...ending, reason: `${reason} (${code})` }, attempts, now, random })
  }
}

function stop(state: 'conflict' | 'logged-out', why: string): NextStep {
  return { type: 'stop', state: { state, why } }
}

/** Exponential, and anywhere in the upper half of the delay, so that many installations do not come back in step. */
function backOff({ ending, attempts, now, random }: Question): NextStep {
  const failures = ending.onlineMs >= STABLE_MS ? 1 : attempts.failures + 1
  const delay = Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), LONGEST_DELAY_MS) * (0.5 + random / 2)
  return { type: 'reconnect', at: now + Math.round(delay), why: ending.reason, attempts: { ...attempts, failures } }
}
