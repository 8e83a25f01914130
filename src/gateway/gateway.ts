import { BodyMemory } from './body.ts'
import type { CredentialSource } from './credentials.ts'
import { connectTo, type EgressPorts, type EgressRecord, type EgressRules, resolveHost } from './egress.ts'
import { GatewayRun, type RequestRecord } from './gateway-run.ts'
import type { GatewayLog } from './log.ts'
import { ownNetworks, PublicAddresses } from './public-address.ts'
import type { Purse } from './purse.ts'
import { Upstream, type UpstreamTimeouts } from './upstream.ts'

export type GatewayOptions = {
  /** The settings' ANTHROPIC_BASE_URL; a path in it is kept in front of `/v1/messages`. */
  upstream: URL
  credentials: CredentialSource
  log: GatewayLog
  timeouts?: UpstreamTimeouts
  /** The addresses of a name; this machine's way of resolving it unless given. */
  resolve?: EgressPorts['resolve']
  /** The way to an address that was found public; a plain connection unless given. */
  connect?: EgressPorts['connect']
}

export type OpenRun = {
  runId: string
  /** Must not exist; its directory must, with 0711 and for this run alone: whoever reaches the socket is the run. */
  socketPath: string
  /** Where the run may go beside the model API: nowhere unless given. */
  egress?: EgressRules
  /** What its calls of the model are paid from. */
  purse: Purse
  /** Called once for each connection to the world, when it has ended. */
  onEgress?: (record: EgressRecord) => void
  /** Called once for each request, when it has ended. */
  onRequest?: (record: RequestRecord) => void
}

const NOWHERE: EgressRules = { policy: 'off', allow: [], bandwidth: { burst: 0, perSecond: 1 } }
const TIMEOUTS: UpstreamTimeouts = { connect: 15_000, silence: 600_000 }

/** What containers may reach of the world: for each run a unix socket, behind it the model API with the real credential. */
export class Gateway {
  readonly #credentials: CredentialSource
  readonly #log: GatewayLog
  readonly #upstream: Upstream
  readonly #world: Omit<EgressPorts, 'onEnd'>
  readonly #memory = new BodyMemory()
  readonly #runs = new Set<GatewayRun>()

  constructor({ upstream, credentials, log, timeouts = TIMEOUTS, resolve = resolveHost, connect = connectTo }: GatewayOptions) {
    this.#credentials = credentials
    this.#log = log
    const publicOnes = new PublicAddresses(ownNetworks)
    this.#world = { resolve, connect, arePublic: (addresses) => publicOnes.haveAll(addresses) }
    this.#upstream = new Upstream({ base: upstream, timeouts })
  }

  /** Rejects with an `AppError` when the socket cannot be made. */
  async open({
    runId,
    socketPath,
    egress = NOWHERE,
    purse,
    onEgress = () => {},
    onRequest = () => {},
  }: OpenRun): Promise<GatewayRun> {
    const memory = this.#memory.open()
    const run = new GatewayRun({
      runId,
      egress,
      world: this.#world,
      onEgress,
      model: { upstream: this.#upstream, credentials: this.#credentials, purse, memory },
      log: this.#log,
      onRequest,
      onClose: () => {
        this.#memory.close(memory)
        this.#runs.delete(run)
      },
    })
    this.#runs.add(run)
    await run.listen(socketPath)
    return run
  }

  /** Ends every run's connections and the connections to the upstream. */
  async close(): Promise<void> {
    try {
      await Promise.all([...this.#runs].map((run) => run.close()))
    } finally {
      this.#upstream.close()
    }
  }
}
