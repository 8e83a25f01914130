import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { RunnerInput } from '@nanoclaw/protocol'
import { AgentRun, type ModelLimit, type RunListener, type TurnRequest } from './container/agent-run.ts'
import { type ContainerUser, ensureFolder } from './container/folders.ts'
import { Leftovers } from './container/leftovers.ts'
import { dockerRunLine, mountLine } from './container/run-line.ts'
import { RunLog } from './container/run-log.ts'
import { NEVER, unlessAborted } from './domain/abort.ts'
import { inBackground } from './domain/attempt.ts'
import type { AuditNote } from './domain/audit.ts'
import type { Clock } from './domain/clock.ts'
import { Closers } from './domain/closers.ts'
import { AppError, errorText } from './domain/errors.ts'
import type { Group } from './domain/group.ts'
import { writeFileAtomically } from './files.ts'
import type { EgressRecord, EgressRules } from './gateway/egress.ts'
import type { Outcome } from './gateway/model-exchange.ts'
import { type AllowedMount, type MountVerdict, mountsText } from './mount-security.ts'
import type { ContainerRuntime, ContainerSpec, Mount } from './runtimes/contract.ts'

export type Lane = 'chat' | 'isolated'

/** Where Claude Code keeps what it knows of a group, below the root; a lane beside the chats has its own. */
export function sessionsFolder(folder: string, lane: Lane): string {
  return path.join('data', 'sessions', folder, ...(lane === 'isolated' ? ['isolated'] : []), '.claude')
}

/** What one installation's containers have in common. */
export type ContainerSettings = {
  root: string
  /** One folder per run, with its gateway's socket. */
  runs: string
  project: string
  /** Top-level entries of the project that main may read; never the project folder itself. */
  projectEntries: readonly string[]
  installId: string
  image: string
  user: ContainerUser
  network: 'gateway' | 'bridge' | 'none'
  credentials: 'gateway' | 'mount'
  timeZone: string
}

/** The way out of one run: its socket, opened before the container starts and closed after it is gone. */
export interface RunGateway {
  close(): Promise<void>
}

type GatewayWish = {
  runId: string
  socketPath: string
  folder: string
  egress: EgressRules
  onEgress(record: EgressRecord): void
  onRequest(record: { outcome: Outcome }): void
}

export type ContainerRunnerPorts = {
  runtime: Pick<ContainerRuntime, 'run' | 'list' | 'remove'>
  openGateway(run: GatewayWish): Promise<RunGateway>
  /** The environment file a container gets: a placeholder, or the login itself where the user chose that. */
  loginFile(): Promise<{ placeholder: string; real: string }>
  /** Writes what the group's agent may read about the host. */
  writeSnapshots(folder: string): void
  /** Which of the folders that a group wants beside its own it gets. */
  judgeMounts(group: Group): Promise<MountVerdict[]>
  /** Changes when `judgeMounts` may judge otherwise. */
  mountRulesStamp(): string
  audit(note: AuditNote): void
  /** A folder with too much in it gets no more from the host. */
  isFull(folder: string): boolean
  redact(text: string): string
  clock: Clock
  log: { info(text: string): void; debug(text: string): void; warn(text: string): void; error(text: string): void }
}

export type StartRequest = {
  group: Group
  lane: Lane
  chatJid: string
  sessionId: string | undefined
  assistantName: string
  listener: RunListener
}

type Preparation = Omit<Start, 'undo'> & { model: ModelWitness; onEgress(record: EgressRecord): void }

const MB = 1024 * 1024
/** Enough for Claude Code (about 300 MB) with a browser page or a build beside it. */
const DEFAULT_LIMITS = { memoryMb: 2_048, cpus: 2, pids: 512 }

/** What a start has until it is done, or taken back. */
type Start = {
  request: StartRequest
  runId: string
  run: string
  /** What lasts as long as the run. */
  made: Closers
  /** What is taken back only when the start fails. */
  undo: Closers
  signal: AbortSignal
}

/** Starts the agent of a group in a fresh container (ARCHITECTURE.md, "What a container gets"). */
export class ContainerRunner {
  readonly #settings: ContainerSettings
  readonly #ports: ContainerRunnerPorts
  readonly #leftovers: Leftovers
  /** What is being taken back while nobody waits for it. */
  readonly #behind = new Set<Promise<unknown>>()
  #lastTimestamp = 0

  constructor(settings: ContainerSettings, ports: ContainerRunnerPorts) {
    this.#settings = settings
    this.#ports = ports
    this.#leftovers = new Leftovers({ ...ports, installId: settings.installId })
  }

