import { type FSWatcher, rmSync, watch } from 'node:fs'
import path from 'node:path'
import type { ActivityFrame, HostStatus } from '@nanoclaw/protocol'
import packageJson from '../package.json' with { type: 'json' }
import { AuditBook } from './app/audit-book.ts'
import { Budgets } from './app/budgets.ts'
import { Commands } from './app/commands.ts'
import { Feed } from './app/feed.ts'
import { FolderLimits, measureInThread } from './app/folder-limits.ts'
import { GroupQueue } from './app/group-queue.ts'
import { ensureMain, GroupRegistry } from './app/groups.ts'
import { Inbox, type InboxPorts } from './app/inbox.ts'
import { IpcDesk } from './app/ipc-desk.ts'
import type { Posting } from './app/ipc-speech.ts'
import { IpcWatcher } from './app/ipc-watcher.ts'
import { LoginWatch } from './app/login-watch.ts'
import { keepMigrationNotes } from './app/migration-notes.ts'
import { MountAdmin } from './app/mount-admin.ts'
import { tellMain } from './app/notices.ts'
import { Courier } from './app/outbox.ts'
import { OutgoingFiles } from './app/outgoing-files.ts'
import { OwnerDesk } from './app/owner-desk.ts'
import { QuestionDesk } from './app/questions.ts'
import { removeOrphans } from './app/recovery.ts'
import { Scheduler } from './app/scheduler.ts'
import { Snapshots } from './app/snapshots.ts'
import { hostStatus } from './app/status.ts'
import { newTaskId, TaskBook } from './app/tasks.ts'
import { ChannelTimes, type Trouble } from './app/troubles.ts'
import { TurnDesk } from './app/turn-desk.ts'
import { showTyping } from './app/typing.ts'
import type { Channel, ChannelState } from './channels/contract.ts'
import { TerminalChannel } from './channels/terminal.ts'
import { WhatsAppChannel } from './channels/whatsapp/channel.ts'
import type { ChannelLog } from './channels/whatsapp/ports.ts'
import { type Config, mountRules, PROJECT, policyFile } from './config.ts'
import { type ContainerUser, containerUser } from './container/folders.ts'
import { ContainerRunner, type StartRequest } from './container-runner.ts'
import type { AuditNote } from './domain/audit.ts'
import { systemClock } from './domain/clock.ts'
import { errorText } from './domain/errors.ts'
import type { Group } from './domain/group.ts'
import { mayDo } from './domain/senders.ts'
import { fingerprintOf, HostCredentials, placeholderEnv } from './gateway/credentials.ts'
import { Gateway } from './gateway/gateway.ts'
import type { GatewayLog } from './gateway/log.ts'
import type { Purse } from './gateway/purse.ts'
import type { Log } from './log.ts'
import { allowlistStamp, judgeMounts } from './mount-security.ts'
import { installId, preparePrivateFolder, prepareRoot, projectEntries } from './project.ts'
import type { ContainerRuntime } from './runtimes/contract.ts'
import { type Secrets, secretsOf } from './secrets.ts'
import { SenderAllowlist } from './sender-allowlist.ts'
import { HostLock } from './store/lock.ts'
import { Store } from './store/store.ts'
import { transcriber } from './transcription.ts'
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
export type HostParts = {
  config: Config
  log: Log
  runtime: ContainerRuntime
  secrets: Secrets
  channels?: readonly Channel[]
}

/** What holds for the whole life of a host: its parts, and how to give them back. */
type Base = Required<HostParts> & {
  install: string
  user: ContainerUser
  store: Store
  audit: AuditBook
  senders: SenderAllowlist
  release(): void
}

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
async function openBase({ config, log, runtime, secrets, channels = [] }: HostParts): Promise<Base> {
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
    const notes: string[] = []
    const store = Store.open(paths.database, (text) => {
      log.info(text)
      notes.push(text)
    })
    keepMigrationNotes(store, notes, systemClock.now())
    secrets.include(() => store.groups.all().flatMap(secretsOfGroup))
    const audit = new AuditBook({ store, now: systemClock.now, redact: secrets.redact })
    const senders = new SenderAllowlist({ file: policyFile(config.userHome, 'sender-allowlist.json'), onBroken: log.error })
    const release = () => {
      audit.settle({ all: true })
      store.close()
      lock.release()
    }
    return { config, log, runtime, secrets, channels, install, user, store, audit, senders, release }
  } catch (error) {
    lock.release()
    throw error
  }
}

