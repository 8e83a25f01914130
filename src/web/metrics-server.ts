import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { AppError } from '../domain/errors.ts'

const LOOPBACK = '127.0.0.1'

/** Serves what monitors ask on the loopback address; `port` 0 is any free one. Throws `config.port` when it is taken. */
export function serveMetrics({ api, port }: { api: Hono; port: number }): Promise<{ port: number; close(): void }> {
  const server = createServer(getRequestListener(guarded(api).fetch))
  return new Promise((resolve, reject) => {
    server.on('error', (cause) => reject(taken(port, cause))) // also later ones, which must not end the host
    server.listen(port, LOOPBACK, () => {
      const address = server.address()
      const close = () => {
        server.close()
        server.closeAllConnections()
      }
      resolve({ port: typeof address === 'object' && address ? address.port : port, close })
    })
  })
}

/** A web page may make its own name point here and then read the answers: only requests for this machine are answered. */
function guarded(api: Hono): Hono {
  return new Hono()
    .use(async (c, next) => {
      const { hostname } = new URL(c.req.url)
      if (!['127.0.0.1', 'localhost'].includes(hostname)) return c.text('Only for this machine.\n', 403)
      return next()
    })
    .route('/', api)
}

function taken(port: number, cause: unknown): AppError {
  const message = `METRICS_PORT ${port} cannot be used: ${cause instanceof Error ? cause.message : cause}. Nothing was started.`
  return new AppError({ code: 'config.port', fault: 'user', message, cause })
}
