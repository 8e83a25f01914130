import { type FSWatcher, rmSync, watch } from 'node:fs'
import path from 'node:path'
import type { ActivityFrame, HostStatus } from '@nanoclaw/protocol'
import packageJson from '../package.json' with { type: 'json' }
import { Commands } from './app/commands.ts'
import { Feed } from './app/feed.ts'
import { GroupQueue } from './app/group-queue.ts'
import { ensureMain, GroupRegistry } from './app/groups.ts'
import { Inbox, type InboxPorts } from './app/inbox.ts'
import { IpcDesk } from './app/ipc-desk.ts'
import type { Posting } from './app/ipc-speech.ts'
import type { TaskPort } from './app/ipc-tasks.ts'
import { IpcWatcher } from './app/ipc-watcher.ts'
import { LoginWatch } from './app/login-watch.ts'
import { Courier } from './app/outbox.ts'
import { OutgoingFiles } from './app/outgoing-files.ts'
import { QuestionDesk } from './app/questions.ts'
import { removeOrphans } from './app/recovery.ts'
import { Snapshots } from './app/snapshots.ts'
import { hostStatus } from './app/status.ts'
import { TurnDesk } from './app/turn-desk.ts'
import { showTyping } from './app/typing.ts'
import type { Channel } from './channels/contract.ts'
import { TerminalChannel } from './channels/terminal.ts'
import { type Config, PROJECT } from './config.ts'
import { type ContainerUser, containerUser } from './container/folders.ts'
import { ContainerRunner, type StartRequest } from './container-runner.ts'
import { systemClock } from './domain/clock.ts'
import { errorText } from './domain/errors.ts'
import { fingerprintOf, HostCredentials, placeholderEnv } from './gateway/credentials.ts'
import { Gateway } from './gateway/gateway.ts'
import type { GatewayLog } from './gateway/log.ts'
import type { Log } from './log.ts'
import { installId, preparePrivateFolder, prepareRoot, projectEntries } from './project.ts'
import type { ContainerRuntime } from './runtimes/contract.ts'
import { HostLock } from './store/lock.ts'
import { Store } from './store/store.ts'
import { controlApi } from './web/api.ts'
import { serveControl } from './web/control-server.ts'

/** A running host. */
export type Host = {
  status(): HostStatus
  /** Nothing works or waits, and nobody is watching a chat. */
  idle(): boolean
  /** Ends gracefully within SHUTDOWN_GRACE; `now` ends it at once. Resolves when everything is closed. */
  stop(now: AbortSignal): Promise<void>
}

/** What the host takes from outside; everything else it makes itself. `channels`: further ones, beside its own. */
export type HostParts = { config: Config; log: Log; runtime: ContainerRuntime; channels?: readonly Channel[] }

/** What holds for the whole life of a host: its parts, and how to give them back. */
type Base = Required<HostParts> & { install: string; user: ContainerUser; store: Store; release(): void }

/** The backstop behind all events: whatever a missed one left lying is found after this. */
const SWEEP_MS = 60_000
/** So long a channel may take to name its chats. */
const SYNC_MS = 60_000
/** A request of an agent is recognised for so long after its file was last seen. */
const IPC_MEMORY_MS = 24 * 60 * 60_000

/** Starts the host in the documented order. Throws an `AppError`, with nothing left running, when it cannot. */
export async function startHost(parts: HostParts): Promise<Host> {
  const base = await openBase(parts)
  try {
    return await startServices(base)
  } catch (error) {
    base.release()
    throw error
  }
}

/** Root, lock, engine, orphans, store: in this order, so that a second host or a missing engine changes nothing. */
async function openBase({ config, log, runtime, channels = [] }: HostParts): Promise<Base> {
  const { root, paths } = config
  const user = containerUser({ uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 })
  prepareRoot({ root, project: PROJECT, owner: user })
  if (!paths.runs.startsWith(root)) preparePrivateFolder(path.dirname(paths.runs))
  const lock = HostLock.take({ lock: paths.lock, holder: paths.holder, pid: process.pid, now: new Date() })
  try {
    const install = installId(root)
    const engine = await runtime.info()
    log.info(`NanoClaw ${packageJson.version} starts on ${root}, with ${engine.name} ${engine.version}`)
    await removeOrphans({ runtime, installId: install, root, log })
    rmSync(paths.runs, { recursive: true, force: true })
    const store = Store.open(paths.database, log.info)
    const release = () => {
      store.close()
      lock.release()
    }
    return { config, log, runtime, channels, install, user, store, release }
  } catch (error) {
    lock.release()
    throw error
  }
}

