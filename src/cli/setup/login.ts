import type { Say } from './command.ts'
import type { Missing, Ready } from './engine.ts'
import { setVariable } from './env-file.ts'
import type { Person } from './person.ts'

/** No login, by choice: the scripted model answers. */
export type Demo = { state: 'demo' }

export type LoginOptions = {
  ask: Person | undefined
  say: Say
  /** Why there is no login, in words for a person; undefined when there is one. */
  missingLogin: () => Promise<string | undefined>
  /** Where an answer is kept. */
  envFile: string
}

const QUESTION = 'API key or token (invisible while you paste it; Enter for the demo without a login): '
const TRIES = 3

/** Finds out whether there is a login; where there is none, asks for an API key or a token and keeps it in `.env`. */
export async function ensureLogin(options: LoginOptions): Promise<Ready | Missing | Demo> {
  const why = await options.missingLogin()
  if (why === undefined) return { state: 'ready' }
  if (!options.ask) return { state: 'missing', what: [why] }
  options.say(why)
  options.say('It is kept in .env, readable only by you, and never goes into a container.')
  return askForLogin(options.ask, options)
}

async function askForLogin(ask: Person, { say, envFile }: LoginOptions): Promise<Ready | Missing | Demo> {
  for (let tries = 0; tries < TRIES; tries++) {
    const read = readLogin(await ask.secret(QUESTION))
    if (read.is === 'nothing') return { state: 'demo' }
    if (read.is === 'wrong') {
      say(read.why)
      continue
    }
    setVariable({ file: envFile, name: read.name, value: read.value })
    say(`Kept as ${read.name} in ${envFile}.`)
    return { state: 'ready' }
  }
  return { state: 'missing', what: ['No usable login was given. ./nanoclaw asks again; ./nanoclaw demo needs none.'] }
}

export type LoginAnswer =
  | { is: 'nothing' }
  | { is: 'login'; name: 'ANTHROPIC_API_KEY' | 'CLAUDE_CODE_OAUTH_TOKEN'; value: string }
  | { is: 'wrong'; why: string }

/** What was pasted, also with quotes, blanks, or `NAME=` before it. */
export function readLogin(pasted: string): LoginAnswer {
  const value = pasted
    .replaceAll(/\s/g, '')
    .replace(/^(export)?[A-Z_]+=/, '')
    .replaceAll(/^["']|["']$/g, '')
  if (value === '') return { is: 'nothing' }
  if (/^sk-ant-api\d\d-[\w-]{20,}$/.test(value)) return { is: 'login', name: 'ANTHROPIC_API_KEY', value }
  if (/^sk-ant-oat\d\d-[\w-]{20,}$/.test(value)) return { is: 'login', name: 'CLAUDE_CODE_OAUTH_TOKEN', value }
  return { is: 'wrong', why: whyWrong(value) }
}

function whyWrong(value: string): string {
  if (/^sk-ant-(api|oat)/.test(value)) return 'That is cut off or has characters that no key has. Please paste all of it.'
  if (value.startsWith('sk-ant-'))
    return 'That is another kind of key (an admin key, perhaps). It has to begin with sk-ant-api or sk-ant-oat.'
  return 'That is neither an API key (sk-ant-api03-...) nor a token from `claude setup-token` (sk-ant-oat01-...).'
}
