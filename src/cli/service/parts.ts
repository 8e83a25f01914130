import path from 'node:path'
import { type Config, PROJECT } from '../../config.ts'
import type { Environment } from '../host.ts'
import { runtimeFolder } from './facts.ts'

/** What of this shell a service needs as well; everything else belongs into `.env`. */
const CARRIED = [
  'DOCKER_HOST',
  'DOCKER_CONTEXT',
  'DOCKER_CONFIG',
  'NODE_EXTRA_CA_CERTS',
  'NPM_CONFIG_REGISTRY',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
]
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
const MAC_FOLDERS = ['/opt/homebrew/bin']
/** Keys that the host has no use for. */
const HIDDEN = ['.ssh', '.gnupg', '.aws', '.azure', '.config/gcloud', '.kube', '.netrc', '.pypirc', '.password-store']

/** What any description of the service says about this installation. */
export function installationParts({ config, env }: { config: Config; env: Environment }) {
  const { root, userHome, backup } = config
  const inHome = (...names: string[]) => path.join(userHome, ...names)
  // npm and programs that turn speech into text keep things at home.
  const caches = [inHome('.config', 'nanoclaw'), inHome('.npm'), inHome('.cache')]
  const runtime = runtimeFolder(env, process.getuid?.() ?? 0)
  return {
    launcher: path.join(PROJECT, 'nanoclaw'),
    root,
    environment: serviceEnvironment({ config, env }),
    writable: [...new Set([root, PROJECT, ...caches, '/tmp', '/var/tmp', runtime, ...(backup.folder ? [backup.folder] : [])])],
    hidden: HIDDEN.map((name) => inHome(name)),
  }
}

function serviceEnvironment({ config: { root, userHome }, env }: { config: Config; env: Environment }): Record<string, string> {
  const mac = process.platform === 'darwin' ? MAC_FOLDERS : []
  const folders = [path.dirname(process.execPath), path.join(userHome, '.local', 'bin'), ...mac, ...SYSTEM_FOLDERS]
  const carried = CARRIED.flatMap((name) => (env[name] ? [[name, env[name]] as const] : []))
  return {
    PATH: [...new Set(folders)].join(':'),
    ...(root === PROJECT ? {} : { NANOCLAW_HOME: root }),
    ...Object.fromEntries(carried),
  }
}
