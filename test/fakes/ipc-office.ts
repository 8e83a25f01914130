import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { IpcResult } from '@nanoclaw/protocol'
import { AuditBook } from '../../src/app/audit-book.ts'
import { Feed } from '../../src/app/feed.ts'
import { GroupRegistry } from '../../src/app/groups.ts'
import { Inbox } from '../../src/app/inbox.ts'
import { IpcDesk } from '../../src/app/ipc-desk.ts'
import type { Posting } from '../../src/app/ipc-speech.ts'
import type { TaskPort, TaskView } from '../../src/app/ipc-tasks.ts'
import { IpcWatcher } from '../../src/app/ipc-watcher.ts'
import { OutgoingFiles } from '../../src/app/outgoing-files.ts'
import { QuestionDesk } from '../../src/app/questions.ts'
import { TurnDesk } from '../../src/app/turn-desk.ts'
import type { Store } from '../../src/store/store.ts'
import { ManualClock } from './clock.ts'
import { until } from './patience.ts'
import { storeWith, type TestContext } from './rooms.ts'
import { everybody, noPolicy } from './senders.ts'

/** An agent's run as the host sees it, with what it heard; `turn` is what it works on. */
export class FakeRun {
  readonly replies = new Map<string, IpcResult>()
  turn: { uuid: string; chatJid: string } | undefined
  paused = 0
  readonly ended: Promise<void>
  readonly end: () => void

  constructor(chatJid?: string) {
    this.turn = chatJid === undefined ? undefined : { uuid: randomUUID(), chatJid }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    this.end = resolve
  }

  reply({ id, result }: { id: string; result: unknown }): boolean {
    this.replies.set(id, result as IpcResult)
    return true
  }

  pauseTimer(): () => void {
    this.paused++
    return () => this.paused--
  }
}

/** The real parts behind agents' requests, with real folders and a real store; only the runs and the book of tasks are played. */
export function office(t: TestContext, groups: readonly string[] = ['main', 'family']) {
  const { store, folder: root } = storeWith(t, groups)
  const clock = new ManualClock()
  const feed = new Feed(console)
  const logged: string[] = []
  const log = {
    info: (text: string) => void logged.push(text),
    warn: (text: string) => void logged.push(text),
    error: (text: string) => void logged.push(text),
    debug: () => {},
  }
  const posted: Posting[] = []
  const post = ({ file, ...delivery }: Posting) => {
    posted.push({ ...delivery, file })
    store.outbox.add(delivery)
  }
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'x' }
  const desk = new TurnDesk({ store, feed, now: clock.now, judge: everybody }, rules)
  const speech = { store, feed, post, now: clock.now, assistantName: 'Andy' }
  let deliveries = 0
  const deliver = () => void deliveries++
  const questions = new QuestionDesk({ store, clock, speech, desk, deliver, log })
  const released: string[] = []
  const registry = new GroupRegistry(
    { store, now: clock.now, release: (folder) => void released.push(folder), changed: () => {}, senderPolicy: noPolicy },
    { root, assistantName: 'Andy' },
  )
  const tasks = fakeBook(store)
  const refreshes: string[] = []
  const audit = new AuditBook({ store, now: clock.now, redact: (text) => text })
  const ports = {
    ...{ redact: (text: string) => text.replaceAll('s3cret-value', '[redacted]'), audit: audit.note.bind(audit) },
    ...{ store, speech, registry, tasks, questions, timeZone: 'UTC', log, now: clock.now, deliver },
    files: new OutgoingFiles(root),
    refreshGroups: async () => void refreshes.push('refreshed'),
  }
  const ipcDesk = new IpcDesk(ports)
  const watcher = new IpcWatcher({ desk: ipcDesk, clock, log }, root)
  t.after(() => watcher.stop())
  const inbox = new Inbox({
    deliver: () => {},
    store,
    feed,
    wake: () => {},
    takeCommand: (stored) => questions.take(stored),
    judge: everybody,
    onDropped() {},
  })
  const boxOf = (folder: string, box = 'tasks') => {
    const place = path.join(root, 'data', 'ipc', folder, box)
    mkdirSync(place, { recursive: true })
    return place
  }
  for (const folder of groups) for (const box of ['messages', 'tasks', 'files']) boxOf(folder, box)

  /** Writes a request as an agent does; the id is its name, and `at` when it was written, in seconds. */
  const drop = (
    folder: string,
    request: unknown,
    { id = randomUUID(), box = 'tasks', at }: { id?: string; box?: string; at?: number } = {},
  ): string => {
    const file = path.join(boxOf(folder, box), `${id}.json`)
    writeFileSync(`${file}.tmp`, typeof request === 'string' ? request : JSON.stringify(request))
    if (at !== undefined) utimesSync(`${file}.tmp`, at, at)
    renameSync(`${file}.tmp`, file)
    return id
  }
  /** A run of this group that works on a turn of this chat. */
  const attach = (folder: string, chatJid = `local:${folder}`): FakeRun => {
    const run = new FakeRun(chatJid)
    watcher.attach(folder, run)
    return run
  }
  /** One request of a run, and its answer; its file is gone by then. */
  const ask = async (folder: string, run: FakeRun, request: unknown): Promise<IpcResult> => {
    const id = drop(folder, request)
    await until(() => run.replies.has(id) && !existsSync(path.join(boxOf(folder), `${id}.json`)), 'the request is answered')
    return run.replies.get(id) as IpcResult
  }
  const outbox = () => store.outbox.due(Number.MAX_SAFE_INTEGER)
  return {
    ...{ store, root, clock, feed, logged, posted, tasks, ports, refreshes, released, watcher, ipcDesk, desk, questions, inbox },
    deliveries: () => deliveries,
    boxOf,
    drop,
    attach,
    ask,
    outbox,
  }
}

/** A book of tasks that keeps them in memory and says what it was told to do. */
function fakeBook(store: Store): TaskPort & { did: string[]; book: Map<string, TaskView> } {
  const book = new Map<string, TaskView>()
  const did: string[] = []
  const act = (what: string) => (id: string) => {
    did.push(`${what} ${id}`)
    return { type: 'done' as const, task: book.get(id) as TaskView, text: `${what} done` }
  }
  return {
    did,
    book,
    find: (id) => book.get(id),
    list: (folder) => [...book.values()].filter((task) => folder === undefined || task.folder === folder),
    schedule: ({ folder, jid, prompt, schedule, contextMode = 'isolated' }) => {
      if (schedule.value === 'nonsense') return { type: 'refused', why: 'that is no schedule' }
      const rest = { status: 'active', reason: null, nextRun: 60_000, lastRun: null }
      const task = { id: `task-${book.size + 1}`, folder, jid, prompt, schedule, contextMode, ...rest }
      book.set(task.id, task)
      store.facts.set('scheduled', task.id) // part of the same transaction, as the real book's row is
      return { type: 'done', task, text: 'scheduled' }
    },
    update: (id, patch) => act(`update ${JSON.stringify(patch)}`)(id),
    pause: act('pause'),
    resume: act('resume'),
    cancel: act('cancel'),
    runNow: act('run'),
    history: () => [{ at: 0, durationMs: 5, status: 'success', result: 'ok', error: null }],
  }
}
