import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import type { BinaryNode } from 'baileys'
import { node } from './nodes.ts'

/** Where files are kept, encrypted by who sends them. It speaks TLS with a certificate that this process comes to trust. */
export class MediaHost {
  readonly files = new Map<string, Buffer>()
  #server: Server | undefined
  /** While it is set, files are asked for and not given. */
  held = false
  asked = 0

  async start(): Promise<void> {
    trusted ??= trustedCertificate()
    const { key, cert } = trusted
    this.#server = createServer({ key, cert }, (request, response) => this.#serve(request, response))
    await new Promise<void>((resolve) => this.#server?.listen(0, '127.0.0.1', resolve))
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections()
    this.#server?.close()
  }

  get host(): string {
    return `127.0.0.1:${(this.#server?.address() as AddressInfo | null)?.port}`
  }

  hosts(): BinaryNode[] {
    return this.#server ? [node('host', { hostname: this.host })] : []
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const name = (request.url ?? '').split('?')[0] ?? ''
    if (request.method === 'GET') {
      this.asked++
      if (this.held) return
      const file = this.files.get(name)
      response.statusCode = file ? 200 : 404
      response.end(file)
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      this.files.set(name, Buffer.concat(chunks))
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ url: `https://${this.host}${name}`, direct_path: name }))
    })
  }
}

type Certificate = { key: string; cert: string }

/** Of every such host in this process. */
let trusted: Certificate | undefined

function trustedCertificate(): Certificate {
  const made = selfSigned()
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), made.cert])
  return made
}

/** Node cannot make certificates; every system that has TLS has openssl. */
function selfSigned(): Certificate {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-cert-'))
  const at = (name: string) => path.join(folder, name)
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', at('key'), '-out', at('cert'), '-days', '30']
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  try {
    execFileSync('openssl', ['req', '-x509', ...curve, ...files, ...name], { stdio: 'ignore' })
    return { key: readFileSync(at('key'), 'utf8'), cert: readFileSync(at('cert'), 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
