import { randomUUID } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type IpcResult, type IpcWish, ipcFolderOf, ipcResult } from '@nanoclaw/protocol'
import type { HostMessage } from './host-input.ts'

const IPC = '/workspace/ipc'

/** What became of a request: what the host said, why no answer is waited for any more, or why the host never got it. */
export type Answer =
  | { type: 'replied'; result: IpcResult }
  | { type: 'unanswered'; why: 'late' | 'interrupted' | 'host-gone' }
  | { type: 'not-asked'; why: string }

/**
 * What the agent asks of the host: a file per request, and an answer that comes as a `reply` with the file's uuid.
 * A request stays asked whatever becomes of the waiting: the file is the request, the answer only news of it.
 */
export class HostRequests {
  /** The chat whose turn the agent works on, once there is one. */
  chatJid: string | undefined
  readonly #folder: string
  readonly #waiting = new Map<string, (answer: Answer) => void>()
  #hostIsGone = false

  constructor(folder = IPC) {
    this.#folder = folder
  }

  /** Never rejects. `waitMs` is how long an answer is waited for; `signal` is the caller's, who may stop waiting. */
  async ask(wish: IpcWish, { waitMs, signal }: { waitMs: number; signal?: AbortSignal | undefined }): Promise<Answer> {
    const id = randomUUID()
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const giveUp = () => resolve({ type: 'unanswered', why: 'interrupted' })
    const timer = setTimeout(() => resolve({ type: 'unanswered', why: 'late' }), waitMs)
    this.#waiting.set(id, resolve)
    signal?.addEventListener('abort', giveUp, { once: true })
    try {
      this.#write(id, wish)
      if (this.#hostIsGone) resolve({ type: 'unanswered', why: 'host-gone' })
      return await promise
    } catch (error) {
      return { type: 'not-asked', why: error instanceof Error ? error.message : String(error) }
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', giveUp)
      this.#waiting.delete(id)
    }
  }

  /** Takes a reply to whoever waits for it; one that nobody waits for (any more) is dropped. */
  reply({ id, ok, result }: Extract<HostMessage, { type: 'reply' }>): void {
    const known = ipcResult.safeParse(result)
    const text = typeof result === 'string' ? result : (JSON.stringify(result) ?? '')
    this.#waiting.get(id)?.({ type: 'replied', result: known.data ?? { status: ok ? 'done' : 'failed', text } })
  }

  /** The turn was stopped: nobody is interested in the answers. */
  interrupt(): void {
    this.#release('interrupted')
  }

  /** No reply can come any more, for these requests or later ones. */
  hostLeft(): void {
    this.#hostIsGone = true
    this.#release('host-gone')
  }

  #release(why: 'interrupted' | 'host-gone'): void {
    for (const resolve of this.#waiting.values()) resolve({ type: 'unanswered', why })
  }

  /** Renamed into place, so that the host never reads half a request; at once, so that requests are in the order of the calls. */
  #write(id: string, wish: IpcWish): void {
    const file = path.join(this.#folder, ipcFolderOf(wish.type), `${id}.json`)
    writeFileSync(`${file}.tmp`, JSON.stringify(wish), { flag: 'wx' })
    renameSync(`${file}.tmp`, file)
  }
}