async function startServices(base: Base): Promise<Host> {
  const { config, log, store } = base
  ensureMain(store, systemClock.now())
  const feed = new Feed()
  const gateway = makeGateway(base)
  const channels: Channel[] = [new TerminalChannel(), ...base.channels]
  const channelOf = (jid: string) => channels.find((channel) => channel.owns(jid))
  const showWork = (jid: string) => showTyping({ channel: channelOf(jid), jid, clock: systemClock })
  const files = new OutgoingFiles(config.root)
  files.keepOnly(store.outbox.openFiles())
  const courier = makeCourier({ base, channelOf, files })
  const desk = makeDesk(base, feed)
  const snapshots = new Snapshots({ store, root: config.root, now: systemClock.now, log })
  const registry = makeRegistry({ base, queue: () => queue, changed: () => snapshots.writeAll() })
  const runner = makeRunner({ base, gateway, snapshots })
  const { ipc, questions } = makeIpc({ base, feed, desk, courier, files, registry, snapshots, channels })
  const queue: GroupQueue = makeQueue({ base, registry, feed, desk, courier, runner, showWork, ipc })
  const commands = makeCommands({ base, desk, queue, courier })
  const takeCommand: InboxPorts['takeCommand'] = (stored) => commands.take(stored) ?? questions.take(stored)
  const inbox = new Inbox({
    store,
    feed,
    takeCommand,
    deliver: () => courier.deliver(),
    wake: (folder) => queue.wake(folder),
  })
  const receive = inbox.receive.bind(inbox)
  const life = new AbortController()
  let ready = false
  const status = () => hostStatus({ store, queue, channels, root: config.root, version: packageJson.version, ready })
  const api = controlApi({
    registry,
    assistantName: config.assistantName,
    store,
    feed,
    receive,
    status,
    stopTurn: (jid) => queue.stopTurn(jid),
    now: systemClock.now,
  })

  for (const channel of channels) await channel.start(inbox, life.signal)
  const unfinished = desk.recover() + store.outbox.reopen()
  registry.settle()
  snapshots.writeAll()
  if (unfinished > 0) log.info(`Going on with ${unfinished} turns and deliveries of the last run`)
  const wakeAll = () => {
    for (const { folder } of store.groups.all()) queue.wake(folder)
  }
  const login = makeLoginWatch(base, wakeAll)
  const sweep = () => {
    wakeAll()
    courier.deliver()
    login.check()
    ipc.sweep()
    store.ipcRequests.prune(systemClock.now() - IPC_MEMORY_MS)
  }
  ipc.readAll(store.groups.all().map(({ folder }) => folder))
  const sweeping = setInterval(sweep, SWEEP_MS)
  const control = await serveControl({ app: api, socket: config.paths.controlSocket })
  sweep()
  ready = true
  log.info('Ready')

  const stop = async (now: AbortSignal) => {
    ready = false
    log.info('Stopping')
    clearInterval(sweeping)
    login.close()
    await queue.shutdown({ graceMs: config.shutdownGraceMs, now })
    await ipc.stop()
    life.abort()
    await courier.stop()
    for (const channel of channels) await channel.stop?.()
    await control.close()
    await gateway.close()
    base.release()
    log.info('Stopped')
  }
  return { status, stop, idle: () => queue.idle && !feed.watched }
}

function makeGateway({ config, log }: Base): Gateway {
  return new Gateway({ upstream: config.modelUrl, credentials: credentialsOf(config), log: withFields(log) })
}

type CourierParts = { base: Base; channelOf(jid: string): Channel | undefined; files: OutgoingFiles }

function makeCourier({ base: { store, log }, channelOf, files }: CourierParts): Courier {
  const forget = files.remove.bind(files)
  return new Courier({ store, channelOf, log, forget, clock: systemClock, random: Math.random })
}

function makeDesk({ config, store, install }: Base, feed: Feed): TurnDesk {
  const { assistantName, timeZone, maxTurnRetries } = config
  return new TurnDesk(
    { store, feed, now: systemClock.now },
    { assistantName, timeZone, maxRetries: maxTurnRetries, installId: install },
  )
}

type RunnerParts = { base: Base; gateway: Gateway; snapshots: Snapshots }

function makeRunner({ base: { config, log, runtime, install, user }, gateway, snapshots }: RunnerParts): ContainerRunner {
  const { root, paths, image, network, credentials, timeZone } = config
  const project = { project: PROJECT, projectEntries: projectEntries(PROJECT) }
  const settings = { root, runs: paths.runs, ...project, installId: install, image, user, network, credentials, timeZone }
  return new ContainerRunner(settings, {
    runtime,
    log,
    clock: systemClock,
    redact: log.redact,
    writeSnapshots: (folder) => snapshots.write(folder),
    openGateway: (run) => gateway.open(run),
    loginFile: () => loginFile(config),
  })
}

type QueueParts = {
  base: Base
  registry: GroupRegistry
  feed: Feed
  desk: TurnDesk
  courier: Courier
  runner: ContainerRunner
  showWork(jid: string): () => void
  ipc: IpcWatcher
}

function makeQueue(parts: QueueParts): GroupQueue {
  const { registry, feed, desk, courier, runner, showWork, ipc } = parts
  const { config, log, store } = parts.base
  const { root, assistantName, containerTimeoutMs: timeoutMs, maxContainers, idleTimeoutMs } = config
  const lane = {
    log,
    start: async (request: StartRequest, signal?: AbortSignal) => {
      const run = await runner.start(request, signal)
      ipc.attach(request.group.folder, run)
      return run
    },
    onSession: desk.sessionNamed.bind(desk),
    onActivity: (jid: string, activity: ActivityFrame) => feed.publish(jid, activity),
  }
  const afterTurn = () => {
    courier.deliver()
    registry.settle()
  }
  const isMain = (folder: string) => store.groups.find(folder)?.isMain ?? false
  return new GroupQueue(
    { desk, clock: systemClock, log, lane, isMain, showWork, deliver: afterTurn },
    { root, assistantName, timeoutMs, maxContainers, idleTimeoutMs },
  )
}

