import { type FSWatcher, watch } from 'node:fs'
import path from 'node:path'
import { LoginWatch } from '../app/login-watch.ts'
import type { Config } from '../config.ts'
import { systemClock } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import { pollFolder } from '../folder-watch.ts'
import { expires, fingerprintOf, HostCredentials, placeholderEnv } from '../gateway/credentials.ts'
import type { Base } from './base.ts'

export function credentialsOf({ apiKey, oauthToken, userHome }: Config): HostCredentials {
  return new HostCredentials({ apiKey, oauthToken, loginFile: path.join(userHome, '.claude', '.credentials.json') })
}

/** The two login variables, and what a container gets instead: only enough to make Claude Code choose the right headers. */
export async function loginFile(config: Config): Promise<{ placeholder: string; real: string }> {
  const variables = { ANTHROPIC_API_KEY: config.apiKey, CLAUDE_CODE_OAUTH_TOKEN: config.oauthToken }
  const lines = Object.entries(variables).flatMap(([name, value]) => (value ? [`${name}=${value}\n`] : []))
  const { kind } = await credentialsOf(config).current()
  return { placeholder: placeholderEnv(kind), real: lines.join('') }
}

/** `changes`: see LoginWatch. */
export type LoginChecks = { readonly changes: number; check(): void; close(): void }

/** `tell`: something that the owner should know. */
type Reaction = { wakeAll(): void; tell(text: string): void }

/** A login that is renewed is noticed when its file changes, where the system can tell, and else by the sweep. */
export function makeLoginWatch({ config, log, store }: Base, { wakeAll, tell }: Reaction): LoginChecks {
  const credentials = credentialsOf(config)
  const login = async () => {
    const current = await credentials.current()
    return { fingerprint: fingerprintOf(current), expiresAt: current.kind === 'none' ? undefined : current.expiresAt }
  }
  const onExpiring = (at: number) => {
    log.warn(expires(at))
    tell(expires(at))
  }
  const logins = new LoginWatch({ store, wakeAll, login, onExpiring, now: systemClock.now })
  const check = () => {
    logins.check().catch((error) => log.error(`The login could not be looked at: ${errorText(error)}`))
  }
  const folder = path.join(config.userHome, '.claude')
  let watcher: FSWatcher | undefined
  let endPoll = () => {}
  try {
    watcher = watch(folder, { persistent: false }, check)
    watcher.on('error', () => watcher?.close())
    endPoll = pollFolder(folder, check)
  } catch {
    log.debug('There is no ~/.claude to watch; a new login there is noticed within a minute')
  }
  return {
    get changes() {
      return logins.changes
    },
    check,
    close: () => {
      endPoll()
      watcher?.close()
    },
  }
}
