import type { ServerResponse } from 'node:http'

/** An error in the shape of the Messages API, so that every client shows its message. */
export type ApiError = {
  status: number
  type:
    | 'api_error'
    | 'authentication_error'
    | 'invalid_request_error'
    | 'not_found_error'
    | 'overloaded_error'
    | 'rate_limit_error'
    | 'request_too_large'
  /** Goes into the container: never a credential, never the upstream's address. */
  message: string
  /** `false` keeps clients from asking again at once, where that cannot help. */
  shouldRetry?: false
}

export function apiErrorBody({ type, message }: ApiError): string {
  return JSON.stringify({ type: 'error', error: { type, message } })
}

export function sendApiError(response: ServerResponse, error: ApiError): void {
  const body = apiErrorBody(error)
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  // Anthropic's clients look at this header before they look at the status.
  response.writeHead(error.status, error.shouldRetry === false ? { ...headers, 'x-should-retry': 'false' } : headers).end(body)
}
