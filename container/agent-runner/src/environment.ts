import { readFileSync } from 'node:fs'
import net from 'node:net'

/** The socket of this run's gateway: the only way out of a container without a network. */
export const GATEWAY_SOCKET = '/run/nanoclaw/gateway.sock'
const GATEWAY_PORT = 4180
const ENV_FILE = '/workspace/env-dir/env'
/** What an agent may ask for, as long as a turn may take unless the owner said otherwise; it asks for two minutes if it does not say. */
const LONGEST_COMMAND_MS = 30 * 60_000

const LOGIN_VARIABLES = ['CLAUDE_CODE_OAUTH_TOKEN', 'ANTHROPIC_API_KEY', 'ANTHROPIC_BASE_URL']
/** They would load code into, or change the output of, the processes that inherit them. */
const NEVER_INHERITED = /^(BUN_|NODE_OPTIONS$|NODE_COMPILE_CACHE$|LD_|NANOCLAW_)/

/** The login that the host mounted: `NAME=value` lines, quotes optional; anything else in the file is left alone. */
export function readEnvDir(file = ENV_FILE): Record<string, string> {
  const login: Record<string, string> = {}
  for (const line of readIfThere(file).split('\n')) {
    const match = /^\s*(?:export\s+)?([A-Z_]+)\s*=\s*(.*?)\s*$/.exec(line)
    const [, name, value] = match ?? []
    if (name && value && LOGIN_VARIABLES.includes(name)) login[name] = value.replace(/^(['"])(.*)\1$/, '$2')
  }
  return login
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error
    // A copy made by hand may belong to somebody else: without this line it would look like a missing login.
    if (code !== 'ENOENT')
      console.error(`runner: ${file} cannot be read (${code}). On the host, give it to uid ${process.getuid?.()}.`)
    return ''
  }
}

/** The whole environment of `claude` and of every command the agent runs. */
export function claudeEnvironment({
  inherited,
  login,
  gateway,
}: {
  inherited: NodeJS.ProcessEnv
  login: Record<string, string>
  gateway: boolean
}): Record<string, string> {
  const kept = Object.entries(inherited).filter((entry): entry is [string, string] => {
    const [name, value] = entry
    return value !== undefined && !NEVER_INHERITED.test(name)
  })
  return {
    ...Object.fromEntries(kept),
    ...login,
    ...(gateway ? { ANTHROPIC_BASE_URL: `http://127.0.0.1:${GATEWAY_PORT}` } : {}),
    CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD: '1',
    // A turn has one answer: subagents and commands end before it, however long they take.
    CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
    BASH_MAX_TIMEOUT_MS: String(LONGEST_COMMAND_MS),
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    // The host retries a turn by its own table; retries of both would multiply.
    CLAUDE_CODE_MAX_RETRIES: '2',
  }
}

/** Carries 127.0.0.1:4180 to the gateway's socket, for programs that only speak TCP. */
export function startForwarder(socketPath = GATEWAY_SOCKET, port = GATEWAY_PORT): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) => {
    const gateway = net.connect({ path: socketPath, allowHalfOpen: true })
    client.on('error', () => gateway.destroy())
    gateway.on('error', () => client.destroy())
    client.on('close', () => gateway.destroy())
    gateway.on('close', () => client.destroy())
    client.pipe(gateway)
    gateway.pipe(client)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server.unref()))
  })
}
