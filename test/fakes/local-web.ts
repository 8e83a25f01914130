import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import http, { type RequestListener } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'

/** A public address that nobody reaches: what is dialled there ends at the local web. */
const PUBLIC_ADDRESS = '93.184.216.34'

/** A small internet on this machine: servers for names under example.com, with certificates of an authority of their own. */
export type LocalWeb = {
  /** The authority's certificate. */
  ca: string
  /** `HOST/path` of each request, in order. */
  seen: string[]
  resolve(host: string): Promise<string[]>
  connect(to: { address: string; port: number }): net.Socket
  close(): void
}

/** Serves the files under `site`, the first folder being the host's name; `elsewhere` are names with other addresses. */
export async function startLocalWeb({
  folder,
  elsewhere = {},
}: {
  folder: string
  elsewhere?: Record<string, string[]>
}): Promise<LocalWeb> {
  const { ca, key, cert } = certificates(path.join(folder, 'tls'))
  const site = path.join(folder, 'site')
  const seen: string[] = []
  const serve: RequestListener = (request, response) => {
    const file = path.join('/', request.headers.host ?? '', (request.url ?? '').replace(/\?.*/, ''))
    seen.push(file.slice(1))
    send(path.join(site, file), response)
  }
  const servers = { 80: http.createServer(serve), 443: https.createServer({ key, cert }, serve) }
  for (const server of Object.values(servers)) await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    ca,
    seen,
    resolve: async (host) => elsewhere[host] ?? [PUBLIC_ADDRESS],
    connect: ({ address, port }) => {
      const server = port === 80 ? servers[80] : servers[443]
      if (address !== PUBLIC_ADDRESS) throw new Error(`${address} was dialled`)
      return net.connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
    },
    close: () => {
      for (const server of Object.values(servers)) server.close().closeAllConnections()
    },
  }
}

const TYPES: Record<string, string> = { '.html': 'text/html', '.json': 'application/json' }

function send(file: string, response: http.ServerResponse): void {
  const found = [file, path.join(file, 'index.html')].find((name) => statSync(name, { throwIfNoEntry: false })?.isFile())
  if (found === undefined) return void response.writeHead(404).end('not found')
  response.writeHead(200, { 'content-type': TYPES[path.extname(found)] ?? 'application/octet-stream' })
  createReadStream(found).pipe(response)
}

/** An authority, and a certificate of it for every name that is asked for here. */
function certificates(folder: string): { ca: string; key: Buffer; cert: Buffer } {
  mkdirSync(folder, { recursive: true })
  const at = (name: string) => path.join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...ec, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=local web')
  openssl('req', ...ec, '-keyout', 'web.key', '-out', 'web.csr', '-subj', '/CN=web.example.com')
  writeFileSync(at('names'), 'subjectAltName=DNS:*.example.com,DNS:api.anthropic.com')
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names', '-days', '2']
  openssl('x509', '-req', '-in', 'web.csr', '-out', 'web.crt', ...signed)
  return { ca: at('ca.crt'), key: readFileSync(at('web.key')), cert: readFileSync(at('web.crt')) }
}
