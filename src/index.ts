import type { HostStatus } from '@nanoclaw/protocol'
import packageJson from '../package.json' with { type: 'json' }
import { Feed } from './app/feed.ts'
import { FolderLimits, measureInThread } from './app/folder-limits.ts'
import type { GroupQueue } from './app/group-queue.ts'
import { ensureMain } from './app/groups.ts'
import { Inbox, type InboxPorts } from './app/inbox.ts'
import { MountAdmin } from './app/mount-admin.ts'
import { tellMain } from './app/notices.ts'
import { OutgoingFiles } from './app/outgoing-files.ts'
import { OwnerDesk } from './app/owner-desk.ts'
import { Snapshots } from './app/snapshots.ts'
import { hostStatus } from './app/status.ts'
import { ChannelTimes } from './app/troubles.ts'
import { showTyping } from './app/typing.ts'
import type { Channel, ChannelState } from './channels/contract.ts'
import { TerminalChannel } from './channels/terminal.ts'
import { mountRules } from './config.ts'
import { inBackground } from './domain/attempt.ts'
import { systemClock } from './domain/clock.ts'
import { Closers } from './domain/closers.ts'
import { mayDo } from './domain/senders.ts'
import { makeBudgets, makeDesk, makeGateway, makeQueue, makeRunner } from './host/agents.ts'
import { Backups, saveInProcess } from './host/backups.ts'
import { type Base, type HostParts, openBase } from './host/base.ts'
import { callsForPerson, makeCourier, makeWhatsApp } from './host/channels.ts'
import { makeLoginWatch } from './host/login.ts'
import { pruneStore } from './host/pruning.ts'
import { makeCommands, makeHardReset, makeIpc, makeRegistry, makeTasks } from './host/requests.ts'
import { RunLogPruning } from './host/run-logs.ts'
import { hourly, startSweep } from './host/sweep.ts'
import { controlApi } from './web/api.ts'
import { serveControl } from './web/control-server.ts'
import { metricsApi } from './web/metrics.ts'
import { serveMetrics } from './web/metrics-server.ts'

/** A running host. */
export type Host = {
  status(): HostStatus
  /** Nothing works or waits, and nobody is watching a chat. */
  idle(): boolean
  /**
   * Ends gracefully within SHUTDOWN_GRACE; `now` ends it at once. Resolves when everything is closed; what fails or hangs
   * meanwhile is logged, and left behind after a few seconds. Never rejects.
   */
  stop(now: AbortSignal): Promise<void>
}

/** A request of an agent is recognised for so long after its file was last seen. */
const IPC_MEMORY_MS = 24 * 60 * 60_000
/** What was sent, and what became of tasks, is kept for so long. */
const KEPT_MS = 90 * 24 * 60 * 60_000

/** What the engine may take to remove containers that nobody waits for. If it takes longer, the next start removes them. */
const LAST_REMOVALS_MS = 3_000
/** What ending the containers may take beyond the grace that turns have. */
const LAST_KILL_MS = 15_000

/** Starts the host in the documented order. Throws an `AppError`, with nothing left running, when it cannot. */
export async function startHost(parts: HostParts): Promise<Host> {
  const closers = new Closers(parts.log)
  try {
    return await startServices(await openBase(parts, closers), closers)
  } catch (error) {
    await closers.close(AbortSignal.abort())
    throw error
  }
}