  /**
   * Rejects at once when `signal` aborts, while it waits for the judgement of mounts, the gateway or the engine. A start that fails
   * takes back all that it made; after an abort this goes on in the background (see `settled`).
   */
  async start<Request extends TurnRequest>(request: StartRequest, signal: AbortSignal = NEVER): Promise<AgentRun<Request>> {
    const runId = randomBytes(4).toString('hex')
    const { log } = this.#ports
    const start = { request, runId, run: path.join(this.#settings.runs, runId), signal }
    const [made, undo] = [new Closers(log), new Closers(log)]
    try {
      return await this.#start<Request>({ ...start, made, undo })
    } catch (error) {
      const takenBack = undo.close().then(() => made.close())
      if (signal.aborted) this.#leaveBehind(takenBack)
      else await takenBack
      throw signal.aborted ? cancelled(signal) : error
    }
  }

  /** Resolves when nothing of starts that were aborted is being taken back any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#behind)
  }

  /** Removes the containers that could not be removed when their run was over. To be called now and then. */
  removeLeftovers(): Promise<void> {
    return this.#leftovers.remove()
  }

  async #start<Request extends TurnRequest>({ request, runId, run, made, undo, signal }: Start): Promise<AgentRun<Request>> {
    const { clock } = this.#ports
    const model = new ModelWitness()
    let log: RunLog | undefined
    const onEgress = (record: EgressRecord) => {
      log?.line('egress', egressLine(record))
      if (record.refused) this.#noteRefusal(request.group, record)
    }
    const stamp = this.#ports.mountRulesStamp()
    const verdicts = await this.#step(this.#judgeMounts(request.group), { signal })
    const extras = verdicts.filter((verdict) => verdict.type === 'allowed')
    await this.#prepare({ request, runId, run, model, onEgress, made, signal })
    const spec = this.#spec({ request, runId, extras })
    const runLog = this.#openLog({ request, spec })
    log = runLog
    undo.add('the log of a run', () => runLog.close('did not start'))
    const container = await this.#run({ spec, log: runLog, runId, signal })
    undo.add(`the container ${spec.name}`, () => container.kill())
    const agent = new AgentRun<Request>({
      name: spec.name,
      container,
      clock,
      log: runLog,
      listener: request.listener,
      limit: () => model.limit,
      outdated: () => verdicts.length > 0 && stamp !== this.#ports.mountRulesStamp(),
      onWrongSetup: (why) => this.#noteMount(request.group, { subject: spec.name, outcome: 'refused', detail: why }),
      cleanUp: () => made.close(),
    })
    container.stdin.write(`${JSON.stringify(firstLine(request, verdicts))}\n`)
    return agent
  }

  /** Waits for a step of a start until that is given up. What the step still brings then is taken back by `undo`. */
  async #step<T>(
    work: Promise<T>,
    { signal, undo = () => {} }: { signal: AbortSignal; undo?: (late: T) => unknown },
  ): Promise<T> {
    try {
      return await unlessAborted(work, signal)
    } catch (error) {
      if (signal.aborted) this.#leaveBehind(work.then(undo))
      throw error
    }
  }

  /** That it fails has no consequence: whoever wanted it is gone, and the engine's leftovers are looked for. */
  #leaveBehind(work: Promise<unknown>): void {
    const over: Promise<void> = work
      .then(
        () => {},
        () => {},
      )
      .finally(() => this.#behind.delete(over))
    this.#behind.add(over)
  }

