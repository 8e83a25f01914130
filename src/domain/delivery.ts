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
  /** It may have arrived twice, or not at all. */
  | { type: 'uncertain'; platformId: string | null; why: string }
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
      return doubtful ? { ...end, type: 'uncertain', why: UNSURE } : end
    case 'refused':
      return doubtful
        ? { type: 'uncertain', platformId: null, why: `${UNSURE}; then: ${end.why}` }
        : { type: 'failed', why: end.why }
    case 'not-sent':
      return { type: 'again', why: end.why, unsure, retryAt: end.retryAt }
    case 'unknown':
      if (doubtful) return { type: 'uncertain', platformId: null, why: `twice: ${end.why}` }
      return { type: 'again', why: end.why, unsure: true, retryAt: end.retryAt }
  }
}

const FIRST_DELAY_MS = 1_000
const LONGEST_DELAY_MS = 300_000

/** How long to wait after so many failed attempts: at least a second, with half of the rest left to chance. */
export function backOff(attempts: number, random: () => number): number {
  const ceiling = Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempts, 20), LONGEST_DELAY_MS)
  return Math.max(FIRST_DELAY_MS, Math.round(ceiling * (0.5 + random() / 2)))
}
