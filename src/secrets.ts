import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { type Config, readEnvFile } from './config.ts'
import { redactor } from './domain/redactor.ts'

/** Settings and headers with such a name hold a secret. */
const SECRET_NAME = /key|token|secret|passw|passphrase|pwd|auth|cookie|credential/i

/** Numbers, addresses and paths are none, whatever they are called; neither is a word. */
const NO_SECRET = /^(?:\d{1,12}|[a-z]+:\/\/[^@]*|[~.]?\/.*|.{0,7})$/

/** The named values that are secrets by their name. */
export function secretsOf(values: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value && SECRET_NAME.test(name) && !NO_SECRET.test(value) ? [value] : [],
  )
}

type SecretSources = Pick<Config, 'root' | 'userHome' | 'apiKey' | 'oauthToken'>

/**
 * The secrets of this installation, wherever they are kept: the settings, the login of Claude Code, what `more` knows.
 * Whatever leaves the host for a log, a chat or a screen goes through `redact`.
 */
export class Secrets {
  readonly #sources: SecretSources
  #more: () => Iterable<string> = () => []
  #stamp = ''
  /** What was a secret stays one: a text that is written now may be about a login of yesterday. */
  readonly #values = new Set<string>()
  #redact: (text: string) => string = redactor([])

  constructor(sources: SecretSources) {
    this.#sources = sources
    this.refresh()
  }

  readonly redact = (text: string): string => this.#redact(text)

  /** Other secrets, e.g. those in the settings of groups. Looked at whenever `refresh` is called. */
  include(more: () => Iterable<string>): void {
    this.#more = more
    this.refresh()
  }

  /** Looks for new ones. Cheap while no file has changed. */
  refresh(): void {
    const before = this.#values.size
    for (const value of this.#more()) this.#values.add(value)
    const files = [this.#envFile, this.#loginFile]
    const stamp = files.map(stampOf).join()
    if (stamp !== this.#stamp) for (const value of this.#read()) this.#values.add(value)
    this.#stamp = stamp
    if (this.#values.size !== before) this.#redact = redactor(this.#values)
  }

  get #envFile(): string {
    return path.join(this.#sources.root, '.env')
  }

  get #loginFile(): string {
    return path.join(this.#sources.userHome, '.claude', '.credentials.json')
  }

  #read(): string[] {
    const { apiKey, oauthToken } = this.#sources
    const settings = secretsIn(() => readEnvFile(this.#envFile))
    const login = secretsIn(() => JSON.parse(readFileSync(this.#loginFile, 'utf8')).claudeAiOauth)
    return [...[apiKey, oauthToken].filter((value) => value !== undefined), ...secretsOf(settings), ...secretsOf(login)]
  }
}

/** A file that is missing or broken has no secrets that we could know; whoever needs it says so. */
function secretsIn(read: () => unknown): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(read() ?? {}).filter(([, value]) => typeof value === 'string'))
  } catch {
    return {}
  }
}

function stampOf(file: string): string {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
  return stat ? `${stat.ino}-${stat.mtimeNs}-${stat.size}` : ''
}
