import http from 'node:http'
import { z } from 'zod'

/** Of the host of any version: as little as can be, so that versions may differ in everything else. */
const health = z.object({ version: z.string(), pid: z.int(), ready: z.boolean() })
export type Health = z.infer<typeof health>

/** How the host on this socket is; undefined when nobody answers. */
export function healthOf(socketPath: string): Promise<Health | undefined> {
  return new Promise((resolve) => {
    const request = http.get({ socketPath, path: '/api/status', agent: false, timeout: 10_000 }, (response) => {
      let body = ''
      response.on('data', (chunk) => (body += chunk))
      response.on('end', () => resolve(health.safeParse(parsed(body)).data))
      response.on('error', () => resolve(undefined))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined))
  })
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

const LOOKS_APART_MS = 500
/** Ready, and then still the same process for a while: one that is started again and again is not healthy. */
const STEADY_LOOKS = 6

/** Resolves when a host of this version is there to stay; rejects when none is after `patienceMs`. */
export async function becomesHealthy({
  socketPath,
  version,
  patienceMs,
}: {
  socketPath: string
  version: string
  patienceMs: number
}): Promise<void> {
  let steady: { pid: number; looks: number } | undefined
  for (let waited = 0; waited < patienceMs; waited += LOOKS_APART_MS) {
    const now = await healthOf(socketPath)
    if (now?.ready && now.version === version) steady = { pid: now.pid, looks: steady?.pid === now.pid ? steady.looks + 1 : 1 }
    else steady = undefined
    if (steady && steady.looks >= STEADY_LOOKS) return
    await new Promise((resolve) => setTimeout(resolve, LOOKS_APART_MS))
  }
  throw new Error(`no host of version ${version} became ready and stayed`)
}
