import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { reached } from './engine.ts'
import { type Check, type Finding, fail, ok, skip } from './finding.ts'
import type { FoundRuntime, Patient } from './patient.ts'
import { runInside } from './probe-container.ts'

const GREETING = 'reached'
const CONNECT = `
  require('net').connect('/run/nanoclaw/gateway.sock')
    .on('data', (said) => { console.log(String(said)); process.exit() })
    .on('error', ({ code }) => { console.log(code); process.exit() })`
/** One line for each fact of `Inside`. */
const QUESTIONS = `
echo $(id -u)
echo $(stat -c %U /app /workspace | sort -u)
echo $(claude --version 2>/dev/null | head -n 1)
node -e "${CONNECT}"`

/** What a container said of itself. `bypassed`: it has the login and a network of its own, and so does not need the gateway. */
export type Inside = { uid: string; owners: string; claude: string; gateway: string; bypassed: boolean }

/** A container like an agent's, but without one: what is in it, and does it reach a socket of the host? */
export const inside: Check = {
  id: 'gateway',
  look: async (patient) => {
    const found = await reached(patient)
    if (found.type === 'none') return skip('No engine was there to ask')
    if ((await found.runtime.imageId(patient.config.image)) === undefined) return skip('There is no image to try')
    const { credentials, network } = patient.config
    return judgeInside({ ...(await askContainer(patient, found)), bypassed: credentials === 'mount' && network === 'bridge' })
  },
}

export function judgeInside({ uid, owners, claude, gateway, bypassed }: Inside): Finding {
  const rebuild = './container/build.sh --no-cache'
  if (uid === '0')
    return fail({ what: 'Agents would be root in their container', why: 'Claude Code refuses that.', fix: rebuild })
  if (owners !== 'node') {
    return fail({
      what: `/app and /workspace of the image belong to ${owners || 'nobody'}`,
      why: 'No agent could work there.',
      fix: rebuild,
    })
  }
  if (!/\d+\.\d+/.test(claude))
    return fail({ what: 'Claude Code does not start in the image', why: 'Every turn would fail.', fix: rebuild })
  if (bypassed) return ok(`A container has Claude Code ${claude}, and goes to the model by itself`)
  if (gateway === GREETING) return ok(`A container has Claude Code ${claude}, and reaches the gateway`)
  return fail({
    what: `A container does not reach a socket of the host (${gateway || 'it said nothing'})`,
    why: 'That is the only way of an agent to the model.',
    fix: 'The engine has to share unix sockets with containers: use one of this machine, and keep NANOCLAW_HOME on a local disk. A way without is in docs/macos.md',
  })
}

/** The socket is made as the gateway makes its own, and beside them. */
async function askContainer({ config }: Patient, { runtime }: FoundRuntime): Promise<Omit<Inside, 'bypassed'>> {
  const parent = path.dirname(config.paths.runs)
  const folder = mkdtempSync(path.join(existsSync(parent) ? parent : os.tmpdir(), 'doctor-'))
  const server = net.createServer((socket) => socket.end(GREETING))
  try {
    chmodSync(folder, 0o711)
    const socket = path.join(folder, 'gateway.sock')
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    chmodSync(socket, 0o666)
    const mounts = [{ source: folder, target: '/run/nanoclaw', readonly: true }]
    const said = await runInside({ runtime, image: config.image, network: 'none', mounts, script: QUESTIONS })
    const [uid = '', owners = '', claude = '', gateway = ''] = said.split('\n')
    return { uid, owners, claude, gateway }
  } finally {
    server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
