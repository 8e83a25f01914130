import { type SenderJudge, type SenderPolicy, standingOf } from '../../src/domain/senders.ts'

/** An owner who made no policy. */
export const noPolicy = (): SenderPolicy => ({ type: 'none' })

/** Judges as it is where no policy was made: everybody is heard. */
export const everybody: SenderJudge = (speaker, chat) => standingOf(noPolicy(), speaker, chat)
