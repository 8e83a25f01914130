import type { Log } from '../log.ts'
import { report } from './exit.ts'

/** How a host ends that met an error which nothing caught (EX_SOFTWARE): whoever keeps it running starts it again. */
export const CRASHED = 70
/** What an orderly end may take then. */
const LAST_MS = 10_000

export type LastResort = {
  log: Pick<Log, 'error' | 'redact'>
  /** The log is not on the console, where a person waits. */
  aside: boolean
  /** Ends the host at once, but in order. */
  stop(): Promise<void>
}

/**
 * From now on no error ends this process without a word: one that nothing caught is in the log, and the process ends in order,
 * as far as it still can, with `CRASHED`. What the process holds in memory cannot be trusted after it; what is stored can.
 * Returns the function that ends this.
 */
export function watchForTheUncaught({ log, aside, stop }: LastResort): () => void {
  let ending = false
  const end = async (error: unknown) => {
    const story = error instanceof Error ? (error.stack ?? String(error)) : String(error)
    log.error(`An error that nothing caught ends NanoClaw (exit code ${CRASHED}); a service starts it again. ${story}`)
    if (ending) return
    ending = true
    if (aside) process.stderr.write(`${log.redact(report(error))}\n`)
    setTimeout(() => process.exit(CRASHED), LAST_MS)
    try {
      await stop()
    } catch (failure) {
      log.error(`The end was not in order: ${failure instanceof Error ? failure.stack : failure}`)
    }
    process.exit(CRASHED)
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
  return () => {
    process.off('uncaughtException', end)
    process.off('unhandledRejection', end)
  }
}
