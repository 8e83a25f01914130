import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { Credential } from './credentials.ts'

const OAUTH_BETA = 'oauth-2025-04-20'

/** What the Messages API reads of a client. Everything else stays in the container, credentials above all. */
const FORWARDED = new Set([
  'accept',
  'anthropic-beta',
  'anthropic-dangerous-direct-browser-access',
  'anthropic-version',
  'user-agent',
  'x-app',
  'x-claude-code-session-id',
])

/** The headers that go upstream: what the client may say, our framing of the body, and the real credential. */
export function requestHeaders({
  client,
  credential,
  bodyBytes,
}: {
  client: IncomingHttpHeaders
  credential: Credential
  bodyBytes: number
}): OutgoingHttpHeaders {
  const allowed = Object.entries(client).filter(([name]) => FORWARDED.has(name) || name.startsWith('x-stainless-'))
  return {
    ...Object.fromEntries(allowed),
    // What was judged as JSON must not be read as anything else.
    'content-type': 'application/json',
    // Errors are searched for the credential and budgets are read from the answer: both need plain text.
    'accept-encoding': 'identity',
    'content-length': bodyBytes,
    ...credentialHeaders(credential, client['anthropic-beta']),
  }
}

function credentialHeaders({ kind, value }: Credential, beta: string | string[] | undefined): OutgoingHttpHeaders {
  if (kind === 'api-key') return { 'x-api-key': value }
  const betas = (beta?.toString() ?? '').split(',').map((name) => name.trim())
  const withOauth = betas.includes(OAUTH_BETA) ? betas : [...betas, OAUTH_BETA]
  return { authorization: `Bearer ${value}`, 'anthropic-beta': withOauth.filter(Boolean).join(',') }
}

/** Hop-by-hop headers, and what an agent must not get: cookies, and the name of the account. */
const WITHHELD = new Set([
  'anthropic-organization-id',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** The upstream's headers as the client gets them; `connection` may name more that are meant for us alone. */
export function responseHeaders(upstream: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = (upstream.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  return Object.fromEntries(Object.entries(upstream).filter(([name]) => !WITHHELD.has(name) && !named.includes(name)))
}
