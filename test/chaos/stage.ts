import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import SQLite from 'better-sqlite3'
import { withGroupAdmin } from '../../src/cli/group-admin.ts'
import { loadConfig } from '../../src/config.ts'
import type { DeliveryGuarantee } from '../../src/domain/delivery.ts'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'
import { PeerPlatform } from '../fakes/peer-platform.ts'
import type { CrashPlan } from './crash-points.ts'

const ENTRY = path.join(import.meta.dirname, 'host-main.ts')

type TestContext = { after(fn: () => unknown): void }
export type StageOptions = {
  chats: readonly string[]
  delivery?: DeliveryGuarantee
  env?: NodeJS.ProcessEnv
  root?: string
}

/** A real host with real containers, between a chat platform and a model of the test's own, which count what reaches them. */
export class Stage {
  readonly host: TestHost
  readonly platform: PeerPlatform
  /** Requests that the model got. */
  asked = 0
  /** Called when the model is asked, before it answers. */
  onAsked: (body: string) => void = () => {}

  private constructor(parts: { host: TestHost; platform: PeerPlatform }) {
    this.host = parts.host
    this.platform = parts.platform
  }

  /** Each chat, `peer:NAME`, has a group of its own. The host is not started. */
  static async create(t: TestContext, { chats, delivery = 'keyed', env = {}, root }: StageOptions): Promise<Stage> {
    const platform = await PeerPlatform.start({ delivery })
    t.after(() => platform.close())
    const peer = { PEER_URL: platform.url, PEER_DELIVERY: delivery }
    const onRequest = ({ url, body }: { url: string; body: unknown }) => {
      if (!url.split('?')[0]?.endsWith('/v1/messages')) return
      stage.asked++
      stage.onAsked(JSON.stringify(body))
    }
    const host = await TestHost.create(t, { ...peer, ...env }, { entry: ENTRY, model: { onRequest }, ...(root && { root }) })
    const stage = new Stage({ host, platform })
    const config = loadConfig(host.env)
    for (const chat of chats)
      await withGroupAdmin({
        config,
        use: (admin) => admin.registerChat({ jid: `peer:${chat}`, folder: chat, requiresTrigger: false }),
      })
    return stage
  }

  /** Resolves when the host is ready, or dead by its plan. */
  async start(plan?: CrashPlan): Promise<void> {
    const start = this.host.start(plan ? { CRASH_PLAN: JSON.stringify(plan) } : {})
    await (plan ? start.catch(() => {}) : start)
  }

  /** The steps that a host takes from its start, or from hearing the words `from`, while `play` goes on. */
  async trace(from: string | undefined, play: () => Promise<void>): Promise<string[]> {
    const file = path.join(this.host.root, 'trace')
    rmSync(file, { force: true })
    await this.host.start({ CRASH_TRACE: file, CRASH_PLAN: JSON.stringify({ from, nth: 0, when: 'before' }) })
    await play()
    return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []
  }

  says(chat: string, text: string): string {
    return this.platform.says(`peer:${chat}`, text)
  }

  heard(chat: string): string[] {
    return this.platform.texts(`peer:${chat}`)
  }

  query(sql: string): Record<string, unknown>[] {
    const db = new SQLite(path.join(this.host.root, 'store', 'messages.db'), { readonly: true })
    try {
      return db.prepare(sql).all() as Record<string, unknown>[]
    } finally {
      db.close()
    }
  }

  /** Ids of the running containers of a group, or of all. */
  containers(folder?: string): string[] {
    const labels = [
      `nanoclaw.install=${this.host.file('data', 'install-id').trim()}`,
      ...(folder ? [`nanoclaw.group=${folder}`] : []),
    ]
    const filters = labels.flatMap((label) => ['--filter', `label=${label}`])
    return execFileSync('docker', ['ps', '--quiet', ...filters], { encoding: 'utf8' })
      .split('\n')
      .filter(Boolean)
  }

  /** kill -9, as the kernel does it. One that is gone already is no failure. */
  killContainers(folder?: string): void {
    for (const id of this.containers(folder)) spawnSync('docker', ['kill', id])
  }

  /** How often the model was asked about something. */
  askedAbout(words: string): number {
    return this.host.model.requests.filter(({ body }) => JSON.stringify(body).includes(words)).length
  }

  /** Resolves when nothing is left to be done about these messages, or anything else. */
  async settled(...ids: string[]): Promise<void> {
    const isOver = () => ids.every((id) => this.platform.isConfirmed(id)) && this.query(OPEN).length === 0
    await until(isOver, () => `everything is answered and delivered; the host's log ends: ${this.lastWords()}`)
  }

  /** Resolves when the run of a task is over, and its answer delivered. */
  async settledTask(id: string): Promise<void> {
    const over = `SELECT id FROM task_run_logs WHERE task_id = '${id}' AND status <> 'running'`
    const isOver = () => this.query(over).length > 0 && this.query(OPEN).length === 0
    await until(isOver, () => `the task ${id} is over; the host's log ends: ${this.lastWords()}`)
  }

  lastWords(): string {
    const file = path.join(this.host.root, 'logs', 'nanoclaw.log')
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(-12).join('\n') : '(none)'
  }
}

/** What still has to be done. */
const OPEN = `
  SELECT id FROM turns WHERE state IN ('pending', 'running')
  UNION ALL SELECT seq FROM outbox WHERE state IN ('pending', 'sending')
  UNION ALL SELECT seq FROM messages WHERE is_bot_message = 0 AND turn_id IS NULL`
