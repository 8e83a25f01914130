/** The first SIGINT, SIGTERM or SIGHUP asks for a graceful end, the second for an end at once. */
export function stopSignals(): { first: AbortSignal; second: AbortSignal } {
  const first = new AbortController()
  const second = new AbortController()
  const onSignal = () => (first.signal.aborted ? second.abort() : first.abort())
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.on('SIGHUP', onSignal)
  return { first: first.signal, second: second.signal }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