async function startServices(base: Base): Promise<Host> {
  const { config, log, store, audit, secrets } = base
  ensureMain(store, systemClock.now())
  const feed = new Feed()
  const gateway = makeGateway(base)
  const whatsapp = makeWhatsApp({ ...base, onState: (state) => tellOfChannel(whatsapp, state) })
  const channels: Channel[] = [new TerminalChannel(), whatsapp, ...base.channels]
  const channelOf = (jid: string) => channels.find((channel) => channel.owns(jid))
  const showWork = (jid: string) => showTyping({ channel: channelOf(jid), jid, clock: systemClock })
  const files = new OutgoingFiles(config.root)
  files.keepOnly(store.outbox.openFiles())
  const courier = makeCourier({ base, channelOf, files })
  const notices = { store, feed, now: systemClock.now, deliver: () => courier.deliver() }
  const tellOfChannel = (channel: Channel, state: ChannelState) => {
    const text = callsForPerson(channel, state)
    if (text === undefined) return
    log.error(text)
    tellMain(notices, text, (jid) => !channel.owns(jid))
  }
  const desk = makeDesk(base, feed)
  const snapshots = new Snapshots({ store, root: config.root, now: systemClock.now, log })
  const changed = () => {
    snapshots.writeAll()
    secrets.refresh()
  }
  const registry = makeRegistry({ base, queue: () => queue, changed })
  const mounts = new MountAdmin(mountRules(config))
  const owner = new OwnerDesk({ store, registry, mounts, audit: (note) => audit.note(note) })
  const folders = new FolderLimits({
    ...{ store, log, root: config.root, now: systemClock.now },
    measure: measureInThread,
    deliver: () => courier.deliver(),
  })
  const runner = makeRunner({ base, gateway, budgets: makeBudgets(base), snapshots, folders })
  const { scheduler, tasks } = makeTasks({ base, queue: () => queue, courier, snapshots })
  const { ipc, questions } = makeIpc({ base, feed, desk, courier, files, registry, tasks, snapshots, channels })
  const queue: GroupQueue = makeQueue({ base, registry, feed, desk, courier, runner, showWork, ipc, folders })
  const commands = makeCommands({ base, desk, queue, courier, troubles: () => status().troubles })
  const takeCommand: InboxPorts['takeCommand'] = (said) =>
    commands.take(said) ?? (mayDo(said.standing, 'answer-question') ? questions.take(said) : undefined)
  const inbox = new Inbox({
    store,
    feed,
    takeCommand,
    judge: base.senders.judge,
    onDropped: ({ jid, sender }, folder) =>
      audit.note({ by: 'sender', folder, act: 'message', subject: sender, outcome: 'refused', detail: `not kept, in ${jid}` }),
    deliver: () => {
      since.look(channels, systemClock.now())
      courier.deliver()
    },
    wake: (folder) => queue.wake(folder),
  })
  const receive = inbox.receive.bind(inbox)
  const life = new AbortController()
  const since = new ChannelTimes()
  let ready = false
  const status = () => {
    const { now } = systemClock
    const inUse = channels.filter((channel) => channel.inUse ?? true)
    return hostStatus({ store, queue, channels: inUse, since, now, root: config.root, version: packageJson.version, ready })
  }
  const api = controlApi({
    registry: owner,
    tasks,
    assistantName: config.assistantName,
    channels,
    store,
    feed,
    receive,
    status,
    stopTurn: (jid) => queue.stopTurn(jid),
    now: systemClock.now,
  })

  for (const channel of channels) await channel.start(inbox, life.signal)
  const unfinished = desk.recover() + courier.recover()
  registry.settle()
  snapshots.writeAll()
  if (unfinished > 0) log.info(`Going on with ${unfinished} turns and deliveries of the last run`)
  const wakeAll = () => {
    for (const { folder } of store.groups.all()) queue.wake(folder)
  }
  const login = makeLoginWatch(base, () => {
    audit.note({ by: 'host', folder: null, act: 'login', subject: 'model', outcome: 'done', detail: 'another login is used' })
    wakeAll()
  })
  const sweep = () => {
    wakeAll()
    scheduler.wake()
    courier.deliver()
    login.check()
    ipc.sweep()
    store.ipcRequests.prune(systemClock.now() - IPC_MEMORY_MS)
    secrets.refresh()
    base.senders.policy()
    audit.settle()
  }
  ipc.readAll(store.groups.all().map(({ folder }) => folder))
  const sweeping = setInterval(sweep, SWEEP_MS)
  const control = await serveControl({ app: api, socket: config.paths.controlSocket })
  scheduler.start()
  sweep()
  ready = true
  log.info('Ready')

  const stop = async (now: AbortSignal) => {
    ready = false
    log.info('Stopping')
    clearInterval(sweeping)
    scheduler.stop()
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

type WhatsAppWiring = Pick<Base, 'config' | 'store'> & { log: ChannelLog; onState?: (state: ChannelState) => void }

export function makeWhatsApp({ config, store, log, onState }: WhatsAppWiring): WhatsAppChannel {
  const { root, assistantName, hasOwnNumber, whatsapp, transcription } = config
  const authFolder = path.join(root, 'store', 'auth')
  const attachmentsFolder = path.join(root, 'data', 'attachments')
  const registration = (jid: string) => {
    const chat = store.groups.chat(jid)
    return chat && { folder: chat.folder, trigger: chat.trigger ?? `@${assistantName}` }
  }
  const settings = { authFolder, attachmentsFolder, assistantName, hasOwnNumber, ...whatsapp }
  const transcribe = transcription && transcriber(transcription)
  const ports = { clock: systemClock, random: Math.random, log, registration, transcribe }
  return new WhatsAppChannel({ settings, ports, onState })
}

/** What only a person can put right about a channel, in words; undefined for what passes by itself. */
function callsForPerson({ name }: Channel, state: ChannelState): string | undefined {
  if (state.state !== 'logged-out' && state.state !== 'conflict') return undefined
  return `The channel ${name} stopped: ${state.why}`
}

function makeDesk({ config, store, install, senders }: Base, feed: Feed): TurnDesk {
  const { assistantName, timeZone, maxTurnRetries } = config
  return new TurnDesk(
    { store, feed, now: systemClock.now, judge: senders.judge },
    { assistantName, timeZone, maxRetries: maxTurnRetries, installId: install },
  )
}

type RunnerParts = { base: Base; gateway: Gateway; budgets: Budgets; snapshots: Snapshots; folders: FolderLimits }

function makeRunner({
  base: { config, log, runtime, install, user, audit, secrets },
  gateway,
  budgets,
  snapshots,
  folders,
}: RunnerParts): ContainerRunner {
  const { root, paths, image, network, credentials, timeZone } = config
  const project = { project: PROJECT, projectEntries: projectEntries(PROJECT) }
  const settings = { root, runs: paths.runs, ...project, installId: install, image, user, network, credentials, timeZone }
  const rules = mountRules(config)
  return new ContainerRunner(settings, {
    runtime,
    log,
    clock: systemClock,
    judgeMounts: (group) => judgeMounts(group.config.additionalMounts ?? [], group, rules),
    mountRulesStamp: () => allowlistStamp(rules.allowlistFile),
    audit: (note) => audit.note(note),
    isFull: (folder) => folders.isOver(folder),
    redact: log.redact,
    writeSnapshots: (folder) => snapshots.write(folder),
    openGateway: ({ folder, ...run }) => gateway.open({ ...run, purse: purseOf(budgets, folder) }),
    loginFile: () => {
      secrets.refresh()
      return loginFile(config)
    },
  })
}

function makeBudgets({ config, store, log }: Base): Budgets {
  const { timeZone, budget, modelPrices, credentials } = config
  if (credentials === 'mount' && Object.values(budget).some((most) => most !== undefined))
    log.warn('With CREDENTIALS=mount the agents have the login itself: what they use past the gateway is in no budget')
  store.turns.hasten({ reason: 'budget', at: systemClock.now() })
  return new Budgets({ store, now: systemClock.now }, { timeZone, budget, prices: modelPrices })
}

function purseOf(budgets: Budgets, folder: string): Purse {
  return { begin: (call, signal) => budgets.begin({ ...call, folder }, signal) }
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
  folders: FolderLimits
}

function makeQueue(parts: QueueParts): GroupQueue {
  const { registry, feed, desk, courier, runner, showWork, ipc, folders } = parts
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
    for (const { folder } of queue.containers()) void folders.look(folder)
  }
  const isMain = (folder: string) => store.groups.find(folder)?.isMain ?? false
  const queue: GroupQueue = new GroupQueue(
    { desk, clock: systemClock, log, lane, isMain, showWork, deliver: afterTurn },
    { root, assistantName, timeoutMs, maxContainers, idleTimeoutMs },
  )
  return queue
}

type IpcParts = {
  base: Base
  feed: Feed
  desk: TurnDesk
  courier: Courier
  files: OutgoingFiles
  registry: GroupRegistry
  tasks: TaskBook
  snapshots: Snapshots
  channels: readonly Channel[]
}

/** What agents ask for: read from their folders, decided, carried out and answered. */
function makeIpc({
  base: { config, log, store, audit },
  feed,
  desk,
  courier,
  files,
  registry,
  tasks,
  snapshots,
  channels,
}: IpcParts) {
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
  const ports = { store, speech, registry, tasks, questions, files, timeZone, deliver, refreshGroups, now, log }
  const office = { ...ports, redact: log.redact, audit: (note: AuditNote) => audit.note(note) }
  return { questions, ipc: new IpcWatcher({ desk: new IpcDesk(office), clock: systemClock, log }, root) }
}

function makeCommands({
  base,
  desk,
  queue,
  courier,
  troubles,
}: {
  base: Base
  desk: TurnDesk
  queue: GroupQueue
  courier: Courier
  troubles(): Trouble[]
}): Commands {
  const { root, assistantName, timeZone } = base.config
  const { store, log, audit } = base
  return new Commands(
    {
      store,
      desk,
      queue,
      log,
      troubles,
      audit: (note) => audit.note(note),
      deliver: () => courier.deliver(),
      now: systemClock.now,
    },
    { root, assistantName, timeZone },
  )
}

/** What the command line and the agents change about groups. */
type RegistryParts = { base: Base; queue: () => GroupQueue; changed: () => void }

function makeRegistry({ base: { config, log, store, senders }, queue, changed }: RegistryParts): GroupRegistry {
  const release = (folder: string) => {
    queue()
      .closeGroup(folder)
      // What it waited for may have changed with its settings.
      .then(() => queue().wake(folder))
      .catch((error) => log.error(`Group ${folder}: its container did not leave: ${errorText(error)}`))
  }
  return new GroupRegistry({ store, now: systemClock.now, release, changed, judge: senders.judge }, config)
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

/** What MCP servers of a group are given: its agent can read it, logs and chats need not. */
function secretsOfGroup({ config }: Group): string[] {
  const servers = Object.values(config.mcpServers ?? {})
  return servers.flatMap((server) =>
    secretsOf({ ...('env' in server ? server.env : {}), ...('headers' in server ? server.headers : {}) }),
  )
}

type TaskParts = { base: Base; queue(): GroupQueue; courier: Courier; snapshots: Snapshots }

function makeTasks({ base: { config, log, store }, queue, courier, snapshots }: TaskParts): {
  scheduler: Scheduler
  tasks: TaskBook
} {
  const wake = (folder: string) => queue().wake(folder)
  const written = (folder: string) => snapshots.writeTasks(folder)
  const deliver = () => courier.deliver()
  const scheduler = new Scheduler({ store, clock: systemClock, log, wake, deliver, changed: written }, config)
  const changed = (folder: string) => {
    written(folder)
    scheduler.wake()
  }
  const tasks = new TaskBook(
    { store, now: systemClock.now, newId: newTaskId, wake: later(wake), changed: later(changed) },
    config,
  )
  return { scheduler, tasks }
}

/** After the transaction that asks for it: a request of an agent is carried out and recorded in one. */
function later(work: (folder: string) => void): (folder: string) => void {
  return (folder) => queueMicrotask(() => work(folder))
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
