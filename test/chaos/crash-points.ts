import { appendFileSync } from 'node:fs'
import SQLite from 'better-sqlite3'
import { z } from 'zod'
import type { Channel, Sink } from '../../src/channels/contract.ts'
import type { ContainerRuntime, RunningContainer } from '../../src/runtimes/contract.ts'

/** The host dies before or after its `nth` step, counted from the start, or from when it hears the words `from`. */
export const crashPlan = z.object({ from: z.string().optional(), nth: z.int(), when: z.enum(['before', 'after']) })
export type CrashPlan = z.infer<typeof crashPlan>

/**
 * Counts the steps of a host that something outside of its memory can tell: every commit to its database, and every call
 * that leaves the process. At the planned one it kills itself, as abruptly as a power cut would.
 */
export class CrashPoints {
  readonly #plan: CrashPlan | undefined
  readonly #trace: string | undefined
  #counting: boolean
  #count = 0

  /** `trace`: a file that gets a line for each step. */
  constructor({ plan, trace }: { plan: CrashPlan | undefined; trace: string | undefined }) {
    this.#plan = plan
    this.#trace = trace
    this.#counting = plan?.from === undefined
  }

  /** Every commit of every database of this process, in a transaction or without; those that change nothing are none. */
  watchCommits(): void {
    const database = new SQLite(':memory:')
    const statement = Object.getPrototypeOf(database.prepare('SELECT 1')) as SQLite.Statement
    database.close()
    const run = statement.run
    const written: string[] = []
    const step = this.#step.bind(this)
    statement.run = function (this: SQLite.Statement, ...parameters: unknown[]) {
      const execute = () => run.apply(this, parameters)
      if (/^(BEGIN|ROLLBACK)/.test(this.source)) written.length = 0
      else if (this.source !== 'COMMIT') written.push(summary(this.source))
      const commits = this.source === 'COMMIT' || !this.database.inTransaction
      return commits && written.length > 0 ? step(`commit ${written.splice(0).join(', ')}`, execute) : execute()
    }
  }

  /** The same engine, each call a step. */
  ofRuntime(runtime: ContainerRuntime): ContainerRuntime {
    return {
      info: (signal) => this.#call('engine: info', () => runtime.info(signal)),
      imageId: (image) => this.#call('engine: image', () => runtime.imageId(image)),
      imageLabels: (image) => this.#call('engine: labels', () => runtime.imageLabels(image)),
      list: (filter) => this.#call('engine: list', () => runtime.list(filter)),
      remove: (id) => this.#call('engine: remove', () => runtime.remove(id)),
      run: async (spec, signal) => this.#ofContainer(await this.#call('engine: run', () => runtime.run(spec, signal))),
    }
  }

  /** What is written to a container is a step, too. */
  #ofContainer(container: RunningContainer): RunningContainer {
    const { stdin } = container
    const write = stdin.write.bind(stdin) as (chunk: string) => boolean
    stdin.write = (chunk: string) => this.#step(`container: ${frameType(chunk)}`, () => write(chunk))
    return container
  }

  /** The same channel, each call a step; what it hears may start the counting. */
  ofChannel(channel: Channel): Channel {
    const { findSent } = channel
    return {
      name: channel.name,
      capabilities: channel.capabilities,
      get state() {
        return channel.state
      },
      owns: (jid) => channel.owns(jid),
      start: (sink, signal) => channel.start(this.#ofSink(sink), signal),
      stop: async () => channel.stop?.(),
      send: (jid, message, options) => this.#call('channel: send', () => channel.send(jid, message, options)),
      ...(findSent && {
        findSent: (jid, sent, signal) => this.#call('channel: look back', () => findSent.call(channel, jid, sent, signal)),
      }),
    }
  }

  #ofSink(sink: Sink): Sink {
    return {
      message: async (message) => {
        if (message.text.includes(this.#plan?.from ?? '\0')) this.#counting = true
        await sink.message(message)
      },
      edited: (change) => sink.edited(change),
      deleted: (message) => sink.deleted(message),
      chat: (chat) => sink.chat(chat),
      stateChanged: () => sink.stateChanged(),
    }
  }

  async #call<T>(name: string, work: () => Promise<T>): Promise<T> {
    const nth = this.#begin(name)
    const result = await work()
    this.#dieAt(nth, 'after')
    return result
  }

  #step<T>(name: string, work: () => T): T {
    const nth = this.#begin(name)
    const result = work()
    this.#dieAt(nth, 'after')
    return result
  }

  /** The number of this step; 0 while steps are not counted. */
  #begin(name: string): number {
    if (!this.#counting) return 0
    const nth = ++this.#count
    if (this.#trace) appendFileSync(this.#trace, `${name}\n`)
    this.#dieAt(nth, 'before')
    return nth
  }

  #dieAt(nth: number, when: CrashPlan['when']): void {
    if (this.#plan?.nth === nth && this.#plan.when === when) process.kill(process.pid, 'SIGKILL')
  }
}

/** `INSERT INTO messages (...)` and its like, as far as a person needs it. */
function summary(sql: string): string {
  return /(?:insert into|update|delete from)\s+\w+/i.exec(sql)?.[0].toLowerCase() ?? sql.trim()
}

function frameType(line: string): string {
  const { type = 'input' } = JSON.parse(line) as { type?: string }
  return type
}