  /** What is refused is not mounted, and nobody is left to guess: the agent, the log and the audit hear why. */
  async #judgeMounts(group: Group): Promise<MountVerdict[]> {
    const verdicts = await this.#ports.judgeMounts(group)
    for (const verdict of verdicts) {
      if (verdict.type === 'allowed') {
        const detail = `as ${verdict.target}, ${verdict.readonly ? 'read-only' : 'read-write'}`
        this.#noteMount(group, { subject: verdict.source, outcome: 'done', detail })
      } else {
        this.#ports.log.warn(`Group ${group.folder}: ${verdict.hostPath} is not mounted: ${verdict.why}`)
        this.#noteMount(group, { subject: verdict.hostPath, outcome: 'refused', detail: verdict.why })
      }
    }
    return verdicts
  }

  #noteMount({ folder }: Group, note: Pick<AuditNote, 'subject' | 'outcome' | 'detail'>): void {
    this.#ports.audit({ by: 'host', folder, act: 'mount', ...note })
  }

  /** Nobody hears what goes wrong in here but the log: it is called when a connection ends. */
  #noteRefusal({ folder }: Group, { host, port, why }: EgressRecord): void {
    const { audit, log } = this.#ports
    const subject = `${host}:${port}`
    inBackground({ what: `Group ${folder}: the refusal of ${subject} is not in the audit`, log: { error: log.warn } }, () =>
      audit({ by: 'agent', folder, act: 'egress', subject, outcome: 'refused', detail: why ?? '' }),
    )
  }

  async #run({ spec, log, runId, signal }: { spec: ContainerSpec; log: RunLog; runId: string; signal: AbortSignal }) {
    const suspect = () => this.#leftovers.suspect(runId)
    try {
      const running = this.#ports.runtime.run(spec, signal)
      const container = await this.#step(running, { signal, undo: (late) => late.kill() })
      container.exited.catch(suspect)
      return container
    } catch (error) {
      suspect()
      log.close(`did not start: ${error instanceof Error ? error.message : error}`)
      throw error
    }
  }

  /** Everything a run needs on the host: its folders, its login file, its gateway. */
  async #prepare({ request, runId, run, model, onEgress, made, signal }: Preparation): Promise<void> {
    const { root, user: owner } = this.#settings
    const { folder } = request.group
    const login = await this.#step(this.#ports.loginFile(), { signal })
    this.#makeGroupFolders(folder, request.lane)
    this.#ports.writeSnapshots(folder)
    const data = path.join(root, 'data')
    ensureFolder(path.join(data, 'env'))
    writeFileAtomically(path.join(data, 'env', 'env'), { text: login.real, mode: 0o600, owner })
    ensureFolder(this.#settings.runs, { mode: 0o711 })
    made.add(`the folder ${run}`, () => rm(run, { recursive: true, force: true }))
    ensureFolder(run, { mode: 0o711 })
    ensureFolder(path.join(run, 'env-dir'))
    writeFileAtomically(path.join(run, 'env-dir', 'env'), { text: login.placeholder, mode: 0o600, owner })
    // The image knows uid 1000 as `node`; any other gets the same name.
    if (owner.uid !== 1000) writeFileSync(path.join(run, 'passwd'), `node:x:${owner.uid}:${owner.gid}::/home/node:/bin/bash\n`)
    if (!usesGateway(this.#settings, request.group)) return
    const onRequest = ({ outcome }: { outcome: Outcome }) => model.note(outcome)
    const egress = egressOf(this.#settings, request.group)
    const socketPath = path.join(run, 'gateway.sock')
    const opening = this.#ports.openGateway({ runId, folder, socketPath, egress, onEgress, onRequest })
    const gateway = await this.#step(opening, { signal, undo: (late) => late.close() })
    made.add(`the gateway of the run ${runId}`, () => gateway.close())
  }

  #makeGroupFolders(folder: string, lane: Lane): void {
    const { root, user: owner } = this.#settings
    const at = (...parts: string[]) => path.join(root, ...parts)
    ensureFolder(at('groups'))
    ensureFolder(at('groups', 'global'))
    ensureFolder(at('groups', folder), { owner })
    ensureFolder(at('groups', folder, 'logs'))
    ensureFolder(at('data', 'ipc'))
    ensureFolder(at('data', 'ipc', folder))
    for (const name of ['messages', 'tasks', 'files']) ensureFolder(at('data', 'ipc', folder, name), { owner })
    for (const name of ['messages', 'tasks']) ensureFolder(at('data', 'ipc', name), { owner }) // for the guides' manual runs
    ensureFolder(at('data', 'sessions'))
    ensureFolder(at('data', 'sessions', folder))
    const sessions = sessionsFolder(folder, lane)
    ensureFolder(path.dirname(at(sessions)))
    ensureFolder(at(sessions), { owner, mode: 0o700 })
    ensureFolder(at(sessions, 'skills'), { owner })
    ensureFolder(at('data', 'attachments'))
    ensureFolder(at('data', 'attachments', folder))
    ensureFolder(at('data', 'nothing'))
  }

  #spec({ request, runId, extras }: { request: StartRequest; runId: string; extras: AllowedMount[] }): ContainerSpec {
    const { group, lane } = request
    const settings = this.#settings
    const { memoryMb, cpus, pids } = { ...DEFAULT_LIMITS, ...withoutUndefined(group.config.limits ?? {}) }
    const tmpfsOwner = `uid=${settings.user.uid},gid=${settings.user.gid}`
    const { isolation } = group.config
    return {
      ...(isolation === undefined ? {} : { isolation }),
      name: `nanoclaw-${group.folder}-${this.#nextTimestamp()}`,
      image: settings.image,
      labels: {
        'nanoclaw.install': settings.installId,
        'nanoclaw.group': group.folder,
        'nanoclaw.lane': lane,
        'nanoclaw.run': runId,
      },
      user: `${settings.user.uid}:${settings.user.gid}`,
      env: { HOME: '/home/node', TZ: settings.timeZone, ...(networkOf(settings, group) === 'bridge' ? {} : PROXY) },
      mounts: [...mountsOf({ settings, group, lane, runId }), ...extras],
      network: networkOf(settings, group) === 'bridge' ? 'bridge' : 'none',
      tmpfs: [
        { target: '/tmp', options: `rw,exec,nosuid,nodev,mode=1777,size=1g,${tmpfsOwner}` },
        { target: '/home/node', options: `rw,exec,nosuid,nodev,mode=755,size=512m,${tmpfsOwner}` },
      ],
      limits: { memoryBytes: memoryMb * MB, swapBytes: 0, cpus, pids },
    }
  }

  /** Two lanes of a group may start in the same millisecond, and names are unique. */
  #nextTimestamp(): number {
    this.#lastTimestamp = Math.max(this.#ports.clock.now(), this.#lastTimestamp + 1)
    return this.#lastTimestamp
  }

  #openLog({ request, spec }: { request: StartRequest; spec: ContainerSpec }): RunLog {
    const { redact, log, isFull } = this.#ports
    const folder = path.join(this.#settings.root, 'groups', request.group.folder, 'logs')
    const onStderr = (text: string) => log.debug(`${spec.name}: ${text}`)
    const at = new Date(this.#ports.clock.now())
    const isKept = !isFull(request.group.folder)
    const runLog = (isKept && this.#createLog({ folder, at, redact, onStderr })) || RunLog.unkept({ redact, onStderr })
    runLog.section('run', `${spec.name}, image ${spec.image}, session ${request.sessionId ?? 'new'}`)
    runLog.section('mounts', spec.mounts.map(mountLine).join('\n'))
    log.info(`Starting container ${spec.name} for group ${request.group.folder}`)
    log.debug(`Mounts of ${spec.name}:\n${spec.mounts.map(mountLine).join('\n')}`)
    log.debug(`${spec.name} as a command: ${dockerRunLine(spec)}`)
    return runLog
  }

  /** A disk that takes no further file does not keep an agent from working; an agent that laid a trap there does. */
  #createLog(parts: Parameters<typeof RunLog.create>[0]): RunLog | undefined {
    try {
      return RunLog.create(parts)
    } catch (error) {
      if (error instanceof AppError) throw error
      this.#ports.log.warn(`A run goes on without a log, because none can be made in ${parts.folder}: ${errorText(error)}`)
      return undefined
    }
  }
}