async function startServices(base: Base, closers: Closers): Promise<Host> {
  const { config, log, store, audit, secrets } = base
  ensureMain(store, systemClock.now())
  const feed = new Feed(log)
  const gateway = makeGateway(base)
  closers.add('the gateway', () => gateway.close())
  const whatsapp = makeWhatsApp({ ...base, onState: (state) => inBackground(telling, () => tellOfChannel(whatsapp, state)) })
  const channels: Channel[] = [new TerminalChannel(), whatsapp, ...base.channels]
  const telling = { what: 'Main was not told of a channel', log }
  const channelOf = (jid: string) => channels.find((channel) => channel.owns(jid))
  const showWork = (jid: string) => showTyping({ channel: channelOf(jid), jid, clock: systemClock, log })
  const files = new OutgoingFiles(config.root)
  files.keepOnly(store.outbox.openFiles())
  const courier = makeCourier({ base, channelOf, files })
  const notices = { store, feed, now: systemClock.now, deliver: () => courier.deliver() }
  const tellOfChannel = (channel: Channel, state: ChannelState) => {
    const text = callsForPerson(channel, state)
    if (text === undefined) return
    log.error(text)
    tellMain(notices, log.redact(text), (jid) => !channel.owns(jid))
  }
  const wakeAll = () => {
    for (const { folder } of store.groups.all()) queue.wake(folder)
  }
  const login = makeLoginWatch(base, {
    wakeAll: () => {
      const used = {
        by: 'host',
        folder: null,
        act: 'login',
        subject: 'model',
        outcome: 'done',
        detail: 'another login is used',
      } as const
      store.afterCommit('Writing the audit', () => audit.note(used))
      wakeAll()
    },
    tell: (text) => tellMain(notices, text, () => true),
  })
  const desk = makeDesk({ base, feed, loginChanges: () => login.changes })
  const snapshots = new Snapshots({ store, root: config.root, now: systemClock.now, log })
  const changed = () => {
    store.afterCommit('Writing the snapshots', () => snapshots.writeAll())
    secrets.refresh()
  }
  const registry = makeRegistry({ base, queue: () => queue, changed })
  const mounts = new MountAdmin(mountRules(config))
  const folders = new FolderLimits({
    ...{ store, log, root: config.root, now: systemClock.now },
    measure: measureInThread,
    deliver: () => courier.deliver(),
  })
  const runner = makeRunner({ base, gateway, budgets: makeBudgets(base), snapshots, folders })
  const { scheduler, tasks } = makeTasks({ base, queue: () => queue, courier, snapshots })
  const owner = new OwnerDesk({ store, registry, mounts, tasks, audit: (note) => audit.note(note) })
  const { ipc, questions } = makeIpc({ base, feed, desk, courier, files, registry, tasks, snapshots, channels })
  const queue: GroupQueue = makeQueue({ base, registry, feed, desk, courier, runner, showWork, ipc, folders })
  const hardReset = makeHardReset({ base, feed, queue, courier })
  const commands = makeCommands({ base, desk, queue, courier, hardReset, troubles: () => status().troubles })
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
  const backups = new Backups({ ...{ config, log, now: systemClock.now }, facts: store.facts, save: saveInProcess(config) })
  let ready = false
  const status = () => {
    const { now } = systemClock
    const inUse = channels.filter((channel) => channel.inUse ?? true)
    const { version } = packageJson
    const troubles = backups.troubles()
    return hostStatus({ store, queue, channels: inUse, since, now, root: config.root, version, ready, troubles })
  }
  const measured = metricsApi({ store, status, lastBackup: () => backups.lastDone(), now: systemClock.now })
  const api = controlApi({
    registry: owner,
    tasks,
    assistantName: config.assistantName,
    channels,
    store,
    feed,
    receive,
    status,
    audit: (note) => audit.note(note),
    redact: log.redact,
    stopTurn: (jid) => queue.stopTurn(jid),
    now: systemClock.now,
  }).route('/', measured)

  const runLogs = new RunLogPruning({ root: config.root, store, log, now: systemClock.now })
  if (config.metricsPort !== undefined) {
    const metrics = await serveMetrics({ api: measured, port: config.metricsPort })
    closers.add('the metrics', () => metrics.close())
    log.info(`Metrics are on http://127.0.0.1:${metrics.port}/metrics`)
  }
  let control: Awaited<ReturnType<typeof serveControl>> | undefined
  const started = new Set<Channel>()
  // Opened later than the channels, and closed after them: whoever watches a chat sees its last answers.
  closers.add('the local API', () => control?.close())
  for (const channel of channels) closers.add(`the channel ${channel.name}`, () => started.has(channel) && channel.stop?.())
  closers.add('the deliveries', () => courier.stop())
  closers.add('the life of the channels', () => life.abort())
  closers.add('the pruning of run logs', () => runLogs.settled())
  closers.add('the requests of agents', () => ipc.stop())
  closers.add('the removal of containers whose start was cancelled', () => runner.settled(), LAST_REMOVALS_MS)
  closers.add(
    'the containers',
    (now) => queue.shutdown({ graceMs: config.shutdownGraceMs, now }),
    config.shutdownGraceMs + LAST_KILL_MS,
  )
  closers.add('the backup', () => backups.stop())
  closers.add('the watch of the login', () => login.close())
  closers.add('the tasks', () => scheduler.stop())

  // Before anything new can come: what runs now is no longer of the last run.
  const unfinished = desk.recover() + courier.recover()
  if (unfinished > 0) log.info(`Going on with ${unfinished} turns and deliveries of the last run`)
  await hardReset.resume()
  for (const channel of channels) {
    started.add(channel)
    await channel.start(inbox, life.signal)
  }
  registry.settle()
  snapshots.writeAll()
  ipc.readAll(store.groups.all().map(({ folder }) => folder))
  control = await serveControl({ app: api, socket: config.paths.controlSocket })
  scheduler.start()
  const chores = [
    wakeAll,
    () => scheduler.wake(),
    () => courier.deliver(),
    () => login.check(),
    () => ipc.sweep(),
    () => runner.removeLeftovers(),
    () => hardReset.check(),
    () => store.ipcRequests.prune(systemClock.now() - IPC_MEMORY_MS),
    () => void store.outbox.prune(systemClock.now() - KEPT_MS),
    hourly(() => store.tasks.pruneRuns({ before: systemClock.now() - KEPT_MS }), systemClock.now),
    hourly(() => pruneStore(store, systemClock.now()), systemClock.now),
    () => secrets.refresh(),
    () => base.senders.policy(),
    () => audit.settle(),
    () => registry.settle(),
    () => runLogs.check(),
    () => backups.look(),
  ]
  closers.add('the sweep', startSweep(chores, log))
  ready = true
  log.info('Ready')

  const stop = async (now: AbortSignal) => {
    ready = false
    log.info('Stopping')
    await closers.close(now)
    log.info('Stopped')
  }
  return { status, stop, idle: () => queue.idle && !feed.watched }
}
