import { renameSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/** About as long as it takes to check a folder and to start a container. */
const LONGEST_STAY_MS = 100

type Names = { place: string; evil: string; aside: string }

/** Exchanges `place` and `evil` again and again, each for some milliseconds, until stopped: between a look and a use. */
export class Swapper {
  readonly #worker: Worker

  constructor(names: Names) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: names })
  }

  /** Stops with everything in its place; how often it was exchanged. */
  stop(): Promise<number> {
    const swaps = new Promise<number>((resolve) => this.#worker.once('message', resolve))
    this.#worker.postMessage('stop')
    return swaps
  }
}

if (!isMainThread && parentPort) {
  const port = parentPort
  const { place, evil, aside } = workerData as Names
  let [swaps, stopped] = [0, false]
  port.once('message', () => {
    stopped = true
  })
  const sleep = new Int32Array(new SharedArrayBuffer(4))
  const stay = () => Atomics.wait(sleep, 0, 0, Math.random() * LONGEST_STAY_MS)
  const swap = () => {
    renameSync(place, aside)
    renameSync(evil, place)
    stay()
    renameSync(place, evil)
    renameSync(aside, place)
    stay()
    swaps++
    if (stopped) port.postMessage(swaps)
    else setImmediate(swap)
  }
  swap()
}
