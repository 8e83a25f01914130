import { existsSync } from 'node:fs'
import { readdir, readFile, rename } from 'node:fs/promises'
import path from 'node:path'
import { type AuthenticationCreds, BufferJSON, type SignalDataSet, type SignalDataTypeMap } from 'baileys'
import { AppError, errorText } from '../../domain/errors.ts'

/** The kinds of keys that v1's files may be named after; the longer ones first, as one begins like another. */
const TYPES = [
  'app-state-sync-version',
  'app-state-sync-key',
  'sender-key-memory',
  'identity-key',
  'device-list',
  'lid-mapping',
  'sender-key',
  'pre-key',
  'session',
  'tctoken',
] as const satisfies readonly (keyof SignalDataTypeMap)[]

/**
 * Reads the state that v1 kept in `store/auth`, one JSON file a key (`pre-key-12.json`). Undefined when there
 * is none. File names had `/` written as `__` and `:` as `-`.
 */
export async function readV1State(folder: string): Promise<{ creds: AuthenticationCreds; keys: SignalDataSet } | undefined> {
  const names = await readdir(folder)
  if (!names.includes('creds.json')) return undefined
  const creds = (await readJson(path.join(folder, 'creds.json'))) as AuthenticationCreds
  // v1 asked for a pairing that nobody confirmed.
  if (!creds.account || !creds.me) return undefined
  const keys: Record<string, Record<string, unknown>> = {}
  for (const name of names) {
    const type = TYPES.find((candidate) => name.startsWith(`${candidate}-`) && name.endsWith('.json'))
    if (!type) continue
    const id = idOf(type, name.slice(type.length + 1, -'.json'.length))
    keys[type] = { ...keys[type], [id]: await readJson(path.join(folder, name)) }
  }
  return { creds, keys: keys as SignalDataSet }
}

/** Marks the state as taken over; the keys in its files are used up from the first message on. */
export async function retireV1State(folder: string): Promise<void> {
  const creds = path.join(folder, 'creds.json')
  if (existsSync(creds)) await rename(creds, `${creds}.taken-over`)
}

/** Of the ids, groups' sender keys have a `:` (`123@g.us::4915::7`), sessions and the rest do not (`4915.7`). */
function idOf(type: string, written: string): string {
  if (type === 'sender-key') return written.replaceAll('--', '::').replaceAll('__', '/')
  return written.replaceAll('__', '/')
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'), BufferJSON.reviver)
  } catch (cause) {
    const message = `${file}, of NanoClaw v1, cannot be read (${errorText(cause)}). Nothing was taken over. Remove store/auth/creds.json and link WhatsApp anew: ./nanoclaw channels login whatsapp`
    throw new AppError({ code: 'whatsapp.v1-state', fault: 'user', message, cause })
  }
}
