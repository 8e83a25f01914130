import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { visibleAnswer } from '../../src/domain/answer.ts'
import { redactor } from '../../src/domain/redactor.ts'
import { triggerOf } from '../../src/domain/routing.ts'
import { patience } from './patience.ts'

/** A text that is made to be slow: a piece, again and again. */
export type Hostile = { front?: string; piece: string; bytes: number }

const READERS = {
  /** How much is left of it without what looks like a secret. */
  redacted: (text: string) => redactor(['a-known-secret'])(text).length,
  calls: (text: string) => triggerOf('@Andy')(text),
  visible: (text: string) => visibleAnswer(text),
}
type Reader = keyof typeof READERS
type Read<R extends Reader> = ReturnType<(typeof READERS)[R]>
type Job = { reader: Reader; texts: Hostile[] }

const LIMIT_MS = 60_000

/**
 * What a reader makes of texts. They are read in a thread of its own, since nothing else can end a search that goes back again
 * and again; one that does is at it for many minutes, and one pass takes a second.
 */
export async function readAside<R extends Reader>(reader: R, texts: Hostile[]): Promise<Read<R>[]> {
  const job: Job = { reader, texts }
  const worker = new Worker(new URL(import.meta.url), { workerData: job })
  const { promise, resolve, reject } = Promise.withResolvers<Read<R>[]>()
  const limit = patience(LIMIT_MS)
  const timer = setTimeout(() => reject(new Error(`after ${limit} ms, texts are still read: it is more than one pass`)), limit)
  worker.once('message', resolve)
  worker.once('error', reject)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    await worker.terminate()
  }
}

if (!isMainThread && parentPort) {
  const { reader, texts }: Job = workerData
  const whole = ({ front = '', piece, bytes }: Hostile) => front + piece.repeat(bytes / piece.length)
  parentPort.postMessage(texts.map((text) => READERS[reader](whole(text))))
}
