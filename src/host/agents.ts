import type { ActivityFrame } from '@nanoclaw/protocol'
import { Budgets } from '../app/budgets.ts'
import type { Feed } from '../app/feed.ts'
import type { FolderLimits } from '../app/folder-limits.ts'
import { GroupQueue } from '../app/group-queue.ts'
import type { GroupRegistry } from '../app/groups.ts'
import type { IpcWatcher } from '../app/ipc-watcher.ts'
import type { Courier } from '../app/outbox.ts'
import type { Snapshots } from '../app/snapshots.ts'
import { TurnDesk } from '../app/turn-desk.ts'
import { mountRules, PROJECT } from '../config.ts'
import { ContainerRunner, type StartRequest } from '../container-runner.ts'
import { systemClock } from '../domain/clock.ts'
import { Gateway } from '../gateway/gateway.ts'
import type { GatewayLog } from '../gateway/log.ts'
import type { Purse } from '../gateway/purse.ts'
import type { Log } from '../log.ts'
import { allowlistStamp, judgeMounts } from '../mount-security.ts'
import { projectEntries } from '../project.ts'
import type { Base } from './base.ts'
import { credentialsOf, loginFile } from './login.ts'

export function makeGateway({ config, log }: Base): Gateway {
  return new Gateway({ upstream: config.modelUrl, credentials: credentialsOf(config), log: withFields(log) })
}

function withFields(log: Log): GatewayLog {
  const line = (fields: Record<string, unknown>, message: string) => `${message} ${JSON.stringify(fields)}`
  return {
    debug: (fields, message) => log.debug(line(fields, message)),
    warn: (fields, message) => log.warn(line(fields, message)),
  }
}
export function makeBudgets({ config, store, log }: Base): Budgets {
  const { timeZone, budget, modelPrices, credentials } = config
  if (credentials === 'mount' && Object.values(budget).some((most) => most !== undefined))
    log.warn('With CREDENTIALS=mount the agents have the login itself: what they use past the gateway is in no budget')
  store.turns.hasten({ reason: 'budget', at: systemClock.now() })
  return new Budgets({ store, now: systemClock.now }, { timeZone, budget, prices: modelPrices })
}

type DeskParts = { base: Base; feed: Feed; loginChanges(): number }

export function makeDesk({ base: { config, store, install, senders }, feed, loginChanges }: DeskParts): TurnDesk {
  const { assistantName, timeZone, maxTurnRetries } = config
  return new TurnDesk(
    { store, feed, now: systemClock.now, judge: senders.judge, loginChanges },
    { assistantName, timeZone, maxRetries: maxTurnRetries, installId: install },
  )
}

type RunnerParts = { base: Base; gateway: Gateway; budgets: Budgets; snapshots: Snapshots; folders: FolderLimits }

export function makeRunner({
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

export function makeQueue(parts: QueueParts): GroupQueue {
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