type IpcParts = {
  base: Base
  feed: Feed
  desk: TurnDesk
  courier: Courier
  files: OutgoingFiles
  registry: GroupRegistry
  snapshots: Snapshots
  channels: readonly Channel[]
}

/** What agents ask for: read from their folders, decided, carried out and answered. */
function makeIpc({ base: { config, log, store }, feed, desk, courier, files, registry, snapshots, channels }: IpcParts) {
  const { root, timeZone, assistantName } = config
  const { now } = systemClock
  const post = (posting: Posting) => store.outbox.add(posting)
  const speech = { store, feed, post, now, assistantName }
  const deliver = () => courier.deliver()
  const questions = new QuestionDesk({ store, clock: systemClock, speech, desk, deliver, log })
  const refreshGroups = async () => {
    const asked = await Promise.allSettled(channels.map((channel) => channel.syncGroups?.(AbortSignal.timeout(SYNC_MS))))
    snapshots.writeAll()
    const failed = asked.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
  }
  const tasks = taskPort(store)
  const office = { store, speech, registry, tasks, questions, files, timeZone, deliver, refreshGroups, now, log }
  return { questions, ipc: new IpcWatcher({ desk: new IpcDesk(office), clock: systemClock, log }, root) }
}

/** Until the book of tasks is there, agents can look at tasks only. */
function taskPort({ tasks }: Store): TaskPort {
  const change = () => ({ type: 'refused' as const, why: 'Tasks cannot be changed by agents yet.' })
  return {
    find: (id) => tasks.find(id),
    list: (folder) => (folder === undefined ? tasks.all() : tasks.ofGroup(folder)),
    history: (id, limit) => tasks.history(id, limit),
    ...{ schedule: change, update: change, pause: change, resume: change, cancel: change, runNow: change },
  }
}

function makeCommands({
  base,
  desk,
  queue,
  courier,
}: {
  base: Base
  desk: TurnDesk
  queue: GroupQueue
  courier: Courier
}): Commands {
  const { root, assistantName, timeZone } = base.config
  const { store, log } = base
  return new Commands(
    { store, desk, queue, log, deliver: () => courier.deliver(), now: systemClock.now },
    { root, assistantName, timeZone },
  )
}

/** What the command line and the agents change about groups. */
type RegistryParts = { base: Base; queue: () => GroupQueue; changed: () => void }

function makeRegistry({ base: { config, log, store }, queue, changed }: RegistryParts): GroupRegistry {
  const release = (folder: string) => {
    queue()
      .closeGroup(folder)
      .catch((error) => log.error(`Group ${folder}: its container did not leave: ${errorText(error)}`))
  }
  return new GroupRegistry({ store, now: systemClock.now, release, changed }, config)
}

/** A login that is renewed is noticed when its file changes, where the system can tell, and else by the sweep. */
function makeLoginWatch({ config, log, store }: Base, wakeAll: () => void): { check(): void; close(): void } {
  const credentials = credentialsOf(config)
  const logins = new LoginWatch({ store, wakeAll, fingerprint: async () => fingerprintOf(await credentials.current()) })
  const check = () => {
    logins.check().catch((error) => log.error(`The login could not be looked at: ${errorText(error)}`))
  }
  let watcher: FSWatcher | undefined
  try {
    watcher = watch(path.join(config.userHome, '.claude'), { persistent: false }, check)
    watcher.on('error', () => watcher?.close())
  } catch {
    log.debug('There is no ~/.claude to watch; a new login there is noticed within a minute')
  }
  return { check, close: () => watcher?.close() }
}

function credentialsOf({ apiKey, oauthToken, userHome }: Config): HostCredentials {
  return new HostCredentials({ apiKey, oauthToken, loginFile: path.join(userHome, '.claude', '.credentials.json') })
}

/** The two login variables, and what a container gets instead: only enough to make Claude Code choose the right headers. */
async function loginFile(config: Config): Promise<{ placeholder: string; real: string }> {
  const variables = { ANTHROPIC_API_KEY: config.apiKey, CLAUDE_CODE_OAUTH_TOKEN: config.oauthToken }
  const lines = Object.entries(variables).flatMap(([name, value]) => (value ? [`${name}=${value}\n`] : []))
  const { kind } = await credentialsOf(config).current()
  return { placeholder: placeholderEnv(kind), real: lines.join('') }
}

function withFields(log: Log): GatewayLog {
  const line = (fields: Record<string, unknown>, message: string) => `${message} ${JSON.stringify(fields)}`
  return {
    debug: (fields, message) => log.debug(line(fields, message)),
    warn: (fields, message) => log.warn(line(fields, message)),
  }
}
