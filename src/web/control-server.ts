import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'

/** Serves the API on the host's own socket. Only the holder of the host's lock may call it: a socket that is there is a dead one. */
export function serveControl({ app, socket }: { app: Hono; socket: string }): Promise<{ close(): Promise<void> }> {
  rmSync(socket, { force: true })
  const server = createServer(getRequestListener(app.fetch))
  return new Promise((resolve, reject) => {
    server.on('error', reject) // later ones, of a connection that could not be accepted, must not end the host
    // The socket is made while `listen` runs: it is private from its first moment, and no other file is.
    const umask = process.umask(0o177)
    server.listen(socket, () => resolve({ close: () => close(server) }))
    process.umask(umask)
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
