import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import type { Budget } from './domain/budget.ts'
import { AppError, errorText } from './domain/errors.ts'
import type { ModelPrice, PriceList } from './domain/model-price.ts'

/** Where the program itself is: the folder with `nanoclaw`, `container/` and `src/`. */
export const PROJECT = path.resolve(import.meta.dirname, '..')

const ms = (fallback: number) =>
  z
    .string()
    .regex(/^\d+$/, 'is a whole number of milliseconds')
    .transform(Number)
    .pipe(z.int().min(1_000, 'is at least 1000 (ms)'))
    .default(fallback)
const count = ({ fallback, min = 0 }: { fallback: number; min?: number }) =>
  z
    .string()
    .regex(/^\d+$/, 'is a whole number')
    .transform(Number)
    .pipe(z.int().min(min, `is at least ${min}`))
    .default(fallback)
const oneOf = <const T extends readonly [string, ...string[]]>(names: T, fallback: T[number]) =>
  z.enum(names, `is one of ${names.join(', ')}`).default(fallback)

/** A part of a budget; without it there is no end. */
const amount = z
  .string()
  .regex(/^\d+(\.\d+)?$/, 'is a number, such as 5 or 2.50')
  .transform(Number)
  .optional()
/** `claude-opus-5=4/20/0.4, ...`: dollars for a million tokens of input, output and, unless a tenth of input, cache reads. */
const prices = z
  .string()
  .default('')
  .transform((text, context): PriceList => {
    const list = text
      .split(',')
      .filter((part) => part.trim() !== '')
      .map(priceOf)
    if (list.every((entry) => entry !== undefined)) return Object.fromEntries(list)
    context.addIssue({ code: 'custom', message: 'names models and prices like claude-opus-5=5/25/0.5,claude-haiku-4-5=1/5' })
    return z.NEVER
  })

/** Every setting by its documented name. Durations are milliseconds. */
const each = z.object({
  NANOCLAW_HOME: z.string().default(PROJECT),
  ASSISTANT_NAME: z.string().trim().min(1, 'is not empty').max(64, 'has at most 64 characters').default('Andy'),
  CONTAINER_IMAGE: z.string().min(1, 'names an image').default('nanoclaw-agent:latest'),
  CONTAINER_TIMEOUT: ms(1_800_000),
  IDLE_TIMEOUT: ms(1_800_000),
  MAX_CONCURRENT_CONTAINERS: count({ fallback: 5, min: 1 }),
  LOG_LEVEL: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'info'),
  LOG_FORMAT: oneOf(['text', 'json'], 'text'),
  TZ: z
    .string()
    .refine(isTimeZone, 'is a time zone such as Europe/Berlin')
    .default(Intl.DateTimeFormat().resolvedOptions().timeZone),
  CONTAINER_RUNTIME: oneOf(['docker', 'podman'], 'docker'),
  CREDENTIALS: oneOf(['gateway', 'mount'], 'gateway'),
  NETWORK: oneOf(['gateway', 'bridge', 'none'], 'gateway'),
  SHUTDOWN_GRACE: ms(20_000),
  MAX_TURN_RETRIES: count({ fallback: 5 }),
  ASSISTANT_HAS_OWN_NUMBER: oneOf(['true', 'false'], 'false'),
  WHATSAPP_SOCKET_URL: z.url({ protocol: /^wss?$/, error: 'is a ws or wss address' }).optional(),
  WHATSAPP_VERSION: z
    .string()
    .regex(/^\d+\.\d+\.\d+$/, 'is three numbers such as 2.3000.1043857760')
    .optional(),
  TRANSCRIBE_COMMAND: z.string().trim().optional(),
  TRANSCRIBE_URL: z.url({ protocol: /^https?$/, error: 'is an http or https address' }).optional(),
  TRANSCRIBE_MODEL: z.string().default('whisper-1'),
  TRANSCRIBE_API_KEY: z.string().optional(),
  BUDGET_DAY_USD: amount,
  BUDGET_MONTH_USD: amount,
  BUDGET_DAY_TOKENS: amount,
  BUDGET_MONTH_TOKENS: amount,
  MODEL_PRICES: prices,
  BACKUP_FOLDER: z.string().refine(path.isAbsolute, 'is an absolute path').optional(),
  BACKUP_KEEP: count({ fallback: 7, min: 1 }),
  BACKUP_PASSPHRASE: z.string().min(8, 'has at least 8 characters').optional(),
  METRICS_PORT: z.string().regex(/^\d+$/, 'is a port').transform(Number).pipe(z.int().max(65_535, 'is at most 65535')).optional(),
  ANTHROPIC_API_KEY: z.string().optional(),
  CLAUDE_CODE_OAUTH_TOKEN: z.string().optional(),
  ANTHROPIC_BASE_URL: z.url({ protocol: /^https?$/, error: 'is an http or https address' }).default('https://api.anthropic.com'),
})
const settings = each.refine(({ TRANSCRIBE_COMMAND, TRANSCRIBE_URL }) => !TRANSCRIBE_COMMAND || !TRANSCRIBE_URL, {
  path: ['TRANSCRIBE_URL'],
  message: 'cannot be used beside TRANSCRIBE_COMMAND',
})