function cancelled({ reason }: AbortSignal): AppError {
  const message = 'The start of the container was cancelled.'
  return new AppError({ code: 'run.cancelled', fault: 'engine', message, cause: reason })
}

/** What the model API itself said last to a run. Unlike a frame, it cannot be forged by the agent. */
class ModelWitness {
  limit: ModelLimit | undefined

  note(outcome: Outcome): void {
    this.limit = limitIn(outcome)
  }
}

function limitIn(outcome: Outcome): ModelLimit | undefined {
  if (outcome.type === 'over-budget') return { type: 'budget', retryAt: outcome.retryAt, why: outcome.why }
  const retryAt = outcome.type === 'answered' ? outcome.retryAt : undefined
  return retryAt === undefined ? undefined : { type: 'rate-limit', retryAt }
}

function firstLine({ group, lane, chatJid, sessionId, assistantName }: StartRequest, verdicts: MountVerdict[]): RunnerInput {
  const { model, effort, systemPrompt, mcpServers } = group.config
  const mounts = verdicts.flatMap((verdict) =>
    verdict.type === 'allowed' ? [{ target: verdict.target, ...verdict.identity }] : [],
  )
  const input = {
    groupFolder: group.folder,
    chatJid,
    isMain: group.isMain,
    isScheduledTask: lane === 'isolated',
    sessionId,
    assistantName,
    model,
    effort,
    systemPrompt,
    mcpServers,
    mounts,
    notice: mountsText(verdicts),
  }
  return withoutUndefined(input) as RunnerInput
}

function networkOf(settings: ContainerSettings, group: Group): 'gateway' | 'bridge' | 'none' {
  return group.config.network ?? settings.network
}

