import { rmSync } from 'node:fs'
import path from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { AuditBook } from '../app/audit-book.ts'
import { keepMigrationNotes } from '../app/migration-notes.ts'
import { removeOrphans } from '../app/recovery.ts'
import type { Channel } from '../channels/contract.ts'
import { type Config, PROJECT, policyFile } from '../config.ts'
import { type ContainerUser, containerUser } from '../container/folders.ts'
import { systemClock } from '../domain/clock.ts'
import type { Closers } from '../domain/closers.ts'
import type { Group } from '../domain/group.ts'
import type { Log } from '../log.ts'
import { installId, preparePrivateFolder, prepareRoot, refuseHalfRestored } from '../project.ts'
import type { ContainerRuntime } from '../runtimes/contract.ts'
import { type Secrets, secretsOf } from '../secrets.ts'
import { SenderAllowlist } from '../sender-allowlist.ts'
import { HostLock } from '../store/lock.ts'
import { Store } from '../store/store.ts'

/** What the host takes from outside; everything else it makes itself. `channels`: further ones, beside its own. */
export type HostParts = {
  config: Config
  log: Log
  runtime: ContainerRuntime
  secrets: Secrets
  channels?: readonly Channel[]
}

/** What holds for the whole life of a host. */
export type Base = Required<HostParts> & {
  install: string
  user: ContainerUser
  store: Store
  audit: AuditBook
  senders: SenderAllowlist
}

const NO_LIMITS =
  'This engine enforces no limits: an agent can take all memory of this machine. Rootless Podman needs cgroups v2 (./nanoclaw doctor).'

/**
 * Root, lock, engine, orphans, store: in this order, so that a second host or a missing engine changes nothing. What was
 * opened is in `closers`, also when this rejects.
 */
export async function openBase(
  { config, log, runtime, secrets, channels = [] }: HostParts,
  closers: Pick<Closers, 'add'>,
): Promise<Base> {
  const { root, paths } = config
  const user = containerUser({ uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 })
  refuseHalfRestored(root)
  prepareRoot({ root, project: PROJECT, owner: user })
  if (!paths.runs.startsWith(root)) preparePrivateFolder(path.dirname(paths.runs))
  const lock = HostLock.take({ lock: paths.lock, holder: paths.holder, pid: process.pid, now: new Date() })
  closers.add('the lock of the root', () => lock.release())
  const install = installId(root)
  const engine = await runtime.info()
  log.info(`NanoClaw ${packageJson.version} starts on ${root}, with ${engine.name} ${engine.version}`)
  if (!engine.enforcesLimits) log.warn(NO_LIMITS)
  await removeOrphans({ runtime, installId: install, root, log })
  rmSync(paths.runs, { recursive: true, force: true })
  const notes: string[] = []
  const note = (text: string) => {
    log.info(text)
    notes.push(text)
  }
  const store = Store.open(paths.database, note, log.error)
  closers.add('the database', () => store.close())
  keepMigrationNotes(store, notes, systemClock.now())
  secrets.include(() => store.groups.all().flatMap(secretsOfGroup))
  const audit = new AuditBook({ store, now: systemClock.now, redact: secrets.redact })
  closers.add('the audit', () => audit.settle({ all: true }))
  const senders = new SenderAllowlist({ file: policyFile(config.userHome, 'sender-allowlist.json'), onBroken: log.error })
  return { config, log, runtime, secrets, channels, install, user, store, audit, senders }
}

/** What MCP servers of a group are given: its agent can read it, logs and chats need not. */
function secretsOfGroup({ config }: Group): string[] {
  const servers = Object.values(config.mcpServers ?? {})
  return servers.flatMap((server) =>
    secretsOf({ ...('env' in server ? server.env : {}), ...('headers' in server ? server.headers : {}) }),
  )
}
