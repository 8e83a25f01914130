import { parentPort, workerData } from 'node:worker_threads'
import { measure } from '../hostile-tree.ts'

/** Measures one tree beside the main loop, and tells. */
parentPort?.postMessage(await measure(workerData.folder, workerData.limits))
