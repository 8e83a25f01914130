import path from 'node:path'
import type { Environment, Say } from './command.ts'
import { type EngineOptions, ensureEngine, type Missing, type Ready } from './engine.ts'
import { ensureImage } from './image.ts'
import { type Demo, ensureLogin } from './login.ts'
import type { Person } from './person.ts'

export type SetupOptions = {
  /** The program's own folder. */
  project: string
  /** NANOCLAW_HOME: `.env` and `logs/` are here. */
  home: string
  env: Environment
  say: Say
  /** Undefined without a terminal: nothing is asked. */
  ask: Person | undefined
  /** Install and start what is needed without asking. */
  yes: boolean
  /** Why there is no login; undefined when there is one. Not asked for where the whole parameter is missing (demo, test). */
  missingLogin?: () => Promise<string | undefined>
  signal?: AbortSignal | undefined
  readFacts?: NonNullable<EngineOptions['readFacts']>
}

export type SetupState = Ready | Missing | Demo

/**
 * Everything between a fresh clone and the first answer. Questions come first, the long build last; what is there already
 * is left alone. Rejects only when the image cannot be built or the person cancels.
 */
export async function setup(options: SetupOptions): Promise<SetupState> {
  const engine = await ensureEngine({ ...options, logFolders: ['/var/log', path.join(options.home, 'logs')] })
  if (engine.state === 'missing' && options.ask) return engine
  const login = await loginOf(options)
  const what = [engine, login].flatMap((part) => (part.state === 'missing' ? part.what : []))
  if (what.length > 0) return { state: 'missing', what }
  await ensureImage(options)
  return login
}

async function loginOf({ missingLogin, ask, say, home }: SetupOptions): Promise<SetupState> {
  if (!missingLogin) return { state: 'ready' }
  return ensureLogin({ ask, say, missingLogin, envFile: path.join(home, '.env') })
}

/**
 * `demo` and `test` exist to try NanoClaw on a machine: without a terminal they may install what they need, as with --yes.
 * Every other command without a terminal changes the machine only when told to.
 */
export function mayInstall({ yes, command, ask }: { yes: boolean; command: string; ask: Person | undefined }): boolean {
  return yes || (ask === undefined && (command === 'demo' || command === 'test'))
}