/** Who turns speech into text: a program on this machine, or an endpoint that speaks as OpenAI's does. */
export type TranscriptionSettings =
  | { by: 'command'; command: string }
  | { by: 'endpoint'; url: string; model: string; apiKey: string | undefined }

export type Config = Readonly<{
  root: string
  assistantName: string
  image: string
  containerTimeoutMs: number
  idleTimeoutMs: number
  maxContainers: number
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
  logFormat: 'text' | 'json'
  timeZone: string
  containerRuntime: 'docker' | 'podman'
  credentials: 'gateway' | 'mount'
  network: 'gateway' | 'bridge' | 'none'
  shutdownGraceMs: number
  maxTurnRetries: number
  /** The account of a messenger is the assistant's alone, not a person's. */
  hasOwnNumber: boolean
  whatsapp: Readonly<{ socketUrl: string | undefined; version: string | undefined }>
  /** Undefined: nobody does. */
  transcription: TranscriptionSettings | undefined
  /** What all groups together may use of the model. */
  budget: Budget
  modelPrices: PriceList
  /** `folder` undefined: the host makes none by itself. */
  backup: Readonly<{ folder: string | undefined; keep: number; passphrase: string | undefined }>
  /** On the loopback address; 0 is any free one, undefined none. */
  metricsPort: number | undefined
  apiKey: string | undefined
  oauthToken: string | undefined
  modelUrl: URL
  userHome: string
  paths: Paths
}>

type Environment = Readonly<Record<string, string | undefined>>

/** Reads every setting, the process environment before `.env`. Throws one error that names everything that is wrong. */
export function loadConfig(env: Environment, userHome = os.homedir()): Config {
  const root = path.resolve(env.NANOCLAW_HOME || PROJECT)
  const merged = { ...readEnvFile(path.join(root, '.env')), ...withoutEmpty(env), NANOCLAW_HOME: root }
  const parsed = settings.safeParse(merged)
  if (!parsed.success) throw invalid(parsed.error)
  const s = parsed.data
  return Object.freeze({
    root,
    assistantName: s.ASSISTANT_NAME,
    image: s.CONTAINER_IMAGE,
    containerTimeoutMs: s.CONTAINER_TIMEOUT,
    idleTimeoutMs: s.IDLE_TIMEOUT,
    maxContainers: s.MAX_CONCURRENT_CONTAINERS,
    logLevel: s.LOG_LEVEL,
    logFormat: s.LOG_FORMAT,
    timeZone: s.TZ,
    containerRuntime: s.CONTAINER_RUNTIME,
    credentials: s.CREDENTIALS,
    network: s.NETWORK,
    shutdownGraceMs: s.SHUTDOWN_GRACE,
    maxTurnRetries: s.MAX_TURN_RETRIES,
    hasOwnNumber: s.ASSISTANT_HAS_OWN_NUMBER === 'true',
    whatsapp: { socketUrl: s.WHATSAPP_SOCKET_URL, version: s.WHATSAPP_VERSION },
    transcription: transcriptionOf(s),
    budget: {
      dayUsd: s.BUDGET_DAY_USD,
      monthUsd: s.BUDGET_MONTH_USD,
      dayTokens: s.BUDGET_DAY_TOKENS,
      monthTokens: s.BUDGET_MONTH_TOKENS,
    },
    modelPrices: s.MODEL_PRICES,
    backup: { folder: s.BACKUP_FOLDER, keep: s.BACKUP_KEEP, passphrase: s.BACKUP_PASSPHRASE },
    metricsPort: s.METRICS_PORT,
    apiKey: s.ANTHROPIC_API_KEY,
    oauthToken: s.CLAUDE_CODE_OAUTH_TOKEN,
    modelUrl: new URL(s.ANTHROPIC_BASE_URL),
    userHome,
    paths: pathsOf(root, env),
  })
}

