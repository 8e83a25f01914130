import assert from 'node:assert/strict'
import type { HostFrame } from '@nanoclaw/protocol'
import { Feed } from '../../src/app/feed.ts'
import { GroupQueue, type QueuePorts } from '../../src/app/group-queue.ts'
import type { LaneRun } from '../../src/app/lane.ts'
import { TurnDesk } from '../../src/app/turn-desk.ts'
import { AgentRun } from '../../src/container/agent-run.ts'
import { RunLog } from '../../src/container/run-log.ts'
import type { StartRequest } from '../../src/container-runner.ts'
import type { Store } from '../../src/store/store.ts'
import type { Task } from '../../src/store/tasks.ts'
import type { TurnLane } from '../../src/store/turns.ts'
import { ManualClock } from './clock.ts'
import { FakeContainer, type PlainResult } from './container.ts'
import { storeWith, type TestContext } from './rooms.ts'
import { everybody } from './senders.ts'

type QueueOptions = {
  groups: string[]
  maxContainers: number
  /** No container is there before this resolves; it rejects where none can be started. */
  started?: Promise<void>
  /** A fresh container would be given other things. */
  outdated?: () => boolean
  /** Takes the place of what the office does itself. */
  ports?: Partial<Omit<QueuePorts, 'lane'>>
  onSession?: QueuePorts['lane']['onSession']
}

/** The real queue, desk, lanes and store; containers are played by the test. `order` is what happened, in order. */
export function queueOffice(t: TestContext, options: QueueOptions) {
  const { groups, maxContainers, started, outdated = () => false } = options
  const { store, folder } = storeWith(t, groups)
  const clock = new ManualClock()
  const desk = new TurnDesk(
    { store, feed: new Feed(console), now: clock.now, judge: everybody },
    { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'x' },
  )
  const order: string[] = []
  const containers: FakeContainer[] = []
  const containerOf = new Map<LaneRun, FakeContainer>()
  const starts: StartRequest[] = []
  const signals: AbortSignal[] = []
  const frames: HostFrame[] = []
  const lines: string[] = []
  /** What chats were shown: that they are worked for, and what the agent does. */
  const shown: string[] = []
  let deliveries = 0
  const errors: string[] = []
  const log = {
    ...{ info: (text: string) => void lines.push(text), error: (text: string) => void errors.push(text) },
    ...{ warn() {}, debug() {} },
  }
  const start = async (request: StartRequest, signal: AbortSignal) => {
    signals.push(signal)
    const { group, listener } = request
    const container = new FakeContainer()
    starts.push(request)
    containers.push(container)
    order.push(`start ${group.folder}`)
    await started
    const runLog = RunLog.create({ folder, at: new Date(containers.length * 1_000), redact: (text) => text })
    const run: LaneRun = new AgentRun({
      name: group.folder,
      container,
      clock,
      log: runLog,
      listener,
      limit: () => undefined,
      outdated,
    })
    containerOf.set(run, container)
    void run.ended.then(() => order.push(`gone ${group.folder}`))
    void playAgent({ container, folder: group.folder, order, frames })
    return run
  }
  const queue = new GroupQueue(
    {
      desk,
      clock,
      deliver: () => void deliveries++,
      isMain: (name) => name === 'main',
      showWork: (jid) => {
        shown.push(`begins in ${jid}`)
        return () => shown.push(`ends in ${jid}`)
      },
      log,
      lane: {
        start,
        onSession: options.onSession ?? ((claimed, id) => desk.sessionNamed(claimed, id)),
        onActivity: (jid, { kind }) => shown.push(`${kind} in ${jid}`),
        log,
      },
      ...options.ports,
    },
    { root: folder, assistantName: 'Andy', timeoutMs: 60_000, maxContainers, idleTimeoutMs: 600_000 },
  )
  let n = 0
  const say = (group: string, text: string, jid = `local:${group}`) => {
    store.messages.add({ jid, id: String(n++), sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false })
    queue.wake(group)
  }
  /** The running turn of a group ends like this, whatever the played agent does with it. */
  const end = (group: string, { lane = 'chat', ...result }: PlainResult & { lane?: TurnLane } = {}) => {
    const { run } = queue.containers().find((one) => one.folder === group && one.lane === lane) ?? assert.fail('nothing runs')
    const uuid = run.turn?.uuid ?? assert.fail('nothing runs')
    containerOf.get(run)?.result({ consumed: [uuid], result: 'done', ...result })
  }
  return {
    ...{ store, folder, desk, queue, clock, order, containers, starts, signals, frames, lines, errors, shown, say, end },
    deliveries: () => deliveries,
  }
}

type Playing = { container: FakeContainer; folder: string; order: string[]; frames: HostFrame[] }

/** Answers every turn with "done"; a prompt with "hang" is never answered, one with "fail" fails; leaves when asked to. */
async function playAgent({ container, folder, order, frames }: Playing): Promise<void> {
  let open: string[] = []
  for (let frame = await container.next(); frame && frame.type !== 'close'; frame = await container.next()) {
    frames.push(frame)
    if (frame.type === 'interrupt') order.push(`interrupt ${folder}`)
    if (frame.type !== 'turn' && frame.type !== 'followup') continue
    const { uuid, prompt } = frame
    order.push(`${frame.type} ${folder}`)
    open = [...(frame.type === 'turn' ? [] : open), uuid]
    container.frame({ type: 'session', sessionId: `session-${folder}` })
    if (prompt.includes('fail')) container.result({ status: 'error', errorClass: 'overload', error: '529', consumed: [uuid] })
    else if (!prompt.includes('hang')) container.result({ result: 'done', consumed: open })
  }
  container.exit()
}

/** How many answers a group's terminal chat has. */
export function answersIn(store: Store, group: string): number {
  return store.messages.latest(`local:${group}`, 100).filter((message) => message.fromAssistant).length
}

/** A run of a task waits for the group's agent: beside the chats of the group, or in their conversation. */
export function addRun(
  store: Store,
  folder: string,
  { contextMode = 'isolated', prompt = 'task', script = null }: Partial<Task> = {},
): void {
  const fields = { prompt, script, status: 'active', reason: null, lastRun: null, lastResult: null } as const
  const schedule = { type: 'interval', value: '60000' }
  const id = `task-${store.tasks.all().length}`
  const jid = `local:${folder}`
  store.tasks.add({ ...fields, id, folder, jid, schedule, contextMode, catchUp: 'once', nextRun: 1, createdAt: 0 })
  const runId = store.tasks.startRun({ taskId: id, at: 0 })
  store.turns.addTask({ folder, jid, lane: contextMode === 'isolated' ? 'isolated' : 'chat', runId, at: 0 })
}
