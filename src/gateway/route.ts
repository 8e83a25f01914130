import type { ApiError } from './api-error.ts'

/** What a request of a container is for. `target` is path and query, to be appended to the upstream's address as it is. */
export type Route = { type: 'model'; target: string } | { type: 'refused'; error: ApiError }

const MODEL_PATHS = ['/v1/messages', '/v1/messages/count_tokens']

/**
 * Where a request goes. The path must be one of ours letter by letter: nothing is decoded or normalised, so no encoded or
 * dotted spelling can mean anything but a refusal. Absolute addresses are the proxy's and never get here.
 */
export function routeOf({ method, url }: { method: string; url: string }): Route {
  const queryAt = url.indexOf('?')
  const path = queryAt < 0 ? url : url.slice(0, queryAt)
  if (!MODEL_PATHS.includes(path)) return refused({ status: 404, type: 'not_found_error' }, 'There is no such address here.')
  if (method !== 'POST') return refused({ status: 405, type: 'invalid_request_error' }, `${path} takes POST only.`)
  return { type: 'model', target: url }
}

function refused({ status, type }: Pick<ApiError, 'status' | 'type'>, message: string): Route {
  const offered = `NanoClaw's gateway offers POST ${MODEL_PATHS.join(' and POST ')}.`
  return { type: 'refused', error: { status, type, message: `${message} ${offered}` } }
}