/** The runner forwards this port to the gateway; every program that knows of proxies finds it by one of these names. */
const PROXY_ADDRESS = 'http://127.0.0.1:4180'
const NOT_PROXIED = '127.0.0.1,localhost,::1'
const PROXY = {
  ...{ HTTP_PROXY: PROXY_ADDRESS, HTTPS_PROXY: PROXY_ADDRESS, http_proxy: PROXY_ADDRESS, https_proxy: PROXY_ADDRESS },
  ...{ NO_PROXY: NOT_PROXIED, no_proxy: NOT_PROXIED, NODE_USE_ENV_PROXY: '1' },
}

const MAX_BURST = 256 * MB
const BYTES_PER_SECOND = 16 * MB

function egressOf(settings: ContainerSettings, group: Group): EgressRules {
  const { policy, allow = [] } = group.config.egress ?? { policy: 'open' as const }
  const bandwidth = { burst: MAX_BURST, perSecond: BYTES_PER_SECOND }
  return { policy: networkOf(settings, group) === 'gateway' ? policy : 'off', allow, bandwidth }
}

function egressLine({ host, port, address, up, down, why }: EgressRecord): string {
  const ended = why === null ? `${up} bytes up, ${down} down` : `not reached: ${why}`
  return `${host}:${port}${address ? ` (${address})` : ''}, ${ended}`
}

/** Only a container that has both the login and a network of its own needs no gateway. */
function usesGateway(settings: ContainerSettings, group: Group): boolean {
  return !(settings.credentials === 'mount' && networkOf(settings, group) === 'bridge')
}

type Mounted = { settings: ContainerSettings; group: Group; lane: Lane; runId: string }

/** Every host path a container of this group sees (ARCHITECTURE.md, "What a container gets"). */
export function mountsOf({ settings, group, lane, runId }: Mounted): Mount[] {
  const at = (...parts: string[]) => path.join(settings.root, ...parts)
  const { folder, isMain } = group
  const run = path.join(settings.runs, runId)
  const ipc = at('data', 'ipc', folder)
  const readOnly = (source: string, target: string): Mount => ({ source, target, readonly: true })
  const writable = (source: string, target: string): Mount => ({ source, target, readonly: false })
  const skills = path.join(settings.project, 'container', 'skills')
  return [
    writable(at('groups', folder), '/workspace/group'),
    readOnly(at('groups', folder, 'logs'), '/workspace/group/logs'),
    readOnly(ipc, '/workspace/ipc'),
    ...['messages', 'tasks', 'files'].map((name) => writable(path.join(ipc, name), `/workspace/ipc/${name}`)),
    // Claude sessions: one folder per group, under the HOME of the container's user.
    writable(at(sessionsFolder(folder, lane)), '/home/node/.claude'), // NOT /root/.claude
    ...(existsSync(skills) ? [readOnly(skills, '/home/node/.claude/skills')] : []),
    readOnly(settings.credentials === 'mount' ? at('data', 'env') : path.join(run, 'env-dir'), '/workspace/env-dir'),
    readOnly(at('data', 'attachments', folder), '/workspace/attachments'),
    readOnly(run, '/run/nanoclaw'),
    ...(settings.user.uid === 1000 ? [] : [readOnly(path.join(run, 'passwd'), '/etc/passwd')]),
    ...(isMain ? projectMounts(settings) : [readOnly(at('groups', 'global'), '/workspace/global')]),
  ]
}

/** Main reads the project and all groups, without the host's own files; it writes the memory that all groups share. */
function projectMounts({ root, project, projectEntries }: ContainerSettings): Mount[] {
  const groups = path.join(root, 'groups')
  const nothing = path.join(root, 'data', 'nothing')
  // A link that an agent left in place of its logs would hide, and so break, what it points to.
  const logs = readdirSync(groups).filter(
    (folder) => isFolder(path.join(groups, folder)) && isFolder(path.join(groups, folder, 'logs')),
  )
  return [
    ...projectEntries.map(
      (entry): Mount => ({ source: path.join(project, entry), target: `/workspace/project/${entry}`, readonly: true }),
    ),
    { source: '/dev/null', target: '/workspace/project/.env', readonly: true },
    { source: groups, target: '/workspace/project/groups', readonly: true },
    ...logs.map((folder): Mount => ({ source: nothing, target: `/workspace/project/groups/${folder}/logs`, readonly: true })),
    { source: path.join(groups, 'global'), target: '/workspace/project/groups/global', readonly: false },
  ]
}

function isFolder(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as never
}
