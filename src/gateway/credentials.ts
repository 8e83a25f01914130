import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'

/** What opens the model API. `source` says for a person where it came from; `value` never leaves the host process. */
export type Credential = { kind: 'api-key' | 'oauth'; value: string; source: string; expiresAt?: number }
/** `why` is for a person: what is missing and what to do. */
export type NoCredential = { kind: 'none'; why: string }

/** Asked before each request, so that a new login works at once. Never rejects. */
export interface CredentialSource {
  current(): Promise<Credential | NoCredential>
}

const WHAT_TO_DO =
  'Put ANTHROPIC_API_KEY=sk-ant-api03-... (pay per use) or CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-... (subscription; `claude setup-token` prints it) into .env.'

/** The last moment a Date can hold. */
const END_OF_TIME = 8.64e15

/** What Claude Code writes when a person logs in; `expiresAt` is ms since the epoch. */
const loginFile = z.object({
  claudeAiOauth: z.object({ accessToken: z.string().min(1), expiresAt: z.number().max(END_OF_TIME) }),
})

/**
 * The credential as this machine has it: the API key of the settings, else their OAuth token, else the login of Claude Code.
 * The order is Claude Code's own: with both variables set, 2.1.329 sends only the API key.
 */
export class HostCredentials implements CredentialSource {
  readonly #apiKey: string | undefined
  readonly #oauthToken: string | undefined
  readonly #loginFile: string
  readonly #now: () => number

  constructor({
    apiKey,
    oauthToken,
    loginFile = join(homedir(), '.claude', '.credentials.json'),
    now = Date.now,
  }: {
    apiKey?: string | undefined
    oauthToken?: string | undefined
    loginFile?: string
    now?: () => number
  }) {
    this.#apiKey = apiKey?.trim()
    this.#oauthToken = oauthToken?.trim()
    this.#loginFile = loginFile
    this.#now = now
  }

  async current(): Promise<Credential | NoCredential> {
    if (this.#apiKey) return usable({ kind: 'api-key', value: this.#apiKey, source: 'ANTHROPIC_API_KEY' })
    if (this.#oauthToken) return usable({ kind: 'oauth', value: this.#oauthToken, source: 'CLAUDE_CODE_OAUTH_TOKEN' })
    return this.#fromLoginFile()
  }

  async #fromLoginFile(): Promise<Credential | NoCredential> {
    const text = await readIfThere(this.#loginFile)
    if (text === undefined) return { kind: 'none', why: `There is no login yet. ${WHAT_TO_DO}` }
    const login = parseLogin(text)
    if (login === undefined)
      return { kind: 'none', why: `The login in ~/.claude/.credentials.json cannot be read. ${WHAT_TO_DO}` }
    if (login.expiresAt <= this.#now()) return { kind: 'none', why: expired(login.expiresAt) }
    const { accessToken: value, expiresAt } = login
    return usable({ kind: 'oauth', value, source: '~/.claude/.credentials.json', expiresAt })
  }
}

/**
 * How such a login is renewed is documented nowhere, and renewing it makes the old one worthless to Claude Code itself; so it is
 * left to Claude Code, and its file is read again for each request.
 */
function expired(at: number): string {
  return `The login in ~/.claude/.credentials.json expired at ${utc(at)}. ${HOW_TO_RENEW}`
}

/** For whoever can renew it before it happens. */
export function expires(at: number): string {
  return `The login in ~/.claude/.credentials.json expires at ${utc(at)}, and nobody is answered after that. ${HOW_TO_RENEW}`
}

function utc(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

const HOW_TO_RENEW =
  'Run claude once on this machine, which renews it; where nobody does, put the token that `claude setup-token` prints into .env as CLAUDE_CODE_OAUTH_TOKEN: it lasts a year.'

/** A value that cannot stand in a header would fail later, in every request, with a worse message. */
function usable(credential: Credential): Credential | NoCredential {
  if (/^[\x21-\x7e]+$/.test(credential.value)) return credential
  return { kind: 'none', why: `${credential.source} has spaces or other characters that no key has. ${WHAT_TO_DO}` }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return missing ? undefined : ''
  }
}

function parseLogin(text: string): { accessToken: string; expiresAt: number } | undefined {
  try {
    return loginFile.parse(JSON.parse(text)).claudeAiOauth
  } catch {
    return undefined
  }
}

/** Another one for each credential, and nothing can be learned from it. */
export function fingerprintOf(credential: Credential | NoCredential): string {
  const secret = credential.kind === 'none' ? credential.why : credential.value
  return createHash('sha256').update(`${credential.kind}/${secret}`).digest('hex')
}

/**
 * The environment file a container gets instead of the real credential. Its kind matters: Claude Code chooses its
 * default model and its request headers by it. With no credential at all the request must still reach the gateway,
 * which then says what is missing.
 */
export function placeholderEnv(kind: Credential['kind'] | 'none'): string {
  if (kind === 'oauth') return 'CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-placeholder-the-host-adds-the-real-one\n'
  return 'ANTHROPIC_API_KEY=sk-ant-api03-placeholder-the-host-adds-the-real-one\n'
}
