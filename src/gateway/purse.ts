import type { TokenCount } from '../domain/model-price.ts'

/** A call before it is made: the tokens it may cost at most, as far as that is known. */
export type PlannedCall = { model: string; inputTokens: number; maxTokens: number }
/** What a call used, as the API said it or as we counted. */
export type CallUse = { model: string; tokens: TokenCount }

/** `settle` is called once, when the call is over. `why` is for the chat, `retryAt` (ms since the epoch) when it may go on. */
export type Grant = { type: 'granted'; settle(use: CallUse): void } | { type: 'over'; why: string; retryAt: number }

/** What the calls of one run are paid from. */
export interface Purse {
  /** Resolves when the call may begin or must not; rejects on `signal`. */
  begin(call: PlannedCall, signal: AbortSignal): Promise<Grant>
}

/** For a run whose calls nobody counts. */
export const BOTTOMLESS: Purse = { begin: async () => ({ type: 'granted', settle: () => {} }) }
