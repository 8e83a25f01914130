import { existsSync, lstatSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import path from 'node:path'
import type { Config } from '../../config.ts'
import { errorText } from '../../domain/errors.ts'
import type { ContainerRuntime } from '../../runtimes/contract.ts'
import { HostLock } from '../../store/lock.ts'
import type { Run } from '../service/run.ts'
import { isServiceOf, type Service } from '../service/service.ts'

/** What goes besides the service, the containers, the image and the libraries. */
export type Extent = 'keep-data' | 'all'

export type Uninstalling = {
  config: Config
  /** The program's folder. */
  project: string
  services: readonly Service[]
  /** Undefined where no engine answers. */
  runtime: Pick<ContainerRuntime, 'list' | 'remove'> | undefined
  run: Run
  say(line: string): void
}

const LABEL = 'nanoclaw.install'
const DATA = ['groups', 'data', 'store', 'logs', 'backups', '.env']
const LIBRARIES = [
  '.runtime',
  'dist',
  'demo',
  'optional/whatsapp/node_modules',
  'container/agent-runner/node_modules',
  'node_modules',
]

/**
 * Takes away what this installation put on the machine, and nothing of another one. Whatever agents left in their folders, no
 * link is followed. What cannot be removed is told, and holds up nothing else. Throws while a host runs that no service keeps.
 */
export async function uninstall(uninstalling: Uninstalling, extent: Extent): Promise<void> {
  const { config, services, say } = uninstalling
  for (const service of services) {
    if (isServiceOf(await service.state(), uninstalling.project)) for (const line of await service.uninstall()) say(line)
  }
  const homes = [config.root, path.join(uninstalling.project, 'demo')].filter((home) => existsSync(path.join(home, 'data')))
  const locks = homes.map(lockOf)
  try {
    const installs = homes.flatMap(installOf)
    const others = await removeContainers(uninstalling, installs)
    if (others === 0) await removeImage(uninstalling)
    else say(`The image ${config.image} stays: another NanoClaw on this machine uses it.`)
    await remove(uninstalling, targets(uninstalling, extent))
  } finally {
    for (const lock of locks) lock.release()
  }
  if (extent === 'all') await remove(uninstalling, [path.join(config.root, 'data')])
  if (extent === 'all' && config.root !== uninstalling.project) removeIfEmpty(config.root)
}

/** Nobody starts a host of it meanwhile. */
function lockOf(home: string): HostLock {
  const [lock, holder] = [path.join(home, 'data', 'host.lock'), path.join(home, 'data', 'host.json')]
  return HostLock.take({ lock, holder, pid: process.pid, now: new Date() })
}

function installOf(home: string): string[] {
  const file = path.join(home, 'data', 'install-id')
  return existsSync(file) ? [readFileSync(file, 'utf8').trim()] : []
}

/** Returns how many containers of other installations there are. */
async function removeContainers({ runtime, say }: Uninstalling, installs: readonly string[]): Promise<number> {
  if (!runtime) {
    say('No container engine answers: containers and image are left as they are.')
    return 0
  }
  const all = await runtime.list({ label: LABEL })
  const isOurs = (labels: Record<string, string>) => installs.includes(labels[LABEL] ?? '')
  const ours = all.filter(({ labels }) => isOurs(labels))
  for (const { id, name } of ours) {
    await runtime.remove(id)
    say(`Removed the container ${name}`)
  }
  return all.length - ours.length
}

/** Not by force: what any container still uses, the engine keeps. */
async function removeImage({ config, runtime, run, say }: Uninstalling): Promise<void> {
  if (!runtime) return
  const { code, stderr } = await run([config.containerRuntime, 'image', 'rm', config.image])
  say(code === 0 ? `Removed the image ${config.image}` : `The image ${config.image} is not removed: ${stderr.trim()}`)
}

/** The libraries come last: this program itself needs them. The lock lies in `data`, which goes after it is given back. */
function targets({ config, project }: Uninstalling, extent: Extent): string[] {
  const { root, paths } = config
  const old = existsSync(root) ? readdirSync(root).filter((name) => /^(before-restore-|\.restore-)/.test(name)) : []
  const data = [...DATA.filter((name) => name !== 'data'), ...old].map((name) => path.join(root, name))
  const sockets = path.dirname(paths.runs)
  return [
    ...(extent === 'all' ? data : []),
    ...(sockets === path.join(root, 'data') ? [] : [sockets]),
    ...LIBRARIES.map((name) => path.join(project, name)),
  ]
}

/** `rm` follows no link and knows no depth at which it gives up. */
async function remove({ run, say }: Uninstalling, files: readonly string[]): Promise<void> {
  for (const file of files) {
    if (lstatSync(file, { throwIfNoEntry: false }) === undefined) continue
    const { code, stderr } = await run(['rm', '-rf', '--', file])
    say(code === 0 ? `Removed ${file}` : `Not removed: ${stderr.trim()}`)
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch (error) {
    if (!/ENOTEMPTY|ENOENT|EEXIST/.test(errorText(error))) throw error
  }
}
