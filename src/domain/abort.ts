/** A signal for those whom nobody ever hurries. */
export const NEVER: AbortSignal = new AbortController().signal

/**
 * Waits for work, but no longer than until `signal` aborts: then rejects at once with its reason. The work itself goes on, and
 * whoever began it sees to what it brings.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
