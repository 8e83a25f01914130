import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { temporaryFolder } from './rooms.ts'

const PROXY = path.join(import.meta.dirname, 'engine-proxy.ts')

type TestContext = { after(fn: () => unknown): void }

/** The way to an engine, real or not, that can fall silent as a stopped one does: it takes connections, and answers nothing. */
export class StoppableEngine {
  readonly socketPath: string
  readonly #process: ChildProcess

  private constructor(socketPath: string, process: ChildProcess) {
    this.socketPath = socketPath
    this.#process = process
  }

  static async start(t: TestContext, engine: string): Promise<StoppableEngine> {
    const socketPath = path.join(temporaryFolder(t), 'engine.sock')
    const proxy = spawn(process.execPath, [PROXY, socketPath, engine], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.after(() => proxy.kill('SIGKILL'))
    await once(proxy.stdout, 'data')
    return new StoppableEngine(socketPath, proxy)
  }

  stop(): void {
    this.#process.kill('SIGSTOP')
  }

  goOn(): void {
    this.#process.kill('SIGCONT')
  }
}