function transcriptionOf(s: z.infer<typeof settings>): TranscriptionSettings | undefined {
  if (s.TRANSCRIBE_COMMAND) return { by: 'command', command: s.TRANSCRIBE_COMMAND }
  if (s.TRANSCRIBE_URL === undefined) return undefined
  return { by: 'endpoint', url: s.TRANSCRIBE_URL, model: s.TRANSCRIBE_MODEL, apiKey: s.TRANSCRIBE_API_KEY }
}

/** The host's own files under a root. Sockets of a root with a long name live elsewhere: their paths have a limit. */
export type Paths = { database: string; lock: string; holder: string; controlSocket: string; runs: string }

/** A unix socket's path has 104 to 108 bytes, depending on the system. */
const MAX_SOCKET_PATH_BYTES = 100
const LONGEST_RUN_SOCKET = 'run/12345678/gateway.sock'

export function pathsOf(root: string, env: Environment): Paths {
  const data = path.join(root, 'data')
  const fits = Buffer.byteLength(path.join(data, LONGEST_RUN_SOCKET)) <= MAX_SOCKET_PATH_BYTES
  const sockets = fits ? data : privateFolder(root, env)
  return {
    database: path.join(root, 'store', 'messages.db'),
    lock: path.join(data, 'host.lock'),
    holder: path.join(data, 'host.json'),
    controlSocket: path.join(sockets, 'nanoclaw.sock'),
    runs: path.join(sockets, 'run'),
  }
}

/** What the owner's policies are, outside of the project and of everything that is ever mounted. */
export function policyFile(userHome: string, name: 'mount-allowlist.json' | 'sender-allowlist.json'): string {
  return path.join(userHome, '.config', 'nanoclaw', name)
}

/** By what rules folders of this machine are mounted. */
export function mountRules({ root, userHome, paths, backup }: Config) {
  return {
    allowlistFile: policyFile(userHome, 'mount-allowlist.json'),
    userHome,
    own: [PROJECT, root, path.dirname(paths.runs), path.join(userHome, '.claude'), ...(backup.folder ? [backup.folder] : [])],
    uid: process.getuid?.() ?? 1000,
    gid: process.getgid?.() ?? 1000,
  }
}

/** A folder of this user alone, the same for every command on this root. */
function privateFolder(root: string, env: Environment): string {
  const uid = process.getuid?.() ?? 0
  const name = createHash('sha256').update(root).digest('hex').slice(0, 12)
  return path.join(env.XDG_RUNTIME_DIR ?? os.tmpdir(), `nanoclaw-${uid}-${name}`)
}

/** `NAME=value` lines; `export`, quotes and comments as shells write them. A missing file has none. */
export function readEnvFile(file: string): Record<string, string> {
  const values: Record<string, string> = {}
  for (const line of readIfThere(file).split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$/.exec(line)
    const value = unquote(match?.[2] ?? '')
    if (match?.[1] && value) values[match[1]] = value
  }
  return values
}

function unquote(value: string): string {
  const quoted = /^\s*(["'])(.*?)\1(\s+#.*)?\s*$/.exec(value)
  return quoted ? (quoted[2] ?? '') : value.replace(/\s#.*$/, '').trim()
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new AppError({
      code: 'config.unreadable',
      fault: 'user',
      message: `${file} cannot be read: ${errorText(error)}`,
      cause: error,
    })
  }
}

function withoutEmpty(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
}

function priceOf(text: string): [string, ModelPrice] | undefined {
  const parts = /^\s*([\w.-]+)\s*=\s*([\d.]+)\/([\d.]+)(?:\/([\d.]+))?\s*$/.exec(text)
  if (!parts) return undefined
  const [input, output] = [Number(parts[2]), Number(parts[3])]
  const cacheRead = parts[4] === undefined ? input / 10 : Number(parts[4])
  return [input, output, cacheRead].every(Number.isFinite) ? [parts[1] ?? '', { input, output, cacheRead }] : undefined
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** Values are not repeated: one of them may be a key in the wrong place. */
function invalid(error: z.ZodError): AppError {
  const lines = error.issues.map((issue) => `  ${issue.path.join('.')} ${issue.message}`)
  const message = `These settings (environment or .env) cannot be used, nothing was started:\n${lines.join('\n')}`
  return new AppError({ code: 'config.invalid', fault: 'user', message })
}
