/** How sure we can be that a send happens once: a key the platform honours, a look back, or neither. */
export type DeliveryGuarantee = 'keyed' | 'readback' | 'uncertain'

/**
 * How one attempt ended. `not-sent`: the platform does not have it, for certain. `unknown`: it may have it. `refused`: it
 * never will.
 */
export type AttemptEnd =
  | { type: 'sent'; platformId: string | null }
  | { type: 'not-sent'; why: string; retryAt?: number | undefined }
  | { type: 'unknown'; why: string; retryAt?: number | undefined }
  | { type: 'refused'; why: string }

export type NextStep =
  | { type: 'sent'; platformId: string | null }
  /** It may have arrived twice or, where it is not known to have arrived, not at all. */
  | { type: 'uncertain'; arrived: boolean; platformId: string | null; why: string }
  | { type: 'failed'; why: string }
  | { type: 'again'; why: string; unsure: boolean; retryAt: number | undefined }

const UNSURE = 'an earlier attempt may have arrived, too'

/**
 * What follows an attempt. `unsure`: an earlier one had an unknown outcome. Where nothing tells two attempts from each
 * other, an unknown outcome is repeated once, and recorded.
 */
export function afterAttempt(
  end: AttemptEnd,
  { guarantee, unsure }: { guarantee: DeliveryGuarantee; unsure: boolean },
): NextStep {
  const doubtful = unsure && guarantee === 'uncertain'
  switch (end.type) {
    case 'sent':
      return doubtful ? { ...end, type: 'uncertain', arrived: true, why: UNSURE } : end
    case 'refused':
      return doubtful
        ? { type: 'uncertain', arrived: false, platformId: null, why: `${UNSURE}; then: ${end.why}` }
        : { type: 'failed', why: end.why }
    case 'not-sent':
      return { type: 'again', why: end.why, unsure, retryAt: end.retryAt }
    case 'unknown':
      if (doubtful) return { type: 'uncertain', arrived: false, platformId: null, why: `twice: ${end.why}` }
      return { type: 'again', why: end.why, unsure: true, retryAt: end.retryAt }
  }
}

/** What people should know of a delivery that is over; undefined when they have it. `file` is its name. */
export function lossText(step: NextStep, { file, place }: { file: string | undefined; place: string }): string | undefined {
  const what = file === undefined ? 'A message of mine' : `The file ${file}`
  if (step.type === 'failed') return `${what} could not be delivered ${place}: ${step.why}`
  if (step.type === 'uncertain' && !step.arrived)
    return `${what} may not have arrived ${place}, or may have arrived twice. If you miss something, ask me for it.`
  return undefined
}

const FIRST_CEILING_MS = 2_000
const LONGEST_DELAY_MS = 300_000

/** How long to wait after so many failed attempts: a second or more, and half of it is left to chance, also the first time. */
export function backOff(attempts: number, random: () => number): number {
  const ceiling = Math.min(FIRST_CEILING_MS * 2 ** Math.min(attempts, 20), LONGEST_DELAY_MS)
  return Math.round(ceiling * (0.5 + random() / 2))
}
