import type { Log } from '../log.ts'
import { report } from './exit.ts'

/** The exit code after an error that nothing caught (EX_SOFTWARE in sysexits.h): the service manager starts the host again. */
export const CRASHED = 70
/** How long the host may take to close then. */
const LAST_MS = 10_000

export type LastResort = {
  log: Pick<Log, 'error' | 'redact'>
  /** The log is not on the console, where a person waits. */
  aside: boolean
  /** Ends the host at once, but in order. */
  stop(): Promise<void>
}

/**
 * Logs each error that nothing catches, closes the host in order within ten seconds, and ends the process with `CRASHED`. The
 * process does not go on, because its memory cannot be trusted after such an error; the store can. Returns the function that
 * removes the handlers.
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
