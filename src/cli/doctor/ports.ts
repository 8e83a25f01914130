import net from 'node:net'
import { type Check, type Finding, fail, ok } from './finding.ts'

/** Docker's own, without and with TLS. */
const ENGINE_PORTS = [2375, 2376]
const PATIENCE_MS = 2_000

/** NanoClaw itself is reached by unix sockets alone. What would undo that is an engine that listens to the network. */
export const ports: Check = {
  id: 'ports',
  look: async () => {
    const open = await Promise.all(ENGINE_PORTS.map(async (port) => ((await isOpen(port)) ? [port] : [])))
    return judgePorts(open.flat())
  },
}

export function judgePorts(open: readonly number[]): Finding {
  if (!open.includes(2375)) return ok('The container engine listens to no port without a login')
  return fail({
    what: 'The container engine listens on port 2375, without a login',
    why: 'Whoever reaches that port, an agent on the bridge network too, is root on this machine.',
    fix: 'Remove -H tcp://... from the engine (systemctl cat docker, /etc/docker/daemon.json), and restart it',
  })
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', timeout: PATIENCE_MS })
    const end = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.on('connect', () => end(true))
    socket.on('error', () => end(false))
    socket.on('timeout', () => end(false))
  })
}
