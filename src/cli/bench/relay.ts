import { rmSync } from 'node:fs'
import net from 'node:net'

/** A unix socket in front of another one, which can be cut: what is behind it seems to be gone, and can come back. */
export class Relay {
  readonly path: string
  readonly #target: string
  readonly #open = new Set<net.Socket>()
  #server: net.Server | undefined

  constructor({ path, target }: { path: string; target: string }) {
    this.path = path
    this.#target = target
  }

  async connect(): Promise<void> {
    rmSync(this.path, { force: true })
    const server = net.createServer({ allowHalfOpen: true }, (client) => this.#join(client))
    await new Promise<void>((resolve) => server.listen(this.path, resolve))
    this.#server = server
  }

  /** Breaks every connection and refuses new ones. */
  async cut(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#open) socket.destroy()
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
  }

  #join(client: net.Socket): void {
    const target = net.connect({ path: this.#target, allowHalfOpen: true })
    for (const [a, b] of [
      [client, target],
      [target, client],
    ] as const) {
      this.#open.add(a)
      a.pipe(b)
      a.on('error', () => b.destroy())
      a.on('close', () => {
        this.#open.delete(a)
        b.destroy()
      })
    }
  }
}
