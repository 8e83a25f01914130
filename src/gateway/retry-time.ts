import type { IncomingHttpHeaders } from 'node:http'

const MAY_SAY_WHEN = [429, 503, 529]

/**
 * When the API says that it can be asked again, in ms since the epoch. Claude Code tells the agent's side nothing of
 * `retry-after`, so this is the only place where the host learns it.
 */
export function retryTime({
  status,
  headers,
  now,
}: {
  status: number
  headers: IncomingHttpHeaders
  now: number
}): number | undefined {
  if (!MAY_SAY_WHEN.includes(status)) return undefined
  // A used-up subscription names the end of its window, in seconds since the epoch.
  const reset = Number(headers['anthropic-ratelimit-unified-reset'])
  if (headers['anthropic-ratelimit-unified-status'] === 'rejected' && reset > 0) return reset * 1000
  return fromRetryAfter(headers['retry-after'], now)
}

/** Seconds from now, or a date. */
function fromRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  const at = /^\d+$/.test(value) ? now + Number(value) * 1000 : Date.parse(value)
  return Number.isNaN(at) ? undefined : at
}
